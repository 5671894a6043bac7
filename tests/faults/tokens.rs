//! Tokens: refused, rotated, somebody else's. A token is a user, and what another user cannot see
//! is not gone.

use std::time::Duration;

use apono_simulator::{Action, DEFAULT_USER, Endpoint, Fault, Outside, User, When};
use kube::api::ListParams;
use serde_json::json;

use crate::{
    helpers::{REPEAT, WINDOW, next_create, setup, within},
    support::{CONNECTION, Setup, World},
};

const OTHER: &str = "other@example.com";
const OTHERS_TOKEN: &str = "canary-of-somebody-else";

/// A remote with a second user, who has a request of his own.
fn two_users() -> Setup {
    setup().remote(|remote| remote.users.push(User::new(OTHER, OTHERS_TOKEN)))
}

fn ask_as_the_other(world: &World) {
    let outside = Outside {
        requestor: OTHER.into(),
        bundle: Some("prod-read".into()),
        ..Outside::default()
    };
    world.simulator.create(outside).unwrap();
}

/// Who a token is can be told once it has asked for something and that was listed.
async fn know_the_user(world: &World) {
    world.ask_bundle("earlier", "prod-read").await;
    world.wait_reason("earlier", "Active").await;
    world.more_polls(3).await;
}

/// Gives the connection another token, and has it looked at now.
async fn swap(world: &World, token: &str) {
    world.store_token(CONNECTION, token).await;
    let touch = json!({"metadata": {"annotations": {"touched": format!("{token:.12}")}}});
    let how = kube::api::PatchParams::default();
    let touch = kube::api::Patch::Merge(touch);
    let connections = world.cluster.connections();
    connections.patch(CONNECTION, &how, &touch).await.unwrap();
}

fn live_of(world: &World, user: &str) -> usize {
    let all = world.simulator.requests();
    all.iter()
        .filter(|one| one.requestor == user && !one.status.is_terminal())
        .count()
}

#[tokio::test]
async fn what_another_user_cannot_see_is_not_taken_for_done() {
    let world = World::new(two_users()).await;
    ask_as_the_other(&world);
    world.ask_bundle("orders", "prod-read").await;
    world.wait_reason("orders", "Active").await;
    swap(&world, OTHERS_TOKEN).await;
    // Until then the deletion would still revoke with the first token, and rightly so.
    within(REPEAT, "the other's token in use", async || {
        let status = world.connection_status(CONNECTION).await;
        let user = &status["identity"]["sourceId"];
        if user == OTHER {
            Ok(())
        } else {
            Err(format!("{status:#}"))
        }
    })
    .await;
    world.delete("orders").await;
    let found = world
        .reason_within(3 * REPEAT, "orders", "RemoteNotFound")
        .await;
    let message = found.status.unwrap().message.unwrap();
    let id = world.remote("orders")[0].id.clone();
    assert!(message.contains(&id), "{message}");
    assert!(message.contains("token"), "what to do: {message}");
    assert_eq!(live_of(&world, DEFAULT_USER), 1);

    swap(&world, &world.token).await;
    world.gone_within(3 * REPEAT, "orders").await;
    assert_eq!(live_of(&world, DEFAULT_USER), 0);
    assert_eq!(live_of(&world, OTHER), 1, "his own is not ours to revoke");
    world.only_remote("orders");
    assert!(!world.operator.log().text().contains(OTHERS_TOKEN));
    world.end().await;
}

#[tokio::test]
async fn a_lost_create_is_not_repeated_by_another_user() {
    let world = World::new(two_users()).await;
    ask_as_the_other(&world);
    know_the_user(&world).await;
    let when = When::After;
    world.simulator.arm(next_create(Action::Hang { when }));
    world.ask_bundle("orders", "prod-read").await;
    world.executed_creates(3).await;
    swap(&world, OTHERS_TOKEN).await;
    tokio::time::sleep(REPEAT + WINDOW).await;
    assert_eq!(world.calls(Endpoint::Create), 2, "{}", world.last_words());
    world.only_remote("orders");

    swap(&world, &world.token).await;
    world.reason_within(REPEAT, "orders", "Active").await;
    world.only_remote("orders");
    world.end().await;
}

#[tokio::test]
async fn what_was_lost_is_not_let_go_because_another_user_cannot_find_it() {
    let world = World::new(two_users()).await;
    ask_as_the_other(&world);
    know_the_user(&world).await;
    let when = When::After;
    world.simulator.arm(next_create(Action::Hang { when }));
    world.ask_bundle("orders", "prod-read").await;
    world.executed_creates(3).await;
    swap(&world, OTHERS_TOKEN).await;
    world.delete("orders").await;
    tokio::time::sleep(2 * WINDOW).await;
    assert!(world.find("orders").await.is_some());

    swap(&world, &world.token).await;
    world.gone_within(REPEAT, "orders").await;
    assert!(world.only_remote("orders").status.is_terminal());
    world.end().await;
}

