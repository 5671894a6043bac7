//! The scripted load: access that is live, waits, is taken back, is owed, and is refused for a while.

use apono_simulator::{Action, Fault, When};
use jiff::SignedDuration;
use kube::api::ListParams;
use serde_json::json;

use crate::{
    prometheus::Prometheus,
    support::{Setup, World, eventually},
};

/// Somebody else than the user of the token.
const GRANTEE: &str = "alex@example.com";

/// A remote that takes a second for what it does, and an operator that tells of each resource.
pub async fn world() -> World {
    let second = SignedDuration::from_secs(1);
    let setup = Setup::default()
        .remote(|remote| (remote.delays.grant, remote.delays.revoke) = (second, second))
        .connection(json!({"revocationDeadline": "5s"}))
        .setting("PER_OBJECT_METRICS", "true");
    let world = World::new(setup).await;
    world.operator.ready().await;
    world
}

/// One of everything that a panel shows.
pub async fn run(world: &World) {
    ask(world).await;
    throttle(world).await;
    take_back(world).await;
    measured(world).await;
}

/// Access for two people, and a request that waits for a third.
async fn ask(world: &World) {
    for (name, bundle) in [
        ("mine", "prod-read"),
        ("back", "prod-read"),
        ("stuck", "stuck-revoke"),
        ("waits", "prod-admin"),
    ] {
        world.ask_bundle(name, bundle).await;
    }
    let theirs = json!({"access": {"bundle": "prod-read"}, "grantee": GRANTEE});
    world.ask("theirs", theirs).await;
    for name in ["mine", "back", "stuck", "theirs"] {
        world.wait_reason(name, "Active").await;
    }
    world.wait_reason("waits", "PendingApproval").await;
}

/// One call is too many.
async fn throttle(world: &World) {
    let too_many = Action::Answer {
        status: 429,
        retry_after: Some("1".to_owned()),
        body: None,
        when: When::Before,
    };
    world.simulator.arm(Fault::new(too_many).once());
    eventually("a call is throttled", async || {
        let metrics = world.operator.metrics().await;
        let is_so = metrics.contains("class=\"throttled\"} 1");
        is_so.then_some(()).ok_or_else(|| world.last_words())
    })
    .await;
}

/// One comes to its end, the other to a debt.
async fn take_back(world: &World) {
    world.delete("back").await;
    world.delete("stuck").await;
    world.wait_gone("back").await;
    eventually("a debt", async || {
        let all = world.cluster.debts().list(&ListParams::default()).await;
        let is_one = all.expect("a list").items.len() == 1;
        is_one.then_some(()).ok_or_else(|| world.last_words())
    })
    .await;
}

/// What was measured is what was done.
async fn measured(world: &World) {
    for (name, wanted) in [
        ("apono_operator_approval_duration_seconds_count", 4.0),
        ("apono_operator_grant_duration_seconds_count", 4.0),
        ("apono_operator_revoke_duration_seconds_count", 1.0),
        ("apono_operator_requests{phase=\"active\"}", 2.0),
        ("apono_operator_requests{phase=\"pending\"}", 1.0),
        ("apono_operator_pending_requests{waiting=\"under_5m\"}", 1.0),
        (
            "controller_runtime_max_concurrent_reconciles{controller=\"connection\"}",
            64.0,
        ),
    ] {
        eventually(name, async || {
            let found = world.operator.metric(name).await;
            let is_so = (found - wanted).abs() < f64::EPSILON;
            is_so
                .then_some(())
                .ok_or_else(|| format!("{found}, not {wanted}"))
        })
        .await;
    }
    let namespace = &world.cluster.namespace;
    let live = format!(
        "apono_operator_live_access{{namespace=\"{namespace}\",target=\"bundle prod-read\",\
         grantee=\"{GRANTEE}\"}} 1"
    );
    world.operator.shows(&live).await;
    let watch = "apono_operator_watch_age_seconds{resource=\"accessrequests\"}";
    let watch = world.operator.metric(watch).await;
    assert!(watch < 60.0, "{watch}");
}

/// Waves of requests that come and go, so that there is more to see.
pub async fn more(world: &World, prometheus: &Prometheus) {
    for wave in 1..=5 {
        let names: Vec<_> = (0..2 * wave)
            .map(|number| format!("wave-{wave}-{number}"))
            .collect();
        for name in &names {
            world.ask_bundle(name, "prod-read").await;
        }
        for name in &names {
            world.wait_reason(name, "Active").await;
        }
        prometheus.scrapes(3).await;
        for name in &names {
            world.delete(name).await;
        }
        for name in &names {
            world.wait_gone(name).await;
        }
        prometheus.scrapes(2).await;
    }
}

/// Ends it.
pub async fn end(world: World) {
    world.simulator.clear_faults();
    world.end().await;
}
