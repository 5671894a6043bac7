//! The rights that the operator needs, read from the roles it is shipped with, so that the two
//! cannot differ. Pure.

use k8s_openapi::api::{authorization::v1::ResourceAttributes, rbac::v1::PolicyRule};
use serde::Deserialize;

use crate::settings::Scope;

/// One role as it is shipped, and what it is for.
struct Shipped {
    /// What works with it, for people.
    purpose: &'static str,
    /// The folder that grants it.
    folder: &'static str,
    /// Whether nothing works without it.
    is_needed: bool,
    /// The file, as it is applied.
    yaml: &'static str,
}

const CLUSTER: Shipped = Shipped {
    purpose: "serving the cluster",
    folder: "deploy/kustomize/base",
    is_needed: true,
    yaml: include_str!("../../deploy/kustomize/base/cluster-role.yaml"),
};
const TOKENS: Shipped = Shipped {
    purpose: "reading tokens in the operator's namespace",
    folder: "deploy/kustomize/operator",
    is_needed: true,
    yaml: include_str!("../../deploy/kustomize/operator/token-role.yaml"),
};
const DEBTS: Shipped = Shipped {
    purpose: "writing down what is owed, and paying it",
    folder: "deploy/kustomize/operator",
    is_needed: true,
    yaml: include_str!("../../deploy/kustomize/operator/owed-role.yaml"),
};
const LEASES: Shipped = Shipped {
    purpose: "sharing the connections with other replicas",
    folder: "deploy/kustomize/operator",
    is_needed: true,
    yaml: include_str!("../../deploy/kustomize/operator/lease-role.yaml"),
};
const ESCROW: Shipped = Shipped {
    purpose: "keeping copies of the tokens of AponoConnections",
    folder: "deploy/kustomize/escrow",
    is_needed: false,
    yaml: include_str!("../../deploy/kustomize/escrow/role.yaml"),
};
const CONNECTIONS: Shipped = Shipped {
    purpose: "AponoConnections of every namespace",
    folder: "deploy/kustomize/namespaced-connections",
    is_needed: false,
    yaml: include_str!("../../deploy/kustomize/namespaced-connections/cluster-role.yaml"),
};
const CREDENTIALS: Shipped = Shipped {
    purpose: "spec.credentials in every namespace",
    folder: "deploy/kustomize/credentials",
    is_needed: false,
    yaml: include_str!("../../deploy/kustomize/credentials/cluster-role.yaml"),
};
const SERVED: Shipped = Shipped {
    purpose: "serving the namespace",
    folder: "deploy/kustomize/namespaced/served",
    is_needed: true,
    yaml: include_str!("../../deploy/kustomize/namespaced/served/role.yaml"),
};
const SERVED_CREDENTIALS: Shipped = Shipped {
    purpose: "spec.credentials in the namespace",
    folder: "deploy/kustomize/namespaced/credentials",
    is_needed: false,
    yaml: include_str!("../../deploy/kustomize/namespaced/credentials/role.yaml"),
};

/// What belongs together: granted or refused as a whole, by one folder of `deploy`.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What works with it, for people.
    pub purpose: String,
    /// The folder that grants it.
    pub folder: &'static str,
    /// Whether nothing works without it.
    pub is_needed: bool,
    /// The single rights, as the apiserver is asked for them.
    pub rights: Vec<ResourceAttributes>,
}

/// The rights that these settings need, and those that are granted where a feature is wanted.
///
/// # Errors
/// What of the shipped files cannot be read; a test holds that all can.
pub fn groups(scope: &Scope, operator_namespace: &str) -> Result<Vec<Group>, serde_saphyr::Error> {
    let own = Some(operator_namespace);
    let shipped: Vec<(Shipped, Option<&str>)> = match scope {
        Scope::Cluster => vec![
            (CLUSTER, None),
            (TOKENS, own),
            (DEBTS, own),
            (LEASES, own),
            (CONNECTIONS, None),
            (ESCROW, own),
            (CREDENTIALS, None),
        ],
        Scope::Namespaces(served) => served
            .iter()
            .flat_map(|one| {
                [
                    (SERVED, Some(one.as_str())),
                    (SERVED_CREDENTIALS, Some(one)),
                ]
            })
            .chain([(TOKENS, own), (DEBTS, own), (LEASES, own), (ESCROW, own)])
            .collect(),
    };
    shipped
        .into_iter()
        .map(|(role, namespace)| group(&role, namespace))
        .collect()
}

