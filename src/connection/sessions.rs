//! Reads the lists of sessions that many passes want at once by few calls: what is wanted while one
//! call is under way goes out together with the next. IO.
//!
//! It lists; listing consumes nothing. No task of its own: whoever comes first reads for all that
//! wait, and if it is stopped in the middle, those it read for ask again.
//!
//! The contract does not say how a list takes several ids. An answer that cannot be told apart (a
//! session that names no request), or that shows nothing of an id which shows something when asked
//! alone, ends the sharing for as long as the connection lives; one that shows sessions of two askers
//! ends the doubt. A refusal that speaks of what was asked is found by asking for each alone.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use apono_client::{AccessSession, Endpoint, SessionQuery};
use tokio::sync::oneshot;

use crate::remote::{Remote, RemoteError};

/// So many ids fit into one address.
const IDS_A_CALL: usize = 50;
/// No list of sessions is followed further.
const MOST_PAGES: usize = 20;
/// Ids of requests that are gone would be doubted for ever.
const MOST_DOUBTED: usize = 4_096;

/// The sessions of the requests that were asked for.
pub type Sessions = Result<Vec<AccessSession>, Arc<RemoteError>>;

/// The lists of sessions of one connection.
#[derive(Debug, Default)]
pub struct SessionReads {
    /// Held by the one that reads.
    turn: tokio::sync::Mutex<()>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Vec<Waiting>,
    /// A shared list showed nothing of these: they are asked for alone the next time.
    doubted: BTreeSet<String>,
    /// Whether lists are not shared, for they were seen not to say what single ones do.
    is_apart: bool,
    /// Whether one list was seen to answer for two that asked.
    is_proven: bool,
}

#[derive(Debug)]
struct Waiting {
    ids: Vec<String>,
    answer: oneshot::Sender<Sessions>,
}

impl SessionReads {
    /// The sessions that serve these requests.
    pub async fn of(&self, remote: &Remote, ids: &[String]) -> Sessions {
        let mut all = Vec::new();
        for ids in ids.chunks(IDS_A_CALL) {
            all.extend(if self.is_alone(ids) {
                self.alone(remote, ids).await?
            } else {
                self.together(remote, ids).await?
            });
        }
        Ok(all)
    }

    fn is_alone(&self, ids: &[String]) -> bool {
        let inner = self.lock();
        inner.is_apart || ids.iter().any(|id| inner.doubted.contains(id))
    }

    async fn alone(&self, remote: &Remote, ids: &[String]) -> Sessions {
        let found = list(remote, ids).await.map_err(Arc::new)?;
        let mut inner = self.lock();
        for id in ids {
            inner.is_apart |= inner.doubted.remove(id) && found.iter().any(|it| serves(it, id));
        }
        Ok(found)
    }

    async fn together(&self, remote: &Remote, ids: &[String]) -> Sessions {
        let mut answer = self.ask(ids);
        loop {
            tokio::select! {
                biased;
                answered = &mut answer => match answered {
                    Ok(sessions) => return sessions,
                    // Whoever read for it was stopped.
                    Err(_) => answer = self.ask(ids),
                },
                _turn = self.turn.lock() => self.read(remote).await,
            }
        }
    }

    fn ask(&self, ids: &[String]) -> oneshot::Receiver<Sessions> {
        let (answer, receiver) = oneshot::channel();
        let ids = ids.to_vec();
        self.lock().waiting.push(Waiting { ids, answer });
        receiver
    }

    /// Reads once for as many of those that wait as fit into one call.
    async fn read(&self, remote: &Remote) {
        let batch = self.take();
        if batch.is_empty() {
            return;
        }
        let ids: Vec<_> = batch.iter().flat_map(|one| one.ids.clone()).collect();
        let answer = list(remote, &ids).await;
        let is_shared = batch.len() > 1;
        let is_of_one = |error: &RemoteError| {
            let status = error.status();
            status.is_some_and(|status| [400, 403, 404, 414, 422].contains(&status))
        };
        match answer {
            Ok(found) if is_shared && found.iter().any(|one| one.request_ids.is_empty()) => {
                self.lock().is_apart = true;
                read_each(remote, batch).await;
            }
            Err(error) if is_shared && is_of_one(&error) => read_each(remote, batch).await,
            Ok(found) => self.share(batch, &found, is_shared),
            Err(error) => {
                let error = Arc::new(error);
                for one in batch {
                    let _ = one.answer.send(Err(Arc::clone(&error)));
                }
            }
        }
    }

    fn take(&self) -> Vec<Waiting> {
        let mut inner = self.lock();
        // Who no longer waits is not read for.
        inner.waiting.retain(|one| !one.answer.is_closed());
        let mut ids = 0;
        let fits = |one: &&Waiting| {
            ids += one.ids.len();
            ids <= IDS_A_CALL
        };
        let count = inner.waiting.iter().take_while(fits).count();
        inner.waiting.drain(..count).collect()
    }

    fn share(&self, batch: Vec<Waiting>, found: &[AccessSession], is_shared: bool) {
        let shown = |ids: &[String]| {
            let is_its = |it: &&AccessSession| ids.iter().any(|id| serves(it, id));
            found.iter().filter(is_its).cloned().collect::<Vec<_>>()
        };
        if !is_shared {
            for one in batch {
                let _ = one.answer.send(Ok(found.to_vec()));
            }
            return;
        }
        let answers: Vec<_> = batch.iter().map(|one| shown(&one.ids)).collect();
        let answered = answers.iter().filter(|its| !its.is_empty()).count();
        self.doubt(&batch, &answers, answered > 1);
        for (one, its) in batch.into_iter().zip(answers) {
            let _ = one.answer.send(Ok(its));
        }
    }

    fn doubt(&self, batch: &[Waiting], answers: &[Vec<AccessSession>], is_proven: bool) {
        let mut inner = self.lock();
        inner.is_proven |= is_proven;
        if inner.is_proven || inner.doubted.len() > MOST_DOUBTED {
            inner.doubted.clear();
        }
        if inner.is_proven {
            return;
        }
        for (one, its) in batch.iter().zip(answers) {
            let is_unseen = |id: &&String| !its.iter().any(|it| serves(it, id));
            let unseen: Vec<_> = one.ids.iter().filter(is_unseen).cloned().collect();
            inner.doubted.extend(unseen);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serves(session: &AccessSession, id: &str) -> bool {
    session.request_ids.iter().any(|one| one == id)
}

async fn read_each(remote: &Remote, batch: Vec<Waiting>) {
    for one in batch {
        let answer = list(remote, &one.ids).await.map_err(Arc::new);
        let _ = one.answer.send(answer);
    }
}

async fn list(remote: &Remote, ids: &[String]) -> Result<Vec<AccessSession>, RemoteError> {
    let query = &SessionQuery {
        request_ids: ids.to_vec(),
        ..SessionQuery::default()
    };
    let (mut all, mut token) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let from = token.clone();
        let call = remote.call(Endpoint::ListAccessSessions, |client| async move {
            client.access_sessions_page(query, from.as_ref()).await
        });
        let page = call.await?;
        all.extend(page.items);
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
