//! What a person writes in a connection: where the API is, which token to use, and what the token
//! may be used for.
//!
//! The two kinds differ in where the token is looked for and in who may use the connection, so they
//! are two types; what they have in common is resolved in one place, [`settings`](super::settings).

#![allow(
    rustdoc::bare_urls,
    reason = "the comments become `kubectl explain`, which shows them as they are"
)]
#![expect(
    clippy::doc_markdown,
    reason = "the documentation is for kubectl explain: plain text"
)]
#![expect(
    clippy::duplicated_attributes,
    reason = "columns repeat their type, each for itself"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub use super::allow::*;
use super::{DurationText, Identity, conditions, rules};

/// The API that a connection without `endpoint` reaches.
pub const DEFAULT_ENDPOINT: &str = "https://api.apono.io";

/// Where the API is, which token to use, and what the token may be used for.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "access.apono.io",
    version = "v1alpha1",
    kind = "ClusterAponoConnection",
    doc = "A connection to Apono that AccessRequests of every namespace may use.",
    status = "ConnectionStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "apono",
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether the connection can be used now.",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        description = "Why the connection can or cannot be used.",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(
        name = "Endpoint",
        type_ = "string",
        description = "Where the API is; empty for https://api.apono.io.",
        json_path = ".spec.endpoint"
    ),
    printcolumn(
        name = "Identity",
        type_ = "string",
        description = "The user to whom the token belongs.",
        json_path = ".status.identity.sourceId"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        description = "How long ago the connection was created.",
        json_path = ".metadata.creationTimestamp"
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
    validation = rules::is_fixed("endpoint", rules::NEW_CONNECTION),
    validation = rules::is_private()
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAponoConnectionSpec {
    /// Where the API is, for example "https://api.apono.io", without user, password, query or
    /// fragment. Plain http is taken only for localhost, 127.0.0.0/8 and ::1, or with
    /// `insecure: true`. Absent: https://api.apono.io. It cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = rules::is_endpoint())]
    pub endpoint: Option<String>,
    /// The Secret that holds the token, in the namespace of the operator. It can be changed at any
    /// time; a new token in the same Secret needs no change here.
    pub token_secret_ref: SecretKeyRef,
    /// The certificates to trust: a PEM file as base64 in one line, at most 65536 characters. Only
    /// these are trusted then, and no public ones. Absent: the public ones are trusted, as the
    /// operator's image holds them. It can be changed at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    #[x_kube(validation = rules::is_base64())]
    pub ca_bundle: Option<String>,
    /// Whether plain http may be used beyond this machine, which sends the token readably over the
    /// network: for tests only. Absent: false. It can be changed at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// How a request is found again whose answer was lost. Absent: as its own properties say. It
    /// can be changed at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlation>,
    /// How the requester is told to Apono whom the policy of stamped requesters wrote into the
    /// annotation access.apono.io/requested-by of an AccessRequest. Absent: the requester is not
    /// told. It can be changed at any time, and holds for what is asked for from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<RequesterIdentity>,
    /// What this connection may be used for, and from where. Absent: everything that its own
    /// properties do not restrict, from every namespace. It can be changed at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Allow>,
    /// How hard the API may be driven. Absent: as its own properties say. It can be changed at any
    /// time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// How often requests are read. Absent: as its own properties say. It can be changed at any
    /// time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polling: Option<Polling>,
    /// How long the deletion of an AccessRequest waits for its access to end before it goes on and
    /// leaves an OwedRevocation in the namespace of the operator, for example "10m"; from 1s to
    /// 168h. Absent: 10m. It can be changed at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = rules::is_interval(),
        validation = rules::is_within(rules::Span { min: "1s", max: "168h" })
    )]
    pub revocation_deadline: Option<DurationText>,
}

