//! One reset: write ahead, send, remember the answer. IO.
//!
//! Guarantees: nothing is sent before the Secret says that it is about to be, which tells after a
//! loss of the status that the reset was ours; and which proves that what comes of it can be stored.

use std::time::Duration;

use apono_client::Effect;
use jiff::Timestamp;

use super::{
    data::Data,
    scene::{Record, ResetTry, Seen, Word},
    secret::{Content, Found, Store},
    sessions,
    take_out::Obstacle,
    turn::Pass,
    words,
};
use crate::{connection::Connection, controller::observed::is_definite};

/// A Secret that changes under our hands is read again so often.
const TRIES: u32 = 3;
/// The least pause after a reset.
const SECOND: Duration = Duration::from_secs(1);

impl Pass<'_> {
    /// Remembers the resets that were decided on, to be sent when they are on record.
    pub(super) fn plan_resets(&mut self, ids: &[String], sessions: &[Seen]) {
        for id in ids {
            let seen = sessions.iter().find(|one| one.id == *id);
            let from_viewed = seen.is_some_and(|one| one.word == Word::Viewed);
            let planned = ResetTry {
                from_viewed,
                ..ResetTry::default()
            };
            self.memory.credentials.resets.insert(id.clone(), planned);
        }
        self.memory.credentials.looks = 0;
        self.memory.credentials.look_at = None;
    }

    /// Sends one reset.
    pub(super) async fn reset(
        &mut self,
        connection: &Connection,
        seen: &Seen,
        since: Option<Timestamp>,
    ) {
        let credentials = self.resource.spec.credentials.as_ref();
        let name = credentials.map_or("", |one| one.secret_name.as_str());
        let store = Store::of(self.context, self.resource);
        match write_ahead(store, name, &seen.id, since.unwrap_or(self.now)).await {
            Ok(false) => {}
            Ok(true) => self.made_anew(name),
            Err(Obstacle::Foreign) => return self.blocked_by(name),
            Err(Obstacle::Kubernetes(error)) => return self.unwritable(name, &error),
        }
        let answer = sessions::reset(connection, seen).await;
        let tried = self.memory.credentials.resets.entry(seen.id.clone());
        let tried = tried.or_insert_with(|| ResetTry {
            from_viewed: seen.word == Word::Viewed,
            // Another process put it down, and may have sent it; only the word would tell.
            may_be_done: seen.word == Word::Silent,
            ..ResetTry::default()
        });
        tried.count = tried.count.saturating_add(1);
        tried.sent = Some(self.now);
        tried.refusal = match answer {
            Err(error) if error.effect() != Effect::Unknown => {
                tracing::info!(session = %seen.id, %error, "reset not accepted");
                tried.refusals += u32::from(is_definite(error.status()));
                Some(error.to_string())
            }
            Ok(()) | Err(_) => {
                tried.may_be_done = true;
                None
            }
        };
        if let Some(refusal) = tried.given_up() {
            let note = words::reset_refused(seen, refusal);
            self.say(true, "CredentialsResetRefused", &note);
        }
        self.pause(SECOND);
    }
}

/// Says in the Secret that this session is about to be reset. True where it was made anew for that.
async fn write_ahead(
    store: Store<'_>,
    name: &str,
    id: &str,
    since: Timestamp,
) -> Result<bool, Obstacle> {
    let mut tries = 0;
    loop {
        let found = store.get(name).await.map_err(Obstacle::Kubernetes)?;
        let written = match &found {
            Found::Foreign => return Err(Obstacle::Foreign),
            Found::Ours(owned) if owned.record.resetting.get(id) == Some(&since) => {
                return Ok(false);
            }
            Found::Ours(owned) => {
                let mut record = owned.record.clone();
                record.resetting.insert(id.to_owned(), since);
                let content = Content {
                    data: &owned.data,
                    record: &record,
                };
                store.replace(owned, &content).await
            }
            Found::Absent => {
                let record = Record {
                    resetting: [(id.to_owned(), since)].into(),
                    ..Record::default()
                };
                let content = Content {
                    data: &Data::new(),
                    record: &record,
                };
                store.create(name, &content, None).await
            }
        };
        tries += 1;
        match written {
            Ok(written) => return Ok(written.made_anew),
            Err(error)
                if tries < TRIES
                    && (error.is_conflict()
                        || error.is_not_found()
                        || error.is_already_exists()) => {}
            Err(error) => return Err(Obstacle::Kubernetes(error)),
        }
    }
}
