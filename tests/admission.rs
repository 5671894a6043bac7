//! The custom resource definitions in a real apiserver: what it accepts and refuses, what it fills
//! in, and what kubectl shows of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "admission/cluster.rs"]
mod cluster;
#[path = "admission/structural.rs"]
mod structural;
#[path = "admission/table.rs"]
mod table;

use std::collections::BTreeMap;

use apono_operator::{
    connection::policy::{Admission, allow_namespace},
    crd::{AccessRequest, ClusterAponoConnection},
};
use cluster::Cluster;
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

/// What the apiserver says of a case: nothing if it accepts.
async fn verdict(cluster: &Cluster, number: usize, case: &table::Case) -> Option<String> {
    let api = cluster.api(&case.kind);
    let name = format!("{}-{number}", cluster.namespace);
    let object = |spec: &serde_json::Value| -> DynamicObject {
        let version = "access.apono.io/v1alpha1";
        let metadata = json!({"name": name});
        let object =
            json!({"apiVersion": version, "kind": case.kind, "metadata": metadata, "spec": spec});
        serde_json::from_value(object).unwrap()
    };
    let refusal = |error: kube::Error| match error {
        kube::Error::Api(status) if status.is_invalid() => status.message,
        other => panic!("{}: {other}", case.name),
    };
    let dry = PostParams {
        dry_run: case.updated.is_none(),
        ..PostParams::default()
    };
    let created = match (
        api.create(&dry, &object(&case.created)).await,
        &case.updated,
    ) {
        (Err(error), None) => return Some(refusal(error)),
        (Err(error), Some(_)) => panic!("{}: cannot even be created: {error}", case.name),
        (Ok(_), None) => return None,
        (Ok(created), Some(_)) => created,
    };
    let mut updated = object(case.updated.as_ref().unwrap());
    updated.metadata.resource_version = created.metadata.resource_version;
    let replaced = api.replace(&name, &PostParams::default(), &updated).await;
    api.delete(&name, &DeleteParams::default()).await.unwrap();
    replaced.err().map(refusal)
}

