//! The control channel: what approvers, admins, the portal and tests can do and see.
//!
//! Every method has its twin under `/_control` and does exactly the same. Nothing here goes
//! through the API's authorization or its faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::catalogue::{Catalogue, Pair};
use crate::faults::{Armed, Fault};
use crate::ledger::{CallEntry, Counters, Entry, Event};
use crate::machine::{Ask, Command, Delays, Machine, Mode, NotPossible, Refusal, Wanted};
use crate::request::{Actor, Fate, Request, Via};
use crate::switches::Switches;
use crate::world::World;

/// Why the control channel does not do something, in a sentence that says what would work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// There is no such thing.
    #[error("{0}")]
    Unknown(String),
    /// It does not fit the state things are in.
    #[error("{0}")]
    Conflict(String),
    /// It is not understood or not allowed.
    #[error("{0}")]
    Invalid(String),
}

impl From<NotPossible> for ControlError {
    fn from(error: NotPossible) -> Self {
        match error {
            NotPossible::Unknown(_) => Self::Unknown(error.to_string()),
            NotPossible::State { .. } => Self::Conflict(error.to_string()),
        }
    }
}

impl From<Refusal> for ControlError {
    fn from(refusal: Refusal) -> Self {
        Self::Invalid(format!("{}: {}", refusal.code, refusal.message))
    }
}

/// A request from outside, as if made in the portal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outside {
    /// Who asks, by id or email.
    pub requestor: String,
    /// For whom, by id or email; absent: for himself.
    pub grantee: Option<String>,
    /// A bundle, by id or display name; or else `entitlements`.
    pub bundle: Option<String>,
    /// Entitlements, by ids.
    pub entitlements: Vec<Pair>,
    /// Why.
    pub justification: Option<String>,
    /// For how long.
    pub duration_in_sec: Option<i32>,
    /// The custom fields.
    pub custom_fields: BTreeMap<String, String>,
}

/// What moves requests and how long it takes; an absent part stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Behaviour {
    /// What moves requests.
    pub mode: Option<Mode>,
    /// How long moves take.
    pub delays: Option<Delays>,
}

/// The control channel.
#[derive(Debug, Clone)]
pub struct Control {
    world: Arc<Mutex<World>>,
}

impl Control {
    /// The control channel of this world.
    pub fn new(world: World) -> Self {
        Self {
            world: Arc::new(Mutex::new(world)),
        }
    }

    /// The world itself. Do not hold it across a wait.
    pub fn world(&self) -> MutexGuard<'_, World> {
        // Each change of the world is whole before anything could panic.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the machine; what it does is in the ledger afterwards.
    pub fn with<T>(&self, work: impl FnOnce(&mut Machine) -> T) -> T {
        let mut world = self.world();
        world.machine.settle();
        let done = work(&mut world.machine);
        world.machine.settle();
        world.note_changes();
        done
    }

    /// All requests in the order of creation.
    pub fn requests(&self) -> Vec<Request> {
        self.with(|machine| machine.requests().to_vec())
    }

    /// One request.
    pub fn request(&self, id: &str) -> Result<Request, ControlError> {
        self.with(|machine| machine.request(id).cloned())
            .ok_or_else(|| NotPossible::Unknown(id.to_owned()).into())
    }

    /// Does something to a request and shows it.
    pub fn command(&self, id: &str, command: &Command) -> Result<Request, ControlError> {
        self.with(|machine| machine.command(id, command))?;
        self.request(id)
    }

    /// Lets a request leave Initializing.
    pub fn route(&self, id: &str) -> Result<Request, ControlError> {
        self.command(id, &Command::Route)
    }

    /// Approves a request.
    pub fn approve(&self, id: &str) -> Result<Request, ControlError> {
        self.command(id, &Command::Approve)
    }

    /// Refuses a request.
    pub fn reject(&self, id: &str, reason: Option<&str>) -> Result<Request, ControlError> {
        self.command(
            id,
            &Command::Reject {
                reason: reason.map(ToOwned::to_owned),
            },
        )
    }

    /// Shows the second factor for a request.
    pub fn pass_mfa(&self, id: &str) -> Result<Request, ControlError> {
        self.command(id, &Command::PassMfa)
    }

    /// Brings a request to Granting, whatever it waits for.
    pub fn grant(&self, id: &str) -> Result<Request, ControlError> {
        self.command(id, &Command::Grant)
    }

    /// Brings a request to Active, whatever it waits for.
    pub fn activate(&self, id: &str) -> Result<Request, ControlError> {
        self.command(id, &Command::Activate)
    }

    /// Breaks the grant or the revoke under way.
    pub fn fail(&self, id: &str) -> Result<Request, ControlError> {
        self.command(id, &Command::Fail { granted: 0 })
    }

    /// Breaks the grant under way after so many entitlements.
    pub fn fail_partly(&self, id: &str, granted: usize) -> Result<Request, ControlError> {
        self.command(id, &Command::Fail { granted })
    }

    /// Takes a request back, as an admin would.
    pub fn revoke(&self, id: &str) -> Result<Request, ControlError> {
        self.command(id, &Command::Revoke)
    }

    /// Ends a revoke under way.
    pub fn finish_revoke(&self, id: &str) -> Result<Request, ControlError> {
        self.command(id, &Command::FinishRevoke)
    }

    /// Lets the time of a request be up.
    pub fn expire(&self, id: &str) -> Result<Request, ControlError> {
        self.command(id, &Command::Expire)
    }

    /// Moves the planned end of a request.
    pub fn extend(&self, id: &str, by: SignedDuration) -> Result<Request, ControlError> {
        self.command(id, &Command::Extend { by })
    }

