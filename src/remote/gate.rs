//! The gate of one connection: may a call leave now? Pure: it is told the time and the answers.
//!
//! ```text
//! circuit   closed ──401──> open ──token changed──> half-open ──any answer but 401──> closed
//!                            ^                          │
//!                            └───────────401────────────┘   (one trial call at a time)
//! pause     none ──429──> until now + Retry-After, else 1 s doubling to 60 s ──over──> none
//! ```
//!
//! # Why a trial
//! A new token may be as wrong as the old one. Hundreds of waiting calls must not find that out
//! each for itself: the API may lock the user out.

use std::time::Duration;

use apono_client::ErrorClass;
use tokio::time::Instant;

/// The pause after a 429 that names none.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause we choose ourselves.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The longest pause the API can make us take: longer ones would outlive every deadline for taking
/// access back.
const LONGEST_ASKED: Duration = Duration::from_mins(5);

/// What holds calls back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The API asked for a pause until this time.
    Pause(Instant),
    /// The token has to change first, or a trial with the new one to end.
    Circuit,
}

/// What a call carries from its admission to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Which token it was made with, counted from zero.
    generation: u64,
    is_trial: bool,
    left: Instant,
}

impl Ticket {
    /// When the call left.
    pub(super) const fn left(self) -> Instant {
        self.left
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With a usable answer.
    Answered,
    /// With this failure, and the pause the answer asked for.
    Failed(ErrorClass, Option<Duration>),
    /// It was dropped.
    Dropped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Circuit {
    Closed,
    Open,
    HalfOpen { trial: bool },
}

/// The state.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    circuit: Circuit,
    generation: u64,
    paused_at: Option<Instant>,
    paused_until: Option<Instant>,
    next_pause: Duration,
    last_success: Option<Instant>,
    failing_since: Option<Instant>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            circuit: Circuit::Closed,
            generation: 0,
            paused_at: None,
            paused_until: None,
            next_pause: FIRST_PAUSE,
            last_success: None,
            failing_since: None,
        }
    }

    /// What holds every call back now, if anything does.
    pub(super) fn obstacle(&self, now: Instant) -> Option<Obstacle> {
        match self.circuit {
            Circuit::Open | Circuit::HalfOpen { trial: true } => return Some(Obstacle::Circuit),
            Circuit::Closed | Circuit::HalfOpen { trial: false } => {}
        }
        let until = self.paused_until.filter(|until| now < *until)?;
        Some(Obstacle::Pause(until))
    }

    /// Lets a call leave, unless something holds it back.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Ticket, Obstacle> {
        if let Some(obstacle) = self.obstacle(now) {
            return Err(obstacle);
        }
        let is_trial = self.circuit != Circuit::Closed;
        if is_trial {
            self.circuit = Circuit::HalfOpen { trial: true };
        }
        Ok(Ticket {
            generation: self.generation,
            is_trial,
            left: now,
        })
    }

    /// Learns from the end of a call. Returns whether the circuit opened or closed by it.
    pub(super) fn ended(&mut self, ticket: Ticket, ended: Ended, now: Instant) -> bool {
        let before = self.is_open();
        if ticket.generation == self.generation {
            self.circuit = self.circuit_after(ticket, ended);
        }
        match ended {
            Ended::Answered => {
                self.next_pause = FIRST_PAUSE;
                self.last_success = Some(now);
                self.failing_since = None;
            }
            Ended::Failed(ErrorClass::Throttled, asked) => self.pause(ticket, asked, now),
            Ended::Failed(class, _) if is_unavailable(class) => {
                self.failing_since.get_or_insert(now);
            }
            Ended::Failed(..) => self.failing_since = None,
            Ended::Dropped => {}
        }
        before != self.is_open()
    }

    fn circuit_after(&self, ticket: Ticket, ended: Ended) -> Circuit {
        match (self.circuit, ended) {
            (_, Ended::Failed(ErrorClass::Unauthorized, _)) => Circuit::Open,
            (Circuit::HalfOpen { .. }, Ended::Dropped) if ticket.is_trial => {
                Circuit::HalfOpen { trial: false }
            }
            // Without an answer nothing was learned of the token: the next call is the trial.
            (Circuit::HalfOpen { .. }, Ended::Failed(class, _))
                if ticket.is_trial && !is_answer(class) =>
            {
                Circuit::HalfOpen { trial: false }
            }
            (Circuit::HalfOpen { .. }, _) if ticket.is_trial => Circuit::Closed,
            (circuit, _) => circuit,
        }
    }

    fn pause(&mut self, ticket: Ticket, asked: Option<Duration>, now: Instant) {
        self.failing_since = None;
        // Calls that had left before the pause began say nothing new of it.
        let is_news = self.paused_at.is_none_or(|at| ticket.left >= at);
        let pause = match asked {
            Some(asked) => asked.min(LONGEST_ASKED),
            None if is_news => {
                let pause = self.next_pause;
                self.next_pause = (pause * 2).min(LONGEST_PAUSE);
                pause
            }
            None => return,
        };
        if is_news {
            self.paused_at = Some(now);
        }
        let until = now + pause;
        self.paused_until = Some(self.paused_until.map_or(until, |known| known.max(until)));
    }

    /// The token has changed: one trial call may leave.
    pub(super) fn token_changed(&mut self) {
        self.generation += 1;
        if self.circuit != Circuit::Closed {
            self.circuit = Circuit::HalfOpen { trial: false };
        }
    }

    /// Whether the token was refused and has not been proven since.
    pub(super) fn is_open(&self) -> bool {
        self.circuit != Circuit::Closed
    }

    /// When a call last succeeded.
    pub(super) fn last_success(&self) -> Option<Instant> {
        self.last_success
    }

    /// Since when every call has failed for want of the API.
    pub(super) fn failing_since(&self) -> Option<Instant> {
        self.failing_since
    }
}

