//! The life of a request through the admin API: lists without pages or dates, and revokes that go
//! out together.

use apono_simulator::{
    Action, Endpoint, Fault, Status, When,
    switches::{
        BulkOdd, ListOrder, Switches, V3DetailsEarly, V3Flows, V3Others, V3Requestor, Visibility,
    },
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    ACTIVE, EXPIRED, PENDING, status,
    support::{Setup, World, eventually, keys},
};

const GRANTEE: &str = "alex@example.com";
const LOST: Action = Action::Drop { when: When::After };

pub(crate) fn setup(change: impl FnOnce(&mut Switches)) -> Setup {
    Setup::default().remote(|remote| {
        remote.switches.v3_others = V3Others::Anyone;
        change(&mut remote.switches);
    })
}

pub(crate) fn spec(permission: &str) -> Value {
    let target = json!({
        "integration": "int-postgres-prod", "resourceType": "postgresql-database",
        "resources": ["res-orders", "res-billing"], "permissions": [permission]
    });
    json!({
        "access": {"integration": target}, "grantee": GRANTEE, "duration": "1h",
        "justification": "stuck orders"
    })
}

const SECRET: &str = "orders-db";

fn spec_with_credentials() -> Value {
    let mut spec = spec("ReadOnly");
    spec["credentials"] = json!({"secretName": SECRET});
    spec
}

/// The delivered text, which must hold the password that works.
async fn delivered(world: &World) -> String {
    eventually("the password that works is delivered", async || {
        let found = world.get("orders").await;
        let shown = status(&found)["credentials"].clone();
        let words = format!("{shown:#}\n{}", world.last_words());
        let secret = world.secret(SECRET).await.ok_or_else(|| words.clone())?;
        let request = world.only_remote("orders").id;
        let session = world.simulator.sessions_of(&request).into_iter().next();
        let password = session.and_then(|one| one.password().map(str::to_owned));
        let password = password.ok_or_else(|| words.clone())?;
        let details = secret.data.as_ref().and_then(|all| all.get("details"));
        let details = details.map(|one| String::from_utf8_lossy(&one.0).into_owned());
        let works = |details: &String| details.contains(&password);
        let details = details.filter(works);
        details
            .filter(|_| shown["state"] == "Delivered")
            .ok_or(words)
    })
    .await
}

