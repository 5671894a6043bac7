//! Names instead of ids: what is written is looked up in what Apono offers, once, before the first
//! request; what is not offered is said with what is near.

use apono_simulator::{
    Action, Endpoint, Fault, Status, User, When,
    switches::{NameCase, NameMatch, UnknownUser},
};
use serde_json::{Value, json};

use crate::{
    ACTIVE, described, status,
    support::{Setup, World},
};

const NOT_AVAILABLE: &str = "Ready=False:NotAvailable Stalled=True Synced=False -> Failed";
const NOT_ALLOWED: &str = "Ready=False:NotAllowed Stalled=True Synced=False -> Failed";

fn answered(status: u16) -> Action {
    Action::Answer {
        status,
        retry_after: None,
        body: None,
        when: When::Before,
    }
}

fn pair(integration: &str, resource: &str, permission: &str) -> Value {
    json!({"integration": integration, "resource": resource, "permission": permission})
}

/// Waits for the row, and gives the message.
async fn message(world: &World, name: &str, row: &str) -> String {
    let found = world.wait_row(name, row).await;
    let shown = status(&found);
    assert_eq!(shown["phase"], "Failed");
    shown["message"].as_str().unwrap().to_owned()
}

fn says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
}

#[tokio::test]
async fn a_bundle_is_asked_for_by_name_by_id_and_in_any_case() {
    let world = World::new(Setup::default()).await;
    for (name, written) in [
        ("by-name", "prod-read"),
        ("by-id", "bundle-prod-read"),
        ("by-case", "PROD-Read"),
    ] {
        world.ask_bundle(name, written).await;
        let status = described(&world, name).await;
        let bundle = json!({"id": "bundle-prod-read", "name": "prod-read"});
        assert_eq!(status["resolved"], json!({"bundle": bundle}), "{status:#}");
        assert_eq!(status["target"], "bundle prod-read");
        let bundle = world.only_remote(name).bundle;
        assert_eq!(bundle.as_deref(), Some("bundle-prod-read"), "{name}");
        // What was found is written with the ids of the answer: no write of its own.
        let writes = world.cluster.writes(name);
        assert!(writes.len() <= 4, "{writes:#?}");
    }
    assert_eq!(world.calls(Endpoint::Create), 3);
    world.end().await;
}

#[tokio::test]
async fn a_wrong_name_is_told_with_the_nearest_and_looked_up_once() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("typo", "prod-raed").await;
    let told = message(&world, "typo", NOT_AVAILABLE).await;
    says(
        &told,
        &[
            "spec.access.bundle is `prod-raed`",
            "the user of the connection's token",
            "the nearest it offers: `prod-read`",
            "create a new AccessRequest",
        ],
    );
    let note = world.wait_event("typo", "NotAvailable").await;
    assert!(note.contains("`prod-read`"), "{note}");
    let version = world.version("typo").await;
    // Two: one that filters by the name, one of all there is.
    assert_eq!(world.calls(Endpoint::AvailableBundles), 2);

    let passes = world.operator.passes("access_request").await;
    world
        .patch("typo", json!({"metadata": {"labels": {"looked": "at"}}}))
        .await;
    world
        .operator
        .wait_passes("access_request", passes + 1.0)
        .await;
    assert_eq!(
        world.calls(Endpoint::AvailableBundles),
        2,
        "not on any pass"
    );
    assert_ne!(world.version("typo").await, version, "the label alone");

    let annotations = json!({"access.apono.io/reconcile-requested-at": "now"});
    world
        .patch("typo", json!({"metadata": {"annotations": annotations}}))
        .await;
    world.wait_calls(Endpoint::AvailableBundles, 4).await;
    assert_eq!(world.calls(Endpoint::Create), 0);

    world.delete("typo").await;
    world.wait_gone("typo").await;
    assert_eq!(world.calls(Endpoint::Revoke), 0);
    world.end().await;
}

#[tokio::test]
async fn a_name_that_means_two_things_is_told_with_their_ids() {
    let world = World::new(Setup::default().remote(|remote| {
        let bundles = &mut remote.catalogue.bundles;
        let mut other = bundles[0].clone();
        other.id = "bundle-other".to_owned();
        bundles.push(other);
    }))
    .await;
    world.ask_bundle("which", "prod-read").await;
    let told = message(&world, "which", NOT_AVAILABLE).await;
    says(
        &told,
        &[
            "`prod-read` (bundle-other)",
            "`prod-read` (bundle-prod-read)",
            "gives the id",
        ],
    );
    world.ask_bundle("this", "bundle-other").await;
    world.wait_row("this", ACTIVE).await;
    let bundle = world.only_remote("this").bundle;
    assert_eq!(bundle.as_deref(), Some("bundle-other"));
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.end().await;
}

