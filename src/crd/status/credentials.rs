//! How far the delivery of the credentials is.

#![expect(
    clippy::doc_markdown,
    reason = "the documentation is for kubectl explain: plain text"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far the delivery of the credentials is. Nothing secret stands here. What was begun and what
/// is delivered is recorded in the Secret itself, before and after each read.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsStatus {
    /// The Secret that holds the credentials, in the namespace of this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret_name: Option<String>,
    /// Further Secrets that may hold credentials, as while `spec.credentials.secretName` changes; at
    /// most 10. They are emptied or deleted before the change is done, and before the end of the
    /// access is reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 10),
        inner(length(min = 1, max = 253)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub other_secret_names: Vec<String>,
    /// How far the delivery is, over all sessions: the one that is furthest behind decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<CredentialsState>,
    /// A keyed hash of what was delivered, whose key stands in the Secret: it changes when the
    /// data changes and tells nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub digest: Option<String>,
    /// When the data was delivered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Time>,
    /// The digest for which the workloads of `spec.credentials.rolloutRestart` were restarted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub restarted_for: Option<String>,
    /// What the delivery waits for and what to do about it. Absent where it waits for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// The sessions of Apono whose credentials are delivered; at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub sessions: Vec<SessionStatus>,
}

/// The credentials of one session of Apono.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionStatus {
    /// The id of the session; for `access.integration` the id of the request.
    #[schemars(length(min = 1, max = 1024))]
    pub id: String,
    /// The name of the integration that the session leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub integration: Option<String>,
    /// How far its delivery is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<CredentialsState>,
    /// The ids of this resource's requests that the session serves; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        inner(length(max = 1024)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub requests: Vec<String>,
    /// When the operator decided to ask Apono for new credentials, which is recorded before it
    /// asks. It tells apart what was delivered before and after, so it stays when they have come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resetting_since: Option<Time>,
}

/// How far the delivery of credentials is: Pending, not there yet; Delivered, in the Secret;
/// ViewedElsewhere, somebody else has seen them, so they cannot be read any more; Shared, the
/// session belongs to requests of others too; Resetting, Apono is making new ones; NotApplicable,
/// this access has none; Removed, the access has ended and the Secret is gone or empty.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum CredentialsState {
    /// Not there yet.
    Pending,
    /// In the Secret.
    Delivered,
    /// Seen by somebody else.
    ViewedElsewhere,
    /// Of requests of others too.
    Shared,
    /// Being made anew.
    Resetting,
    /// There are none.
    NotApplicable,
    /// Taken out of the Secret.
    Removed,
}
