//! What a connection may be used for, and from where.

#![expect(
    clippy::doc_markdown,
    reason = "the documentation is for kubectl explain: plain text"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::rules;

/// What a connection of the whole cluster may be used for, and from where.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Allow {
    /// The namespaces whose AccessRequests may use this connection. Absent: all namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceRule>,
    /// Whether an AccessRequest may leave its access behind when it is deleted
    /// (`deletionPolicy: Orphan`); looked at when it is deleted. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphan: Option<bool>,
}

/// What a connection of one namespace may be used for. It serves that namespace alone, so there is
/// nothing to say of others.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NamespacedAllow {
    /// Whether an AccessRequest may leave its access behind when it is deleted
    /// (`deletionPolicy: Orphan`); looked at when it is deleted. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphan: Option<bool>,
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
            orphan: allow.orphan,
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
