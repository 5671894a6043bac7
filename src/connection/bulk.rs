//! Takes access back through the bulk revoke of the admin API: what passes hand over within a
//! moment goes out as one call. A pass hands an id over and does not wait; the answer is fetched by
//! a later pass, which is woken for it.
//!
//! The answer speaks of the call, not of its ids: a batch that the remote refuses (a 4xx that
//! speaks of what was asked) is halved down to single ids, to find those it refuses. Everything
//! else (a refused token, a pause, no answer) is the connection's matter: nothing is halved, and
//! the passes hand over again later. Whether an id has ended is only ever read back.
//!
//! A task that dies, of a panic or with its runtime, lets go of what it held, and whoever handed it
//! over is woken: without an answer it is handed over again when it is due.

mod batches;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use apono_client::{Effect, Endpoint};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use self::batches::{Batches, Handed};
use crate::{
    poller::{ResourceKey, Store},
    remote::{Remote, RemoteError},
};

/// An answer that nobody has fetched for so long is of a resource that is gone.
const ANSWER_KEPT: Duration = Duration::from_mins(10);

/// What became of the call that named an id.
#[derive(Clone, Debug)]
pub enum BulkAnswer {
    /// The remote accepted it.
    Accepted,
    /// It failed.
    Failed(Arc<RemoteError>),
}

/// The bulk revokes of one connection.
pub struct BulkRevokes {
    store: Arc<Store>,
    inner: Mutex<Inner>,
    arrived: Notify,
}

#[derive(Default)]
struct Inner {
    batches: Batches,
    answers: BTreeMap<String, (Instant, BulkAnswer)>,
    /// The connection's remote as it was when last something was handed over.
    remote: Option<Remote>,
    is_running: bool,
}

impl fmt::Debug for BulkRevokes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BulkRevokes")
            .finish_non_exhaustive()
    }
}

impl BulkRevokes {
    /// Nothing yet. Whoever an answer is for is woken through the store.
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            inner: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    /// Takes an id to be revoked soon; one that waits or is under way is not taken twice.
    pub fn hand_over(
        self: &Arc<Self>,
        remote: &Remote,
        id: &str,
        key: &ResourceKey,
        was_refused: bool,
    ) {
        let mut inner = self.lock();
        let handed = Handed {
            id: id.to_owned(),
            key: key.clone(),
            was_refused,
        };
        inner.remote = Some(remote.clone());
        if !inner.batches.add(handed, Instant::now()) {
            return;
        }
        inner.answers.remove(id);
        if inner.is_running {
            self.arrived.notify_one();
        } else {
            inner.is_running = true;
            tokio::spawn(Arc::clone(self).run());
        }
    }

    /// Whether an id waits or is under way.
    pub fn holds(&self, id: &str) -> bool {
        self.lock().batches.holds(id)
    }

    /// How long ago the call with an id that was handed over was answered, and how; once.
    pub fn fetch(&self, id: &str) -> Option<(Duration, BulkAnswer)> {
        let (at, answer) = self.lock().answers.remove(id)?;
        Some((at.elapsed(), answer))
    }

    /// Sends batch after batch, each on its own, until nothing waits.
    async fn run(self: Arc<Self>) {
        let mut collecting = Collecting {
            bulk: Arc::clone(&self),
            is_done: false,
        };
        loop {
            let due = {
                let mut inner = self.lock();
                while let Some(batch) = inner.batches.take(Instant::now()) {
                    let sending = Sending {
                        bulk: Arc::clone(&self),
                        rest: vec![batch],
                    };
                    if let Some(remote) = inner.remote.clone() {
                        tokio::spawn(sending.send(remote));
                    }
                }
                let due = inner.batches.due();
                inner.is_running = due.is_some();
                due
            };
            let Some(due) = due else {
                collecting.is_done = true;
                return;
            };
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.arrived.notified() => {}
            }
        }
    }

    fn answer(&self, batch: Vec<Handed>, answer: &BulkAnswer) {
        let now = Instant::now();
        let mut inner = self.lock();
        inner
            .answers
            .retain(|_, (at, _)| now.duration_since(*at) < ANSWER_KEPT);
        for one in &batch {
            inner.batches.done(&one.id);
            inner.answers.insert(one.id.clone(), (now, answer.clone()));
        }
        drop(inner);
        for one in batch {
            // Also after a refusal: a call may have been done although its answer was lost.
            self.store.hasten(&one.id);
            self.store.wake(&one.key);
        }
    }

    /// Lets go of what got no answer.
    fn let_go(&self, batch: &[Handed]) {
        let mut inner = self.lock();
        for one in batch {
            inner.batches.done(&one.id);
        }
        drop(inner);
        for one in batch {
            self.store.wake(&one.key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whatever panicked under the lock: every change of it is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that sees to it that what waits leaves.
struct Collecting {
    bulk: Arc<BulkRevokes>,
    is_done: bool,
}

impl Drop for Collecting {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut inner = self.bulk.lock();
        inner.is_running = false;
        let waiting = inner.batches.clear();
        drop(inner);
        self.bulk.let_go(&waiting);
    }
}

/// A batch under way, or what is left of it.
struct Sending {
    bulk: Arc<BulkRevokes>,
    rest: Vec<Vec<Handed>>,
}

impl Sending {
    async fn send(mut self, remote: Remote) {
        while let Some(batch) = self.rest.last() {
            let ids: Vec<&str> = batch.iter().map(|one| one.id.as_str()).collect();
            let call = remote.call(Endpoint::RevokeAdminRequests, |client| {
                let ids = ids.clone();
                async move { client.revoke_admin_requests(&ids).await }
            });
            let error = call.await.err();
            tracing::info!(count = ids.len(), ?error, "revoked together");
            let Some(mut batch) = self.rest.pop() else {
                return;
            };
            match error {
                Some(error) if batch.len() > 1 && is_of_ids(&error) => {
                    self.rest.push(batch.split_off(batch.len() / 2));
                    self.rest.push(batch);
                }
                None => self.bulk.answer(batch, &BulkAnswer::Accepted),
                Some(error) => {
                    let answer = BulkAnswer::Failed(Arc::new(error));
                    self.bulk.answer(batch, &answer);
                }
            }
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        for batch in &self.rest {
            self.bulk.let_go(batch);
        }
    }
}

/// Whether the remote's answer speaks of what was asked, so that asking for less may help.
fn is_of_ids(error: &RemoteError) -> bool {
    error.effect() == Effect::Refused
}

#[cfg(test)]
mod tests;
