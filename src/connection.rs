//! A connection at work: its gated remote, what is known of its requests, and whether it can be
//! used.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `policy.rs` | pure: which endpoints, which namespaces; `policy/asks.rs`: what may be asked for |
//! | `bulk.rs` | io: access that is taken back together |
//! | `sessions.rs` | io: lists of sessions that are read together |
//! | `hold.rs`, `escrow.rs` | io: what keeps a connection, and a copy of its token, while it is needed |
//! | `registry.rs` | the connections that exist, by key; who changed |
//! | `token.rs` | io: one GET of one Secret |
//! | `supervised.rs` | remote and poller of one connection, replaced when its settings change |
//! | `status.rs` | pure: conditions, and the smallest patch |
//! | `controller.rs` | what passes share, and what makes them happen |
//! | `pass.rs` | one pass over a connection |
//! | `unowned.rs` | live requests that belong to nobody any more: told, never touched |
//! | `verify.rs` | the call that proves the token, and what its answers mean |
//! | `reads.rs` | the remote as the poller sees it |
//! | `one_by_one.rs` | the same without pages, for the benchmark to compare with; in no release |
//! | `namespaces.rs` | the labels of namespaces, in cluster scope only |
//!
//! Nothing here asks for access, or takes back what it was not handed; nothing lists or watches
//! Secrets.

use std::{fmt, sync::Arc};

use kube::{Resource as _, ResourceExt as _, core::DeserializeGuard};
use tokio::sync::watch;

use crate::{
    crd::{
        AponoConnection, ClusterAponoConnection, ConnectionKind, ConnectionReason, ConnectionRef,
        ConnectionSettings, ConnectionStatus, DEFAULT_CONNECTION, Identity,
    },
    poller::Store,
    remote::Remote,
};

mod bulk;
pub mod controller;
pub mod escrow;
mod hold;
mod namespaces;
#[cfg(feature = "ablation")]
mod one_by_one;
mod pass;
pub mod policy;
mod reads;
mod registry;
mod sessions;
mod status;
mod supervised;
mod token;
mod unowned;
mod verify;

pub use bulk::{BulkAnswer, BulkRevokes};
pub use hold::{Hold, HoldError};
pub use namespaces::{Namespaces, Relabelled};
pub use registry::{Found, LastKnown, Registry};
pub use sessions::SessionReads;
pub(crate) use supervised::gated_remote;
pub(crate) use token::read_token;

/// Which connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionKey {
    /// Of which kind.
    pub kind: ConnectionKind,
    /// In which namespace; absent for the cluster kind.
    pub namespace: Option<String>,
    /// By which name.
    pub name: String,
}

impl ConnectionKey {
    /// A connection of the whole cluster.
    pub fn cluster(name: impl Into<String>) -> Self {
        let kind = ConnectionKind::ClusterAponoConnection;
        Self {
            kind,
            namespace: None,
            name: name.into(),
        }
    }

    /// A connection of one namespace.
    pub fn namespaced(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        let kind = ConnectionKind::AponoConnection;
        Self {
            kind,
            namespace: Some(namespace.into()),
            name: name.into(),
        }
    }

    /// The key of this object.
    pub(crate) fn of<K: ConnectionResource>(object: &DeserializeGuard<K>) -> Self {
        let name = object.name_any();
        Self {
            kind: K::KIND,
            namespace: object.meta().namespace.clone(),
            name,
        }
    }

    /// The connection that a resource in `namespace` names, or the default one.
    pub fn named_by(reference: Option<&ConnectionRef>, namespace: &str) -> Self {
        let Some(reference) = reference else {
            return Self::cluster(DEFAULT_CONNECTION);
        };
        match reference.kind.unwrap_or_default() {
            ConnectionKind::ClusterAponoConnection => Self::cluster(&reference.name),
            ConnectionKind::AponoConnection => Self::namespaced(namespace, &reference.name),
        }
    }
}

impl fmt::Display for ConnectionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(formatter, "AponoConnection {namespace}/{}", self.name),
            None => write!(formatter, "ClusterAponoConnection {}", self.name),
        }
    }
}

/// Whether a connection can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// The API accepted the token.
    Ready,
    /// It cannot be used for new requests. Taking back still works where the remote is configured.
    NotReady {
        /// Why.
        reason: ConnectionReason,
        /// For people: what, value, next step.
        message: String,
    },
    /// The API refused the token; nothing can be called until it changes.
    Unauthorized {
        /// For people: which Secret and key to change.
        message: String,
    },
}

impl ConnectionState {
    /// The reason of the condition Ready.
    pub fn reason(&self) -> ConnectionReason {
        match self {
            Self::Ready => ConnectionReason::Ready,
            Self::NotReady { reason, .. } => *reason,
            Self::Unauthorized { .. } => ConnectionReason::Unauthorized,
        }
    }

    /// The message of the condition Ready.
    pub fn message(&self) -> &str {
        match self {
            Self::Ready => "the API accepts the token",
            Self::NotReady { message, .. } | Self::Unauthorized { message } => message,
        }
    }

    fn not_ready(reason: ConnectionReason, message: impl Into<String>) -> Self {
        Self::NotReady {
            reason,
            message: message.into(),
        }
    }
}

/// A connection at work. Replaced as a whole when its settings change; the store, the state and the
/// identity live on.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Which it is; shared with what is kept of every resource that asks through it.
    pub key: Arc<ConnectionKey>,
    /// The uid of the resource.
    pub uid: String,
    /// What the resource says, with every default in place.
    pub settings: Arc<ConnectionSettings>,
    /// Every call goes through here.
    pub remote: Remote,
    /// What is known of the remote requests.
    pub store: Arc<Store>,
    /// What is taken back together.
    pub bulk: Arc<BulkRevokes>,
    /// The lists of sessions that are read together.
    pub sessions: Arc<SessionReads>,
    /// What keeps it while it is needed.
    pub hold: Arc<Hold>,
    state: Arc<watch::Sender<ConnectionState>>,
    identity: Arc<watch::Sender<Option<Identity>>>,
}

impl Connection {
    /// Whether it can be used now.
    pub fn state(&self) -> ConnectionState {
        self.state.borrow().clone()
    }

    /// Whose token it is, when a request of theirs has been read.
    pub fn identity(&self) -> Option<Identity> {
        self.identity.borrow().clone()
    }
}

/// What the two kinds of connection have in common.
pub(crate) trait ConnectionResource:
    kube::Resource<DynamicType = ()>
    + Clone
    + fmt::Debug
    + serde::de::DeserializeOwned
    + Send
    + Sync
    + 'static
{
    const KIND: ConnectionKind;

    fn settings(&self) -> ConnectionSettings;
    fn status(&self) -> Option<&ConnectionStatus>;
}

impl ConnectionResource for ClusterAponoConnection {
    const KIND: ConnectionKind = ConnectionKind::ClusterAponoConnection;

    fn settings(&self) -> ConnectionSettings {
        self.spec.settings()
    }

    fn status(&self) -> Option<&ConnectionStatus> {
        self.status.as_ref()
    }
}

impl ConnectionResource for AponoConnection {
    const KIND: ConnectionKind = ConnectionKind::AponoConnection;

    fn settings(&self) -> ConnectionSettings {
        self.spec.settings()
    }

    fn status(&self) -> Option<&ConnectionStatus> {
        self.status.as_ref()
    }
}
