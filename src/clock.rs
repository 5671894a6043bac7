//! The one place where the time is read. Everything else is handed a [`Clock`] or a time.
//!
//! # Why steps are noticed
//! What outlives the process is dated by the wall clock, and a wall clock can be set. Two moments on
//! both sides of a step cannot be compared: a list read before the clock was set back would seem to
//! prove that what was asked for after it does not exist, and one read a second after the clock was
//! set forward would seem to have been read an hour later. So whoever concludes from such times asks
//! [`Steps`] first, and starts anew after one.

use std::{fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::failpoint;

/// Tells the time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall clock now.
    fn now(&self) -> Timestamp;
}

/// A moment by the two clocks that nobody can set: one stands still while the machine is suspended,
/// the other goes on. What others count on must not last longer than either says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    steady: Instant,
    since_boot: Duration,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self {
            steady: Instant::now(),
            since_boot: since_boot(),
        }
    }

    /// So much later.
    pub fn after(self, wait: Duration) -> Self {
        Self {
            steady: self.steady + wait,
            since_boot: self.since_boot + wait,
        }
    }

    /// Whether it is still to come, by both clocks.
    pub fn is_ahead_of(self, now: Self) -> bool {
        now.steady < self.steady && now.since_boot < self.since_boot
    }

    /// By the clock that stands still with the machine.
    pub const fn steady(self) -> Instant {
        self.steady
    }
}

#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Elsewhere, where the operator is only developed, a suspended machine is not noticed.
#[cfg(not(target_os = "linux"))]
const fn since_boot() -> Duration {
    Duration::ZERO
}

/// By so much the wall clock and the steady one may differ between two looks. Clocks that are kept
/// right little by little stay far below it.
const SLACK: SignedDuration = SignedDuration::from_secs(1);

/// Notices when the wall clock is set: it then moves by another time than has passed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steps {
    last: Option<(Timestamp, Instant)>,
    newest: Option<Timestamp>,
}

impl Steps {
    /// Takes what both clocks show now; says whether the wall clock was set since the time before.
    pub fn heed(&mut self, wall: Timestamp, steady: Instant) -> bool {
        let Some((wall_before, steady_before)) = self.last.replace((wall, steady)) else {
            return false;
        };
        // Two threads may come in another order than they looked.
        let passed = steady.saturating_duration_since(steady_before);
        let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        let shown = wall.duration_since(wall_before);
        let is_step = shown.saturating_sub(passed).abs() >= SLACK;
        if is_step {
            self.newest = Some(wall);
        }
        is_step
    }

    /// What the wall clock showed just after it was set last; none as long as it was not.
    pub const fn newest(&self) -> Option<Timestamp> {
        self.newest
    }
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the time is read"
    )]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        let error = SignedDuration::from_secs(failpoint::clock_error());
        now.checked_add(error).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_over_when_either_clock_has_passed_it() {
        let now = Moment::now();
        let until = now.after(Duration::from_secs(10));
        assert!(until.is_ahead_of(now));
        let suspended = Moment {
            since_boot: now.since_boot + Duration::from_secs(10),
            ..now
        };
        assert!(!until.is_ahead_of(suspended));
        let waited = Moment {
            steady: now.steady + Duration::from_secs(10),
            ..now
        };
        assert!(!until.is_ahead_of(waited));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_clock_that_goes_on_while_suspended_is_read() {
        assert!(!since_boot().is_zero());
    }

    #[test]
    fn a_clock_that_goes_with_the_time_makes_no_steps() {
        let (mut steps, start) = (Steps::default(), Instant::now());
        let wall = Timestamp::from_second(1_800_000_000).unwrap();
        for (shown, passed) in [(0, 0), (3600, 3600), (7200, 7200)] {
            let wall = wall + SignedDuration::from_secs(shown);
            assert!(!steps.heed(wall, start + Duration::from_secs(passed)));
        }
        // Another thread looked before and comes after.
        assert!(!steps.heed(wall + SignedDuration::from_millis(7_199_900), start));
        assert_eq!(steps.newest(), None);
    }

    #[test]
    fn a_clock_that_is_set_either_way_makes_a_step_once() {
        for step in [3600, 2, -2, -3600] {
            let (mut steps, start) = (Steps::default(), Instant::now());
            let wall = Timestamp::from_second(1_800_000_000).unwrap();
            let later = |seconds| start + Duration::from_secs(seconds);
            assert!(!steps.heed(wall, start));
            let after = wall + SignedDuration::from_secs(step + 10);
            assert!(steps.heed(after, later(10)), "{step}");
            assert_eq!(steps.newest(), Some(after));
            assert!(!steps.heed(after + SignedDuration::from_secs(5), later(15)));
            assert_eq!(steps.newest(), Some(after));
        }
    }
}