#[tokio::test]
async fn a_star_is_a_letter_like_any_other() {
    let world = World::new(Setup::default().remote(|remote| {
        remote.switches.entitlement_names = NameMatch::Wildcard;
    }))
    .await;
    world.ask_bundle("bundle", "prod-r*").await;
    says(
        &message(&world, "bundle", NOT_AVAILABLE).await,
        &["spec.access.bundle is `prod-r*`", "`prod-read`"],
    );
    let access = json!({"entitlements": [pair("postgres-prod", "ord*", "ReadOnly")]});
    world.ask("entitlement", json!({"access": access})).await;
    says(
        &message(&world, "entitlement", NOT_AVAILABLE).await,
        &["entitlements[0].resource is `ord*`", "`orders`"],
    );
    assert_eq!(world.calls(Endpoint::Create), 0);
    world.end().await;
}

#[tokio::test]
async fn entitlements_are_asked_for_by_names_whatever_case_the_filters_know() {
    for (case, how) in [
        (NameCase::Exact, NameMatch::Exact),
        (NameCase::Blind, NameMatch::Wildcard),
    ] {
        let world = World::new(Setup::default().remote(|remote| {
            remote.switches.name_case = case;
            remote.switches.entitlement_names = how;
        }))
        .await;
        let access = json!({"entitlements": [
            pair("postgres-prod", "orders", "ReadOnly"),
            {"resourceId": "res-payments", "permissionId": "perm-db-read-only"},
            {"integration": "Postgres-Prod", "resourceType": "postgresql-database",
             "resource": "BILLING", "permission": "readonly"}
        ]});
        world.ask("three", json!({"access": access})).await;
        let status = described(&world, "three").await;
        let found =
            |resource: &str| json!({"resourceId": resource, "permissionId": "perm-db-read-only"});
        assert_eq!(
            status["resolved"],
            json!({
                "entitlements": [found("res-orders"), found("res-payments"), found("res-billing")],
                "integrations": [{"id": "int-postgres-prod", "name": "postgres-prod"}]
            }),
            "{status:#}"
        );
        assert_eq!(status["entitlementSummary"]["granted"], 3);
        let access = json!({"entitlements": [pair("postgres-prod", "orders", "ReadOnly")]});
        world.ask("one", json!({"access": access})).await;
        let status = described(&world, "one").await;
        assert_eq!(status["target"], "ReadOnly on orders of postgres-prod");
        assert_eq!(world.only_remote("one").entitlements.len(), 1);
        world.end().await;
    }
}

#[tokio::test]
async fn what_no_flow_offers_this_grantee_is_not_asked_for() {
    let world = World::new(Setup::default()).await;
    let access = json!({"entitlements": [pair("postgres-prod", "orders", "Admin")]});
    let spec = json!({"access": access, "grantee": "alex@example.com"});
    world.ask("theirs", spec).await;
    says(
        &message(&world, "theirs", NOT_AVAILABLE).await,
        &[
            "entitlements[0].permission is `Admin`",
            "no such permission on this resource to `alex@example.com`",
            "`ReadOnly`",
        ],
    );
    // The token's own user may ask for it.
    world.ask("own", json!({"access": access})).await;
    world.wait_reason("own", "PendingApproval").await;
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.end().await;
}

#[tokio::test]
async fn a_grantee_nobody_knows_is_told_apart_from_one_who_is_offered_nothing() {
    for (how, words) in [
        (UnknownUser::Refuse, "there is no user `nobody@example.com`"),
        (
            UnknownUser::NoItems,
            "Apono offers no bundle to `nobody@example.com`: no access flow",
        ),
    ] {
        let world =
            World::new(Setup::default().remote(|remote| remote.switches.unknown_user = how)).await;
        let access = json!({"bundle": "prod-read"});
        let spec = json!({"access": access, "grantee": "nobody@example.com"});
        world.ask("nobody", spec).await;
        says(&message(&world, "nobody", NOT_AVAILABLE).await, &[words]);
        assert_eq!(world.calls(Endpoint::Create), 0);
        world.end().await;
    }
}

#[tokio::test]
async fn where_nothing_can_be_looked_up_what_is_written_is_sent() {
    for refused in [403, 404, 405] {
        let world = World::new(Setup::default()).await;
        for endpoint in [Endpoint::AvailableBundles, Endpoint::AvailableEntitlements] {
            world
                .simulator
                .arm(Fault::new(answered(refused)).at(endpoint));
        }
        world.ask_bundle("bundle", "prod-read").await;
        world.wait_row("bundle", ACTIVE).await;
        let pairs = json!([{"resourceId": "res-orders", "permissionId": "perm-db-read-only"}]);
        world
            .ask("ids", json!({"access": {"entitlements": pairs}}))
            .await;
        world.wait_row("ids", ACTIVE).await;
        let access = json!({"entitlements": [pair("postgres-prod", "orders", "ReadOnly")]});
        world.ask("names", json!({"access": access})).await;
        says(
            &message(&world, "names", NOT_AVAILABLE).await,
            &["gives resourceId and permissionId", &refused.to_string()],
        );
        // A rule about names is never waved through.
        let allow = json!({"allow": {"bundles": ["*"], "integrations": ["*"],
            "access": ["Bundle", "Entitlements"]}});
        world.connect_as("strict", allow).await;
        let through = json!({"kind": "AponoConnection", "name": "strict"});
        for (name, access) in [
            ("strict-bundle", json!({"bundle": "prod-read"})),
            ("strict-ids", json!({"entitlements": pairs})),
        ] {
            let spec = json!({"access": access, "connectionRef": through});
            world.ask(name, spec).await;
            says(
                &message(&world, name, NOT_ALLOWED).await,
                &["cannot be had", "spec.allow."],
            );
        }
        assert_eq!(world.calls(Endpoint::Create), 2);
        world.end().await;
    }
}

