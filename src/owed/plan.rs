//! What to do next about one debt, and what counts as ended. Pure.
//!
//! The rules of what has ended are those of deletion (`controller/plan.rs`, `controller/failed.rs`):
//!
//! | read back | has ended |
//! | --- | --- |
//! | Rejected, Revoked | yes |
//! | Failed | if it was never access, and nothing of it is granted; where that is not shown, if a revoke was refused and it is read back as Failed since, or accepted and it is so 15 s later |
//! | 404 on every route | if said three times over 30 s, with the token of the user who made it |
//! | anything else | no |
//!
//! A request is read before it is revoked, and read back after. What lost answers made is looked for
//! until a whole look began after the time the mark says.

use std::time::Duration;

use apono_client::State;
use jiff::Timestamp;

use super::progress::{Known, Progress, Tried};
use crate::{
    controller::{bounds, failed::TIME_TO_ACT, observed::doubled},
    crd::{MOST_OWED, OwedMark, OwedRequest, OwedRevocationSpec, RemoteApi},
};

/// How often, and over how long, every route has to say 404.
const MISSING_TIMES: u32 = 3;
const MISSING_SPAN_SECONDS: i64 = 30;
/// Between two reads that say 404.
const MISSING_AGAIN: Duration = Duration::from_secs(11);
/// What was revoked is read back so soon, then later and later.
const FIRST_READ: Duration = Duration::from_millis(500);
const LAST_READ: Duration = Duration::from_mins(1);
/// What nobody finds any more is looked at so often.
const HOPELESS_READ: Duration = Duration::from_mins(5);
/// After a refused revoke, and after an accepted one that changed nothing.
const REFUSED: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(5));
const ACCEPTED: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(10));
/// The longest `spec.correlation.settle` that a connection may have.
const LONGEST_SETTLE: Duration = Duration::from_mins(10);
/// Between two looks for what lost answers made.
const SEARCHES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(5));
/// After a pass that failed for want of the API.
const FAILURES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(2));
/// Who the token is is asked again after this long.
const IDENTITY: Duration = Duration::from_mins(1);

/// The one thing to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Write what was learned into the debt: it must not be lost.
    Store,
    /// Read a request.
    Read(String),
    /// Read what a failed request holds.
    Describe(String),
    /// Find out whose token it is.
    Identify,
    /// Take a request back.
    Revoke {
        /// Its id.
        id: String,
        /// Whether by the bulk revoke.
        together: bool,
    },
    /// Look for what lost answers made.
    Search,
    /// Everything has ended.
    Pay,
    /// Nothing before then.
    Wait(Timestamp),
}

/// Decides what is next.
pub(super) fn next(spec: &OwedRevocationSpec, progress: &Progress, now: Timestamp) -> Step {
    if requests(spec, progress) != spec.requests {
        return Step::Store;
    }
    if let Some(at) = progress.failed_at.filter(|_| progress.failures > 0) {
        let (first, cap) = FAILURES;
        let at = later(at, doubled(first, progress.failures, cap));
        if at > now {
            return Step::Wait(at);
        }
    }
    let mut wakes = Vec::new();
    for (id, known) in &progress.ids {
        match one(id, known, progress) {
            Next::Ended => {}
            Next::At(at, step) if at <= now => return step,
            Next::At(at, _) => wakes.push(at),
        }
    }
    if let Some(at) = search_at(spec, progress) {
        if at <= now {
            return Step::Search;
        }
        wakes.push(at);
    }
    if let Some(at) = identify_at(spec, progress) {
        if at <= now {
            return Step::Identify;
        }
        wakes.push(at);
    }
    match wakes.into_iter().min() {
        Some(at) => Step::Wait(at),
        None => Step::Pay,
    }
}

