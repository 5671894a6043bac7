//! What is particular to `access.integration`, which is asked for and followed through the admin
//! API. Pure.
//!
//! Its requests have no dates and no entitlements: the end is reckoned from when the access was
//! first seen, and what is held is told from what was asked for. Its word for the end of access
//! covers time-out and revoke alike.

use std::time::Duration;

use apono_client::{AccessRequest as Remote, AdminTarget, State};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    attempt::Ledger,
    bounds, entitlements,
    picture::{state, whole},
    target::admin_target,
};
use crate::{
    crd::{
        AccessGroup, AccessRequest, AccessRequestStatus, DurationText, EntitlementResource,
        EntitlementState, Identity, IntegrationTarget, NamedRef, OwnedRequest, RemoteApi,
    },
    poller::Administered,
};

/// A reckoned end may be so much too late: the access was seen some time after it was granted.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(1);
/// Of a short access, the tolerance is no more than this part.
const TOLERANCE_PART: i32 = 4;

/// Whether the admin API is asked.
pub fn is_asked(resource: &AccessRequest) -> bool {
    resource.spec.access.integration.is_some()
}

/// What the poller has to know to find this request.
pub fn administered(
    resource: &AccessRequest,
    request: Option<&OwnedRequest>,
    ledger: &Ledger,
) -> Option<Administered> {
    if !is_asked(resource) {
        return None;
    }
    let asked_at = request.and_then(|request| asked_at(request, ledger));
    let ends_at = request.and_then(|request| request.ends_at.as_ref());
    Some(Administered {
        user: resource.spec.grantee.clone().unwrap_or_default(),
        asked_at,
        ends_at: ends_at.map(|end| end.0),
    })
}

fn asked_at(request: &OwnedRequest, ledger: &Ledger) -> Option<Timestamp> {
    let entry = ledger.entry(request.nonce.as_deref()?);
    entry
        .map(|entry| entry.time)
        .or(request.active_at.as_ref().map(|at| at.0))
}

/// Reckons the end of each request from when its access was first seen; of one that ended unseen,
/// from when it was asked for.
pub fn reckon_ends(requests: &mut [OwnedRequest], ledger: &Ledger, resource: &AccessRequest) {
    let duration = resource.spec.duration.as_ref();
    let Some(duration) = duration.and_then(DurationText::to_duration) else {
        return;
    };
    for request in requests {
        if request.api != Some(RemoteApi::AdminV3) {
            continue;
        }
        let seen = request.active_at.as_ref().map(|at| at.0);
        let unseen = || asked_at(request, ledger).filter(|_| state(request) == State::Revoked);
        if let Some(end) = seen.or_else(unseen).and_then(|from| later(from, duration)) {
            request.ends_at = Some(whole(end));
            request.ends_at_estimated = Some(true);
        }
    }
}

fn later(from: Timestamp, duration: Duration) -> Option<Timestamp> {
    from.checked_add(duration).ok()
}

/// Whether access that is gone, and that nobody here took back, has ended as planned. Where no end
/// can be reckoned, none was planned here, and any end is one that the remote planned.
pub fn has_ended_as_planned(request: &OwnedRequest, now: Timestamp) -> bool {
    let Some(Time(end)) = request.ends_at else {
        return request.api == Some(RemoteApi::AdminV3);
    };
    if request.ends_at_estimated != Some(true) {
        return end <= now;
    }
    let length = request
        .active_at
        .as_ref()
        .map(|at| end.duration_since(at.0));
    let part = length.map_or(TOLERANCE, |length| length / TOLERANCE_PART);
    end <= now + TOLERANCE.min(part)
}

/// Describes the access from what was asked for and from the state of each request.
pub fn describe(
    status: &mut AccessRequestStatus,
    resource: &AccessRequest,
    requests: &[(&OwnedRequest, &Remote)],
) {
    let Some(asked) = &resource.spec.access.integration else {
        return;
    };
    let resolved = resource.status.as_ref();
    let resolved = resolved.and_then(|status| status.resolved.as_ref());
    let wanted = admin_target(resource, resolved).unwrap_or_default();
    let mut all = Vec::new();
    for (request, remote) in requests {
        if let Some(target) = &remote.target {
            all.extend(held(request, target, &wanted, asked));
        }
        if let Some(grantee) = &remote.grantee {
            status.grantee = Some(user(resource, &grantee.id));
        }
    }
    if all.is_empty() {
        return;
    }
    let mut groups: Vec<_> = all.iter().map(|one| one.integration.clone()).collect();
    groups.sort();
    groups.dedup();
    status.access_groups = groups
        .into_iter()
        .map(|integration| AccessGroup {
            integration,
            resource_types: vec![asked.resource_type.clone()],
        })
        .collect();
    let (shown, summary) = entitlements::summed(all);
    status.entitlements = shown;
    status.entitlement_summary = Some(summary);
}

/// Whose access it is: the remote names the id, the resource may have named the address.
fn user(resource: &AccessRequest, id: &str) -> Identity {
    let written = resource.spec.grantee.clone();
    Identity {
        id: Some(bounds::word(id)),
        source_id: written.filter(|written| written.contains('@')),
    }
}

/// Every permission on every resource, in the word that fits where the request stands.
fn held(
    request: &OwnedRequest,
    target: &AdminTarget,
    wanted: &AdminTarget,
    asked: &IntegrationTarget,
) -> Vec<EntitlementState> {
    let word = match state(request) {
        State::Initializing | State::Pending | State::PendingMfa | State::Granting => "Pending",
        // Until it is gone, it is there.
        State::Active | State::Revoking => "Granted",
        State::Revoked | State::Rejected => "Revoked",
        State::Failed => "Failure",
        State::Unknown => request.status.as_deref().unwrap_or("Unknown"),
    };
    let named = |id: &String, written: &String| (id != written).then(|| bounds::name(written));
    let is_wanted = target.integration_id == wanted.integration_id;
    let integration = NamedRef {
        id: Some(bounds::word(&target.integration_id)),
        name: named(&target.integration_id, &asked.integration).filter(|_| is_wanted),
    };
    let mut all = Vec::new();
    for id in &target.resource_ids {
        let place = wanted.resource_ids.iter().position(|known| known == id);
        let written = place.and_then(|place| asked.resources.get(place));
        let resource = EntitlementResource {
            id: Some(bounds::word(id)),
            source_id: None,
            resource_type: Some(asked.resource_type.clone()),
            name: written.and_then(|written| named(id, written)),
        };
        all.extend(
            target
                .permissions
                .iter()
                .map(|permission| EntitlementState {
                    integration: Some(integration.clone()),
                    resource: Some(resource.clone()),
                    permission: Some(bounds::word(permission)),
                    status: Some(bounds::word(word)),
                }),
        );
    }
    all
}

#[cfg(test)]
mod tests;
