//! Finalizers that somebody removes by hand.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{
    helpers::ACTIVE,
    support::{CONNECTION, Setup, World, eventually},
};

#[tokio::test]
async fn what_belongs_to_nobody_any_more_is_counted_and_told_and_left_alone() {
    let mut world = World::new(Setup::default()).await;
    for name in ["kept", "lost"] {
        world.ask_bundle(name, "prod-read").await;
        world.wait_row(name, ACTIVE).await;
    }
    world.operator.kill();
    let free = json!({"metadata": {"finalizers": null}});
    world.patch("lost", free).await;
    world.delete("lost").await;
    world.wait_gone("lost").await;
    world.operator.start();
    world
        .operator
        .shows("apono_operator_unowned_requests 1")
        .await;
    let note = world.wait_event(CONNECTION, "UnownedRequests").await;
    let id = world.only_remote("lost").id;
    assert!(note.contains(&id), "{note}");
    world.assert_live(2);
    world.end().await;
}

#[tokio::test]
async fn a_finalizer_removed_while_the_access_is_taken_back_leaves_a_debt() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    let id = world.only_remote("orders").id;
    world.simulator.fate(&id, crate::helpers::stuck()).unwrap();
    // Somebody else's finalizer keeps the object.
    let both = ["access.apono.io/revoke", "example.com/keep"];
    let both = json!({"metadata": {"finalizers": both}});
    world.patch("orders", both).await;
    world.delete("orders").await;
    let only = json!({"metadata": {"finalizers": ["example.com/keep"]}});
    world.patch("orders", only).await;
    eventually("a debt", async || {
        let all = world.debts().await;
        let is_so = all.iter().any(|one| one.spec.reason == "FinalizerRemoved");
        let words = || format!("{all:#?}\n{}", world.last_words());
        is_so.then_some(()).ok_or_else(words)
    })
    .await;
    world
        .simulator
        .fate(&id, apono_simulator::Fate::default())
        .unwrap();
    world.wait_paid().await;
    world.assert_live(0);
    let gone = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    let how = PatchParams::default();
    let requests = world.cluster.requests();
    requests.patch("orders", &how, &gone).await.unwrap();
    world.wait_gone("orders").await;
    world.end().await;
}
