//! The store: the one place where the controller and the poller meet. It holds the lock and tells
//! the lanes that something changed; what is known and how is the matter of `state`.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use apono_client::AccessRequest;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::state::Knowledge;
use super::{Interest, ResourceKey, Snapshot, View};
use crate::crd::RemoteApi;
use crate::marker::{Mark, Nonce};

/// What is known of the remote requests of one connection. Every call is short and waits for no
/// IO.
pub struct Store {
    knowledge: Mutex<Knowledge>,
    changes: watch::Sender<u64>,
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// An empty store. `cluster` is the name that our marks bear: live requests with such a mark
    /// are kept although no resource follows them.
    pub fn new(cluster: &str) -> Self {
        let (changes, _) = watch::channel(0);
        Self {
            knowledge: Mutex::new(Knowledge::new(cluster)),
            changes,
        }
    }

    /// Says what a resource wants to know; replaces what it said before. Cheap when unchanged.
    pub fn declare(&self, key: &ResourceKey, interest: Interest) {
        if self.lock().declare(key, interest) {
            self.announce();
        }
    }

    /// Forgets a resource, and what only it wanted to know.
    pub fn withdraw(&self, key: &ResourceKey) {
        if self.lock().withdraw(key) {
            self.announce();
        }
    }

    /// Takes what the wall clock shows now. Gives what it showed just after it was set last, if it
    /// was: then nothing that was concluded before counts.
    pub fn heed_clock(&self, now: Timestamp) -> Option<Timestamp> {
        self.heeding(now).stepped_at()
    }

    /// What is known of what the resource declared.
    pub fn view(&self, key: &ResourceKey) -> View {
        self.lock().view(key)
    }

    /// Takes the answer to the resource's own POST: linked to the nonce even if the remote cut or
    /// dropped the mark, and held until the resource has declared every id of it. The resource
    /// itself is not woken.
    pub fn record_reply(
        &self,
        key: &ResourceKey,
        nonce: &Nonce,
        requests: Vec<AccessRequest>,
        api: RemoteApi,
        asked_at: Timestamp,
    ) {
        self.lock().take_reply(key, nonce, requests, api, asked_at);
        self.announce();
    }

    /// Something was just asked of this id: the short list is read at once and often, and the id
    /// itself if it does not show there.
    pub fn hasten(&self, id: &str) {
        self.lock().hasten(id, Instant::now());
        self.announce();
    }

    /// Says which token reads from now on, told from others by a fingerprint. Another one than
    /// before: who it is, what was missing and what was looked at under the one before says nothing
    /// any more. Reading starts again if the old one was refused.
    pub fn use_token(&self, fingerprint: u64, now: Timestamp) {
        if self.lock().use_token(fingerprint, now, Instant::now()) {
            self.announce();
        }
    }

    /// Takes who made a request of the own list, as read with the present token.
    pub fn meet(&self, requestor: &str) {
        self.lock().meet(requestor);
    }

    /// Wakes a resource: something it waits for has come.
    pub fn wake(&self, key: &ResourceKey) {
        self.lock().wake_all([key.clone()]);
    }

    /// Says that requests of this cluster will be followed, by whom is not known yet: they are read
    /// meanwhile. After a start the resources come later than the remote could have been read.
    pub fn foresee(&self) {
        self.lock().foresee(Instant::now());
        self.announce();
    }

    /// Which resource follows the id; the first by name if several do.
    pub fn owner_of(&self, id: &str) -> Option<ResourceKey> {
        self.lock().owner_of(id)
    }

    /// How long what is followed has gone unread; nothing where none is followed.
    pub fn staleness(&self, now: Timestamp) -> Option<Duration> {
        self.lock().staleness(now, Instant::now())
    }

    /// Live requests that bear a mark of this cluster and that no resource of this connection
    /// follows. Whether one of another connection does is for the caller to say.
    pub fn unowned(&self) -> Vec<(Mark, Arc<Snapshot>)> {
        self.lock().unowned()
    }

    /// The ids that are followed and stand in one of these words.
    #[cfg(feature = "ablation")]
    pub(crate) fn ids_in(&self, words: &[String]) -> Vec<String> {
        self.lock().ids_in(words)
    }

    pub(super) fn wake_through(&self, wake: mpsc::UnboundedSender<ResourceKey>) {
        self.lock().wake_through(wake);
    }

    /// What is known. Never held across a wait.
    pub(super) fn lock(&self) -> MutexGuard<'_, Knowledge> {
        // What panicked under the lock was a test's assertion: nothing here does.
        self.knowledge
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known, as of what the wall clock shows now.
    pub(super) fn heeding(&self, now: Timestamp) -> MutexGuard<'_, Knowledge> {
        let mut knowledge = self.lock();
        if knowledge.heed_clock(now, Instant::now()) {
            tracing::warn!(
                %now,
                "the clock was set: everything is read anew before anything is concluded"
            );
            self.announce();
        }
        knowledge
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Tells the lanes to think again about what is due.
    pub(super) fn announce(&self) {
        self.changes
            .send_modify(|change| *change = change.wrapping_add(1));
    }
}
