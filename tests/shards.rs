//! More than one replica: they share the connections, take over from each other, and one that slept
//! past its Lease does no harm.
//!
//! `APONO_PAUSES=200` pauses as often; the default is a sample.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::time::{Duration, Instant};

use apono_simulator::Endpoint;
use serde_json::json;
use support::{Operator, Setup, World, eventually};

const ACTIVE: &str = "Ready=True:Active Synced=True -> Current";
const SHARDS: f64 = 32.0;
const CONNECTIONS: usize = 40;
/// The Lease of the pauses.
const SHORT: Duration = Duration::from_secs(2);

fn setup(lease: &str) -> Setup {
    Setup::default()
        .setting("LEASE_DURATION", lease)
        .setting("RUST_LOG", "info")
}

/// None before it has looked at the cluster.
async fn held(replica: &Operator) -> f64 {
    let metrics = replica.metrics().await;
    let mut lines = metrics.lines();
    let found = lines.find_map(|line| line.strip_prefix("apono_operator_shards_held "));
    found
        .and_then(|value| value.parse().ok())
        .unwrap_or_default()
}

/// Waits until these replicas hold as many shards as this, each within one; gives how long it took.
async fn wait_shared(replicas: &[&Operator]) -> Duration {
    let started = Instant::now();
    let part = SHARDS / f64::from(u32::try_from(replicas.len()).unwrap());
    eventually("the shards are shared", async || {
        let mut parts = Vec::new();
        for replica in replicas {
            parts.push(held(replica).await);
        }
        let is_fair = parts.iter().all(|one| (one - part).abs() < 1.0);
        let is_whole = (parts.iter().sum::<f64>() - SHARDS).abs() < 0.5;
        let words = || format!("{parts:?}\n{}", replicas[0].log().last());
        (is_fair && is_whole).then_some(()).ok_or_else(words)
    })
    .await;
    started.elapsed()
}

async fn started(world: &World, pod: &str) -> Operator {
    let pod = format!("{}-{pod}", world.cluster.namespace);
    let mut replica = world.operator.another(&pod);
    replica.start();
    replica.ready().await;
    replica
}

/// Forty connections, each with one request that is live.
async fn populate(world: &World) {
    let spec = json!({"polling": {"fast": "200ms", "pending": "1s", "active": "5s"}});
    for number in 0..CONNECTIONS {
        let name = format!("c{number}");
        world.store_token(&name, &world.token).await;
        let url = world.simulator.url();
        world.connect(&name, &url, spec.clone()).await;
        ask(world, &format!("r{number}"), &name).await;
    }
    for number in 0..CONNECTIONS {
        world.wait_row(&format!("r{number}"), ACTIVE).await;
    }
}

async fn ask(world: &World, name: &str, connection: &str) {
    let spec = json!({
        "access": {"bundle": "prod-read"},
        "connectionRef": {"kind": "AponoConnection", "name": connection}
    });
    world.ask(name, spec).await;
}

/// What a late call has made beside what was found missing is seen and taken back.
async fn wait_live(world: &World, count: usize) {
    eventually("nothing is doubled", async || {
        let all = world.simulator.requests();
        let live = all
            .iter()
            .filter(|one| !one.status.is_terminal() || one.has_access());
        let live = live.count();
        let words = || format!("{live} live, not {count}\n{}", world.last_words());
        (live == count).then_some(()).ok_or_else(words)
    })
    .await;
}

fn once_each(world: &World) {
    for number in 0..CONNECTIONS {
        world.only_remote(&format!("r{number}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_and_four_replicas_share_forty_connections_and_ask_once_for_each() {
    let world = World::new(setup("15s").unconnected()).await;
    world.operator.ready().await;
    let second = started(&world, "b").await;
    wait_shared(&[&world.operator, &second]).await;
    populate(&world).await;
    let third = started(&world, "c").await;
    let fourth = started(&world, "d").await;
    let all = [&world.operator, &second, &third, &fourth];
    let took = wait_shared(&all).await;
    eventually("every connection is somebody's and ready", async || {
        let mut ready = Vec::new();
        for replica in all {
            ready.push(replica.metric("apono_operator_connections_ready").await);
        }
        let words = format!("{ready:?}");
        let is_whole = (ready.iter().sum::<f64>() - 40.0).abs() < 0.5;
        let has_each = ready.iter().all(|one| *one >= 3.0);
        (is_whole && has_each).then_some(()).ok_or(words)
    })
    .await;
    println!("shared among four within {took:.1?}");
    once_each(&world);
    world.assert_live(CONNECTIONS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replica_held_is_taken_over_when_it_ends_and_when_it_dies() {
    let mut world = World::new(setup("4s")).await;
    world.operator.ready().await;
    let mut second = started(&world, "b").await;
    wait_shared(&[&world.operator, &second]).await;

    let asked = Instant::now();
    assert_eq!(second.terminate().await, Some(0));
    let ended = asked.elapsed();
    let after = wait_shared(&[&world.operator]).await;
    println!("ended within {ended:.2?}, taken over {after:.2?} after that");
    assert!(asked.elapsed() < ended + Duration::from_secs(1));

    second.start();
    second.ready().await;
    wait_shared(&[&world.operator, &second]).await;
    world.operator.kill();
    let after = wait_shared(&[&second]).await;
    println!("taken over {after:.2?} after a crash, with a lease of 4 s");
    assert!(after < Duration::from_secs(6), "{after:?}");

    // The same pod again: it joins, and gets its part.
    world.operator.start();
    world.operator.ready().await;
    wait_shared(&[&world.operator, &second]).await;
    world.ask_bundle("late", "prod-read").await;
    world.wait_row("late", ACTIVE).await;
    world.only_remote("late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_is_started_again_waits_for_nothing() {
    let mut world = World::new(setup("1m")).await;
    world.operator.ready().await;
    world.operator.kill();
    let started = Instant::now();
    world.operator.start();
    wait_shared(&[&world.operator]).await;
    assert!(started.elapsed() < Duration::from_secs(10));
    world.ask_bundle("after", "prod-read").await;
    world.wait_row("after", ACTIVE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_slept_past_its_lease_doubles_nothing() {
    let pauses = std::env::var("APONO_PAUSES").ok();
    let pauses = pauses.map_or(6, |count| count.parse::<usize>().unwrap());
    let world = World::new(setup("2s")).await;
    world.operator.ready().await;
    let second = started(&world, "b").await;
    let mut late = 0;
    for number in 0..pauses {
        wait_shared(&[&world.operator, &second]).await;
        // Whichever has the one connection sleeps, in the middle of asking.
        let ready = "apono_operator_connections";
        let is_first = world.operator.metric(ready).await > 0.5;
        let (sleeper, other) = if is_first {
            (&world.operator, &second)
        } else {
            (&second, &world.operator)
        };
        let names: Vec<_> = (0..3).map(|one| format!("p{number}-{one}")).collect();
        for name in &names {
            world.ask_bundle(name, "prod-read").await;
        }
        sleeper.signal("STOP");
        let slept = Instant::now();
        wait_shared(&[other]).await;
        assert!(slept.elapsed() < SHORT + Duration::from_secs(2) * 2);
        for name in &names {
            world.wait_row(name, ACTIVE).await;
        }
        let before = world.calls(Endpoint::Create);
        sleeper.signal("CONT");
        wait_shared(&[&world.operator, &second]).await;
        late += world.calls(Endpoint::Create) - before;
        wait_live(&world, (number + 1) * 3).await;
    }
    println!("proved: pauses: {pauses} past the lease, {late} late POSTs, 0 doubled");
}
