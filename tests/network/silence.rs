//! Connections that are silent, cut or down.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use apono_simulator::Endpoint;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    link::Link,
    support::{CONNECTION, Setup, World, eventually},
};

/// A watch is given up after 30 s of silence and begun again within seconds.
const WATCH_IS_BACK: Duration = Duration::from_secs(35);
/// A call is given up after 10 s.
const WRITE_IS_BACK: Duration = Duration::from_secs(12);
/// What is asked of the design.
const PARTITION: Duration = Duration::from_secs(30);
/// A restart of an apiserver or of etcd.
const RESTART: Duration = Duration::from_secs(10);

/// A kubeconfig that leads to another address.
pub fn kubeconfig(server: &str) -> (TempDir, String) {
    let path = std::env::var("APONO_TEST_KUBECONFIG").expect("run `cargo xtask test`");
    let text = std::fs::read_to_string(path).unwrap();
    let mut config: Value = serde_saphyr::from_str(&text).unwrap();
    config["clusters"][0]["cluster"]["server"] = json!(server);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn apiserver() -> SocketAddr {
    let path = std::env::var("APONO_TEST_KUBECONFIG").expect("run `cargo xtask test`");
    let config: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let server = config["clusters"][0]["cluster"]["server"].as_str().unwrap();
    server.trim_start_matches("https://").parse().unwrap()
}

/// A world whose operator reaches both servers through links.
struct Linked {
    world: World,
    kube: Link,
    remote: Link,
    _folder: TempDir,
}

async fn linked(setup: Setup) -> Linked {
    let kube = Link::new(apiserver()).await;
    let (folder, path) = kubeconfig(&format!("https://{}", kube.address()));
    let setup = setup
        .setting("KUBECONFIG", &path)
        .setting("RUST_LOG", "info");
    let mut world = World::new(setup.unconnected().stopped()).await;
    let remote = Link::new(world.simulator.address()).await;
    let url = format!("http://{}", remote.address());
    world.operator.set("ALLOWED_ENDPOINTS", &url);
    world.operator.set("REMOTE_TIMEOUT", "1s");
    world.operator.start();
    world.store_token(CONNECTION, &world.token).await;
    let spec = json!({
        "correlation": {"settle": "1s"},
        "polling": {"fast": "100ms", "pending": "200ms", "active": "300ms"}
    });
    world.connect(CONNECTION, &url, spec).await;
    world.wait_connection(CONNECTION, "True", "Ready").await;
    Linked {
        world,
        kube,
        remote,
        _folder: folder,
    }
}

async fn passed(started: Instant, time: Duration) {
    tokio::time::sleep_until((started + time).into()).await;
}

#[tokio::test]
async fn a_watch_that_nobody_answers_is_noticed_in_half_a_minute() {
    let Linked { world, kube, .. } = &linked(Setup::default()).await;
    world.ask_bundle("a", "prod-read").await;
    world.wait_reason("a", "Active").await;
    kube.forget();
    let started = Instant::now();
    world.ask_bundle("b", "prod-read").await;
    world.wait_remote("b", 1).await;
    let took = started.elapsed();
    println!("1 fault; seen after {took:.1?}");
    assert!(took < WATCH_IS_BACK, "{took:?}");
    world.wait_reason("b", "Active").await;
    world.only_remote("b");
}

#[tokio::test]
async fn a_write_that_nobody_answers_is_made_again_in_seconds() {
    let Linked { world, kube, .. } = &linked(Setup::explicit()).await;
    world.ask_bundle("a", "prod-read").await;
    let id = world.wait_remote("a", 1).await.remove(0).id;
    world.simulator.route(&id).unwrap();
    world.wait_reason("a", "PendingApproval").await;
    kube.forget();
    let started = Instant::now();
    world.simulator.approve(&id).unwrap();
    world.wait_reason("a", "Granting").await;
    let took = started.elapsed();
    println!("1 fault; written after {took:.1?}");
    assert!(took < WRITE_IS_BACK, "{took:?}");
}

#[tokio::test]
async fn a_partition_from_the_apiserver_ends_with_one_request_and_the_truth() {
    let Linked { world, kube, .. } = &linked(Setup::explicit()).await;
    for name in ["asked", "deleted", "new"] {
        if name != "new" {
            world.ask_bundle(name, "prod-read").await;
            let id = world.wait_remote(name, 1).await.remove(0).id;
            world.simulator.activate(&id).unwrap();
            world.wait_reason(name, "Active").await;
        }
    }
    kube.silence();
    let started = Instant::now();
    world.ask_bundle("new", "prod-read").await;
    world.delete("deleted").await;
    let id = world.only_remote("asked").id;
    world.simulator.revoke(&id).unwrap();
    world.simulator.finish_revoke(&id).unwrap();
    passed(started, PARTITION).await;
    kube.heal();
    world.wait_remote("new", 1).await;
    world.wait_reason("asked", "RevokedUpstream").await;
    let id = world.only_remote("deleted").id;
    eventually("what was deleted is taken back", async || {
        let found = world.simulator.request(&id).unwrap();
        let done = world.simulator.finish_revoke(&found.id);
        done.map(drop).map_err(|error| error.to_string())
    })
    .await;
    world.wait_gone("deleted").await;
    println!(
        "1 fault; all is known {:.1?} after it began",
        started.elapsed()
    );
    assert_eq!(world.calls(Endpoint::Create), 3);
    world.only_remote("new");
}

#[tokio::test]
async fn a_partition_from_the_remote_ends_with_one_request_each() {
    let Linked { world, remote, .. } = &linked(Setup::default()).await;
    world.ask_bundle("before", "prod-read").await;
    world.wait_reason("before", "Active").await;
    world.ask_bundle("gone", "prod-read").await;
    world.wait_reason("gone", "Active").await;
    remote.silence();
    let started = Instant::now();
    world.ask_bundle("during", "prod-read").await;
    world.delete("gone").await;
    passed(started, PARTITION).await;
    let found = world.get("gone").await;
    assert!(found.metadata.deletion_timestamp.is_some(), "let go unseen");
    remote.heal();
    world.wait_gone("gone").await;
    world.wait_reason("during", "Active").await;
    world.only_remote("during");
    world.only_remote("before");
    world.assert_live(2);
    println!(
        "1 fault; all is known {:.1?} after it began",
        started.elapsed()
    );
}

#[tokio::test]
async fn servers_that_are_down_for_a_while_are_used_again() {
    let Linked {
        world,
        kube,
        remote,
        ..
    } = &linked(Setup::default()).await;
    world.ask_bundle("a", "prod-read").await;
    world.wait_reason("a", "Active").await;
    let mut faults = 0;
    for (name, link) in [("b", kube), ("c", remote)] {
        link.down();
        faults += 1;
        let started = Instant::now();
        world.ask_bundle(name, "prod-read").await;
        passed(started, RESTART).await;
        link.heal();
        world.wait_reason(name, "Active").await;
        println!("{name}: {:.1?} after it went down", started.elapsed());
    }
    // Cut again and again, a long while after all is well.
    for number in 0..20 {
        let name = format!("cut-{number}");
        world.ask_bundle(&name, "prod-read").await;
        for _ in 0..3 {
            kube.cut();
            remote.cut();
            faults += 2;
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(10 * number)).await;
        }
    }
    for number in 0..20 {
        let name = format!("cut-{number}");
        world.wait_reason(&name, "Active").await;
        world.only_remote(&name);
        world.delete(&name).await;
        world.wait_gone(&name).await;
    }
    world.assert_live(3);
    println!("{faults} faults");
}
