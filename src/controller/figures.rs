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
        let waited = facts.waiting_since.map(|since| now.duration_since(since));
        // A clock that was set back makes it none.
        let waited = waited.map(|waited| Duration::try_from(waited).unwrap_or_default());
        figures.waiting.extend(waited);
        if let (true, Ok(Unpacked::Readable(resource))) = (is_each_wanted, one.unpack()) {
            figures.each.extend(each(&resource));
        }
    }
    figures
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
