//! The custom resources: types, validation rules, names and reasons. No IO happens here.

pub mod access_request;
pub mod conditions;
pub mod connection;
pub mod duration;

pub use access_request::{
    Access, AccessGroup, AccessRequest, AccessRequestSpec, AccessRequestStatus, AttemptStatus,
    ConnectionKind, ConnectionRef, DeletionPolicy, EntitlementRef, EntitlementResource,
    EntitlementState, EntitlementSummary, Identity, NamedRef, OwnedRequest, Phase, PostOutcome,
    PostStatus, RemoteApi,
};
pub use conditions::{ConditionType, Reason};
pub use connection::{
    Allow, AponoConnection, AponoConnectionSpec, ClusterAponoConnection,
    ClusterAponoConnectionSpec, ConnectionStatus, Correlation, Limits, NamespaceRule, Polling,
    SecretKeyRef,
};
pub use duration::DurationText;

/// The API group of every resource here.
pub const GROUP: &str = "access.apono.io";
/// The field manager every write of the operator carries.
pub const FIELD_MANAGER: &str = "apono-operator";
/// The finalizer that holds an `AccessRequest` until its access has been taken back.
pub const FINALIZER: &str = "access.apono.io/revoke";
/// The annotation with the write-ahead record of what was asked, see `controller/attempt.rs`.
pub const ATTEMPT_ANNOTATION: &str = "access.apono.io/attempt";
