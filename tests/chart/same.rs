//! The chart renders the objects of `deploy/kustomize`: the same definitions, roles, bindings, account
//! and Deployment. Labels apart: each tool has its own, by which it finds its objects.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    helm::{BOTH, Helm},
    shipped::{render, text},
};

/// Kind, namespace and name.
type Key = (String, String, String);

/// Folders, and the values that mean the same.
const PAIRS: [(&[&str], &str); 6] = [
    (&["base"], "replicas=1"),
    (&["base", "escrow"], "escrow=true"),
    (
        &["base", "namespaced-connections"],
        "namespacedConnections=true",
    ),
    (&["base", "credentials"], "credentials=true"),
    (
        &["namespaced"],
        "watchNamespaces=[\"payments\"],clusterName=\"my-cluster\"",
    ),
    (
        &["namespaced", "namespaced/credentials"],
        "watchNamespaces=[\"payments\"],clusterName=\"my-cluster\",credentials=true",
    ),
];

/// Without what each tool adds to find its own, and without what only one of them has to have.
fn bare(mut document: Value) -> (Key, Value) {
    for path in ["/metadata", "/spec/selector", "/spec/template/metadata"] {
        if let Some(map) = document.pointer_mut(path).and_then(Value::as_object_mut) {
            for key in ["labels", "matchLabels", "annotations"] {
                map.remove(key);
            }
        }
    }
    even(&mut document);
    let of = |path| text(&document, path).to_owned();
    let key = (of("/kind"), of("/metadata/namespace"), of("/metadata/name"));
    (key, document)
}

/// Kustomize writes 1 where the definitions, and so the chart, write 1.0.
fn even(value: &mut Value) {
    match value {
        Value::Number(number) => *value = json!(number.as_f64()),
        Value::Array(list) => list.iter_mut().for_each(even),
        Value::Object(map) => map.values_mut().for_each(even),
        _ => {}
    }
}

fn kustomized(folders: &[&str]) -> BTreeMap<Key, Value> {
    let mut all = Vec::new();
    for folder in folders {
        for mut document in render(folder) {
            // Its folder names none: the one that lists it does.
            if *folder == "namespaced/credentials" {
                document["metadata"]["namespace"] = json!("payments");
            }
            all.push(document);
        }
    }
    // Helm makes it, or a person.
    all.retain(|document| text(document, "/kind") != "Namespace");
    all.into_iter().map(bare).collect()
}

fn charted(helm: Helm, values: &str) -> BTreeMap<Key, Value> {
    let mut all = helm.render(&["--set-json", values]);
    all.retain(|document| {
        document
            .pointer("/metadata/annotations/helm.sh~1hook")
            .is_none()
    });
    all.into_iter().map(bare).collect()
}

/// The environment is a list whose order says nothing here.
fn sort_environment(document: &mut Value) {
    let path = "/spec/template/spec/containers/0/env";
    if let Some(list) = document.pointer_mut(path).and_then(Value::as_array_mut) {
        list.sort_by_key(|one| text(one, "/name").to_owned());
    }
}

#[test]
fn chart_and_kustomize_render_the_same_objects() {
    for (folders, values) in PAIRS {
        let mut wanted = kustomized(folders);
        assert!(wanted.len() > 10, "{folders:?}");
        wanted.values_mut().for_each(sort_environment);
        for helm in BOTH {
            let mut found = charted(helm, values);
            found.values_mut().for_each(sort_environment);
            let keys = |map: &BTreeMap<Key, Value>| map.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&found), keys(&wanted), "{helm:?} {values}");
            for (key, wanted) in &wanted {
                assert_eq!(&found[key], wanted, "{helm:?} {values} {key:?}");
            }
        }
        println!("{folders:?}: {} objects alike", wanted.len());
    }
}

#[test]
fn definitions_are_kept_unless_somebody_says_otherwise() {
    let keep = |set: &[&str]| -> Vec<bool> {
        let all = Helm::Four.render(set).into_iter();
        let definitions = all.filter(|one| text(one, "/kind") == "CustomResourceDefinition");
        definitions
            .map(|one| text(&one, "/metadata/annotations/helm.sh~1resource-policy") == "keep")
            .collect()
    };
    assert_eq!(keep(&[]), [true; 4]);
    assert_eq!(keep(&["--set", "crds.keep=false"]), [false; 4]);
    assert_eq!(keep(&["--set", "crds.install=false"]), [true; 0]);
}

#[test]
fn pods_are_found_by_labels_that_no_version_changes() {
    for document in Helm::Four.render(&["--set", "demo.enabled=true"]) {
        if text(&document, "/kind") != "Deployment" {
            continue;
        }
        let selector = &document["spec"]["selector"]["matchLabels"];
        let labels = &document["spec"]["template"]["metadata"]["labels"];
        let selector = selector.as_object().unwrap();
        let names: Vec<_> = selector.keys().collect();
        assert_eq!(
            names,
            ["app.kubernetes.io/instance", "app.kubernetes.io/name"]
        );
        for (name, value) in selector {
            assert_eq!(&labels[name], value);
        }
    }
}

#[test]
fn an_image_is_named_by_its_digest_where_one_is_given() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let values = format!("image.digest={digest},image.repository=r/o,image.tag=no");
    for document in Helm::Four.render(&["--set", &values]) {
        for path in ["/spec/template/spec/containers/0", "/spec/containers/0"] {
            if let Some(container) = document.pointer(path) {
                assert_eq!(text(container, "/image"), format!("r/o@{digest}"));
            }
        }
    }
}
