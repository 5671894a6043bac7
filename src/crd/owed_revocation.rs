//! Access that could not be taken back before its resource had to go: what is left to do, and
//! through which connection. Written by the operator; a person sets `writtenOff` and nothing else.

#![expect(
    clippy::doc_markdown,
    reason = "the documentation is for kubectl explain: plain text"
)]
#![expect(
    clippy::duplicated_attributes,
    reason = "columns repeat their type, each for itself"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{ConnectionKind, Limits, RemoteApi, SecretKeyRef, conditions, rules};

/// As many requests as one debt names.
pub const MOST_OWED: usize = 1000;
/// As many calls as one debt looks for: those of a resource, and those it inherited.
pub const MOST_MARKS: usize = 600;

/// What is left to be taken back, and through which connection. The operator writes it and deletes
/// it when everything has ended; only `writtenOff` is for people.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "access.apono.io",
    version = "v1alpha1",
    kind = "OwedRevocation",
    doc = "Access that outlived its AccessRequest and is still to be taken back. Written by the operator, which deletes it when the access has ended; deleting it by hand does nothing before.",
    namespaced,
    status = "OwedRevocationStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "apono",
    printcolumn(
        name = "Origin",
        type_ = "string",
        description = "The name of the AccessRequest whose access it is.",
        json_path = ".spec.origin.name"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        description = "Why the access could not be taken back in time.",
        json_path = ".spec.reason"
    ),
    printcolumn(
        name = "Owed",
        type_ = "date",
        description = "How long the access has been owed.",
        json_path = ".spec.owedSince"
    ),
    printcolumn(
        name = "Attempts",
        type_ = "integer",
        description = "How often the operator has tried.",
        json_path = ".status.attempts"
    ),
    printcolumn(
        name = "Namespace",
        type_ = "string",
        description = "The namespace of the AccessRequest.",
        json_path = ".spec.origin.namespace",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        description = "What is going on, and what to do about it.",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    )
)]
#[x_kube(
    validation = rules::is_fixed("origin", rules::NOT_BY_HAND),
    validation = rules::is_fixed("reason", rules::NOT_BY_HAND),
    validation = rules::is_fixed("owedSince", rules::NOT_BY_HAND),
    validation = rules::is_fixed("connection", rules::NOT_BY_HAND),
    validation = rules::is_fixed("tokenSecretRef", rules::NOT_BY_HAND),
    validation = rules::stays_written_off()
)]
#[serde(rename_all = "camelCase")]
pub struct OwedRevocationSpec {
    /// The AccessRequest whose access it is. Written by the operator; it cannot be changed later.
    pub origin: OwedOrigin,
    /// Why the access could not be taken back in time, one word of a fixed list, for example
    /// "Unauthorized". Written by the operator; it cannot be changed later.
    #[schemars(length(min = 1, max = 128))]
    pub reason: String,
    /// Since when the access is owed. Written by the operator; it cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed_since: Option<Time>,
    /// The connection as it was when the access became owed. Written by the operator; it cannot be
    /// changed later.
    pub connection: OwedConnection,
    /// The Secret that holds the token, in the namespace of the operator: that of the connection,
    /// or the copy that was made of it. Absent: the connection was gone and nothing was known of
    /// it; a connection of the same kind and name is used when there is one. Written by the
    /// operator; it cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKeyRef>,
    /// The requests at Apono that are to be taken back, at most 1000. Absent: none is known yet.
    /// Written by the operator, which adds what it finds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub requests: Vec<OwedRequest>,
    /// The calls of which it is not known what they made: requests that bear their marks are looked
    /// for, at most 600. Absent: every call was answered. Written by the operator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 600))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["nonce".into()]))]
    pub marks: Vec<OwedMark>,
    /// Set it to give the debt up: the operator then forgets it, and the access stays as it is at
    /// Apono. Take it back there first. Absent: the debt stands. It cannot be taken back once set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_off: Option<WrittenOff>,
}

/// The AccessRequest whose access is owed.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedOrigin {
    /// The namespace the AccessRequest was in.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// The name of the AccessRequest.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its uid, which no other resource ever has.
    #[schemars(length(min = 1, max = 128))]
    pub uid: String,
}

/// A connection as it was.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwedConnection {
    /// Its kind: ClusterAponoConnection or AponoConnection. One of a namespace was in that of the
    /// origin.
    pub kind: ConnectionKind,
    /// The name of the connection.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its uid. Absent where nothing was known of it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub uid: Option<String>,
    /// Where the API is. Absent where nothing was known of the connection any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub endpoint: Option<String>,
    /// The certificates to trust: a PEM file as base64 in one line. Absent: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub ca_bundle: Option<String>,
    /// Whether plain http may be used beyond this machine. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// How hard the API may be driven. Absent: as without any limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// One request at Apono that is to be taken back.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwedRequest {
    /// The id of the request at Apono.
    #[schemars(length(min = 1, max = 1024))]
    pub id: String,
    /// Where it lives: UserV4, Delegated or AdminV3. Absent: UserV4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<RemoteApi>,
    /// The id of the user who made it: only to this user is a request that cannot be found one that
    /// does not exist. Absent where it was never read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub requestor_id: Option<String>,
    /// Whether it was seen to be access. If so, "Failed" means that it could not be taken back, and
    /// otherwise that it may never have been access. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was_access: Option<bool>,
}

/// One call of which it is not known what it made.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwedMark {
    /// The word that marks the call: it stands at the front of the justification that was sent.
    #[schemars(length(min = 1, max = 64))]
    pub nonce: String,
    /// Until when requests with this mark are looked for. The call was made at most a day before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search_until: Option<Time>,
    /// Which API was called: AdminV3 for the admin API, and any other for the user's own. Absent:
    /// the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<RemoteApi>,
    /// For whom was asked through the admin API, whose list is read user by user. Absent for the
    /// user's own API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub user: Option<String>,
    /// The id of the user whose token made the call: only to this user does a list that lacks the
    /// request prove that there is none. Absent where it was not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub asker_id: Option<String>,
}

/// Who gave the debt up, and why.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenOff {
    /// Who gives it up, for example "dana@example.com"; required.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::is_not_blank("write who gives the debt up, such as an e-mail address"))]
    pub by: String,
    /// Why, for example "revoked by hand in Apono, ticket INC-42"; required.
    #[schemars(length(min = 1, max = 1000))]
    #[x_kube(validation = rules::is_not_blank("write why the debt is given up, and what became of the access"))]
    pub reason: String,
}

/// What the operator says of the debt: written by the operator only.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwedRevocationStatus {
    /// The generation of the debt that this status speaks of; -1 while the operator has not looked
    /// at it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How often the operator has tried to take back what is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i64>,
    /// What Apono said last, or why it could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub last_answer: Option<String>,
    /// The state in the form that tools wait for: Ready is false while anything is owed; Reconciling
    /// says that the operator works on it, Stalled that a person has to act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::list_schema")]
    pub conditions: Vec<Condition>,
}
