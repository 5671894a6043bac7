//! The custom resources: types, validation rules, names and reasons. No IO happens here.

pub mod access_request;
pub mod allow;
pub mod conditions;
pub mod connection;
pub mod connection_reason;
pub mod duration;
pub mod manifest;
pub mod owed_reason;
pub mod owed_revocation;
mod rules;
pub mod settings;
pub mod status;
pub mod told;

pub use access_request::{
    Access, AccessRequest, AccessRequestSpec, ConnectionKind, ConnectionRef, Credentials,
    DEFAULT_CONNECTION, DeletionPolicy, EntitlementRef, IntegrationTarget, OnEnd, Renewal,
    Workload, WorkloadKind,
};
pub use allow::{AccessKind, Allow, NamespaceRule, NamespacedAllow};
pub use conditions::{ConditionType, Reason};
pub use connection::{
    AponoConnection, AponoConnectionSpec, ClusterAponoConnection, ClusterAponoConnectionSpec,
    ConnectionStatus, Correlation, DEFAULT_ENDPOINT, Limits, Polling, RequesterIdentity,
    SecretKeyRef,
};
pub use connection_reason::ConnectionReason;
pub use duration::DurationText;
pub use manifest::{all_crds, crd_files, crds_yaml};
pub use owed_reason::OwedReason;
pub use owed_revocation::{
    MOST_MARKS, MOST_OWED, OwedConnection, OwedMark, OwedOrigin, OwedRequest, OwedRevocation,
    OwedRevocationSpec, OwedRevocationStatus, WrittenOff,
};
pub use settings::{ConnectionSettings, LimitSettings, PollingSettings, REVOCATION_DEADLINE};
pub use status::{
    AccessGroup, AccessRequestStatus, AttemptEnd, AttemptStatus, CredentialsState,
    CredentialsStatus, EntitlementResource, EntitlementState, EntitlementSummary, Identity,
    LastHandled, NamedRef, OwnedRequest, Phase, PostOutcome, PostStatus, RemoteApi, ResolvedAccess,
    ResolvedEntitlement, SessionStatus,
};

/// The API group of every resource here.
pub const GROUP: &str = "access.apono.io";
/// The field manager every write of the operator carries.
pub const FIELD_MANAGER: &str = "apono-operator";
/// The finalizer that holds an `AccessRequest` until its access has been taken back.
pub const FINALIZER: &str = "access.apono.io/revoke";
/// The finalizer that holds a connection while access that was asked for through it may be live.
pub const IN_USE_FINALIZER: &str = "access.apono.io/in-use";
/// The finalizer that holds an `OwedRevocation` until it is paid or written off.
pub const OWED_FINALIZER: &str = "access.apono.io/owed";
/// The label of the Secrets in which the operator keeps copies of tokens.
pub const ESCROW_LABEL: &str = "access.apono.io/escrow";
/// The annotation on such a Secret that names the connection whose token it is.
pub const ESCROW_ANNOTATION: &str = "access.apono.io/escrow-of";
/// What kubectl keeps of the manifest that it applied; nobody here looks at it.
pub const LAST_APPLIED_ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The annotation with the write-ahead record of what was asked, see `controller/attempt.rs`.
pub const ATTEMPT_ANNOTATION: &str = "access.apono.io/attempt";
/// The annotation that asks to read Apono now: acted on once for each value.
pub const RECONCILE_ANNOTATION: &str = "access.apono.io/reconcile-requested-at";
/// Flux's annotation of the same meaning.
pub const FLUX_RECONCILE_ANNOTATION: &str = "reconcile.fluxcd.io/requestedAt";
/// The annotation that asks for ended access again: acted on once for each value.
pub const REQUEST_AGAIN_ANNOTATION: &str = "access.apono.io/request-again";
/// The annotation that takes the access back and keeps the resource: acted on once for each value.
pub const REVOKE_ANNOTATION: &str = "access.apono.io/revoke";
/// The annotation that asks for new credentials: acted on once for each value.
pub const RESET_CREDENTIALS_ANNOTATION: &str = "access.apono.io/reset-credentials";
/// The annotation that names who created the request: written by the admission policy
/// `deploy/policies/stamped-requester.yaml`, never by the operator.
pub const REQUESTED_BY_ANNOTATION: &str = "access.apono.io/requested-by";
/// The annotation on a delivered Secret that names the sessions whose credentials were about to be
/// read, see `controller/credentials.rs`.
pub const READING_ANNOTATION: &str = "access.apono.io/reading";
/// The annotation on a delivered Secret that names the sessions whose credentials are in it.
pub const DELIVERED_ANNOTATION: &str = "access.apono.io/delivered";
/// The annotation on a delivered Secret that names the sessions that were about to be reset.
pub const RESETTING_ANNOTATION: &str = "access.apono.io/resetting";
/// The annotation on a delivered Secret with the key of the digest in `status.credentials`.
pub const SALT_ANNOTATION: &str = "access.apono.io/digest-salt";
/// The annotation on a pod template that names the digest it was restarted for.
pub const RESTARTED_ANNOTATION: &str = "access.apono.io/restarted-for";
