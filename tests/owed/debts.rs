//! Debts: how they come about, how they are paid, and how they are given up.

use apono_simulator::{Action, DEFAULT_USER, Fate, Fault, Status, When, catalogue::RevokeFate};
use kube::{ResourceExt as _, api::DeleteParams};
use serde_json::json;

use crate::{
    helpers::{ACTIVE, hasty},
    support::{CONNECTION, Setup, World},
};

/// The remote answers nobody.
fn down(world: &World) {
    world.simulator.arm(Fault::new(Action::Answer {
        status: 503,
        retry_after: None,
        body: None,
        when: When::Before,
    }));
}

#[tokio::test]
async fn a_refused_token_leaves_a_debt_that_is_paid_when_the_token_is_back() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    let others = vec!["somebody-elses".to_owned()];
    world.simulator.set_tokens(DEFAULT_USER, others).unwrap();
    world
        .wait_connection(CONNECTION, "False", "Unauthorized")
        .await;

    world.delete("orders").await;
    let debt = world.wait_debt("orders", "Unauthorized").await;
    world.wait_event("orders", "RevocationOwed").await;
    let id = world.only_remote("orders").id;
    assert_eq!(debt.spec.requests[0].id, id);
    assert_eq!(debt.spec.origin.namespace, world.cluster.namespace);
    world.wait_standing(&debt.name_any(), "Unauthorized").await;
    world.assert_live(1);
    let counted = "apono_operator_owed_revocations{reason=\"Unauthorized\"} 1";
    world.operator.shows(counted).await;

    let tokens = vec!["new-token".to_owned()];
    world.simulator.set_tokens(DEFAULT_USER, tokens).unwrap();
    world.store_token(CONNECTION, "new-token").await;
    world.wait_paid().await;
    assert_eq!(world.only_remote("orders").status, Status::Revoked);
    world.assert_live(0);
    let counted = "apono_operator_owed_revocations_ended_total{how=\"paid\"} 1";
    world.operator.shows(counted).await;
    world.end().await;
}

#[tokio::test]
async fn a_connection_that_was_torn_out_leaves_a_debt_that_the_copy_of_its_token_pays() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    assert_eq!(world.copies().await.len(), 1);
    world.remove_token().await;
    world.tear_out_connection().await;
    world.wait_reason_of("orders", "ConnectionNotFound").await;
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.wait_paid().await;
    world.assert_live(0);
    assert!(world.copies().await.is_empty(), "the copy is left");
    world.end().await;
}

#[tokio::test]
async fn a_remote_that_is_down_past_the_deadline_leaves_a_debt() {
    let world = World::new(hasty()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    down(&world);
    world.delete("orders").await;
    let debt = world.wait_debt("orders", "ApiUnavailable").await;
    world.assert_live(1);
    world
        .wait_standing(&debt.name_any(), "ApiUnavailable")
        .await;
    world.simulator.clear_faults();
    world.wait_paid().await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn a_revoke_that_fails_past_the_deadline_leaves_a_debt_that_is_tried_on() {
    let setup = hasty().remote(|remote| remote.switches.revoke_retry = true);
    let world = World::new(setup).await;
    world.ask_bundle("stuck", "stuck-revoke").await;
    world.wait_row("stuck", ACTIVE).await;
    world.delete("stuck").await;
    let debt = world.wait_debt("stuck", "RevokeFailed").await;
    assert_eq!(debt.spec.requests[0].was_access, Some(true));
    world.wait_standing(&debt.name_any(), "RevokeFailed").await;
    world.assert_live(1);
    let id = world.only_remote("stuck").id;
    let fate = Fate {
        revoke: RevokeFate::default(),
        ..Fate::default()
    };
    world.simulator.fate(&id, fate).unwrap();
    world.wait_paid().await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn a_debt_outlives_restarts_and_deleting_it_changes_nothing_until_it_is_written_off() {
    let mut world = World::new(hasty()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    down(&world);
    world.delete("orders").await;
    let debt = world.wait_debt("orders", "ApiUnavailable").await.name_any();
    for _ in 0..2 {
        world.operator.kill();
        world.operator.start();
        world.operator.ready().await;
    }
    let deletion = DeleteParams::default();
    world.owed().delete(&debt, &deletion).await.unwrap();
    world.operator.more_passes("owed_revocation", 2).await;
    let found = world.owed().get(&debt).await.unwrap();
    assert!(found.metadata.deletion_timestamp.is_some());
    assert_eq!(found.spec.requests.len(), 1);

    let off = json!({"by": "dana@example.com", "reason": "revoked by hand"});
    world.write_off(&debt, off).await;
    world.wait_paid().await;
    world.assert_live(1);
    let counted = "apono_operator_owed_revocations_ended_total{how=\"written_off\"} 1";
    world.operator.shows(counted).await;
    world.wait_event(&debt, "WrittenOff").await;
    world.simulator.clear_faults();
    world.end().await;
}
