//! Requests for somebody else, under every way in which the remote may treat them.

use apono_operator::crd::AccessRequest;
use apono_simulator::{
    Endpoint,
    switches::{ForeignId, IdForm, Switches, Visibility},
};
use serde_json::{Value, json};

use crate::{
    ACTIVE, status,
    support::{Setup, World, row},
};

const GRANTEE: &str = "alex@example.com";
const BOTH: [Visibility; 2] = [Visibility::Hidden, Visibility::Visible];
const FAILED: &str = "Ready=False:RevokeFailed Stalled=True Synced=True -> Terminating";

async fn world(change: impl FnOnce(&mut Switches)) -> World {
    World::new(Setup::default().remote(|remote| change(&mut remote.switches))).await
}

async fn ask(world: &World, bundle: &str) {
    let access = json!({"bundle": bundle});
    let spec = json!({"access": access, "grantee": GRANTEE, "justification": "on call"});
    world.ask("theirs", spec).await;
}

/// Active, and it is known for whom.
async fn active(world: &World) -> Value {
    let found = world.wait_for("theirs", "Active, and for whom", |found| {
        row(found) == ACTIVE && status(found)["grantee"]["sourceId"] == GRANTEE
    });
    status(&found.await)
}

fn message(found: &AccessRequest) -> String {
    status(found)["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn it_lives_wherever_it_is_read() {
    for own in BOTH {
        for form in [IdForm::Uuid, IdForm::ArNumber] {
            let world = world(|switches| {
                switches.delegated_get = own;
                switches.id_form = form;
            })
            .await;
            ask(&world, "prod-read").await;
            let status = active(&world).await;
            assert_eq!(status["requests"][0]["api"], "Delegated", "{status:#}");
            assert_eq!(status["requests"].as_array().unwrap().len(), 1);
            world.delete("theirs").await;
            world.wait_gone("theirs").await;
            world.assert_live(0);
            assert_eq!(world.calls(Endpoint::Create), 1);
            assert_eq!(world.calls(Endpoint::V3BulkRevoke), 0);
            world.end().await;
        }
    }
}

#[tokio::test]
async fn entitlements_that_are_not_shown_keep_nothing_from_being_active() {
    for code in [ForeignId::NotFound, ForeignId::Forbidden] {
        let world = world(|switches| {
            switches.delegated_entitlements = Visibility::Hidden;
            switches.foreign_id = code;
        })
        .await;
        ask(&world, "prod-read").await;
        let shown = active(&world).await;
        world.wait_calls(Endpoint::Entitlements, 1).await;
        world.more_polls(10).await;
        let passes = world.operator.passes("access_request").await;
        world.more_polls(10).await;
        // Unknown is not none, and is not asked for again and again.
        assert_eq!(shown["entitlementSummary"], Value::Null, "{shown:#}");
        assert_eq!(world.calls(Endpoint::Entitlements), 1);
        let more = world.operator.passes("access_request").await - passes;
        assert!(more < 0.5, "{more} passes more");
        assert_eq!(row(&world.get("theirs").await), ACTIVE);
        world.delete("theirs").await;
        world.wait_gone("theirs").await;
        world.assert_live(0);
        world.end().await;
    }
}

#[tokio::test]
async fn what_is_not_revoked_by_itself_is_revoked_together() {
    for code in [ForeignId::NotFound, ForeignId::Forbidden] {
        for form in [IdForm::Uuid, IdForm::ArNumber] {
            let world = world(|switches| {
                switches.delegated_revoke = Visibility::Hidden;
                switches.foreign_id = code;
                switches.id_form = form;
            })
            .await;
            ask(&world, "prod-read").await;
            active(&world).await;
            world.delete("theirs").await;
            world.wait_gone("theirs").await;
            world.assert_live(0);
            assert_eq!(world.calls(Endpoint::Revoke), 1);
            assert_eq!(world.calls(Endpoint::V3BulkRevoke), 1);
            let reasons = world.event_reasons("theirs").await;
            assert!(!reasons.contains(&"RevokeFailed".to_owned()), "{reasons:?}");
            world.end().await;
        }
    }
}

#[tokio::test]
async fn what_is_revoked_neither_way_is_said_and_tried_again() {
    type Change = fn(&mut Switches, Visibility);
    let ways: [(Change, &str); 2] = [
        (|switches, to| switches.bulk_delegated = to, "403"),
        (|switches, to| switches.v4_made_on_v3 = to, "404"),
    ];
    for (way, code) in ways {
        let world = world(|switches| {
            switches.delegated_revoke = Visibility::Hidden;
            way(switches, Visibility::Hidden);
        })
        .await;
        ask(&world, "prod-read").await;
        active(&world).await;
        world.delete("theirs").await;
        let found = world.wait_row("theirs", FAILED).await;
        let told = message(&found);
        assert!(told.contains("`404`") && told.contains(code), "{told}");
        world.assert_live(1);
        // Tried again, and said in the same words.
        let tried = world.calls(Endpoint::V3BulkRevoke);
        world.wait_calls(Endpoint::V3BulkRevoke, tried + 1).await;
        assert_eq!(message(&world.wait_row("theirs", FAILED).await), told);
        world
            .simulator
            .set_switches(|switches| way(switches, Visibility::Visible));
        world.wait_gone("theirs").await;
        world.assert_live(0);
        world.end().await;
    }
}

#[tokio::test]
async fn a_grant_that_failed_goes_although_nothing_says_what_it_held() {
    for revoke in BOTH {
        let world = world(|switches| {
            switches.delegated_entitlements = Visibility::Hidden;
            switches.delegated_revoke = revoke;
        })
        .await;
        ask(&world, "broken-grant").await;
        let row = "Ready=False:GrantFailed Stalled=True Synced=True -> Failed";
        world.wait_row("theirs", row).await;
        world.delete("theirs").await;
        world.wait_gone("theirs").await;
        world.end().await;
    }
}

#[tokio::test]
async fn a_lost_answer_is_found_among_those_made_for_others() {
    for own in BOTH {
        let world = world(|switches| switches.delegated_get = own).await;
        let lost = apono_simulator::Action::Drop {
            when: apono_simulator::When::After,
        };
        let fault = apono_simulator::Fault::new(lost)
            .at(Endpoint::Create)
            .once();
        world.simulator.arm(fault);
        ask(&world, "prod-read").await;
        let status = active(&world).await;
        assert_eq!(status["requests"][0]["adopted"], true, "{status:#}");
        assert_eq!(world.calls(Endpoint::Create), 1);
        world.delete("theirs").await;
        world.wait_gone("theirs").await;
        world.assert_live(0);
        world.end().await;
    }
}
