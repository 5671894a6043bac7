//! What the apiserver says, garbled by the gate: watch events, lists, and writes that come late.

use std::time::Duration;

use apono_simulator::Endpoint;
use axum::body::Bytes;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    gate::{Events, Gate},
    silence::kubeconfig,
    support::{Setup, World, eventually},
};

const SECRET: &str = "orders-db";

/// A world behind a gate.
pub struct Gated {
    pub world: World,
    pub gate: Gate,
    pub _folder: TempDir,
}

/// A world whose operator, not yet started, reaches the apiserver through a gate.
pub async fn gated(setup: Setup) -> Gated {
    let setup = setup.setting("REMOTE_TIMEOUT", "1s");
    let mut world = World::new(setup.setting("RUST_LOG", "info").stopped()).await;
    let gate = Gate::new(world.cluster.client.clone()).await;
    let (folder, path) = kubeconfig(gate.url());
    world.operator.set("KUBECONFIG", &path);
    Gated {
        world,
        gate,
        _folder: folder,
    }
}

/// So often.
const ROUNDS: usize = 3;

/// Some are asked for, become live and are taken back.
async fn come_and_go(world: &World, round: usize) {
    let asked = world.calls(Endpoint::Create);
    let names: Vec<_> = (0..4)
        .map(|number| format!("orders-{round}-{number}"))
        .collect();
    for name in &names {
        world.ask_bundle(name, "prod-read").await;
    }
    for name in &names {
        world.wait_reason(name, "Active").await;
    }
    for name in &names {
        world.delete(name).await;
    }
    for name in &names {
        world.wait_gone(name).await;
        world.only_remote(name);
    }
    world.assert_live(0);
    assert_eq!(world.calls(Endpoint::Create) - asked, names.len());
}

#[tokio::test]
async fn events_that_are_repeated_cut_off_or_lost_change_nothing() {
    for events in [Events::Twice, Events::Cut, Events::Gone] {
        let Gated {
            mut world,
            gate,
            _folder,
        } = gated(Setup::default()).await;
        gate.events(events);
        world.operator.start();
        // A watch that comes back is told of what it missed by one list, and so hears few events.
        for round in 0..ROUNDS {
            come_and_go(&world, round).await;
        }
        println!("{events:?}: {} faults", gate.faults());
        assert!(gate.faults() >= 2, "{events:?}: {}", gate.faults());
        world.end().await;
    }
}

#[tokio::test]
async fn a_conflict_at_each_write_costs_a_second_try_and_nothing_else() {
    let Gated {
        mut world,
        gate,
        _folder,
    } = gated(Setup::default()).await;
    gate.late_writes();
    world.operator.start();
    let spec = json!({
        "access": {"bundle": "prod-read"}, "credentials": {"secretName": SECRET}
    });
    world.ask("with-credentials", spec).await;
    world.wait_reason("with-credentials", "Active").await;
    let session = world.session("with-credentials");
    let uses = world.simulator.session_uses(&session.id);
    assert_eq!((uses.consuming_reads, uses.resets), (1, 0), "{uses:?}");
    world.delete("with-credentials").await;
    world.wait_gone("with-credentials").await;
    world.only_remote("with-credentials");
    println!("{} faults", gate.faults());
    assert!(gate.faults() >= 4, "{}", gate.faults());
    world.end().await;
}

/// The list of access requests as it stands.
async fn list(world: &World) -> Bytes {
    let path = format!(
        "/apis/access.apono.io/v1alpha1/namespaces/{}/accessrequests",
        world.cluster.namespace
    );
    let request = axum::http::Request::get(path).body(Vec::new()).unwrap();
    let text = world.cluster.client.request_text(request).await.unwrap();
    Bytes::from(text)
}

#[tokio::test]
async fn an_old_list_makes_nobody_ask_again() {
    let Gated {
        mut world,
        gate,
        _folder,
    } = gated(Setup::default()).await;
    world.ask_bundle("orders", "prod-read").await;
    let before = list(&world).await;
    world.operator.start();
    world.wait_reason("orders", "Active").await;
    world.operator.kill();
    // Started anew, it is told that nothing has been asked for yet, and nothing else for a while.
    gate.stale(Some(before.clone()));
    gate.events(Events::Held);
    world.operator.start();
    world.operator.ready().await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    world.only_remote("orders");
    gate.stale(None);
    gate.events(Events::Pass);
    world.wait_reason("orders", "Active").await;
    world.delete("orders").await;
    world.wait_gone("orders").await;
    // And that what has gone is there as it was at first.
    world.operator.kill();
    gate.stale(Some(before));
    gate.events(Events::Held);
    world.operator.start();
    world.operator.ready().await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    world.only_remote("orders");
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.assert_live(0);
    println!("{} faults", gate.faults());
    assert!(gate.faults() >= 2, "{}", gate.faults());
    gate.stale(None);
    world.end().await;
}

/// Grants the newest of so many requests; gives its id.
async fn granted(world: &World, count: usize) -> String {
    let id = world
        .wait_remote("orders", count)
        .await
        .remove(count - 1)
        .id;
    world.simulator.route(&id).unwrap();
    world.simulator.activate(&id).unwrap();
    world.wait_reason("orders", "Active").await;
    id
}

#[tokio::test]
async fn an_old_list_takes_nothing_back() {
    let Gated {
        mut world,
        gate,
        _folder,
    } = gated(Setup::explicit()).await;
    world.operator.start();
    world.ask_bundle("orders", "prod-read").await;
    let first = granted(&world, 1).await;
    world.delete("orders").await;
    world.wait_reason("orders", "Revoking").await;
    let deleting = list(&world).await;
    let text = String::from_utf8_lossy(&deleting);
    assert!(text.contains("deletionTimestamp"), "{text}");
    world.simulator.finish_revoke(&first).unwrap();
    world.wait_gone("orders").await;
    // The same name again, and a restart into the world in which its predecessor is deleted.
    world.ask_bundle("orders", "prod-read").await;
    granted(&world, 2).await;
    world.operator.kill();
    gate.stale(Some(deleting));
    gate.events(Events::Held);
    world.operator.start();
    world.operator.ready().await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    world.assert_live(1);
    gate.stale(None);
    gate.events(Events::Pass);
    world.wait_reason("orders", "Active").await;
    println!("{} faults", gate.faults());
}

#[tokio::test]
async fn what_is_live_is_read_while_the_list_of_its_resources_is_on_its_way() {
    // What is followed is read by sweeps of its own, which are not counted here.
    let polling = json!({"polling": {"fast": "100ms", "pending": "200ms", "active": "1m"}});
    let Gated {
        mut world,
        gate,
        _folder,
    } = gated(Setup::default().connection(polling)).await;
    world.operator.start();
    for name in ["stays", "ends"] {
        world.ask_bundle(name, "prod-read").await;
    }
    for name in ["stays", "ends"] {
        world.wait_reason(name, "Active").await;
    }
    assert_eq!(world.operator.terminate().await, Some(0));
    let ended = world.only_remote("ends").id;
    world.simulator.revoke(&ended).unwrap();

    gate.hold_lists(true);
    let before = world.calls(Endpoint::List);
    world.operator.start();
    // One to prove the token, one for all that is live.
    eventually("the remote is read", async || {
        match world.calls(Endpoint::List) - before {
            2 => Ok(()),
            lists => Err(format!("{lists} lists")),
        }
    })
    .await;
    gate.hold_lists(false);
    world.wait_reason("ends", "RevokedUpstream").await;
    assert_eq!(world.calls(Endpoint::List) - before, 2, "once is enough");
    assert!(gate.faults() > 0);
    world.end().await;
}