#[tokio::test]
async fn a_refused_token_is_not_tried_again_and_a_new_one_is_enough() {
    let world = World::new(setup()).await;
    world.ask_bundle("before", "prod-read").await;
    world.wait_reason("before", "Active").await;
    let new = format!("{}-rotated", world.token);
    world
        .simulator
        .set_tokens(DEFAULT_USER, vec![new.clone()])
        .unwrap();
    world
        .wait_connection(CONNECTION, "False", "Unauthorized")
        .await;
    let refused = world.simulator.calls().len();
    for name in ["a", "b", "c"] {
        world.ask_bundle(name, "prod-read").await;
    }
    world.delete("before").await;
    // What cannot be taken back now is owed: it tries the token once, for itself.
    world.wait_gone("before").await;
    // Long enough for two looks at the Secret.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let calls = world.simulator.calls();
    let more = calls.len() - refused;
    assert_eq!(more, 1, "{:#?}", &calls[refused..]);
    assert!(!world.only_remote("before").status.is_terminal());

    world.store_token(CONNECTION, &new).await;
    for name in ["a", "b", "c"] {
        world.wait_reason(name, "Active").await;
        world.only_remote(name);
    }
    within(REPEAT, "the debt is paid", async || {
        let left = world.cluster.debts().list(&ListParams::default()).await;
        let left = left.unwrap().items;
        left.is_empty()
            .then_some(())
            .ok_or_else(|| format!("{left:#?}"))
    })
    .await;
    world.assert_live(3);
    assert!(!world.operator.log().text().contains(&new));
    world.end().await;
}

#[tokio::test]
async fn a_new_token_that_is_wrong_too_is_tried_once() {
    let world = World::new(setup()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_reason("orders", "Active").await;
    let owner = DEFAULT_USER;
    let new = format!("{}-rotated", world.token);
    let tokens = vec![new.clone()];
    world.simulator.set_tokens(owner, tokens).unwrap();
    world
        .wait_connection(CONNECTION, "False", "Unauthorized")
        .await;
    let before = world.simulator.calls().len();
    world.store_token(CONNECTION, "wrong-as-well").await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(world.simulator.calls().len(), before + 1);
    world.store_token(CONNECTION, &new).await;
    world.wait_connection(CONNECTION, "True", "Ready").await;
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    assert!(!world.operator.log().text().contains("wrong-as-well"));
    world.end().await;
}

/// An answer in which the remote repeats the token it was called with.
fn echo(status: u16, token: &str, when: When) -> Action {
    Action::Answer {
        status,
        retry_after: None,
        body: Some(format!(
            r#"{{"code":"Bad","message":"Authorization: Bearer {token}"}}"#
        )),
        when,
    }
}

#[tokio::test]
async fn no_error_shows_a_token_even_if_the_remote_repeats_it() {
    let world = World::new(setup()).await;
    world.ask_bundle("leaving", "prod-read").await;
    world.wait_reason("leaving", "Active").await;
    let token = world.token.clone();
    let revoke = echo(403, &token, When::Before);
    world
        .simulator
        .arm(Fault::new(revoke).at(Endpoint::Revoke).times(2));
    world.delete("leaving").await;
    world.wait_reason("leaving", "RevokeFailed").await;

    let refused = [("bad", 400), ("forbidden", 403), ("missing", 404)];
    let lost = [("broken", 500), ("late", 504), ("slow", 408)];
    for (name, status) in refused.into_iter().chain(lost) {
        let made = world.calls(Endpoint::Create);
        let fault = echo(status, &token, When::Before);
        world.simulator.arm(next_create(fault));
        world.ask_bundle(name, "prod-read").await;
        world.wait_calls(Endpoint::Create, made + 1).await;
    }
    for (name, _) in refused {
        world.wait_reason(name, "RequestRefused").await;
    }
    for (name, _) in lost {
        world.wait_reason(name, "Recovering").await;
    }
    world.token_is_nowhere().await;
    for endpoint in [Endpoint::List, Endpoint::Entitlements, Endpoint::Get] {
        let fault = echo(500, &token, When::Before);
        world.simulator.arm(Fault::new(fault).at(endpoint).times(9));
    }
    world.more_polls(12).await;
    world.token_is_nowhere().await;

    // And while it is refused.
    let new = format!("{token}-rotated");
    let users = vec![new.clone()];
    world.simulator.set_tokens(DEFAULT_USER, users).unwrap();
    world
        .wait_connection(CONNECTION, "False", "Unauthorized")
        .await;
    world.token_is_nowhere().await;
    world.store_token(CONNECTION, &new).await;
    world.gone_within(REPEAT, "leaving").await;
    for (name, _) in lost {
        world.reason_within(REPEAT, name, "Active").await;
        world.only_remote(name);
    }
    world.end().await;
}
