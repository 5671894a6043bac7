//! One resource and its remote requests, put together from the object and from what was observed.
//! Pure. Both `plan` and `fold` start from here, so they cannot disagree on who is who.
//!
//! | found | means | done |
//! | --- | --- | --- |
//! | the nonce of one of our POSTs | sibling of one answer | adopted, also late; looked on for until a look was late enough |
//! | a second nonce of the same attempt and origin | twin: the POST was repeated and both arrived | adopted, then revoked |
//! | a live request that names this object and uid, in no list of ours | stray | adopted; revoked if something of the attempt is live |
//! | a live request named by the annotation of an earlier resource | re-applied | adopted |
//! | anything else | not ours | never touched |

use std::{collections::BTreeSet, time::Duration};

use apono_client::State;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{
    admin,
    attempt::{Entry, Ledger},
    bounds,
    observed::Observed,
    renewal, rounds,
};
use crate::{
    crd::{AccessRequest, OwnedRequest, PostOutcome, RemoteApi},
    poller::{Look, Reign, Sight, Snapshot},
};

/// How often, and over how long, every route has to say 404 before an id counts as not found.
const MISSING_TIMES: u32 = 3;
const MISSING_SPAN_SECONDS: i64 = 30;
/// All live requests are kept, and this many ended ones.
pub const MOST_ENDED: usize = 20;
/// A remote whose clock is ahead of ours ends things a little before their end. Clocks that are kept
/// in step differ by less than this, and nobody who takes access back by hand does it so late.
pub const CLOCKS_DIFFER: Duration = Duration::from_secs(5);
/// A look has to reach back this long before the mark it is to judge: clocks differ.
pub const LOOK_MARGIN_SECONDS: i64 = 3600;

/// The resource, its record and its remote requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The record, with the outcome of every POST as far as it is known now.
    pub ledger: Ledger,
    /// The owned remote requests as last read, found ones included.
    pub requests: Vec<OwnedRequest>,
    /// Remote requests of this resource that the status cannot hold: their ids are too long, or they
    /// are too many. Their POSTs stay open, so that they are found again; on deletion they are taken
    /// back like the others.
    pub unkept: Vec<OwnedRequest>,
    /// Whether some of the owned requests are not yet stored in the status.
    pub has_news: bool,
    /// Whether one of them is seen as access for the first time. It has to be stored before that is
    /// taken back: should the revoke end in `Failed`, nothing else tells that it was access.
    pub has_first_sight: bool,
}

impl Picture {
    /// The picture of a resource.
    pub fn of(resource: &AccessRequest, observed: &Observed, now: Timestamp) -> Self {
        let stored = resource
            .status
            .as_ref()
            .map(|status| status.requests.clone());
        let mut picture = Self {
            ledger: Ledger::of(resource),
            requests: stored.unwrap_or_default(),
            unkept: Vec::new(),
            has_news: false,
            has_first_sight: false,
        };
        for request in &mut picture.requests {
            if let Some(Sight::Seen(snapshot)) = observed.view.sights.get(&request.id) {
                absorb(request, snapshot, now);
            }
        }
        picture.adopt_by_nonce(observed, now);
        picture.adopt_strays(resource, observed, now);
        picture.trim(resource);
        picture.reopen_found();
        picture.settle_open_posts(resource, observed);
        admin::reckon_ends(&mut picture.requests, &picture.ledger, resource);
        picture
    }

    fn adopt_by_nonce(&mut self, observed: &Observed, now: Timestamp) {
        for (nonce, snapshots) in &observed.view.by_nonce {
            let Some(entry) = self.ledger.entry(nonce.as_str()).cloned() else {
                continue;
            };
            let inherited = self.ledger.inherited.contains(&entry);
            for snapshot in snapshots {
                let live = !snapshot.request.status.state().is_terminal();
                if (live || !inherited) && is_marked_for(snapshot, observed) {
                    self.own(snapshot, &entry, true, now);
                }
            }
        }
    }

    /// What a sweep came across: a late sibling or twin of a POST on record, or a live request of
    /// this very object that is on no record.
    fn adopt_strays(&mut self, resource: &AccessRequest, observed: &Observed, now: Timestamp) {
        let uid = resource.uid().unwrap_or_default();
        for (mark, snapshot) in &observed.view.strays {
            let live = !snapshot.request.status.state().is_terminal();
            if !live || !mark.names(&observed.origin) {
                continue;
            }
            let entry = match self.ledger.entry(mark.nonce.as_str()) {
                Some(entry) => entry.clone(),
                None if mark.nonce.is_of(&uid) => Entry {
                    nonce: mark.nonce.clone(),
                    n: self.ledger.number.max(1),
                    of: String::new(),
                    time: now,
                    user: None,
                    outcome: PostOutcome::Answered,
                },
                None => continue,
            };
            self.own(snapshot, &entry, true, now);
        }
    }

