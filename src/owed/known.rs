//! The debts there are: those of the watch, and those just written that it does not show yet. For
//! the metrics, for the escrow, and for telling whose a request at the remote is. No decisions.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use kube::{
    Client, Resource as _, ResourceExt as _, core::DeserializeGuard, runtime::reflector::Store,
};

use super::remotes::key;
use crate::{
    crd::{OwedReason, OwedRevocation},
    metrics::Metrics,
    shards::Shards,
};

/// A debt, or why it cannot be read.
pub(super) type Guarded = DeserializeGuard<OwedRevocation>;

/// The debts there are, and where they are written down. Clones share them.
#[derive(Clone)]
pub struct Debts {
    /// The Kubernetes client.
    pub(super) client: Client,
    /// The operator's namespace.
    pub(super) namespace: String,
    /// The deadline of a Kubernetes call.
    pub(super) kube_timeout: Duration,
    /// What is counted.
    pub(super) metrics: Metrics,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    store: OnceLock<Store<Guarded>>,
    is_synced: AtomicBool,
    /// By name, the debts this process wrote or saw, until they have ended.
    noted: Mutex<HashMap<String, Noted>>,
}

#[derive(Default)]
struct Noted {
    secret: Option<String>,
    ids: BTreeSet<String>,
    nonces: BTreeSet<String>,
}

/// What is owed at a scrape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How many debts there are, by why they were made.
    pub by_reason: BTreeMap<OwedReason, i64>,
    /// How many debts this version cannot read, or whose reason it does not know.
    pub unreadable: i64,
    /// How long the oldest has been owed.
    pub oldest: Option<Duration>,
}

impl fmt::Debug for Debts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Debts")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Debts {
    /// None known yet. `namespace` is the operator's.
    pub fn new(
        client: Client,
        namespace: String,
        kube_timeout: Duration,
        metrics: Metrics,
    ) -> Self {
        Self {
            client,
            namespace,
            kube_timeout,
            metrics,
            inner: Arc::default(),
        }
    }

    /// The store of the watch. The first one stays.
    pub(super) fn watch(&self, store: Store<Guarded>) {
        let _ = self.inner.store.set(store);
    }

    /// Every debt that existed at the start is known.
    pub(super) fn synced(&self) {
        self.inner.is_synced.store(true, Ordering::Release);
    }

    /// Whether every debt that existed at the start is known.
    pub fn is_synced(&self) -> bool {
        self.inner.is_synced.load(Ordering::Acquire)
    }

    /// Notes a debt that stands, or is about to.
    pub(super) fn note(&self, debt: &OwedRevocation) {
        let spec = &debt.spec;
        let secret = spec.token_secret_ref.as_ref();
        let noted = Noted {
            secret: secret.map(|secret| secret.name.clone()),
            ids: spec.requests.iter().map(|one| one.id.clone()).collect(),
            nonces: spec.marks.iter().map(|one| one.nonce.clone()).collect(),
        };
        self.noted().insert(debt.name_any(), noted);
    }

    /// A debt has ended.
    pub(super) fn forget(&self, name: &str) {
        self.noted().remove(name);
    }

    /// Whether a debt needs the Secret of this name, this one aside; absent while that is not known.
    pub(super) fn is_needed_but_for(&self, secret: &str, name: &str) -> Option<bool> {
        let is_so = |(other, noted): (&String, &Noted)| {
            other != name && noted.secret.as_deref() == Some(secret)
        };
        if self.noted().iter().any(is_so) {
            return Some(true);
        }
        if !self.is_synced() {
            return None;
        }
        Some(self.stored().iter().any(|one| {
            match &one.0 {
                // Noted by its first pass; until then it may be any.
                Ok(debt) => {
                    debt.spec
                        .token_secret_ref
                        .as_ref()
                        .map(|it| it.name.as_str())
                        == Some(secret)
                        && debt.name_any() != name
                        && !is_over(debt)
                }
                Err(_) => true,
            }
        }))
    }

    /// Whether a debt needs the Secret of this name; absent while that is not known.
    pub fn needs(&self, secret: &str) -> Option<bool> {
        self.is_needed_but_for(secret, "")
    }

    /// Whether a request at the remote belongs to a debt, by its id or by its mark.
    pub fn owns(&self, id: &str, nonce: &str) -> bool {
        let noted = self.noted();
        let of_noted = noted
            .values()
            .any(|one| one.ids.contains(id) || one.nonces.contains(nonce));
        drop(noted);
        of_noted
            || self.stored().iter().any(|one| match &one.0 {
                Ok(debt) => {
                    debt.spec.requests.iter().any(|one| one.id == id)
                        || debt.spec.marks.iter().any(|one| one.nonce == nonce)
                }
                Err(_) => true,
            })
    }

    /// What is owed now.
    pub fn figures(&self, now: Timestamp, shards: &Shards) -> Figures {
        let mut figures = Figures::default();
        let is_ours = |one: &Arc<Guarded>| match &one.0 {
            Ok(debt) => shards.has(&key(debt)),
            // Nobody knows whose it is, and nobody should miss it.
            Err(_) => true,
        };
        for one in self.stored().into_iter().filter(is_ours) {
            let reason = match &one.0 {
                Ok(debt) => known_reason(&debt.spec.reason),
                Err(_) => None,
            };
            match reason {
                Some(reason) => *figures.by_reason.entry(reason).or_default() += 1,
                None => figures.unreadable += 1,
            }
            let since = match &one.0 {
                Ok(debt) => debt.spec.owed_since.as_ref().map(|since| since.0),
                Err(_) => None,
            };
            let created = one.meta().creation_timestamp.as_ref().map(|time| time.0);
            let age = since
                .or(created)
                .map(|since| Duration::try_from(now.duration_since(since)).unwrap_or_default());
            figures.oldest = figures.oldest.max(age);
        }
        figures
    }

    fn stored(&self) -> Vec<Arc<Guarded>> {
        let store = self.inner.store.get();
        store.map(Store::state).unwrap_or_default()
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, HashMap<String, Noted>> {
        self.inner
            .noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is only still in the cache: its finalizer is off and it is deleted.
fn is_over(debt: &OwedRevocation) -> bool {
    let is_held = debt
        .finalizers()
        .iter()
        .any(|one| one == crate::crd::OWED_FINALIZER);
    debt.metadata.deletion_timestamp.is_some() && !is_held
}

fn known_reason(word: &str) -> Option<OwedReason> {
    OwedReason::ALL.into_iter().find(|one| one.as_str() == word)
}
