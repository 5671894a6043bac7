//! From apply to Active, and the ways that do not lead there.

use apono_simulator::{DEFAULT_USER, Endpoint, Fate, Status};
use serde_json::json;

use crate::{
    ACTIVE, PENDING, described, status, sticky_grant,
    support::{Setup, World, row},
};

#[tokio::test]
async fn a_bundle_becomes_active_and_says_what_it_gives_until_when() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("orders", "prod-read").await;
    let status = described(&world, "orders").await;
    let remote = world.only_remote("orders");
    assert_eq!(remote.status, Status::Active);
    assert!(remote.justification.unwrap().ends_with("] stuck orders"));

    assert_eq!(status["phase"], "Active", "{status:#}");
    assert_eq!(status["target"], "bundle prod-read");
    assert_eq!(
        status["entitlementSummary"],
        json!({"total": 3, "granted": 3, "pending": 0, "failed": 0, "truncated": false})
    );
    let entitlement = &status["entitlements"][0];
    assert_eq!(status["entitlements"].as_array().unwrap().len(), 3);
    assert_eq!(entitlement["integration"]["name"], "postgres-prod");
    assert_eq!(entitlement["resource"]["type"], "postgresql-database");
    assert_eq!(entitlement["permission"], "ReadOnly");
    assert_eq!(entitlement["status"], "Granted");
    let group = json!({
        "integration": {"id": "int-postgres-prod", "name": "postgres-prod"},
        "resourceTypes": ["postgresql-database"]
    });
    assert_eq!(status["accessGroups"], json!([group]));
    let bundle = json!({"id": "bundle-prod-read", "name": "prod-read"});
    assert_eq!(status["bundle"], bundle);
    assert_eq!(status["requestor"]["sourceId"], DEFAULT_USER);
    assert_eq!(status["requests"][0]["id"], remote.id.as_str());
    assert_eq!(status["requests"][0]["api"], "UserV4");
    let end = remote.planned_end.unwrap();
    assert_eq!(
        status["endsAt"],
        end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    );
    let expires = end.strftime("%Y-%m-%d %H:%MZ").to_string();
    assert_eq!(status["expires"], expires.as_str());

    let columns = world.cluster.kubectl(&["get", "accreq"]);
    let header: Vec<_> = columns.lines().next().unwrap().split_whitespace().collect();
    let wanted = [
        "NAME", "READY", "REASON", "TARGET", "GRANTEE", "EXPIRES", "AGE",
    ];
    assert_eq!(header, wanted);
    for cell in ["True", "Active", "bundle prod-read", &expires] {
        assert!(columns.contains(cell), "no `{cell}` in {columns}");
    }
    let wide = world.cluster.kubectl(&["get", "accreq", "-o", "wide"]);
    assert!(wide.contains(&remote.id), "{wide}");
    world.end().await;
}

#[tokio::test]
async fn entitlements_by_ids_become_active() {
    let world = World::new(Setup::default()).await;
    let pairs = json!([
        {"resourceId": "res-orders", "permissionId": "perm-db-read-only"},
        {"resourceId": "res-billing", "permissionId": "perm-db-read-only"}
    ]);
    let access = json!({"entitlements": pairs});
    let spec = json!({"access": access, "justification": "two", "duration": "30m"});
    world.ask("two", spec).await;
    let status = described(&world, "two").await;
    assert_eq!(status["entitlementSummary"]["granted"], 2, "{status:#}");
    assert_eq!(status["target"], "2 entitlements");
    let remote = world.only_remote("two");
    assert_eq!(remote.duration_in_sec, Some(1800));
    assert_eq!(remote.entitlements.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn an_answer_of_three_requests_is_owned_and_revoked_as_one() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("three", "three-flows").await;
    let status = described(&world, "three").await;
    assert_eq!(status["requests"].as_array().unwrap().len(), 3);
    assert_eq!(status["entitlementSummary"]["granted"], 3, "{status:#}");
    assert_eq!(status["accessGroups"].as_array().unwrap().len(), 3);
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.assert_live(3);

    world.delete("three").await;
    world.wait_gone("three").await;
    world.assert_live(0);
    let remotes = world.remote("three");
    assert!(remotes.iter().all(|one| one.status == Status::Revoked));
    world.end().await;
}

#[tokio::test]
async fn a_rejected_request_is_stalled_and_goes_without_a_revoke() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("admin", "prod-admin").await;
    world.wait_row("admin", PENDING).await;
    let id = world.only_remote("admin").id;
    world.simulator.reject(&id, Some("not today")).unwrap();
    let row = "Ready=False:Rejected Stalled=True Synced=True -> Failed";
    let found = world.wait_row("admin", row).await;
    assert_eq!(status(&found)["phase"], "Rejected");

    world.delete("admin").await;
    world.wait_gone("admin").await;
    assert_eq!(world.calls(Endpoint::Revoke), 0);
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.end().await;
}

#[tokio::test]
async fn a_grant_that_fails_is_stalled_and_goes_without_a_revoke() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("broken", "broken-grant").await;
    let row = "Ready=False:GrantFailed Stalled=True Synced=True -> Failed";
    let found = world.wait_row("broken", row).await;
    assert_eq!(status(&found)["phase"], "Failed");
    world.delete("broken").await;
    world.wait_gone("broken").await;
    assert_eq!(world.calls(Endpoint::Revoke), 0);
    world.end().await;
}

