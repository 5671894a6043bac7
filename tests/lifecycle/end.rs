//! Ends that nobody here asked for: time is up, or somebody took the access back.

use apono_simulator::{Endpoint, Status};
use jiff::SignedDuration;

use crate::{
    EXPIRED, described, status,
    support::{Setup, World},
};

/// The flow's own period.
const PERIOD: i64 = 28_800;

/// Active, with the planned end brought this near, and the operator having seen it.
async fn active_for(world: &World, seconds: i64) -> String {
    world.ask_bundle("orders", "prod-read").await;
    let before = described(world, "orders").await["endsAt"].clone();
    let id = world.only_remote("orders").id;
    let by = SignedDuration::from_secs(seconds - PERIOD);
    world.simulator.extend(&id, by).unwrap();
    let what = "the planned end as the remote moved it";
    world
        .wait_for("orders", what, |found| status(found)["endsAt"] != before)
        .await;
    id
}

#[tokio::test]
async fn access_whose_time_is_up_is_complete_and_never_asked_for_again() {
    let world = World::new(Setup::default()).await;
    active_for(&world, 6).await;
    let found = world.wait_row("orders", EXPIRED).await;
    assert_eq!(status(&found)["phase"], "Ended");
    assert_eq!(world.only_remote("orders").status, Status::Revoked);
    assert_eq!(world.calls(Endpoint::Revoke), 0);

    let version = world.version("orders").await;
    let label = serde_json::json!({"metadata": {"labels": {"synced": "again"}}});
    let passes = world.operator.passes("access_request").await;
    world.patch("orders", label).await;
    world
        .operator
        .wait_passes("access_request", passes + 1.0)
        .await;
    assert_ne!(world.version("orders").await, version);
    world.wait_row("orders", EXPIRED).await;
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.delete("orders").await;
    world.wait_gone("orders").await;
    assert_eq!(world.calls(Endpoint::Revoke), 0);
    world.end().await;
}

#[tokio::test]
async fn access_taken_back_by_somebody_else_is_stalled_until_its_planned_end() {
    let world = World::new(Setup::default()).await;
    // A second resource keeps the polls going when this one has ended.
    world.ask_bundle("other", "two-integrations").await;
    let id = active_for(&world, 12).await;
    world.simulator.revoke(&id).unwrap();
    let row = "Ready=False:RevokedUpstream Stalled=True Synced=True -> Failed";
    let found = world.wait_row("orders", row).await;
    assert_eq!(status(&found)["phase"], "Ended");
    world.more_polls(5).await;
    assert_eq!(world.calls(Endpoint::Create), 2);
    world.wait_row("orders", EXPIRED).await;
    assert_eq!(world.calls(Endpoint::Create), 2);
    assert_eq!(world.only_remote("orders").status, Status::Revoked);
    world.end().await;
}
