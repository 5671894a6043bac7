//! The write-ahead record: what was about to be asked, kept in an annotation before every POST and
//! mirrored, with what became of it, in `status.attempt`. Pure: reads an object, writes nothing.
//!
//! # Why an annotation and a mirror
//! The annotation is written in the same patch as the finalizer, before the POST leaves; it is what
//! a crash cannot lose. The mirror carries the outcomes and gives back an annotation that somebody
//! dropped. An outcome that was lost with the status reads as `Open`, which means: look first.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use crate::{
    crd::{ATTEMPT_ANNOTATION, AccessRequest, AttemptStatus, PostOutcome, PostStatus},
    marker::Nonce,
};

/// A POST leaves within this time of its own mark, or is marked anew.
pub const MARK_VALID: Duration = Duration::from_secs(5);
/// POSTs nobody answered are forgotten after this time.
const UNANSWERED_KEPT: Duration = Duration::from_hours(24);
/// The first second of the year 9000: with days to spare before the last time there is.
const LATEST_SECOND: i64 = 221_845_392_000;
/// With this many POSTs on record no further one leaves.
pub const MOST_POSTS: usize = 300;

/// The record as it stands in the annotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The number of the newest attempt.
    pub n: i64,
    /// The uid of the resource it was written for.
    pub uid: String,
    /// `namespace/name` of the resource it was written for.
    pub object: String,
    /// Every POST that was marked.
    pub posts: Vec<Post>,
}

/// One POST on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// The attempt it belongs to.
    pub n: i64,
    /// What tells it from every other POST.
    pub nonce: String,
    /// When it was marked, rounded up to a second.
    pub time: Timestamp,
    /// Empty for a create, else the id that is asked again.
    #[serde(default)]
    pub of: String,
    /// The id of the user whose token it was to be sent with, where that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl Record {
    /// The record in this object's annotation, if there is a readable one.
    fn of(resource: &AccessRequest) -> Option<Self> {
        serde_json::from_str(resource.annotations().get(ATTEMPT_ANNOTATION)?).ok()
    }

    /// The text of the annotation.
    pub fn to_annotation(&self) -> String {
        // Serialising strings and numbers into memory has no way to fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// One POST and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What tells it from every other POST.
    pub nonce: Nonce,
    /// The attempt it belongs to.
    pub n: i64,
    /// Empty for a create, else the id that is asked again.
    pub of: String,
    /// When it was marked.
    pub time: Timestamp,
    /// The id of the user whose token it was to be sent with, where that is known. It stands in the
    /// annotation only.
    pub user: Option<String>,
    /// What became of it.
    pub outcome: PostOutcome,
}

/// Everything on record for one resource: the annotation and its mirror, put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The number of the newest attempt, 0 before the first.
    pub number: i64,
    /// The POSTs of this resource, oldest first.
    pub entries: Vec<Entry>,
    /// The POSTs of an earlier resource of the same name, whose annotation was applied again.
    pub inherited: Vec<Entry>,
    /// Whether the annotation says all that it should.
    pub annotation_stands: bool,
}

impl Ledger {
    /// What is on record for this resource.
    pub fn of(resource: &AccessRequest) -> Self {
        let record = Record::of(resource).filter(|record| record.object == object(resource));
        let mirror = resource
            .status
            .as_ref()
            .and_then(|status| status.attempt.clone());
        let mirror = mirror.unwrap_or_default();
        let mut ledger = Self {
            number: mirror.number.unwrap_or_default(),
            entries: mirror.posts.iter().filter_map(mirrored).collect(),
            ..Self::default()
        };
        let uid = resource.uid().unwrap_or_default();
        match record {
            Some(record) if record.uid == uid => ledger.merge(&record),
            Some(record) => {
                ledger.inherited = record.posts.iter().filter_map(recorded).collect();
                let known = |entry: &Entry| ledger.entries.iter().any(|e| e.nonce == entry.nonce);
                ledger.inherited = ledger
                    .inherited
                    .iter()
                    .filter(|e| !known(e))
                    .cloned()
                    .collect();
                ledger.annotation_stands = ledger.is_empty();
            }
            None => ledger.annotation_stands = ledger.is_empty(),
        }
        ledger
    }

    fn merge(&mut self, record: &Record) {
        let known: Vec<_> = record.posts.iter().filter_map(recorded).collect();
        let lost = |entry: &Entry| !known.iter().any(|other| other.nonce == entry.nonce);
        self.annotation_stands = !self.entries.iter().any(lost);
        self.number = self.number.max(record.n);
        for entry in known {
            let mirrored = self.entries.iter_mut().find(|it| it.nonce == entry.nonce);
            match mirrored {
                Some(mirrored) => mirrored.user = entry.user,
                None => self.entries.push(entry),
            }
        }
        self.entries.sort_by_key(|entry| entry.time);
    }

    /// Whether nothing was ever marked for this resource.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of this nonce, of this resource or inherited.
    pub fn entry(&self, nonce: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .chain(&self.inherited)
            .find(|entry| entry.nonce.as_str() == nonce)
    }

