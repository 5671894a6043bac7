//! The world of the model: one object at the API server or two of different names, what the watch
//! showed of them, the remote, and the operator's process. Values only; what can happen in it stands
//! in `moves.rs`.
//!
//! # One desk or two
//! All that belongs to one name is a [`Desk`]. What works on a resource finds its desk in
//! `World::desk`; the other one waits in `World::other` and is brought forward by `World::focus`. The
//! remote, the clock and the process are shared: lists show everybody's requests, and a crash takes
//! what the process holds of both.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use apono_client::State;
use apono_operator::{
    controller::{observed::Memory, plan::Step},
    crd::{AccessRequest, AccessRequestStatus},
    marker::Nonce,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::config::Budget;

/// The first second of every world.
const START: i64 = 1_795_000_000;

/// A moment of the world as the code sees it.
pub fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).expect("a bounded time")
}

/// A moment of the code as the world counts it.
pub fn second(moment: Timestamp) -> i64 {
    moment.as_second() - START
}

/// One version of the custom resource.
#[derive(Clone, Debug)]
pub struct Object {
    pub resource: Arc<AccessRequest>,
    /// Compared, never hashed: only which of two is the newer matters.
    pub version: u32,
    pub digest: u64,
    /// At which desk it is.
    pub desk: u8,
}

impl Object {
    pub fn new(mut resource: AccessRequest, version: u32, desk: u8) -> Self {
        resource.status = resource.status.map(without_words);
        let text = serde_json::to_string(&resource).expect("a resource encodes");
        Self {
            resource: Arc::new(resource),
            version,
            digest: digest(&text),
            desk,
        }
    }

    pub fn uid(&self) -> String {
        self.resource.uid().unwrap_or_default()
    }

    pub fn is_deleting(&self) -> bool {
        self.resource.metadata.deletion_timestamp.is_some()
    }
}

/// A POST that was marked, as it truly is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Post {
    pub nonce: Nonce,
    /// Which resource asks: a uid that carries the record of another is of the same line.
    pub uid: String,
    pub desk: u8,
    pub line: u8,
    pub n: i64,
    pub of: String,
    pub marked: i64,
    pub is_sent: bool,
}

/// A request at the remote, as it truly is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Remote {
    /// Absent for one that is not ours.
    pub post: Option<usize>,
    pub state: State,
    /// Whether somebody has access by it.
    pub access: bool,
    /// From when on lists show it.
    pub shown: i64,
    pub ends: i64,
}

impl Remote {
    /// Whether it is, or may become, access that nobody is taking back.
    pub fn is_live(&self) -> bool {
        self.access || !self.state.is_terminal()
    }
}

/// A POST that was sent, whose answer nobody will read, and which has not arrived.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flight {
    pub post: usize,
    pub size: u8,
    /// It arrives at this time at the latest.
    pub by: i64,
}

/// What the poller has read; in place of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Knowledge {
    pub readings: BTreeMap<usize, State>,
    /// When the newest complete look was asked for.
    pub look: Option<i64>,
    /// The POSTs that were answered to this process, until all they made is tracked.
    pub answered: BTreeSet<usize>,
}

/// What came of the step of a pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Came {
    Nothing,
    Made(Vec<usize>),
    Refused,
    NotSent,
    Empty,
    Lost,
    Revoked,
    Latched,
}

/// How far a pass is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It is decided, and nothing is done.
    Planned,
    /// The mark stands, and the POST has not left.
    Marked(usize),
    /// The remote is done with; the status is not written.
    Done(Option<usize>, Came),
}

/// A pass under way: what it saw, and how far it is.
#[derive(Clone, Debug)]
pub struct Pass {
    pub object: Object,
    pub knowledge: Arc<Knowledge>,
    pub memory: Arc<Memory>,
    pub at: i64,
    /// Follows from the rest, so it is not hashed.
    pub step: Arc<Step>,
    pub stage: Stage,
}

/// What the operator's process has of one resource. A crash leaves nothing of it.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    pub uid: String,
    /// The version of its own last write.
    pub written: u32,
    pub knowledge: Knowledge,
    pub memory: Memory,
    pub pass: Option<Pass>,
}

/// One name: the object that bears it, and what the operator has of it.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    /// Which of the two names it is.
    pub number: u8,
    pub object: Option<Object>,
    pub cache: Option<Object>,
    /// How many resources of the name there were.
    pub resources: u8,
    /// The annotations that somebody exported with the resource before.
    pub exported: Option<BTreeMap<String, String>>,
    pub line: u8,
    pub operator: Operator,
    /// The object as it was before its last change.
    pub before: Option<Object>,
    /// The pass that another replica had under way when it lost its lease.
    pub sleeper: Option<Pass>,
}

