//! Which addresses are refused, in all the clothes they may wear.

use proptest::prelude::*;

use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn network(text: &str) -> Network {
    text.parse().unwrap()
}

fn why(text: &str) -> Option<Forbidden> {
    let refusal = Reach::default().check(address(text)).err();
    refusal.map(|refusal| refusal.why)
}

#[test]
fn link_local_addresses_are_refused_whatever_they_wear() {
    for text in [
        "169.254.0.0",
        "169.254.169.254",
        "169.254.170.2",
        "169.254.255.255",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "fe80::1",
        "febf:ffff::1",
        "fec0::1",
    ] {
        assert_eq!(why(text), Some(Forbidden::LinkLocal), "{text}");
    }
}

#[test]
fn metadata_services_elsewhere_are_refused_too() {
    for text in [
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "::ffff:100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "2002:6464:64c8::",
    ] {
        assert_eq!(why(text), Some(Forbidden::Metadata), "{text}");
    }
}

#[test]
fn every_other_address_may_be_called() {
    for text in [
        "127.0.0.1",
        "::1",
        "10.0.0.1",
        "169.253.255.255",
        "169.255.0.0",
        "100.100.100.201",
        "fd00:ec2::253",
        "2001:db8::a9fe:a9fe",
        "fe00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
    ] {
        assert_eq!(why(text), None, "{text}");
    }
}

#[test]
fn what_the_settings_name_may_be_called_and_nothing_beside_it() {
    let reach = |networks: &[&str]| Reach {
        allowed: networks.iter().map(|text| network(text)).collect(),
        only_loopback: false,
        proxy: None,
    };
    for (networks, text, is_allowed) in [
        (&["169.254.10.0/24"][..], "169.254.10.7", true),
        (&["169.254.10.0/24"], "::ffff:169.254.10.7", true),
        (&["169.254.10.0/24"], "64:ff9b::169.254.10.7", true),
        (&["169.254.10.0/24"], "169.254.11.7", false),
        (&["169.254.10.0/24"], "fe80::1", false),
        (&["::ffff:169.254.10.0/120"], "169.254.10.7", true),
        (&["::ffff:169.254.10.0/120"], "169.254.11.7", false),
        (&["fd00:ec2::254"], "fd00:ec2::254", true),
        (&["0.0.0.0/0"], "169.254.169.254", true),
        (&["0.0.0.0/0"], "fe80::1", false),
        (&["::/0"], "fe80::1", true),
        (&["::/0"], "169.254.169.254", false),
        // The way to it is not it.
        (
            &["64:ff9b::/96", "2002::/16"],
            "64:ff9b::169.254.169.254",
            false,
        ),
        (&["64:ff9b::/96", "2002::/16"], "2002:a9fe:a9fe::1", false),
    ] {
        let checked = reach(networks).check(address(text));
        assert_eq!(checked.is_ok(), is_allowed, "{text} with {networks:?}");
    }
}

#[test]
fn plain_http_stays_on_the_machine() {
    let reach = Reach {
        allowed: vec![network("0.0.0.0/0"), network("::/0")],
        only_loopback: true,
        proxy: None,
    };
    for text in ["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"] {
        reach.check(address(text)).unwrap();
    }
    for text in [
        "10.0.0.1",
        "0.0.0.0",
        "::",
        "64:ff9b::127.0.0.1",
        "169.254.0.1",
    ] {
        let refusal = reach.check(address(text)).unwrap_err();
        assert_eq!(refusal.why, Forbidden::BeyondLoopback, "{text}");
    }
}

#[test]
fn a_refusal_names_the_address_and_what_it_is() {
    let refusal = Reach::default().check(address("::ffff:169.254.169.254"));
    assert_eq!(
        refusal.unwrap_err().to_string(),
        "`::ffff:169.254.169.254` is a link-local address"
    );
}

#[test]
fn what_is_no_network_is_refused_with_what_is_wrong() {
    let prefix = |longest| InvalidNetwork::Prefix { longest };
    for (text, wrong) in [
        ("", InvalidNetwork::Address),
        ("/8", InvalidNetwork::Address),
        ("api.apono.io", InvalidNetwork::Address),
        ("10.0.0/8", InvalidNetwork::Address),
        ("10.0.0.0/", prefix(32)),
        ("10.0.0.0/33", prefix(32)),
        ("10.0.0.0/+8", prefix(32)),
        ("10.0.0.0/8/8", prefix(32)),
        ("10.0.0.0/999", prefix(32)),
        ("fe80::/129", prefix(128)),
        ("10.0.0.1/8", InvalidNetwork::HostBits),
        ("fe80::1/10", InvalidNetwork::HostBits),
        ("::1/0", InvalidNetwork::HostBits),
    ] {
        assert_eq!(text.parse::<Network>(), Err(wrong), "{text}");
    }
}

proptest! {
    #[test]
    fn a_network_reads_back_as_it_is_shown(bits: u128, prefix in 0_u8..=128, is_short: bool) {
        let (address, prefix) = if is_short {
            let low = u32::try_from(bits & u128::from(u32::MAX)).unwrap();
            (IpAddr::V4(Ipv4Addr::from(low)), prefix.min(32))
        } else {
            (IpAddr::V6(Ipv6Addr::from(bits)), prefix)
        };
        let dropped = u32::from(longest(address) - prefix);
        let kept = network_bits(address, prefix).checked_shl(dropped).unwrap_or(0);
        let start = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(kept).unwrap())),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(kept)),
        };
        let read = network(&format!("{start}/{prefix}"));
        prop_assert_eq!(network(&read.to_string()), read);
        prop_assert!(read.contains(start));
        prop_assert!(read.contains(address));
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in ".{0,40}") {
        let _ = text.parse::<Network>();
    }

    #[test]
    fn no_clothes_hide_a_link_local_address(low: u16) {
        let hidden = Ipv4Addr::new(169, 254, low.to_be_bytes()[0], low.to_be_bytes()[1]);
        for text in [
            format!("::ffff:{hidden}"), format!("::{hidden}"), format!("64:ff9b::{hidden}"),
            format!("2002:a9fe:{low:x}::"), hidden.to_string(),
        ] {
            prop_assert!(why(&text).is_some(), "{}", text);
        }
    }
}
