//! What roles grant and what calls use, and the difference both ways. Pure.
//!
//! There are two ways to install the operator, and each has to do with its own roles:
//!
//! | right of | reaches | is granted to |
//! | --- | --- | --- |
//! | a `ClusterRole` | everywhere | the operator of a whole cluster |
//! | a `Role` in the operator's namespace | that namespace | both |
//! | any other `Role` | a served namespace | the operator of single namespaces |
//!
//! The log does not tell which operator called. So every call must be granted to the operator of a
//! whole cluster, and every call inside a namespace to the one of single namespaces too. A namespace
//! is an operator's own where debts are listed or watched. A right is used by any call it allows; but
//! a list or watch of one namespace is no use of a `ClusterRole`, which is there for all of them.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

/// How every client of the operator's begins to name itself, see `src/kubernetes.rs`.
const AGENT: &str = "apono-operator/";
/// Where the operator is installed.
const OPERATOR_NAMESPACE: &str = "apono-system";
/// What only the operator's own namespace holds.
const DEBTS: &str = "owedrevocations";
/// What Kubernetes itself grants to everybody who is authenticated: `system:discovery`.
const DISCOVERY: [&str; 6] = ["/api", "/apis", "/openapi", "/healthz", "/readyz", "/livez"];
/// The same: `system:basic-user`, `system:public-info-viewer`.
const ABOUT_ONESELF: [(&str, &str); 3] = [
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Everywhere,
    Own,
    Served,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Install {
    Cluster,
    Namespaces,
}

/// One verb on one resource, as a role grants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Right {
    role: String,
    place: Place,
    group: String,
    /// With its subresource, for example `accessrequests/status`; or a path of the server.
    resource: String,
    verb: String,
    /// Absent: any name.
    name: Option<String>,
}

/// One kind of call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    group: String,
    resource: String,
    verb: String,
    /// Only one that some right is for.
    name: Option<String>,
    namespace: Option<String>,
}

/// The operator's calls, each kind once.
#[derive(Debug)]
pub(super) struct Calls {
    names: BTreeSet<String>,
    kinds: BTreeSet<Call>,
    count: u64,
}

/// An entry of the audit log.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    verb: String,
    #[serde(rename = "requestURI")]
    uri: String,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<Object>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Object {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    api_group: String,
}

/// How the two compare.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Compared {
    granted: usize,
    used: usize,
    calls: u64,
    unused: Vec<String>,
    ungranted: BTreeSet<String>,
}

/// The rights that a document grants: none, if it is no role.
pub(super) fn rights(document: &Value) -> Vec<Right> {
    let place = match text(document, "/kind") {
        "ClusterRole" => Place::Everywhere,
        "Role" if text(document, "/metadata/namespace") == OPERATOR_NAMESPACE => Place::Own,
        "Role" => Place::Served,
        _ => return Vec::new(),
    };
    let role = text(document, "/metadata/name");
    let mut found = Vec::new();
    for rule in list(document, "/rules") {
        let names: Vec<_> = match strings(rule, "/resourceNames") {
            names if names.is_empty() => vec![None],
            names => names.into_iter().map(Some).collect(),
        };
        let mut resources = strings(rule, "/nonResourceURLs")
            .into_iter()
            .map(|path| (String::new(), path))
            .collect::<Vec<_>>();
        for group in strings(rule, "/apiGroups") {
            let all = strings(rule, "/resources").into_iter();
            resources.extend(all.map(|resource| (group.clone(), resource)));
        }
        for (group, resource) in resources {
            for verb in strings(rule, "/verbs") {
                found.extend(names.iter().map(|name| Right {
                    role: role.to_owned(),
                    place,
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                    name: name.clone(),
                }));
            }
        }
    }
    found
}

/// How the rights and the calls compare.
pub(super) fn compare(rights: &[Right], calls: &Calls) -> Compared {
    let own: BTreeSet<_> = calls
        .kinds
        .iter()
        .filter(|call| call.resource == DEBTS && call.is_of_many())
        .filter_map(|call| call.namespace.as_deref())
        .collect();
    let is_used = |right: &&Right| {
        let mut uses = calls.kinds.iter().filter(|call| right.allows(call, &own));
        uses.any(|call| right.place != Place::Everywhere || !call.is_of_one_namespace())
    };
    let (used, unused): (Vec<_>, Vec<_>) = rights.iter().partition(is_used);
    let mut ungranted = BTreeSet::new();
    for call in calls.kinds.iter().filter(|call| !call.is_anybodys()) {
        for install in call.installs() {
            let mut granted = rights.iter().filter(|right| right.is_granted_to(*install));
            if !granted.any(|right| right.allows(call, &own)) {
                let to = match install {
                    Install::Cluster => "the operator of a whole cluster",
                    Install::Namespaces => "the operator of single namespaces",
                };
                let place = match call.namespace.as_deref() {
                    None => "outside namespaces",
                    Some(namespace) if own.contains(namespace) => "in the operator's namespace",
                    Some(_) => "in a namespace",
                };
                ungranted.insert(format!("{call} {place}, by {to}"));
            }
        }
    }
    Compared {
        granted: rights.len(),
        used: used.len(),
        calls: calls.count,
        unused: unused.iter().map(ToString::to_string).collect(),
        ungranted,
    }
}

impl Right {
    /// The name of the role.
    #[cfg(test)]
    pub(super) fn role(&self) -> &str {
        &self.role
    }