/// Whether a request has ended, as read back.
pub(super) fn has_ended(known: &Known, progress: &Progress) -> bool {
    if known.missing.is_some() {
        let user = progress.identity.as_ref();
        return is_gone(known) && user.is_some() && known.request.requestor_id.as_ref() == user;
    }
    if known.read_at.is_none() {
        return false;
    }
    match known.state() {
        State::Rejected | State::Revoked => true,
        State::Failed => was_never_access(known),
        State::Initializing
        | State::Pending
        | State::PendingMfa
        | State::Granting
        | State::Active
        | State::Revoking
        | State::Unknown => false,
    }
}

/// The requests as the debt should name them: with what was found, and what was seen of them.
pub(super) fn requests(spec: &OwedRevocationSpec, progress: &Progress) -> Vec<OwedRequest> {
    let learned = |request: &OwedRequest| {
        let known = progress.ids.get(&request.id);
        known.map_or_else(|| request.clone(), |known| known.request.clone())
    };
    let mut all: Vec<_> = spec.requests.iter().map(learned).collect();
    let is_new = |one: &&Known| !spec.requests.iter().any(|old| old.id == one.request.id);
    let room = MOST_OWED.saturating_sub(all.len());
    let found = progress.ids.values().filter(is_new).take(room);
    all.extend(found.map(|known| known.request.clone()));
    all
}

enum Next {
    Ended,
    At(Timestamp, Step),
}

fn one(id: &str, known: &Known, progress: &Progress) -> Next {
    let read = || Step::Read(id.to_owned());
    // What cannot be read is taken back all the same, and read again later and later.
    let readable_at = known.unreadable.map_or(Timestamp::MIN, |failed| {
        later(
            failed.last,
            doubled(FIRST_READ, failed.times, HOPELESS_READ),
        )
    });
    let Some(read_at) = known.read_at else {
        let revoke_at = known.tried.as_ref().map_or(Timestamp::MIN, due_again);
        if known.unreadable.is_some() && revoke_at < readable_at {
            let together = is_admin(known) || known.is_declined;
            let id = id.to_owned();
            return Next::At(revoke_at, Step::Revoke { id, together });
        }
        return Next::At(readable_at, read());
    };
    if has_ended(known, progress) {
        return Next::Ended;
    }
    if known.missing.is_some() {
        return missing(known, progress, read_at, read());
    }
    let state = known.state();
    let describes = state == State::Failed
        && known.granted.is_none()
        && !is_undescribed(known)
        && known.request.was_access != Some(true);
    if describes {
        return Next::At(readable_at, Step::Describe(id.to_owned()));
    }
    let again = later(read_at, doubled(FIRST_READ, known.reads, LAST_READ)).max(readable_at);
    if state == State::Revoking {
        return Next::At(again, read());
    }
    let tried_at = known.tried.as_ref().map(|tried| tried.last);
    if tried_at.is_some_and(|at| at >= read_at) {
        return Next::At(again, read());
    }
    let revoke_at = known.tried.as_ref().map_or(Timestamp::MIN, due_again);
    if revoke_at <= again {
        let together = is_admin(known) || known.is_declined;
        let id = id.to_owned();
        return Next::At(revoke_at, Step::Revoke { id, together });
    }
    Next::At(again, read())
}

fn missing(known: &Known, progress: &Progress, read_at: Timestamp, read: Step) -> Next {
    if !is_gone(known) {
        return Next::At(later(read_at, MISSING_AGAIN), read);
    }
    let is_of_nobody = known.request.requestor_id.is_none();
    if is_of_nobody || progress.identity.is_some() {
        return Next::At(later(read_at, HOPELESS_READ), read);
    }
    let asked = progress.identity_asked;
    let at = asked.map_or(Timestamp::MIN, |at| later(at, IDENTITY));
    Next::At(at, Step::Identify)
}

/// Whether every route has said often enough, for long enough, that there is no such request.
pub(super) fn is_gone(known: &Known) -> bool {
    known.missing.is_some_and(|missing| {
        let span = missing.last.as_second() - missing.first.as_second();
        missing.times >= MISSING_TIMES && span >= MISSING_SPAN_SECONDS
    })
}

