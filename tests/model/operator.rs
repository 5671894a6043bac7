//! A pass of the model, cut at every write: in place of `controller.rs`, `mark.rs`, `execute.rs`,
//! `again.rs`, `revoke.rs` and `persist.rs`. It decides nothing: `plan` and `fold` are the real ones.
//!
//! Between any two of these functions everything else may happen, a crash too.

use std::sync::Arc;

use apono_client::State;
use apono_operator::{
    controller::{
        attempt::Ledger,
        fold::{Outcome, Reply, fold},
        observed::{Memory, Refusal, RevokeTry},
        persist::merge_patch,
        picture::Picture,
        plan::{Intent, Step, plan},
    },
    crd::{ATTEMPT_ANNOTATION, AccessRequest, AccessRequestStatus, FINALIZER},
    marker::Nonce,
};
use kube::ResourceExt;

use crate::{
    properties,
    view::{SETTLED, intent, known, observe, request},
    world::{
        Came, Desk, Flight, Knowledge, Object, Pass, Post, Remote, Stage, World, index, moment,
        second, without_words,
    },
};

/// A mark is valid for so long, in seconds.
pub const MARK_VALID: i64 = 5;
/// What was sent by then has arrived by then, in seconds after its mark.
pub const ARRIVES: i64 = SETTLED - 15;
/// So much a plan adds to a wait.
const ADDED_MILLIS: u128 = 20;
/// How long access lasts, in seconds.
const LASTS: i64 = 300;
/// An end that no world comes to see.
pub const ENDLESS: i64 = 100_000;

/// What the remote makes of a POST, and what of its answer comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It makes so many, the last of which lists show late or at once, and says so.
    Made(u8, bool),
    /// The same, and the answer is lost.
    MadeUnheard(u8, bool),
    /// The answer is given up, and then it arrives all the same.
    MadeLater(u8),
    /// It never arrives, and nobody knows.
    NotMade,
    /// It certainly was not sent.
    NotSent,
    /// It is declined.
    Refused,
    /// An empty array, with none made, or one.
    Empty(u8),
}

/// Begins a pass, if there is something to do; a pass that has nothing to write ends at once. Says
/// when the next one comes by itself, in seconds from now.
pub fn begin(world: &mut World) -> Option<i64> {
    let object = world.desk.cache.clone()?;
    drop_tracked_answers(world, &object);
    let operator = &mut world.desk.operator;
    if operator.uid != object.uid() {
        operator.uid = object.uid();
        operator.memory = Memory::default();
    }
    let knowledge = Arc::new(operator.knowledge.clone());
    let memory = Arc::new(operator.memory.clone());
    let observed = observe(world, &object, &knowledge, &memory, world.now);
    let intent = intent(&object);
    if intent == Intent::Release && !is_held(&object) && owes_nothing(&object.resource) {
        return None;
    }
    let plan = plan(&object.resource, &observed, intent, moment(world.now));
    // A plan adds some milliseconds, so that the clock has passed the moment; ours has whole seconds.
    let wake = plan.requeue.map(|wait| {
        let seconds = wait.as_millis().saturating_sub(ADDED_MILLIS).div_ceil(1000);
        i64::try_from(seconds).unwrap_or(i64::MAX / 4)
    });
    let stage = match plan.step {
        Step::Wait => Stage::Done(None, Came::Nothing),
        _ => Stage::Planned,
    };
    let pass = Pass {
        object,
        knowledge,
        memory,
        at: world.now,
        step: Arc::new(plan.step),
        stage,
    };
    if pass.stage == Stage::Planned || folded(world, &pass, &pass.object).is_some() {
        world.desk.operator.pass = Some(pass);
    }
    wake
}

fn drop_tracked_answers(world: &mut World, object: &Object) {
    let tracked = known(&object.resource);
    let remotes = &world.remotes;
    let is_open = |post: &usize| {
        let mut made = remotes.iter().enumerate();
        made.any(|(index, remote)| remote.post == Some(*post) && !tracked.contains(&index))
    };
    world.desk.operator.knowledge.answered.retain(is_open);
}

fn is_held(object: &Object) -> bool {
    object
        .resource
        .finalizers()
        .iter()
        .any(|name| name == FINALIZER)
}