/// The world.
#[derive(Clone, Debug)]
pub struct World {
    pub now: i64,
    /// The desk at work; between moves the first.
    pub desk: Desk,
    /// The other one, where there are two.
    pub other: Option<Box<Desk>>,
    pub versions: u32,
    /// How many lines there were, at both desks.
    pub lines: u8,
    /// The uids whose finalizer our operator took off.
    pub released: BTreeSet<String>,
    /// The ids and nonces that debts name.
    pub owed: BTreeSet<String>,
    /// The uids whose finalizer or record somebody else took off: what follows is his doing.
    pub tampered: BTreeSet<String>,
    /// Whether access lasts longer than the world.
    pub is_endless: bool,
    pub posts: Vec<Post>,
    pub remotes: Vec<Remote>,
    pub flights: Vec<Flight>,
    /// The POSTs that left when nobody waited for them any more.
    pub late: BTreeSet<usize>,
    pub budget: Budget,
    /// What was done that must never be.
    pub violation: Option<String>,
}

impl World {
    /// What tells this state from others.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.now, self.lines).hash(&mut hasher);
        for desk in self.desks() {
            desk.digest(&mut hasher);
        }
        (&self.released, &self.owed, &self.tampered).hash(&mut hasher);
        (&self.posts, &self.remotes, &self.flights, &self.late).hash(&mut hasher);
        if self.budget.takeovers > 0 {
            for desk in self.desks() {
                desk.before.as_ref().map(|one| one.digest).hash(&mut hasher);
            }
        }
        (&self.budget, &self.violation).hash(&mut hasher);
        hasher.finish()
    }

    /// The desks, in the order of their numbers.
    pub fn desks(&self) -> impl Iterator<Item = &Desk> + Clone {
        let other = self.other.as_deref();
        let is_first = |desk: &&Desk| desk.number < self.desk.number;
        let before = other.filter(is_first);
        let after = other.filter(|desk| !is_first(desk));
        before
            .into_iter()
            .chain(std::iter::once(&self.desk))
            .chain(after)
    }

    /// Brings this desk forward.
    pub fn focus(&mut self, number: u8) {
        if let Some(other) = self.other.as_mut().filter(|one| one.number == number) {
            std::mem::swap(&mut self.desk, other);
        }
    }

    /// The world with this desk brought forward.
    pub fn focused(&self, number: u8) -> Self {
        let mut world = self.clone();
        world.focus(number);
        world
    }

    /// Whether no pass is under way.
    pub fn is_idle(&self) -> bool {
        self.desks().all(|desk| desk.operator.pass.is_none())
    }

    /// The name of the resources at a desk. Those of a world of two begin alike, and are too long for
    /// a mark: so the marks of the two differ in nothing but the nonce.
    pub fn name(&self, desk: u8) -> String {
        if self.other.is_none() {
            return "orders-read".to_owned();
        }
        let alike = "orders-read-".repeat(6);
        format!("{alike}{}", if desk == 0 { "a" } else { "b" })
    }

    /// Stores a new version of the object; one that is held by nothing goes.
    pub fn store(&mut self, resource: AccessRequest) -> Object {
        self.versions += 1;
        let object = Object::new(resource, self.versions, self.desk.number);
        let is_held = !object.resource.finalizers().is_empty();
        self.desk.before = self.desk.object.take();
        if !object.is_deleting() || is_held {
            self.desk.object = Some(object.clone());
        }
        object
    }
}

impl Desk {
    fn digest(&self, hasher: &mut DefaultHasher) {
        let object = |one: &Option<Object>| one.as_ref().map(|one| one.digest);
        let version = |one: &Option<Object>| one.as_ref().map(|one| one.version);
        (object(&self.object), object(&self.cache)).hash(hasher);
        (
            self.is_watched(),
            version(&self.cache) < Some(self.operator.written),
        )
            .hash(hasher);
        (self.resources, &self.exported, self.line).hash(hasher);
        self.sleeper.is_some().hash(hasher);
        (&self.operator.uid, &self.operator.knowledge).hash(hasher);
        remembered(&self.operator.memory).hash(hasher);
        for pass in [&self.operator.pass, &self.sleeper].into_iter().flatten() {
            let is_current = Some(pass.object.version) == version(&self.object);
            (pass.object.digest, is_current, pass.at).hash(hasher);
            (&*pass.knowledge, remembered(&pass.memory), &pass.stage).hash(hasher);
        }
    }

    /// Whether the watch has shown the object as it stands.
    pub fn is_watched(&self) -> bool {
        let version = |one: &Option<Object>| one.as_ref().map(|one| one.version);
        version(&self.cache) == version(&self.object)
    }
}

/// A status without what is only for people: two that differ in nothing else are one state.
pub fn without_words(mut status: AccessRequestStatus) -> AccessRequestStatus {
    status.message = None;
    status.expires = None;
    for condition in &mut status.conditions {
        condition.message.clear();
        condition.last_transition_time = Time(moment(0));
    }
    status
}

/// The id of a remote request.
pub fn id(index: usize) -> String {
    format!("r{index}")
}

/// The remote request of an id.
pub fn index(id: &str) -> usize {
    id.trim_start_matches('r').parse().expect("an id of ours")
}

fn remembered(memory: &Memory) -> String {
    if memory.revokes.is_empty() && memory.empty_answers.is_empty() {
        return String::new();
    }
    format!("{:?} {:?}", memory.revokes, memory.empty_answers)
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
