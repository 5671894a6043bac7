//! Values that are refused, each with words that name it. One line, one mistake.

use std::fs;

use serde_json::Value;

use crate::helm::{BOTH, CHART};

/// What is set, as JSON where it is no text, and what the refusal must say.
const REFUSED: [(&str, &str); 41] = [
    // Misspelt, at every depth.
    ("replica=2", "replica"),
    ("image.registry=\"x\"", "registry"),
    ("crds.enabled=true", "enabled"),
    ("connection.token.name=\"x\"", "name"),
    ("demo.image.pullPolicy=\"Always\"", "pullPolicy"),
    ("metrics.serviceMonitor.intervall=\"1m\"", "intervall"),
    ("env=[{\"name\":\"A\",\"vaule\":\"b\"}]", "vaule"),
    // Of another type.
    ("replicas=\"1\"", "replicas"),
    ("replicas=1.5", "replicas"),
    ("credentials=\"yes\"", "credentials"),
    ("watchNamespaces=\"payments\"", "watchNamespaces"),
    (
        "allowedEndpoints=\"https://api.apono.io\"",
        "allowedEndpoints",
    ),
    ("podLabels={\"a\":1}", "podLabels"),
    ("networkPolicy.egressPorts=[\"https\"]", "egressPorts"),
    // Out of bounds.
    ("replicas=-1", "replicas"),
    ("concurrency=0", "concurrency"),
    ("concurrency=1025", "concurrency"),
    ("networkPolicy.egressPorts=[]", "egressPorts"),
    ("networkPolicy.egressPorts=[70000]", "egressPorts"),
    ("podDisruptionBudget.maxUnavailable=-1", "maxUnavailable"),
    (
        "podDisruptionBudget.maxUnavailable=\"half\"",
        "maxUnavailable",
    ),
    // Of another form.
    ("image.digest=\"sha256:short\"", "digest"),
    ("image.repository=\"x@sha256:1\"", "repository"),
    ("image.tag=\"a b\"", "tag"),
    ("image.pullPolicy=\"Sometimes\"", "pullPolicy"),
    ("remoteTimeout=\"ten\"", "remoteTimeout"),
    ("clusterName=\"a/b\"", "clusterName"),
    ("watchNamespaces=[\"Payments\"]", "watchNamespaces"),
    ("watchNamespaces=[\"a\",\"a\"]", "watchNamespaces"),
    (
        "allowedEndpoints=[\"https://a,https://b\"]",
        "allowedEndpoints",
    ),
    ("allowedNetworks=[\"metadata\"]", "allowedNetworks"),
    ("proxy=\"http://user:word@proxy:3128\"", "proxy"),
    ("metrics.rules.runbooks=\"docs/runbooks.md\"", "runbooks"),
    ("log.format=\"xml\"", "format"),
    ("connection.caBundle=\"LS0tLS1CRUdJTg==\"", "caBundle"),
    // What only the whole shows.
    ("watchNamespaces=[\"a\"]", "clusterName is not"),
    (
        "watchNamespaces=[\"a\"],clusterName=\"one\",connection.create=true",
        "connection.create makes a ClusterAponoConnection",
    ),
    (
        "watchNamespaces=[\"a\"],clusterName=\"one\",demo.enabled=true",
        "demo.enabled is for a ClusterAponoConnection",
    ),
    (
        "watchNamespaces=[\"a\"],clusterName=\"one\",namespacedConnections=true",
        "namespacedConnections grants the whole cluster",
    ),
    (
        "demo.enabled=true,proxy=\"http://proxy:3128\"",
        "demo.enabled runs an Apono inside",
    ),
    (
        "connection.create=true",
        "needs connection.token.secretName",
    ),
];

#[test]
fn every_wrong_value_is_refused_and_named() {
    for helm in BOTH {
        for (set, words) in REFUSED {
            let arguments = ["template", "x", CHART, "--set-json", set];
            let said = helm.attempt(&arguments);
            assert!(!said.is_success, "{helm:?} takes {set}");
            assert!(
                said.errors.contains(words),
                "{helm:?} {set}: {}",
                said.errors
            );
        }
    }
    println!("{} values refused by both", REFUSED.len());
}

/// Every map of the schema whose keys are known refuses others, and every value has a place in it.
#[test]
fn the_schema_is_strict_and_knows_every_value() {
    let read = |name: &str| fs::read_to_string(format!("{CHART}/{name}")).unwrap();
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    let mut count = 0;
    walk(&schema, &schema, &values, "values", &mut count);
    println!("{count} values are known to the schema");
    assert!(count > 60, "{count}");
}

fn walk(root: &Value, schema: &Value, value: &Value, path: &str, count: &mut usize) {
    let schema = match schema["$ref"].as_str() {
        Some(to) => root.pointer(to.trim_start_matches('#')).expect("defined"),
        None => schema,
    };
    *count += 1;
    let Some(known) = schema["properties"].as_object() else {
        let is_closed = ["type", "enum"].iter().any(|key| !schema[*key].is_null());
        assert!(is_closed, "{path} may be anything");
        return;
    };
    // What belongs to Kubernetes may grow there.
    assert_eq!(schema["additionalProperties"], false, "{path}");
    let given = value
        .as_object()
        .unwrap_or_else(|| panic!("{path} is no map"));
    for (name, schema) in known {
        // Helm's own, and what a container may ask of a claim.
        if ["global", "claims"].contains(&name.as_str()) {
            continue;
        }
        let value = given.get(name);
        let value = value.unwrap_or_else(|| panic!("{path}.{name} has no default"));
        walk(root, schema, value, &format!("{path}.{name}"), count);
    }
    for name in given.keys() {
        assert!(
            known.contains_key(name),
            "{path}.{name} is not in the schema"
        );
    }
}