fn owes_nothing(resource: &AccessRequest) -> bool {
    let ledger = Ledger::of(resource);
    ledger.is_empty() && ledger.inherited.is_empty() && known(resource).is_empty()
}

/// Whether the object is still the one the pass has in hand.
pub fn is_unchanged(world: &World, pass: &Pass) -> bool {
    let same = |one: &Object| one.version == pass.object.version;
    world.desk.object.as_ref().is_some_and(same)
}

/// The one write to Kubernetes that comes before a call: a mark, a latch, a restored finalizer.
/// Nothing lands on an object that has changed, and then the pass is over.
pub fn mark(world: &mut World) {
    let Some(mut pass) = world.desk.operator.pass.take() else {
        return;
    };
    if !is_unchanged(world, &pass) {
        return;
    }
    let ledger = match &*pass.step {
        Step::Create { ledger, .. } | Step::Again { ledger, .. } | Step::Latch(ledger) => {
            Some(ledger.clone())
        }
        Step::Restore(ledger) => ledger.clone(),
        _ => return,
    };
    let mut resource = (*pass.object.resource).clone();
    let finalizers = resource.metadata.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|name| name == FINALIZER) {
        if resource.metadata.deletion_timestamp.is_some() {
            // The API server refuses a new finalizer on what is being deleted.
            return;
        }
        finalizers.push(FINALIZER.to_owned());
    }
    if let Some(ledger) = &ledger {
        let record = ledger.record(&resource).to_annotation();
        let annotations = resource.metadata.annotations.get_or_insert_default();
        annotations.insert(ATTEMPT_ANNOTATION.to_owned(), record);
    }
    pass.object = world.store(resource);
    note_write(world);
    pass.stage = match &*pass.step {
        Step::Create { nonce, ledger } | Step::Again { nonce, ledger, .. } => {
            Stage::Marked(note(world, nonce, ledger, &pass))
        }
        Step::Latch(_) => Stage::Done(None, Came::Latched),
        _ => return,
    };
    world.desk.operator.pass = Some(pass);
}

/// A write of our own. No pass begins before the watch has shown it, so it is shown at once.
fn note_write(world: &mut World) {
    world.desk.operator.written = world.versions;
    watch(world);
}

fn note(world: &mut World, nonce: &Nonce, ledger: &Ledger, pass: &Pass) -> usize {
    let entry = ledger.entry(nonce.as_str()).expect("a POST is on record");
    world.posts.push(Post {
        nonce: nonce.clone(),
        uid: pass.object.uid(),
        desk: world.desk.number,
        line: world.desk.line,
        n: entry.n,
        of: entry.of.clone(),
        marked: pass.at,
        is_sent: false,
    });
    world.posts.len() - 1
}

/// Whether the mark in hand is too old to send by.
pub fn is_late(world: &World, pass: &Pass) -> bool {
    world.now - pass.at > MARK_VALID
}

/// Sends the POST that was marked.
pub fn send(world: &mut World, fate: Fate, lag: i64) {
    let Some(mut pass) = world.desk.operator.pass.take() else {
        return;
    };
    let Stage::Marked(post) = pass.stage else {
        return;
    };
    world.posts[post].is_sent = fate != Fate::NotSent;
    if world.posts[post].is_sent {
        properties::may_ask(world, &pass, post);
    }
    let came = match fate {
        Fate::Made(size, is_lagging) => {
            let made = make(world, post, size, if is_lagging { lag } else { 0 });
            let knowledge = &mut world.desk.operator.knowledge;
            knowledge.answered.insert(post);
            let readings = made.iter().map(|index| (*index, State::Pending));
            knowledge.readings.extend(readings);
            Came::Made(made)
        }
        Fate::MadeUnheard(size, is_lagging) => {
            make(world, post, size, if is_lagging { lag } else { 0 });
            Came::Lost
        }
        Fate::MadeLater(size) => {
            let by = world.posts[post].marked + ARRIVES;
            world.flights.push(Flight { post, size, by });
            Came::Lost
        }
        Fate::NotMade => Came::Lost,
        Fate::NotSent => Came::NotSent,
        Fate::Refused => Came::Refused,
        Fate::Empty(size) => {
            make(world, post, size, 0);
            let nonce = world.posts[post].nonce.clone();
            Arc::make_mut(&mut pass.memory)
                .empty_answers
                .insert(nonce.clone());
            world.desk.operator.memory.empty_answers.insert(nonce);
            Came::Empty
        }
    };
    pass.stage = Stage::Done(Some(post), came);
    world.desk.operator.pass = Some(pass);
}

