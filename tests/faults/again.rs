//! Asking again while answers are lost, processes are killed and records are dropped.

use std::time::Duration;

use apono_simulator::{Action, Endpoint, Fault, When, catalogue::RevokeFate};
use jiff::SignedDuration;
use kube::api::PostParams;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

use crate::{
    crashes::seed,
    helpers::{REPEAT, WINDOW, crowd, request, setup, within},
    support::World,
};

const MANY: usize = 12;
const KILLS: usize = 8;
/// The flow's own period.
const PERIOD: i64 = 28_800;

fn annotate(name: &str, value: Option<&str>) -> serde_json::Value {
    let name = format!("access.apono.io/{name}");
    json!({"metadata": {"annotations": {name: value}}})
}

#[tokio::test]
async fn a_request_again_whose_answer_was_lost_is_found_and_adopted() {
    let world = World::new(setup()).await;
    world.ask_bundle("orders", "prod-admin").await;
    world.wait_reason("orders", "PendingApproval").await;
    let first = world.only_remote("orders").id;
    world.simulator.reject(&first, None).unwrap();
    world.wait_reason("orders", "Rejected").await;
    let lost = Action::Drop { when: When::After };
    let fault = Fault::new(lost).at(Endpoint::RequestAgain).once();
    world.simulator.arm(fault);
    world
        .patch("orders", annotate("request-again", Some("1")))
        .await;
    let found = world.wait_reason("orders", "PendingApproval").await;
    let owned = found.status.unwrap().requests;
    assert_eq!(owned.len(), 2);
    assert_eq!((owned[1].attempt, owned[1].adopted), (Some(2), Some(true)));
    // Until it is certain that no more was made of it, nothing is asked.
    world.more_polls(10).await;
    assert_eq!(world.calls(Endpoint::RequestAgain), 1);
    assert_eq!(world.remote("orders").len(), 2);
    world.delete("orders").await;
    world.gone_within(3 * WINDOW, "orders").await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn a_request_again_that_was_not_done_is_looked_for_and_then_asked_once_more() {
    let world = World::new(setup()).await;
    world.ask_bundle("orders", "prod-admin").await;
    world.wait_reason("orders", "PendingApproval").await;
    let first = world.only_remote("orders").id;
    world.simulator.reject(&first, None).unwrap();
    world.wait_reason("orders", "Rejected").await;
    let lost = Action::Drop { when: When::Before };
    let fault = Fault::new(lost).at(Endpoint::RequestAgain).once();
    world.simulator.arm(fault);
    world
        .patch("orders", annotate("request-again", Some("1")))
        .await;
    let limit = REPEAT + 2 * WINDOW;
    world
        .reason_within(limit, "orders", "PendingApproval")
        .await;
    assert_eq!(world.calls(Endpoint::RequestAgain), 2);
    assert_eq!(world.remote("orders").len(), 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_while_it_renews_makes_one_more_request_for_each() {
    let mut random = StdRng::seed_from_u64(seed());
    let mut world = World::new(crowd()).await;
    let names: Vec<_> = (0..MANY).map(|n| format!("orders-{n}")).collect();
    let requests = world.cluster.requests();
    for name in &names {
        let mut object = request(name, "prod-read");
        object.spec.justification = Some("stuck orders".to_owned());
        object.metadata.name = Some(name.clone());
        let renewal = json!({"before": "1h", "maxRenewals": 1});
        object.spec.renewal = serde_json::from_value(renewal).unwrap();
        requests
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }
    world.all_within(REPEAT, &names, "Active").await;
    // They end in an hour and some seconds, so they are renewed from now on, one by one.
    for (n, remote) in (0..).zip(world.simulator.requests()) {
        let until = 3605 + n - PERIOD;
        let by = SignedDuration::from_secs(until);
        world.simulator.extend(&remote.id, by).unwrap();
    }
    for _ in 0..KILLS {
        let life = Duration::from_millis(random.random_range(20..2500));
        tokio::time::sleep(life).await;
        world.operator.kill();
        world.operator.start();
    }
    let renewed = |world: &World| {
        let all = names.iter().map(|name| world.remote(name).len());
        all.collect::<Vec<_>>()
    };
    within(6 * REPEAT, "all are renewed", async || {
        let counts = renewed(&world);
        let Some(missing) = counts.iter().position(|count| *count < 2) else {
            return Ok(());
        };
        let found = world.get(&names[missing]).await;
        let found = serde_json::to_string(&found).unwrap();
        Err(format!("{counts:?}: {found}\n{}", world.last_words()))
    })
    .await;
    world.all_within(2 * REPEAT, &names, "Active").await;
    world.more_polls(5).await;
    assert_eq!(renewed(&world), vec![2; MANY], "asked for twice");
    world.assert_live(2 * MANY);
    for name in &names {
        let renewals = world.get(name).await.status.unwrap().renewals;
        assert_eq!(renewals, Some(1), "{name}");
        world.delete(name).await;
    }
    world.none_within(2 * REPEAT).await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn a_record_that_is_dropped_under_a_latch_comes_back_with_it() {
    let mut world = World::new(setup()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_reason("orders", "Active").await;
    let id = world.only_remote("orders").id;
    let sticky = apono_simulator::Fate {
        revoke: RevokeFate::Stick,
        ..apono_simulator::Fate::default()
    };
    world.simulator.fate(&id, sticky).unwrap();
    world.patch("orders", annotate("revoke", Some("1"))).await;
    world.wait_reason("orders", "Revoking").await;
    world.operator.kill();
    world.patch("orders", annotate("attempt", None)).await;
    world.patch("orders", annotate("revoke", None)).await;
    world.operator.start();
    world
        .wait_for("orders", "the record with the end in it", |found| {
            let annotations = found.metadata.annotations.as_ref();
            let record = annotations.and_then(|all| all.get("access.apono.io/attempt"));
            record.is_some_and(|record| record.contains(r#""end":{"n":1,"why":"revoke"}"#))
        })
        .await;
    world
        .simulator
        .fate(&id, apono_simulator::Fate::default())
        .unwrap();
    world.wait_reason("orders", "Revoked").await;
    world.assert_live(0);
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.end().await;
}
