//! What a person writes in an `AccessRequest`. What the operator says of it is in
//! [`status`](super::status).

#![expect(
    clippy::doc_markdown,
    reason = "the documentation is for kubectl explain: plain text"
)]
#![expect(
    clippy::duplicated_attributes,
    reason = "columns repeat their type, each for itself"
)]

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub use super::status::*;
use super::{DurationText, rules};

mod access;
mod credentials;
mod renewal;

pub use access::{Access, EntitlementRef, IntegrationTarget};
pub use credentials::{Credentials, OnEnd, Workload, WorkloadKind};
pub use renewal::Renewal;

/// What access is asked for, for whom, and how it ends. What is asked for, for whom and why cannot
/// be changed later: to ask for something else, create a new AccessRequest with another name.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "access.apono.io",
    version = "v1alpha1",
    kind = "AccessRequest",
    doc = "Temporary access, asked for at Apono when this resource is created and taken back when \
           it is deleted.",
    namespaced,
    status = "AccessRequestStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "accreq",
    category = "apono",
    selectable = ".status.phase",
    selectable = ".spec.grantee",
    selectable = ".spec.access.bundle",
    selectable = ".spec.connectionRef.name",
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether the access can be used now.",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        description = "Why the resource is in the state it is in.",
        json_path = ".status.reason"
    ),
    printcolumn(
        name = "Target",
        type_ = "string",
        description = "What is asked for.",
        json_path = ".status.target"
    ),
    printcolumn(
        name = "Grantee",
        type_ = "string",
        description = "For whom; empty for the user of the connection's token.",
        json_path = ".spec.grantee"
    ),
    printcolumn(
        name = "Expires",
        type_ = "string",
        description = "When the access ends as planned.",
        json_path = ".status.expires"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        description = "How long ago the resource was created.",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Request-Id",
        type_ = "string",
        description = "The ids of the requests at Apono.",
        json_path = ".status.requests[*].id",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        description = "What is going on, and what to do about it.",
        json_path = ".status.message",
        priority = 1
    )
)]
#[x_kube(
    validation = rules::is_fixed("connectionRef", rules::NEW_REQUEST),
    validation = rules::is_fixed("access", rules::NEW_REQUEST),
    validation = rules::is_fixed("grantee", rules::NEW_REQUEST),
    validation = rules::is_fixed("justification", rules::NEW_REQUEST),
    validation = rules::is_fixed("duration", rules::NEW_REQUEST),
    validation = rules::is_fixed("customFields", rules::NEW_REQUEST),
    validation = rules::integration_names_a_grantee(),
    validation = rules::integration_has_a_justification(),
    validation = rules::integration_has_no("customFields"),
    validation = rules::integration_has_no("renewal"),
    validation = rules::renewal_is_before_the_end()
)]
#[serde(rename_all = "camelCase")]
pub struct AccessRequestSpec {
    /// The connection to ask through: where the API is and whose token is used. Absent: the
    /// ClusterAponoConnection named "default". It cannot be changed later. The field selector
    /// `spec.connectionRef.name` finds what is written here, so it is empty, not "default", where
    /// this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_ref: Option<ConnectionRef>,
    /// What to ask for: exactly one of `bundle`, `entitlements` and `integration`. It cannot be
    /// changed later.
    pub access: Access,
    /// The user who shall get the access, by e-mail address or Apono id, for example
    /// "dana@example.com". Absent: the user to whom the connection's token belongs. It cannot be
    /// changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 320))]
    #[x_kube(validation = rules::is_not_blank(
        "name the user by e-mail address or id, or leave grantee out to ask for the token's own user"
    ))]
    pub grantee: Option<String>,
    /// Why the access is needed, for the people who approve and audit it, for example "INC-42:
    /// stuck orders"; at most 1000 characters. The operator sends it with its own mark in front,
    /// so it must not contain "[k8s ". Absent: only the mark is sent. It cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    #[x_kube(validation = rules::has_no_mark())]
    pub justification: Option<String>,
    /// How long the access shall last, in hours, minutes and seconds, for example "8h" or "1h30m";
    /// from 1m to 8760h. Absent: the period that the access flow in Apono gives. It cannot be
    /// changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = rules::is_duration(),
        validation = rules::is_within(rules::Span { min: "1m", max: "8760h" })
    )]
    pub duration: Option<DurationText>,
    /// Values for the custom fields that the access flow in Apono asks for, by the name of the
    /// field, for example `ticket: INC-42`; at most 32, each value of at most 1000 characters.
    /// Absent: none are sent. It cannot be changed later.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "custom_fields")]
    #[x_kube(validation = rules::values_have_no_mark(), validation = rules::names_are_short())]
    pub custom_fields: BTreeMap<String, String>,
    /// How long to wait for the people who approve, for example "24h"; from 1s to 8760h. When it
    /// has passed, the request is cancelled at Apono. Absent: wait for ever. It can be changed at
    /// any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = rules::is_duration(),
        validation = rules::is_within(rules::Span { min: "1s", max: "8760h" })
    )]
    pub pending_timeout: Option<DurationText>,
    /// Asking for the access again before it ends. It cannot be set together with
    /// `access.integration`. Absent: the access ends at its planned end. It can be changed at any
    /// time: what was renewed before stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Renewal>,
    /// Delivering the credentials of the access into a Secret. Absent: they are never read. It can
    /// be changed at any time; when it is taken out, the Secret is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// What deleting this resource does with the access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether to hold back: while true nothing new is asked for. Access that was already asked
    /// for stays and is followed, and deleting the resource still takes it back. Absent: false. It
    /// can be changed at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// How many seconds after its access has ended, or was refused, the resource is deleted by the
    /// operator; from 0. It is disregarded, with an event, for a resource that a GitOps tool owns:
    /// that tool would create the resource again, and with it the request. Absent: the resource
    /// stays. It can be changed at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub ttl_seconds_after_finished: Option<i32>,
}

/// A reference to a connection.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConnectionRef {
    /// The kind of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ConnectionKind>,
    /// The name of the connection, for example "default"; required. It cannot be changed later.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::is_object_name())]
    pub name: String,
}

/// The kind of the connection: ClusterAponoConnection, which serves the whole cluster, or
/// AponoConnection, which is looked for in the namespace of the AccessRequest. Absent:
/// ClusterAponoConnection. It cannot be changed later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConnectionKind {
    /// Cluster-wide.
    #[default]
    ClusterAponoConnection,
    /// In the same namespace.
    AponoConnection,
}

/// What deleting this resource does with the access: Revoke takes it back at Apono first and keeps
/// the resource until that is confirmed; Orphan leaves it to end by itself, where the connection
/// allows that (`spec.allow.orphan`), else it is taken back all the same. Absent: Revoke. It can
/// be changed at any time; what counts is its value when the resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Take it back first.
    #[default]
    Revoke,
    /// Leave it.
    Orphan,
}

/// The bounds of custom fields. Their names are bounded by a rule: a schema cannot.
fn custom_fields(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 1000}
    })
}

/// The `ClusterAponoConnection` that is used where an `AccessRequest` names none.
pub const DEFAULT_CONNECTION: &str = "default";
