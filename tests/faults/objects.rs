//! Objects: replaced, applied again, unreadable, changed all the time.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use apono_operator::crd::{ATTEMPT_ANNOTATION, FINALIZER};
use apono_simulator::{Action, Endpoint, Fault, Outside, When};
use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    helpers::{REPEAT, answer, crowd, next_create, setup, within},
    support::World,
};

/// The object as kubectl shows it.
fn export(world: &World, name: &str) -> Value {
    let text = world
        .cluster
        .kubectl(&["get", "accreq", name, "-o", "json"]);
    serde_json::from_str(&text).unwrap()
}

/// Gives a manifest to kubectl.
fn give(world: &World, verb: &str, object: &Value) {
    let mut file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
    file.write_all(object.to_string().as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    world.cluster.kubectl(&[verb, "-f", path]);
}

/// Strips the finalizers and deletes the resource, as somebody does who is tired of waiting.
fn force_away(world: &World, name: &str) {
    let patch = r#"{"metadata":{"finalizers":null}}"#;
    let kubectl = |arguments: &[&str]| world.cluster.kubectl(arguments);
    kubectl(&["delete", "accreq", name, "--wait=false"]);
    kubectl(&["patch", "accreq", name, "--type=merge", "-p", patch]);
}

#[tokio::test]
async fn a_replace_that_drops_finalizer_and_record_changes_nothing() {
    let world = World::new(setup()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_reason("orders", "Active").await;
    let before = world.get("orders").await;
    let record = before.annotations()[ATTEMPT_ANNOTATION].clone();

    let mut object = export(&world, "orders");
    let metadata = object["metadata"].as_object_mut().unwrap();
    for dropped in ["finalizers", "annotations", "resourceVersion"] {
        metadata.remove(dropped);
    }
    give(&world, "replace", &object);
    let restored = world
        .wait_for("orders", "finalizer and record are back", |found| {
            found.finalizers().iter().any(|name| name == FINALIZER)
                && found.annotations().get(ATTEMPT_ANNOTATION) == Some(&record)
        })
        .await;
    assert_eq!(restored.uid(), before.uid());
    world.more_polls(5).await;
    world.only_remote("orders");
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn a_replace_while_the_answer_is_lost_asks_for_nothing_twice() {
    let world = World::new(setup()).await;
    let when = When::After;
    world.simulator.arm(next_create(Action::Drop { when }));
    world.ask_bundle("orders", "prod-read").await;
    world.executed_creates(1).await;
    let mut object = export(&world, "orders");
    let metadata = object["metadata"].as_object_mut().unwrap();
    for dropped in ["finalizers", "annotations", "resourceVersion"] {
        metadata.remove(dropped);
    }
    give(&world, "replace", &object);
    // Without its finalizer it would go at once when it is deleted, and nobody could help it.
    world
        .wait_for("orders", "finalizer and record are back", |found| {
            found.finalizers().iter().any(|name| name == FINALIZER)
                && found.annotations().contains_key(ATTEMPT_ANNOTATION)
        })
        .await;
    world.wait_reason("orders", "Active").await;
    world.only_remote("orders");
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn what_is_exported_and_applied_again_adopts_what_is_live() {
    let mut world = World::new(setup()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_reason("orders", "Active").await;
    let id = world.only_remote("orders").id;
    assert_eq!(world.operator.terminate().await, Some(0));
    let exported = export(&world, "orders");
    force_away(&world, "orders");
    give(&world, "apply", &exported);
    world.operator.start();
    let found = world.wait_reason("orders", "Active").await;
    assert_ne!(found.uid().as_deref(), exported["metadata"]["uid"].as_str());
    let owned = &found.status.as_ref().unwrap().requests;
    assert_eq!(owned.len(), 1);
    assert_eq!((&owned[0].id, owned[0].adopted), (&id, Some(true)));
    world.only_remote("orders");
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn what_is_forced_away_and_applied_again_under_the_operators_eyes_adopts_what_is_live() {
    let world = World::new(setup()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_reason("orders", "Active").await;
    let exported = export(&world, "orders");
    // The remote does not let go, so whoever deletes it loses patience.
    let stuck = Fault::new(answer(500, When::Before)).at(Endpoint::Revoke);
    let stuck = world.simulator.arm(stuck);
    world.delete("orders").await;
    world.wait_calls(Endpoint::Revoke, 1).await;
    force_away(&world, "orders");
    give(&world, "apply", &exported);
    let found = world.wait_reason("orders", "Active").await;
    assert_ne!(found.uid().as_deref(), exported["metadata"]["uid"].as_str());
    world.more_polls(5).await;
    world.only_remote("orders");
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.simulator.disarm(stuck).unwrap();
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn what_is_exported_and_applied_again_after_its_end_is_asked_for_anew() {
    let mut world = World::new(setup()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_reason("orders", "Active").await;
    let first = world.only_remote("orders").id;
    assert_eq!(world.operator.terminate().await, Some(0));
    let exported = export(&world, "orders");
    force_away(&world, "orders");
    world.simulator.revoke(&first).unwrap();
    give(&world, "apply", &exported);
    world.operator.start();
    let found = world.wait_reason("orders", "Active").await;
    let all = world.wait_remote("orders", 2).await;
    let owned = &found.status.as_ref().unwrap().requests;
    assert_eq!(owned.len(), 1);
    assert_eq!(owned[0].id, all[1].id);
    assert_ne!(owned[0].id, first);
    world.assert_live(1);
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.end().await;
}

/// A time the apiserver takes for one, and this version does not: an offset of 99 hours.
const NO_TIME: &str = "2026-11-23T12:00:00+99:59";

#[tokio::test]
async fn an_object_that_cannot_be_read_holds_up_nobody_and_is_released_with_its_access() {
    let world = World::new(setup()).await;
    world.ask_bundle("odd", "prod-read").await;
    world.wait_reason("odd", "Active").await;
    let patch = json!({"status": {"endsAt": NO_TIME}}).to_string();
    let arguments = ["patch", "accreq", "odd", "--subresource=status"];
    let arguments = [&arguments[..], &["--type=merge", "-p", &patch]].concat();
    world.cluster.kubectl(&arguments);
    let note = world.wait_event("odd", "Undecodable").await;
    assert!(note.contains("delete it"), "{note}");

    world.ask_bundle("even", "prod-read").await;
    world.wait_reason("even", "Active").await;
    world
        .cluster
        .kubectl(&["delete", "accreq", "even", "--timeout=30s"]);
    assert_eq!(world.only_remote("odd").status.word(), "Active");
    world
        .cluster
        .kubectl(&["delete", "accreq", "odd", "--timeout=30s"]);
    world.only_remote("odd");
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_released_after_a_restart_as_well() {
    let mut world = World::new(setup()).await;
    let when = When::After;
    world.simulator.arm(next_create(Action::Hang { when }));
    world.ask_bundle("odd", "prod-read").await;
    world.executed_creates(1).await;
    world.operator.kill();
    let patch = json!({"status": {"endsAt": NO_TIME}}).to_string();
    let arguments = ["patch", "accreq", "odd", "--subresource=status"];
    let arguments = [&arguments[..], &["--type=merge", "-p", &patch]].concat();
    world.cluster.kubectl(&arguments);
    let delete = |how: &str| world.cluster.kubectl(&["delete", "accreq", "odd", how]);
    delete("--wait=false");
    world.operator.start();
    world
        .cluster
        .kubectl(&["wait", "accreq", "odd", "--for=delete", "--timeout=40s"]);
    world.only_remote("odd");
    world.assert_live(0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_who_never_rests_delays_and_doubles_nothing() {
    let world = World::new(crowd()).await;
    let names: Vec<String> = (0..10).map(|number| format!("orders-{number}")).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = names
        .iter()
        .map(|name| {
            let (requests, name) = (world.cluster.requests(), name.clone());
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut writes = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    let label = json!({"metadata": {"labels": {"beat": writes.to_string()}}});
                    let how = PatchParams::default();
                    // Before it is made and after it is gone there is nothing to write to.
                    let written = requests.patch(&name, &how, &Patch::Merge(label)).await;
                    writes += u32::from(written.is_ok());
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                writes
            })
        })
        .collect();
    for name in &names {
        world.ask_bundle(name, "prod-read").await;
    }
    world.all_within(REPEAT, &names, "Active").await;
    for name in &names {
        world.delete(name).await;
    }
    world.none_within(REPEAT).await;
    stop.store(true, Ordering::Relaxed);
    let mut writes = 0;
    for writer in writers {
        writes += writer.await.unwrap();
    }
    println!("{writes} foreign writes");
    assert!(writes > 20);
    assert_eq!(world.calls(Endpoint::Create), names.len());
    for name in &names {
        world.only_remote(name);
    }
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn what_others_asked_for_is_never_touched() {
    let world = World::new(setup()).await;
    // As if of another cluster, of another object, and with a mark somebody made up.
    let marks = [
        "[k8s aaaaaaaaaaaaaaaaaaaaaaaa elsewhere/default/orders] why".to_owned(),
        format!(
            "[k8s aaaaaaaaaaaaaaaaaaaaaaaa {0}/{0}/orders] why",
            world.cluster.namespace
        ),
        "no mark at all".to_owned(),
    ];
    for mark in &marks {
        let outside = Outside {
            requestor: apono_simulator::DEFAULT_USER.into(),
            bundle: Some("prod-read".into()),
            justification: Some(mark.clone()),
            ..Outside::default()
        };
        world.simulator.create(outside).unwrap();
    }
    world.ask_bundle("orders", "prod-read").await;
    world.wait_reason("orders", "Active").await;
    world.more_polls(5).await;
    world.delete("orders").await;
    world.wait_gone("orders").await;
    let live = within(REPEAT, "nothing else is revoked", async || {
        Ok(world.simulator.requests())
    })
    .await;
    let live = live.iter().filter(|one| !one.status.is_terminal()).count();
    assert_eq!(live, marks.len(), "{:#?}", world.remote_states());
    world.end().await;
}
