//! Access that is asked for again: renewed before its end, or by a token after it. And what ends
//! here while its resource stays.

use apono_operator::crd::AccessRequest;
use apono_simulator::{Action, Endpoint, Fault, Status, When, switches::Leniency};
use jiff::SignedDuration;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::{
    ACTIVE, PENDING, described, status,
    support::{CONNECTION, Setup, World},
};

const RENEWING: &str = "Ready=True:Renewing Synced=True -> Current";
const REVOKED: &str = "Synced=True Complete=True:Revoked -> Current";
/// The flow's own period.
const PERIOD: i64 = 28_800;

fn spec(bundle: &str, more: Value) -> Value {
    let mut spec = json!({"access": {"bundle": bundle}, "justification": "stuck orders"});
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
        spec.extend(more);
    }
    spec
}

fn renewal() -> Value {
    let again = json!({"before": "30s", "maxRenewals": 3, "justification": "still stuck"});
    json!({"renewal": again})
}

async fn token(world: &World, annotation: &str, value: &str) {
    let name = format!("access.apono.io/{annotation}");
    let patch = json!({"metadata": {"annotations": {name: value}}});
    world.patch("orders", patch).await;
}

fn handled(resource: &AccessRequest, token: &str) -> Option<String> {
    let handled = &status(resource)["lastHandled"][token];
    handled.as_str().map(ToOwned::to_owned)
}

/// Brings the planned end this near.
fn end_in(world: &World, seconds: i64) {
    let id = world.only_remote("orders").id;
    let by = SignedDuration::from_secs(seconds - PERIOD);
    world.simulator.extend(&id, by).unwrap();
}

fn refuse(endpoint: Endpoint) -> Fault {
    let action = Action::Answer {
        status: 409,
        retry_after: None,
        body: None,
        when: When::Before,
    };
    Fault::new(action).at(endpoint).once()
}

