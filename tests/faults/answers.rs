//! Answers that are lost, late, cut, garbled or refused, and lists that lag.

use std::time::{Duration, Instant};

use apono_simulator::{Action, Endpoint, Fault, Mode, When, switches::OverLimit};
use jiff::SignedDuration;
use serde_json::json;

use crate::{
    helpers::{REPEAT, WINDOW, answer, next_create, setup, within},
    support::{Setup, World},
};

const BUNDLE: &str = "prod-read";

const LOST: Action = Action::Drop { when: When::After };
const NOT_DONE: Action = Action::Drop { when: When::Before };

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_found_and_adopted() {
    let world = World::new(setup()).await;
    world.simulator.arm(next_create(LOST));
    world.ask_bundle("orders", BUNDLE).await;
    let found = world.wait_reason("orders", "Active").await;
    let remote = world.only_remote("orders");
    let owned = &found.status.unwrap().requests;
    assert_eq!(owned.len(), 1);
    assert_eq!((&owned[0].id, owned[0].adopted), (&remote.id, Some(true)));
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.end().await;
}

#[tokio::test]
async fn a_list_that_lags_less_than_the_window_hides_nothing() {
    let settle = json!({"correlation": {"settle": "4s"}});
    let world = World::new(setup().connection(settle)).await;
    let by = SignedDuration::from_secs(3);
    world.simulator.arm(Fault::new(Action::ListLag { by }));
    world.simulator.arm(next_create(LOST));
    world.ask_bundle("orders", BUNDLE).await;
    world.wait_reason("orders", "Active").await;
    world.more_polls(5).await;
    world.only_remote("orders");
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.end().await;
}

