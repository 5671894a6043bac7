//! The connections that exist, by key, and word of every change. The connection controller writes
//! it; the controller of access requests reads it. No IO.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use futures::{Stream, channel::mpsc};
use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    Connection, ConnectionKey, ConnectionState, Namespaces,
    policy::{self, Admission, Refusal},
};
use crate::{
    crd::{ConnectionKind, ConnectionSettings},
    marker::Mark,
    metrics::ConnectionFigures,
};

/// So many connections that are gone are remembered.
const MOST_GONE: usize = 1000;

/// Whether a cached resource needs a connection; unknown while the caches are being filled.
pub type NeedSource = Box<dyn Fn(&ConnectionKey) -> Option<bool> + Send + Sync>;
/// Whether a debt needs the Secret of this name; unknown while the cache is being filled.
pub type DebtSource = Box<dyn Fn(&str) -> Option<bool> + Send + Sync>;

/// Whether a cached resource or a debt owns the request with this mark and id; unknown while the
/// caches are being filled.
pub type OwnerSource = Box<dyn Fn(&Mark, &str) -> Option<bool> + Send + Sync>;

/// A connection as it was when it went.
#[derive(Clone, Debug)]
pub struct LastKnown {
    /// Its uid.
    pub uid: String,
    /// What it said.
    pub settings: Arc<ConnectionSettings>,
}

/// What is found under a key.
#[derive(Clone, Debug)]
pub enum Found {
    /// No such connection. Not known to be so before the caches are synced.
    Missing,
    /// It is being deleted: no new requests, but access is still taken back through it.
    Deleting(Arc<Connection>),
    /// It exists; its state says whether it can be used now.
    Usable(Arc<Connection>),
    /// It exists, and another replica works for it.
    Elsewhere,
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

#[derive(Default)]
struct Sources {
    needs: OnceLock<NeedSource>,
    debts: OnceLock<DebtSource>,
    owners: OnceLock<OwnerSource>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sources").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Inner {
    entries: RwLock<HashMap<ConnectionKey, Registered>>,
    /// What went while this process ran, which no controller of ours lets happen while it is needed.
    gone: Mutex<HashMap<ConnectionKey, LastKnown>>,
    sources: Sources,
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
    /// Another replica's.
    Elsewhere,
}

fn at_work(one: &Registered) -> Option<Arc<Connection>> {
    match one {
        Registered::AtWork { connection, .. } => Some(Arc::clone(connection)),
        Registered::Unreadable(_) | Registered::Elsewhere => None,
    }
}

impl Registry {
    /// Nothing yet.
    pub fn new(namespaces: Namespaces) -> Self {
        let inner = Inner {
            entries: RwLock::default(),
            gone: Mutex::default(),
            sources: Sources::default(),
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
            Some(Registered::Elsewhere) => Found::Elsewhere,
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
        let own = entries.values();
        for entry in own.filter(|one| !matches!(one, Registered::Elsewhere)) {
            figures.total += 1;
            let Registered::AtWork { connection, .. } = entry else {
                continue;
            };
            let health = connection.remote.health();
            figures.ready += u32::from(*connection.state.borrow() == ConnectionState::Ready);
            figures.circuit_open += u32::from(health.circuit_open);
            figures.paused += u32::from(connection.remote.paused().is_some());
            figures.oldest_success = figures.oldest_success.max(health.last_success);
        }
        figures
    }

    /// The longest time that what is followed through any connection has gone unread.
    pub fn staleness(&self, now: Timestamp) -> Option<Duration> {
        let entries = self.read();
        let connections = entries.values().filter_map(at_work);
        connections.filter_map(|one| one.store.staleness(now)).max()
    }

    /// Stores the connection; says so when it differs from the one before.
    pub(super) fn put(&self, connection: Arc<Connection>, is_deleting: bool, is_changed: bool) {
        let key = Arc::clone(&connection.key);
        let new = Registered::AtWork {
            connection,
            is_deleting,
        };
        self.enter(&key, new, |old| match old {
            Registered::AtWork {
                is_deleting: before,
                ..
            } => is_changed || *before != is_deleting,
            Registered::Unreadable(_) | Registered::Elsewhere => true,
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

    /// Notes a connection that another replica works for. What was known of it is forgotten.
    pub(super) fn put_elsewhere(&self, key: &ConnectionKey) {
        self.enter(key, Registered::Elsewhere, |old| {
            !matches!(old, Registered::Elsewhere)
        });
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

    /// Says who knows which resources need a connection. The first one stays.
    pub fn count_needs_with(&self, source: NeedSource) {
        let _ = self.inner.sources.needs.set(source);
    }

    /// Says who knows which debts need a Secret. The first one stays.
    pub fn count_debts_with(&self, source: DebtSource) {
        let _ = self.inner.sources.debts.set(source);
    }

    /// Whether a cached resource needs the connection; absent while that is not known.
    pub fn needs(&self, key: &ConnectionKey) -> Option<bool> {
        let source = self.inner.sources.needs.get()?;
        source(key)
    }

    /// Whether a debt needs the Secret of this name in the operator's namespace; absent while that
    /// is not known.
    pub fn debt_needs(&self, secret: &str) -> Option<bool> {
        let source = self.inner.sources.debts.get()?;
        source(secret)
    }

    /// Says who knows whose a request is. The first one stays.
    pub fn find_owners_with(&self, source: OwnerSource) {
        let _ = self.inner.sources.owners.set(source);
    }

    /// Live requests seen through this connection that bear this cluster's mark and belong to no
    /// resource and no debt: their finalizers were removed by hand.
    pub(super) fn unowned(&self, connection: &Connection) -> Vec<(Mark, String)> {
        let Some(owners) = self.inner.sources.owners.get() else {
            return Vec::new();
        };
        let found = connection.store.unowned().into_iter();
        let found = found.map(|(mark, seen)| (mark, seen.request.id.to_string()));
        let is_unowned = |(mark, id): &(Mark, String)| owners(mark, id) == Some(false);
        found.filter(is_unowned).collect()
    }

    /// How many such requests there are, each counted once.
    pub fn count_unowned(&self) -> i64 {
        let connections: Vec<_> = self.read().values().filter_map(at_work).collect();
        let all = connections.iter().flat_map(|one| self.unowned(one));
        let ids: HashSet<_> = all.map(|(_, id)| id).collect();
        i64::try_from(ids.len()).unwrap_or(i64::MAX)
    }

    /// The connection with this uid, if there is one.
    pub fn with_uid(&self, uid: Option<&str>) -> Option<Arc<Connection>> {
        let uid = uid?;
        let entries = self.read();
        entries.values().find_map(|one| match one {
            Registered::AtWork { connection, .. } if connection.uid == uid => {
                Some(Arc::clone(connection))
            }
            Registered::AtWork { .. } | Registered::Unreadable(_) | Registered::Elsewhere => None,
        })
    }

    /// What is remembered of a connection that went while this process ran.
    pub fn last_known(&self, key: &ConnectionKey) -> Option<LastKnown> {
        let gone = self.inner.gone.lock();
        gone.unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
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
        let Some(before) = self.write().remove(key) else {
            return;
        };
        if let Registered::AtWork { connection, .. } = before {
            let mut gone = self
                .inner
                .gone
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if gone.len() < MOST_GONE {
                let uid = connection.uid.clone();
                let settings = Arc::clone(&connection.settings);
                gone.insert(key.clone(), LastKnown { uid, settings });
            }
        }
        self.tell(key);
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