#[tokio::test]
async fn renewed_access_is_never_interrupted() {
    let world = World::new(Setup::default()).await;
    let asked = spec("prod-admin", renewal());
    world.ask("orders", asked).await;
    world.wait_row("orders", PENDING).await;
    let first = world.only_remote("orders").id;
    world.simulator.approve(&first).unwrap();
    world.wait_row("orders", ACTIVE).await;
    let end = world.only_remote("orders").planned_end.unwrap();
    let left = end.duration_since(world.simulator.now()).as_secs();
    let by = SignedDuration::from_secs(33 - left);
    world.simulator.extend(&first, by).unwrap();

    let found = world.wait_row("orders", RENEWING).await;
    assert_eq!(status(&found)["phase"], "Renewing");
    let all = world.wait_remote("orders", 2).await;
    let second = all.iter().find(|one| one.id != first).unwrap();
    assert_eq!(second.again_of.as_deref(), Some(first.as_str()));
    let why = second.justification.clone().unwrap();
    assert!(why.ends_with("] still stuck"), "{why}");
    world
        .wait_for("orders", "what is awaited", |found| {
            let message = status(found)["message"].to_string();
            message.contains(&second.id) && message.contains("waits for an approver")
        })
        .await;
    world.assert_live(2);
    world.simulator.approve(&second.id).unwrap();
    let found = world.wait_row("orders", ACTIVE).await;
    let end = world.simulator.request(&second.id).unwrap().planned_end;
    let end = end.unwrap().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    assert_eq!(status(&found)["endsAt"], end);
    assert_eq!(status(&found)["renewals"], 1);
    world.more_polls(5).await;
    assert_eq!(world.calls(Endpoint::RequestAgain), 1);
    assert_eq!(world.calls(Endpoint::Create), 1);
    assert_eq!(world.calls(Endpoint::Revoke), 0, "the old ends by itself");

    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn a_refused_renewal_leaves_access_to_its_end_and_is_asked_once_more_after_it() {
    let world = World::new(Setup::default()).await;
    world.ask("orders", spec("prod-read", renewal())).await;
    described(&world, "orders").await;
    world.simulator.arm(refuse(Endpoint::RequestAgain));
    world.simulator.arm(refuse(Endpoint::Create));
    let first = world.only_remote("orders").id;
    end_in(&world, 33);
    let note = world.wait_event("orders", "RenewalRefused").await;
    assert!(note.contains("409"), "{note}");
    let found = world.wait_row("orders", ACTIVE).await;
    let message = status(&found)["message"].to_string();
    assert!(message.contains("RenewalRefused"), "{message}");
    world.only_remote("orders");

    let all = world.wait_remote("orders", 2).await;
    assert_eq!(all[0].id, first);
    assert!(!all[0].has_access(), "after its end, not before");
    world
        .wait_for("orders", "the access that was asked for again", |found| {
            status(found)["attempt"]["number"] == 3 && status(found)["reason"] == "Active"
        })
        .await;
    assert_eq!(world.calls(Endpoint::RequestAgain), 2);
    assert_eq!(world.calls(Endpoint::Create), 2);
    world.end().await;
}

#[tokio::test]
async fn what_was_rejected_is_asked_again_once_for_each_value_of_the_token() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("orders", "prod-admin").await;
    world.wait_row("orders", PENDING).await;
    let first = world.only_remote("orders").id;
    world.simulator.reject(&first, None).unwrap();
    world.wait_reason("orders", "Rejected").await;
    token(&world, "request-again", "please").await;
    let found = world.wait_row("orders", PENDING).await;
    assert!(handled(&found, "requestAgain").is_some());
    assert_eq!(status(&found)["attempt"]["number"], 2);
    let all = world.wait_remote("orders", 2).await;
    assert_eq!(all[1].again_of.as_deref(), Some(first.as_str()));

    world.simulator.reject(&all[1].id, None).unwrap();
    world.wait_reason("orders", "Rejected").await;
    let passes = world.operator.passes("access_request").await;
    let label = json!({"metadata": {"labels": {"synced": "again"}}});
    world.patch("orders", label).await;
    let access = "access_request";
    world.operator.wait_passes(access, passes + 1.0).await;
    assert_eq!(world.calls(Endpoint::RequestAgain), 1);
    token(&world, "request-again", "pretty please").await;
    world.wait_remote("orders", 3).await;
    world.end().await;
}

#[tokio::test]
async fn what_apono_refused_is_created_anew_by_the_token() {
    let world = World::new(Setup::default()).await;
    world.simulator.arm(refuse(Endpoint::Create));
    world.ask_bundle("orders", "prod-read").await;
    world.wait_reason("orders", "RequestRefused").await;
    token(&world, "request-again", "1").await;
    world.wait_row("orders", ACTIVE).await;
    world.only_remote("orders");
    assert_eq!(world.calls(Endpoint::Create), 2);
    world.end().await;
}

#[tokio::test]
async fn under_gitops_the_revoke_token_takes_back_and_the_resource_stays() {
    let world = World::new(Setup::default()).await;
    let asked = spec("prod-read", json!({"ttlSecondsAfterFinished": 0}));
    world.ask("orders", asked).await;
    world.wait_row("orders", ACTIVE).await;
    let owned = json!({"metadata": {"labels": {"argocd.argoproj.io/instance": "payments"}}});
    world.patch("orders", owned).await;
    // Nothing new is asked while suspended; taking back goes on.
    world
        .patch("orders", json!({"spec": {"suspend": true}}))
        .await;
    token(&world, "revoke", "incident over").await;
    let found = world.wait_row("orders", REVOKED).await;
    assert_eq!(status(&found)["phase"], "Ended");
    assert!(handled(&found, "revoke").is_some());
    world.assert_live(0);
    let note = world.wait_event("orders", "TtlIgnored").await;
    assert!(note.contains("argocd.argoproj.io/instance"), "{note}");
    let passes = world.operator.passes("access_request").await;
    world
        .patch(
            "orders",
            json!({"metadata": {"labels": {"synced": "again"}}}),
        )
        .await;
    let access = "access_request";
    world.operator.wait_passes(access, passes + 1.0).await;
    world.wait_row("orders", REVOKED).await;
    assert_eq!(world.calls(Endpoint::Create), 1);

    token(&world, "request-again", "once more").await;
    world
        .wait_for("orders", "to say that it waits", |found| {
            status(found)["message"]
                .to_string()
                .contains("spec.suspend")
        })
        .await;
    assert_eq!(world.calls(Endpoint::RequestAgain), 0);
    world
        .patch("orders", json!({"spec": {"suspend": false}}))
        .await;
    world.wait_row("orders", ACTIVE).await;
    world.assert_live(1);
    world.end().await;
}

