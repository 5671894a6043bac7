//! Credentials: into a Secret once, out of it at the end.

use apono_simulator::{Action, Endpoint, Fault, Outside, When, switches::SessionSharing};
use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt as _, api::PostParams};
use serde_json::{Value, json};

use crate::{
    ACTIVE, status,
    support::{Setup, World, eventually, keys, text},
};

pub const DELIVERING: &str =
    "Ready=False:DeliveringCredentials Reconciling=True Synced=True -> InProgress";
pub const SECRET: &str = "orders-db";
const RESET: &str = "access.apono.io/reset-credentials";

pub async fn ask(world: &World, bundle: &str, credentials: Value) {
    let access = json!({"bundle": bundle});
    ask_for(world, access, credentials).await;
}

async fn ask_for(world: &World, access: Value, credentials: Value) {
    let spec = json!({
        "access": access, "justification": "stuck orders", "credentials": credentials
    });
    world.ask("orders", spec).await;
}

pub fn credentials(found: &apono_operator::crd::AccessRequest) -> Value {
    status(found)["credentials"].clone()
}

pub async fn wait_state(world: &World, state: &str) -> apono_operator::crd::AccessRequest {
    let what = format!("credentials {state}");
    world
        .wait_for("orders", &what, |found| {
            credentials(found)["state"] == state
        })
        .await
}

pub async fn wait_no_secret(world: &World, name: &str) {
    eventually("the Secret is gone", async || {
        let found = world.secret(name).await;
        found.map_or(Ok(()), |found| Err(format!("{:?}", keys(&found))))
    })
    .await;
}

/// The Secret holds the password that works.
pub async fn assert_current(world: &World, name: &str) {
    assert!(
        world.is_current("orders", name).await,
        "not the current password"
    );
}

pub async fn end(world: World) {
    world.passwords_are_nowhere().await;
    world.end().await;
}

#[tokio::test]
async fn credentials_are_read_once_into_a_secret_that_goes_with_the_access() {
    let world = World::new(Setup::default().setting("RUST_LOG", "trace")).await;
    ask(&world, "prod-read", json!({"secretName": SECRET})).await;
    let found = world.wait_row("orders", ACTIVE).await;
    let shown = credentials(&found);
    assert_eq!(shown["state"], "Delivered", "{shown:#}");
    assert_eq!(shown["secretName"], SECRET);
    let stored = world.secret(SECRET).await.unwrap();
    assert_eq!(
        keys(&stored),
        [
            "admin-message",
            "cli",
            "db_name",
            "expires",
            "host",
            "instructions",
            "password",
            "port",
            "username"
        ]
    );
    assert_eq!(text(&stored, "host"), "postgres-prod.example.com");
    assert_current(&world, SECRET).await;
    assert_eq!(stored.type_.as_deref(), Some("Opaque"));
    let owners = stored.owner_references();
    assert_eq!(owners.len(), 1);
    assert_eq!(Some(&owners[0].uid), found.metadata.uid.as_ref());
    assert_eq!(owners[0].controller, Some(true));
    let managed = stored.labels().get("app.kubernetes.io/managed-by");
    assert_eq!(managed.map(String::as_str), Some("apono-operator"));
    assert_eq!(shown["digest"].as_str().map(str::len), Some(64));

    // At rest nothing is called for it.
    let lists = world.calls(Endpoint::ListSessions);
    world.more_polls(5).await;
    world.operator.more_passes("access_request", 0).await;
    assert_eq!(world.calls(Endpoint::ListSessions), lists);
    assert_eq!(world.calls(Endpoint::SessionDetails), 1);
    assert_eq!(world.calls(Endpoint::GetSession), 1);
    let uses = world.simulator.session_uses(&world.session("orders").id);
    assert_eq!((uses.consuming_reads, uses.later_reads), (1, 0));
    let version = world.secret(SECRET).await.unwrap().resource_version();
    assert_eq!(version, stored.resource_version());

    world.delete("orders").await;
    world.wait_gone("orders").await;
    wait_no_secret(&world, SECRET).await;
    let writes = world.cluster.writes("orders");
    println!("writes of the resource: {}", writes.len());
    // And three of the Secret.
    assert!(writes.len() + 3 <= 9, "{writes:#?}");
    end(world).await;
}

