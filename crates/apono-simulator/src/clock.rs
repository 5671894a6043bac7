//! What time it is for the simulated service: the one place that may read the system clock.
//!
//! Nothing else in this crate asks for the time; the machine is handed a [`Clock`]. It must not
//! sleep: waiting is the transport's business.

use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// A source of time that a test may push forward.
pub trait Clock: Debug + Send + Sync {
    /// The present, as the simulated service sees it.
    fn now(&self) -> Timestamp;
    /// Moves the present forward; a negative duration moves nothing.
    fn advance(&self, by: SignedDuration);
}

/// `at + by`, held within what a timestamp can express.
pub(crate) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    let edge = if by.is_negative() {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    at.checked_add(by).unwrap_or(edge)
}

/// The system's clock plus everything it was advanced by.
#[derive(Debug, Default)]
pub struct SystemClock {
    ahead: Mutex<SignedDuration>,
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let ahead = *guard(&self.ahead);
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the clock everybody else asks"
        )]
        let now = Timestamp::now();
        later(now, ahead)
    }

    fn advance(&self, by: SignedDuration) {
        let mut ahead = guard(&self.ahead);
        *ahead = ahead.saturating_add(by.max(SignedDuration::ZERO));
    }
}

/// A clock that stands still until it is advanced.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<Timestamp>,
}

impl ManualClock {
    /// A clock that shows `start` until somebody advances it.
    pub const fn new(start: Timestamp) -> Self {
        Self {
            now: Mutex::new(start),
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *guard(&self.now)
    }

    fn advance(&self, by: SignedDuration) {
        let mut now = guard(&self.now);
        *now = later(*now, by.max(SignedDuration::ZERO));
    }
}

/// A holder that panicked left nothing half done here, so its lock stays usable.
fn guard<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_advanced_and_never_back() {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        clock.advance(SignedDuration::from_secs(5));
        clock.advance(SignedDuration::from_secs(-9));
        assert_eq!(clock.now().as_second(), 5);
    }

    #[test]
    fn the_system_clock_keeps_what_it_was_advanced_by() {
        let clock = SystemClock::default();
        let before = clock.now();
        clock.advance(SignedDuration::from_hours(1));
        assert!(clock.now().duration_since(before) >= SignedDuration::from_hours(1));
    }
}