#[tokio::test]
async fn what_nobody_approves_in_time_is_cancelled() {
    let world = World::new(Setup::default().remote(|remote| {
        remote.switches.revoke_open = Leniency::BadRequest;
    }))
    .await;
    let asked = spec("prod-admin", json!({"pendingTimeout": "2s"}));
    world.ask("orders", asked).await;
    let refused = "Ready=False:CancelRefused Stalled=True Synced=True -> Failed";
    world.wait_row("orders", refused).await;
    world.assert_live(1);
    world
        .simulator
        .set_switches(|switches| switches.revoke_open = Leniency::Accept);
    let row = "Ready=False:ApprovalTimedOut Stalled=True Synced=True -> Failed";
    let found = world.wait_row("orders", row).await;
    assert_eq!(status(&found)["phase"], "Failed");
    let message = status(&found)["message"].to_string();
    assert!(message.contains("2s") && message.contains("request-again"));
    assert_eq!(world.only_remote("orders").status, Status::Revoked);
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn a_resource_that_has_finished_is_deleted_when_its_time_to_live_is_over() {
    let world = World::new(Setup::default()).await;
    let asked = spec("prod-admin", json!({"ttlSecondsAfterFinished": 2}));
    world.ask("orders", asked).await;
    world.wait_row("orders", PENDING).await;
    world.more_polls(5).await;
    let id = world.only_remote("orders").id;
    world.simulator.reject(&id, None).unwrap();
    world.wait_reason("orders", "Rejected").await;
    world.wait_gone("orders").await;
    assert_eq!(world.calls(Endpoint::Revoke), 0);
    world.end().await;
}

#[tokio::test]
async fn tokens_that_are_there_at_creation_are_told_and_not_acted_on() {
    let world = World::new(Setup::default()).await;
    let mut asked = spec("prod-read", json!({}));
    asked["connectionRef"] = json!({"kind": "AponoConnection", "name": CONNECTION});
    let object = json!({
        "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
        "metadata": {"name": "orders", "annotations": {
            "access.apono.io/revoke": "last week", "access.apono.io/request-again": "last year"
        }},
        "spec": asked
    });
    let object: AccessRequest = serde_json::from_value(object).unwrap();
    let requests = world.cluster.requests();
    requests
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    let note = world.wait_event("orders", "TokenIgnored").await;
    assert!(note.contains("first seen"), "{note}");
    let found = world.wait_row("orders", ACTIVE).await;
    assert!(handled(&found, "revoke").is_some() && handled(&found, "requestAgain").is_some());
    world.more_polls(3).await;
    world.assert_live(1);
    assert_eq!(world.calls(Endpoint::Revoke), 0);
    world.end().await;
}

#[tokio::test]
async fn the_reconcile_token_reads_what_would_be_read_much_later() {
    let seldom = json!({"polling": {"fast": "100ms", "pending": "200ms", "active": "1h"}});
    let world = World::new(Setup::default().connection(seldom)).await;
    world.ask_bundle("orders", "prod-read").await;
    let before = described(&world, "orders").await["endsAt"].clone();
    end_in(&world, 3600);
    token(&world, "reconcile-requested-at", "now").await;
    let found = world
        .wait_for("orders", "the end as the remote moved it", |found| {
            status(found)["endsAt"] != before && handled(found, "reconcile").is_some()
        })
        .await;
    assert_eq!(status(&found)["reason"], "Active");
    world.end().await;
}
