//! The servers themselves, killed and started again under a running operator, and definitions that
//! change: nothing is asked for twice, nothing that is owed is lost.
//!
//! The control plane is one of the test's own: no other may be stopped under other tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use apono_operator::crd::{self, OwedRevocation};
use apono_simulator::{Fate, catalogue::RevokeFate};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use support::{CONNECTION, Setup, World, eventually};

const ACTIVE: &str = "Ready=True:Active Synced=True -> Current";

/// What is killed, one set after the other.
const RESTARTED: [&[&str]; 3] = [&["kube-apiserver"], &["etcd"], &["etcd", "kube-apiserver"]];

/// A control plane whose processes can be restarted. It ends with this value.
struct Plane {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    kubeconfig: String,
}

impl Plane {
    fn start() -> Self {
        let xtask = std::env::var("APONO_TEST_XTASK").expect("run `cargo xtask test`");
        let mut process = Command::new(xtask)
            .args(["control-plane", "up"])
            .env_remove("APONO_TEST_KUBECONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let kubeconfig = loop {
            let line = output.next().expect("it comes up").unwrap();
            if let Some(path) = line.strip_prefix("export KUBECONFIG=") {
                break path.trim_matches('\'').to_owned();
            }
        };
        Self {
            process,
            input,
            output,
            kubeconfig,
        }
    }

    /// Kills a process and starts it again; it serves when this returns.
    fn restart(&mut self, name: &str) {
        let line = format!("restart {name}");
        writeln!(self.input, "{line}").unwrap();
        loop {
            let said = self.output.next().expect("it stays up").unwrap();
            if said == line {
                return;
            }
        }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        // What it started ends with it, see its `supervise`.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a person does who tries until it is done: a request is made, another deleted.
async fn come_and_go(world: &World, comes: &str, goes: &str) {
    let spec = json!({
        "access": {"bundle": "prod-read"}, "justification": "stuck orders",
        "connectionRef": {"kind": "AponoConnection", "name": CONNECTION}
    });
    let object = json!({
        "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
        "metadata": {"name": comes}, "spec": spec
    });
    let requests = world.cluster.requests();
    let apply = PatchParams::apply("person");
    eventually("the new request is taken", async || {
        let made = requests.patch(comes, &apply, &Patch::Apply(&object)).await;
        made.map(drop).map_err(|error| error.to_string())
    })
    .await;
    eventually("the deletion is taken", async || {
        match requests.delete(goes, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            deleted => deleted.map(drop).map_err(|error| error.to_string()),
        }
    })
    .await;
}

async fn debts(world: &World) -> Vec<OwedRevocation> {
    let all = world.cluster.debts().list(&ListParams::default()).await;
    all.unwrap().items
}

/// The definitions as another version of the operator might bring them.
async fn upgrade(world: &World, change: impl Fn(&mut serde_json::Value)) {
    let crds: Api<CustomResourceDefinition> = Api::all(world.cluster.client.clone());
    for crd in crd::all_crds() {
        let name = crd.name_any();
        let mut crd = serde_json::to_value(crd).unwrap();
        change(&mut crd);
        let how = PatchParams::apply("kubectl").force();
        crds.patch(&name, &how, &Patch::Apply(&crd)).await.unwrap();
    }
}

/// A newer version brings a property, and is taken back.
async fn upgrade_and_back(world: &mut World) {
    upgrade(world, |crd| {
        let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        let properties = crd.pointer_mut(spec).unwrap();
        properties["later"] = json!({"type": "string", "description": "Of a later version."});
    })
    .await;
    world.ask_bundle("newer", "prod-read").await;
    world.wait_row("newer", ACTIVE).await;
    world.operator.kill();
    upgrade(world, |_| {}).await;
    world.operator.start();
    world.ask_bundle("older", "prod-read").await;
    world.wait_row("older", ACTIVE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_of_every_server_and_new_definitions_double_and_lose_nothing() {
    let mut plane = Plane::start();
    let setup = Setup::default()
        .cluster(&plane.kubeconfig)
        .setting("RUST_LOG", "info")
        .setting("REMOTE_TIMEOUT", "1s")
        .connection(json!({"revocationDeadline": "1s"}));
    let mut world = World::new(setup).await;
    world.ask_bundle("stuck", "prod-read").await;
    world.wait_row("stuck", ACTIVE).await;
    let stuck = world.only_remote("stuck").id;
    let fate = Fate {
        revoke: RevokeFate::Stick,
        ..Fate::default()
    };
    world.simulator.fate(&stuck, fate).unwrap();
    world.delete("stuck").await;
    world.wait_gone("stuck").await;
    let owed = debts(&world).await.remove(0);

    let mut standing = 1;
    for (number, servers) in RESTARTED.into_iter().enumerate() {
        let named = |part: &str| format!("{part}-{number}");
        let (comes, stays, goes) = (named("comes"), named("stays"), named("goes"));
        for name in [&stays, &goes] {
            world.ask_bundle(name, "prod-read").await;
            world.wait_row(name, ACTIVE).await;
        }
        let restarting = tokio::task::spawn_blocking(move || {
            for name in servers {
                plane.restart(name);
            }
            plane
        });
        come_and_go(&world, &comes, &goes).await;
        plane = restarting.await.unwrap();
        world.wait_row(&comes, ACTIVE).await;
        world.wait_gone(&goes).await;
        for name in [&comes, &stays, &goes] {
            world.only_remote(name);
        }
        standing += 2;
        world.assert_live(standing);
        assert_eq!(debts(&world).await[0].uid(), owed.uid());
    }

    upgrade_and_back(&mut world).await;
    world.assert_live(standing + 2);
    assert_eq!(debts(&world).await[0].uid(), owed.uid());

    // What was owed all the while is paid when it can be.
    world.simulator.fate(&stuck, Fate::default()).unwrap();
    eventually("the debt is paid", async || {
        let left = debts(&world).await;
        let words = || format!("{left:#?}\n{}", world.last_words());
        left.is_empty().then_some(()).ok_or_else(words)
    })
    .await;
    world.assert_live(standing + 1);
    world.end().await;
}
