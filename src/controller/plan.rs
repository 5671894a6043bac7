//! The decision: one resource, what was observed of it, an intent and a time make one step. Pure
//! and total: no IO, no clock, no panic; every state has a way forward.
//!
//! Both intents go through the first rows, so deletion cannot drift from creation.
//!
//! | # | situation (first match) | Hold | Release |
//! | --- | --- | --- | --- |
//! | 1 | the record or the finalizer was dropped | restore | (the API server refuses it) |
//! | 2 | nothing was ever asked | row 9 | release |
//! | 3 | ids are known that are not stored | store them, nothing else | (found again by nonce) |
//! | 4 | orphaning is asked for and allowed | - | release |
//! | 5 | it is to end from here, see `latch.rs` | latch that | - |
//! | 6 | what is left is owed, see `owed.rs` | - | hand it over |
//! | 7 | a request that must go is live (Hold: a twin, a latched one; Release: any) | revoke, when due | the same |
//! | 8 | a POST is open | look, wait | the same |
//! | 9 | something is to be asked, see `rounds.rs` | ask, if it may | - |
//! | 10 | everything owned has ended | wait for nothing, or for the time to live | release |
//! | 11 | otherwise | follow | wait |

use std::time::Duration;

use apono_client::State;
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    attempt::{Entry, Ledger, Question},
    bounds, entitlements,
    failed::was_never_access,
    latch,
    observed::{ConnectionSight, Observed, RevokeTry},
    owed::{self, Debt},
    picture::{Picture, is_live, is_missing, state},
    rounds::{self, Next},
    ttl, verdict,
};
use crate::{
    crd::{AccessRequest, DeletionPolicy, FINALIZER, OwnedRequest},
    marker::Nonce,
    poller::Sight,
};

/// What blocks a request before it was asked is looked at again this often.
const RECHECK: Duration = Duration::from_mins(10);
/// What waits for the labels of its namespace is woken by them; should that be missed, it looks.
const RECHECK_LABELS: Duration = Duration::from_secs(1);
/// What was handed over to leave with others is looked after this often.
const HANDED_OVER: Duration = Duration::from_secs(5);

/// What the resource is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// It stands: the access is wanted.
    Hold,
    /// It is being deleted: the access has to go.
    Release,
}

/// What one pass does, and when the next one comes if nothing happens before.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The one thing to do.
    pub step: Step,
    /// When to look again without being woken.
    pub requeue: Option<Duration>,
}

/// The one thing a pass does.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing but to report what was observed.
    Wait,
    /// Put the finalizer back, and the record where one is given.
    Restore(Option<Ledger>),
    /// Mark one create, then send it.
    Create {
        /// The record with the new create in it.
        ledger: Ledger,
        /// The create's nonce.
        nonce: Nonce,
    },
    /// Mark one request-again, then send it.
    Again {
        /// The record with the new POST in it.
        ledger: Ledger,
        /// The POST's nonce.
        nonce: Nonce,
        /// The id that is asked again.
        of: String,
    },
    /// Record that everything asked so far is to end.
    Latch(Ledger),
    /// Delete the resource itself: its time to live is over.
    Delete,
    /// Take one remote request back.
    Revoke {
        /// Its id.
        id: String,
    },
    /// Write down what is left as owed, then remove the finalizer.
    HandOver(Debt),
    /// Remove the finalizer.
    Release,
}

/// Decides what this pass does.
pub fn plan(resource: &AccessRequest, observed: &Observed, intent: Intent, now: Timestamp) -> Plan {
    let picture = Picture::of(resource, observed, now);
    match intent {
        Intent::Hold => hold(resource, observed, &picture, now),
        Intent::Release => release(resource, observed, &picture, now),
    }
}