#[tokio::test]
async fn access_without_credentials_is_active_and_says_so() {
    let world = World::new(Setup::default()).await;
    let one = json!({"resourceId": "res-ns-checkout", "permissionId": "perm-ns-view"});
    ask_for(
        &world,
        json!({"entitlements": [one]}),
        json!({"secretName": SECRET}),
    )
    .await;
    let found = world.wait_row("orders", ACTIVE).await;
    assert_eq!(credentials(&found)["state"], "NotApplicable");
    let message = status(&found)["message"].to_string();
    assert!(message.contains("no credentials to deliver"), "{message}");
    assert_eq!(world.calls(Endpoint::SessionDetails), 0);
    assert!(world.secret(SECRET).await.is_none());
    world.end().await;
}

#[tokio::test]
async fn what_others_read_at_the_last_moment_is_not_read_again() {
    type Way = fn(&World);
    let viewed = |world: &World| {
        let id = world.session("orders").id;
        world.simulator.view_session(&id).unwrap();
    };
    let joined = |world: &World| {
        let theirs = Outside {
            requestor: apono_simulator::DEFAULT_USER.into(),
            bundle: Some("prod-read".into()),
            ..Outside::default()
        };
        world.simulator.create(theirs).unwrap();
    };
    let ways: [(Way, &str, u64); 2] = [(viewed, "ViewedElsewhere", 1), (joined, "Shared", 0)];
    for (way, state, elsewhere) in ways {
        let setup = Setup::default().setting("REMOTE_TIMEOUT", "30s");
        let world = World::new(setup.remote(|remote| {
            remote.switches.session_sharing = SessionSharing::Shared;
        }))
        .await;
        // The list says that nobody has read them, and is under way for so long.
        let late = Action::Slow {
            by: SignedDuration::from_secs(3),
            when: When::After,
        };
        let late = Fault::new(late).at(Endpoint::ListSessions).once();
        world.simulator.arm(late);
        ask(&world, "prod-read", json!({"secretName": SECRET})).await;
        world.wait_calls(Endpoint::ListSessions, 1).await;
        way(&world);
        wait_state(&world, state).await;
        world.wait_row("orders", DELIVERING).await;
        assert!(world.calls(Endpoint::GetSession) >= 1, "{state}");
        assert_eq!(world.calls(Endpoint::SessionDetails), 0, "{state}");
        assert_eq!(world.calls(Endpoint::ResetSession), 0, "{state}");
        assert!(world.secret(SECRET).await.is_none(), "{state}");
        let uses = world.simulator.session_uses(&world.session("orders").id);
        assert_eq!(uses.consuming_reads_elsewhere, elsewhere, "{uses:?}");
        end(world).await;
    }
}

/// The access is live, and somebody else has read its credentials.
async fn viewed(world: &World, access: Value) {
    let spec = json!({"access": access, "justification": "stuck orders"});
    world.ask("orders", spec).await;
    world.wait_row("orders", ACTIVE).await;
    world
        .simulator
        .view_session(&world.session("orders").id)
        .unwrap();
    let spec = json!({"spec": {"credentials": {"secretName": SECRET}}});
    world.patch("orders", spec).await;
    wait_state(world, "ViewedElsewhere").await;
    let found = world.wait_row("orders", DELIVERING).await;
    assert!(
        status(&found)["message"]
            .to_string()
            .contains("somebody else")
    );
    assert_eq!(world.calls(Endpoint::ResetSession), 0);
    assert_eq!(world.calls(Endpoint::SessionDetails), 0);
}

pub async fn annotate(world: &World, value: &str) {
    let annotations = json!({"metadata": {"annotations": {RESET: value}}});
    world.patch("orders", annotations).await;
}

#[tokio::test]
async fn what_others_have_read_is_reset_only_when_a_person_asks() {
    let world = World::new(Setup::default()).await;
    viewed(&world, json!({"bundle": "prod-read"})).await;
    let found = world.get("orders").await;
    assert!(status(&found)["message"].to_string().contains(RESET));
    annotate(&world, "please").await;
    world.wait_row("orders", ACTIVE).await;
    assert_current(&world, SECRET).await;
    assert_eq!(world.session("orders").passwords.len(), 2);
    end(world).await;
}

#[tokio::test]
async fn what_cannot_be_reset_is_said_and_left() {
    let world = World::new(Setup::default()).await;
    let one = json!({"resourceId": "res-invoices", "permissionId": "perm-bucket-read"});
    viewed(&world, json!({"entitlements": [one]})).await;
    let found = world.get("orders").await;
    assert!(
        status(&found)["message"]
            .to_string()
            .contains("cannot reset")
    );
    annotate(&world, "please").await;
    world.wait_event("orders", "CredentialsNotResettable").await;
    assert_eq!(world.calls(Endpoint::ResetSession), 0);
    end(world).await;
}

