//! The connections that exist, by key, and word of every change. The connection controller writes
//! it; the controller of access requests reads it. No IO.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use futures::{Stream, channel::mpsc};
use tokio::sync::watch;

use super::{Connection, ConnectionKey, ConnectionState, Namespaces, policy};
use crate::{crd::ConnectionKind, metrics::ConnectionFigures};

/// What is found under a key.
#[derive(Clone, Debug)]
pub enum Found {
    /// No such connection. Not known to be so before the caches are synced.
    Missing,
    /// It is being deleted: no new requests, but access is still taken back through it.
    Deleting(Arc<Connection>),
    /// It exists; its state says whether it can be used now.
    Usable(Arc<Connection>),
}

/// The connections that exist. Clones share them.
#[derive(Clone, Debug)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    entries: RwLock<HashMap<ConnectionKey, Registered>>,
    listeners: Mutex<Vec<mpsc::UnboundedSender<ConnectionKey>>>,
    namespaces: Namespaces,
    /// How many controllers have not registered yet what they found at the start.
    filling: watch::Sender<usize>,
}

#[derive(Debug)]
struct Registered {
    connection: Arc<Connection>,
    is_deleting: bool,
}

impl Registry {
    /// Nothing yet.
    pub fn new(namespaces: Namespaces) -> Self {
        let inner = Inner {
            entries: RwLock::default(),
            listeners: Mutex::default(),
            namespaces,
            filling: watch::Sender::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Resolves when every connection that existed at the start is here: only then does
    /// [`Found::Missing`] mean that there is none. At once where no controller has been set up.
    pub async fn filled(&self) {
        // The sender lives as long as self.
        let _ = self
            .inner
            .filling
            .subscribe()
            .wait_for(|left| *left == 0)
            .await;
    }

    /// The connection with this key.
    pub fn find(&self, key: &ConnectionKey) -> Found {
        match self.read().get(key) {
            None => Found::Missing,
            Some(Registered {
                connection,
                is_deleting: true,
            }) => Found::Deleting(Arc::clone(connection)),
            Some(Registered {
                connection,
                is_deleting: false,
            }) => Found::Usable(Arc::clone(connection)),
        }
    }

    /// Every connection, those being deleted too.
    pub fn all(&self) -> Vec<Arc<Connection>> {
        self.read()
            .values()
            .map(|entry| Arc::clone(&entry.connection))
            .collect()
    }

    /// The keys of connections that appear, change, or vanish from now on. A change is a change of
    /// settings, state, identity or deletion; routine calls are none.
    pub fn changes(&self) -> impl Stream<Item = ConnectionKey> + Send + use<> {
        let (sender, receiver) = mpsc::unbounded();
        let mut listeners = self
            .inner
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.push(sender);
        receiver
    }

    /// Whether a resource in this namespace may use the connection; else why not, for people.
    pub fn allows_namespace(&self, connection: &Connection, namespace: &str) -> Result<(), String> {
        match connection.key.kind {
            ConnectionKind::ClusterAponoConnection => {
                let rule = connection.settings.allow.namespaces.as_ref();
                let labels = self.inner.namespaces.labels(namespace);
                policy::allow_namespace(rule, namespace, labels.as_ref())
                    .map_err(|refusal| refusal.to_string())
            }
            ConnectionKind::AponoConnection
                if connection.key.namespace.as_deref() == Some(namespace) =>
            {
                Ok(())
            }
            ConnectionKind::AponoConnection => Err(format!(
                "{} serves its own namespace only, not `{namespace}`: create one there",
                connection.key
            )),
        }
    }

    /// What the connections look like now.
    pub fn figures(&self) -> ConnectionFigures {
        let entries = self.read();
        let mut figures = ConnectionFigures::default();
        for Registered { connection, .. } in entries.values() {
            let health = connection.remote.health();
            figures.total += 1;
            figures.ready += u32::from(*connection.state.borrow() == ConnectionState::Ready);
            figures.circuit_open += u32::from(health.circuit_open);
            figures.oldest_success = figures.oldest_success.max(health.last_success);
        }
        figures
    }

    /// Stores the connection; says so when it differs from the one before.
    pub(super) fn put(&self, connection: Arc<Connection>, is_deleting: bool, is_changed: bool) {
        let key = connection.key.clone();
        let new = Registered {
            connection,
            is_deleting,
        };
        let is_news = match self.write().entry(key.clone()) {
            Entry::Vacant(place) => {
                place.insert(new);
                true
            }
            Entry::Occupied(mut place) => {
                let old = place.insert(new);
                is_changed || old.is_deleting != is_deleting
            }
        };
        if is_news {
            self.tell(&key);
        }
    }

    /// A controller is set up that will register what it finds.
    pub(super) fn expect_controller(&self) {
        self.inner.filling.send_modify(|left| *left += 1);
    }

    /// A controller has registered what it found at the start.
    pub(super) fn controller_filled(&self) {
        self.inner
            .filling
            .send_modify(|left| *left = left.saturating_sub(1));
    }

    /// Forgets the connection.
    pub(super) fn remove(&self, key: &ConnectionKey) {
        if self.write().remove(key).is_some() {
            self.tell(key);
        }
    }

    fn tell(&self, key: &ConnectionKey) {
        let mut listeners = self
            .inner
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.unbounded_send(key.clone()).is_ok());
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<ConnectionKey, Registered>> {
        self.inner
            .entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<ConnectionKey, Registered>> {
        self.inner
            .entries
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
