//! Which entitlements are worth a read, and how they are shown. Pure.

use std::time::Duration;

use apono_client::{Entitlement, EntitlementState as Word, EntitlementStatus, State};
use jiff::Timestamp;

use super::{
    bounds,
    observed::Observed,
    picture::{Picture, state},
    plan::Intent,
};
use crate::crd::{
    AccessRequest, EntitlementResource, EntitlementState, EntitlementSummary, NamedRef,
    OwnedRequest, RemoteApi,
};

/// While some are still moving they are read again, at first this often.
const AGAIN: Duration = Duration::from_secs(5);
/// A read that failed is repeated this much later: access does not wait for its description.
const AFTER_FAILURE: Duration = Duration::from_secs(30);
/// What the remote will not show is asked for again this much later, and then less and less often.
const AFTER_REFUSAL: Duration = Duration::from_mins(10);
/// As many as the status may hold.
const MOST_SHOWN: usize = 100;

/// Whose entitlements to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// These, now.
    pub now: Vec<String>,
    /// Some, then.
    pub later: Option<Timestamp>,
}

/// Entitlements are read when a request becomes active or ends, and while any is still moving.
pub fn wanted(
    resource: &AccessRequest,
    picture: &Picture,
    observed: &Observed,
    intent: Intent,
    now: Timestamp,
) -> Wanted {
    let current = match intent {
        Intent::Hold => picture.current(),
        // What failed in an earlier attempt, or is a twin, has to be let go of as well.
        Intent::Release => picture.owned().collect(),
    };
    let hidden = |request: &OwnedRequest| {
        let asked = observed.memory.undescribed.get(&request.id);
        let again = asked.map(|at| *at + AFTER_REFUSAL.max(pause(&current, *at)));
        request.api == Some(RemoteApi::AdminV3) || again.is_some_and(|again| again > now)
    };
    let shown = |request: &&&OwnedRequest| matters(request, intent) && !hidden(request);
    let ids = || {
        current
            .iter()
            .filter(shown)
            .map(|request| request.id.clone())
            .collect::<Vec<_>>()
    };
    if ids().is_empty() || !observed.connection.is_callable() {
        return Wanted::default();
    }
    let due = due_at(resource, &current, observed, intent);
    match due {
        Some(at) if at <= now => Wanted {
            now: ids(),
            later: None,
        },
        later => Wanted {
            now: Vec::new(),
            later,
        },
    }
}

fn due_at(
    resource: &AccessRequest,
    current: &[&OwnedRequest],
    observed: &Observed,
    intent: Intent,
) -> Option<Timestamp> {
    let long_ago = Timestamp::UNIX_EPOCH;
    let failed = observed
        .memory
        .entitlements_failed
        .map(|at| at + AFTER_FAILURE);
    let stored = resource.status.as_ref();
    let changed = |request: &&OwnedRequest| {
        let known = stored.into_iter().flat_map(|status| &status.requests);
        let before = known
            .filter(|other| other.id == request.id)
            .find_map(|o| o.status.as_deref());
        before != request.status.as_deref() && matters(request, intent)
    };
    let undecided = intent == Intent::Release && current.iter().any(|one| matters(one, intent));
    if undecided || current.iter().copied().any(|request| changed(&request)) {
        return Some(failed.unwrap_or(long_ago));
    }
    if intent == Intent::Release || !current.iter().any(|one| state(one) == State::Active) {
        return None;
    }
    match stored.and_then(|status| status.entitlement_summary.as_ref()) {
        None => Some(failed.unwrap_or(long_ago)),
        Some(summary) if summary.pending > 0 => {
            let read = observed
                .memory
                .entitlements_read
                .map(|at| at + pause(current, at));
            Some(read.max(failed).unwrap_or(long_ago))
        }
        Some(_) => None,
    }
}

/// The longer the access stands, the less often what still moves is read again.
fn pause(current: &[&OwnedRequest], read: Timestamp) -> Duration {
    let since = current
        .iter()
        .filter_map(|one| one.active_at.as_ref())
        .map(|at| at.0)
        .max();
    let stood = since.and_then(|since| Duration::try_from(read.duration_since(since)).ok());
    AGAIN.max(stood.unwrap_or_default() / 2)
}

/// On deletion only a failed request is in question: whether it was ever access.
fn matters(request: &OwnedRequest, intent: Intent) -> bool {
    match (intent, state(request)) {
        (Intent::Hold, State::Active | State::Revoked | State::Failed)
        | (Intent::Release, State::Failed) => true,
        (Intent::Hold | Intent::Release, _) => false,
    }
}

/// The entitlements as the status shows them: sorted, and cut with a count that tells.
pub fn shown<'a>(
    all: impl Iterator<Item = &'a Entitlement>,
) -> (Vec<EntitlementState>, EntitlementSummary) {
    summed(all.map(entry).collect())
}

/// These, sorted, and cut with a count that tells.
pub fn summed(mut states: Vec<EntitlementState>) -> (Vec<EntitlementState>, EntitlementSummary) {
    let mut summary = EntitlementSummary::default();
    for entitlement in &states {
        summary.total += 1;
        let word = entitlement.status.as_deref().unwrap_or_default();
        match EntitlementStatus::from(word).state() {
            Word::Granted => summary.granted += 1,
            Word::Pending => summary.pending += 1,
            Word::Failure => summary.failed += 1,
            // A word nobody knows is shown, and not waited for.
            Word::Revoked | Word::Unknown => {}
        }
    }
    states.sort();
    summary.truncated = states.len() > MOST_SHOWN;
    states.truncate(MOST_SHOWN);
    (states, summary)
}

fn entry(entitlement: &Entitlement) -> EntitlementState {
    let resource = &entitlement.resource;
    EntitlementState {
        integration: Some(NamedRef {
            id: Some(bounds::word(&entitlement.integration.id)),
            name: Some(bounds::name(&entitlement.integration.name)),
        }),
        resource: Some(EntitlementResource {
            id: Some(bounds::word(&resource.id)),
            source_id: Some(bounds::name(&resource.source_id)),
            resource_type: Some(bounds::word(&resource.resource_type.id)),
            name: Some(bounds::name(&resource.name)),
        }),
        permission: Some(bounds::word(&entitlement.permission)),
        status: Some(bounds::word(entitlement.status.word())),
    }
}