#[tokio::test]
async fn a_session_of_others_too_waits_for_a_person() {
    let world = World::new(Setup::default().remote(|remote| {
        remote.switches.session_sharing = SessionSharing::Shared;
    }))
    .await;
    let mine = world.simulator.create(Outside {
        requestor: apono_simulator::DEFAULT_USER.into(),
        bundle: Some("prod-read".into()),
        ..Outside::default()
    });
    let mine = mine.unwrap().remove(0);
    ask(&world, "prod-read", json!({"secretName": SECRET})).await;
    let found = wait_state(&world, "Shared").await;
    let message = credentials(&found)["message"].to_string();
    assert!(
        message.contains(&mine.id) && message.contains(RESET),
        "{message}"
    );
    world.wait_row("orders", DELIVERING).await;
    assert_eq!(world.calls(Endpoint::SessionDetails), 0);
    assert!(world.secret(SECRET).await.is_none());
    annotate(&world, "they agreed").await;
    wait_state(&world, "Delivered").await;
    assert_current(&world, SECRET).await;
    assert_eq!(world.calls(Endpoint::ResetSession), 1);
    end(world).await;
}

#[tokio::test]
async fn new_credentials_come_once_for_each_value_of_the_annotation() {
    let world = World::new(Setup::default()).await;
    ask(&world, "prod-read", json!({"secretName": SECRET})).await;
    let first = wait_state(&world, "Delivered").await;
    annotate(&world, "one").await;
    let second = world.wait_for("orders", "another digest", |found| {
        let shown = credentials(found);
        shown["state"] == "Delivered" && shown["digest"] != credentials(&first)["digest"]
    });
    let second = second.await;
    assert_current(&world, SECRET).await;
    let handled = status(&second)["lastHandled"]["resetCredentials"].clone();
    assert_eq!(handled.as_str().map(str::len), Some(16), "{handled}");
    world.wait_row("orders", ACTIVE).await;
    world.more_polls(5).await;
    assert_eq!(world.calls(Endpoint::ResetSession), 1);
    assert_eq!(world.calls(Endpoint::SessionDetails), 2);
    end(world).await;
}

#[tokio::test]
async fn an_annotation_that_was_there_before_is_remembered_and_not_acted_on() {
    let world = World::new(Setup::default().stopped()).await;
    let mut world = world;
    ask(&world, "prod-read", json!({"secretName": SECRET})).await;
    annotate(&world, "early").await;
    world.operator.start();
    world.wait_event("orders", "TokenIgnored").await;
    wait_state(&world, "Delivered").await;
    world.more_polls(3).await;
    assert_eq!(world.calls(Endpoint::ResetSession), 0);
    end(world).await;
}

#[tokio::test]
async fn workloads_are_restarted_when_the_data_changes_and_only_then() {
    let world = World::new(Setup::default()).await;
    let labels = json!({"app": "orders"});
    let container = json!({"name": "orders", "image": "orders"});
    let deployment = json!({
        "metadata": {"name": "orders"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        }
    });
    let deployment: Deployment = serde_json::from_value(deployment).unwrap();
    let deployments: Api<Deployment> =
        Api::namespaced(world.cluster.client.clone(), &world.cluster.namespace);
    let created = deployments
        .create(&PostParams::default(), &deployment)
        .await;
    created.unwrap();
    let workloads = json!([
        {"kind": "Deployment", "name": "orders"}, {"kind": "StatefulSet", "name": "missing"}
    ]);
    ask(
        &world,
        "prod-read",
        json!({"secretName": SECRET, "rolloutRestart": workloads}),
    )
    .await;
    let restarted_for = async || {
        let found = deployments.get("orders").await.unwrap();
        let template = found.spec.unwrap().template.metadata.unwrap();
        let annotations = template.annotations.unwrap_or_default();
        annotations.get("access.apono.io/restarted-for").cloned()
    };
    let is_restarted = |found: &_| {
        let shown = credentials(found);
        shown["digest"].is_string() && shown["restartedFor"] == shown["digest"]
    };
    let found = world.wait_for("orders", "a restart", is_restarted).await;
    let digest = credentials(&found)["digest"].clone();
    assert_eq!(restarted_for().await.as_deref(), digest.as_str());
    let note = world.wait_event("orders", "RestartFailed").await;
    assert!(note.contains("StatefulSet `missing`"), "{note}");
    let generation = deployments.get("orders").await.unwrap().metadata.generation;
    world.more_polls(3).await;
    let again = deployments.get("orders").await.unwrap().metadata.generation;
    assert_eq!(generation, again, "restarted again");

    annotate(&world, "one").await;
    let found = world.wait_for("orders", "another restart", |found| {
        credentials(found)["restartedFor"].is_string()
            && credentials(found)["digest"] != digest
            && is_restarted(found)
    });
    let found = found.await;
    let digest = credentials(&found)["digest"].clone();
    assert_eq!(restarted_for().await.as_deref(), digest.as_str());
    end(world).await;
}

