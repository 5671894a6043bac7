//! Uninstall: in the order of the notes nothing is left; with a debt open, the debt and the way to pay it
//! stay, and the next install pays it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    release::{RELEASE, Release, get, kubectl, kubectl_command, said, variable},
    remote::Remote,
    wait::eventually_within,
};

const SHARDS_LEASE: &str = "lease.coordination.k8s.io/apono-shards";
const PATIENCE: Duration = Duration::from_mins(5);

/// The simulator of the chart without the rest of it: it outlives the operator, as Apono does.
fn apono_beside(release: &Release) {
    let simulator = variable("APONO_CLUSTER_SIMULATOR");
    let (repository, digest) = simulator.split_once('@').expect("an image by its digest");
    let rendered = release.helm_does(&[
        "template",
        RELEASE,
        "deploy/chart",
        "--show-only=templates/demo.yaml",
        "--set=demo.enabled=true",
        &format!("--set=demo.image.repository={repository},demo.image.digest={digest}"),
    ]);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), rendered.output).expect("written");
    kubectl(&["apply", "-f", &file.path().to_string_lossy()]);
    let name = format!("deployment/{RELEASE}-simulator");
    kubectl(&[
        "rollout",
        "status",
        &name,
        "-n",
        &release.namespace,
        "--timeout=5m",
    ]);
}

#[tokio::test]
#[ignore = "cargo xtask prove cluster: needs root and a node"]
async fn uninstalled_with_a_debt_open_it_is_paid_by_the_next_install() {
    let release = Release::prepare("debt");
    let image = variable("APONO_CLUSTER_OPERATOR");
    apono_beside(&release);
    release.install("install", &image, &[]);
    release.connect(&json!({"revocationDeadline": "3s"}));
    let remote = Remote::open(&release.namespace);
    release.ask("stuck", "prod-read");
    release.wait_phase("stuck", "Active").await;
    let id = remote.only("stuck").await["id"]
        .as_str()
        .expect("an id")
        .to_owned();

    // Apono takes the call and does nothing.
    let fate = json!({"fate": {"grant": "succeed", "revoke": "stick"}});
    let path = format!("requests/{id}/fate");
    remote.call("POST", &path, fate).await;
    release.delete_requests();
    let debts = || {
        let all = get(&["owedrevocations", "-n", &release.namespace]);
        all["items"].as_array().expect("a list").clone()
    };
    assert_eq!(debts().len(), 1, "{}", release.story());

    release.helm_does(&["uninstall", RELEASE, "--wait", "--timeout=5m"]);
    assert!(release.pods("operator").is_empty());
    let left = debts();
    assert_eq!(left.len(), 1, "the debt goes with nothing but its payment");
    assert!(
        left[0].pointer("/metadata/deletionTimestamp").is_none(),
        "{left:#?}"
    );
    get(&["clusteraponoconnection", "demo"]);
    assert_ne!(remote.only("stuck").await["status"], "Revoked");

    // The definitions were kept, and are still this release's.
    release.install("install", &image, &[]);
    let path = format!("requests/{id}/finish-revoke");
    remote.call("POST", &path, Value::Null).await;
    eventually_within(PATIENCE, "the debt is paid", async || {
        let left = debts();
        left.is_empty()
            .then_some(())
            .ok_or_else(|| format!("{left:#?}\n{}", release.story()))
    })
    .await;
    assert_eq!(remote.only("stuck").await["status"], "Revoked");
}

#[tokio::test]
#[ignore = "cargo xtask prove cluster: needs root and a node"]
async fn uninstalled_in_the_order_of_the_notes_nothing_is_left_but_the_definitions() {
    let release = Release::prepare("clean");
    let image = variable("APONO_CLUSTER_OPERATOR");
    release.install(
        "install",
        &image,
        &["replicas=2", "demo.enabled=true", "credentials=true"],
    );
    release.connect(&json!({}));
    release.ask("held", "prod-read");
    release.wait_phase("held", "Active").await;
    release.delete_requests();
    kubectl(&["delete", "clusteraponoconnection", "demo", "--timeout=5m"]);
    // Helm takes the roles away while pods are still ending: those that ended before gave back their Leases.
    let name = format!("deployment/{RELEASE}");
    kubectl(&["scale", &name, "--replicas=0", "-n", &release.namespace]);
    let ended = [
        "wait",
        "pod",
        "-l",
        "app.kubernetes.io/name=apono-operator",
        "--for=delete",
    ];
    kubectl(&[&ended[..], &["--timeout=5m", "-n", &release.namespace]].concat());
    release.helm_does(&["uninstall", RELEASE, "--wait", "--timeout=5m"]);

    let definitions = kubectl(&["get", "crd", "-o", "name"]);
    assert_eq!(
        definitions
            .lines()
            .filter(|it| it.contains(".access.apono.io"))
            .count(),
        4
    );
    // Helm waits for what it made; the pods go a moment later.
    let gone = [
        "wait",
        "pod",
        "--all",
        "--for=delete",
        "--timeout=5m",
        "-n",
        &release.namespace,
    ];
    kubectl(&gone);
    let kinds = "pods,deployments,services,secrets,serviceaccounts,roles,rolebindings,leases";
    let left = kubectl(&["get", kinds, "-n", &release.namespace, "-o", "name"]);
    let strangers: Vec<&str> = left
        .lines()
        // Of every namespace; and the map of who works for what, which the operators keep.
        .filter(|it| !["serviceaccount/default", SHARDS_LEASE].contains(it))
        .collect();
    assert_eq!(strangers, Vec::<&str>::new());
    let roles =
        said(kubectl_command().args(["get", "clusterroles,clusterrolebindings", "-o", "name"]));
    assert!(!roles.output.contains("apono"), "{}", roles.output);

    kubectl(&["delete", "namespace", &release.namespace, "--timeout=5m"]);

    // A release of another place takes the definitions over only when told to.
    let elsewhere = Release {
        namespace: "apono-elsewhere".to_owned(),
        tenant: release.tenant.clone(),
    };
    let (repository, digest) = image.split_once('@').expect("an image by its digest");
    let (repository, digest) = (
        format!("--set=image.repository={repository}"),
        format!("--set=image.digest={digest}"),
    );
    let again = [
        "install",
        RELEASE,
        "deploy/chart",
        "--create-namespace",
        "--wait",
        "--timeout=5m",
    ];
    let again = [&again[..], &[&repository, &digest]].concat();
    let refused = elsewhere.helm(&again);
    assert!(
        !refused.is_success && refused.errors.contains("invalid ownership"),
        "{refused:?}"
    );
    elsewhere.helm_does(&[&again[..], &["--take-ownership"]].concat());
    elsewhere.shared(1).await;
    elsewhere.helm_does(&["uninstall", RELEASE, "--wait", "--timeout=5m"]);
}
