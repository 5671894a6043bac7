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
        // Dear: nobody is unpacked for a scrape that does not tell of each.
        if is_each_wanted && let Ok(Unpacked::Readable(resource)) = one.unpack() {
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
    use kube::runtime::{reflector, watcher};

    use super::{super::stored::Stored, *};
    use crate::crd::Phase;

    /// A scrape that tells of thousands one by one costs as much as a pass over each.
    #[test]
    fn nobody_is_unpacked_unless_each_is_wanted() {
        let (store, mut writer) = reflector::store();
        writer.apply_watcher_event(&watcher::Event::Init);
        for number in 0..100 {
            let mut resource = AccessRequest::default();
            resource.metadata.name = Some(number.to_string());
            resource.status.get_or_insert_default().phase = Some(Phase::Active);
            writer.apply_watcher_event(&watcher::Event::InitApply(Stored::pack(resource)));
        }
        writer.apply_watcher_event(&watcher::Event::InitDone);
        let stores = Stores::new(vec![store]);
        let shards = Shards::all();
        let look =
            |is_each_wanted| figures(&stores, &shards, Timestamp::UNIX_EPOCH, is_each_wanted);
        let mut told = 0;
        let all = allocation_counter::measure(|| told = look(true).each.len());
        assert_eq!(told, 100);
        let few = allocation_counter::measure(|| told = look(false).each.len());
        assert_eq!(told, 0);
        assert!(few.bytes_total * 10 < all.bytes_total, "{few:?}, {all:?}");
    }

    #[test]
    fn waiting_is_never_less_than_nothing() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(waited(at(40), at(100)), Duration::from_mins(1));
        assert_eq!(waited(at(200), at(100)), Duration::ZERO);
    }
}
