//! Before anything is asked: suspension, and connections that are not there or not good.

use apono_simulator::Endpoint;
use serde_json::json;

use crate::{
    ACTIVE,
    support::{CONNECTION, Setup, World},
};

const SUSPENDED: &str = "Ready=False:Suspended Synced=True -> InProgress";

fn suspended() -> serde_json::Value {
    let access = json!({"bundle": "prod-read"});
    json!({"access": access, "justification": "x", "suspend": true})
}

#[tokio::test]
async fn a_suspended_request_is_asked_for_when_it_resumes() {
    let world = World::new(Setup::default()).await;
    world.wait_connection(CONNECTION, "True", "Ready").await;
    world.ask("later", suspended()).await;
    world.wait_row("later", SUSPENDED).await;
    assert_eq!(world.calls(Endpoint::Create), 0);
    world
        .patch("later", json!({"spec": {"suspend": false}}))
        .await;
    world.wait_row("later", ACTIVE).await;
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.end().await;
}

#[tokio::test]
async fn a_suspended_request_is_deleted_without_a_trace_at_the_remote() {
    let world = World::new(Setup::default()).await;
    world.ask("never", suspended()).await;
    world.wait_row("never", SUSPENDED).await;
    world.delete("never").await;
    world.wait_gone("never").await;
    assert_eq!(world.calls(Endpoint::Create), 0);
    assert_eq!(world.calls(Endpoint::Revoke), 0);
    world.end().await;
}

#[tokio::test]
async fn a_wrong_token_stalls_and_the_right_one_needs_no_restart() {
    let world = World::new(Setup::default().unconnected()).await;
    world.store_token(CONNECTION, "wrong-token").await;
    let url = world.simulator.url();
    world.connect(CONNECTION, &url, json!({})).await;
    world.ask_bundle("orders", "prod-read").await;
    let row = "Ready=False:Unauthorized Stalled=True Synced=False -> Failed";
    world.wait_row("orders", row).await;
    // A look at the Secret later the API has still hardly been asked.
    world.operator.more_passes("connection", 1).await;
    let calls = world.simulator.calls().len();
    assert!(calls <= 2, "{calls} calls with a refused token");
    world.store_token(CONNECTION, &world.token).await;
    world.wait_row("orders", ACTIVE).await;
    assert_eq!(world.calls(Endpoint::Create), 1);
    assert!(!world.operator.log().text().contains("wrong-token"));
    world.end().await;
}

#[tokio::test]
async fn a_missing_connection_is_named_and_found_when_it_comes() {
    let world = World::new(Setup::default().unconnected()).await;
    world.ask_bundle("orders", "prod-read").await;
    let row = "Ready=False:ConnectionNotFound Stalled=True Synced=False -> Failed";
    world.wait_row("orders", row).await;
    world.store_token(CONNECTION, &world.token).await;
    let url = world.simulator.url();
    world.connect(CONNECTION, &url, json!({})).await;
    world.wait_row("orders", ACTIVE).await;
    world.end().await;
}