#[tokio::test]
async fn an_approval_that_takes_long_is_shown_step_by_step() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("admin", "prod-admin").await;
    let found = world.wait_row("admin", PENDING).await;
    assert_eq!(status(&found)["phase"], "Pending");
    let id = world.only_remote("admin").id;
    world.simulator.fate(&id, sticky_grant()).unwrap();
    world.simulator.approve(&id).unwrap();
    let row = "Ready=False:Granting Reconciling=True Synced=True -> InProgress";
    let found = world.wait_row("admin", row).await;
    assert_eq!(status(&found)["phase"], "Granting");
    world.simulator.fate(&id, Fate::default()).unwrap();
    world.wait_row("admin", ACTIVE).await;
    assert_eq!(world.calls(Endpoint::Create), 1);
    // Events follow the status they tell of.
    for reason in ["PendingApproval", "Granting", "Active"] {
        world.wait_event("admin", reason).await;
    }
    let reasons = world.event_reasons("admin").await;
    assert!(reasons.len() <= 5, "{reasons:?}");
    world.end().await;
}

#[tokio::test]
async fn a_second_factor_is_waited_for() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("factor", "prod-mfa").await;
    let row = "Ready=False:PendingMFA Reconciling=True Synced=True -> InProgress";
    let found = world.wait_row("factor", row).await;
    assert_eq!(status(&found)["phase"], "PendingMFA");
    let id = world.only_remote("factor").id;
    world.simulator.pass_mfa(&id).unwrap();
    world.wait_row("factor", ACTIVE).await;
    world.end().await;
}

#[tokio::test]
async fn a_refused_create_shows_the_answer_and_is_not_repeated() {
    let world = World::new(Setup::default()).await;
    let pairs = json!([{"resourceId": "res-none", "permissionId": "perm-db-read-only"}]);
    let spec = json!({"access": {"entitlements": pairs}});
    world.ask("typo", spec).await;
    let row = "Ready=False:RequestRefused Stalled=True Synced=True -> Failed";
    let found = world.wait_row("typo", row).await;
    let shown = status(&found);
    assert_eq!(shown["phase"], "Failed");
    let message = shown["message"].as_str().unwrap();
    assert!(message.contains("res-none"), "{message}");
    // The next passes say the same.
    let passes = world.operator.passes("access_request").await;
    world
        .patch("typo", json!({"metadata": {"labels": {"looked": "at"}}}))
        .await;
    world
        .operator
        .wait_passes("access_request", passes + 1.0)
        .await;
    let again = world.get("typo").await;
    assert_eq!(status(&again), shown);
    assert_eq!(world.calls(Endpoint::Create), 1);

    world.delete("typo").await;
    world.wait_gone("typo").await;
    assert_eq!(world.calls(Endpoint::Revoke), 0);
    world.end().await;
}

#[tokio::test]
async fn a_status_nobody_knows_is_shown_as_it_is_and_watched() {
    let world = World::new(Setup::default().remote(|remote| {
        let words = &mut remote.switches.request_words;
        words.insert("Active".to_owned(), "Humming".to_owned());
    }))
    .await;
    world.ask_bundle("odd", "prod-read").await;
    let row = "Ready=Unknown:UnknownStatus Reconciling=True Synced=True -> InProgress";
    let found = world.wait_row("odd", row).await;
    let shown = status(&found);
    assert_eq!(shown["phase"], "Unknown");
    assert_eq!(shown["requests"][0]["status"], "Humming", "{shown:#}");
    assert!(
        shown["message"].as_str().unwrap().contains("Humming"),
        "{shown:#}"
    );
    world
        .simulator
        .set_switches(|switches| switches.request_words.clear());
    world.wait_row("odd", ACTIVE).await;
    assert_eq!(world.calls(Endpoint::Create), 1);
    world.end().await;
}

#[tokio::test]
async fn a_request_for_somebody_else_lives_whether_or_not_the_own_route_shows_it() {
    use apono_simulator::switches::Visibility::{Hidden, Visible};
    for shown in [Hidden, Visible] {
        let world = World::new(Setup::default().remote(|remote| {
            remote.switches.delegated_get = shown;
            remote.switches.delegated_entitlements = shown;
        }))
        .await;
        let access = json!({"bundle": "prod-read"});
        let spec = json!({"access": access, "grantee": "alex@example.com", "justification": "x"});
        world.ask("theirs", spec).await;
        let what = "Active, and for whom";
        let found = world.wait_for("theirs", what, |found| {
            row(found) == ACTIVE && !status(found)["grantee"].is_null()
        });
        let status = status(&found.await);
        assert_eq!(status["grantee"]["sourceId"], "alex@example.com");
        assert_eq!(status["requests"][0]["api"], "Delegated", "{status:#}");
        assert_eq!(world.only_remote("theirs").grantee, "alex@example.com");
        world.delete("theirs").await;
        world.wait_gone("theirs").await;
        world.assert_live(0);
        world.end().await;
    }
}