    /// What there is room for: all live requests, and some that have ended. The oldest go first, so
    /// that what was dropped is dropped again when it is seen again.
    pub fn trim(&mut self, resource: &AccessRequest) {
        let age = |one: &OwnedRequest| {
            let created = one.created_at.as_ref().map(|time| time.0);
            (created, one.id.clone())
        };
        // A failed one may still be access, and then has to be taken back.
        let is_over = |one: &OwnedRequest| !is_live(one) && state(one) != State::Failed;
        let over = self.requests.iter().filter(|one| is_over(one));
        // What is still to be asked again is the last to go.
        let mut over: Vec<_> = over
            .map(|one| (rounds::is_to_be_asked(self, one), age(one)))
            .collect();
        over.sort_unstable();
        over.truncate(over.len().saturating_sub(MOST_ENDED));
        let dropped: BTreeSet<_> = over.into_iter().map(|(_, (_, id))| id).collect();
        self.requests.retain(|one| !dropped.contains(&one.id));
        if self.requests.len() > bounds::MOST_REQUESTS {
            let rest = self.requests.split_off(bounds::MOST_REQUESTS);
            self.unkept.extend(rest);
        }
        let stored = resource.status.as_ref();
        let stored = stored.map(|status| status.requests.as_slice());
        let is_stored = |id: &String| stored.unwrap_or_default().iter().any(|one| one.id == *id);
        self.has_news = self.requests.iter().any(|one| !is_stored(&one.id));
        let is_told = |one: &OwnedRequest| {
            let told = stored.unwrap_or_default().iter();
            let mut told = told.filter(|other| other.id == one.id);
            told.any(was_access) || !was_access(one)
        };
        self.has_first_sight = self.requests.iter().any(|one| !is_told(one));
    }

    /// A POST that was believed to have made nothing, and of which a request turns up all the same,
    /// is looked for again: it may have made more. Where it was looked for in vain before, nothing
    /// is left to be done. What the status cannot hold keeps its POST open.
    fn reopen_found(&mut self) {
        use PostOutcome::{Absent, Answered, NotSent, Open, Refused};
        let all = self.requests.iter().map(|one| (one, true));
        let all = all.chain(self.unkept.iter().map(|one| (one, false)));
        for (request, is_kept) in all {
            let nonce = request.nonce.as_deref();
            let Some(entry) = nonce.and_then(|nonce| self.ledger.entry(nonce)).cloned() else {
                continue;
            };
            let outcome = match entry.outcome {
                Absent | Answered if is_kept => Answered,
                Open | Absent | Answered | NotSent | Refused => Open,
            };
            if outcome != entry.outcome {
                self.ledger.resolve(&entry.nonce, outcome);
            }
        }
    }

    /// An open POST that was looked for completely, late enough: what it made is found by now. One
    /// of which nothing is was not done, or was refused if its answer was an empty array.
    fn settle_open_posts(&mut self, resource: &AccessRequest, observed: &Observed) {
        let deleting = resource.metadata.deletion_timestamp.is_some();
        let searching: Vec<_> = self.searching().cloned().collect();
        for entry in searching {
            let mut unkept = self.unkept.iter().filter(|one| is_of(one, &entry));
            let is_held_up = unkept.any(|one| !deleting || is_live(one));
            if is_held_up || !is_settled(&entry, observed) {
                continue;
            }
            let is_found = self.requests.iter().any(|one| is_of(one, &entry));
            let outcome = if is_found {
                PostOutcome::Answered
            } else if observed.memory.empty_answers.contains(&entry.nonce) {
                PostOutcome::Refused
            } else {
                PostOutcome::Absent
            };
            if !is_found && self.ledger.inherited.contains(&entry) {
                self.ledger
                    .inherited
                    .retain(|other| other.nonce != entry.nonce);
            } else {
                self.ledger.resolve(&entry.nonce, outcome);
            }
        }
    }

