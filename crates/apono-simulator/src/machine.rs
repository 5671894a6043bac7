//! The simulated service as a synchronous state machine on an injected clock.
//!
//! It owns all requests, moves them, and hands out what happened as [`Change`]s. In
//! [`Mode::Auto`] time moves requests: every due move is made, at its own due time, before
//! anything is read or done. In [`Mode::Explicit`] only commands and callers do.
//! It knows nothing of HTTP, tokens of pages, or faults.
//!
//! - `machine/create.rs`: what may be asked for, and the requests it makes
//! - `machine/judge.rs`: what flows and switches say to a wish
//! - `machine/index.rs`: which requests are whose and where they stand
//! - `machine/moves.rs`: the moves, and when time or a caller makes them
//! - `machine/commands.rs`: what the control channel can do

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::catalogue::{Catalogue, Described, Flow, Pair};
use crate::clock::Clock;
use crate::request::{Actor, Request};
use crate::status::Status;
use crate::switches::{IdForm, Switches};
use crate::users::{Users, uuid};

mod commands;
mod create;
mod index;
mod judge;
mod moves;

use index::Index;

pub use commands::{Command, NotPossible};
pub use create::{Ask, Wanted};
pub use index::Whose;
pub use judge::Refusal;

/// What moves requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Time and commands.
    #[default]
    Auto,
    /// Commands only.
    Explicit,
}

/// How long each move takes in [`Mode::Auto`]; null where time alone never makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Delays {
    /// From created to Pending.
    pub route: SignedDuration,
    /// From Pending to approved, where no person decides.
    pub approve: SignedDuration,
    /// From Pending to approved, where a person decides.
    pub human: Option<SignedDuration>,
    /// From Pending to approved, where a webhook's program decides.
    pub webhook: Option<SignedDuration>,
    /// From `PendingMFA` to passed.
    pub mfa: Option<SignedDuration>,
    /// From Granting to Active.
    pub grant: SignedDuration,
    /// From Revoking to Revoked.
    pub revoke: SignedDuration,
}

impl Default for Delays {
    fn default() -> Self {
        let two_seconds = SignedDuration::from_secs(2);
        Self {
            route: SignedDuration::ZERO,
            approve: SignedDuration::ZERO,
            human: None,
            webhook: None,
            mfa: None,
            grant: two_seconds,
            revoke: two_seconds,
        }
    }
}

impl Delays {
    /// Everything happens at once; people still take their time.
    pub const INSTANT: Self = Self {
        route: SignedDuration::ZERO,
        approve: SignedDuration::ZERO,
        human: None,
        webhook: None,
        mfa: None,
        grant: SignedDuration::ZERO,
        revoke: SignedDuration::ZERO,
    };
}

/// A move that was made, for the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Which request.
    pub id: String,
    /// From where; absent at the create.
    pub from: Option<Status>,
    /// Where to.
    pub to: Status,
    /// Who made it.
    pub by: Actor,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Marks a request inside the machine: its place in the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub(crate) usize);

/// The machine.
#[derive(Debug)]
pub struct Machine {
    clock: Arc<dyn Clock>,
    catalogue: Catalogue,
    users: Users,
    switches: Switches,
    mode: Mode,
    delays: Delays,
    requests: Vec<Request>,
    ids: HashMap<String, Key>,
    /// The other ids: those that the id form did not choose.
    other_ids: HashMap<String, Key>,
    index: Index,
    /// Where in the catalogue a resource is: its integration and its place there.
    places: HashMap<String, (usize, usize)>,
    due: BTreeSet<(Timestamp, Key)>,
    batches: u64,
    rng: StdRng,
    changes: Vec<Change>,
}

