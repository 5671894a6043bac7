//! Names become addresses here, and only those that may be called are connected to: the check comes
//! after the answer of the name server, so a name that leads elsewhere the next time is seen.
//! Literal addresses never come here; `config.rs` checks them. The rules are in `network.rs`.

use std::io;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::network::{OutOfReach, Reach};

/// A resolver that keeps to the reach.
pub(crate) struct Guarded {
    reach: Reach,
    look_up: LookUp,
}

/// How a name is looked up. A function, so that tests need no name server.
pub(crate) type LookUp = fn(String) -> Looking;
pub(crate) type Looking =
    std::pin::Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// A name has no address that may be called.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unresolved {
    #[error("the endpoint's name leads to `{}`, {}", .0.address, .0.why.as_str())]
    OutOfReach(OutOfReach),
    #[error("the endpoint's name has no address")]
    Empty,
}

impl Guarded {
    /// Asks the system's resolver.
    pub(crate) fn new(reach: Reach) -> Self {
        Self::with(reach, system)
    }

    pub(crate) fn with(reach: Reach, look_up: LookUp) -> Self {
        Self { reach, look_up }
    }
}

fn system(name: String) -> Looking {
    Box::pin(async move {
        // The port is set by the caller.
        let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
        Ok(found.collect())
    })
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach.clone();
        let looking = (self.look_up)(name.as_str().to_owned());
        Box::pin(async move {
            let found = looking.await?;
            Ok(Box::new(within(&reach, found)?.into_iter()) as Addrs)
        })
    }
}

/// Those of the addresses that may be called.
fn within(reach: &Reach, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Unresolved> {
    let mut refusal = None;
    let mut kept = found;
    kept.retain(|address| match reach.check(address.ip()) {
        Ok(()) => true,
        Err(why) => {
            refusal = Some(why);
            false
        }
    });
    match (kept.is_empty(), refusal) {
        (false, _) => Ok(kept),
        (true, Some(why)) => Err(Unresolved::OutOfReach(why)),
        (true, None) => Err(Unresolved::Empty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within_default(found: &[&str]) -> Result<Vec<SocketAddr>, Unresolved> {
        let found = found.iter().map(|text| text.parse().unwrap()).collect();
        within(&Reach::default(), found)
    }

    #[test]
    fn of_several_addresses_those_within_reach_are_called() {
        let kept = within_default(&["169.254.169.254:0", "[fe80::1]:0", "10.0.0.1:0"]);
        assert_eq!(kept.unwrap(), ["10.0.0.1:0".parse().unwrap()]);
    }

    #[test]
    fn a_name_that_leads_only_out_of_reach_is_refused_with_where_it_leads() {
        let refused = within_default(&["[::ffff:169.254.169.254]:0"]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the endpoint's name leads to `::ffff:169.254.169.254`, a link-local address"
        );
        assert!(matches!(within_default(&[]), Err(Unresolved::Empty)));
    }
}