#[tokio::test]
async fn a_session_that_opens_late_is_waited_for() {
    let world = World::new(Setup::default().remote(|remote| {
        remote.delays.session = SignedDuration::from_secs(3);
    }))
    .await;
    ask(&world, "prod-read", json!({"secretName": SECRET})).await;
    let found = world.wait_row("orders", DELIVERING).await;
    let message = status(&found)["message"].to_string();
    assert!(
        message.contains("waiting for Apono to open the session"),
        "{message}"
    );
    wait_state(&world, "Delivered").await;
    world.wait_row("orders", ACTIVE).await;
    assert_current(&world, SECRET).await;
    end(world).await;
}

#[tokio::test]
async fn a_reset_that_takes_its_time_is_waited_for() {
    let world = World::new(Setup::default().remote(|remote| {
        remote.delays.reset = Some(SignedDuration::from_secs(3));
    }))
    .await;
    ask(&world, "prod-read", json!({"secretName": SECRET})).await;
    wait_state(&world, "Delivered").await;
    annotate(&world, "one").await;
    wait_state(&world, "Resetting").await;
    world.wait_row("orders", DELIVERING).await;
    wait_state(&world, "Delivered").await;
    assert_current(&world, SECRET).await;
    assert_eq!(world.calls(Endpoint::ResetSession), 1);
    assert_eq!(world.calls(Endpoint::SessionDetails), 2);
    end(world).await;
}

#[tokio::test]
async fn the_sessions_of_several_integrations_are_told_apart_in_one_secret() {
    let world = World::new(Setup::default()).await;
    ask(&world, "three-flows", json!({"secretName": SECRET})).await;
    world.wait_row("orders", ACTIVE).await;
    let found = wait_state(&world, "Delivered").await;
    let sessions = credentials(&found)["sessions"].as_array().unwrap().len();
    assert_eq!(sessions, 3);
    let stored = world.secret(SECRET).await.unwrap();
    let all = world.simulator.sessions();
    for (integration, key) in [
        ("int-postgres-prod", "postgres-prod.password"),
        ("int-bucket-store", "bucket-store.password"),
    ] {
        let session = all.iter().find(|one| one.integration == integration);
        assert_eq!(text(&stored, key), session.unwrap().password().unwrap());
    }
    assert_eq!(world.calls(Endpoint::SessionDetails), 2);
    world.delete("orders").await;
    world.wait_gone("orders").await;
    wait_no_secret(&world, SECRET).await;
    world.assert_live(0);
    end(world).await;
}

#[tokio::test]
async fn every_spelling_of_the_words_is_understood() {
    use apono_simulator::switches::{CredentialCase, CredentialFresh, SeenPassword};
    for (case, fresh, seen) in [
        (
            CredentialCase::Lower,
            CredentialFresh::New,
            SeenPassword::Absent,
        ),
        (
            CredentialCase::Pascal,
            CredentialFresh::Available,
            SeenPassword::Masked,
        ),
    ] {
        let world = World::new(Setup::default().remote(|remote| {
            remote.switches.credential_case = case;
            remote.switches.credential_fresh = fresh;
            remote.switches.seen_password = seen;
        }))
        .await;
        ask(&world, "prod-read", json!({"secretName": SECRET})).await;
        world.wait_row("orders", ACTIVE).await;
        assert_current(&world, SECRET).await;
        let expired = world.only_remote("orders");
        world.simulator.expire(&expired.id).unwrap();
        wait_no_secret(&world, SECRET).await;
        end(world).await;
    }
}