/// Where the API is, which token to use, and what the token may be used for.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "access.apono.io",
    version = "v1alpha1",
    kind = "AponoConnection",
    doc = "A connection to Apono that AccessRequests of the same namespace may use.",
    namespaced,
    status = "ConnectionStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "apono",
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether the connection can be used now.",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        description = "Why the connection can or cannot be used.",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(
        name = "Endpoint",
        type_ = "string",
        description = "Where the API is; empty for https://api.apono.io.",
        json_path = ".spec.endpoint"
    ),
    printcolumn(
        name = "Identity",
        type_ = "string",
        description = "The user to whom the token belongs.",
        json_path = ".status.identity.sourceId"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        description = "How long ago the connection was created.",
        json_path = ".metadata.creationTimestamp"
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
    validation = rules::is_fixed("endpoint", rules::NEW_CONNECTION),
    validation = rules::is_private()
)]
#[serde(rename_all = "camelCase")]
pub struct AponoConnectionSpec {
    /// Where the API is, for example "https://api.apono.io", without user, password, query or
    /// fragment. Plain http is taken only for localhost, 127.0.0.0/8 and ::1, or with
    /// `insecure: true`. Absent: https://api.apono.io. It cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = rules::is_endpoint())]
    pub endpoint: Option<String>,
    /// The Secret that holds the token, in the namespace of this connection. It can be changed at
    /// any time; a new token in the same Secret needs no change here.
    pub token_secret_ref: SecretKeyRef,
    /// The certificates to trust: a PEM file as base64 in one line, at most 65536 characters. Only
    /// these are trusted then, and no public ones. Absent: the public ones are trusted, as the
    /// operator's image holds them. It can be changed at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    #[x_kube(validation = rules::is_base64())]
    pub ca_bundle: Option<String>,
    /// Whether plain http may be used beyond this machine, which sends the token readably over the
    /// network: for tests only. Absent: false. It can be changed at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// How a request is found again whose answer was lost. Absent: as its own properties say. It
    /// can be changed at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlation>,
    /// How the requester is told to Apono whom the policy of stamped requesters wrote into the
    /// annotation access.apono.io/requested-by of an AccessRequest. Absent: the requester is not
    /// told. It can be changed at any time, and holds for what is asked for from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<RequesterIdentity>,
    /// What this connection may be used for. Absent: everything that its own properties do not
    /// restrict. It can be changed at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<NamespacedAllow>,
    /// How hard the API may be driven. Absent: as its own properties say. It can be changed at any
    /// time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// How often requests are read. Absent: as its own properties say. It can be changed at any
    /// time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polling: Option<Polling>,
    /// How long the deletion of an AccessRequest waits for its access to end before it goes on and
    /// leaves an OwedRevocation in the namespace of the operator, for example "10m"; from 1s to
    /// 168h. Absent: 10m. It can be changed at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = rules::is_interval(),
        validation = rules::is_within(rules::Span { min: "1s", max: "168h" })
    )]
    pub revocation_deadline: Option<DurationText>,
}

/// A key of a Secret.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SecretKeyRef {
    /// The name of the Secret, for example "apono-token"; required.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::is_object_name())]
    pub name: String,
    /// The key of the Secret whose value is the token, for example "token"; required.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::is_secret_key())]
    pub key: String,
}

/// How a create whose answer was lost is found.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correlation {
    /// How long the lists of the API may lag behind what was created, for example "15s"; from
    /// 100ms to 10m. Only after this time is a request that is in no list taken for absent and
    /// asked for again: too short a time may ask twice. Absent: 15s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = rules::is_interval(),
        validation = rules::is_within(rules::Span { min: "100ms", max: "10m" })
    )]
    pub settle: Option<DurationText>,
}

/// How the requester is told to Apono.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequesterIdentity {
    /// The custom field in the access flow that takes the requester, for example "requested_by"; from
    /// 1 to 256 characters; required. Its value is the annotation access.apono.io/requested-by of
    /// the AccessRequest, as it is when Apono is asked; without the annotation the field is not
    /// sent. An AccessRequest that sets this field itself is not asked for. Requests of
    /// access.integration have no custom fields and never tell it: see allow.access. The annotation
    /// is worth what keeps people from writing it: install deploy/policies/stamped-requester.yaml.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::is_not_blank(
        "write the name of a custom field, as the access flow in Apono has it, such as \"requested_by\""
    ))]
    pub custom_field: String,
}

/// Caps on how hard the API is driven.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = rules::burst_has_a_rate())]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// How many calls a second may be made, from 1 to 10000. Absent: no fixed rate; the operator
    /// slows down when the API asks it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub requests_per_second: Option<i32>,
    /// How many calls may be made at once before `requestsPerSecond` holds them back, from 1 to
    /// 10000; only together with it. Absent: as many as `requestsPerSecond`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub burst: Option<i32>,
    /// How many calls may be under way at the same time, from 1 to 256. Absent: 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: Option<i32>,
}

/// How often the remote is read.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polling {
    /// How often requests are read that move by themselves, such as access that is being set up or
    /// taken back, for example "1s"; from 50ms to 1m. Absent: 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = rules::is_interval(),
        validation = rules::is_within(rules::Span { min: "50ms", max: "1m" })
    )]
    pub fast: Option<DurationText>,
    /// How often requests are read that wait for people, for example "10s"; from 100ms to 10m.
    /// Absent: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = rules::is_interval(),
        validation = rules::is_within(rules::Span { min: "100ms", max: "10m" })
    )]
    pub pending: Option<DurationText>,
    /// How often live access is read, to notice when somebody takes it back, for example "60s";
    /// from 100ms to 1h. Absent: 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = rules::is_interval(),
        validation = rules::is_within(rules::Span { min: "100ms", max: "1h" })
    )]
    pub active: Option<DurationText>,
}

/// What the operator says of the connection: written by the operator only.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// The generation of the connection that this status speaks of; -1 while the operator has not
    /// looked at the connection yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The state in the form that tools wait for: Ready, Reconciling and Stalled. Reconciling and
    /// Stalled are present only while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::list_schema")]
    pub conditions: Vec<Condition>,
    /// The user of Apono to whom the token belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}