impl Machine {
    /// A machine without requests.
    pub fn new(clock: Arc<dyn Clock>, catalogue: Catalogue, users: Users, seed: u64) -> Self {
        Self {
            clock,
            places: places(&catalogue),
            catalogue,
            users,
            switches: Switches::default(),
            mode: Mode::default(),
            delays: Delays::default(),
            requests: Vec::new(),
            ids: HashMap::new(),
            other_ids: HashMap::new(),
            index: Index::default(),
            due: BTreeSet::new(),
            batches: 0,
            rng: StdRng::seed_from_u64(seed),
            changes: Vec::new(),
        }
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock forward and makes every move that falls due.
    pub fn advance(&mut self, by: SignedDuration) {
        self.clock.advance(by);
        self.settle();
    }

    /// The catalogue.
    pub const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The users.
    pub const fn users(&self) -> &Users {
        &self.users
    }

    /// The users, to change their tokens.
    pub const fn users_mut(&mut self) -> &mut Users {
        &mut self.users
    }

    /// The switches.
    pub const fn switches(&self) -> &Switches {
        &self.switches
    }

    /// Replaces the switches; moves already under way follow the new ones.
    pub fn set_switches(&mut self, switches: Switches) {
        self.settle();
        self.switches = switches;
        self.reschedule_all();
    }

    /// What moves requests.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// How long moves take.
    pub const fn delays(&self) -> Delays {
        self.delays
    }

    /// Changes what moves requests and how long it takes, also for moves already under way.
    pub fn set_behaviour(&mut self, mode: Mode, delays: Delays) {
        self.settle();
        self.mode = mode;
        self.delays = delays;
        self.reschedule_all();
    }

    /// Forgets all requests; users, catalogue, switches and behaviour stay.
    pub fn clear(&mut self) {
        self.requests.clear();
        self.ids.clear();
        self.other_ids.clear();
        self.index.clear();
        self.due.clear();
        self.changes.clear();
        self.batches = 0;
    }

    /// All requests in the order of creation, as they are now.
    pub fn requests(&mut self) -> &[Request] {
        self.settle();
        &self.requests
    }

    /// The request of this id, as it is now.
    pub fn request(&mut self, id: &str) -> Option<&Request> {
        self.settle();
        self.get(self.find(id)?)
    }

    /// The place of this id.
    pub fn find(&self, id: &str) -> Option<Key> {
        self.ids.get(id).copied()
    }

    /// The request at this place, as it was when the machine last moved.
    pub fn get(&self, key: Key) -> Option<&Request> {
        self.requests.get(key.0)
    }

    /// The place of a request by the id that the id form did not choose.
    pub fn find_by_other_id(&self, id: &str) -> Option<Key> {
        self.other_ids.get(id).copied()
    }

    /// The meant requests of these statuses (none named: all) after this one, oldest first.
    pub fn oldest_first(
        &self,
        whose: Whose,
        statuses: &[Status],
        after: Option<Key>,
    ) -> impl Iterator<Item = (Key, &Request)> {
        let keys = self.index.oldest_first(whose, statuses, after);
        keys.filter_map(|key| Some((key, self.get(key)?)))
    }

    /// The meant requests of these statuses (none named: all) before this one, newest first.
    pub fn newest_first(
        &self,
        whose: Whose,
        statuses: &[Status],
        before: Option<Key>,
    ) -> impl Iterator<Item = (Key, &Request)> {
        let keys = self.index.newest_first(whose, statuses, before);
        keys.filter_map(|key| Some((key, self.get(key)?)))
    }

    /// All that the catalogue knows of an entitlement, found without a search.
    pub fn describe(&self, pair: &Pair) -> Option<Described<'_>> {
        let (integration, resource) = self.places.get(&pair.resource)?;
        let integration = self.catalogue.integrations.get(*integration)?;
        let resource = integration.resources.get(*resource)?;
        let mut kinds = integration.resource_types.iter();
        let resource_type = kinds.find(|kind| kind.id == resource.resource_type)?;
        let mut permissions = resource_type.permissions.iter();
        Some(Described {
            integration,
            resource_type,
            resource,
            permission: permissions.find(|it| it.id == pair.permission)?,
        })
    }

    /// Takes the changes made since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn flow(&self, request: &Request) -> Option<&Flow> {
        self.catalogue.flows.get(request.flow_place)
    }

    /// The three ids of the next request: the one callers of v4 see, the UUID, the friendly one.
    fn next_ids(&mut self) -> (String, String, String) {
        let uuid = uuid(self.rng.next_u64(), self.rng.next_u64());
        let friendly = format!("AR-{:05}", self.requests.len() + 1);
        let id = match self.switches.id_form {
            IdForm::Uuid => uuid.clone(),
            IdForm::ArNumber => friendly.clone(),
        };
        (id, uuid, friendly)
    }

    fn insert(&mut self, request: Request) -> Key {
        let key = Key(self.requests.len());
        self.ids.insert(request.id.clone(), key);
        for other in [&request.uuid, &request.friendly_id] {
            if *other != request.id {
                self.other_ids.insert(other.clone(), key);
            }
        }
        self.index.add(key, request.who(), request.status);
        self.changes.push(Change {
            at: request.created_at,
            id: request.id.clone(),
            from: None,
            to: request.status,
            by: request
                .timeline
                .first()
                .map_or(Actor::Clock, |first| first.by.clone()),
            note: None,
        });
        self.requests.push(request);
        self.reschedule(key, None);
        key
    }
}

fn places(catalogue: &Catalogue) -> HashMap<String, (usize, usize)> {
    let mut places = HashMap::new();
    for (integration, it) in catalogue.integrations.iter().enumerate() {
        for (resource, it) in it.resources.iter().enumerate() {
            places
                .entry(it.id.clone())
                .or_insert((integration, resource));
        }
    }
    places
}
