//! What a connection may be pointed at, and from where it may be used. Pure.
//!
//! A namespaced connection is written by tenants, so what it may name comes from the operator's
//! settings alone. Every refusal names what was written, its value and the next step.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use kube::core::{Selector, SelectorExt};
use url::{Host, Origin, Url};

use crate::crd::{ConnectionKind, NamespaceRule};

pub mod addresses;
pub mod asks;
pub mod requester;

/// Why something is not allowed, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// Why an endpoint cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointRefusal {
    /// It is no endpoint, or not a safe one.
    Invalid(Refusal),
    /// It is one, but not for this kind of connection.
    NotAllowed(Refusal),
}

/// Whether requests from a namespace may use a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// They may.
    Allowed,
    /// Its labels decide, and they are not known yet.
    Undecided,
    /// They may not.
    Refused(Refusal),
}

/// Checks the endpoint of a connection.
pub fn endpoint(
    kind: ConnectionKind,
    text: &str,
    insecure: bool,
    allowed: &[Origin],
) -> Result<Url, EndpointRefusal> {
    let invalid = |problem: &str, next: &str| {
        let text = without_credentials(text);
        EndpointRefusal::Invalid(Refusal(format!(
            "spec.endpoint is `{text}`, {problem}: {next}"
        )))
    };
    let url = Url::parse(text).map_err(|_| {
        invalid(
            "which is not a URL",
            "write for example `https://api.apono.io`",
        )
    })?;
    let is_plain = match url.scheme() {
        "https" => false,
        "http" => true,
        _ => {
            return Err(invalid(
                "which is not an http or https URL",
                "begin it with `https://`",
            ));
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(
            "which holds credentials",
            "put the token into the Secret only",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid(
            "which holds a query or a fragment",
            "write scheme, host and port",
        ));
    }
    if is_plain && !insecure && !is_loopback(&url) {
        let next = "use https, or set spec.insecure to true where the network is trusted";
        return Err(invalid("which would send the token unencrypted", next));
    }
    match kind {
        ConnectionKind::ClusterAponoConnection => Ok(url),
        ConnectionKind::AponoConnection if allowed.contains(&url.origin()) => Ok(url),
        ConnectionKind::AponoConnection => Err(EndpointRefusal::NotAllowed(Refusal(format!(
            "spec.endpoint is `{}`, which an AponoConnection may not name: use one of {}, or ask \
             the operator's administrator to add it to ALLOWED_ENDPOINTS",
            url.origin().ascii_serialization(),
            listed(allowed.iter().map(Origin::ascii_serialization)),
        )))),
    }
}

/// Whether requests from this namespace may use a cluster connection. `labels` are the
/// namespace's; absent when they are not known.
pub fn allow_namespace(
    rule: Option<&NamespaceRule>,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> Admission {
    let Some(rule) = rule else {
        return Admission::Allowed;
    };
    if rule.names.iter().flatten().any(|name| name == namespace) {
        return Admission::Allowed;
    }
    let selector = rule.selector.clone().map(Selector::try_from).transpose();
    match (selector, labels) {
        (Err(error), _) => Admission::Refused(Refusal(format!(
            "the connection's spec.allow.namespaces.selector cannot be read ({error}): correct it \
             with kubectl edit"
        ))),
        (Ok(Some(_)), None) => Admission::Undecided,
        (Ok(Some(selector)), Some(labels)) if selector.matches(labels) => Admission::Allowed,
        (Ok(_), _) => Admission::Refused(Refusal(format!(
            "namespace `{namespace}` is not in the connection's spec.allow.namespaces: add its \
             name there, give it the labels the selector asks for, or use another connection"
        ))),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_loopback(),
        // Resolvers must keep this name on the machine (RFC 6761).
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// What was written may hold a password; it is not repeated.
fn without_credentials(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("...@{rest}"),
        None => text.to_owned(),
    }
}

fn listed(names: impl Iterator<Item = String>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CLUSTER: ConnectionKind = ConnectionKind::ClusterAponoConnection;
    const NAMESPACED: ConnectionKind = ConnectionKind::AponoConnection;

    fn origins() -> Vec<Origin> {
        ["https://api.apono.io", "http://127.0.0.1:9000"]
            .map(|text| Url::parse(text).unwrap().origin())
            .into()
    }

    fn check(kind: ConnectionKind, text: &str, insecure: bool) -> Result<Url, EndpointRefusal> {
        endpoint(kind, text, insecure, &origins())
    }

    fn is_invalid(text: &str) -> bool {
        matches!(
            check(CLUSTER, text, false),
            Err(EndpointRefusal::Invalid(_))
        )
    }

    #[test]
    fn a_cluster_connection_may_name_any_safe_endpoint() {
        for text in [
            "https://a.example",
            "https://a.example:8443/prefix",
            "http://localhost:1",
        ] {
            check(CLUSTER, text, false).unwrap();
        }
        check(CLUSTER, "http://a.example", true).unwrap();
    }

    #[test]
    fn unsafe_and_unreadable_endpoints_are_refused() {
        for text in [
            "",
            "a.example",
            "ftp://a.example",
            "file:///etc/passwd",
            "https://u:p@a.example",
            "https://a.example?x",
            "https://a.example#x",
        ] {
            assert!(is_invalid(text), "{text}");
        }
    }

    #[test]
    fn plain_http_leaves_the_machine_only_when_told_so() {
        for text in ["http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:1"] {
            check(CLUSTER, text, false).unwrap();
        }
        check(CLUSTER, "http://[::ffff:127.0.0.1]", false).unwrap();
        for text in [
            "http://10.0.0.1",
            "http://localhost.example",
            "http://0.0.0.0",
            "http://[::]",
        ] {
            assert!(is_invalid(text), "{text}");
        }
    }

    #[test]
    fn a_namespaced_connection_may_name_only_what_the_settings_list() {
        check(NAMESPACED, "https://api.apono.io:443/prefix", false).unwrap();
        check(NAMESPACED, "http://127.0.0.1:9000", false).unwrap();
        for text in [
            "https://other.example",
            "http://127.0.0.1:9001",
            "https://api.apono.io:444",
        ] {
            let refusal = check(NAMESPACED, text, true).unwrap_err();
            let EndpointRefusal::NotAllowed(Refusal(message)) = refusal else {
                panic!("{refusal:?}")
            };
            assert!(message.contains("ALLOWED_ENDPOINTS"), "{message}");
            assert!(message.contains("`https://api.apono.io`"), "{message}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        let Err(EndpointRefusal::Invalid(Refusal(message))) =
            check(CLUSTER, "https://me:hunter2@a.example", false)
        else {
            panic!("accepted")
        };
        assert!(!message.contains("hunter2"), "{message}");
    }

    fn rule(written: serde_json::Value) -> NamespaceRule {
        serde_json::from_value(written).unwrap()
    }

    fn is_allowed(written: serde_json::Value, labels: &[(&str, &str)]) -> bool {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        let labels = labels.collect();
        allow_namespace(Some(&rule(written)), "payments", Some(&labels)) == Admission::Allowed
    }

    #[test]
    fn namespaces_are_allowed_by_name_or_by_label() {
        assert_eq!(allow_namespace(None, "payments", None), Admission::Allowed);
        assert!(is_allowed(json!({"names": ["orders", "payments"]}), &[]));
        assert!(!is_allowed(json!({"names": ["orders"]}), &[]));
        assert!(!is_allowed(json!({}), &[]));
        let either = json!({"names": ["payments"], "selector": {"matchLabels": {"a": "b"}}});
        assert!(is_allowed(either, &[]));
    }

    #[test]
    fn selectors_mean_what_they_mean_everywhere() {
        let expression = |operator: &str, values: serde_json::Value| {
            json!({"selector": {"matchExpressions": [
                {"key": "tier", "operator": operator, "values": values}
            ]}})
        };
        let gold = [("tier", "gold")];
        let labelled = |tier: &str| json!({"selector": {"matchLabels": {"tier": tier}}});
        assert!(is_allowed(labelled("gold"), &gold));
        assert!(!is_allowed(labelled("tin"), &gold));
        assert!(is_allowed(json!({"selector": {}}), &[]));
        for (operator, values, labelled, bare) in [
            ("In", json!(["gold", "tin"]), true, false),
            ("In", json!(["tin"]), false, false),
            ("NotIn", json!(["gold"]), false, true),
            ("NotIn", json!(["tin"]), true, true),
            ("Exists", json!(null), true, false),
            ("DoesNotExist", json!(null), false, true),
            ("Matches", json!(["gold"]), false, false),
            ("In", json!(null), false, false),
        ] {
            let rule = expression(operator, values);
            assert_eq!(is_allowed(rule.clone(), &gold), labelled, "{rule}");
            assert_eq!(is_allowed(rule.clone(), &[]), bare, "{rule}");
        }
    }

    #[test]
    fn an_unknown_namespace_is_neither_allowed_nor_refused() {
        let unknown = |written| allow_namespace(Some(&rule(written)), "payments", None);
        assert_eq!(unknown(json!({"selector": {}})), Admission::Undecided);
        // Where labels decide nothing they need not be known.
        let named = json!({"names": ["payments"], "selector": {}});
        assert_eq!(unknown(named), Admission::Allowed);
        for refused in [
            json!({"names": ["orders"]}),
            json!({"selector": {"matchExpressions": [{"key": "a", "operator": "Matches"}]}}),
        ] {
            assert!(matches!(unknown(refused), Admission::Refused(_)));
        }
    }
}