/// The remote makes what a POST asks for.
pub fn make(world: &mut World, post: usize, size: u8, lag: i64) -> Vec<usize> {
    let first = world.remotes.len();
    for one in 0..size {
        let is_last = one + 1 == size;
        world.remotes.push(Remote {
            post: Some(post),
            state: State::Pending,
            access: false,
            shown: world.now + if is_last { lag } else { 0 },
            ends: if world.is_endless {
                ENDLESS
            } else {
                world.now + LASTS
            },
        });
    }
    (first..world.remotes.len()).collect()
}

/// What becomes of a revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done and said.
    Accepted,
    /// It is done, and the answer is lost.
    Unheard,
    /// It never arrives.
    Lost,
}

/// Sends the revoke that is planned.
pub fn revoke(world: &mut World, answer: Answer) {
    let Some(mut pass) = world.desk.operator.pass.take() else {
        return;
    };
    let Step::Revoke { id } = &*pass.step else {
        return;
    };
    let index = index(id);
    if answer != Answer::Lost {
        properties::may_revoke(world, &pass, index);
        let remote = &mut world.remotes[index];
        remote.state = match (remote.state, remote.access) {
            (State::Revoked | State::Rejected, _) => remote.state,
            (_, true) => State::Revoking,
            (State::Failed, false) => State::Failed,
            (_, false) => State::Revoked,
        };
    }
    let before = world.desk.operator.memory.revokes.get(id);
    let (count, failures) = before.map_or((0, 0), |tried| (tried.count, tried.failures));
    let refusal = (answer != Answer::Accepted).then(|| Refusal {
        status: None,
        message: "no answer".to_owned(),
    });
    let tried = RevokeTry {
        count: count + 1,
        failures: if refusal.is_some() { failures + 1 } else { 0 },
        last: moment(world.now),
        refusal,
    };
    let memory = Arc::make_mut(&mut pass.memory);
    memory.revokes.insert(id.clone(), tried);
    world.desk.operator.memory = memory.clone();
    pass.stage = Stage::Done(None, Came::Revoked);
    world.desk.operator.pass = Some(pass);
}

/// Takes the finalizer off.
pub fn release(world: &mut World) {
    let Some(pass) = world.desk.operator.pass.take() else {
        return;
    };
    if !is_held(&pass.object) || !is_unchanged(world, &pass) {
        return;
    }
    let mut resource = (*pass.object.resource).clone();
    let finalizers = resource.metadata.finalizers.get_or_insert_default();
    finalizers.retain(|name| name != FINALIZER);
    if let Step::HandOver(debt) = &*pass.step {
        // Stored before the finalizer goes; a crash between leaves more than is needed.
        let ids = debt.requests.iter().map(|one| one.id.clone());
        let nonces = debt.marks.iter().map(|one| one.nonce.clone());
        world.owed.extend(ids.chain(nonces));
    }
    world.released.insert(pass.object.uid());
    world.store(resource);
    note_write(world);
    world.desk.operator.knowledge.answered.clear();
    world.desk.operator.memory = Memory::default();
}

/// Writes the status; on a conflict it is folded once more onto what stands there, as `persist`
/// does.
pub fn persist(world: &mut World) {
    let Some(pass) = world.desk.operator.pass.take() else {
        return;
    };
    let Some(current) = world.desk.object.clone() else {
        return;
    };
    if current.uid() != pass.object.uid() {
        return;
    }
    let base = if is_unchanged(world, &pass) {
        pass.object.clone()
    } else {
        current
    };
    if let Some(status) = folded(world, &pass, &base) {
        let mut resource = (*base.resource).clone();
        resource.status = Some(status);
        world.store(resource);
        note_write(world);
    }
}