fn hold(resource: &AccessRequest, observed: &Observed, picture: &Picture, now: Timestamp) -> Plan {
    let has_finalizer = resource.finalizers().iter().any(|name| name == FINALIZER);
    if picture.needs_restore(has_finalizer) {
        // While POSTs of an earlier resource are still being looked for, its record stays.
        let whole = picture.ledger.inherited.is_empty();
        return at_once(Step::Restore(whole.then(|| picture.ledger.clone())));
    }
    if picture.has_news {
        return at_once(Step::Wait);
    }
    if let Some(ledger) = latch::due(resource, picture, observed, now) {
        return at_once(Step::Latch(ledger));
    }
    let latched = latch::standing(resource, picture, observed);
    let unwanted = || {
        let twins = picture.live().filter(|request| picture.is_twin(request));
        let rest = latched.iter().copied();
        twins
            .chain(rest)
            .filter(|one| state(one) != State::Revoking)
    };
    if let Some(plan) = revoke_due(unwanted(), observed, now) {
        return plan;
    }
    let mut wakes = vec![next_revoke(unwanted(), observed, now)];
    let mut recheck = None;
    if picture.searching().next().is_some() {
        wakes.push(settled(picture, observed, now));
    } else {
        match ask(resource, observed, picture, now) {
            Ask::Now(step) => return at_once(step),
            Ask::At(at) => wakes.push(Some(at)),
            Ask::Blocked => recheck = Some(RECHECK),
            Ask::Nothing => match ends_itself(resource, picture, observed, now) {
                Some(at) if at <= now => return at_once(Step::Delete),
                at => wakes.push(at),
            },
        }
    }
    wakes.extend(picture.live().map(|request| {
        request
            .ends_at
            .as_ref()
            .map(|end| end.0)
            .filter(|end| *end > now)
    }));
    wakes.extend(upstream_ends(picture, now));
    wakes.push(latch::timeout_at(resource, picture).filter(|at| *at > now));
    wakes.push(verdict::stale_at(observed).filter(|at| *at > now));
    let reading = latch::reading(resource, picture, Intent::Hold);
    wakes.push(entitlements::wanted(resource, picture, observed, reading, now).later);
    let next = earliest(wakes, now);
    Plan {
        step: Step::Wait,
        requeue: [next, recheck].into_iter().flatten().min(),
    }
}

/// When the resource is to be deleted because its time to live is over, unless a GitOps tool owns
/// it.
fn ends_itself(
    resource: &AccessRequest,
    picture: &Picture,
    observed: &Observed,
    now: Timestamp,
) -> Option<Timestamp> {
    ttl::ttl(resource).filter(|_| observed.gitops_owner.is_none())?;
    if rounds::is_anything_left(resource, picture, now) {
        return None;
    }
    let verdict = verdict::verdict(resource, picture, observed, Intent::Hold, now);
    ttl::due_at(resource, &verdict, picture)
}

fn release(
    resource: &AccessRequest,
    observed: &Observed,
    picture: &Picture,
    now: Timestamp,
) -> Plan {
    let never_asked = picture.ledger.is_empty() && picture.ledger.inherited.is_empty();
    if never_asked && picture.owned().next().is_none() {
        return at_once(Step::Release);
    }
    if is_orphan(resource) && observed.connection.allows_orphan() {
        return at_once(Step::Release);
    }
    let standing = || {
        picture
            .owned()
            .filter(|request| !has_ended(request, observed))
    };
    let searching = picture.searching().next().is_some();
    if !searching && standing().next().is_none() {
        return at_once(Step::Release);
    }
    let owed_at = owed::owed_at(resource, observed, now);
    if owed_at.is_some_and(|at| at <= now) {
        return at_once(Step::HandOver(owed::debt(resource, picture, observed)));
    }
    let revocable = || standing().filter(|request| state(request) != State::Revoking);
    if let Some(plan) = revoke_due(revocable(), observed, now) {
        return plan;
    }
    let mut wakes = vec![next_revoke(revocable(), observed, now), owed_at];
    wakes.push(settled(picture, observed, now).filter(|_| searching));
    Plan {
        step: Step::Wait,
        requeue: earliest(wakes, now),
    }
}

/// What comes of asking.
#[expect(clippy::large_enum_variant, reason = "a pass has one of them")]
enum Ask {
    /// This, now.
    Now(Step),
    /// Something, then.
    At(Timestamp),
    /// Something, when it may.
    Blocked,
    /// Nothing.
    Nothing,
}

/// Asks for the access, or says why it is not asked for now.
fn ask(resource: &AccessRequest, observed: &Observed, picture: &Picture, now: Timestamp) -> Ask {
    let question = match rounds::next(resource, picture, now) {
        Next::Nothing => return Ask::Nothing,
        Next::At(at) => return Ask::At(at),
        Next::Ask(question) => question,
    };
    if let Some(until) = picture.is_full_until(now) {
        let is_for_ever = until == Timestamp::MAX;
        return if is_for_ever {
            Ask::Nothing
        } else {
            Ask::At(until)
        };
    }
    if prolongs_what_is_not_seen(&question, picture, observed) {
        // The first sight of it, or the token that asked for it, wakes the resource.
        return Ask::Nothing;
    }
    let paused = match &observed.connection {
        ConnectionSight::Usable { paused, .. } => paused,
        ConnectionSight::Undecided { .. } => return Ask::At(now + RECHECK_LABELS),
        _ => return Ask::Blocked,
    };
    if let Some(pause) = paused {
        return Ask::At(now + *pause);
    }
    if let Some(next) = observed.held_until(now) {
        return Ask::At(next);
    }
    let nonce = Nonce::new(&resource.uid().unwrap_or_default(), observed.random);
    let of = question.of.clone();
    let user = observed.user.clone();
    let needed = |entry: &Entry| picture.needs(entry);
    let ledger = picture
        .ledger
        .with_post(question, nonce.clone(), user, now, needed);
    Ask::Now(if of.is_empty() {
        Step::Create { ledger, nonce }
    } else {
        Step::Again { ledger, nonce, of }
    })
}

