//! What the cached access requests look like to the metrics. It reads what is stored and decides
//! nothing.

use std::time::Duration;

use jiff::Timestamp;
use kube::{ResourceExt as _, runtime::reflector::Store};

use super::watch::{Stores, snapshot};
use crate::{
    crd::{AccessRequest, Phase},
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
        let Ok(resource) = &one.0 else { continue };
        if !shards.has(&super::observe::connection_key(resource)) {
            continue;
        }
        figures.waiting.extend(waited(resource, now));
        if is_each_wanted {
            figures.each.extend(each(resource));
        }
    }
    figures
}

/// How long it has waited for people, where it does: since it was asked for.
fn waited(resource: &AccessRequest, now: Timestamp) -> Option<Duration> {
    let status = resource.status.as_ref()?;
    if !matches!(status.phase?, Phase::Pending | Phase::PendingMfa) {
        return None;
    }
    let posts = status.attempt.iter().flat_map(|attempt| &attempt.posts);
    let asked = posts
        .filter_map(|post| post.time.as_ref())
        .map(|time| time.0);
    let created = resource.metadata.creation_timestamp.as_ref().map(|at| at.0);
    let since = asked.max().or(created)?;
    Some(Duration::try_from(now.duration_since(since)).unwrap_or_default())
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
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::crd::{AccessRequestStatus, AttemptStatus, PostStatus};

    fn pending_since(second: i64) -> AccessRequest {
        let time = Timestamp::from_second(second).ok().map(Time);
        let post = PostStatus {
            time,
            ..PostStatus::default()
        };
        let attempt = AttemptStatus {
            posts: vec![post],
            ..AttemptStatus::default()
        };
        AccessRequest {
            status: Some(AccessRequestStatus {
                phase: Some(Phase::Pending),
                attempt: Some(attempt),
                ..AccessRequestStatus::default()
            }),
            ..AccessRequest::default()
        }
    }

    #[test]
    fn waiting_counts_from_when_it_was_asked_for_and_only_for_people() {
        let now = Timestamp::from_second(100).unwrap();
        let mut resource = pending_since(40);
        assert_eq!(waited(&resource, now), Some(Duration::from_mins(1)));
        assert_eq!(
            waited(&pending_since(200), now),
            Some(Duration::ZERO),
            "a clock that was set back"
        );
        resource.status.as_mut().unwrap().phase = Some(Phase::Granting);
        assert_eq!(waited(&resource, now), None);
    }
}