#[tokio::test]
async fn its_credentials_are_read_once_and_reset_when_asked() {
    let allow = json!({"allow": {"credentialsForOthers": true}});
    let world = World::new(setup(|_| ()).connection(allow)).await;
    world.ask("orders", spec_with_credentials()).await;
    let first = delivered(&world).await;
    let found = world.wait_row("orders", ACTIVE).await;
    let shown = status(&found)["credentials"].clone();
    let session = &shown["sessions"][0];
    assert_eq!(session["id"], world.only_remote("orders").id.as_str());
    let stored = world.secret(SECRET).await.unwrap();
    assert_eq!(keys(&stored), ["details", "expires"]);
    let uses = || world.simulator.session_uses(&world.session("orders").id);
    assert_eq!((uses().consuming_reads, uses().later_reads), (1, 0));

    // At rest nothing is called for it.
    world.more_polls(5).await;
    assert_eq!(world.calls(Endpoint::V3Details), 1);
    assert_eq!(world.calls(Endpoint::V3Reset), 0);

    let please = json!({"metadata": {"annotations": {"access.apono.io/reset-credentials": "1"}}});
    world.patch("orders", please).await;
    world.wait_calls(Endpoint::V3Reset, 1).await;
    let second = delivered(&world).await;
    assert_ne!(first, second);
    world.wait_row("orders", ACTIVE).await;
    world.more_polls(5).await;
    assert_eq!(world.calls(Endpoint::V3Reset), 1);
    assert_eq!(world.calls(Endpoint::V3Details), 2);
    assert_eq!((uses().consuming_reads, uses().resets), (2, 1));
    // The sessions of the newer API are its own user's.
    for endpoint in [
        Endpoint::ListSessions,
        Endpoint::GetSession,
        Endpoint::SessionDetails,
        Endpoint::ResetSession,
    ] {
        assert_eq!(world.calls(endpoint), 0, "{endpoint:?}");
    }

    world.passwords_are_nowhere().await;
    world.delete("orders").await;
    world.wait_gone("orders").await;
    eventually("the Secret is gone", async || {
        let left = world.secret(SECRET).await;
        left.map_or(Ok(()), |left| Err(format!("{:?}", keys(&left))))
    })
    .await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn its_credentials_are_those_of_somebody_else() {
    let world = World::new(setup(|_| ())).await;
    world.ask("orders", spec_with_credentials()).await;
    let row = "Ready=False:NotAllowed Stalled=True Synced=False -> Failed";
    let found = world.wait_row("orders", row).await;
    let told = status(&found)["message"].to_string();
    assert!(
        told.contains("spec.allow.credentialsForOthers: true"),
        "{told}"
    );
    for endpoint in [
        Endpoint::V3Create,
        Endpoint::V3Details,
        Endpoint::SelectableIntegrations,
        Endpoint::SelectableResources,
    ] {
        assert_eq!(world.calls(endpoint), 0, "{endpoint:?}");
    }
    assert!(world.secret(SECRET).await.is_none());
    world.end().await;
}

#[tokio::test]
async fn details_that_come_late_are_waited_for_and_reset_nothing() {
    for early in [
        V3DetailsEarly::BadRequest,
        V3DetailsEarly::NotFound,
        V3DetailsEarly::Conflict,
        V3DetailsEarly::Empty,
    ] {
        let allow = json!({"allow": {"credentialsForOthers": true}});
        let setup = setup(|switches| switches.v3_details_early = early).connection(allow);
        let world = World::new(setup.remote(|remote| {
            remote.delays.session = SignedDuration::from_secs(4);
        }))
        .await;
        world.ask("orders", spec_with_credentials()).await;
        // Too early at least once, and not in the way of the access.
        world.wait_calls(Endpoint::V3Details, 1).await;
        let request = world.only_remote("orders").id;
        assert!(
            world.simulator.sessions_of(&request).is_empty(),
            "{early:?}"
        );
        delivered(&world).await;
        assert_eq!(world.calls(Endpoint::V3Reset), 0, "{early:?}");
        assert!(world.calls(Endpoint::V3Details) >= 2, "{early:?}");
        let uses = world.simulator.session_uses(&world.session("orders").id);
        assert_eq!((uses.consuming_reads, uses.resets), (1, 0), "{early:?}");
        world.end().await;
    }
}

/// What no bulk revoke is asked to do twice.
fn bulk_revokes(world: &World) -> usize {
    world.calls(Endpoint::V3BulkRevoke)
}

async fn active(world: &World, name: &str) -> Value {
    status(&world.wait_row(name, ACTIVE).await)
}

#[tokio::test]
async fn it_becomes_active_says_what_it_gives_and_goes_by_a_bulk_revoke() {
    // Whatever the newer API shows of it.
    for shown in [Visibility::Visible, Visibility::Hidden] {
        let world = World::new(setup(|switches| switches.v3_made_on_v4 = shown)).await;
        world.ask_bundle("beside", "prod-read").await;
        world.ask("orders", spec("ReadOnly")).await;
        let status = active(&world, "orders").await;
        world.wait_row("beside", ACTIVE).await;
        let remote = world.only_remote("orders");
        assert_eq!(remote.grantee, GRANTEE);
        assert_eq!(remote.duration_in_sec, Some(3600));
        assert!(remote.justification.unwrap().ends_with("] stuck orders"));
        let request = &status["requests"][0];
        assert_eq!(request["id"], remote.id.as_str());
        assert_eq!(request["friendlyId"], remote.friendly_id.as_str());
        assert_eq!(request["api"], "AdminV3");
        assert_eq!(request["status"], "GRANTED");
        assert_eq!(request["endsAtEstimated"], true);
        assert_eq!(status["endsAt"], request["endsAt"]);
        let end: jiff::Timestamp = status["endsAt"].as_str().unwrap().parse().unwrap();
        let off = end.duration_since(remote.planned_end.unwrap());
        // Whole seconds, and a little late at most.
        assert!((-1..60).contains(&off.as_secs()), "{off:?}");
        assert!(
            status["message"]
                .as_str()
                .unwrap()
                .starts_with("until about ")
        );
        let summary =
            json!({"total": 2, "granted": 2, "pending": 0, "failed": 0, "truncated": false});
        assert_eq!(status["entitlementSummary"], summary);
        let first = json!({
            "integration": {"id": "int-postgres-prod"}, "permission": "ReadOnly",
            "resource": {"id": "res-billing", "type": "postgresql-database"}, "status": "Granted"
        });
        assert_eq!(status["entitlements"][0], first, "{status:#}");
        assert_eq!(status["grantee"]["sourceId"], GRANTEE);
        assert_eq!(status["accessGroups"].as_array().unwrap().len(), 1);
        assert_eq!(status["requests"].as_array().unwrap().len(), 1);

        // It stays so, whichever lists are read.
        world.more_polls(5).await;
        let again = crate::status(&world.get("orders").await);
        assert_eq!(again, status);
        world.delete("orders").await;
        world.wait_gone("orders").await;
        assert_eq!(world.only_remote("orders").status, Status::Revoked);
        assert_eq!(bulk_revokes(&world), 1);
        assert_eq!(world.calls(Endpoint::Revoke), 0);
        assert_eq!(world.calls(Endpoint::V3Create), 1);
        world.wait_row("beside", ACTIVE).await;
        world.end().await;
    }
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_found_by_its_mark() {
    let world = World::new(setup(|_| ())).await;
    let fault = Fault::new(LOST).at(Endpoint::V3Create).once();
    world.simulator.arm(fault);
    world.ask("orders", spec("ReadOnly")).await;
    let status = active(&world, "orders").await;
    let remote = world.only_remote("orders");
    assert_eq!(status["requests"][0]["id"], remote.id.as_str());
    assert_eq!(status["requests"][0]["adopted"], true);
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    assert_eq!(world.calls(Endpoint::V3Create), 1);
    world.end().await;
}

#[tokio::test]
async fn a_list_that_is_refused_or_cut_short_proves_nothing() {
    type Way = fn(&World);
    let refused = |world: &World| {
        let action = Action::Answer {
            status: 403,
            retry_after: None,
            body: None,
            when: When::Before,
        };
        world.simulator.arm(Fault::new(action).at(Endpoint::V3List));
    };
    let cut = |world: &World| {
        let cut = |switches: &mut Switches| switches.v3_list_cut = Some(0);
        world.simulator.set_switches(cut);
    };
    let ways: [(Way, &str); 2] = [(refused, "403"), (cut, "cut short")];
    for (way, told) in ways {
        let world = World::new(setup(|_| ())).await;
        world
            .simulator
            .arm(Fault::new(LOST).at(Endpoint::V3Create).once());
        way(&world);
        world.ask("orders", spec("ReadOnly")).await;
        let what = "it says why it cannot look";
        let found = world.wait_for("orders", what, |found| {
            status(found)["message"]
                .as_str()
                .is_some_and(|text| text.contains(told))
        });
        assert_eq!(status(&found.await)["reason"], "Recovering");
        // Long past the time at which a look would be conclusive, nothing was asked again.
        world.wait_calls(Endpoint::V3List, 4).await;
        assert_eq!(world.calls(Endpoint::V3Create), 1);
        world.simulator.clear_faults();
        world
            .simulator
            .set_switches(|switches| switches.v3_list_cut = None);
        active(&world, "orders").await;
        assert_eq!(world.calls(Endpoint::V3Create), 1);
        world.end().await;
    }
}

#[tokio::test]
async fn what_is_taken_back_elsewhere_is_upstream_if_an_end_was_planned() {
    let world = World::new(setup(|_| ())).await;
    world.ask("planned", spec("ReadOnly")).await;
    let mut open = spec("ReadOnly");
    open.as_object_mut().unwrap().remove("duration");
    world.ask("open", open).await;
    for name in ["planned", "open"] {
        active(&world, name).await;
        let id = world.only_remote(name).id;
        world.simulator.revoke(&id).unwrap();
    }
    let row = "Ready=False:RevokedUpstream Stalled=True Synced=True -> Failed";
    let found = world.wait_row("planned", row).await;
    assert_eq!(status(&found)["requests"][0]["status"], "EXPIRED");
    assert_eq!(status(&found)["entitlements"][0]["status"], "Revoked");
    // Without a duration nobody here knows when it was to end.
    let found = world.wait_row("open", EXPIRED).await;
    assert_eq!(status(&found)["endsAt"], Value::Null);
    for name in ["planned", "open"] {
        world.delete(name).await;
        world.wait_gone(name).await;
    }
    assert_eq!(bulk_revokes(&world), 0);
    world.end().await;
}

#[tokio::test]
async fn it_waits_for_people_is_rejected_or_cancelled() {
    let setup = setup(|switches| switches.v3_requestor = V3Requestor::User);
    let world = World::new(setup.remote(|remote| remote.users[0].admin = true)).await;
    world.ask("no", spec("ReadWrite")).await;
    world.ask("never-mind", spec("ReadWrite")).await;
    for name in ["no", "never-mind"] {
        let found = world.wait_row(name, PENDING).await;
        assert_eq!(status(&found)["requests"][0]["status"], "PENDING");
        assert_eq!(status(&found)["entitlementSummary"]["pending"], 2);
    }
    let id = world.only_remote("no").id;
    world.simulator.reject(&id, None).unwrap();
    let row = "Ready=False:Rejected Stalled=True Synced=True -> Failed";
    world.wait_row("no", row).await;
    world.delete("never-mind").await;
    world.wait_gone("never-mind").await;
    assert_eq!(bulk_revokes(&world), 1);
    world.delete("no").await;
    world.wait_gone("no").await;
    assert_eq!(bulk_revokes(&world), 1);
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn a_grant_that_failed_is_said_and_goes() {
    for odd in [BulkOdd::Ignore, BulkOdd::Refuse] {
        let world = World::new(setup(|switches| switches.bulk_ended = odd)).await;
        let mut broken = spec("BreakGlass");
        let target = &mut broken["access"]["integration"];
        target["integration"] = json!("int-bucket-store");
        target["resourceType"] = json!("object-bucket");
        target["resources"] = json!(["res-exports"]);
        world.ask("broken", broken).await;
        let row = "Ready=False:GrantFailed Stalled=True Synced=True -> Failed";
        let found = world.wait_row("broken", row).await;
        assert_eq!(status(&found)["entitlements"][0]["status"], "Failure");
        world.delete("broken").await;
        world.wait_gone("broken").await;
        let reasons = world.event_reasons("broken").await;
        assert!(!reasons.contains(&"RevokeFailed".to_owned()), "{reasons:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn a_refused_create_is_not_repeated() {
    let world = World::new(setup(|switches| switches.v3_others = V3Others::Nobody)).await;
    world.ask("orders", spec("ReadOnly")).await;
    let row = "Ready=False:RequestRefused Stalled=True Synced=True -> Failed";
    let found = world.wait_row("orders", row).await;
    let told = status(&found)["message"].clone();
    assert!(told.as_str().unwrap().contains("403"), "{told}");
    world.delete("orders").await;
    world.wait_gone("orders").await;
    assert_eq!(world.calls(Endpoint::V3Create), 1);
    world.end().await;
}

#[tokio::test]
async fn what_one_create_makes_beside_the_one_it_answers_is_owned_too() {
    let setup = setup(|switches| {
        switches.v3_flows = V3Flows::AnswerFirst;
        switches.v3_requestor = V3Requestor::User;
        switches.list_order = ListOrder::Shuffled;
    });
    let world = World::new(setup.remote(|remote| remote.users[0].admin = true)).await;
    let mut two = spec("ReadOnly");
    two["access"]["integration"]["permissions"] = json!(["ReadOnly", "ReadWrite"]);
    world.ask("two", two).await;
    let what = "both are owned";
    let found = world.wait_for("two", what, |found| {
        let all = &status(found)["requests"];
        all.as_array().is_some_and(|all| all.len() == 2)
    });
    found.await;
    world.delete("two").await;
    world.wait_gone("two").await;
    world.assert_live(0);
    assert_eq!(world.calls(Endpoint::V3Create), 1);
    world.end().await;
}
