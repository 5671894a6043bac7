//! What the names in the spec were found to mean, and which annotations were acted on.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::NamedRef;

/// What the names in `spec.access` were found to mean in Apono's catalogue. They are asked for
/// once, before the first request.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedAccess {
    /// The bundle that `spec.access.bundle` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<NamedRef>,
    /// The entitlements, in the order of `spec.access.entitlements`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub entitlements: Vec<ResolvedEntitlement>,
    /// The integration; the integrations of the entitlements where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub integrations: Vec<NamedRef>,
    /// The ids of the resources of `spec.access.integration`, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        inner(length(max = 1024)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub resources: Vec<String>,
}

/// The two ids that Apono takes for an entitlement.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedEntitlement {
    /// The id of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub resource_id: Option<String>,
    /// The id of the permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub permission_id: Option<String>,
}

/// The values of the annotations that were acted on last, each as the first 16 hex digits of its
/// SHA-256.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastHandled {
    /// Of `access.apono.io/reconcile-requested-at`, or of `reconcile.fluxcd.io/requestedAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reconcile: Option<String>,
    /// Of `access.apono.io/request-again`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub request_again: Option<String>,
    /// Of `access.apono.io/revoke`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub revoke: Option<String>,
    /// Of `access.apono.io/reset-credentials`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reset_credentials: Option<String>,
}