fn was_never_access(known: &Known) -> bool {
    if known.request.was_access == Some(true) {
        return false;
    }
    match known.granted {
        Some(granted) => !granted,
        None => is_undescribed(known) && is_revoked_in_vain(known),
    }
}

fn is_undescribed(known: &Known) -> bool {
    is_admin(known) || known.is_undescribed
}

/// Whether a revoke was answered, and the request read back since as it was: after a refusal at any
/// time, after an acceptance when it has had its time.
fn is_revoked_in_vain(known: &Known) -> bool {
    let Some(tried) = &known.tried else {
        return false;
    };
    let from = match &tried.refusal {
        Some(refusal) if !refusal.is_definite => return false,
        Some(_) => tried.last,
        None => later(tried.last, TIME_TO_ACT),
    };
    known.read_at.is_some_and(|at| at > from)
}

fn is_admin(known: &Known) -> bool {
    known.request.api == Some(RemoteApi::AdminV3)
}

fn due_again(tried: &Tried) -> Timestamp {
    let (first, cap) = match tried.refusal {
        Some(_) => REFUSED,
        None => ACCEPTED,
    };
    later(tried.last, doubled(first, tried.count, cap))
}

/// When to look next for what lost answers made; absent where nothing is looked for.
fn search_at(spec: &OwedRevocationSpec, progress: &Progress) -> Option<Timestamp> {
    let searches = &progress.searches;
    let open = spec.marks.iter().filter(|mark| is_open(mark, progress));
    let last_until = open.map(|mark| until(mark, progress)).min()?;
    let Some(last) = searches.last else {
        return Some(Timestamp::MIN);
    };
    let (first, cap) = SEARCHES;
    let routine = later(last, doubled(first, searches.count, cap));
    // The one that closes it is due when the time is over, and no sooner than the routine says.
    Some(if routine < last_until {
        routine
    } else {
        routine.min(last_until.max(later(last, first)))
    })
}

/// Until when the last of the open marks is looked for; absent where none is open.
pub(super) fn open_marks(spec: &OwedRevocationSpec, progress: &Progress) -> Option<Timestamp> {
    let open = spec.marks.iter().filter(|mark| is_open(mark, progress));
    open.map(|mark| until(mark, progress)).max()
}

/// Whether what this mark's call made may still be found: until a whole look, with the token of the
/// user who made the call, began late enough.
fn is_open(mark: &OwedMark, progress: &Progress) -> bool {
    let searches = &progress.searches;
    let is_late_enough = searches
        .complete
        .is_some_and(|began| began >= until(mark, progress));
    !is_late_enough || is_of_another(mark, progress)
}

/// Whether the last whole look was made with the token of somebody else than who made the call, or
/// of somebody who is not known.
pub(super) fn is_of_another(mark: &OwedMark, progress: &Progress) -> bool {
    let searches = &progress.searches;
    let by = searches.by.as_deref().map(bounds::user);
    mark.asker_id.is_some() && !searches.is_shared && by != mark.asker_id
}

/// When to find out whose token it is, where only that keeps a mark open.
fn identify_at(spec: &OwedRevocationSpec, progress: &Progress) -> Option<Timestamp> {
    let is_unknown = progress.identity.is_none() && !progress.is_shared;
    let mut open = spec.marks.iter().filter(|mark| is_open(mark, progress));
    if !is_unknown || !open.any(|mark| mark.asker_id.is_some()) {
        return None;
    }
    let asked = progress.identity_asked;
    Some(asked.map_or(Timestamp::MIN, |at| later(at, IDENTITY)))
}

/// Until when a mark is looked for. A clock that was set forward would end that too soon: from then
/// on it is looked for as long as any connection lets lists lag behind.
fn until(mark: &OwedMark, progress: &Progress) -> Timestamp {
    let until = mark.search_until.as_ref();
    let until = until.map_or(Timestamp::MIN, |until| until.0);
    let after_set = progress.clock_set.map(|at| later(at, LONGEST_SETTLE));
    after_set.map_or(until, |after_set| after_set.max(until))
}

/// A time after another, or the last there is.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