    /// Takes a remote request into the list, or refreshes it there.
    pub fn own(&mut self, snapshot: &Snapshot, entry: &Entry, adopted: bool, now: Timestamp) {
        let id = &snapshot.request.id;
        let mut known = self.requests.iter_mut().chain(&mut self.unkept);
        if let Some(request) = known.find(|request| request.id == **id) {
            absorb(request, snapshot, now);
            return;
        }
        let mut request = OwnedRequest {
            id: id.to_string(),
            attempt: Some(entry.n),
            nonce: Some(entry.nonce.to_string()),
            adopted: adopted.then_some(true),
            ..OwnedRequest::default()
        };
        absorb(&mut request, snapshot, now);
        if bounds::is_storable(id) {
            self.requests.push(request);
        } else {
            self.unkept.push(request);
        }
    }

    /// The POSTs whose answer is not known: to be looked for before anything is asked again.
    pub fn searching(&self) -> impl Iterator<Item = &Entry> + Clone {
        let open = |entry: &&Entry| entry.outcome == PostOutcome::Open;
        self.ledger
            .entries
            .iter()
            .chain(&self.ledger.inherited)
            .filter(open)
    }

    /// Everything that belongs to the resource, also what its status cannot hold.
    pub fn owned(&self) -> impl Iterator<Item = &OwnedRequest> {
        self.requests.iter().chain(&self.unkept)
    }

    /// Whether a POST still says something of what is live.
    pub fn needs(&self, entry: &Entry) -> bool {
        let live = |one: &OwnedRequest| attempt(one) == entry.n || one.id == entry.of;
        self.live().any(live)
    }

    /// Until when no further POST leaves because too many did.
    pub fn is_full_until(&self, now: Timestamp) -> Option<Timestamp> {
        let needed = |entry: &Entry| self.needs(entry);
        self.ledger.is_full_until(now, needed)
    }

    /// The live requests.
    pub fn live(&self) -> impl Iterator<Item = &OwnedRequest> {
        self.requests.iter().filter(|request| is_live(request))
    }

    /// The POST that made a request, where that is on record.
    pub fn entry(&self, request: &OwnedRequest) -> Option<&Entry> {
        self.ledger.entry(request.nonce.as_deref()?)
    }

    /// Whether a request came from a repeated POST whose first answer survives.
    pub fn is_twin(&self, request: &OwnedRequest) -> bool {
        let same_attempt = |other: &&OwnedRequest| other.attempt == request.attempt;
        let first = if let Some(own) = self.entry(request) {
            let same_question = |other: &Entry| other.n == own.n && other.of == own.of;
            self.requests
                .iter()
                .find(|other| self.entry(other).is_some_and(same_question))
        } else {
            let live: Vec<_> = self.live().filter(same_attempt).collect();
            let recorded = live.iter().find(|other| self.entry(other).is_some());
            recorded.or_else(|| live.first()).copied()
        };
        first.is_some_and(|first| first.nonce != request.nonce)
    }

    /// The requests whose state is the resource's: the newest attempt, and those of earlier ones
    /// that are live and not yet replaced by one that has been active.
    pub fn current(&self) -> Vec<&OwnedRequest> {
        let newest = self.newest();
        let mine = |request: &&OwnedRequest| !self.is_twin(request);
        self.requests
            .iter()
            .filter(mine)
            .filter(|one| {
                attempt(one) == newest || (is_live(one) && !renewal::is_replaced(self, one))
            })
            .collect()
    }

    /// Whether the newest attempt is a renewal: neither the first nor one that asks again for what
    /// has ended.
    pub fn is_renewal(&self) -> bool {
        let number = self.ledger.number;
        number > 1 && self.ledger.again != Some(number)
    }

    /// The attempt that counts. A renewal that made nothing leaves the one before it in its place.
    fn newest(&self) -> i64 {
        let made = self.requests.iter().map(attempt).max().unwrap_or_default();
        let number = self.ledger.number;
        let open = |entry: &Entry| entry.n == number && entry.outcome == PostOutcome::Open;
        if self.is_renewal() && !self.ledger.entries.iter().any(open) {
            made
        } else {
            made.max(number)
        }
    }

    /// Whether the annotation or the finalizer has to be put back before anything else.
    pub fn needs_restore(&self, has_finalizer: bool) -> bool {
        let asked = !self.ledger.is_empty() || !self.ledger.inherited.is_empty();
        let matters = asked || self.live().next().is_some();
        let record_lost = !self.ledger.annotation_stands && self.ledger.inherited.is_empty();
        matters && (!has_finalizer || record_lost)
    }
}

/// Whether a POST made this request.
fn is_of(request: &OwnedRequest, entry: &Entry) -> bool {
    request.nonce.as_deref() == Some(entry.nonce.as_str())
}