    /// Decides how grant and revoke of a request will turn out.
    pub fn fate(&self, id: &str, fate: Fate) -> Result<Request, ControlError> {
        self.command(id, &Command::Fate { fate })
    }

    /// Makes requests as if in the portal.
    pub fn create(&self, outside: Outside) -> Result<Vec<Request>, ControlError> {
        let wanted = match (outside.bundle, outside.entitlements) {
            (Some(bundle), pairs) if pairs.is_empty() => Wanted::Bundle(bundle),
            (None, pairs) if !pairs.is_empty() => Wanted::Entitlements(pairs),
            _ => {
                let message = "name either a `bundle` or `entitlements` [{resource, permission}]";
                return Err(ControlError::Invalid(message.to_owned()));
            }
        };
        self.with(|machine| {
            let requestor = machine.users().find(&outside.requestor).ok_or_else(|| {
                let name = &outside.requestor;
                let message = format!("no user `{name}`; GET /_control/users lists them");
                ControlError::Unknown(message)
            })?;
            let keys = machine.create(Ask {
                requestor,
                grantee: outside.grantee,
                wanted,
                justification: outside.justification,
                duration_in_sec: outside.duration_in_sec,
                custom_fields: outside.custom_fields,
                by: Actor::Control,
                via: Via::Portal,
            })?;
            Ok(keys
                .into_iter()
                .filter_map(|key| machine.get(key).cloned())
                .collect())
        })
    }

    /// The present of the simulated service.
    pub fn now(&self) -> Timestamp {
        self.world().machine.now()
    }

    /// Moves the clock forward and says what time it is then.
    pub fn advance(&self, by: SignedDuration) -> Timestamp {
        self.with(|machine| {
            machine.advance(by);
            machine.now()
        })
    }

    /// The switches.
    pub fn switches(&self) -> Switches {
        self.world().machine.switches().clone()
    }

    /// Changes switches in place.
    pub fn set_switches(&self, change: impl FnOnce(&mut Switches)) {
        self.with(|machine| {
            let mut switches = machine.switches().clone();
            change(&mut switches);
            machine.set_switches(switches);
        });
    }

    /// Sets the switches that `patch` names.
    pub fn patch_switches(&self, patch: &Map<String, Value>) -> Result<Switches, ControlError> {
        let mut switches = self.switches();
        switches.patch(patch).map_err(ControlError::Invalid)?;
        self.set_switches(|it| it.clone_from(&switches));
        Ok(switches)
    }

    /// What moves requests and how long it takes.
    pub fn behaviour(&self) -> (Mode, Delays) {
        let world = self.world();
        (world.machine.mode(), world.machine.delays())
    }

    /// Changes what moves requests.
    pub fn set_mode(&self, mode: Mode) {
        self.set_behaviour(Behaviour {
            mode: Some(mode),
            delays: None,
        });
    }

    /// Changes how long moves take.
    pub fn set_delays(&self, delays: Delays) {
        self.set_behaviour(Behaviour {
            mode: None,
            delays: Some(delays),
        });
    }

    /// Changes the parts of the behaviour that are named.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.with(|machine| {
            let mode = behaviour.mode.unwrap_or_else(|| machine.mode());
            let delays = behaviour.delays.unwrap_or_else(|| machine.delays());
            machine.set_behaviour(mode, delays);
        });
    }

    /// Replaces a user's tokens, as when one is rotated.
    pub fn set_tokens(&self, user: &str, tokens: Vec<String>) -> Result<(), ControlError> {
        if self.with(|machine| machine.users_mut().set_tokens(user, tokens)) {
            Ok(())
        } else {
            Err(ControlError::Unknown(format!(
                "no user `{user}`; GET /_control/users lists them"
            )))
        }
    }

    /// Makes a user an admin, who may act for others on v3, or takes that from him.
    pub fn set_admin(&self, user: &str, admin: bool) -> Result<(), ControlError> {
        if self.with(|machine| machine.users_mut().set_admin(user, admin)) {
            Ok(())
        } else {
            Err(ControlError::Unknown(format!(
                "no user `{user}`; GET /_control/users lists them"
            )))
        }
    }

    /// The catalogue.
    pub fn catalogue(&self) -> Catalogue {
        self.world().machine.catalogue().clone()
    }

    /// Arms a fault and says its number.
    pub fn arm(&self, fault: Fault) -> u64 {
        self.world().faults.arm(fault)
    }

    /// All faults.
    pub fn faults(&self) -> Vec<Armed> {
        self.world().faults.all().to_vec()
    }

    /// Takes a fault back.
    pub fn disarm(&self, id: u64) -> Result<(), ControlError> {
        if self.world().faults.disarm(id) {
            Ok(())
        } else {
            Err(ControlError::Unknown(format!(
                "no fault {id}; GET /_control/faults lists them"
            )))
        }
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.world().faults.clear();
    }

    /// How many calls there were.
    pub fn counters(&self) -> Counters {
        self.world().ledger.counters().clone()
    }

    /// What happened after this entry; 0 for all.
    pub fn ledger(&self, after: u64) -> Vec<Entry> {
        self.with(Machine::settle);
        self.world().ledger.after(after).cloned().collect()
    }

    /// The calls of the ledger.
    pub fn calls(&self) -> Vec<CallEntry> {
        let call = |entry: Entry| match entry.event {
            Event::Call(call) => Some(call),
            Event::Change(_) => None,
        };
        self.ledger(0).into_iter().filter_map(call).collect()
    }

    /// As at the start, except that the clock does not go back.
    pub fn reset(&self) {
        self.world().reset();
    }
}
