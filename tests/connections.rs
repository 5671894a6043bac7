//! Connections in a real apiserver: the operator's binary, in namespaced mode, against the
//! simulator.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "connections/authority.rs"]
mod authority;
#[path = "owed/helpers.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod owed;
mod support;

use std::time::Instant;

use apono_simulator::{Action, Config, DEFAULT_USER, Endpoint, Fault, Outside, Simulator, When};
use kube::api::PostParams;
use serde_json::{Value, json};
use support::{CONNECTION, Setup, World};

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
    let world = World::new(Setup::default().unconnected()).await;
    ask(&world.simulator);
    world.operator.ready().await;
    world.store_token(CONNECTION, &world.token).await;
    let url = world.simulator.url();
    world.connect(CONNECTION, &url, json!({})).await;

    let status = world.wait_connection(CONNECTION, "True", "Ready").await;
    assert_eq!(status["identity"]["sourceId"], DEFAULT_USER);
    assert_eq!(status["observedGeneration"], 1);
    assert!(!has(&status, "Stalled") && !has(&status, "Reconciling"));

    // Nothing has changed, so nothing is written: not by the next pass either.
    let version = world.connection_version(CONNECTION).await;
    world.operator.more_passes("connection", 1).await;
    assert_eq!(world.connection_version(CONNECTION).await, version);
    world
        .operator
        .shows("apono_operator_connections_ready 1")
        .await;

    world.disconnect(CONNECTION).await;
    world.operator.shows("apono_operator_connections 0").await;
    world.end().await;
}

#[tokio::test]
async fn a_missing_secret_is_named_and_found_when_it_comes() {
    let world = World::new(Setup::default().unconnected()).await;
    let url = world.simulator.url();
    world.connect("late", &url, json!({})).await;
    let status = world
        .wait_connection("late", "False", "SecretNotFound")
        .await;
    let wanted = format!("`{}/late`", world.cluster.namespace);
    assert!(message(&status).contains(&wanted), "{status}");
    assert!(has(&status, "Stalled"));
    assert!(world.simulator.calls().is_empty());

    world.store_token("late", &world.token).await;
    world.wait_connection("late", "True", "Ready").await;
    world.end().await;
}

#[tokio::test]
async fn a_wrong_token_is_tried_once_and_the_right_one_works_without_a_restart() {
    let world = World::new(Setup::default().unconnected()).await;
    world.store_token("rotated", "wrong-token").await;
    let url = world.simulator.url();
    world.connect("rotated", &url, json!({})).await;
    let status = world
        .wait_connection("rotated", "False", "Unauthorized")
        .await;
    let namespace = &world.cluster.namespace;
    let wanted = format!("key `token` of Secret `{namespace}/rotated`");
    assert!(message(&status).contains(&wanted), "{status}");

    // Two looks at the Secret later the API has still been asked once.
    world.operator.more_passes("connection", 2).await;
    assert_eq!(world.simulator.calls().len(), 1);
    world
        .operator
        .shows("apono_operator_connections_circuit_open 1")
        .await;

    world.store_token("rotated", &world.token).await;
    let started = Instant::now();
    world.wait_connection("rotated", "True", "Ready").await;
    let taken = started.elapsed();
    assert!(taken.as_secs() < 10, "{taken:?}");
    assert!(!world.operator.log().text().contains("wrong-token"));
    world.end().await;
}

#[tokio::test]
async fn an_endpoint_the_settings_do_not_list_is_never_called() {
    let other = Simulator::start(&Config::instant()).unwrap();
    let world = World::new(Setup::default().unconnected()).await;
    world.store_token("elsewhere", &world.token).await;
    world.connect("elsewhere", &other.url(), json!({})).await;
    let status = world
        .wait_connection("elsewhere", "False", "EndpointNotAllowed")
        .await;
    let listed = world.simulator.url();
    assert!(message(&status).contains(&listed), "{status}");
    assert!(message(&status).contains("ALLOWED_ENDPOINTS"), "{status}");
    assert!(other.calls().is_empty());
    world.end().await;
}

// That ALLOWED_NETWORKS lets it through is shown without an operator, in `policy/addresses.rs` and in
// the client: here it would be called.
#[tokio::test]
async fn a_metadata_address_is_refused_although_it_is_listed() {
    let endpoint = "http://169.254.169.254";
    let setup = Setup::default()
        .unconnected()
        .setting("ALLOWED_ENDPOINTS", endpoint)
        .setting("ALLOWED_NETWORKS", "169.254.10.0/24");
    let world = World::new(setup).await;
    world.store_token("inside", &world.token).await;
    let insecure = json!({"insecure": true});
    world.connect("inside", endpoint, insecure).await;
    let status = world
        .wait_connection("inside", "False", "EndpointNotAllowed")
        .await;
    for word in ["http://169.254.169.254", "link-local", "ALLOWED_NETWORKS"] {
        assert!(message(&status).contains(word), "{word}: {status}");
    }
    world.end().await;
}

#[tokio::test]
async fn without_a_connection_ref_namespaced_mode_says_what_to_write() {
    let world = World::new(Setup::default().unconnected()).await;
    let object = json!({
        "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
        "metadata": {"name": "orders"}, "spec": {"access": {"bundle": "prod-read"}}
    });
    let object = serde_json::from_value(object).unwrap();
    let requests = world.cluster.requests();
    requests
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    let found = world.wait_reason("orders", "ConnectionNotFound").await;
    let message = found.status.unwrap().message.unwrap();
    for word in [
        "connectionRef is absent",
        "namespaced mode",
        "no cluster connections",
        "{kind: AponoConnection, name: ...}",
    ] {
        assert!(message.contains(word), "{word}: {message}");
    }
    assert!(world.simulator.calls().is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_user_who_may_not_list_his_requests_is_told_what_that_means() {
    let world = World::new(Setup::default().unconnected()).await;
    let refusal = Action::Answer {
        status: 403,
        retry_after: None,
        body: None,
        when: When::Before,
    };
    world.simulator.arm(Fault::new(refusal).at(Endpoint::List));
    world.store_token(CONNECTION, &world.token).await;
    let url = world.simulator.url();
    world.connect(CONNECTION, &url, json!({})).await;
    let status = world
        .wait_connection(CONNECTION, "False", "ApiUnavailable")
        .await;
    assert!(message(&status).contains("403"), "{status}");
    assert!(message(&status).contains("personal API token"), "{status}");
    world.end().await;
}
