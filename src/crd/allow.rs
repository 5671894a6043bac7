//! What a connection may be used for, and from where.

#![expect(
    clippy::doc_markdown,
    reason = "the documentation is for kubectl explain: plain text"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{DurationText, rules};

/// What a connection of the whole cluster may be used for, and from where.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allow {
    /// The namespaces whose AccessRequests may use this connection. Absent: all namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceRule>,
    /// The ways of asking that are allowed: Bundle, Entitlements, Integration. Absent: all; only
    /// Bundle where `bundles` is set; all but Bundle where `integrations` is set and `bundles` is
    /// not. It can be changed at any time; what was asked stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub access: Option<Vec<AccessKind>>,
    /// The names of the bundles that may be asked for, for example `["prod-*"]`, in which "*" stands
    /// for any characters; at most 100. They are compared with the name that Apono gives the
    /// bundle. Absent: all, or none where `integrations` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 256)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = rules::are_patterns("\"prod-*\""))]
    pub bundles: Option<Vec<String>>,
    /// The names of the integrations whose resources may be asked for, for example `["prod-*"]`, in
    /// which "*" stands for any characters; at most 100. They are compared with the name that
    /// Apono gives the integration. A bundle may reach any integration, so where this is set, only
    /// the bundles of `bundles` may be asked for, and none where that is absent. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 256)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = rules::are_patterns("\"prod-*\""))]
    pub integrations: Option<Vec<String>>,
    /// The users for whom may be asked, for example `["self", "*@example.com"]`, in which "*" stands
    /// for any characters and "self" for an AccessRequest without `grantee`; at most 100. They are
    /// compared with `grantee` as it is written, case aside, also where it names the token's own
    /// user. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 320)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = rules::are_patterns("\"self\" or \"*@example.com\""))]
    pub grantees: Option<Vec<String>>,
    /// The longest time that may be asked for, renewals included, for example "8h"; from 1m to
    /// 8760h. Where it is set, an AccessRequest needs `duration`, and `duration` times one more
    /// than `renewal.maxRenewals` must fit. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = rules::is_duration(),
        validation = rules::is_within(rules::Span { min: "1m", max: "8760h" })
    )]
    pub max_duration: Option<DurationText>,
    /// Whether an AccessRequest needs a `justification`. The operator's own mark is always sent as
    /// one and would satisfy an access flow that demands it. Absent: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_justification: Option<bool>,
    /// Whether an AccessRequest may leave its access behind when it is deleted
    /// (`deletionPolicy: Orphan`); looked at when it is deleted. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphan: Option<bool>,
    /// Whether the credentials of another user than the token's own may be delivered into the
    /// namespace of the AccessRequest. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_for_others: Option<bool>,
}

/// What a connection of one namespace may be used for. It serves that namespace alone, so there is
/// nothing to say of others.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedAllow {
    /// The ways of asking that are allowed: Bundle, Entitlements, Integration. Absent: all; only
    /// Bundle where `bundles` is set; all but Bundle where `integrations` is set and `bundles` is
    /// not. It can be changed at any time; what was asked stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub access: Option<Vec<AccessKind>>,
    /// The names of the bundles that may be asked for, for example `["prod-*"]`, in which "*" stands
    /// for any characters; at most 100. They are compared with the name that Apono gives the
    /// bundle. Absent: all, or none where `integrations` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 256)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = rules::are_patterns("\"prod-*\""))]
    pub bundles: Option<Vec<String>>,
    /// The names of the integrations whose resources may be asked for, for example `["prod-*"]`, in
    /// which "*" stands for any characters; at most 100. They are compared with the name that
    /// Apono gives the integration. A bundle may reach any integration, so where this is set, only
    /// the bundles of `bundles` may be asked for, and none where that is absent. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 256)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = rules::are_patterns("\"prod-*\""))]
    pub integrations: Option<Vec<String>>,
    /// The users for whom may be asked, for example `["self", "*@example.com"]`, in which "*" stands
    /// for any characters and "self" for an AccessRequest without `grantee`; at most 100. They are
    /// compared with `grantee` as it is written, case aside, also where it names the token's own
    /// user. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 320)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = rules::are_patterns("\"self\" or \"*@example.com\""))]
    pub grantees: Option<Vec<String>>,
    /// The longest time that may be asked for, renewals included, for example "8h"; from 1m to
    /// 8760h. Where it is set, an AccessRequest needs `duration`, and `duration` times one more
    /// than `renewal.maxRenewals` must fit. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = rules::is_duration(),
        validation = rules::is_within(rules::Span { min: "1m", max: "8760h" })
    )]
    pub max_duration: Option<DurationText>,
    /// Whether an AccessRequest needs a `justification`. The operator's own mark is always sent as
    /// one and would satisfy an access flow that demands it. Absent: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_justification: Option<bool>,
    /// Whether an AccessRequest may leave its access behind when it is deleted
    /// (`deletionPolicy: Orphan`); looked at when it is deleted. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphan: Option<bool>,
    /// Whether the credentials of another user than the token's own may be delivered into the
    /// namespace of the AccessRequest. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_for_others: Option<bool>,
}

