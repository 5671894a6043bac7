//! What the operator says of an `AccessRequest`.
//!
//! Nothing here is required but the keys of lists: a status that an older or newer version wrote
//! must always be readable.

#![expect(
    clippy::doc_markdown,
    reason = "the documentation is for kubectl explain: plain text"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conditions;

mod credentials;
mod described;
mod record;
mod resolved;

pub use credentials::{CredentialsState, CredentialsStatus, SessionStatus};
pub use described::{
    AccessGroup, EntitlementResource, EntitlementState, EntitlementSummary, Identity, NamedRef,
};
pub use record::{AttemptEnd, AttemptStatus, OwnedRequest, PostOutcome, PostStatus, RemoteApi};
pub use resolved::{LastHandled, ResolvedAccess, ResolvedEntitlement};

/// What the operator says of the request: written by the operator only.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessRequestStatus {
    /// The generation of the resource that this status speaks of; -1 while the operator has not
    /// looked at the resource yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The state in one word, derived from the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The reason of the leading condition, one word of a fixed list, for example
    /// "PendingApproval".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub reason: Option<String>,
    /// The message of the leading condition: what is going on and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub message: Option<String>,
    /// What is asked for, in short, for example "bundle prod-read".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub target: Option<String>,
    /// The record of what was asked at Apono and of what became of it. It repeats the annotation
    /// `access.apono.io/attempt`, so that neither is lost when the other is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptStatus>,
    /// The requests at Apono that belong to this resource: all that are live, and some that have
    /// ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub requests: Vec<OwnedRequest>,
    /// The entitlements that the requests consist of, as Apono reports them; at most 100, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub entitlements: Vec<EntitlementState>,
    /// How many entitlements there are and what became of them, also of those that the list above
    /// has no room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitlement_summary: Option<EntitlementSummary>,
    /// The integrations and resource types that the access reaches, as Apono reports them; at most
    /// 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub access_groups: Vec<AccessGroup>,
    /// The bundle that was asked for, as Apono knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<NamedRef>,
    /// The user of Apono who made the request: the user to whom the connection's token belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requestor: Option<Identity>,
    /// The user of Apono who gets the access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grantee: Option<Identity>,
    /// What the names in `spec.access` were found to mean in Apono's catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<ResolvedAccess>,
    /// When the access ends as planned: the earliest planned end among the live requests. It moves
    /// when Apono moves it, and is absent while Apono names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Time>,
    /// The planned end as text for the column EXPIRES, in UTC, for example "2026-11-23 18:00Z".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub expires: Option<String>,
    /// How many renewals were begun, whatever became of them; at most `spec.renewal.maxRenewals`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewals: Option<i64>,
    /// How far the delivery of the credentials is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsStatus>,
    /// The values of the annotations that were acted on last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled: Option<LastHandled>,
    /// The state in the form that tools wait for: Ready, Reconciling, Stalled, Synced and
    /// Complete. Reconciling, Stalled and Complete are present only while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::list_schema")]
    pub conditions: Vec<Condition>,
}

/// The state in one word, derived from the conditions, for columns and field selectors
/// (`--field-selector status.phase=Active`). Automation should read the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Being asked.
    Submitting,
    /// Waiting for an approver.
    Pending,
    /// Waiting for MFA.
    #[serde(rename = "PendingMFA")]
    PendingMfa,
    /// Being set up.
    Granting,
    /// Live.
    Active,
    /// Live, and being asked for again.
    Renewing,
    /// Being taken back.
    Revoking,
    /// Over.
    Ended,
    /// Rejected.
    Rejected,
    /// Failed.
    Failed,
    /// Suspended.
    Suspended,
    /// Not known.
    Unknown,
}