    /// Sets what became of a POST; inherited ones become this resource's own.
    pub fn resolve(&mut self, nonce: &Nonce, outcome: PostOutcome) {
        if let Some(at) = self
            .inherited
            .iter()
            .position(|entry| entry.nonce == *nonce)
        {
            let entry = self.inherited.remove(at);
            self.number = self.number.max(entry.n);
            self.annotation_stands = false;
            self.entries.push(entry);
            self.entries.sort_by_key(|entry| entry.time);
        }
        for entry in self
            .entries
            .iter_mut()
            .filter(|entry| entry.nonce == *nonce)
        {
            entry.outcome = outcome;
        }
    }

    /// The creates of the newest attempt, oldest first.
    pub fn creates(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        let number = self.number;
        self.entries
            .iter()
            .filter(move |entry| entry.n == number && entry.of.is_empty())
    }

    /// What is not too old to matter.
    fn kept(&self, now: Timestamp) -> impl Iterator<Item = &Entry> {
        let is_kept = move |entry: &&Entry| forgotten_at(entry).is_none_or(|at| at >= now);
        self.entries.iter().filter(is_kept)
    }

    /// Until when no further POST leaves because too many did.
    pub fn is_full_until(&self, now: Timestamp) -> Option<Timestamp> {
        let kept = || self.kept(now);
        if kept().count() < MOST_POSTS {
            return None;
        }
        kept()
            .filter_map(forgotten_at)
            .min()
            .or(Some(Timestamp::MAX))
    }

    /// The ledger with one more create, and without what is too old to matter.
    pub fn with_create(&self, nonce: Nonce, user: Option<String>, now: Timestamp) -> Self {
        let number = self.number.max(1);
        let mut entries: Vec<_> = self.kept(now).cloned().collect();
        let time = ceil_to_second(now);
        let of = String::new();
        entries.push(Entry {
            nonce,
            n: number,
            of,
            time,
            user,
            outcome: PostOutcome::Open,
        });
        Self {
            number,
            entries,
            inherited: Vec::new(),
            annotation_stands: false,
        }
    }

    /// The record to write into the annotation.
    pub fn record(&self, resource: &AccessRequest) -> Record {
        let posts = self.entries.iter().map(|entry| Post {
            n: entry.n,
            nonce: entry.nonce.to_string(),
            time: entry.time,
            of: entry.of.clone(),
            user: entry.user.clone(),
        });
        Record {
            n: self.number,
            uid: resource.uid().unwrap_or_default(),
            object: object(resource),
            posts: posts.collect(),
        }
    }

    /// The mirror to write into the status.
    pub fn mirror(&self) -> Option<AttemptStatus> {
        let started = self.creates().next().map(|entry| Time(entry.time));
        let posts = self.entries.iter().map(|entry| PostStatus {
            nonce: entry.nonce.to_string(),
            n: Some(entry.n),
            of: (!entry.of.is_empty()).then(|| entry.of.clone()),
            time: Some(Time(entry.time)),
            outcome: Some(entry.outcome),
        });
        (self.number > 0).then(|| AttemptStatus {
            number: Some(self.number),
            started_at: started,
            posts: posts.collect(),
        })
    }
}

/// `namespace/name`.
pub fn object(resource: &AccessRequest) -> String {
    format!(
        "{}/{}",
        resource.namespace().unwrap_or_default(),
        resource.name_any()
    )
}

/// Rounded up, so that a wait counted from it is never too short: the API keeps whole seconds.
fn ceil_to_second(time: Timestamp) -> Timestamp {
    let extra = i64::from(time.subsec_nanosecond() > 0);
    Timestamp::from_second(time.as_second() + extra).unwrap_or(time)
}

/// From when on a POST that made nothing is forgotten.
fn forgotten_at(entry: &Entry) -> Option<Timestamp> {
    use PostOutcome::{Absent, NotSent, Refused};
    matches!(entry.outcome, Absent | NotSent | Refused).then(|| entry.time + UNANSWERED_KEPT)
}

/// People can write annotations. A time that leaves no room for the waits counted from it is none
/// of ours.
fn has_room(time: Timestamp) -> bool {
    time.as_second() < LATEST_SECOND
}

fn recorded(post: &Post) -> Option<Entry> {
    let nonce = Nonce::parse(&post.nonce).filter(|_| has_room(post.time))?;
    let of = post.of.clone();
    Some(Entry {
        nonce,
        n: post.n,
        of,
        time: post.time,
        user: post.user.clone(),
        outcome: PostOutcome::Open,
    })
}

fn mirrored(post: &PostStatus) -> Option<Entry> {
    Some(Entry {
        nonce: Nonce::parse(&post.nonce)?,
        n: post.n.unwrap_or(1),
        of: post.of.clone().unwrap_or_default(),
        time: post
            .time
            .as_ref()
            .map(|time| time.0)
            .filter(|time| has_room(*time))
            .unwrap_or(Timestamp::UNIX_EPOCH),
        user: None,
        outcome: post.outcome.unwrap_or_default(),
    })
}
