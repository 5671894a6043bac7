//! Which addresses a connection may lead to: the operator's settings decide, never the connection.
//! Pure. What is written in the endpoint is judged here; what a name leads to, the client judges by
//! the same [`Reach`] when it connects.

use std::net::IpAddr;

use apono_client::{Network, Reach};
use url::{Host, Url};

use super::{EndpointRefusal, Refusal};

/// Where calls to this endpoint may go, and through which proxy.
pub fn reach(endpoint: &Url, insecure: bool, networks: &[Network], proxy: Option<&Url>) -> Reach {
    Reach {
        allowed: networks.to_vec(),
        // A name that looks like loopback may lead elsewhere.
        only_loopback: endpoint.scheme() == "http" && !insecure,
        proxy: proxy.cloned(),
    }
}

/// Checks the address that the endpoint names; a name is judged when it is connected to.
pub fn written(endpoint: &Url, reach: &Reach) -> Result<(), EndpointRefusal> {
    let address: IpAddr = match endpoint.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    reach.check(address).map_err(|refused| {
        EndpointRefusal::NotAllowed(Refusal(format!(
            "spec.endpoint is `{}`, {}, to which no token is sent: create a connection to the \
             API's own name, or ask the operator's administrator to add the address to \
             ALLOWED_NETWORKS",
            endpoint.origin().ascii_serialization(),
            refused.why.as_str(),
        )))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, networks: &[&str]) -> (Url, Vec<Network>) {
        let networks = networks.iter().map(|text| text.parse().unwrap());
        (Url::parse(text).unwrap(), networks.collect())
    }

    fn check(text: &str, networks: &[&str]) -> Result<(), EndpointRefusal> {
        let (endpoint, networks) = parsed(text, networks);
        written(&endpoint, &reach(&endpoint, true, &networks, None))
    }

    #[test]
    fn a_metadata_address_is_refused_unless_the_settings_name_it() {
        for (text, network) in [
            ("http://169.254.169.254", "169.254.169.254"),
            ("https://[::ffff:169.254.169.254]:8443", "169.254.0.0/16"),
            ("https://2852039166/v4", "169.254.169.254/32"),
            ("https://[fe80::1]", "fe80::/10"),
            ("https://[fd00:ec2::254]", "fd00:ec2::254"),
        ] {
            let Err(EndpointRefusal::NotAllowed(Refusal(message))) = check(text, &[]) else {
                panic!("{text} is let through")
            };
            assert!(message.contains("ALLOWED_NETWORKS"), "{message}");
            assert_eq!(check(text, &[network]), Ok(()), "{text}");
        }
    }

    #[test]
    fn other_addresses_and_names_are_not_judged_by_what_is_written() {
        for text in [
            "https://10.0.0.1",
            "https://[::1]",
            "https://metadata.google.internal",
        ] {
            assert_eq!(check(text, &[]), Ok(()), "{text}");
        }
    }

    #[test]
    fn plain_http_is_kept_on_the_machine_unless_the_connection_is_insecure() {
        for (text, insecure, is_kept) in [
            ("http://localhost", false, true),
            ("http://localhost", true, false),
            ("https://api.apono.io", false, false),
        ] {
            let endpoint = Url::parse(text).unwrap();
            assert_eq!(
                reach(&endpoint, insecure, &[], None).only_loopback,
                is_kept,
                "{text}"
            );
        }
    }
}
