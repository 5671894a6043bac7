//! Connections in use: held while something asked for through them may be live, and the copy of a
//! token that goes with that.

use apono_simulator::DEFAULT_USER;
use kube::ResourceExt as _;

use crate::{
    helpers::ACTIVE,
    support::{CONNECTION, Setup, World, eventually},
};

#[tokio::test]
async fn a_connection_in_use_stays_until_the_last_request_has_been_taken_back() {
    let world = World::new(Setup::default()).await;
    world.wait_connection(CONNECTION, "True", "Ready").await;
    let connection = world.cluster.connections().get(CONNECTION).await.unwrap();
    assert!(connection.finalizers().is_empty(), "nothing was asked yet");
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    let connection = world.cluster.connections().get(CONNECTION).await.unwrap();
    assert_eq!(connection.finalizers(), ["access.apono.io/in-use"]);

    world.disconnect(CONNECTION).await;
    let followed = "Ready=True:Active Synced=False -> Current";
    // Until the operator has seen the deletion, it asks.
    world.wait_row("orders", followed).await;
    world.ask_bundle("late", "prod-read").await;
    world.wait_reason("late", "ConnectionDeleting").await;
    assert!(world.remote("late").is_empty(), "asked all the same");
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.wait_disconnected().await;
    assert!(world.copies().await.is_empty(), "the copy is left");
    assert!(world.debts().await.is_empty());
    world.end().await;
}

#[tokio::test]
async fn the_copy_follows_the_token_and_serves_a_process_that_finds_no_other() {
    let mut world = World::new(Setup::default()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    let name = world.copies().await.remove(0);
    let tokens = vec!["second-token".to_owned()];
    world.simulator.set_tokens(DEFAULT_USER, tokens).unwrap();
    world.store_token(CONNECTION, "second-token").await;
    eventually("the copy is the new token", async || {
        let copy = world.secret(&name).await.unwrap();
        let text = crate::support::text(&copy, "token");
        (text == "second-token")
            .then_some(())
            .ok_or_else(|| world.last_words())
    })
    .await;
    world.operator.kill();
    world.remove_token().await;
    world.operator.start();
    world
        .wait_connection(CONNECTION, "False", "SecretNotFound")
        .await;
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    assert!(world.debts().await.is_empty(), "taken back in time");
    world.end().await;
}
