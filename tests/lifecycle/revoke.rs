//! Deletion: the resource goes only when the access has, as read back from the remote.

use apono_simulator::{
    Endpoint, Fate, Status,
    switches::{Leniency, Visibility},
};
use serde_json::json;

use crate::{
    ACTIVE, PENDING, status, sticky_revoke,
    support::{Setup, World},
};

const GOING: &str = "Ready=True:Active Reconciling=True Synced=True -> Terminating";

#[tokio::test]
async fn deletion_waits_until_the_revoke_is_read_back() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    let id = world.only_remote("orders").id;
    world.simulator.fate(&id, sticky_revoke()).unwrap();

    world.delete("orders").await;
    let found = world.wait_row("orders", GOING).await;
    assert_eq!(status(&found)["phase"], "Revoking");
    assert_eq!(status(&found)["reason"], "Revoking");
    world.more_polls(5).await;
    world.wait_row("orders", GOING).await;
    assert_eq!(world.only_remote("orders").status, Status::Revoking);

    world.simulator.fate(&id, Fate::default()).unwrap();
    world.wait_gone("orders").await;
    assert_eq!(world.only_remote("orders").status, Status::Revoked);
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn deletion_cancels_what_is_still_pending() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("admin", "prod-admin").await;
    world.wait_row("admin", PENDING).await;
    world.delete("admin").await;
    world.wait_gone("admin").await;
    assert_eq!(world.only_remote("admin").status, Status::Revoked);
    assert!(!world.only_remote("admin").was_active());
    world.end().await;
}

#[tokio::test]
async fn a_cancel_that_is_refused_is_said_and_tried_again() {
    let world = World::new(Setup::default().remote(|remote| {
        remote.switches.revoke_open = Leniency::BadRequest;
    }))
    .await;
    world.ask_bundle("admin", "prod-admin").await;
    world.wait_row("admin", PENDING).await;
    world.delete("admin").await;
    let row = "Ready=False:CancelRefused Stalled=True Synced=True -> Terminating";
    world.wait_row("admin", row).await;
    world.assert_live(1);
    world
        .simulator
        .set_switches(|switches| switches.revoke_open = Leniency::Accept);
    world.wait_gone("admin").await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn a_revoke_that_fails_is_said_and_tried_again() {
    let world = World::new(Setup::default().remote(|remote| {
        remote.switches.revoke_retry = true;
    }))
    .await;
    world.ask_bundle("stuck", "stuck-revoke").await;
    world.wait_row("stuck", ACTIVE).await;
    world.delete("stuck").await;
    let row = "Ready=False:RevokeFailed Stalled=True Synced=True -> Terminating";
    world.wait_row("stuck", row).await;
    world.assert_live(1);
    let id = world.only_remote("stuck").id;
    world.simulator.fate(&id, Fate::default()).unwrap();
    world.wait_gone("stuck").await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn a_delegated_request_the_remote_will_not_revoke_keeps_its_resource() {
    let world = World::new(Setup::default().remote(|remote| {
        remote.switches.delegated_revoke = Visibility::Hidden;
        remote.switches.bulk_delegated = Visibility::Hidden;
    }))
    .await;
    let access = json!({"bundle": "prod-read"});
    let spec = json!({"access": access, "grantee": "alex@example.com", "justification": "x"});
    world.ask("theirs", spec).await;
    world.wait_row("theirs", ACTIVE).await;
    world.delete("theirs").await;
    let row = "Ready=False:RevokeFailed Stalled=True Synced=True -> Terminating";
    world.wait_row("theirs", row).await;
    world.assert_live(1);
    world
        .simulator
        .set_switches(|switches| switches.delegated_revoke = Visibility::Visible);
    world.wait_gone("theirs").await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn an_orphan_stays_where_the_connection_allows_it() {
    let setup = Setup::default().connection(json!({"allow": {"orphan": true}}));
    let world = World::new(setup).await;
    ask_orphan(&world).await;
    world.delete("left").await;
    world.wait_gone("left").await;
    world.wait_event("left", "Orphaned").await;
    world.assert_live(1);
    assert_eq!(world.calls(Endpoint::Revoke), 0);
    world.end().await;
}

#[tokio::test]
async fn an_orphan_is_revoked_where_the_connection_does_not_allow_it() {
    let world = World::new(Setup::default()).await;
    ask_orphan(&world).await;
    world.delete("left").await;
    world.wait_gone("left").await;
    world.wait_event("left", "OrphanNotAllowed").await;
    world.assert_live(0);
    world.end().await;
}

async fn ask_orphan(world: &World) {
    let access = json!({"bundle": "prod-read"});
    let spec = json!({"access": access, "justification": "x", "deletionPolicy": "Orphan"});
    world.ask("left", spec).await;
    world.wait_row("left", ACTIVE).await;
}

#[tokio::test]
async fn suspension_never_stops_a_revoke() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    world
        .patch("orders", json!({"spec": {"suspend": true}}))
        .await;
    // After asking, a suspended resource is shown as any other.
    world.wait_row("orders", ACTIVE).await;
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.end().await;
}
