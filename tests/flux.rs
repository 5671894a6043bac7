//! Flux's own kustomize-controller, as it is released, against the operator: it applies what a
//! repository holds, waits as `deploy/flux` says, and prunes what is gone from it; the finalizer of the
//! request makes it wait until the access is taken back.
//!
//! `cargo xtask prove` runs it, for what the build costs: two to five minutes, once.
//!
//! There is no source-controller: what it would do, serve an archive and say where it is, is done here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "flux/source.rs"]
mod source;
mod support;

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use apono_simulator::{Fate, catalogue::RevokeFate};
use serde_json::{Value, json};
use source::Source;
use support::{CONNECTION, Setup, World, eventually};

const ACTIVE: &str = "Ready=True:Active Synced=True -> Current";
const PENDING: &str = "Ready=False:PendingApproval Reconciling=True Synced=True -> InProgress";

/// The controller as a process; ended when dropped.
struct Flux {
    process: Child,
    log: PathBuf,
}

impl Flux {
    /// Its definitions are served and it runs when this returns.
    fn start(world: &World) -> Self {
        let xtask = std::env::var("APONO_TEST_XTASK").expect("run `cargo xtask test`");
        let output = Command::new(xtask)
            .args(["tool", "flux"])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("xtask starts");
        assert!(
            output.status.success(),
            "no kustomize-controller: see above"
        );
        let program = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        let folder = program.parent().unwrap_or(Path::new("."));
        // Those of everything it watches lie beside it.
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let file = entry.expect("a file").path();
            if file.extension().is_some_and(|end| end == "yaml") {
                let apply = ["apply", "--server-side", "-f", &file.to_string_lossy()];
                world.cluster.kubectl(&apply);
            }
        }
        let established = ["wait", "--for=condition=Established", "crd", "--all"];
        world.cluster.kubectl(&established);
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kustomize-controller.log");
        let process = Command::new(program)
            .args([
                "--watch-all-namespaces",
                "--enable-leader-election=false",
                "--events-addr=",
                "--metrics-addr=127.0.0.1:0",
                "--health-addr=127.0.0.1:0",
                "--requeue-dependency=1s",
            ])
            .env("KUBECONFIG", world.cluster.kubeconfig())
            .env("RUNTIME_NAMESPACE", &world.cluster.namespace)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("it starts");
        Self { process, log }
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Flux {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn apply(world: &World, object: &Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("object.json");
    std::fs::write(&file, object.to_string()).expect("written");
    let file = file.to_string_lossy();
    world
        .cluster
        .kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &file]);
}

/// A file of the repository.
fn request(world: &World, name: &str, bundle: &str) -> (String, String) {
    let object = json!({
        "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
        "metadata": {"name": name, "namespace": world.cluster.namespace},
        "spec": {
            "connectionRef": {"kind": "AponoConnection", "name": CONNECTION},
            "access": {"bundle": bundle}, "justification": "stuck orders"
        }
    });
    (format!("{name}.yaml"), object.to_string())
}

/// A Kustomization over a folder of the repository, which judges health by one of our sets.
fn kustomization(world: &World, name: &str, health: &str) -> Value {
    let path = format!("{}/deploy/flux/{health}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("expressions");
    let expressions: Value = serde_saphyr::from_str(&text).expect("a list");
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": world.cluster.namespace},
        "spec": {
            "interval": "10m", "retryInterval": "2s", "timeout": "3m",
            "path": format!("./{name}"), "prune": true, "wait": true,
            "deletionPolicy": "WaitForTermination",
            "sourceRef": {"kind": "GitRepository", "name": "access"},
            "healthCheckExprs": expressions
        }
    })
}

fn stored(world: &World, kind: &str, name: &str) -> Value {
    let get = ["get", kind, name, "-o", "json", "--ignore-not-found"];
    serde_json::from_str(&world.cluster.kubectl(&get)).unwrap_or_default()
}

/// Status and reason of Ready.
fn ready(world: &World, name: &str) -> (String, String) {
    let found = stored(world, "kustomizations.kustomize.toolkit.fluxcd.io", name);
    let conditions = found["status"]["conditions"].as_array().cloned();
    let conditions = conditions.unwrap_or_default();
    let ready = conditions.iter().find(|one| one["type"] == "Ready");
    let text = |key: &str| {
        let value = ready.and_then(|one| one[key].as_str());
        value.unwrap_or_default().to_owned()
    };
    (text("status"), text("reason"))
}

