//! Connections in a real apiserver: the operator's binary, in namespaced mode, against the
//! simulator.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "connections/operator.rs"]
mod operator;

use std::time::Duration;

use apono_simulator::{Config, DEFAULT_TOKEN, DEFAULT_USER, Outside, Simulator};
use operator::Place;
use serde_json::Value;

fn simulator() -> Simulator {
    Simulator::start(&Config::instant()).unwrap()
}

/// So that the own list has a page that names the user.
fn ask(simulator: &Simulator) {
    let outside = Outside {
        requestor: DEFAULT_USER.into(),
        bundle: Some(simulator.catalogue().bundles[0].name.clone()),
        ..Outside::default()
    };
    simulator.create(outside).unwrap();
}

fn has(status: &Value, kind: &str) -> bool {
    status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .any(|condition| condition["type"] == kind)
}

/// Ready comes first.
fn message(status: &Value) -> &str {
    status["conditions"][0]["message"].as_str().unwrap()
}

#[tokio::test]
async fn a_connection_becomes_ready_says_whose_token_it_is_and_rests() {
    let simulator = simulator();
    ask(&simulator);
    let place = Place::new().await;
    let operator = place.operator(&simulator.url());
    operator.ready().await;
    place.store_token("good", DEFAULT_TOKEN).await;
    place.connect("good", &simulator.url()).await;

    let status = place.wait_for("good", "True", "Ready").await;
    assert_eq!(status["identity"]["sourceId"], DEFAULT_USER);
    assert_eq!(status["observedGeneration"], 1);
    assert!(!has(&status, "Stalled") && !has(&status, "Reconciling"));

    // Nothing has changed, so nothing is written: not by the next pass either.
    let version = place.version("good").await;
    operator.more_passes(1).await;
    assert_eq!(place.version("good").await, version);
    let (_, metrics) = operator.admin("/metrics").await;
    assert!(
        metrics.contains("apono_operator_connections_ready 1"),
        "{metrics}"
    );

    place.disconnect("good").await;
    operator.shows("apono_operator_connections 0").await;
    let (code, log) = operator.end().await;
    assert_eq!(code, Some(0));
    assert!(!log.contains(DEFAULT_TOKEN), "the token is in the log");
    place.leave().await;
}

#[tokio::test]
async fn a_missing_secret_is_named_and_found_when_it_comes() {
    let simulator = simulator();
    let place = Place::new().await;
    let operator = place.operator(&simulator.url());
    place.connect("late", &simulator.url()).await;
    let status = place.wait_for("late", "False", "SecretNotFound").await;
    assert!(
        message(&status).contains(&format!("`{}/late`", place.namespace)),
        "{status}"
    );
    assert!(has(&status, "Stalled"));
    assert!(simulator.calls().is_empty());

    place.store_token("late", DEFAULT_TOKEN).await;
    place.wait_for("late", "True", "Ready").await;
    drop(operator);
    place.leave().await;
}

#[tokio::test]
async fn a_wrong_token_is_tried_once_and_the_right_one_works_without_a_restart() {
    let simulator = simulator();
    let place = Place::new().await;
    let operator = place.operator(&simulator.url());
    place.store_token("rotated", "wrong-token").await;
    place.connect("rotated", &simulator.url()).await;
    let status = place.wait_for("rotated", "False", "Unauthorized").await;
    let wanted = format!("key `token` of Secret `{}/rotated`", place.namespace);
    assert!(message(&status).contains(&wanted), "{status}");

    // Two looks at the Secret later the API has still been asked once.
    operator.more_passes(2).await;
    assert_eq!(simulator.calls().len(), 1);
    let (_, metrics) = operator.admin("/metrics").await;
    assert!(
        metrics.contains("apono_operator_connections_circuit_open 1"),
        "{metrics}"
    );

    place.store_token("rotated", DEFAULT_TOKEN).await;
    let started = std::time::Instant::now();
    place.wait_for("rotated", "True", "Ready").await;
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );

    let (_, log) = operator.end().await;
    assert!(!log.contains("wrong-token") && !log.contains(DEFAULT_TOKEN));
    place.leave().await;
}

#[tokio::test]
async fn an_endpoint_the_settings_do_not_list_is_never_called() {
    let (listed, other) = (simulator(), simulator());
    let place = Place::new().await;
    let operator = place.operator(&listed.url());
    place.store_token("elsewhere", DEFAULT_TOKEN).await;
    place.connect("elsewhere", &other.url()).await;
    let status = place
        .wait_for("elsewhere", "False", "EndpointNotAllowed")
        .await;
    assert!(message(&status).contains(&listed.url()), "{status}");
    assert!(message(&status).contains("ALLOWED_ENDPOINTS"), "{status}");
    assert!(other.calls().is_empty());
    drop(operator);
    place.leave().await;
}
