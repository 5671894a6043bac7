//! What became of finding out what the spec means in Apono's catalogue, and when that is found out.
//! Pure: reading the catalogue is `resolve.rs`, matching names is `catalogue.rs`.
//!
//! | outcome | asked for | looked up again |
//! | --- | --- | --- |
//! | as written, found | yes | never: what was found is kept in the status |
//! | not available, not allowed | no | after ten minutes, and when resource or connection change |
//! | not readable | no | after five seconds, doubled each time up to ten minutes |

use std::time::Duration;

use jiff::Timestamp;

use super::observed::{Observed, doubled};
use crate::crd::{AccessRequestStatus, ResolvedAccess};

/// What the catalogue said no to is asked again this often.
pub const RECHECK: Duration = Duration::from_mins(10);
/// The first repeat of a read that failed.
const REPEAT: Duration = Duration::from_secs(2);
/// No repeat waits longer: a remote that fails every other call is not down.
const REPEAT_CAP: Duration = Duration::from_secs(20);

/// What the spec was found to mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Resolution {
    /// Nothing has to be found out: what is written can be sent as it is.
    #[default]
    AsWritten,
    /// It means this.
    Found(ResolvedAccess),
    /// It is not offered, or not under one name alone.
    NotAvailable {
        /// For people: what, value, next step.
        message: String,
        /// The status of the answer, where Apono refused to say what it offers.
        status: Option<u16>,
    },
    /// The connection does not allow what it means.
    NotAllowed {
        /// For people: what, value, allowed values, next step.
        message: String,
    },
    /// The catalogue could not be read.
    Unreadable {
        /// For people.
        message: String,
    },
}

/// What was found out in this process for a resource that could not be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consulted {
    /// When.
    pub at: Timestamp,
    /// How often in a row it could not be read.
    pub failures: u32,
    /// What was asked, and under which rules: another question needs another answer.
    pub question: u64,
    /// The answer.
    pub resolution: Resolution,
}

impl Consulted {
    /// When the catalogue is read again.
    pub fn next(&self) -> Timestamp {
        match self.resolution {
            Resolution::Unreadable { .. } => self.at + doubled(REPEAT, self.failures, REPEAT_CAP),
            Resolution::AsWritten | Resolution::Found(_) => self.at,
            Resolution::NotAvailable { .. } | Resolution::NotAllowed { .. } => self.at + RECHECK,
        }
    }
}

impl Resolution {
    /// Whether it keeps the resource from being asked for.
    pub fn forbids(&self) -> bool {
        match self {
            Self::AsWritten | Self::Found(_) => false,
            Self::NotAvailable { .. } | Self::NotAllowed { .. } | Self::Unreadable { .. } => true,
        }
    }
}

impl Observed {
    /// What the names in the spec mean: found in this pass, or long known.
    pub fn resolved<'a>(&'a self, status: &'a AccessRequestStatus) -> Option<&'a ResolvedAccess> {
        match &self.resolution {
            Resolution::Found(found) => Some(found),
            Resolution::AsWritten
            | Resolution::NotAvailable { .. }
            | Resolution::NotAllowed { .. }
            | Resolution::Unreadable { .. } => status.resolved.as_ref(),
        }
    }

    /// When the catalogue is read again, if what it said keeps the resource from being asked for.
    pub fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let consulted = self.memory.consulted.as_ref();
        let next = consulted.map_or(now + RECHECK, Consulted::next);
        self.resolution.forbids().then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consulted(resolution: Resolution, failures: u32) -> Consulted {
        Consulted {
            at: Timestamp::UNIX_EPOCH,
            failures,
            question: 0,
            resolution,
        }
    }

    #[test]
    fn a_no_is_asked_again_after_ten_minutes_and_a_failed_read_sooner() {
        let message = String::new;
        let wait = |resolution, failures| {
            let next = consulted(resolution, failures).next();
            next.duration_since(Timestamp::UNIX_EPOCH).as_secs()
        };
        let no = Resolution::NotAvailable {
            message: message(),
            status: None,
        };
        assert_eq!(wait(no, 0), 600);
        assert_eq!(wait(Resolution::NotAllowed { message: message() }, 0), 600);
        for (failures, seconds) in [(1, 2), (2, 4), (3, 8), (50, 20)] {
            let unreadable = Resolution::Unreadable { message: message() };
            assert_eq!(wait(unreadable, failures), seconds);
        }
    }
}
