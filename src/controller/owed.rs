//! When a deletion that cannot be finished is handed over, and what is handed over. Pure.
//!
//! | situation | owed |
//! | --- | --- |
//! | the connection is gone, or the token refused | at once: nothing will come of waiting here |
//! | the finalizer was removed while the resource is being deleted | at once: it may go any moment |
//! | anything else: a revoke that fails, a remote that is down, a request nobody finds, a namespace that is ending | when the connection's `revocationDeadline` is over |
//!
//! The deadline counts from the deletion. A process that has only just started still has a fair try
//! first, however long ago the deletion was.
//!
//! It does not write the debt, and does not remove the finalizer.

use std::time::Duration;

use apono_client::State;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{
    attempt::{Entry, Ledger},
    bounds,
    failed::was_never_access,
    fold::likely_api,
    observed::{ConnectionSight, Observed, is_definite},
    picture::{Picture, is_live, is_missing, state},
    plan::has_ended,
};
use crate::crd::{
    AccessRequest, FINALIZER, MOST_MARKS, MOST_OWED, OwedMark, OwedReason, OwedRequest,
    OwnedRequest, PostOutcome, RemoteApi,
};

/// So long a process that has just begun with a deletion tries before it hands over.
const FAIR_TRY: Duration = Duration::from_secs(30);
/// So long after it was made, what a lost answer made is looked for.
const SEARCHED_FOR: Duration = Duration::from_hours(24);

/// What is left to be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debt {
    /// Why it is handed over.
    pub reason: OwedReason,
    /// The requests that have not ended.
    pub requests: Vec<OwedRequest>,
    /// The POSTs of which it is not known what they made.
    pub marks: Vec<OwedMark>,
}

/// From when on what is left is owed. Absent where the resource is not being deleted.
pub fn owed_at(resource: &AccessRequest, observed: &Observed, now: Timestamp) -> Option<Timestamp> {
    let deleted_at = resource.metadata.deletion_timestamp.as_ref()?.0;
    let is_hopeless = matches!(
        observed.connection,
        ConnectionSight::Missing { .. } | ConnectionSight::Unauthorized { .. }
    );
    if is_hopeless || !is_held(resource) {
        return Some(now);
    }
    let deadline = observed.revocation_deadline;
    let begun = observed.memory.releasing_since.unwrap_or(now);
    let fair = begun.checked_add(FAIR_TRY.min(deadline)).ok()?;
    Some(deleted_at.checked_add(deadline).ok()?.max(fair))
}

/// What is left.
pub fn debt(resource: &AccessRequest, picture: &Picture, observed: &Observed) -> Debt {
    let standing: Vec<_> = picture
        .owned()
        .filter(|one| !has_ended(one, observed))
        .collect();
    let requests = standing
        .iter()
        // What cannot be stored keeps its POST open, and is found by its mark.
        .filter(|one| bounds::is_storable(&one.id))
        .take(MOST_OWED)
        .map(|one| owed(resource, one))
        .collect();
    let marks = picture
        .searching()
        .take(MOST_MARKS)
        .map(|entry| mark(resource, entry, observed));
    Debt {
        reason: reason(resource, &standing, observed),
        requests,
        marks: marks.collect(),
    }
}

/// Whether something of the resource may be live, so that its connection has to stay: as far as its
/// own record tells.
pub fn needs_connection(resource: &AccessRequest) -> bool {
    if resource.metadata.deletion_timestamp.is_some() && !is_held(resource) {
        return false;
    }
    let ledger = Ledger::of(resource);
    let mut posts = ledger.entries.iter().chain(&ledger.inherited);
    let requests = resource.status.as_ref().map(|status| &status.requests);
    let mut requests = requests.into_iter().flatten();
    posts.any(|entry| entry.outcome == PostOutcome::Open)
        || requests.any(|one| is_live(one) || state(one) == State::Failed)
}

fn is_held(resource: &AccessRequest) -> bool {
    resource.finalizers().iter().any(|name| name == FINALIZER)
}

fn owed(resource: &AccessRequest, request: &OwnedRequest) -> OwedRequest {
    let was_access = request.active_at.is_some() || request.revoking_seen == Some(true);
    OwedRequest {
        id: request.id.clone(),
        api: Some(request.api.unwrap_or(likely_api(resource))),
        requestor_id: request.requestor_id.clone(),
        was_access: was_access.then_some(true),
    }
}

fn mark(resource: &AccessRequest, entry: &Entry, observed: &Observed) -> OwedMark {
    let until = entry.time.checked_add(SEARCHED_FOR);
    let grantee = resource.spec.grantee.as_deref().map(bounds::word);
    OwedMark {
        nonce: entry.nonce.to_string(),
        search_until: Some(Time(until.unwrap_or(Timestamp::MAX))),
        api: Some(likely_api(resource)),
        user: grantee.filter(|_| observed.asks_admin),
        asker_id: entry.user.clone(),
    }
}

/// The plainest of the reasons.
fn reason(resource: &AccessRequest, standing: &[&OwnedRequest], observed: &Observed) -> OwedReason {
    match &observed.connection {
        ConnectionSight::Missing { .. } => return OwedReason::ConnectionNotFound,
        ConnectionSight::Unauthorized { .. } => return OwedReason::Unauthorized,
        _ if !is_held(resource) => return OwedReason::FinalizerRemoved,
        ConnectionSight::NotReady {
            unreachable: true, ..
        } => return OwedReason::ApiUnavailable,
        ConnectionSight::NotReady {
            callable: false, ..
        }
        | ConnectionSight::Verifying => return OwedReason::ConnectionNotReady,
        ConnectionSight::Deleting { .. }
        | ConnectionSight::NotReady { .. }
        | ConnectionSight::NotAllowed { .. }
        | ConnectionSight::Undecided { .. }
        | ConnectionSight::Usable { .. } => {}
    }
    let any = |is: &dyn Fn(&OwnedRequest) -> bool| standing.iter().any(|one| is(one));
    let refused = |one: &OwnedRequest| {
        let tried = observed.memory.revokes.get(&one.id);
        let refusal = tried.and_then(|tried| tried.refusal.as_ref());
        refusal.map(|refusal| is_definite(refusal.status))
    };
    let is_pending = |one: &OwnedRequest| {
        matches!(
            state(one),
            State::Initializing | State::Pending | State::PendingMfa
        )
    };
    if any(&|one| is_missing(one, observed)) {
        OwedReason::RemoteNotFound
    } else if any(&|one| state(one) == State::Failed && !was_never_access(one, observed)) {
        OwedReason::RevokeFailed
    } else if any(&|one| is_pending(one) && refused(one) == Some(true)) {
        OwedReason::CancelRefused
    } else if any(&|one| refused(one) == Some(true)) {
        OwedReason::RevokeFailed
    } else if observed.view.health.failing_since.is_some() || any(&|one| refused(one).is_some()) {
        OwedReason::ApiUnavailable
    } else if standing.is_empty() {
        OwedReason::Recovering
    } else {
        OwedReason::Revoking
    }
}

/// The API that says whether a request exists, where nothing else is known.
pub fn route(request: &OwedRequest) -> RemoteApi {
    request.api.unwrap_or_default()
}

#[cfg(test)]
mod tests;
