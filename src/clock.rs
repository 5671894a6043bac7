//! The one place where the time is read. Everything else is handed a [`Clock`] or a time.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::failpoint;

/// Tells the time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall clock now.
    fn now(&self) -> Timestamp;
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