/// Refreshes an owned request from what the remote said.
///
/// The planned end is kept from while the request was live: a remote may overwrite it with the time
/// it was revoked.
fn absorb(request: &mut OwnedRequest, snapshot: &Snapshot, now: Timestamp) {
    let remote = &snapshot.request;
    let state = remote.status.state();
    let ends_later = request
        .ends_at
        .as_ref()
        .is_some_and(|end| end.0 > now + CLOCKS_DIFFER);
    if state == State::Revoked && is_live(request) && ends_later {
        // Told by the clock alone, this would be forgotten when the planned end has passed.
        request.ended_early = Some(true);
    }
    request.status = Some(bounds::word(remote.status.word()));
    request.api = Some(snapshot.api);
    request.created_at = remote
        .creation_date
        .map(whole)
        .or(request.created_at.take());
    if !state.is_terminal() && state != State::Revoking {
        request.ends_at = remote.revocation_date.map(whole);
    }
    if let Some(friendly) = &remote.friendly_id {
        request.friendly_id = Some(bounds::word(friendly));
    }
    if let Some(requestor) = &remote.requestor {
        request.requestor_id = Some(bounds::word(&requestor.id));
    }
    if state == State::Active && request.active_at.is_none() {
        request.active_at = Some(whole(now));
    }
    if state == State::Revoking {
        request.revoking_seen = Some(true);
    }
}

/// The API keeps whole seconds; what is compared later has to be what is read back.
pub fn whole(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// The state of an owned request as last read.
pub fn state(request: &OwnedRequest) -> State {
    request.status.as_deref().map_or(State::Unknown, |word| {
        apono_client::Status::from(word).state()
    })
}

/// The attempt a request belongs to.
pub fn attempt(request: &OwnedRequest) -> i64 {
    request.attempt.unwrap_or(1)
}

/// Whether an owned request may still be, or become, access.
pub fn is_live(request: &OwnedRequest) -> bool {
    !state(request).is_terminal()
}

/// Whether an owned request was seen as access, or as access being taken back.
pub fn was_access(request: &OwnedRequest) -> bool {
    request.active_at.is_some() || request.revoking_seen == Some(true)
}

/// Whether every route has said often enough, for long enough, that there is no such request.
pub fn is_missing(request: &OwnedRequest, observed: &Observed) -> bool {
    match observed.view.sights.get(&request.id) {
        Some(Sight::Missing(missing)) => {
            let span = missing.last.as_second() - missing.first.as_second();
            missing.times >= MISSING_TIMES && span >= MISSING_SPAN_SECONDS
        }
        Some(Sight::Seen(_) | Sight::Unread) | None => false,
    }
}

/// The answer to our own POST counts without a mark: a remote may drop the justification.
fn is_marked_for(snapshot: &Snapshot, observed: &Observed) -> bool {
    let mark = snapshot.mark.as_ref();
    mark.is_none_or(|mark| mark.names(&observed.origin))
}

/// Whether a look found nothing and proves nothing: it was made with the token of another user than
/// the POST was marked for, or of one who cannot be told.
pub fn is_looked_for_in_vain(entry: &Entry, observed: &Observed) -> bool {
    is_looked_for(entry, observed) && !is_by_the_asker(entry, observed)
}

/// Whether everything that a POST made must have been found by now.
fn is_settled(entry: &Entry, observed: &Observed) -> bool {
    is_looked_for(entry, observed) && is_by_the_asker(entry, observed)
}

/// Whether the lists that were looked at are those of the user the POST was marked for. A list that
/// names several users does not tell. A mark that names none, the first of a token, is of whoever's
/// token was in use when it was made, as far as this process knows.
fn is_by_the_asker(entry: &Entry, observed: &Observed) -> bool {
    let view = &observed.view;
    // The time of a mark is rounded up.
    let marked = entry.time.as_second() - 1;
    let reigned = |reign: &Reign| (reign.from..reign.until).contains(&at(marked));
    match &entry.user {
        None => view.reigns.iter().any(reigned),
        Some(_) if view.is_shared => true,
        Some(user) => view.identity.as_deref().map(bounds::user).as_ref() == Some(user),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MIN)
}

fn is_looked_for(entry: &Entry, observed: &Observed) -> bool {
    let settled = observed.settled_at(entry.time);
    let reaches_back = entry.time.as_second() - LOOK_MARGIN_SECONDS;
    let judged = |look: &Look| look.asked_at >= settled && look.since.as_second() <= reaches_back;
    let by = |api: RemoteApi| observed.view.look.get(&api).is_some_and(judged);
    if observed.asks_admin {
        return by(RemoteApi::AdminV3);
    }
    by(RemoteApi::UserV4) && (!observed.asks_for_another || by(RemoteApi::Delegated))
}
