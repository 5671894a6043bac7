//! The record of what was asked, and the requests that came of it.

#![expect(
    clippy::doc_markdown,
    reason = "the documentation is for kubectl explain: plain text"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// What is to end because it was taken back from here or was not approved in time; absent
    /// where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<AttemptEnd>,
    /// The number of the newest attempt in which everything that had ended was asked for again,
    /// as a person or a refused renewal demanded; absent where that was never done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<i64>,
}

/// What is to end: every request of the attempts up to a number is taken back, also one that is
/// found later.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptEnd {
    /// The number of the last attempt that is to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<i64>,
    /// Why: "revoke", by the annotation `access.apono.io/revoke`, or "approval timed out", after
    /// `pendingTimeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub why: Option<String>,
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
    /// The number that people know the request by, where Apono gives one beside the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub friendly_id: Option<String>,
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
    /// Whether `endsAt` is reckoned from `duration`, because Apono names no end. Absent: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at_estimated: Option<bool>,
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
    /// Whether the access ended before its planned end, and not from here. Absent: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_early: Option<bool>,
    /// Whether the operator has ever seen the request being taken back. Absent: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoking_seen: Option<bool>,
    /// Whether the request was found by its mark instead of named in an answer. Absent: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<bool>,
}

/// The part of Apono's API that the request is read through: UserV4 for requests that the token's
/// user made for itself, Delegated for requests that it made for somebody else, AdminV3 for
/// requests for `access.integration`.
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
    /// The admin API, v3.
    AdminV3,
}
