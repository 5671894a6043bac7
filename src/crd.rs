//! The custom resources: types, validation rules, names and reasons. No IO happens here.

pub mod access_request;
pub mod allow;
pub mod conditions;
pub mod connection;
pub mod connection_reason;
pub mod duration;
pub mod manifest;
mod rules;
pub mod settings;
pub mod status;

pub use access_request::{
    Access, AccessRequest, AccessRequestSpec, ConnectionKind, ConnectionRef, DEFAULT_CONNECTION,
    DeletionPolicy, EntitlementRef,
};
pub use allow::{Allow, NamespaceRule, NamespacedAllow};
pub use conditions::{ConditionType, Reason};
pub use connection::{
    AponoConnection, AponoConnectionSpec, ClusterAponoConnection, ClusterAponoConnectionSpec,
    ConnectionStatus, Correlation, DEFAULT_ENDPOINT, Limits, Polling, SecretKeyRef,
};
pub use connection_reason::ConnectionReason;
pub use duration::DurationText;
pub use manifest::{all_crds, crd_files, crds_yaml};
pub use settings::{ConnectionSettings, LimitSettings, PollingSettings};
pub use status::{
    AccessGroup, AccessRequestStatus, AttemptStatus, EntitlementResource, EntitlementState,
    EntitlementSummary, Identity, NamedRef, OwnedRequest, Phase, PostOutcome, PostStatus,
    RemoteApi,
};

/// The API group of every resource here.
pub const GROUP: &str = "access.apono.io";
/// The field manager every write of the operator carries.
pub const FIELD_MANAGER: &str = "apono-operator";
/// The finalizer that holds an `AccessRequest` until its access has been taken back.
pub const FINALIZER: &str = "access.apono.io/revoke";
/// The annotation with the write-ahead record of what was asked, see `controller/attempt.rs`.
pub const ATTEMPT_ANNOTATION: &str = "access.apono.io/attempt";
