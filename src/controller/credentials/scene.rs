//! What one pass knows of sessions and of the Secret, and what the process remembers of its own
//! looks and resets. Values only: gathered by the files that do IO, read by the pure ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use apono_client::{AccessSession, CredentialState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    controller::observed::doubled,
    crd::{CredentialsStatus, RemoteApi, SessionStatus},
};

/// A live request whose credentials are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its id.
    pub id: String,
    /// The API it is read through.
    pub api: RemoteApi,
}

/// Where the credentials of a session stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nobody has read them.
    Available,
    /// Somebody has.
    Viewed,
    /// They are being made anew.
    Resetting,
    /// There are none.
    NotApplicable,
    /// A word nobody knows, or none at all.
    Unknown(String),
    /// The older API has no words.
    Silent,
}

/// A session as it was read; reading it consumes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its id; for the older API the id of the request.
    pub id: String,
    /// The API its credentials are read through.
    pub api: RemoteApi,
    /// The name of its integration.
    pub integration: String,
    /// The requests it serves, ours and others'.
    pub requests: Vec<String>,
    /// Where its credentials stand.
    pub word: Word,
    /// Whether they can be made anew.
    pub can_reset: bool,
}

impl Seen {
    /// A session of the user API.
    pub fn of(session: AccessSession) -> Self {
        let word = match &session.credentials_status {
            None => Word::Unknown("none".to_owned()),
            Some(status) => match status.state() {
                CredentialState::Available => Word::Available,
                CredentialState::Viewed => Word::Viewed,
                CredentialState::Resetting => Word::Resetting,
                CredentialState::NotApplicable => Word::NotApplicable,
                CredentialState::Unknown => Word::Unknown(status.word().to_owned()),
            },
        };
        Self {
            id: session.id,
            api: RemoteApi::UserV4,
            integration: session.integration.name,
            requests: session.request_ids,
            word,
            can_reset: session.can_reset_credentials,
        }
    }

    /// What the older API has in place of a session: the request itself.
    pub fn admin(id: &str, integration: &str) -> Self {
        Self {
            id: id.to_owned(),
            api: RemoteApi::AdminV3,
            integration: integration.to_owned(),
            requests: vec![id.to_owned()],
            word: Word::Silent,
            can_reset: true,
        }
    }

    /// Whether it serves this request. One that names none serves what it was asked for.
    pub fn serves(&self, id: &str) -> bool {
        self.requests.is_empty() || self.requests.iter().any(|one| one == id)
    }
}

/// What stands in the Secret about one session whose credentials are in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// When they were read.
    pub at: Option<Timestamp>,
    /// The reset after which they were read, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<Timestamp>,
    /// What its keys start with; empty where it is the only session.
    #[serde(default)]
    pub prefix: String,
}

/// The record that the Secret carries in its annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The sessions that were about to be read.
    pub reading: BTreeMap<String, Timestamp>,
    /// The sessions that were about to be reset, and the time that stands for the reset.
    pub resetting: BTreeMap<String, Timestamp>,
    /// The sessions whose credentials are in it.
    pub delivered: BTreeMap<String, Delivered>,
    /// The digest of its data.
    pub digest: Option<String>,
}

/// The Secret, as far as it was looked at in this pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSight {
    /// It was not.
    Unread,
    /// There is none of that name.
    Absent,
    /// There is one that is not ours.
    Foreign,
    /// It is ours.
    Ours(Record),
    /// It could not be looked at.
    Trouble(String),
}

/// What the process remembers. Lost in a crash, and only the pace depends on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CredentialMemory {
    /// When to look again.
    pub look_at: Option<Timestamp>,
    /// How many looks there were since something changed.
    pub looks: u32,
    /// How many times in a row the delivery failed.
    pub failures: u32,
    /// The generation of the resource at the last look: a change is looked at at once.
    pub generation: Option<i64>,
    /// The resets that were decided on or sent.
    pub resets: BTreeMap<String, ResetTry>,
    /// When to try again to take the credentials out of a Secret that may not be changed.
    pub remove_at: Option<Timestamp>,
    /// When restarting workloads was last tried in vain.
    pub restart_failed: Option<Timestamp>,
}

impl CredentialMemory {
    /// Remembers when to look again.
    pub fn look_again(&mut self, at: Timestamp, generation: Option<i64>) {
        self.look_at = Some(at);
        self.generation = generation;
        self.looks = self.looks.saturating_add(1);
    }

    /// How long to wait after a delivery that failed.
    pub fn after_failure(&self) -> Duration {
        doubled(
            Duration::from_secs(1),
            self.failures.max(1),
            Duration::from_mins(10),
        )
    }
}

/// A reset that is plainly refused is tried so often; then only a person has it tried again.
const MOST_REFUSALS: u32 = 4;

/// The resets of one session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResetTry {
    /// How many were sent.
    pub count: u32,
    /// When the last one was sent; absent while it is only decided.
    pub sent: Option<Timestamp>,
    /// Why the remote did not take the last one.
    pub refusal: Option<String>,
    /// How many were plainly refused.
    pub refusals: u32,
    /// Whether one may have been acted on, so that what was delivered before may not work any more.
    pub may_be_done: bool,
    /// Whether somebody had read the credentials before: then AVAILABLE means that they are new.
    pub from_viewed: bool,
    /// Whether they were seen being made.
    pub seen_resetting: bool,
}

impl ResetTry {
    /// Why it is not tried any more, if it is not.
    pub fn given_up(&self) -> Option<&str> {
        let refusal = self.refusal.as_deref();
        refusal.filter(|_| self.refusals >= MOST_REFUSALS)
    }
}

/// Everything the decision is made from.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    /// The Secret to deliver into.
    pub secret_name: &'a str,
    /// What was known before this pass.
    pub old: &'a CredentialsStatus,
    /// The requests whose credentials are wanted.
    pub targets: &'a [Target],
    /// Every request of this resource, ended ones included.
    pub owned: &'a BTreeSet<String>,
    /// Other requests of this resource that are still live: theirs may still be usable.
    pub others_live: &'a BTreeSet<String>,
    /// How many integrations the access reaches, as the remote tells.
    pub integrations: usize,
    /// When the newest of the targets became active.
    pub active_since: Timestamp,
    /// The sessions, or why they could not be read.
    pub sessions: &'a Result<Vec<Seen>, String>,
    /// The Secret.
    pub secret: &'a SecretSight,
    /// What the process remembers.
    pub memory: &'a CredentialMemory,
    /// Whether a person asks for new credentials.
    pub reset_asked: bool,
    /// The time.
    pub now: Timestamp,
}

impl Scene<'_> {
    /// What the status says of a session.
    pub fn known(&self, seen: &Seen) -> Option<&SessionStatus> {
        self.old.sessions.iter().find(|one| one.id == seen.id)
    }

    /// Whether a session serves a request that is not this resource's.
    pub fn is_shared(&self, seen: &Seen) -> bool {
        seen.requests.iter().any(|id| !self.owned.contains(id))
    }
}
