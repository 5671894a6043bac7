//! What the cached access requests look like to the metrics. It reads what is stored and decides
//! nothing.

use std::time::Duration;

use jiff::Timestamp;
use kube::{ResourceExt as _, runtime::reflector::Store};

use super::{
    stored::Unpacked,
    watch::{Stores, snapshot},
};
use crate::{
    crd::AccessRequest,
    metrics::{EachRequest, RequestFigures},
    shards::Shards,
};

/// How long each of this replica's that waits for people has waited; and each of all of them, where
/// that is wanted.
pub fn figures(
    stores: &Stores,
    shards: &Shards,
    now: Timestamp,
    is_each_wanted: bool,
) -> RequestFigures {
    let mut figures = RequestFigures::default();
    for one in snapshot(stores).iter().flat_map(Store::state) {
        let own = one.facts().filter(|facts| shards.has(&facts.connection));
        let Some(facts) = own else { continue };
        let waited = facts.waiting_since.map(|since| waited(since, now));
        figures.waiting.extend(waited);
        if let (true, Ok(Unpacked::Readable(resource))) = (is_each_wanted, one.unpack()) {
            figures.each.extend(each(&resource));
        }
    }
    figures
}

/// Nothing by a clock that was set back.
fn waited(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

fn each(resource: &AccessRequest) -> Option<EachRequest> {
    let status = resource.status.as_ref()?;
    Some(EachRequest {
        namespace: resource.namespace().unwrap_or_default(),
        name: resource.name_any(),
        phase: status.phase?,
        ends_at: status.ends_at.as_ref().map(|end| end.0),
        target: status.target.clone().unwrap_or_default(),
        grantee: resource.spec.grantee.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_never_less_than_nothing() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(waited(at(40), at(100)), Duration::from_mins(1));
        assert_eq!(waited(at(200), at(100)), Duration::ZERO);
    }
}
