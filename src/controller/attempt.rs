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

use super::tokens;
use crate::{
    crd::{AccessRequest, AttemptEnd, AttemptStatus, PostOutcome, PostStatus},
    marker::Nonce,
};

mod record;

pub use record::{End, Handled, Post, Record};

/// A POST leaves within this time of its own mark, or is marked anew.
pub const MARK_VALID: Duration = Duration::from_secs(5);
/// POSTs nobody answered are forgotten after this time.
const UNANSWERED_KEPT: Duration = Duration::from_hours(24);
/// The first second of the year 9000: with days to spare before the last time there is.
const LATEST_SECOND: i64 = 221_845_392_000;
/// With this many POSTs on record no further one leaves.
pub const MOST_POSTS: usize = 300;

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
    /// What is to be ended.
    pub end: Option<End>,
    /// The tokens that were acted on together with a mark.
    pub handled: Handled,
    /// The number of the newest attempt that asks again for all that has ended.
    pub again: Option<i64>,
    /// How many renewals were begun.
    pub renewals: i64,
    /// When the newest attempt began, as far as its first POST is not on record any more.
    began: Option<Timestamp>,
    /// Whether the annotation says all that it should.
    pub annotation_stands: bool,
}

/// One POST to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The attempt it belongs to.
    pub n: i64,
    /// Empty for a create, else the id that is asked again.
    pub of: String,
    /// What else is recorded with it.
    pub with: With,
}

