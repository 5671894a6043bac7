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
    /// When the access ends as planned: the earliest planned end among the live requests. It moves
    /// when Apono moves it, and is absent while Apono names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Time>,
    /// The planned end as text for the column EXPIRES, in UTC, for example "2026-11-23 18:00Z".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub expires: Option<String>,
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

/// The record of what was asked at Apono.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptStatus {
    /// The number of the newest attempt; the first is 1, and each time the access is asked for
    /// anew counts one more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// When the newest attempt started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// Every call that may have made a request at Apono, repeats included; at most 300.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 300))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["nonce".into()]))]
    pub posts: Vec<PostStatus>,
}

/// One call that may have made a request at Apono, and what became of it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostStatus {
    /// The word that marks the call: it stands at the front of the justification that was sent,
    /// and finds the request again when the answer is lost.
    #[schemars(length(min = 1, max = 64))]
    pub nonce: String,
    /// The number of the attempt that the call belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<i64>,
    /// The id of the request that was asked for again; empty where something new was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub of: Option<String>,
    /// When the call was recorded, which is before it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// What became of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<PostOutcome>,
}

/// What became of the call: Open, not known yet; Answered, the requests it made are listed;
/// Refused, Apono declined it; NotSent, it certainly made nothing; Absent, its request was looked
/// for and is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PostOutcome {
    /// Not known.
    #[default]
    Open,
    /// Answered with ids.
    Answered,
    /// Refused for good.
    Refused,
    /// Certainly not done.
    NotSent,
    /// Looked for and not there.
    Absent,
}

/// One request at Apono that belongs to this resource.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnedRequest {
    /// The id of the request at Apono.
    #[schemars(length(min = 1, max = 1024))]
    pub id: String,
    /// The part of Apono's API that the request is read through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<RemoteApi>,
    /// The status of the request in Apono's own word, for example "Active".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub status: Option<String>,
    /// The number of the attempt that the request belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// When the request was created at Apono.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// When the access of this request ends as planned; absent while Apono names no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Time>,
    /// The id of the user of Apono who made the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub requestor_id: Option<String>,
    /// The word that marks the call which made the request, see `status.attempt.posts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub nonce: Option<String>,
    /// When the operator first saw the request Active; absent if it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_at: Option<Time>,
    /// Whether the operator has ever seen the request being taken back. Absent: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoking_seen: Option<bool>,
    /// Whether the request was found by its mark instead of named in an answer. Absent: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<bool>,
}

/// The part of Apono's API that the request is read through: UserV4 for requests that the token's
/// user made for itself, Delegated for requests that it made for somebody else.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum RemoteApi {
    /// The user API, v4.
    #[default]
    UserV4,
    /// Made for somebody else.
    Delegated,
}

/// One entitlement as Apono reports it.
#[derive(
    KubeSchema, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub struct EntitlementState {
    /// The integration that the resource belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<NamedRef>,
    /// The resource that the permission is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<EntitlementResource>,
    /// The name of the permission, for example "ReadOnly".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub permission: Option<String>,
    /// The status of the entitlement in Apono's own word, for example "Granted".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub status: Option<String>,
}

/// The resource of an entitlement.
#[derive(
    KubeSchema, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub struct EntitlementResource {
    /// The id that Apono gives the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub id: Option<String>,
    /// The id that the resource has where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub source_id: Option<String>,
    /// The type of the resource, for example "postgresql-database".
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub resource_type: Option<String>,
    /// The name of the resource, as people know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub name: Option<String>,
}

/// How many entitlements are in which state.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntitlementSummary {
    /// How many entitlements the requests consist of.
    #[serde(default)]
    pub total: i64,
    /// How many of them are granted.
    #[serde(default)]
    pub granted: i64,
    /// How many of them are still being decided or set up.
    #[serde(default)]
    pub pending: i64,
    /// How many of them could not be granted.
    #[serde(default)]
    pub failed: i64,
    /// Whether `status.entitlements` has no room for all of them.
    #[serde(default)]
    pub truncated: bool,
}

/// An integration and its resource types, as Apono reports them.
#[derive(
    KubeSchema, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub struct AccessGroup {
    /// The integration that the access reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<NamedRef>,
    /// The types of the resources that the access reaches there; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        inner(length(max = 1024)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub resource_types: Vec<String>,
}

/// An id and a name.
#[derive(
    KubeSchema, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct NamedRef {
    /// The id that Apono gives to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub id: Option<String>,
    /// The name, as people know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub name: Option<String>,
}

/// A user of Apono.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The id that Apono gives the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub id: Option<String>,
    /// The id that the user has where it comes from, most often an e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub source_id: Option<String>,
}
