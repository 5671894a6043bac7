//! The whole simulated service without its socket: machine, faults and ledger in one place.
//!
//! A call is two steps, so that a slow call can wait in between: [`World::begin`] lets the faults
//! strike, [`World::finish`] does the call and says what is to be sent. Nothing here waits.

use std::sync::Arc;

use bytes::Bytes;

use crate::catalogue::Catalogue;
use crate::clock::Clock;
use crate::endpoint::Route;
use crate::faults::{Action, Faults, Strike};
use crate::http::{Answer, Call};
use crate::ledger::{CallEntry, Event, Ledger};
use crate::machine::{Delays, Machine, Mode, Refusal};
use crate::routes::{self, Rates};
use crate::switches::Switches;
use crate::users::{User, Users};

/// What a world starts with, and is reset to.
#[derive(Debug, Clone)]
pub struct Start {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What can be asked for.
    pub catalogue: Catalogue,
    /// Who may call.
    pub users: Vec<User>,
    /// How the unknown is answered.
    pub switches: Switches,
    /// What moves requests.
    pub mode: Mode,
    /// How long moves take.
    pub delays: Delays,
    /// Where chance starts.
    pub seed: u64,
    /// How many ledger entries are kept.
    pub ledger_capacity: usize,
}

/// What goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sending {
    /// The answer.
    Answer(Answer),
    /// The answer up to this many bytes of its body, then a broken connection.
    Cut(Answer, usize),
    /// A broken connection.
    Drop,
    /// Nothing, ever.
    Hang,
}

/// The simulated service.
#[derive(Debug)]
pub struct World {
    start: Start,
    pub(crate) machine: Machine,
    pub(crate) faults: Faults,
    pub(crate) ledger: Ledger,
    rates: Rates,
}

impl World {
    /// A service in which nothing has happened yet.
    pub fn new(start: Start) -> Self {
        let (machine, faults, ledger) = Self::fresh(&start);
        Self {
            start,
            machine,
            faults,
            ledger,
            rates: Rates::default(),
        }
    }

    fn fresh(start: &Start) -> (Machine, Faults, Ledger) {
        let users = Users::new(start.users.clone(), &start.catalogue.people);
        let clock = Arc::clone(&start.clock);
        let mut machine = Machine::new(clock, start.catalogue.clone(), users, start.seed);
        machine.set_switches(start.switches.clone());
        machine.set_behaviour(start.mode, start.delays);
        (
            machine,
            Faults::new(start.seed),
            Ledger::new(start.ledger_capacity),
        )
    }

    /// As at the start, except that the clock does not go back.
    pub fn reset(&mut self) {
        (self.machine, self.faults, self.ledger) = Self::fresh(&self.start);
        self.rates = Rates::default();
    }

    /// Writes what the machine did into the ledger.
    pub(crate) fn note_changes(&mut self) {
        for change in self.machine.take_changes() {
            self.ledger.write(Event::Change(change));
        }
    }

    /// Which faults strike this call.
    pub fn begin(&mut self, call: &Call) -> Strike {
        let route = Route::find(&call.method, &call.segments());
        self.faults.strike(route.endpoint())
    }

    /// Does the call, unless a fault forbids it, and says what is to be sent.
    pub fn finish(&mut self, call: &Call, strike: &Strike) -> Sending {
        let route = Route::find(&call.method, &call.segments());
        let executes = strike.last.as_ref().is_none_or(Action::lets_execute);
        let outcome = executes.then(|| {
            let (machine, rates) = (&mut self.machine, &mut self.rates);
            routes::answer(machine, rates, call, &route, strike.distortion)
        });
        self.machine.settle();
        self.note_changes();
        let real = outcome.as_ref().map(|outcome| outcome.answer.clone());
        let result = real.as_ref().map(|answer| answer.status);
        let sending = match &strike.last {
            Some(action) => self.spoil(action, real),
            None => Sending::Answer(real.unwrap_or_else(|| Answer::empty(500))),
        };
        let (status, bytes) = match &sending {
            Sending::Answer(answer) => (Some(answer.status), answer.body.len()),
            Sending::Cut(answer, length) => (Some(answer.status), *length),
            Sending::Drop | Sending::Hang => (None, 0),
        };
        let (user, ids) = outcome.map_or_else(
            || {
                (
                    self.user(call),
                    route.id().map(str::to_owned).into_iter().collect(),
                )
            },
            |outcome| (outcome.user, outcome.ids),
        );
        self.ledger.write(Event::Call(CallEntry {
            at: self.machine.now(),
            endpoint: route.endpoint(),
            method: call.method.clone(),
            path: call.target(),
            user,
            executed: executes,
            result,
            status,
            ids,
            bytes,
            fault: strike.last.clone(),
        }));
        sending
    }

    /// Both steps without the waits, for simulations that have no socket.
    pub fn exchange(&mut self, call: &Call) -> Sending {
        let strike = self.begin(call);
        self.finish(call, &strike)
    }

    fn user(&self, call: &Call) -> Option<String> {
        let (key, _) = self.machine.users().by_token(call.bearer()?)?;
        Some(self.machine.users().email(key).to_owned())
    }

    /// What a fault makes of an answer; `real` is absent when the call was not done.
    fn spoil(&self, action: &Action, real: Option<Answer>) -> Sending {
        let real = real.unwrap_or_else(|| Answer::empty(500));
        match action {
            Action::Answer {
                status,
                retry_after,
                body,
                ..
            } => Sending::Answer(self.instead(*status, retry_after.as_ref(), body.as_ref())),
            Action::Drop { .. } => Sending::Drop,
            Action::Hang { .. } => Sending::Hang,
            Action::Garbage => Sending::Answer(Answer {
                status: 200,
                body: Bytes::from_static(b"{\"id\": <not json at all>"),
                ..real
            }),
            Action::Truncate { complete: false } => {
                let half = real.body.len() / 2;
                Sending::Cut(real, half)
            }
            Action::Truncate { complete: true } => {
                let body = real.body.slice(..real.body.len() / 2);
                Sending::Answer(Answer { body, ..real })
            }
            Action::ContentType { content_type } => Sending::Answer(Answer {
                content_type: Some(content_type.clone()),
                ..real
            }),
            Action::EmptyArray { .. } => Sending::Answer(Answer::json(200, &[(); 0])),
            Action::Oversize { bytes } => {
                let mut body = real.body.to_vec();
                body.resize(body.len().max(*bytes), b' ');
                Sending::Answer(Answer {
                    body: body.into(),
                    ..real
                })
            }
            Action::Redirect { location, status } => {
                Sending::Answer(Answer::empty(*status).with_header("location", location.as_str()))
            }
            Action::Slow { .. }
            | Action::PageDrift { .. }
            | Action::ListLag { .. }
            | Action::StaleList { .. } => Sending::Answer(real),
        }
    }

    fn instead(&self, status: u16, wait: Option<&String>, body: Option<&String>) -> Answer {
        let answer = if let Some(body) = body {
            Answer::text(status, body.clone())
        } else {
            let refusal = Refusal::new(status, "SIMULATED", "a simulated fault");
            Answer::refusal(&refusal, self.machine.switches().error_shape)
        };
        match wait {
            Some(wait) => answer.with_header("retry-after", wait.clone()),
            None => answer,
        }
    }
}