/// Whether this failure speaks of the API rather than of the call.
fn is_unavailable(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Server
        | ErrorClass::Redirect
        | ErrorClass::Connect
        | ErrorClass::Timeout
        | ErrorClass::Broken
        | ErrorClass::Undecodable => true,
        ErrorClass::Unauthorized
        | ErrorClass::Throttled
        | ErrorClass::Refused
        | ErrorClass::NotFound
        | ErrorClass::Invalid => false,
    }
}

/// Whether the API looked at the token before it failed so.
fn is_answer(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Unauthorized
        | ErrorClass::Refused
        | ErrorClass::NotFound
        | ErrorClass::Undecodable => true,
        ErrorClass::Throttled
        | ErrorClass::Server
        | ErrorClass::Redirect
        | ErrorClass::Connect
        | ErrorClass::Timeout
        | ErrorClass::Broken
        | ErrorClass::Invalid => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED_TOKEN: Ended = Ended::Failed(ErrorClass::Unauthorized, None);

    fn throttled(asked: Option<u64>) -> Ended {
        Ended::Failed(ErrorClass::Throttled, asked.map(Duration::from_secs))
    }

    fn go(gate: &mut Gate, now: Instant) -> Ticket {
        gate.admit(now).unwrap()
    }

    fn pause(gate: &mut Gate, now: Instant) -> Duration {
        match gate.admit(now) {
            Err(Obstacle::Pause(until)) => until - now,
            other => panic!("not paused: {other:?}"),
        }
    }

    #[test]
    fn a_refused_token_stops_everything_until_it_changes() {
        let (mut gate, now) = (Gate::new(), Instant::now());
        let ticket = go(&mut gate, now);
        assert!(gate.ended(ticket, REFUSED_TOKEN, now));
        assert_eq!(
            gate.admit(now + Duration::from_hours(1)),
            Err(Obstacle::Circuit)
        );
    }

    #[test]
    fn a_changed_token_is_tried_by_one_call() {
        let (mut gate, now) = (Gate::new(), Instant::now());
        let ticket = go(&mut gate, now);
        gate.ended(ticket, REFUSED_TOKEN, now);
        gate.token_changed();
        let trial = go(&mut gate, now);
        assert_eq!(gate.admit(now), Err(Obstacle::Circuit));
        assert!(gate.is_open());
        assert!(gate.ended(trial, Ended::Answered, now));
        assert!(!gate.is_open());
        go(&mut gate, now);
        go(&mut gate, now);
    }

    #[test]
    fn a_failed_trial_opens_again_and_a_lost_one_is_repeated() {
        let (mut gate, now) = (Gate::new(), Instant::now());
        let ticket = go(&mut gate, now);
        gate.ended(ticket, REFUSED_TOKEN, now);
        gate.token_changed();
        for lost in [
            Ended::Dropped,
            Ended::Failed(ErrorClass::Connect, None),
            throttled(Some(0)),
        ] {
            let trial = go(&mut gate, now);
            gate.ended(trial, lost, now);
            assert!(gate.is_open());
        }
        let trial = go(&mut gate, now);
        gate.ended(trial, REFUSED_TOKEN, now);
        assert_eq!(gate.admit(now), Err(Obstacle::Circuit));
    }

    #[test]
    fn a_late_refusal_of_the_old_token_says_nothing_of_the_new_one() {
        let (mut gate, now) = (Gate::new(), Instant::now());
        let old = go(&mut gate, now);
        gate.token_changed();
        gate.ended(old, REFUSED_TOKEN, now);
        assert!(!gate.is_open());
    }

    #[test]
    fn a_pause_doubles_up_to_a_minute_and_starts_anew_after_a_success() {
        let (mut gate, mut now) = (Gate::new(), Instant::now());
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let ticket = go(&mut gate, now);
            gate.ended(ticket, throttled(None), now);
            let paused = pause(&mut gate, now);
            assert_eq!(paused, Duration::from_secs(expected));
            now += paused;
        }
        let ticket = go(&mut gate, now);
        gate.ended(ticket, Ended::Answered, now);
        let ticket = go(&mut gate, now);
        gate.ended(ticket, throttled(None), now);
        assert_eq!(pause(&mut gate, now), Duration::from_secs(1));
    }

    #[test]
    fn many_refusals_of_one_moment_are_one_pause() {
        let (mut gate, now) = (Gate::new(), Instant::now());
        let tickets: Vec<_> = (0..10).map(|_| go(&mut gate, now)).collect();
        let later = now + Duration::from_millis(5);
        for ticket in tickets {
            gate.ended(ticket, throttled(None), later);
        }
        assert_eq!(pause(&mut gate, later), Duration::from_secs(1));
    }

    #[test]
    fn the_api_says_how_long_up_to_a_bound() {
        let (mut gate, now) = (Gate::new(), Instant::now());
        let (first, second) = (go(&mut gate, now), go(&mut gate, now));
        gate.ended(first, throttled(Some(30)), now);
        gate.ended(second, throttled(Some(7)), now);
        assert_eq!(pause(&mut gate, now), Duration::from_secs(30));
        let now = now + Duration::from_secs(30);
        let ticket = go(&mut gate, now);
        gate.ended(ticket, throttled(Some(3600)), now);
        assert_eq!(pause(&mut gate, now), LONGEST_ASKED);
    }

    #[test]
    fn the_api_is_unavailable_from_the_first_failure_to_the_next_answer() {
        let (mut gate, now) = (Gate::new(), Instant::now());
        let later = now + Duration::from_secs(1);
        for at in [now, later] {
            let ticket = go(&mut gate, at);
            gate.ended(ticket, Ended::Failed(ErrorClass::Server, None), at);
        }
        assert_eq!(gate.failing_since(), Some(now));
        let ticket = go(&mut gate, later);
        gate.ended(ticket, Ended::Failed(ErrorClass::NotFound, None), later);
        assert_eq!(gate.failing_since(), None);
        assert_eq!(gate.last_success(), None);
    }
}
