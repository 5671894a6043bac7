//! One session: the way into one system that a live request opens, with its credentials.
//!
//! It records; opening, reading and resetting are the machine's.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::machine::Key;
use crate::request::Actor;
use crate::users::UserKey;

/// What has become of a session's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Credentials {
    /// Nobody has read them.
    Available,
    /// Somebody has; they are not shown again.
    Viewed,
    /// New ones are being made.
    Resetting,
    /// There are none.
    NotApplicable,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Its place in the order of opening, from 1.
    pub number: u64,
    /// Its display name.
    pub name: String,
    /// Whose it is, by email.
    pub user: String,
    #[serde(skip)]
    pub(crate) user_key: UserKey,
    /// The id of the system it leads into.
    pub integration: String,
    /// The ids of the requests that keep it open.
    pub requests: Vec<String>,
    #[serde(skip)]
    pub(crate) keys: BTreeSet<Key>,
    /// What has become of its credentials.
    pub credentials: Credentials,
    /// Whether they can be reset.
    pub resettable: bool,
    /// The user name in the system.
    pub username: String,
    /// Every password so far; the last one works. None without credentials.
    pub passwords: Vec<String>,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it closed.
    pub closed_at: Option<Timestamp>,
    /// When the reset under way began.
    pub reset_at: Option<Timestamp>,
}

impl Session {
    /// Whether it can still be used.
    pub const fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }

    /// The password that works now.
    pub fn password(&self) -> Option<&str> {
        self.passwords.last().map(String::as_str)
    }
}

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionMove {
    /// It opened.
    Opened,
    /// One more request keeps it open.
    Joined,
    /// The password was read: that was the one reading of it.
    Consumed,
    /// The details were read without the password.
    ReadAgain,
    /// A reset began.
    Reset,
    /// The reset ended; there is a new password.
    Renewed,
    /// A request that kept it open has ended; others remain.
    Left,
    /// It closed.
    Closed,
}

/// Something that happened to a session, for the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionChange {
    /// When.
    pub at: Timestamp,
    /// Which session.
    pub session: String,
    /// The requests that kept it open then.
    pub requests: Vec<String>,
    /// What.
    pub what: SessionMove,
    /// Who made it.
    pub by: Actor,
}

/// How a session was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Uses {
    /// How often a caller of the API was given the password, be it that the answer was lost.
    pub consuming_reads: u64,
    /// How often somebody else was, by the control channel.
    pub consuming_reads_elsewhere: u64,
    /// How often the details were read without the password.
    pub later_reads: u64,
    /// How many resets began.
    pub resets: u64,
}

impl Uses {
    /// Counts what happened.
    pub(crate) const fn count(&mut self, change: &SessionChange) {
        match (change.what, &change.by) {
            (SessionMove::Consumed, Actor::Control) => self.consuming_reads_elsewhere += 1,
            (SessionMove::Consumed, _) => self.consuming_reads += 1,
            (SessionMove::ReadAgain, _) => self.later_reads += 1,
            (SessionMove::Reset, _) => self.resets += 1,
            _ => {}
        }
    }
}