    fn allows(&self, call: &Call, own: &BTreeSet<&str>) -> bool {
        let is_there = match (self.place, call.namespace.as_deref()) {
            (Place::Everywhere, _) => true,
            (Place::Own, Some(namespace)) => own.contains(namespace),
            (Place::Served, namespace) => namespace.is_some(),
            (Place::Own, None) => false,
        };
        is_there
            && (&self.group, &self.resource, &self.verb)
                == (&call.group, &call.resource, &call.verb)
            && (self.name.is_none() || self.name == call.name)
    }

    fn is_granted_to(&self, install: Install) -> bool {
        match self.place {
            Place::Everywhere => install == Install::Cluster,
            Place::Own => true,
            Place::Served => install == Install::Namespaces,
        }
    }
}

impl Call {
    /// A namespace is in itself, as the log has it; to roles it is nowhere.
    fn of(entry: Entry) -> Self {
        let some = |text: String| (!text.is_empty()).then_some(text);
        let Some(object) = entry.object_ref.filter(|one| !one.resource.is_empty()) else {
            let path = entry.uri.split('?').next().unwrap_or_default();
            return Self {
                group: String::new(),
                resource: path.to_owned(),
                verb: entry.verb,
                name: None,
                namespace: None,
            };
        };
        let is_namespace = object.resource == "namespaces" && object.api_group.is_empty();
        Self {
            group: object.api_group,
            resource: match object.subresource.as_str() {
                "" => object.resource,
                part => format!("{}/{part}", object.resource),
            },
            verb: entry.verb,
            name: some(object.name),
            namespace: some(object.namespace).filter(|_| !is_namespace),
        }
    }

    /// Whether it needs no role.
    fn is_anybodys(&self) -> bool {
        let is_below = |path: &str| {
            let rest = self.resource.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_discovery = self.verb == "get"
            && self.group.is_empty()
            && (DISCOVERY.into_iter().any(is_below) || self.resource == "/version");
        let about = (self.group.as_str(), self.resource.as_str());
        is_discovery || (self.verb == "create" && ABOUT_ONESELF.contains(&about))
    }

    fn is_of_many(&self) -> bool {
        matches!(self.verb.as_str(), "list" | "watch")
    }

    fn is_of_one_namespace(&self) -> bool {
        self.is_of_many() && self.namespace.is_some()
    }

    /// To whom it has to be granted.
    const fn installs(&self) -> &'static [Install] {
        if self.namespace.is_some() {
            &[Install::Cluster, Install::Namespaces]
        } else {
            &[Install::Cluster]
        }
    }
}

impl Calls {
    /// None yet.
    pub(super) fn new(rights: &[Right]) -> Self {
        let names = rights.iter().filter_map(|right| right.name.clone());
        Self {
            names: names.collect(),
            kinds: BTreeSet::new(),
            count: 0,
        }
    }

    /// Counts a line of the log, if it is of the operator; whatever was answered.
    pub(super) fn see(&mut self, line: &str) -> Result<()> {
        // Most lines are of others, and not worth decoding.
        if !line.contains(AGENT) {
            return Ok(());
        }
        let entry: Entry = serde_json::from_str(line)
            .with_context(|| format!("not a line of an audit log: {line}"))?;
        if !entry.user_agent.starts_with(AGENT) {
            return Ok(());
        }
        let mut call = Call::of(entry);
        call.name = call.name.filter(|name| self.names.contains(name));
        self.kinds.insert(call);
        self.count += 1;
        Ok(())
    }
}

impl Compared {
    /// Whether nothing is left on either side.
    pub(super) fn is_even(&self) -> bool {
        self.unused.is_empty() && self.ungranted.is_empty()
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            granted,
            used,
            calls,
            unused,
            ungranted,
        } = self;
        let count = |count| match count {
            0 => "none".to_owned(),
            count => count.to_string(),
        };
        write!(
            formatter,
            "rights: {granted} granted, {used} used by {calls} calls; ungranted: {}; unused: {}",
            count(ungranted.len()),
            count(unused.len())
        )?;
        for one in ungranted {
            write!(formatter, "\n  used, but granted by no shipped role: {one}")?;
        }
        for one in unused {
            write!(formatter, "\n  granted, but never used: {one}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Right {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        spoken(formatter, &self.verb, &self.resource, &self.group)?;
        if let Some(name) = &self.name {
            write!(formatter, " {name}")?;
        }
        let kind = match self.place {
            Place::Everywhere => "ClusterRole",
            Place::Own => "Role of the operator's namespace",
            Place::Served => "Role of a served namespace",
        };
        write!(formatter, " ({kind} {})", self.role)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        spoken(formatter, &self.verb, &self.resource, &self.group)?;
        match &self.name {
            Some(name) => write!(formatter, " {name}"),
            None => Ok(()),
        }
    }
}

fn spoken(
    formatter: &mut fmt::Formatter<'_>,
    verb: &str,
    resource: &str,
    group: &str,
) -> fmt::Result {
    let dot = if group.is_empty() { "" } else { "." };
    write!(formatter, "{verb} {resource}{dot}{group}")
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    let found = value.pointer(path).and_then(Value::as_str);
    found.unwrap_or_default()
}

fn list<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    let found = value.pointer(path).and_then(Value::as_array);
    found.into_iter().flatten()
}

fn strings(value: &Value, path: &str) -> Vec<String> {
    let found = list(value, path).filter_map(Value::as_str);
    found.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
