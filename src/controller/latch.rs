//! Ending from here while the resource stays: the token `revoke`, and approval that does not come
//! in time. Pure.
//!
//! First the end is latched in the record, then everything that was asked up to then is taken back,
//! found now or later. The latch, not what caused it, is what is acted on: it outlives a crash, a
//! token that is removed and a time-out that is changed.
//!
//! # Why a renewal does not time out while there is access
//! A latch ends every attempt up to its own, so that of a renewal would take the access before it,
//! or what the same renewal got already, with it. To cancel a single request would need a latch of
//! its own, and what became of it would have to be told from a revoke by somebody else. Waiting
//! costs nothing: a request nobody approves gives no access, and once the last access has ended it
//! is cancelled at once.

use apono_client::State;
use jiff::Timestamp;

use super::{
    attempt::{End, Ledger},
    observed::Observed,
    picture::{Picture, attempt, is_live, state},
    plan::{Intent, has_ended, is_unread},
    renewal,
    rulings::{Ruling, rule},
    tokens::Token,
};
use crate::crd::{AccessRequest, DurationText, OwnedRequest, Reason};

/// The record by which everything is to end, if it is to end now.
pub fn due(
    resource: &AccessRequest,
    picture: &Picture,
    observed: &Observed,
    now: Timestamp,
) -> Option<Ledger> {
    if !picture.ledger.inherited.is_empty() {
        // The record of an earlier resource stays as long as it is being looked through.
        return None;
    }
    if let Ruling::Act(token) = rule(Token::Revoke, resource, picture, now) {
        return Some(end(picture, End::REVOKE, Some(token)));
    }
    // What was approved while nobody looked is not cancelled: the first sight wakes.
    let is_read = !picture.live().any(|one| is_unread(one, observed));
    let is_late = is_read && timeout_at(resource, picture).is_some_and(|at| at <= now);
    is_late.then(|| end(picture, End::TIMEOUT, None))
}

/// The record with the end of everything that is owned: where it was lost as a whole, what was found
/// belongs to attempts that it does not know.
fn end(picture: &Picture, why: &str, token: Option<String>) -> Ledger {
    let newest = picture.owned().map(attempt).max().unwrap_or_default();
    picture.ledger.with_end(newest, why, token)
}

/// When nobody will have approved in time. A renewal may take as long as any access of the resource
/// lasts: that is not given up for it.
pub fn timeout_at(resource: &AccessRequest, picture: &Picture) -> Option<Timestamp> {
    let timeout = resource.spec.pending_timeout.as_ref();
    let timeout = timeout.and_then(DurationText::to_duration)?;
    let waits = |request: &&OwnedRequest| {
        is_pending(request)
            && !picture.ledger.is_ended(attempt(request))
            && renewal::replaces(picture, request).is_none()
    };
    if picture.is_renewal() && picture.live().any(|one| !is_pending(one)) {
        return None;
    }
    let current = picture.current();
    current.into_iter().find(waits)?;
    Some(picture.ledger.began()? + timeout)
}

/// Whether a request is no access yet, and nobody has said that it will be.
fn is_pending(request: &OwnedRequest) -> bool {
    matches!(
        state(request),
        State::Pending | State::PendingMfa | State::Initializing
    )
}

/// What a latch ends and that has not ended yet, as read back.
pub fn standing<'a>(
    resource: &AccessRequest,
    picture: &'a Picture,
    observed: &Observed,
) -> Vec<&'a OwnedRequest> {
    let is_said = was_said(resource);
    let all = picture.owned();
    all.filter(|one| picture.ledger.is_ended(attempt(one)))
        .filter(|one| !has_ended(one, observed) && (is_live(one) || !is_said))
        .collect()
}

/// Whether the newest attempt is latched to end.
pub fn holds(picture: &Picture) -> bool {
    picture.ledger.number > 0 && picture.ledger.is_ended(picture.ledger.number)
}

/// With whose eyes the requests are read: under a latch what failed is in question as on deletion,
/// until the end was reported.
pub fn reading(resource: &AccessRequest, picture: &Picture, intent: Intent) -> Intent {
    if holds(picture) && !was_said(resource) {
        Intent::Release
    } else {
        intent
    }
}

/// Whether the end under the latch was reported: it is, once everything was read back as ended.
fn was_said(resource: &AccessRequest) -> bool {
    let status = resource.status.as_ref();
    let reason = status.and_then(|status| status.reason.as_deref());
    [Reason::Revoked, Reason::ApprovalTimedOut]
        .iter()
        .any(|said| Some(said.as_str()) == reason)
}
