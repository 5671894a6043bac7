//! One delivery: write ahead, read, write into the Secret; in one pass, since what is read is shown
//! only once. IO.
//!
//! Guarantees: nothing is read before the write-ahead stands, which also proves that the Secret may
//! be written. A crash or a failure at any place leaves the write-ahead, by which the next look
//! knows that the read was ours. It is taken back only where the answer shows that nothing was
//! consumed by us: refused, not sent, empty, or read by somebody else before.

use std::{collections::BTreeMap, time::Duration};

use apono_client::Effect;
use jiff::Timestamp;

use super::{
    data::{Data, merged, names, prefixes},
    scene::{Delivered, Record, SecretSight, Seen},
    secret::{Content, Found, Owned, Store, words_of},
    sessions, words,
};
use crate::{connection::Connection, crd::SessionStatus, kubernetes, remote::RemoteError};

/// What was read is worth so many tries: there is no second read.
const TRIES: u32 = 8;
/// After the first try; doubled after each.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
/// The write-ahead is worth fewer: nothing is lost yet.
const TRIES_BEFORE: u32 = 3;

/// What came of a delivery.
pub enum Delivery {
    /// These sessions are in the Secret.
    Done {
        /// What the Secret says now.
        record: Record,
        /// The sessions that were read.
        read: Vec<String>,
        /// Why the others were not.
        failed: Option<String>,
    },
    /// The Secret shows that it was done before: decide again with this.
    LookAgain(SecretSight),
    /// The details of these show that they were read before; the Secret says whether by us.
    Spent(Record, Vec<String>),
    /// There is a Secret that is not ours; nothing was read.
    Foreign,
    /// The Secret may not be written; nothing was read.
    Forbidden(String),
    /// It did not work; where something was read, the write-ahead says so.
    Failed(String),
}

/// What to deliver.
pub struct Wanted<'a> {
    /// The name of the Secret.
    pub secret: &'a str,
    /// Every session there is.
    pub sessions: &'a [Seen],
    /// Those to read.
    pub read: &'a [Seen],
    /// What the status says of them.
    pub known: &'a [SessionStatus],
    /// When the access ends.
    pub ends_at: Option<Timestamp>,
    /// The time.
    pub now: Timestamp,
}

/// Delivers. True with it where the Secret was immutable and was made anew.
pub async fn deliver(
    store: Store<'_>,
    connection: &Connection,
    wanted: &Wanted<'_>,
) -> (Delivery, bool) {
    match begin(store, wanted).await {
        Ok(begun) => {
            let made_anew = begun.owned.made_anew;
            let delivery = read_and_store(store, connection, wanted, begun).await;
            (delivery, made_anew)
        }
        Err(other) => (other, false),
    }
}

async fn read_and_store(
    store: Store<'_>,
    connection: &Connection,
    wanted: &Wanted<'_>,
    Begun { owned, before }: Begun,
) -> Delivery {
    let mut reads = read_all(connection, wanted).await;
    // A read that was begun earlier may have been the one that consumed them.
    reads.untouched.retain(|id| !before.contains(id));
    if reads.read.is_empty() {
        let record = take_back(store, owned, &reads.untouched).await;
        if reads.spent.is_empty() {
            return Delivery::Failed(reads.failed.unwrap_or_default());
        }
        return Delivery::Spent(record, reads.spent);
    }
    match store_data(store, owned, &reads, wanted).await {
        Ok(record) => Delivery::Done {
            record,
            read: reads.read.into_keys().collect(),
            failed: reads.failed,
        },
        Err(error) => {
            tracing::warn!(error = %words_of(&error), "credentials were read and not stored");
            Delivery::Failed(words::unwritten(wanted.secret, &words_of(&error)))
        }
    }
}

/// What the reads gave.
#[derive(Default)]
struct Reads {
    read: BTreeMap<String, Data>,
    /// What was read before.
    spent: Vec<String>,
    /// What these reads surely did not consume.
    untouched: Vec<String>,
    failed: Option<String>,
}

async fn read_all(connection: &Connection, wanted: &Wanted<'_>) -> Reads {
    let mut all = Reads::default();
    for seen in wanted.read {
        match sessions::read(connection, seen).await {
            // Somebody was quicker, or an earlier read of ours was interrupted: the record decides.
            Ok(details) if details.is_spent() => {
                all.spent.push(seen.id.clone());
                all.untouched.push(seen.id.clone());
            }
            Ok(details) if details.is_blank() => {
                all.untouched.push(seen.id.clone());
                all.failed = Some(words::blank(seen));
            }
            Ok(details) => {
                let data = details.data(wanted.ends_at);
                all.read.insert(seen.id.clone(), data);
            }
            Err(error) => {
                if error.effect() != Effect::Unknown {
                    all.untouched.push(seen.id.clone());
                }
                all.failed = Some(unread(seen, &error));
            }
        }
    }
    all
}

/// Takes back the write-ahead of these, so that nobody's credentials are reset for a read that took
/// nothing. Gives what the Secret says then.
async fn take_back(store: Store<'_>, owned: Owned, untouched: &[String]) -> Record {
    let mut record = owned.record.clone();
    record.reading.retain(|id, _| !untouched.contains(id));
    if record == owned.record {
        return record;
    }
    let content = Content {
        data: &owned.data,
        record: &record,
    };
    match store.replace(&owned, &content).await {
        Ok(written) => written.record,
        Err(error) => {
            tracing::debug!(error = %words_of(&error), "a write-ahead stays");
            owned.record
        }
    }
}