#[tokio::test]
async fn the_apiserver_decides_every_case_as_written_and_as_we_predict() {
    Cluster::with(async |cluster| {
        let mut wrong = Vec::new();
        for (number, case) in table::cases().iter().enumerate() {
            let refusal = verdict(cluster, number, case).await;
            let predicted = match &case.updated {
                None => table::refusals(&case.kind, &case.created, None),
                Some(updated) => table::refusals(&case.kind, updated, Some(&case.created)),
            };
            let as_written = match (&refusal, &case.refusal) {
                (None, None) => true,
                (Some(found), Some(expected)) => found.contains(expected),
                _ => false,
            };
            if !as_written || predicted.is_empty() != refusal.is_none() {
                wrong.push(format!(
                    "{} {}: expected {:?}, the apiserver says {refusal:?}, we say {predicted:?}",
                    case.kind, case.name, case.refusal
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    })
    .await;
}

#[tokio::test]
async fn the_definitions_are_applied_without_a_warning() {
    Cluster::with(async |cluster| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
        let (out, errors) = cluster.kubectl_with_errors(&[
            "apply",
            "--server-side",
            "--force-conflicts",
            "-f",
            folder,
        ]);
        assert_eq!(out.matches("serverside-applied").count(), 4, "{out}");
        assert_eq!(errors, "");
    })
    .await;
}

#[tokio::test]
async fn an_unseen_object_says_so() {
    Cluster::with(async |cluster| {
        for (kind, spec) in [
            ("AccessRequest", json!({"access": {"bundle": "prod-read"}})),
            (
                "AponoConnection",
                json!({"tokenSecretRef": {"name": "apono-token", "key": "token"}}),
            ),
        ] {
            let name = kind.to_lowercase();
            cluster.create(kind, &name, &spec, false).await;
            let object = cluster.api(kind).get(&name).await.unwrap();
            assert_eq!(
                object.data["status"],
                json!({"observedGeneration": -1}),
                "{kind}"
            );
            assert_eq!(object.data["spec"], spec, "{kind}: nothing is filled in");
        }
        // A status that somebody sends along with a new object is not believed.
        let sent = json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
            "metadata": {"name": "sent"}, "spec": {"access": {"bundle": "b"}},
            "status": {"phase": "Active", "observedGeneration": 1}
        });
        let sent = serde_json::from_value(sent).unwrap();
        let kept = cluster
            .api("AccessRequest")
            .create(&PostParams::default(), &sent)
            .await
            .unwrap();
        assert_eq!(kept.data["status"], json!({"observedGeneration": -1}));
    })
    .await;
}

#[tokio::test]
async fn null_is_the_same_as_absent() {
    Cluster::with(async |cluster| {
        let api = cluster.api("AccessRequest");
        cluster
            .create(
                "AccessRequest",
                "nulls",
                &json!({"access": {"bundle": "b", "entitlements": null}, "grantee": null}),
                false,
            )
            .await;
        let spec = &api.get("nulls").await.unwrap().data["spec"];
        assert_eq!(spec, &json!({"access": {"bundle": "b"}}));
    })
    .await;
}

#[tokio::test]
async fn the_operator_may_write_what_its_types_hold() {
    Cluster::with(async |cluster| {
        cluster
            .create(
                "AccessRequest",
                "full",
                &json!({"access": {"bundle": "b"}}),
                false,
            )
            .await;
        let written = cluster.write_status("full").await;
        let found = cluster.requests().get("full").await.unwrap();
        assert_eq!(serde_json::to_value(found.status).unwrap(), written);
        // A list with keys is merged by them.
        let more = json!({"status": {"requests": [{"id": "req-1", "status": "Revoked"}]}});
        let api: Api<AccessRequest> = cluster.requests();
        let applied = json!({"apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest"});
        let mut applied = applied.as_object().unwrap().clone();
        applied.extend(more.as_object().unwrap().clone());
        let how = PatchParams::apply("test").force();
        let after = api
            .patch_status("full", &how, &Patch::Apply(&applied))
            .await
            .unwrap();
        let requests = after.status.unwrap().requests;
        let words: BTreeMap<_, _> = requests
            .into_iter()
            .map(|request| (request.id, request.status))
            .collect();
        assert_eq!(words["req-1"].as_deref(), Some("Revoked"));
        assert_eq!(words["req-2"].as_deref(), Some("Active"));
    })
    .await;
}

#[tokio::test]
async fn kubectl_shows_the_columns() {
    Cluster::with(async |cluster| {
        let spec = json!({"access": {"bundle": "b"}, "grantee": "dana@example.com"});
        cluster
            .create("AccessRequest", "orders", &spec, false)
            .await;
        cluster.write_status("orders").await;
        let words = |text: String| -> Vec<Vec<String>> {
            let line = |line: &str| {
                line.split("   ")
                    .map(str::trim)
                    .filter(|word| !word.is_empty())
                    .map(Into::into)
                    .collect()
            };
            text.lines().map(line).collect()
        };
        let table = words(cluster.kubectl(&["get", "accreq"]));
        let header = [
            "NAME", "READY", "REASON", "TARGET", "GRANTEE", "EXPIRES", "AGE",
        ];
        assert_eq!(table[0], header);
        let row = [
            "orders",
            "True",
            "Active",
            "bundle prod-read",
            "dana@example.com",
            "2026-11-23 18:00Z",
        ];
        assert_eq!(table[1][..6], row);
        let wide = words(cluster.kubectl(&["get", "accreq", "-o", "wide"]));
        assert_eq!(wide[0][7..], ["REQUEST-ID", "MESSAGE"]);
        assert_eq!(wide[1][8], "until 2026-11-23 18:00Z");
        assert!(wide[1][7].contains("req-1"), "{wide:?}");
        let name = cluster.create_connection().await;
        let table = words(cluster.kubectl(&["get", "clusteraponoconnections", &name]));
        assert_eq!(
            table[0],
            ["NAME", "READY", "REASON", "ENDPOINT", "IDENTITY", "AGE"]
        );
        let both = cluster.kubectl(&["get", "apono"]);
        assert!(
            both.contains("accessrequest.access.apono.io/orders"),
            "{both}"
        );
        assert!(both.contains(&name), "{both}");
    })
    .await;
}

#[tokio::test]
async fn requests_are_selected_by_what_is_written() {
    Cluster::with(async |cluster| {
        let plain = json!({"access": {"bundle": "one"}});
        let complete = json!({
            "access": {"bundle": "two"}, "grantee": "dana@example.com",
            "connectionRef": {"name": "other"}
        });
        cluster
            .create("AccessRequest", "plain", &plain, false)
            .await;
        cluster
            .create("AccessRequest", "named", &complete, false)
            .await;
        cluster.write_status("named").await;
        for (selector, expected) in [
            ("status.phase=Active", "named"),
            ("spec.grantee=dana@example.com", "named"),
            ("spec.grantee=", "plain"),
            ("spec.access.bundle=one", "plain"),
            ("spec.connectionRef.name=other", "named"),
            ("spec.connectionRef.name=", "plain"),
        ] {
            let list = cluster
                .requests()
                .list(&ListParams::default().fields(selector))
                .await
                .unwrap();
            let names: Vec<_> = list
                .iter()
                .filter_map(|one| one.metadata.name.clone())
                .collect();
            assert_eq!(names, [expected], "{selector}");
        }
    })
    .await;
}

#[tokio::test]
async fn kubectl_explains() {
    Cluster::with(async |cluster| {
        for (path, expected) in [
            (
                "accreq.spec.duration",
                "Absent: the period that the access flow in Apono gives",
            ),
            (
                "accreq.spec.deletionPolicy",
                "Revoke takes it back at Apono first",
            ),
            (
                "accreq.spec.connectionRef.kind",
                "Absent: ClusterAponoConnection",
            ),
            ("accreq.status.phase", "derived from the conditions"),
            (
                "clusteraponoconnections.spec.correlation.settle",
                "Absent: 15s",
            ),
        ] {
            let text = cluster.kubectl_in_the_end(&["explain", path]);
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains(expected), "{path}: {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_of_a_namespace_has_no_say_over_others() {
    Cluster::with(async |cluster| {
        let manifest = format!(
            "apiVersion: access.apono.io/v1alpha1\nkind: AponoConnection\nmetadata: {{name: a, \
             namespace: {}}}\nspec:\n  tokenSecretRef: {{name: a, key: a}}\n  allow: {{namespaces: \
             {{names: [b]}}}}\n",
            cluster.namespace
        );
        let refusal = cluster.kubectl_refuses(&manifest);
        assert!(
            refusal.contains("unknown field \"spec.allow.namespaces\""),
            "{refusal}"
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_stored_is_what_the_types_read() {
    Cluster::with(async |cluster| {
        let name = cluster.create_connection().await;
        let api: Api<ClusterAponoConnection> = Api::all(cluster.client.clone());
        let settings = api.get(&name).await.unwrap().spec.settings();
        assert_eq!(settings.endpoint, "https://api.apono.io");
        assert_eq!(settings.limits.concurrency, 32);
        let rule = settings.allow.namespaces.as_ref();
        let allowed = |labels| allow_namespace(rule, "any", Some(&labels)) == Admission::Allowed;
        let label = [("team".to_owned(), "payments".to_owned())];
        assert!(allowed(label.into()));
        assert!(!allowed(BTreeMap::new()));
    })
    .await;
}