/// Whether this would prolong access of which nobody knows whether it still stands: after a restart
/// it may have been taken back, and with another user's token it is another person's.
fn prolongs_what_is_not_seen(question: &Question, picture: &Picture, observed: &Observed) -> bool {
    let is_base = |one: &&OwnedRequest| question.of.is_empty() || one.id == question.of;
    let is_of_another = |one: &OwnedRequest| {
        let known = observed.view.identity.as_ref();
        let asker = one.requestor_id.as_ref();
        !observed.view.is_shared
            && known.is_some_and(|known| asker.is_some_and(|asker| *asker != bounds::user(known)))
    };
    question.n > 1
        && picture
            .live()
            .filter(is_base)
            .any(|one| is_unread(one, observed) || is_of_another(one))
}

/// Whether a request was not read by this process, or is not found.
pub fn is_unread(request: &OwnedRequest, observed: &Observed) -> bool {
    let sight = observed.view.sights.get(&request.id);
    matches!(sight, Some(Sight::Unread | Sight::Missing(_)))
}

/// When the last of the open POSTs may be concluded to be absent.
fn settled(picture: &Picture, observed: &Observed, now: Timestamp) -> Option<Timestamp> {
    let at = picture
        .searching()
        .map(|entry: &Entry| observed.settled_at(entry.time))
        .max();
    at.filter(|at| *at > now)
}

fn revoke_due<'a>(
    candidates: impl Iterator<Item = &'a OwnedRequest>,
    observed: &Observed,
    now: Timestamp,
) -> Option<Plan> {
    if !observed.connection.is_callable() || observed.connection.paused().is_some() {
        return None;
    }
    let due = |request: &&OwnedRequest| {
        let tried = observed.memory.revokes.get(&request.id);
        // What waits in a batch is on its way.
        let is_handed_over = observed.memory.handed_over.contains(&request.id);
        state(request) != State::Revoking
            && !is_handed_over
            && tried.is_none_or(|tried| tried.next() <= now)
    };
    let id = candidates.into_iter().find(due)?.id.clone();
    Some(Plan {
        step: Step::Revoke { id },
        requeue: Some(Duration::ZERO),
    })
}

fn next_revoke<'a>(
    candidates: impl Iterator<Item = &'a OwnedRequest>,
    observed: &Observed,
    now: Timestamp,
) -> Option<Timestamp> {
    if !observed.connection.is_callable() {
        return None;
    }
    let paused = observed.connection.paused().map(|pause| now + pause);
    let memory = &observed.memory;
    let tried = candidates.map(|request| {
        if memory.handed_over.contains(&request.id) {
            // Its answer wakes; this is for one that is lost.
            return now + HANDED_OVER;
        }
        memory.revokes.get(&request.id).map_or(now, RevokeTry::next)
    });
    tried.min().max(paused)
}

/// Whether an owned request has ended, as read back from the remote.
///
/// `Failed` counts only where it was never access: never seen active or revoking, and none of its
/// entitlements granted. A request that is nowhere to be found counts only for the user who made
/// it: another user's token turns every id into a 404.
pub fn has_ended(request: &OwnedRequest, observed: &Observed) -> bool {
    match state(request) {
        State::Rejected | State::Revoked => true,
        State::Failed => was_never_access(request, observed),
        State::Initializing
        | State::Pending
        | State::PendingMfa
        | State::Granting
        | State::Active
        | State::Revoking
        | State::Unknown => {
            let user = observed.view.identity.as_deref().map(bounds::word);
            let is_same_user = user.is_some() && request.requestor_id == user;
            is_missing(request, observed) && is_same_user
        }
    }
}

/// Whether deletion is asked to leave the access where it is.
pub fn is_orphan(resource: &AccessRequest) -> bool {
    resource.spec.deletion_policy == Some(DeletionPolicy::Orphan)
}

/// What was revoked early stays so until its planned end.
fn upstream_ends(picture: &Picture, now: Timestamp) -> Vec<Option<Timestamp>> {
    let ended = picture.requests.iter().filter(|request| !is_live(request));
    ended
        .map(|request| {
            request
                .ends_at
                .as_ref()
                .map(|end| end.0)
                .filter(|at| *at > now)
        })
        .collect()
}

fn at_once(step: Step) -> Plan {
    Plan {
        step,
        requeue: Some(Duration::ZERO),
    }
}

/// The earliest of these times, from now; a moment later, so that the clock has passed it.
fn earliest(times: Vec<Option<Timestamp>>, now: Timestamp) -> Option<Duration> {
    let first = times.into_iter().flatten().min()?;
    let wait = Duration::try_from(first.duration_since(now)).unwrap_or_default();
    Some(wait + Duration::from_millis(20))
}

#[cfg(test)]
mod tests;
