//! What happened, in order: every call of the API and every change of a request or a session.
//!
//! Tests take this as the truth about what a client did. It is never changed afterwards; when it
//! is full, the oldest entries go and are counted.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::faults::Action;
use crate::machine::Change;
use crate::session::{SessionChange, Uses};

/// A call of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEntry {
    /// When it was done, or would have been.
    pub at: Timestamp,
    /// Which call.
    pub endpoint: Endpoint,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Whose token came with it, by email.
    pub user: Option<String>,
    /// Whether it was done.
    pub executed: bool,
    /// What doing it gave, whatever was then answered.
    pub result: Option<u16>,
    /// The status answered; none when there was no answer.
    pub status: Option<u16>,
    /// The requests and sessions it named or made; not those of a list.
    pub ids: Vec<String>,
    /// The length of the body answered.
    pub bytes: usize,
    /// The fault that took the place of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Action>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A call.
    Call(CallEntry),
    /// A move of a request. Those a call makes stand before the call.
    Change(Change),
    /// Something that happened to a session. What a call makes of it stands before the call.
    Session(SessionChange),
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// How many calls there were, by call and status answered (`none` without an answer).
pub type Counters = BTreeMap<Endpoint, BTreeMap<String, u64>>;

/// The ledger.
#[derive(Debug)]
pub struct Ledger {
    entries: VecDeque<Entry>,
    capacity: usize,
    written: u64,
    counters: Counters,
    uses: BTreeMap<String, Uses>,
}

impl Ledger {
    /// An empty one that keeps so many entries.
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            capacity,
            written: 0,
            counters: Counters::new(),
            uses: BTreeMap::new(),
        }
    }

    /// Writes an entry.
    pub fn write(&mut self, event: Event) {
        if let Event::Call(call) = &event {
            let status = call
                .status
                .map_or_else(|| "none".to_owned(), |it| it.to_string());
            *self
                .counters
                .entry(call.endpoint)
                .or_default()
                .entry(status)
                .or_default() += 1;
        }
        if let Event::Session(change) = &event {
            let uses = self.uses.entry(change.session.clone()).or_default();
            uses.count(change);
        }
        self.written += 1;
        self.entries.push_back(Entry {
            seq: self.written,
            event,
        });
        if self.entries.len() > self.capacity {
            self.entries.pop_front();
        }
    }

    /// The entries after this number, oldest first.
    pub fn after(&self, seq: u64) -> impl Iterator<Item = &Entry> {
        let start = self.entries.partition_point(|entry| entry.seq <= seq);
        self.entries.range(start..)
    }

    /// How many entries are gone because there were too many.
    pub fn forgotten(&self) -> u64 {
        self.written - self.entries.len() as u64
    }

    /// The counters.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How a session was used, also when the entries of that are forgotten.
    pub fn uses(&self, session: &str) -> Uses {
        self.uses.get(session).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Actor;
    use crate::status::Status;

    #[test]
    fn a_full_ledger_forgets_the_oldest_and_says_how_many() {
        let mut ledger = Ledger::new(2);
        for number in 0..5 {
            ledger.write(Event::Change(Change {
                at: Timestamp::UNIX_EPOCH,
                id: number.to_string(),
                from: None,
                to: Status::Initializing,
                by: Actor::Clock,
                note: None,
            }));
        }
        assert_eq!(ledger.forgotten(), 3);
        assert_eq!(
            ledger.after(0).map(|entry| entry.seq).collect::<Vec<_>>(),
            [4, 5]
        );
        assert_eq!(ledger.after(4).count(), 1);
    }
}