#[tokio::test]
async fn a_list_that_lags_more_than_the_window_leaves_one_and_the_twin_is_taken_back() {
    let world = World::new(setup()).await;
    let by = SignedDuration::try_from(REPEAT + WINDOW).unwrap();
    world.simulator.arm(Fault::new(Action::ListLag { by }));
    world.simulator.arm(next_create(LOST));
    world.ask_bundle("orders", BUNDLE).await;
    world
        .reason_within(REPEAT + WINDOW, "orders", "Active")
        .await;
    assert_eq!(
        world.remote("orders").len(),
        2,
        "{:?}",
        world.remote_states()
    );
    within(3 * WINDOW, "the twin is revoked", async || {
        let live = world.remote("orders");
        let live = live.iter().filter(|one| !one.status.is_terminal()).count();
        (live == 1).then_some(()).ok_or_else(|| world.last_words())
    })
    .await;
    let survivor = world.remote("orders").pop().unwrap();
    assert!(survivor.has_access(), "the one that was answered survives");
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn what_was_lost_before_it_was_done_is_looked_for_and_then_asked_again() {
    let world = World::new(setup()).await;
    world.simulator.arm(next_create(NOT_DONE));
    world.ask_bundle("orders", BUNDLE).await;
    world
        .reason_within(REPEAT + WINDOW, "orders", "Active")
        .await;
    world.only_remote("orders");
    let calls = world.simulator.calls();
    let creates: Vec<_> = calls
        .iter()
        .filter(|call| call.endpoint == Endpoint::Create)
        .collect();
    assert_eq!(creates.len(), 2);
    let between = creates[1].at.duration_since(creates[0].at);
    assert!(between >= SignedDuration::try_from(WINDOW).unwrap());
    let is_look = |call: &&apono_simulator::ledger::CallEntry| {
        call.endpoint == Endpoint::List && call.status == Some(200)
    };
    let looks = calls.iter().filter(is_look);
    let conclusive = looks
        .filter(|look| look.at >= creates[0].at + WINDOW - Duration::from_secs(1))
        .filter(|look| look.at <= creates[1].at);
    assert!(conclusive.count() > 0, "no look was late enough");
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn whatever_becomes_of_the_answer_to_a_create_that_was_done_it_is_done_once() {
    let world = World::new(setup()).await;
    let late = SignedDuration::from_secs(3);
    let after = When::After;
    let faults = [
        ("status-500", answer(500, after)),
        ("status-502", answer(502, after)),
        ("status-503", answer(503, after)),
        ("status-504", answer(504, after)),
        ("status-408", answer(408, after)),
        ("no-answer", Action::Hang { when: after }),
        (
            "late-answer",
            Action::Slow {
                by: late,
                when: after,
            },
        ),
        (
            "late-call",
            Action::Slow {
                by: late,
                when: When::Before,
            },
        ),
        ("garbage", Action::Garbage),
        ("cut-off", Action::Truncate { complete: false }),
        ("half-a-document", Action::Truncate { complete: true }),
        (
            "another-type",
            Action::ContentType {
                content_type: "text/html".into(),
            },
        ),
        ("empty-array", Action::EmptyArray { when: after }),
        ("too-long", Action::Oversize { bytes: 9 << 20 }),
    ];
    for (asked, (name, fault)) in faults.iter().enumerate() {
        world.simulator.arm(next_create(fault.clone()));
        world.ask_bundle(name, BUNDLE).await;
        world.wait_calls(Endpoint::Create, asked + 1).await;
    }
    for (name, _) in &faults {
        world.wait_reason(name, "Active").await;
        world.only_remote(name);
    }
    // Nor is anything asked again when the time for a repeat has come: all are answered.
    assert_eq!(world.calls(Endpoint::Create), faults.len());
    for (name, _) in &faults {
        world.delete(name).await;
    }
    world.none_within(REPEAT).await;
    world.assert_live(0);
    assert_eq!(world.simulator.requests().len(), faults.len());
    world.end().await;
}

#[tokio::test]
async fn whatever_is_said_of_a_create_that_was_not_done_it_is_done_once_in_the_end() {
    let world = World::new(setup()).await;
    let before = When::Before;
    let faults = [
        ("status-500", answer(500, before)),
        ("status-503", answer(503, before)),
        ("status-408", answer(408, before)),
        ("status-429", answer(429, before)),
        ("broken", NOT_DONE),
        ("no-answer", Action::Hang { when: before }),
        (
            "elsewhere",
            Action::Redirect {
                location: "http://127.0.0.1:9/".into(),
                status: 307,
            },
        ),
    ];
    for (asked, (name, fault)) in faults.iter().enumerate() {
        world.simulator.arm(next_create(fault.clone()));
        let started = Instant::now();
        world.ask_bundle(name, BUNDLE).await;
        world.wait_calls(Endpoint::Create, asked + 1).await;
        // Were a create repeated meanwhile, the faults would strike others than meant.
        assert!(started.elapsed() < Duration::from_secs(5), "{name}");
    }
    for (name, _) in &faults {
        world.reason_within(REPEAT + WINDOW, name, "Active").await;
        world.only_remote(name);
    }
    for (name, _) in &faults {
        world.delete(name).await;
    }
    world.none_within(REPEAT).await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn an_empty_answer_to_a_create_that_was_not_done_is_a_refusal_after_one_look() {
    let world = World::new(setup()).await;
    let when = When::Before;
    world
        .simulator
        .arm(next_create(Action::EmptyArray { when }));
    world.ask_bundle("orders", BUNDLE).await;
    world.wait_reason("orders", "RequestRefused").await;
    assert_eq!(world.calls(Endpoint::Create), 1);
    assert!(world.simulator.requests().is_empty());
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.end().await;
}

#[tokio::test]
async fn what_is_deleted_while_the_answer_of_its_create_is_lost_is_found_and_taken_back() {
    let world = World::new(setup()).await;
    let when = When::After;
    let faults = [
        ("lost", LOST),
        ("awaited", Action::Hang { when }),
        ("failed", answer(500, when)),
    ];
    for (count, (name, fault)) in faults.iter().enumerate() {
        world.simulator.arm(next_create(fault.clone()));
        world.ask_bundle(name, BUNDLE).await;
        world.executed_creates(count + 1).await;
        world.delete(name).await;
    }
    world.none_within(3 * WINDOW).await;
    for (name, _) in &faults {
        world.only_remote(name);
    }
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn what_a_list_shows_late_of_a_lost_answer_is_taken_back_too() {
    let settle = json!({"correlation": {"settle": "12s"}});
    let one_a_page = setup().remote(|remote| {
        remote.switches.max_limit = 1;
        remote.switches.over_limit = OverLimit::Clamp;
    });
    let world = World::new(one_a_page.connection(settle)).await;
    // Of three requests on three pages the lists leave out the second, and say that they are whole.
    let drift = world.simulator.arm(Fault::new(Action::PageDrift { by: 1 }));
    world.simulator.arm(next_create(LOST));
    world.ask_bundle("orders", "three-flows").await;
    // Each page shows one, and is told at once.
    world
        .wait_for("orders", "two requests that are found", |found| {
            let status = found.status.as_ref();
            status.is_some_and(|status| status.requests.len() == 2)
        })
        .await;
    world.delete("orders").await;
    within(WINDOW, "what was found is taken back", async || {
        let live = world.remote("orders");
        let live = live.iter().filter(|one| !one.status.is_terminal()).count();
        (live == 1).then_some(()).ok_or_else(|| world.last_words())
    })
    .await;
    world.more_polls(5).await;
    assert!(world.find("orders").await.is_some(), "one is live");
    world.simulator.disarm(drift).unwrap();
    world.wait_gone("orders").await;
    world.assert_live(0);
    assert_eq!(world.remote("orders").len(), 3);
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.end().await;
}

#[tokio::test]
async fn what_is_deleted_and_was_never_done_goes_after_one_look() {
    let world = World::new(setup()).await;
    world.simulator.arm(next_create(NOT_DONE));
    world.ask_bundle("orders", BUNDLE).await;
    world.wait_calls(Endpoint::Create, 1).await;
    let asked = Instant::now();
    world.delete("orders").await;
    world.wait_gone("orders").await;
    let waited = asked.elapsed();
    // The mark is up to a second older than the call, and rounded up.
    assert!(waited + Duration::from_secs(2) >= WINDOW, "{waited:?}");
    assert_eq!(world.calls(Endpoint::Create), 1);
    assert!(world.simulator.requests().is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_revoke_that_fails_for_a_while_is_repeated_until_it_is_done() {
    let world = World::new(setup()).await;
    world.ask_bundle("orders", BUNDLE).await;
    world.wait_reason("orders", "Active").await;
    let fault = Fault::new(answer(500, When::Before)).at(Endpoint::Revoke);
    let fault = world.simulator.arm(fault);
    world.delete("orders").await;
    world.wait_calls(Endpoint::Revoke, 3).await;
    assert!(world.find("orders").await.is_some());
    let said = world.wait_reason("orders", "RevokeFailed").await;
    let message = said.status.unwrap().message.unwrap();
    assert!(message.contains("500"), "{message}");
    world.assert_live(1);
    world.simulator.disarm(fault).unwrap();
    world.wait_gone("orders").await;
    world.assert_live(0);
    // Waits grow from 2 s: the remote is not hammered.
    assert!(world.calls(Endpoint::Revoke) <= 6);
    world.end().await;
}

#[tokio::test]
async fn a_revoke_whose_answer_is_lost_is_read_back() {
    let world = World::new(setup()).await;
    world.ask_bundle("orders", BUNDLE).await;
    world.wait_reason("orders", "Active").await;
    world
        .simulator
        .arm(Fault::new(LOST).at(Endpoint::Revoke).once());
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn an_accepted_revoke_is_no_revoke_until_the_remote_shows_it() {
    let world = World::new(explicit()).await;
    world.ask_bundle("orders", BUNDLE).await;
    world.executed_creates(1).await;
    let id = world.only_remote("orders").id;
    world.simulator.activate(&id).unwrap();
    world.wait_reason("orders", "Active").await;
    world.delete("orders").await;
    world.wait_calls(Endpoint::Revoke, 1).await;
    world.more_polls(10).await;
    assert!(world.find("orders").await.is_some(), "it is only revoking");
    world.simulator.finish_revoke(&id).unwrap();
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.end().await;
}

fn explicit() -> Setup {
    setup().remote(|remote| remote.mode = Mode::Explicit)
}
