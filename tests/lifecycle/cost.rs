//! What a life costs, and that rest costs nothing. The numbers are printed; bounds are asserted.

use apono_simulator::Endpoint;
use jiff::SignedDuration;

use crate::{
    ACTIVE, described, status,
    support::{Setup, World},
};

#[tokio::test]
async fn a_life_costs_three_writes_to_active_and_one_create() {
    let mut world = World::new(Setup::default()).await;
    world.operator.ready().await;
    world.wait_connection("apono", "True", "Ready").await;
    let before = world.simulator.calls().len();
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    let to_active = world.simulator.calls().len() - before;
    world.more_polls(3).await;
    let writes = world.cluster.writes("orders");
    let granted = world.only_remote("orders").active_at.unwrap();
    let shown = writes.last().unwrap().at;
    println!(
        "grant to Active in status: {:#}",
        shown.duration_since(granted)
    );
    println!("kube writes to Active: {writes:#?}");
    assert!((1..=3).contains(&writes.len()), "{writes:#?}");
    assert!(writes.iter().all(|write| write.code == 200), "{writes:#?}");

    world.delete("orders").await;
    world.wait_gone("orders").await;
    assert_eq!(world.calls(Endpoint::Create), 1);
    assert_eq!(world.calls(Endpoint::Revoke), 1);
    let all = world.cluster.writes("orders");
    println!("kube writes of a life: {}", all.len());
    println!(
        "remote calls to Active: {to_active}; of a life: {}; {:?}",
        world.simulator.calls().len() - before,
        world.simulator.counters()
    );
    let reasons = world.event_reasons("orders").await;
    println!("events: {reasons:?}");
    assert!((1..=5).contains(&reasons.len()), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason == "Active"));
    assert_eq!(world.operator.terminate().await, Some(0));
}

#[tokio::test]
async fn a_grant_is_seen_soon_after_the_remote_makes_it() {
    let world = World::new(Setup::default().remote(|remote| {
        remote.delays.grant = SignedDuration::from_millis(700);
    }))
    .await;
    world.wait_connection("apono", "True", "Ready").await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    let granted = world.only_remote("orders").active_at.unwrap();
    let writes = world.cluster.writes("orders");
    println!("{writes:#?}");
    let lag = writes.last().unwrap().at.duration_since(granted);
    println!(
        "a slow grant to Active in status: {lag:#}, {} writes",
        writes.len()
    );
    assert!(lag < SignedDuration::from_secs(15), "{lag:#}");
    world.end().await;
}

#[tokio::test]
async fn what_does_not_change_is_not_written() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("active", "prod-read").await;
    world.ask_bundle("pending", "prod-admin").await;
    described(&world, "active").await;
    world.wait_reason("pending", "PendingApproval").await;
    let versions = (
        world.version("active").await,
        world.version("pending").await,
    );
    world.more_polls(12).await;
    let now = (
        world.version("active").await,
        world.version("pending").await,
    );
    assert_eq!(versions, now);
    world.end().await;
}

#[tokio::test]
async fn a_restart_writes_nothing_and_asks_for_nothing() {
    let mut world = World::new(Setup::default()).await;
    let names = ["one", "two", "three"];
    for name in names {
        world.ask_bundle(name, "prod-read").await;
    }
    for name in names {
        described(&world, name).await;
    }
    let writes = |world: &World| names.map(|name| world.cluster.writes(name).len());
    world.more_polls(3).await;
    let (before, creates) = (writes(&world), world.calls(Endpoint::Create));
    assert_eq!(creates, 3);
    let statuses = statuses(&world, &names).await;

    world.operator.kill();
    world.operator.start();
    world.operator.ready().await;
    world.more_polls(8).await;
    assert_eq!(writes(&world), before);
    assert_eq!(world.calls(Endpoint::Create), creates);
    assert_eq!(self::statuses(&world, &names).await, statuses);
    world.assert_live(3);
    world.end().await;
}

async fn statuses(world: &World, names: &[&str]) -> Vec<serde_json::Value> {
    let mut all = Vec::new();
    for name in names {
        all.push(status(&world.get(name).await));
    }
    all
}

#[tokio::test]
async fn the_admin_port_tells_how_the_process_is() {
    let world = World::new(Setup::default()).await;
    world.operator.ready().await;
    assert_eq!(world.operator.admin("/livez").await.0, 200);
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    world
        .operator
        .shows("apono_operator_requests{phase=\"active\"} 1")
        .await;
    let metrics = world.operator.metrics().await;
    for wanted in [
        "apono_operator_passes_total{controller=\"access_request\",outcome=\"done\"} ",
        "apono_operator_passes_total{controller=\"connection\",outcome=\"done\"} ",
        "apono_operator_pass_duration_seconds_count{controller=\"access_request\"} ",
        "apono_operator_remote_calls_total{endpoint=\"list_access_requests\",class=\"ok\"} ",
        "apono_operator_remote_call_duration_seconds_count",
        "apono_operator_kube_writes_total{kind=\"mark\"} 1",
        "apono_operator_connections 1",
        "apono_operator_connections_ready 1",
        "apono_operator_connections_circuit_open 0",
        "apono_operator_last_success_age_seconds ",
        "apono_operator_build_info{version=",
        "# EOF",
    ] {
        assert!(metrics.contains(wanted), "no `{wanted}` in\n{metrics}");
    }
    world.end().await;
}