#[tokio::test]
async fn a_catalogue_that_does_not_answer_is_asked_again() {
    let world = World::new(Setup::default()).await;
    let fault = world
        .simulator
        .arm(Fault::new(answered(500)).at(Endpoint::AvailableBundles));
    world.ask_bundle("orders", "prod-read").await;
    let row = "Ready=False:Submitting Reconciling=True Synced=Unknown -> InProgress";
    let found = world.wait_for("orders", "the failed read is told", |found| {
        let told = status(found)["message"].to_string();
        crate::support::row(found) == row && told.contains("could not be read at Apono")
    });
    let told = status(&found.await)["message"].to_string();
    assert!(told.contains("it is tried again"), "{told}");
    assert_eq!(world.calls(Endpoint::Create), 0);
    world.simulator.disarm(fault).unwrap();
    world.wait_row("orders", ACTIVE).await;
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.end().await;
}

/// An integration target on behalf of somebody, with these changed.
fn target(change: &Value) -> Value {
    let mut target = json!({
        "integration": "postgres-prod", "resourceType": "postgresql-database",
        "resources": ["orders"], "permissions": ["ReadOnly"]
    });
    for (name, value) in change.as_object().unwrap() {
        target[name] = value.clone();
    }
    json!({"access": {"integration": target}, "grantee": "alex@example.com"})
}

#[tokio::test]
async fn resources_of_an_integration_are_found_by_name_and_by_id() {
    let world = World::new(Setup::default().remote(|remote| {
        let token = remote.users[0].tokens[0].clone();
        remote.users[0] = User::admin(remote.users[0].email.clone(), token);
    }))
    .await;
    for (name, change) in [
        ("by-name", json!({})),
        (
            "by-id",
            json!({"integration": "int-postgres-prod", "resources": ["res-orders"]}),
        ),
    ] {
        world.ask(name, target(&change)).await;
        let found = world.wait_for(name, "the resource is found", |found| {
            status(found)["resolved"]["resources"] == json!(["res-orders"])
        });
        let resolved = status(&found.await)["resolved"].clone();
        assert_eq!(resolved["integrations"][0]["id"], "int-postgres-prod");
    }
    world.end().await;
}

#[tokio::test]
async fn what_an_integration_does_not_offer_is_not_asked_for() {
    let world = World::new(Setup::default().remote(|remote| {
        let token = remote.users[0].tokens[0].clone();
        remote.users[0] = User::admin(remote.users[0].email.clone(), token);
    }))
    .await;
    let kubernetes = json!({
        "integration": "kubernetes-prod", "resourceType": "k8s-namespace",
        "resources": ["checkout"], "permissions": ["View", "Edit"]
    });
    for (name, change, row, words) in [
        (
            "integration",
            json!({"integration": "postgres-pord"}),
            NOT_AVAILABLE,
            [
                "integration.integration is `postgres-pord`",
                "`postgres-prod`",
            ],
        ),
        (
            "type",
            json!({"resourceType": "postgres"}),
            NOT_AVAILABLE,
            [
                "integration.resourceType is `postgres`",
                "`postgresql-database`",
            ],
        ),
        (
            "permission",
            json!({"permissions": ["readonly"]}),
            NOT_AVAILABLE,
            ["integration.permissions is `readonly`", "`ReadOnly`"],
        ),
        (
            "resource",
            json!({"resources": ["orders", "ordesr"]}),
            NOT_AVAILABLE,
            ["integration.resources is `ordesr`", "`orders`"],
        ),
        (
            "several",
            kubernetes,
            NOT_ALLOWED,
            ["2 permissions (View, Edit)", "one AccessRequest for each"],
        ),
    ] {
        world.ask(name, target(&change)).await;
        says(&message(&world, name, row).await, &words);
    }
    assert_eq!(world.calls(Endpoint::V3Create), 0);
    assert_eq!(world.calls(Endpoint::Create), 0);
    world.end().await;
}

#[tokio::test]
async fn an_attempt_that_was_not_sent_does_not_look_again() {
    let world = World::new(Setup::default()).await;
    world
        .simulator
        .arm(Fault::new(answered(429)).at(Endpoint::Create).once());
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    assert_eq!(world.calls(Endpoint::Create), 2);
    assert_eq!(world.calls(Endpoint::AvailableBundles), 1);
    assert_eq!(world.only_remote("orders").status, Status::Active);
    world.end().await;
}