async fn wait_ready(world: &World, flux: &Flux, name: &str, wanted: (&str, &str)) {
    eventually(&format!("{name} is {wanted:?}"), async || {
        let (status, reason) = ready(world, name);
        if (status.as_str(), reason.as_str()) == wanted {
            return Ok(());
        }
        Err(format!("{status} {reason}\n{}", flux.last_words()))
    })
    .await;
}

#[tokio::test]
#[ignore = "builds Flux's controller, minutes the first time: run `cargo xtask prove flux`"]
async fn flux_applies_waits_prunes_and_lets_go_only_when_the_access_has_ended() {
    let world = &World::new(Setup::default()).await;
    world.wait_connection(CONNECTION, "True", "Ready").await;
    let flux = &Flux::start(world);
    let source = Source::start();
    let files = |admin: bool| {
        let folder =
            |folder: &str, (name, text): (String, String)| (format!("{folder}/{name}"), text);
        let mut files = vec![
            folder("gated", request(world, "reads", "prod-read")),
            folder("forgotten", request(world, "later", "prod-admin")),
        ];
        if admin {
            files.push(folder("gated", request(world, "administers", "prod-admin")));
        }
        files
    };
    source.publish(world, "main@sha1:1", &files(true));
    apply(world, &kustomization(world, "gated", "gate"));
    apply(world, &kustomization(world, "forgotten", "fire-and-forget"));

    // Both wait for a person; who only wanted it asked for is done.
    world.wait_row("reads", ACTIVE).await;
    for name in ["administers", "later"] {
        world.wait_row(name, PENDING).await;
    }
    wait_ready(
        world,
        flux,
        "forgotten",
        ("True", "ReconciliationSucceeded"),
    )
    .await;
    assert_eq!(
        ready(world, "gated"),
        ("Unknown".into(), "Progressing".into())
    );
    let id = world.only_remote("administers").id;
    world.simulator.approve(&id).unwrap();
    wait_ready(world, flux, "gated", ("True", "ReconciliationSucceeded")).await;
    world.wait_row("administers", ACTIVE).await;

    // Reconciled again, nothing is changed and nothing asked for.
    let version = world.version("reads").await;
    let kind = "kustomizations.kustomize.toolkit.fluxcd.io";
    let asked = "reconcile.fluxcd.io/requestedAt=now";
    world
        .cluster
        .kubectl(&["annotate", kind, "gated", "--overwrite", asked]);
    eventually("the reconciliation that was asked for", async || {
        let found = stored(world, "kustomizations.kustomize.toolkit.fluxcd.io", "gated");
        let handled = &found["status"]["lastHandledReconcileAt"];
        (handled == "now")
            .then_some(())
            .ok_or_else(|| format!("{handled}"))
    })
    .await;
    assert_eq!(
        world.version("reads").await,
        version,
        "Flux found a difference"
    );

    // Gone from the repository: taken back first, and only then gone from the cluster.
    let sticky = Fate {
        revoke: RevokeFate::Stick,
        ..Fate::default()
    };
    world.simulator.fate(&id, sticky).unwrap();
    source.publish(world, "main@sha1:2", &files(false));
    let going = "Ready=True:Active Reconciling=True Synced=True -> Terminating";
    world.wait_row("administers", going).await;
    world.simulator.fate(&id, Fate::default()).unwrap();
    world.wait_gone("administers").await;
    world.assert_live(2);

    // The Kustomization itself waits for what it takes along.
    let id = world.only_remote("reads").id;
    world.simulator.fate(&id, sticky).unwrap();
    world
        .cluster
        .kubectl(&["delete", kind, "gated", "--wait=false"]);
    world.wait_row("reads", going).await;
    assert!(stored(world, kind, "gated").is_object(), "it did not wait");
    world.simulator.fate(&id, Fate::default()).unwrap();
    world.wait_gone("reads").await;
    eventually("the Kustomization is gone", async || {
        let found = stored(world, kind, "gated");
        found
            .is_null()
            .then_some(())
            .ok_or_else(|| flux.last_words())
    })
    .await;
    world
        .cluster
        .kubectl(&["delete", kind, "forgotten", "--timeout=45s"]);
    world.wait_gone("later").await;
    world.assert_live(0);
    println!(
        "proved: flux: applied, gated, left waiting, reconciled without a change, pruned, let go"
    );
}
