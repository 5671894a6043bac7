//! What `deploy/kustomize` ships: kubectl renders it, a real apiserver takes it without a warning,
//! and nobody is granted more than is written down here.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests are not seen as tests by the lint"
)]

mod shipped;

use std::{fs, path::Path};

use serde_json::{Value, json};
use shipped::{Said, kubectl, kubectl_with, render, stream, text, try_kubectl};

const FOLDERS: [&str; 6] = [
    "base",
    "credentials",
    "escrow",
    "namespaced",
    "namespaced-connections",
    "samples",
];

/// What a namespace of the operator's has as it is shipped, and a name nobody else uses.
fn namespace() -> String {
    let name = format!("deployment-{:08x}", rand::random::<u32>());
    let mut documents = render("base");
    documents.retain(|document| text(document, "/kind") == "Namespace");
    let mut namespace = documents.pop().expect("a Namespace");
    namespace["metadata"]["name"] = json!(name);
    kubectl_with(&["create", "-f", "-"], &namespace.to_string());
    name
}

fn leave(namespace: &str) {
    kubectl(&["delete", "namespace", "--wait=false", namespace]);
}

/// Has the apiserver judge the documents, all in this namespace, and stores nothing.
fn judge(documents: &[Value], namespace: &str) -> Said {
    let mut moved = documents.to_vec();
    for document in &mut moved {
        if document.pointer("/metadata/namespace").is_some() {
            document["metadata"]["namespace"] = json!(namespace);
        }
    }
    let how = [
        "apply",
        "--server-side",
        "--dry-run=server",
        "--force-conflicts",
        "--validate=strict",
        "-f",
        "-",
    ];
    try_kubectl(&how, &stream(&moved))
}

fn deployment(documents: &[Value]) -> Value {
    let mut found = documents.iter();
    let found = found.find(|document| text(document, "/kind") == "Deployment");
    found.expect("a Deployment").clone()
}

#[test]
fn an_apiserver_takes_everything_without_a_warning() {
    kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "crds/"]);
    kubectl(&["wait", "--for=condition=Established", "crd", "--all"]);
    let namespace = namespace();
    for folder in FOLDERS {
        let said = judge(&render(folder), &namespace);
        assert!(said.is_success, "{folder}: {}", said.errors);
        assert_eq!(said.errors, "", "{folder}");
    }
    leave(&namespace);
}

#[test]
fn a_laxer_pod_would_be_warned_of_and_a_pod_of_it_is_let_in() {
    let namespace = namespace();
    let shipped = deployment(&render("base"));
    let mut lax = shipped.clone();
    let context = lax
        .pointer_mut("/spec/template/spec/securityContext/runAsNonRoot")
        .expect("set");
    *context = json!(false);
    let said = judge(&[lax], &namespace);
    assert!(said.errors.contains("PodSecurity"), "{}", said.errors);

    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "operator", "namespace": namespace},
        "spec": shipped.pointer("/spec/template/spec")
    });
    let said = judge(&[pod], &namespace);
    assert!(said.is_success && said.errors.is_empty(), "{}", said.errors);
    leave(&namespace);
}

#[test]
fn secrets_are_only_ever_read_by_name_and_nothing_is_granted_by_wildcard() {
    for folder in FOLDERS {
        for document in render(folder) {
            let rules = document.pointer("/rules").and_then(Value::as_array);
            for rule in rules.into_iter().flatten() {
                let written = rule.to_string();
                assert!(!written.contains('*'), "{folder}: {written}");
                if written.contains("secrets") {
                    let name = text(&document, "/metadata/name");
                    let verbs = match folder {
                        _ if name == "apono-operator-escrow" => {
                            json!(["create", "patch", "delete"])
                        }
                        "credentials" => json!(["get", "create", "patch", "delete"]),
                        _ => json!(["get"]),
                    };
                    assert_eq!(rule["verbs"], verbs, "{folder}");
                }
            }
        }
    }
}

#[test]
fn single_namespaces_are_granted_nothing_of_the_cluster() {
    let documents = render("namespaced");
    let kinds: Vec<_> = documents.iter().map(|one| text(one, "/kind")).collect();
    assert!(kinds.contains(&"Role"), "{kinds:?}");
    assert!(
        !kinds.iter().any(|kind| kind.starts_with("ClusterRole")),
        "{kinds:?}"
    );
}

#[test]
fn there_is_one_operator_of_this_version_that_may_do_nothing_on_its_node() {
    for folder in ["base", "namespaced"] {
        let deployment = deployment(&render(folder));
        let version = concat!("apono-operator:", env!("CARGO_PKG_VERSION"));
        for (path, wanted) in [
            ("/spec/replicas", json!(1)),
            ("/spec/strategy/type", json!("RollingUpdate")),
            ("/spec/strategy/rollingUpdate/maxUnavailable", json!(0)),
            ("/spec/template/spec/containers/0/image", json!(version)),
            (
                "/spec/template/spec/containers/0/securityContext/readOnlyRootFilesystem",
                json!(true),
            ),
            (
                "/spec/template/spec/securityContext/runAsUser",
                json!(65532),
            ),
        ] {
            assert_eq!(deployment.pointer(path), Some(&wanted), "{folder} {path}");
        }
    }
}

#[test]
fn every_sample_is_one_that_is_tried() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kustomize/samples");
    let listed = fs::read_to_string(folder.join("kustomization.yaml")).expect("the list");
    for entry in fs::read_dir(folder).expect("a folder") {
        let name = entry.expect("a file").file_name();
        let name = name.to_string_lossy();
        let is_tried = listed.contains(&format!("- {name}\n")) || name == "kustomization.yaml";
        assert!(is_tried, "{name} is not in kustomization.yaml");
    }
}

#[test]
fn the_token_of_the_samples_is_a_placeholder() {
    for document in render("samples") {
        if text(&document, "/kind") == "Secret" {
            let token = text(&document, "/stringData/token");
            assert!(token.starts_with("REPLACE-ME"), "{token}");
        }
    }
}
