//! One watch event that is lost while the stream goes on. Nothing tells of it, and a later event
//! moves the watch past it: only a new list shows what was missed.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{
    support::{Setup, World, eventually},
    watches::{Gated, gated},
};

/// What the operator is set to, and how much later at most: a list, and a look at what it brings.
const RELIST: Duration = Duration::from_secs(10);
const LATER: Duration = Duration::from_secs(25);

fn is_new(event: &Value) -> bool {
    event["type"] == "ADDED"
}

fn is_deletion(event: &Value) -> bool {
    event["type"] == "MODIFIED" && !event["object"]["metadata"]["deletionTimestamp"].is_null()
}

async fn forgetful() -> Gated {
    let mut gated = gated(Setup::default().setting("RELIST_INTERVAL", "10s")).await;
    gated.world.operator.start();
    gated.world.ask_bundle("before", "prod-read").await;
    gated.world.wait_reason("before", "Active").await;
    // At rest: a write of the operator's own would bring another event of it.
    gated.world.more_polls(5).await;
    gated
}

/// Another one comes after the event that was lost: the watch does not resume before it.
async fn goes_on(gated: &Gated, name: &str) {
    eventually("the event is lost", async || {
        let faults = gated.gate.faults();
        (faults == 1)
            .then_some(())
            .ok_or_else(|| faults.to_string())
    })
    .await;
    gated.world.ask_bundle(name, "prod-read").await;
    gated.world.wait_reason(name, "Active").await;
}

fn in_time(world: &World, started: Instant) {
    let took = started.elapsed();
    println!("1 fault; made good {took:.1?} after it");
    assert!(took < RELIST + LATER, "{took:?}\n{}", world.last_words());
}

#[tokio::test]
async fn a_deletion_whose_event_is_lost_is_seen_at_the_next_list() {
    let gated = forgetful().await;
    gated.gate.lose(is_deletion);
    let started = Instant::now();
    gated.world.delete("before").await;
    goes_on(&gated, "after").await;
    gated.world.wait_gone("before").await;
    in_time(&gated.world, started);
    gated.world.only_remote("before");
    gated.world.only_remote("after");
    gated.world.assert_live(1);
    assert_eq!(gated.gate.faults(), 1);
    gated.world.end().await;
}

#[tokio::test]
async fn a_request_whose_event_is_lost_is_seen_at_the_next_list() {
    let gated = forgetful().await;
    gated.gate.lose(is_new);
    let started = Instant::now();
    gated.world.ask_bundle("lost", "prod-read").await;
    goes_on(&gated, "after").await;
    gated.world.wait_reason("lost", "Active").await;
    in_time(&gated.world, started);
    for name in ["before", "lost", "after"] {
        gated.world.only_remote(name);
    }
    assert_eq!(gated.gate.faults(), 1);
    gated.world.end().await;
}