fn unread(seen: &Seen, error: &RemoteError) -> String {
    let lost = error.effect() == Effect::Unknown;
    tracing::info!(session = %seen.id, %error, lost, "credentials not read");
    words::unread(seen, &error.to_string())
}

/// The write-ahead stands.
struct Begun {
    owned: Owned,
    /// The sessions for which one stood already.
    before: Vec<String>,
}

/// Writes ahead.
async fn begin(store: Store<'_>, wanted: &Wanted<'_>) -> Result<Begun, Delivery> {
    let failed = |error: kubernetes::Error| {
        let words = words_of(&error);
        if error.is_forbidden() {
            Delivery::Forbidden(words)
        } else {
            Delivery::Failed(words::unwritten(wanted.secret, &words))
        }
    };
    let content = Content {
        data: &Data::new(),
        record: &reading(&Record::default(), wanted),
    };
    match store.create(wanted.secret, &content, None).await {
        Ok(owned) => {
            let before = Vec::new();
            return Ok(Begun { owned, before });
        }
        Err(error) if error.is_already_exists() => {}
        Err(error) => return Err(failed(error)),
    }
    for _ in 0..TRIES_BEFORE {
        let owned = match store.get(wanted.secret).await.map_err(failed)? {
            Found::Foreign => return Err(Delivery::Foreign),
            Found::Absent => break,
            Found::Ours(owned) => owned,
        };
        let is_done = |one: &Seen| is_delivered(&owned.record, one, wanted.known);
        if wanted.read.iter().any(is_done) {
            return Err(Delivery::LookAgain(SecretSight::Ours(owned.record)));
        }
        let content = Content {
            data: &owned.data,
            record: &reading(&owned.record, wanted),
        };
        match store.replace(&owned, &content).await {
            Ok(patched) => {
                return Ok(Begun {
                    owned: patched,
                    before: owned.record.reading.into_keys().collect(),
                });
            }
            Err(error) if error.is_conflict() || error.is_not_found() => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let text = "it is changed or removed all the time";
    Err(Delivery::Failed(words::unwritten(wanted.secret, text)))
}

/// The record with these about to be read.
fn reading(record: &Record, wanted: &Wanted<'_>) -> Record {
    let mut record = record.clone();
    let is_known = |id: &String| wanted.sessions.iter().any(|one| one.id == *id);
    record.reading.retain(|id, _| is_known(id));
    let begun = wanted.read.iter().map(|one| (one.id.clone(), wanted.now));
    record.reading.extend(begun);
    record
}

/// Whether the Secret holds what was read after the last reset.
fn is_delivered(record: &Record, seen: &Seen, known: &[SessionStatus]) -> bool {
    let delivered = record.delivered.get(&seen.id);
    delivered.is_some_and(|one| one.reset == reset_of(&seen.id, known))
}

fn reset_of(id: &str, known: &[SessionStatus]) -> Option<Timestamp> {
    let known = known.iter().find(|one| one.id == id)?;
    known.resetting_since.as_ref().map(|time| time.0)
}

/// Writes what was read into the Secret, while it is still in memory.
async fn store_data(
    store: Store<'_>,
    mut owned: Owned,
    reads: &Reads,
    wanted: &Wanted<'_>,
) -> Result<Record, kubernetes::Error> {
    let mut pause = BETWEEN_TRIES;
    let mut tries = 1;
    let mut is_gone = false;
    loop {
        let before = if is_gone { None } else { Some(&owned) };
        let (data, record) = content(before, reads, wanted);
        let content = Content {
            data: &data,
            record: &record,
        };
        let written = if is_gone {
            store.create(wanted.secret, &content, None).await
        } else {
            store.replace(&owned, &content).await
        };
        let error = match written {
            Ok(written) => return Ok(written.record),
            Err(error) => error,
        };
        if tries >= TRIES {
            return Err(error);
        }
        tracing::debug!(tries, error = %words_of(&error), "the Secret is written again");
        tokio::time::sleep(pause).await;
        (tries, pause) = (tries + 1, pause * 2);
        match store.get(wanted.secret).await {
            Ok(Found::Ours(found)) => (owned, is_gone) = (*found, false),
            Ok(Found::Absent) => is_gone = true,
            Ok(Found::Foreign) => return Err(error),
            Err(_) => {}
        }
    }
}

/// The whole of what the Secret is to hold.
fn content(before: Option<&Owned>, reads: &Reads, wanted: &Wanted<'_>) -> (Data, Record) {
    let read = &reads.read;
    let empty = (Data::new(), Record::default());
    let (old_data, old) = before.map_or((&empty.0, &empty.1), |one| (&one.data, &one.record));
    let prefixes = prefixes(&names(wanted.sessions));
    let data = merged(old_data, old, read.clone(), &prefixes);
    let mut record = Record {
        reading: old.reading.clone(),
        resetting: old.resetting.clone(),
        ..Record::default()
    };
    let is_known = |id: &String| prefixes.contains_key(id);
    record
        .resetting
        .retain(|id, _| is_known(id) && !read.contains_key(id));
    let is_open = |id: &String| !read.contains_key(id) && !reads.untouched.contains(id);
    record.reading.retain(|id, _| is_open(id));
    for (id, prefix) in prefixes {
        let kept = old.delivered.get(&id).cloned();
        let fresh = read.contains_key(&id).then(|| Delivered {
            at: Some(wanted.now),
            reset: reset_of(&id, wanted.known),
            prefix: String::new(),
        });
        if let Some(delivered) = fresh.or(kept) {
            record.delivered.insert(
                id,
                Delivered {
                    prefix,
                    ..delivered
                },
            );
        }
    }
    (data, record)
}
