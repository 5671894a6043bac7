//! What is asked for: a bundle, entitlements, or resources of one integration.

#![expect(
    clippy::doc_markdown,
    reason = "the documentation is for kubectl explain: plain text"
)]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::crd::rules;

/// What is asked for: exactly one of these.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = rules::is_one_kind_of_access())]
pub struct Access {
    /// The id or display name of a bundle of Apono, for example "prod-read". It cannot be set
    /// together with `entitlements` or `integration`, and it cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::is_not_blank("write the id or the display name of the bundle"))]
    pub bundle: Option<String>,
    /// A list of 1 to 100 entitlements, each a permission on a resource, by ids or by names, none
    /// listed twice. It cannot be set together with `bundle` or `integration`, and it cannot be
    /// changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 100),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    #[x_kube(validation = rules::has_no_repeats())]
    pub entitlements: Option<Vec<EntitlementRef>>,
    /// Resources of one integration, asked for on behalf of `grantee` through the admin API (v3)
    /// of Apono, which the token must be allowed to use. It needs `grantee` and `justification`,
    /// and cannot be set together with `bundle`, `entitlements`, `customFields` or `renewal`. It
    /// cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<IntegrationTarget>,
}

/// One entitlement: either by the two ids, or by the names of integration, resource and
/// permission.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = rules::is_by_ids_or_by_names())]
#[serde(rename_all = "camelCase")]
pub struct EntitlementRef {
    /// The id that Apono gives the resource, for example "res-1"; together with `permissionId`,
    /// and not with names. It cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub resource_id: Option<String>,
    /// The id that Apono gives the permission on the resource, for example "perm-1"; together with
    /// `resourceId`, and not with names. It cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub permission_id: Option<String>,
    /// The name of the integration, for example "prod-postgres"; together with `resource` and
    /// `permission`, and not with ids. It cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub integration: Option<String>,
    /// The type of the resource, for example "postgresql-database", where several resources of the
    /// integration have the same name. Absent: any type. It cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub resource_type: Option<String>,
    /// The name of the resource, for example "orders"; together with `integration` and
    /// `permission`, and not with ids. It cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub resource: Option<String>,
    /// The name of the permission on the resource, for example "ReadOnly"; together with
    /// `integration` and `resource`, and not with ids. It cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub permission: Option<String>,
}

/// Resources and permissions of one integration.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IntegrationTarget {
    /// The id of the integration, or a name that Apono's catalogue can resolve, for example
    /// "prod-postgres"; required. It cannot be changed later.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::is_not_blank("write the id or the name of the integration"))]
    pub integration: String,
    /// The type of the resources, for example "postgresql-database"; required. It cannot be
    /// changed later.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::is_not_blank("write the type of the resources"))]
    pub resource_type: String,
    /// The ids or names of the resources, for example `[orders]`; 1 to 100, none listed twice. It
    /// cannot be changed later.
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 256)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub resources: Vec<String>,
    /// The names of the permissions, for example `[ReadOnly]`; 1 to 50, none listed twice. Some
    /// integrations allow one permission a request only. It cannot be changed later.
    #[schemars(
        length(min = 1, max = 50),
        inner(length(min = 1, max = 256)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub permissions: Vec<String>,
}