fn group(role: &Shipped, namespace: Option<&str>) -> Result<Group, serde_saphyr::Error> {
    /// Of a role and of a binding alike: a binding has no rules.
    #[derive(Deserialize)]
    struct Document {
        #[serde(default)]
        rules: Vec<PolicyRule>,
    }
    let documents: Vec<Document> = serde_saphyr::from_multiple(role.yaml)?;
    let rules = documents.into_iter().flat_map(|document| document.rules);
    Ok(Group {
        purpose: match namespace {
            Some(namespace) => format!("{}, namespace {namespace}", role.purpose),
            None => role.purpose.to_owned(),
        },
        folder: role.folder,
        is_needed: role.is_needed,
        rights: rules.flat_map(|rule| rights(&rule, namespace)).collect(),
    })
}

/// Every combination that a rule grants.
fn rights(rule: &PolicyRule, namespace: Option<&str>) -> Vec<ResourceAttributes> {
    let none = [String::new()];
    let names = match rule.resource_names.as_deref() {
        None | Some([]) => none.as_slice(),
        Some(names) => names,
    };
    let mut rights = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            let (resource, subresource) = resource
                .split_once('/')
                .map_or((resource.as_str(), None), |(one, two)| (one, Some(two)));
            for (verb, name) in rule
                .verbs
                .iter()
                .flat_map(|verb| names.iter().map(move |name| (verb, name)))
            {
                rights.push(ResourceAttributes {
                    group: Some(group.clone()),
                    resource: Some(resource.to_owned()),
                    subresource: subresource.map(Into::into),
                    verb: Some(verb.clone()),
                    name: Some(name.clone()).filter(|name| !name.is_empty()),
                    namespace: namespace.map(Into::into),
                    ..ResourceAttributes::default()
                });
            }
        }
    }
    rights
}

/// A right as `kubectl auth can-i` takes it.
pub fn spoken(right: &ResourceAttributes) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let mut text = format!("{} {}", part(&right.verb), part(&right.resource));
    for (mark, value) in [
        (".", &right.group),
        ("/", &right.subresource),
        (" ", &right.name),
    ] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            text.push_str(mark);
            text.push_str(value);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{groups, spoken};
    use crate::settings::Scope;

    #[test]
    fn each_rule_becomes_one_right_for_each_verb_resource_and_name() {
        let groups = groups(&Scope::Cluster, "apono-system").unwrap();
        let needed: Vec<_> = groups[0].rights.iter().map(spoken).collect();
        for right in [
            "patch accessrequests.access.apono.io",
            "patch accessrequests.access.apono.io/status",
            "get namespaces kube-system",
            "create events.events.k8s.io",
        ] {
            assert!(needed.iter().any(|one| one == right), "{right}: {needed:?}");
        }
        assert!(
            !needed.iter().any(|one| one == "get namespaces"),
            "{needed:?}"
        );
    }

    #[test]
    fn a_served_namespace_needs_nothing_of_the_cluster() {
        let served = ["payments".to_owned(), "orders".to_owned()];
        let groups = groups(&Scope::Namespaces(served.into()), "apono-system").unwrap();
        let needed = groups.iter().filter(|group| group.is_needed);
        assert_eq!(
            needed.count(),
            5,
            "a role of each namespace and the operator's own three"
        );
        let mut rights = groups.iter().flat_map(|group| &group.rights);
        assert!(rights.all(|right| right.namespace.is_some()));
    }
}
