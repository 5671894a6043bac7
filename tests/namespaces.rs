//! A connection of the whole cluster that goes by the labels of namespaces, in a real apiserver: the
//! operator's binary, in cluster scope, against the simulator.
//!
//! In a binary of its own: an operator for the whole cluster sees the resources of other tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

mod shipped;
mod support;

use std::time::{Duration, Instant};

use apono_operator::crd::{AccessRequest, ClusterAponoConnection};
use apono_simulator::Endpoint;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};
use shipped::{kubectl, kubectl_with, stream};
use support::{CONNECTION, Setup, World, eventually, row};
use tokio::sync::{Mutex, MutexGuard};

const ACTIVE: &str = "Ready=True:Active Synced=True -> Current";
const NOT_ALLOWED: &str = "Ready=False:NotAllowed Stalled=True Synced=False -> Failed";
/// What is asked for after its namespace is labelled has to be asked for in far less than the ten
/// minutes of a regular look.
const SOON: Duration = Duration::from_secs(30);
/// Only one operator at a time may serve the whole cluster.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A world, and a connection of the whole cluster for namespaces with this world's label.
struct Selecting {
    world: World,
    connections: Api<ClusterAponoConnection>,
    _alone: MutexGuard<'static, ()>,
}

impl Selecting {
    async fn new() -> Self {
        let alone = ALONE.lock().await;
        let setup = Setup::default().unconnected();
        let world = World::new(setup.setting("WATCH_NAMESPACES", "")).await;
        world.store_token(CONNECTION, &world.token).await;
        let connections = Api::all(world.cluster.client.clone());
        let selecting = Self {
            world,
            connections,
            _alone: alone,
        };
        let object = json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "ClusterAponoConnection",
            "metadata": {"name": selecting.name()},
            "spec": {
                "endpoint": selecting.world.simulator.url(),
                "tokenSecretRef": {"name": CONNECTION, "key": "token"},
                "allow": {"namespaces": {"selector": {"matchLabels": {"team": selecting.name()}}}},
                "polling": {"fast": "100ms", "pending": "200ms", "active": "300ms"}
            }
        });
        let object = serde_json::from_value(object).unwrap();
        let parameters = PostParams::default();
        let created = selecting.connections.create(&parameters, &object).await;
        created.expect("the connection is accepted");
        selecting
    }

    /// Of the connection, and the value of the label: nobody else's.
    fn name(&self) -> &str {
        &self.world.cluster.namespace
    }

    fn label(&self) -> String {
        format!("team={}", self.name())
    }

    fn spec(&self) -> Value {
        json!({
            "connectionRef": {"kind": "ClusterAponoConnection", "name": self.name()},
            "access": {"bundle": "prod-read"}, "justification": "stuck orders"
        })
    }

    async fn ask(&self, name: &str) {
        self.world.ask(name, self.spec()).await;
    }

    async fn end(self) {
        let parameters = DeleteParams::default();
        let removed = self.connections.delete(self.name(), &parameters).await;
        removed.expect("there is such a connection");
        self.world.end().await;
    }
}

#[tokio::test]
async fn a_namespace_that_is_labelled_or_loses_its_label_is_looked_at_again_at_once() {
    let selecting = Selecting::new().await;
    let world = &selecting.world;
    selecting.ask("orders").await;
    let refused = world.wait_row("orders", NOT_ALLOWED).await;
    let message = refused.status.unwrap().message.unwrap();
    assert!(message.contains("allow.namespaces"), "{message}");
    assert_eq!(world.calls(Endpoint::Create), 0);

    let namespace = selecting.name();
    let started = Instant::now();
    kubectl(&["label", "namespace", namespace, &selecting.label()]);
    world.wait_row("orders", ACTIVE).await;
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    world.only_remote("orders");

    // What was asked stays as it is, and says so; nothing new is asked.
    let started = Instant::now();
    kubectl(&["label", "namespace", namespace, "team-"]);
    let wanted = "Ready=True:Active Synced=False -> Current";
    let found = world.wait_row("orders", wanted).await;
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    let conditions = found.status.unwrap().conditions;
    let synced = conditions.iter().find(|one| one.type_ == "Synced").unwrap();
    assert_eq!(synced.reason, "NotAllowed");
    world.assert_live(1);
    selecting.ask("later").await;
    world.wait_row("later", NOT_ALLOWED).await;
    assert_eq!(world.calls(Endpoint::Create), 1);

    // Taking back needs no leave.
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.delete("later").await;
    world.wait_gone("later").await;
    selecting.end().await;
}

#[tokio::test]
async fn a_namespace_and_its_request_can_be_applied_together() {
    let selecting = Selecting::new().await;
    let world = &selecting.world;
    world.operator.ready().await;
    for round in 0..3 {
        let namespace = format!("{}-{round}", selecting.name());
        let documents = [
            json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": namespace, "labels": {"team": selecting.name()}}
            }),
            json!({
                "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
                "metadata": {"name": "orders", "namespace": namespace},
                "spec": selecting.spec()
            }),
        ];
        let started = Instant::now();
        kubectl_with(&["apply", "-f", "-"], &stream(&documents));
        let requests: Api<AccessRequest> =
            Api::namespaced(world.cluster.client.clone(), &namespace);
        eventually("the request is granted", async || {
            let found = requests.get("orders").await.unwrap();
            let row = row(&found);
            let missing = || format!("{row}: {:#?}\n{}", found.status, world.last_words());
            (row == ACTIVE).then_some(()).ok_or_else(missing)
        })
        .await;
        assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
        kubectl(&["delete", "namespace", &namespace, "--timeout=60s"]);
        world.assert_live(0);
    }
    selecting.end().await;
}
