//! The connections that exist, by key, and word of every change. The connection controller writes
//! it; the controller of access requests reads it. No IO.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use futures::{Stream, channel::mpsc};
use tokio::sync::watch;

use super::{
    Connection, ConnectionKey, ConnectionState, Namespaces,
    policy::{self, Admission, Refusal},
};
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
    /// It exists, and this version has never been able to read it.
    Unreadable {
        /// For people: what is wrong, next step.
        message: String,
    },
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
enum Registered {
    AtWork {
        connection: Arc<Connection>,
        is_deleting: bool,
    },
    /// With what is wrong.
    Unreadable(String),
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
            Some(Registered::AtWork {
                connection,
                is_deleting: true,
            }) => Found::Deleting(Arc::clone(connection)),
            Some(Registered::AtWork {
                connection,
                is_deleting: false,
            }) => Found::Usable(Arc::clone(connection)),
            Some(Registered::Unreadable(message)) => Found::Unreadable {
                message: message.clone(),
            },
        }
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

    /// Whether a resource in this namespace may use the connection.
    pub fn allows_namespace(&self, connection: &Connection, namespace: &str) -> Admission {
        match connection.key.kind {
            ConnectionKind::ClusterAponoConnection => {
                let rule = connection.settings.allow.namespaces.as_ref();
                let labels = self.inner.namespaces.labels(namespace);
                policy::allow_namespace(rule, namespace, labels.as_ref())
            }
            ConnectionKind::AponoConnection
                if connection.key.namespace.as_deref() == Some(namespace) =>
            {
                Admission::Allowed
            }
            ConnectionKind::AponoConnection => Admission::Refused(Refusal(format!(
                "{} serves its own namespace only, not `{namespace}`: create one there",
                connection.key
            ))),
        }
    }

    /// Whether every namespace that existed at the start is known, with its labels.
    pub fn knows_namespaces(&self) -> bool {
        self.inner.namespaces.is_filled()
    }

    /// Whether the labels of namespaces decide who may use this connection.
    pub fn selects_namespaces(&self, key: &ConnectionKey) -> bool {
        let entries = self.read();
        let Some(Registered::AtWork { connection, .. }) = entries.get(key) else {
            return false;
        };
        let rule = connection.settings.allow.namespaces.as_ref();
        rule.is_some_and(|rule| rule.selector.is_some())
    }

    /// What the connections look like now.
    pub fn figures(&self) -> ConnectionFigures {
        let entries = self.read();
        let mut figures = ConnectionFigures::default();
        for entry in entries.values() {
            figures.total += 1;
            let Registered::AtWork { connection, .. } = entry else {
                continue;
            };
            let health = connection.remote.health();
            figures.ready += u32::from(*connection.state.borrow() == ConnectionState::Ready);
            figures.circuit_open += u32::from(health.circuit_open);
            figures.oldest_success = figures.oldest_success.max(health.last_success);
        }
        figures
    }

    /// Stores the connection; says so when it differs from the one before.
    pub(super) fn put(&self, connection: Arc<Connection>, is_deleting: bool, is_changed: bool) {
        let key = connection.key.clone();
        let new = Registered::AtWork {
            connection,
            is_deleting,
        };
        self.enter(&key, new, |old| match old {
            Registered::AtWork {
                is_deleting: before,
                ..
            } => is_changed || *before != is_deleting,
            Registered::Unreadable(_) => true,
        });
    }

    /// Notes a connection that nothing is known of but that it cannot be read.
    pub(super) fn put_unreadable(&self, key: &ConnectionKey, message: &str) {
        let new = Registered::Unreadable(message.to_owned());
        self.enter(
            key,
            new,
            |old| !matches!(old, Registered::Unreadable(before) if before == message),
        );
    }

    fn enter(
        &self,
        key: &ConnectionKey,
        new: Registered,
        is_news: impl FnOnce(&Registered) -> bool,
    ) {
        let is_news = match self.write().entry(key.clone()) {
            Entry::Vacant(place) => {
                place.insert(new);
                true
            }
            Entry::Occupied(mut place) => is_news(&place.insert(new)),
        };
        if is_news {
            self.tell(key);
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
