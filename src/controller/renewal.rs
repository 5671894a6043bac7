//! Renewal: asking again before the end. Which request is due when, and which one replaces which.
//! Pure.
//!
//! Every id is renewed once: its renewal is the question of the attempt after its own that names
//! it. The old request stays until it ends by itself; it counts until the new one has been active.

use std::time::Duration;

use apono_client::State;
use jiff::{SignedDuration, Timestamp};

use super::{
    attempt::{Question, With},
    picture::{Picture, attempt, state},
    rounds::{Fate, fate},
};
use crate::crd::{AccessRequest, OwnedRequest};

/// A request that is to be renewed, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: String,
    /// The attempt its renewal belongs to.
    pub n: i64,
    /// From when on it is renewed.
    pub at: Timestamp,
}

/// The requests that are to be renewed once: live ones whose end is known and that nothing was
/// asked to replace yet.
pub fn candidates(resource: &AccessRequest, picture: &Picture) -> Vec<Candidate> {
    let Some(renewal) = &resource.spec.renewal else {
        return Vec::new();
    };
    let Some(before) = renewal.before.to_duration() else {
        return Vec::new();
    };
    let of = |request: &OwnedRequest| {
        let end = request.ends_at.as_ref()?.0;
        Some(Candidate {
            id: request.id.clone(),
            n: attempt(request).saturating_add(1),
            at: start(request, end, before),
        })
    };
    replaceable(picture).filter_map(of).collect()
}

/// Live requests that nothing was asked to replace yet.
fn replaceable(picture: &Picture) -> impl Iterator<Item = &OwnedRequest> {
    let is_asked = |request: &OwnedRequest| {
        let n = attempt(request);
        let later = picture.ledger.entries.iter();
        let later = later.filter(|entry| entry.n > n);
        fate(picture, n.saturating_add(1), &request.id) != Fate::Unasked
            || later.clone().any(|entry| entry.of.is_empty())
    };
    picture.requests.iter().filter(move |request| {
        state(request) == State::Active
            && !picture.ledger.is_ended(attempt(request))
            && !picture.is_twin(request)
            && !is_asked(request)
    })
}

/// When the renewal of a request starts: `before` its end. Access that never lasts as long as that
/// is renewed at half its time: otherwise each renewal would be due at once.
fn start(request: &OwnedRequest, end: Timestamp, before: Duration) -> Timestamp {
    let since = request.active_at.as_ref().map_or(end, |at| at.0);
    let life = end.duration_since(since).max(SignedDuration::ZERO);
    let before = SignedDuration::try_from(before).unwrap_or(SignedDuration::MAX);
    let before = if before < life { before } else { life / 2 };
    end.checked_sub(before).unwrap_or(Timestamp::MIN)
}

/// Whether the round of a candidate may be begun, or has been.
pub fn has_room(resource: &AccessRequest, picture: &Picture, n: i64) -> bool {
    let begun = picture.ledger.entries.iter().any(|entry| entry.n == n);
    let most = resource.spec.renewal.as_ref();
    let most = most.map_or(0, |renewal| i64::from(renewal.max_renewals));
    begun || picture.ledger.renewals < most
}

/// The renewal that comes next, and when.
pub fn question(
    resource: &AccessRequest,
    picture: &Picture,
    now: Timestamp,
) -> Option<(Timestamp, Question)> {
    let all = candidates(resource, picture).into_iter();
    let mut all: Vec<_> = all
        .filter(|one| has_room(resource, picture, one.n))
        .collect();
    all.sort_by_key(|one| one.at.max(now));
    let Candidate { id, n, at } = all.into_iter().next()?;
    let begun = picture.ledger.entries.iter().any(|entry| entry.n == n);
    let with = if begun { With::Nothing } else { With::Renewal };
    Some((at, Question { n, of: id, with }))
}

/// How many requests round `n` has still to be asked for.
pub fn waiting(resource: &AccessRequest, picture: &Picture, n: i64) -> usize {
    let all = candidates(resource, picture);
    all.iter().filter(|one| one.n == n).count()
}

/// The live request that this one is to replace and has not replaced yet.
pub fn replaces<'a>(picture: &'a Picture, request: &OwnedRequest) -> Option<&'a OwnedRequest> {
    if request.active_at.is_some() {
        return None;
    }
    let entry = picture.entry(request)?;
    picture.requests.iter().find(|old| {
        attempt(old) < entry.n
            && state(old) == State::Active
            && (entry.of.is_empty() || entry.of == old.id)
    })
}

/// Whether a request that has been active was asked to replace this one.
pub fn is_replaced(picture: &Picture, old: &OwnedRequest) -> bool {
    picture.requests.iter().any(|request| {
        let entry = picture.entry(request);
        request.active_at.is_some()
            && attempt(request) > attempt(old)
            && entry.is_some_and(|entry| entry.of.is_empty() || entry.of == old.id)
    })
}
