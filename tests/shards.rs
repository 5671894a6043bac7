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

use std::{
    path::Path,
    time::{Duration, Instant},
};

use apono_operator::crd::Phase;
use apono_simulator::{Action, Endpoint, Fault, When};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::DeleteParams};
use serde_json::json;
use support::{Operator, Setup, World, eventually, eventually_within};

const ACTIVE: &str = "Ready=True:Active Synced=True -> Current";
const SHARDS: f64 = 32.0;
const CONNECTIONS: usize = 40;
/// A mark's validity, a call's deadline and the settle window, as the worlds here have them.
const WINDOW: Duration = Duration::from_secs(5 + 2 + 1);
/// Long enough for a POST that is repeated, on a busy machine.
const REPEATED: Duration = Duration::from_mins(2);

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
async fn a_replica_that_ends_gives_back_at_once_all_but_what_it_is_in_the_middle_of() {
    let long = setup("1m").setting("REMOTE_TIMEOUT", "20s");
    let mut world = World::new(long).await;
    world.operator.ready().await;
    wait_shared(&[&world.operator]).await;
    let second = started(&world, "b").await;
    wait_shared(&[&world.operator, &second]).await;
    // Whichever has the one connection waits for the remote when it is told to end.
    let slow = Action::Hang { when: When::After };
    let fault = Fault::new(slow).at(Endpoint::Create).once();
    world.simulator.arm(fault);
    world.ask_bundle("slow", "prod-read").await;
    world.wait_remote("slow", 1).await;
    let is_first = world.operator.metric("apono_operator_connections").await > 0.5;
    let mut ending = if is_first {
        std::mem::replace(&mut world.operator, second)
    } else {
        second
    };
    ending.signal("TERM");
    let asked = Instant::now();
    eventually("all but one are taken over", async || {
        let held = held(&world.operator).await;
        (held >= SHARDS - 1.0)
            .then_some(())
            .ok_or_else(|| held.to_string())
    })
    .await;
    let took = asked.elapsed();
    println!("all but what was under way was taken over within {took:.2?}");
    assert!(ending.ended().is_none(), "it is in the middle of a call");
    assert!(took < Duration::from_secs(1), "{took:?}");
    world.wait_row("slow", ACTIVE).await;
    world.only_remote("slow");
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
async fn a_replica_that_dies_while_it_takes_over_is_taken_over_itself() {
    for point in [
        "before bury a replica 1",
        "after bury a replica 1",
        "before share the shards 2",
        "after share the shards 2",
    ] {
        let mut world = World::new(setup("2s")).await;
        world.operator.ready().await;
        let mut second = world
            .operator
            .another(&format!("{}-b", world.cluster.namespace));
        second.set("APONO_FAILPOINT", point);
        second.start();
        second.ready().await;
        wait_shared(&[&world.operator, &second]).await;
        world.operator.kill();
        eventually("it dies", async || {
            let words = || second_words(point, &world);
            second.ended().map(drop).ok_or_else(words)
        })
        .await;
        world.operator.start();
        wait_shared(&[&world.operator]).await;
        world.ask_bundle("after", "prod-read").await;
        world.wait_row("after", ACTIVE).await;
        world.only_remote("after");
    }
}

fn second_words(point: &str, world: &World) -> String {
    format!("at {point}\n{}", world.last_words())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_deletes_the_map_of_shards_makes_them_be_shared_anew() {
    let world = World::new(setup("2s")).await;
    world.operator.ready().await;
    let second = started(&world, "b").await;
    wait_shared(&[&world.operator, &second]).await;
    let cluster = &world.cluster;
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let how = DeleteParams::default();
    let deleted = leases.delete("apono-shards", &how).await;
    deleted.expect("it is deleted");
    eventually("a new map", async || {
        let found = leases.get_opt("apono-shards").await.expect("read");
        found.map(drop).ok_or_else(|| "none yet".to_owned())
    })
    .await;
    wait_shared(&[&world.operator, &second]).await;
    world.ask_bundle("after", "prod-read").await;
    world.wait_row("after", ACTIVE).await;
    world.only_remote("after");
}

/// Where whoever has the connection stops, in the middle of asking. At the first of them its POST is
/// past every check, and leaves when it goes on.
const POINTS: [&str; 6] = [
    "before create_access_request",
    "after create_access_request",
    "before mark the resource",
    "after mark the resource",
    "before write the status",
    "after write the status",
];

/// What so many pauses came to.
#[derive(Default)]
struct Slept {
    pauses: usize,
    late: usize,
    longest: Duration,
}

/// Asks for these, and stops who has the connection in the middle of it: at a point, or at any moment.
/// Gives the one that stands still and the other: on a busy machine the connection may have changed
/// hands since it was seen who has it.
async fn stop<'a>(
    world: &World,
    [it, other]: [&'a Operator; 2],
    file: &Path,
    (names, number): (&[String], usize),
) -> [&'a Operator; 2] {
    let is_from_outside = number % 4 == 3;
    if !is_from_outside {
        std::fs::write(file, POINTS[number % POINTS.len()]).unwrap();
    }
    for name in names {
        world.ask_bundle(name, "prod-read").await;
    }
    if is_from_outside {
        it.signal("STOP");
    }
    eventually("one stands still", async || {
        let words = || format!("pause {number}\n{}", world.last_words());
        let either = [[it, other], [other, it]].into_iter();
        let mut stopped = either.filter(|[one, _]| one.is_stopped());
        stopped.next().ok_or_else(words)
    })
    .await
}

/// Stops whoever has the connection, lets the other take over, and lets it go on: before what it had
/// under way is given up, or after.
async fn pause(world: &World, second: &Operator, file: &Path, number: usize) -> Slept {
    wait_shared(&[&world.operator, second]).await;
    let is_first = world.operator.metric("apono_operator_connections").await > 0.5;
    let holder = if is_first {
        [&world.operator, second]
    } else {
        [second, &world.operator]
    };
    let names: Vec<_> = (0..3).map(|one| format!("p{number}-{one}")).collect();
    let [sleeper, other] = stop(world, holder, file, (&names, number)).await;
    let longest = wait_shared(&[other]).await;
    let is_soon = number % 2 == 1;
    if !is_soon {
        wait_active(world, &names).await;
    }
    let before = world.calls(Endpoint::Create);
    sleeper.signal("CONT");
    if is_soon {
        wait_active(world, &names).await;
    }
    wait_shared(&[&world.operator, second]).await;
    let late = if is_soon {
        0
    } else {
        world.calls(Endpoint::Create) - before
    };
    wait_live(world, (number + 1) * 3).await;
    Slept {
        pauses: 1,
        late,
        longest,
    }
}

/// A POST that was looked for in vain is repeated half a minute after its mark.
async fn wait_active(world: &World, names: &[String]) {
    eventually_within(REPEATED, "all are active", async || {
        for name in names {
            let found = world.find(name).await.and_then(|one| one.status);
            if found.as_ref().and_then(|status| status.phase) != Some(Phase::Active) {
                return Err(format!("{name}: {found:?}\n{}", world.last_words()));
            }
        }
        Ok(())
    })
    .await;
}

/// So many pauses in a world of their own, and what is alive a window later.
async fn sleep_often(pauses: usize) -> Slept {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stop");
    let world = World::new(setup("2s").setting("APONO_FAILPOINT_STOP", file.to_str().unwrap()));
    let world = world.await;
    world.operator.ready().await;
    let second = started(&world, "b").await;
    let mut all = Slept::default();
    // On a busy machine the POST that is to be late may have lost its connection, or have been given
    // up, when it could leave: then it is tried again, so that something is put to the test.
    let is_idle = |all: &Slept| all.late == 0 && all.pauses < pauses + 2 * POINTS.len();
    while all.pauses < pauses || is_idle(&all) {
        let one = pause(&world, &second, &file, all.pauses).await;
        all.pauses += 1;
        all.late += one.late;
        all.longest = all.longest.max(one.longest);
    }
    let ended = Instant::now();
    eventually("the window is over", async || {
        let is_over = ended.elapsed() > WINDOW;
        is_over.then_some(()).ok_or_else(String::new)
    })
    .await;
    world.assert_live(all.pauses * 3);
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_slept_past_its_lease_doubles_nothing() {
    let pauses = std::env::var("APONO_PAUSES").ok();
    let pauses = pauses.map_or(6, |count| count.parse::<usize>().unwrap());
    // A pause is mostly waiting: some worlds sleep side by side.
    let worlds = if pauses > 20 { 4 } else { 1 };
    let part = pauses.div_ceil(worlds);
    let all = futures::future::join_all((0..worlds).map(|_| sleep_often(part))).await;
    let pauses: usize = all.iter().map(|one| one.pauses).sum();
    let late: usize = all.iter().map(|one| one.late).sum();
    let longest = all.iter().map(|one| one.longest).max().unwrap_or_default();
    println!(
        "proved: pauses: {pauses} past a lease of 2 s, taken over within {longest:.1?}, {late} late POSTs, \
         0 doubled"
    );
    assert!(late > 0, "no POST was late: nothing was put to the test");
}
