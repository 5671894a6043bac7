//! Which addresses a call may go to. Pure: it is asked about literal addresses when a client is
//! built, and about every resolved one when a connection is made (`resolver.rs`).
//!
//! Why not a list of good names: whoever may choose a name may point it anywhere, also after it was
//! looked at. On the addresses refused here, machines give credentials to whoever asks from inside.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use url::{Host, Url};

/// A network in CIDR notation, such as `169.254.0.0/16` or `fd00:ec2::254`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidNetwork {
    /// Before the slash there is no IP address.
    #[error("the part before the slash is not an IP address")]
    Address,
    /// After the slash there is no number, or too large a one.
    #[error("the prefix length is not a number from 0 to {longest}")]
    Prefix {
        /// The longest prefix of such an address.
        longest: u8,
    },
    /// It may have been meant as one address, or as the whole network: that is not guessed.
    #[error("the address has bits beyond its prefix length")]
    HostBits,
}

/// Where calls may go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Link-local and metadata addresses that may be called all the same. Empty by default.
    pub allowed: Vec<Network>,
    /// Nothing but this machine may be called: for plain `http`, which shows the token to whoever
    /// listens. A name that leads elsewhere is refused, `localhost` too.
    pub only_loopback: bool,
    /// The HTTP proxy that calls go through, those to this machine apart. It resolves the names of
    /// endpoints itself, so that only its own name is judged here. Absent: none, whatever the environment says.
    pub proxy: Option<Url>,
}

/// An address that may not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` is {}", .why.as_str())]
pub struct OutOfReach {
    /// The address, as it was written or resolved.
    pub address: IpAddr,
    /// What is wrong with it.
    pub why: Forbidden,
}

/// Why an address may not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forbidden {
    /// It exists on one cable only, and there machines find their metadata.
    LinkLocal,
    /// A cloud's metadata service outside the link-local networks.
    Metadata,
    /// It is on another machine, and the call would be plain `http`.
    BeyondLoopback,
}

impl Forbidden {
    /// What such an address is, as the end of "the address is".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "the address of a cloud's metadata service",
            Self::BeyondLoopback => "not on this machine, and the call would be plain http",
        }
    }
}

/// Metadata services that are not link-local: AWS, Google (IPv6), Alibaba, Azure, Oracle's older.
const METADATA: [IpAddr; 5] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

impl Reach {
    /// The proxy for calls to this address.
    pub(crate) fn proxy_for(&self, called: &Url) -> Option<Url> {
        let is_here = match called.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => true,
        };
        if is_here || self.only_loopback {
            return None;
        }
        self.proxy.clone()
    }

    /// Whether this address may be called.
    pub fn check(&self, address: IpAddr) -> Result<(), OutOfReach> {
        let refuse = |why| Err(OutOfReach { address, why });
        let ways = meanings(address);
        if self.only_loopback && !address.to_canonical().is_loopback() {
            return refuse(Forbidden::BeyondLoopback);
        }
        let Some(why) = ways.clone().find_map(forbidden) else {
            return Ok(());
        };
        let is_allowed = |way| self.allowed.iter().any(|network| network.contains(way));
        // What is forbidden must be allowed itself: not the tunnel, not the way to it.
        if ways.filter(|way| forbidden(*way).is_some()).all(is_allowed) {
            return Ok(());
        }
        refuse(why)
    }
}

fn forbidden(address: IpAddr) -> Option<Forbidden> {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        // fec0::/10, site-local, is what fe80::/10 was for whole sites: obsolete, never public.
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.segments()[0] & 0xffc0 == 0xfec0
        }
    };
    if is_link_local {
        Some(Forbidden::LinkLocal)
    } else if METADATA.contains(&address) {
        Some(Forbidden::Metadata)
    } else {
        None
    }
}

/// The address itself, and the IPv4 address that routers or kernels take out of it.
fn meanings(address: IpAddr) -> impl Iterator<Item = IpAddr> + Clone {
    let embedded = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => embedded(address).map(IpAddr::V4),
    };
    [Some(address), embedded].into_iter().flatten()
}

fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // Unspecified and loopback are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Compatible (obsolete), mapped, translated (RFC 2765), NAT64 (RFC 6052, RFC 8215), 6to4
        // (RFC 3056).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0 | 1, _, _, _, high, low]
        | [0x2002, high, low, ..] => of(high, low),
        _ => None,
    }
}

impl Network {
    /// Whether the address is in it. An IPv4 address in IPv6 clothes counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.address.is_ipv4() == address.is_ipv4()
            && network_bits(self.address, self.prefix) == network_bits(address, self.prefix)
    }
}

/// The longest prefix of an address of this family.
fn longest(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The bits that the prefix keeps.
fn network_bits(address: IpAddr, prefix: u8) -> u128 {
    let bits = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let dropped = u32::from(longest(address).saturating_sub(prefix));
    bits.checked_shr(dropped).unwrap_or(0)
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| InvalidNetwork::Address)?;
        let longest_written = longest(written);
        let refusal = InvalidNetwork::Prefix {
            longest: longest_written,
        };
        let prefix = match prefix {
            None => longest_written,
            // No sign: `parse` would take one.
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map_err(|_| refusal)?
            }
            Some(_) => return Err(refusal),
        };
        if prefix > longest_written {
            return Err(refusal);
        }
        let dropped = u32::from(longest_written - prefix);
        let kept = network_bits(written, prefix)
            .checked_shl(dropped)
            .unwrap_or(0);
        if kept != network_bits(written, longest_written) {
            return Err(InvalidNetwork::HostBits);
        }
        // A mapped network of 96 bits or more is one of IPv4; a larger one is more than that.
        let address = written.to_canonical();
        match prefix.checked_sub(longest_written - longest(address)) {
            Some(prefix) => Ok(Self { address, prefix }),
            None => Ok(Self {
                address: written,
                prefix,
            }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests;
