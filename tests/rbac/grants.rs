//! What roles grant and what calls use, and the difference both ways.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use crate::shipped::text;

/// One verb on one resource, somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    pub role: String,
    /// Absent: everywhere.
    pub namespace: Option<String>,
    /// Absent: any name.
    pub name: Option<String>,
    pub group: String,
    /// With its subresource, for example `accessrequests/status`.
    pub resource: String,
    pub verb: String,
}

/// One call of the operator, from the audit log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub group: String,
    pub resource: String,
    pub verb: String,
    pub code: u64,
}

/// Every grant of the roles among these documents.
pub fn grants(documents: &[Value]) -> BTreeSet<Grant> {
    let roles = documents
        .iter()
        .filter(|document| matches!(text(document, "/kind"), "Role" | "ClusterRole"));
    roles.flat_map(of_role).collect()
}

fn of_role(role: &Value) -> Vec<Grant> {
    let mut found = Vec::new();
    for rule in list(role, "/rules") {
        let names: Vec<_> = match strings(rule, "/resourceNames") {
            names if names.is_empty() => vec![None],
            names => names.into_iter().map(Some).collect(),
        };
        for group in strings(rule, "/apiGroups") {
            for resource in strings(rule, "/resources") {
                for verb in strings(rule, "/verbs") {
                    found.extend(names.iter().map(|name| Grant {
                        role: text(role, "/metadata/name").to_owned(),
                        namespace: some(text(role, "/metadata/namespace")),
                        name: name.clone(),
                        group: group.clone(),
                        resource: resource.clone(),
                        verb: verb.clone(),
                    }));
                }
            }
        }
    }
    found
}

impl Call {
    /// The call of an entry of the audit log; absent where it names no resource.
    pub fn of(entry: &Value) -> Option<Self> {
        let object = entry.get("objectRef")?;
        let of = |path| some(text(object, path));
        let resource = of("/resource")?;
        Some(Self {
            // A namespace is in itself, as the log has it; to roles it is nowhere.
            namespace: of("/namespace").filter(|_| resource != "namespaces"),
            name: of("/name"),
            group: text(object, "/apiGroup").to_owned(),
            resource: match of("/subresource") {
                Some(part) => format!("{resource}/{part}"),
                None => resource,
            },
            verb: text(entry, "/verb").to_owned(),
            code: entry
                .pointer("/responseStatus/code")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
        })
    }
}

impl Grant {
    fn allows(&self, call: &Call) -> bool {
        let fits =
            |wanted: &Option<String>, given: &Option<String>| wanted.is_none() || wanted == given;
        (&self.group, &self.resource, &self.verb) == (&call.group, &call.resource, &call.verb)
            && fits(&self.namespace, &call.namespace)
            && fits(&self.name, &call.name)
    }

    /// The narrower of two that allow the same call is the one that was needed.
    fn breadth(&self) -> (bool, bool) {
        (self.namespace.is_none(), self.name.is_none())
    }
}

/// The grants that were needed, and the calls that nothing grants.
pub fn needed<'a>(
    grants: &'a BTreeSet<Grant>,
    calls: &'a BTreeSet<Call>,
) -> (BTreeSet<&'a Grant>, Vec<&'a Call>) {
    let mut needed = BTreeSet::new();
    let mut ungranted = Vec::new();
    for call in calls {
        let allowing = grants.iter().filter(|grant| grant.allows(call));
        match allowing.min_by_key(|grant| grant.breadth()) {
            Some(grant) => drop(needed.insert(grant)),
            None => ungranted.push(call),
        }
    }
    (needed, ungranted)
}

impl fmt::Display for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            role,
            namespace,
            name,
            group,
            resource,
            verb,
        } = self;
        let place = namespace.as_deref().unwrap_or("everywhere");
        let name = name.as_deref().unwrap_or("*");
        write!(
            formatter,
            "{verb} {resource}.{group} {name} ({place}, {role})"
        )
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            name,
            group,
            resource,
            verb,
            code,
        } = self;
        let namespace = namespace.as_deref().unwrap_or("-");
        let name = name.as_deref().unwrap_or("-");
        write!(
            formatter,
            "{verb} {resource}.{group} {namespace}/{name}: {code}"
        )
    }
}

/// One line each.
pub fn lines<T: fmt::Display>(all: impl IntoIterator<Item = T>) -> String {
    let lines: Vec<_> = all.into_iter().map(|one| format!("  {one}")).collect();
    lines.join("\n")
}

fn list<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value
        .pointer(path)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn strings(value: &Value, path: &str) -> Vec<String> {
    list(value, path)
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