/// A way of asking: Bundle for `access.bundle`, Entitlements for `access.entitlements`, Integration
/// for `access.integration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessKind {
    /// A bundle.
    Bundle,
    /// Entitlements.
    Entitlements,
    /// Resources of one integration.
    Integration,
}

/// Which namespaces: those that are named, and those that the selector finds.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = rules::names_or_selects())]
pub struct NamespaceRule {
    /// The names of allowed namespaces, for example [payments, orders]; at most 100. Namespaces
    /// that `selector` finds are allowed too. Absent: none by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 63)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = rules::are_namespace_names())]
    pub names: Option<Vec<String>>,
    /// The labels of allowed namespaces, for example `matchLabels: {team: payments}`. Namespaces
    /// that `names` lists are allowed too. An empty selector finds every namespace. Absent: none
    /// by label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "selector_schema")]
    pub selector: Option<LabelSelector>,
}

impl From<NamespacedAllow> for Allow {
    fn from(allow: NamespacedAllow) -> Self {
        Self {
            namespaces: None,
            access: allow.access,
            bundles: allow.bundles,
            integrations: allow.integrations,
            grantees: allow.grantees,
            max_duration: allow.max_duration,
            require_justification: allow.require_justification,
            orphan: allow.orphan,
            credentials_for_others: allow.credentials_for_others,
        }
    }
}

/// The label selector of Kubernetes with bounds, which its own schema lacks.
fn selector_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "The labels that a namespace must have, each with its value; at \
                                most 32.",
                "type": "object",
                "maxProperties": 32,
                "additionalProperties": {"type": "string", "maxLength": 63}
            },
            "matchExpressions": {
                "description": "Conditions on labels that a namespace must meet, all of them; at \
                                most 32.",
                "type": "array",
                "maxItems": 32,
                "x-kubernetes-list-type": "atomic",
                "items": requirement_schema()
            }
        }
    })
}

fn requirement_schema() -> Schema {
    json_schema!({
        "type": "object",
        "required": ["key", "operator"],
        "properties": {
            "key": {
                "description": "The label that the condition is about, for example \"team\".",
                "type": "string",
                "minLength": 1,
                "maxLength": 317
            },
            "operator": {
                "description": "How the label is compared: In and NotIn with values, Exists and \
                                DoesNotExist without.",
                "type": "string",
                "enum": ["In", "NotIn", "Exists", "DoesNotExist"]
            },
            "values": {
                "description": "The values to compare with, at most 100; only for In and NotIn, \
                                and required there.",
                "type": "array",
                "maxItems": 100,
                "x-kubernetes-list-type": "atomic",
                "items": {"type": "string", "maxLength": 63}
            }
        },
        "x-kubernetes-validations": [rules::values_fit_the_operator()]
    })
}