/// What is recorded in the same write as a POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum With {
    /// Nothing: it belongs to an attempt that is under way.
    Nothing,
    /// A renewal begins.
    Renewal,
    /// All that has ended is asked for again, because of this token if there is one.
    Again(Option<String>),
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
            end: mirror.end.and_then(|end| {
                let why = end.why.unwrap_or_default();
                end.n.map(|n| End { n, why })
            }),
            handled: remembered(resource),
            again: mirror.again,
            renewals: renewals(resource),
            began: mirror.started_at.map(|time| time.0),
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
        let end = |end: &Option<End>| end.as_ref().map(|end| end.n);
        self.annotation_stands =
            !self.entries.iter().any(lost) && end(&self.end) <= end(&record.end);
        if end(&record.end) >= end(&self.end) {
            self.end.clone_from(&record.end);
        }
        let handled = record.handled.clone();
        self.handled = Handled {
            revoke: handled.revoke.or(self.handled.revoke.take()),
            request_again: handled.request_again.or(self.handled.request_again.take()),
        };
        self.again = self.again.max(record.again);
        self.renewals = self.renewals.max(record.renewals);
        self.began = self.began.filter(|_| record.n <= self.number);
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
        self.asking(self.number, "")
    }

    /// The POSTs of one question, oldest first.
    pub fn asking<'a>(
        &'a self,
        n: i64,
        of: &'a str,
    ) -> impl DoubleEndedIterator<Item = &'a Entry> + Clone {
        let is_it = move |entry: &&Entry| entry.n == n && entry.of == of;
        self.entries.iter().filter(is_it)
    }

    /// Whether what was asked in this attempt is to end.
    pub fn is_ended(&self, n: i64) -> bool {
        self.end.as_ref().is_some_and(|end| n <= end.n)
    }

    /// When the newest attempt began.
    pub fn began(&self) -> Option<Timestamp> {
        let newest = self.entries.iter().filter(|entry| entry.n == self.number);
        let first = newest.map(|entry| entry.time).min();
        [self.began, first].into_iter().flatten().min()
    }

    /// What is not too old to matter, of what is not `needed`.
    fn kept(
        &self,
        now: Timestamp,
        needed: impl Fn(&Entry) -> bool,
    ) -> impl Iterator<Item = &Entry> {
        let is_over = move |entry: &Entry| self.forgotten_at(entry).is_some_and(|at| at < now);
        self.entries
            .iter()
            .filter(move |entry| !is_over(entry) || needed(entry))
    }

    /// Until when no further POST leaves because too many did.
    pub fn is_full_until(
        &self,
        now: Timestamp,
        needed: impl Fn(&Entry) -> bool,
    ) -> Option<Timestamp> {
        let kept: Vec<_> = self.kept(now, &needed).collect();
        if kept.len() < MOST_POSTS {
            return None;
        }
        let forgotten = kept.into_iter().filter(|entry| !needed(entry));
        let first = forgotten.filter_map(|entry| self.forgotten_at(entry)).min();
        first.or(Some(Timestamp::MAX))
    }

    /// From when on a POST is forgotten: one that made nothing, and one of an attempt before the
    /// newest.
    fn forgotten_at(&self, entry: &Entry) -> Option<Timestamp> {
        use PostOutcome::{Absent, Answered, NotSent, Open, Refused};
        let is_past = match entry.outcome {
            Open => false,
            Absent | NotSent | Refused => true,
            Answered => entry.n < self.number,
        };
        is_past.then(|| entry.time + UNANSWERED_KEPT)
    }

    /// The ledger with one more POST, and without what is too old to matter: what is not `needed`.
    pub fn with_post(
        &self,
        question: Question,
        nonce: Nonce,
        user: Option<String>,
        now: Timestamp,
        needed: impl Fn(&Entry) -> bool,
    ) -> Self {
        let Question { n, of, with } = question;
        let mut ledger = Self {
            number: self.number.max(n),
            entries: self.kept(now, needed).cloned().collect(),
            began: self.began().filter(|_| n <= self.number),
            inherited: Vec::new(),
            annotation_stands: false,
            ..self.clone()
        };
        ledger.entries.push(Entry {
            nonce,
            n,
            of,
            time: ceil_to_second(now),
            user,
            outcome: PostOutcome::Open,
        });
        match with {
            With::Nothing => {}
            With::Renewal => ledger.renewals = ledger.renewals.saturating_add(1),
            With::Again(token) => {
                ledger.again = Some(n);
                ledger.handled.request_again = token.or(ledger.handled.request_again.take());
            }
        }
        ledger
    }

    /// The ledger by which everything that was asked so far is to end, up to this attempt at least.
    pub fn with_end(&self, newest: i64, why: &str, token: Option<String>) -> Self {
        let mut ledger = self.clone();
        ledger.number = self.number.max(newest);
        ledger.end = Some(End {
            n: ledger.number,
            why: why.to_owned(),
        });
        ledger.handled.revoke = token.or(ledger.handled.revoke.take());
        ledger.annotation_stands = false;
        ledger
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
            end: self.end.clone(),
            handled: self.handled.clone(),
            again: self.again,
            renewals: self.renewals,
        }
    }

    /// The mirror to write into the status.
    pub fn mirror(&self) -> Option<AttemptStatus> {
        let posts = self.entries.iter().map(|entry| PostStatus {
            nonce: entry.nonce.to_string(),
            n: Some(entry.n),
            of: (!entry.of.is_empty()).then(|| entry.of.clone()),
            time: Some(Time(entry.time)),
            outcome: Some(entry.outcome),
        });
        (self.number > 0).then(|| AttemptStatus {
            number: Some(self.number),
            started_at: self.began().map(Time),
            posts: posts.collect(),
            end: self.end.as_ref().map(|end| AttemptEnd {
                n: Some(end.n),
                why: Some(end.why.clone()),
            }),
            again: self.again,
        })
    }
}

/// The tokens of a mark, as the status remembers them.
fn remembered(resource: &AccessRequest) -> Handled {
    let handled = tokens::remembered(resource);
    Handled {
        revoke: handled.revoke,
        request_again: handled.request_again,
    }
}

fn renewals(resource: &AccessRequest) -> i64 {
    let status = resource.status.as_ref();
    status
        .and_then(|status| status.renewals)
        .unwrap_or_default()
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
