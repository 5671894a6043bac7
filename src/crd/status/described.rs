//! What Apono says of the access: what it holds, where, for whom.

#![expect(
    clippy::doc_markdown,
    reason = "the documentation is for kubectl explain: plain text"
)]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

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