/// The status after a pass, if it differs.
pub fn folded(world: &World, pass: &Pass, base: &Object) -> Option<AccessRequestStatus> {
    let observed = observe(world, &pass.object, &pass.knowledge, &pass.memory, pass.at);
    let outcome = outcome(world, pass);
    let (now, intent) = (moment(pass.at), intent(&pass.object));
    let (status, _) = fold(&base.resource, &observed, &outcome, intent, now);
    let status = without_words(status);
    let value = |status: Option<&AccessRequestStatus>| {
        serde_json::to_value(status).expect("a status encodes")
    };
    merge_patch(&value(base.resource.status.as_ref()), &value(Some(&status)))?;
    let stored = serde_json::from_value(value(Some(&status)));
    Some(stored.expect("a status decodes"))
}

fn outcome(world: &World, pass: &Pass) -> Outcome {
    let Stage::Done(post, came) = &pass.stage else {
        return Outcome::Nothing;
    };
    let reply = match came {
        Came::Nothing => return Outcome::Nothing,
        Came::Revoked => return Outcome::Revoked,
        Came::Latched => return Outcome::Latched,
        Came::Made(made) => Reply::Made(
            made.iter()
                .map(|index| request(world, *index, State::Pending))
                .collect(),
        ),
        Came::Refused => Reply::Refused("no".to_owned()),
        Came::NotSent => Reply::NotSent,
        Came::Empty => Reply::Empty,
        Came::Lost => Reply::Lost,
    };
    match (&*pass.step, post) {
        (Step::Create { ledger, .. } | Step::Again { ledger, .. }, Some(post)) => Outcome::Posted {
            ledger: ledger.clone(),
            nonce: world.posts[*post].nonce.clone(),
            sent_at: moment(pass.at),
            reply,
        },
        _ => Outcome::Nothing,
    }
}

/// The watch shows the object as it stands.
pub fn watch(world: &mut World) {
    world.desk.cache.clone_from(&world.desk.object);
}

/// The poller reads every list from its beginning to its end, and each followed id that no list
/// shows. It is one for all resources.
pub fn sweep(world: &mut World) {
    let followed: Vec<_> = world
        .desks()
        .filter_map(|desk| desk.cache.as_ref())
        .flat_map(|one| known(&one.resource))
        .collect();
    let is_answered = |post: usize| {
        let mut desks = world.desks();
        desks.any(|desk| desk.operator.knowledge.answered.contains(&post))
    };
    let (now, remotes) = (world.now, &world.remotes);
    let is_shown = |index: usize, remote: &Remote| {
        remote.shown <= now || followed.contains(&index) || remote.post.is_some_and(is_answered)
    };
    let all = remotes.iter().enumerate();
    let shown = all.filter(|(index, remote)| is_shown(*index, remote));
    let readings: Vec<_> = shown.map(|(index, remote)| (index, remote.state)).collect();
    // A look for which nobody asks says nothing to anybody.
    let is_asked_for = world
        .desks()
        .any(|desk| conclusive_at(world, desk).is_some());
    let others = world.other.as_deref_mut();
    for desk in std::iter::once(&mut world.desk).chain(others) {
        let knowledge = &mut desk.operator.knowledge;
        knowledge.readings.extend(readings.iter().copied());
        knowledge.look = is_asked_for.then_some(now);
    }
}

/// The process dies, with all it holds of every resource. What starts in its place knows nothing.
pub fn crash(world: &mut World) {
    let others = world.other.as_deref_mut();
    for desk in std::iter::once(&mut world.desk).chain(others) {
        desk.operator = crate::world::Operator::default();
        let uid = desk.object.as_ref().map(Object::uid);
        if desk.cache.as_ref().map(Object::uid) != uid {
            desk.cache.clone_from(&desk.object);
        }
    }
}

/// When something is due that the operator waits for: an open POST can be concluded on.
pub fn conclusive_at(world: &World, desk: &Desk) -> Option<i64> {
    let object = desk.cache.as_ref()?;
    let knowledge = Knowledge::default();
    let observed = observe(world, object, &knowledge, &Memory::default(), world.now);
    let picture = Picture::of(&object.resource, &observed, moment(world.now));
    let times = picture
        .searching()
        .map(|entry| second(entry.time) + SETTLED);
    times.max()
}
