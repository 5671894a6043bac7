//! More than one cluster over one account at Apono: what bears another's mark is never touched, and
//! what is restored, or handed over, is adopted.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use apono_operator::crd::AccessRequest;
use apono_simulator::{Action, Endpoint, Fault, When};
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

use crate::{
    ACTIVE, PENDING, REJECTED,
    plane::Plane,
    support::{CONNECTION, Setup, World},
};

/// The connection of a world, as it is applied in another cluster.
async fn connect(from: &World, to: &World) {
    to.store_token(CONNECTION, &to.token).await;
    let found = from.cluster.connections().get(CONNECTION).await.unwrap();
    let spec = serde_json::to_value(found.spec).unwrap();
    to.connect(CONNECTION, &to.simulator.url(), spec).await;
}

fn ids(resource: &AccessRequest) -> Vec<String> {
    let requests = resource.status.iter().flat_map(|status| &status.requests);
    requests.map(|one| one.id.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clusters_with_one_repository_never_touch_what_is_the_others() {
    let plane = Plane::start().await;
    let east = World::new(Setup::default()).await;
    let mut west = east
        .elsewhere(&plane.kubeconfig, &[("CLUSTER_NAME", "west")])
        .await;
    connect(&east, &west).await;
    east.ask_bundle("orders", "prod-read").await;
    let of_east = ids(&east.wait_row("orders", ACTIVE).await);
    // West's answer is lost: it looks among all that bear the name, and finds its own.
    let when = When::After;
    let lost = Fault::new(Action::Drop { when })
        .at(Endpoint::Create)
        .once();
    west.simulator.arm(lost);
    west.operator.start();
    west.ask_bundle("orders", "prod-read").await;
    let of_west = ids(&west.wait_row("orders", ACTIVE).await);
    assert_ne!(of_west, of_east);
    assert_eq!((of_west.len(), of_east.len()), (1, 1));
    assert_eq!(east.calls(Endpoint::Create), 2);

    east.delete("orders").await;
    east.wait_gone("orders").await;
    west.more_polls(5).await;
    west.assert_live(1);
    west.wait_row("orders", ACTIVE).await;
    // What the other's mark is on is nobody's to count.
    for world in [&east, &west] {
        world
            .operator
            .shows("apono_operator_unowned_requests 0")
            .await;
    }
    west.delete("orders").await;
    west.wait_gone("orders").await;
    west.assert_live(0);
    west.end().await;
    east.end().await;
}

/// What a backup keeps of the requests: all but status and what the apiserver gives each object.
async fn backup(world: &World) -> Vec<AccessRequest> {
    let all = world.cluster.requests().list(&ListParams::default()).await;
    let kept = all.unwrap().items.into_iter().map(|mut one| {
        let metadata = std::mem::take(&mut one.metadata);
        one.metadata.name = metadata.name;
        one.metadata.annotations = metadata.annotations;
        one.metadata.finalizers = metadata.finalizers;
        one.status = None;
        one
    });
    kept.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_restored_asks_for_nothing_twice() {
    let plane = Plane::start().await;
    let mut lost = World::new(Setup::default()).await;
    for (name, bundle, row) in [
        ("live", "prod-read", ACTIVE),
        ("waiting", "prod-admin", PENDING),
        ("rejected", "prod-admin", PENDING),
    ] {
        lost.ask_bundle(name, bundle).await;
        lost.wait_row(name, row).await;
    }
    let rejected = lost.only_remote("rejected").id;
    lost.simulator.reject(&rejected, None).unwrap();
    lost.wait_row("rejected", REJECTED).await;
    let when = When::After;
    let fault = Fault::new(Action::Drop { when })
        .at(Endpoint::Create)
        .once();
    lost.simulator.arm(fault);
    lost.ask_bundle("unanswered", "prod-read").await;
    lost.wait_remote("unanswered", 1).await;
    lost.operator.kill();
    let kept = backup(&lost).await;

    let same = lost.cluster.namespace.clone();
    let mut restored = lost
        .elsewhere(&plane.kubeconfig, &[("CLUSTER_NAME", &same)])
        .await;
    connect(&lost, &restored).await;
    for one in &kept {
        let requests = restored.cluster.requests();
        requests.create(&PostParams::default(), one).await.unwrap();
    }
    restored.operator.start();
    for (name, row) in [
        ("live", ACTIVE),
        ("waiting", PENDING),
        ("unanswered", ACTIVE),
    ] {
        let found = restored.wait_row(name, row).await;
        let owned = &found.status.as_ref().unwrap().requests;
        assert_eq!(owned.len(), 1, "{name}");
        assert_eq!(owned[0].id, restored.only_remote(name).id);
        assert_eq!(owned[0].adopted, Some(true), "{name}");
    }
    // Nothing of it is live, and a restored manifest is a wish like any other.
    restored.wait_row("rejected", PENDING).await;
    assert_eq!(restored.remote("rejected").len(), 2);
    assert_eq!(restored.calls(Endpoint::Create), 5);
    restored.assert_live(4);
    for one in &kept {
        let name = one.metadata.name.as_deref().unwrap();
        restored.delete(name).await;
        restored.wait_gone(name).await;
    }
    restored.assert_live(0);
    restored.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_handed_over_is_live_all_the_while_and_adopted_elsewhere() {
    let plane = Plane::start().await;
    let allow = json!({"allow": {"orphan": true}});
    let before = World::new(Setup::default().connection(allow)).await;
    before.ask_bundle("live", "prod-read").await;
    let live = ids(&before.wait_row("live", ACTIVE).await);
    before.ask_bundle("waiting", "prod-admin").await;
    before.wait_row("waiting", PENDING).await;
    let suspended = json!({"access": {"bundle": "prod-read"}, "suspend": true});
    before.ask("suspended", suspended).await;
    before.wait_reason("suspended", "Suspended").await;

    let mut drain = before
        .operator
        .command(&["drain", "--hand-over", "--timeout=45s"]);
    let output = tokio::task::spawn_blocking(move || drain.stderr(Stdio::piped()).output());
    let output = output.await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("hand over "), "{said}");
    assert_eq!(crate::left(&before).await, 0);
    before.assert_live(2);
    assert_eq!(before.calls(Endpoint::Revoke), 0);

    let same = before.cluster.namespace.clone();
    let mut after = before
        .elsewhere(&plane.kubeconfig, &[("CLUSTER_NAME", &same)])
        .await;
    connect(&before, &after).await;
    after.operator.start();
    apply(&plane.kubeconfig, &output.stdout);
    for (name, row) in [("live", ACTIVE), ("waiting", PENDING)] {
        let found = after.wait_row(name, row).await;
        assert_eq!(ids(&found), [after.only_remote(name).id]);
        assert_eq!(
            (found.spec.suspend, found.spec.deletion_policy),
            (None, None)
        );
    }
    assert_eq!(ids(&after.get("live").await), live);
    after.wait_reason("suspended", "Suspended").await;
    assert_eq!(after.calls(Endpoint::Create), 2);
    for name in ["live", "waiting", "suspended"] {
        after.delete(name).await;
        after.wait_gone(name).await;
    }
    after.assert_live(0);
    after.end().await;
    before.end().await;
}

/// As a person does with what was printed.
fn apply(kubeconfig: &str, manifests: &[u8]) {
    let kubectl = std::env::var("APONO_TEST_KUBECTL").unwrap();
    let mut child = Command::new(kubectl)
        .args(["--kubeconfig", kubeconfig, "apply", "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(manifests).unwrap();
    assert!(child.wait().unwrap().success());
}

fn kubectl_at(kubeconfig: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(std::env::var("APONO_TEST_KUBECTL").unwrap());
    command.args(["--kubeconfig", kubeconfig]).args(arguments);
    command.output().unwrap()
}

/// In the order of docs/lifecycle.md; and what holds whoever does not keep to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_goes_in_order_and_its_definitions_not_before() {
    let plane = Plane::start().await;
    let mut world = World::new(Setup::default().cluster(&plane.kubeconfig)).await;
    let kubectl = |arguments: &[&str]| world.cluster.kubectl(arguments);
    kubectl(&[
        "apply",
        "--server-side",
        "-f",
        "deploy/policies/kept-definitions.yaml",
    ]);
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    let definitions: Vec<String> = apono_operator::crd::all_crds()
        .into_iter()
        .filter_map(|crd| crd.metadata.name)
        .collect();
    let delete = |name: &str, how: &[&str]| -> Value {
        let output = kubectl_at(&plane.kubeconfig, &[&["delete", "crd", name], how].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        json!({"is_success": output.status.success(), "errors": errors})
    };
    crate::support::eventually("the definitions are kept", async || {
        let said = delete(&definitions[0], &["--dry-run=server"]);
        let is_so = said["is_success"] == false;
        is_so.then_some(()).ok_or_else(|| said.to_string())
    })
    .await;
    for name in &definitions {
        let said = delete(name, &[]);
        let errors = said["errors"].as_str().unwrap();
        assert_eq!(said["is_success"], false, "{name}");
        assert!(
            errors.contains("run `apono-operator drain` first"),
            "{errors}"
        );
        assert!(
            errors.contains(&format!("kubectl annotate crd {name}")),
            "{errors}"
        );
    }
    // Nor many at once; and others' are none of its business.
    let all = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All";
    let many = kubectl_at(&plane.kubeconfig, &["delete", "--raw", all]);
    assert!(!many.status.success());
    let errors = String::from_utf8_lossy(&many.stderr);
    assert!(
        errors.contains("run `apono-operator drain` first"),
        "{errors}"
    );
    world
        .cluster
        .kubectl(&["apply", "-f", "tests/install/widgets.yaml"]);
    world
        .cluster
        .kubectl(&["delete", "crd", "widgets.example.com"]);
    world.assert_live(1);

    let mut drain = world.operator.command(&["drain", "--timeout=45s"]);
    let ended = tokio::task::spawn_blocking(move || drain.output()).await;
    let output = ended.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    world.assert_live(0);
    assert_eq!(world.operator.terminate().await, Some(0));
    for name in &definitions {
        let word = "access.apono.io/deletion=allowed";
        world.cluster.kubectl(&["annotate", "crd", name, word]);
        let said = delete(name, &["--timeout=30s"]);
        assert_eq!(said["is_success"], true, "{said}");
    }
    let left = world.cluster.kubectl(&["get", "crd", "-o", "name"]);
    assert_eq!(left, "");
    assert!(!world.operator.log().text().contains(&world.token));
}
