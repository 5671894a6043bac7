//! The life of what is owed: access whose token is refused when its resource is deleted is handed
//! over to a debt; the token is replaced; the connection and its Secret go; the debt is paid with the
//! copy of the token that was kept for it.

use apono_operator::crd::OwedRevocation;
use apono_simulator::{DEFAULT_USER, Status};
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::{
    life::{Life, NAME, is_held},
    support::{CONNECTION, World, text},
};

/// The token that replaces the one that is refused.
const NEW_TOKEN: &str = "canary-the-new-token";

/// Lives it, and judges it.
pub async fn live(life: &mut Life) {
    let access = json!({"bundle": "prod-read"});
    life.world.ask(NAME, json!({"access": access})).await;
    let id = life.asked(1).await.remove(0).id;
    life.world.simulator.route(&id).unwrap();
    life.world.simulator.activate(&id).unwrap();
    life.reason("Active").await;
    knows_what_it_made(life).await;
    is_handed_over(life, &id).await;
    is_taken_back(life, &id).await;
    loses_the_connection(life).await;
    life.world.simulator.finish_revoke(&id).unwrap();
    is_paid(life).await;
}

/// After a crash the request may be found before it is sure that it is all there is. What is still
/// looked for when the resource goes is looked for by the debt, for a day.
pub async fn knows_what_it_made(life: &mut Life) {
    life.until("no open question", async |world| {
        let found = serde_json::to_value(world.get(NAME).await.status).unwrap();
        let posts = found["attempt"]["posts"].as_array().cloned();
        let posts = posts.unwrap_or_default();
        let is_settled = |one: &Value| one["outcome"].is_string() && one["outcome"] != "Open";
        let is_so = !posts.is_empty() && posts.iter().all(is_settled);
        is_so.then_some(()).ok_or_else(|| format!("{found:#}"))
    })
    .await;
}

async fn is_handed_over(life: &mut Life, id: &str) {
    let others = vec!["somebody-elses".to_owned()];
    let replaced = life.world.simulator.set_tokens(DEFAULT_USER, others);
    replaced.unwrap();
    connection_is(life, "Unauthorized").await;
    life.delete().await;
    life.until("the resource is gone", async |world| {
        let found = world.find(NAME).await;
        found.map_or(Ok(()), |found| Err(format!("{:#?}", found.metadata)))
    })
    .await;
    let id = id.to_owned();
    life.until("a debt that says why it stands", async |world| {
        let all = debts(world).await;
        let is_so = |one: &OwedRevocation| {
            let status = one.status.as_ref();
            let mut conditions = status.into_iter().flat_map(|status| &status.conditions);
            one.spec.reason == "Unauthorized"
                && one.spec.requests.iter().any(|one| one.id == id)
                && conditions.any(|one| one.type_ == "Ready" && one.reason == "Unauthorized")
        };
        let is_so = all.len() == 1 && all.iter().all(is_so);
        is_so.then_some(()).ok_or_else(|| format!("{all:#?}"))
    })
    .await;
    // A debt does not hold the connection.
    life.lets_the_connection_go().await;
}

async fn is_taken_back(life: &mut Life, id: &str) {
    let tokens = vec![NEW_TOKEN.to_owned()];
    let replaced = life.world.simulator.set_tokens(DEFAULT_USER, tokens);
    replaced.unwrap();
    life.world.store_token(CONNECTION, NEW_TOKEN).await;
    connection_is(life, "Ready").await;
    life.until("the copy of the new token", async |world| {
        let copies = copies(world).await;
        let is_so = copies.len() == 1 && copies.iter().all(|copy| copy == NEW_TOKEN);
        is_so.then_some(()).ok_or_else(|| "another".to_owned())
    })
    .await;
    let id = id.to_owned();
    life.until("what is owed is being taken back", async |world| {
        let all = world.remote(NAME);
        let is_so = all
            .iter()
            .any(|one| one.id == id && one.status == Status::Revoking);
        is_so.then_some(()).ok_or_else(|| format!("{all:#?}"))
    })
    .await;
}

/// What the debt needs it has a copy of.
async fn loses_the_connection(life: &mut Life) {
    life.world.disconnect(CONNECTION).await;
    let how = DeleteParams::default();
    let deleted = life.world.secrets().delete(CONNECTION, &how).await;
    deleted.unwrap();
    life.until("the connection is gone", async |world| {
        let found = world.cluster.connections().get_opt(CONNECTION).await;
        let found = found.unwrap();
        found.map_or(Ok(()), |found| Err(format!("{:#?}", found.metadata)))
    })
    .await;
}

async fn is_paid(life: &mut Life) {
    life.until("the debt is paid", async |world| {
        let all = debts(world).await;
        let is_so = all.is_empty();
        is_so.then_some(()).ok_or_else(|| format!("{all:#?}"))
    })
    .await;
    // At this very moment, not some time later.
    life.world.assert_live(0);
    life.until("the copy of the token is gone", async |world| {
        let count = copies(world).await.len();
        (count == 0).then_some(()).ok_or_else(|| count.to_string())
    })
    .await;
}

/// The whole of what the remote saw, and what is left.
pub fn judge(world: &World) {
    let states = world.remote_states();
    assert_eq!(states.len(), 1, "asked for twice: {states:#?}");
    world.assert_live(0);
}

/// A resource that was deleted is not let go while what it asked for is live, unless a debt that
/// cannot go either names it.
pub async fn nothing_is_forgotten(world: &World) {
    // In this order: a debt that is paid between the looks leaves nothing live for the last one.
    if world.find(NAME).await.is_some_and(|one| is_held(&one)) {
        return;
    }
    let debts = debts(world).await;
    let is_named = |id: &str| {
        let held = debts.iter().filter(|one| is_held(*one));
        let mut named = held.flat_map(|one| &one.spec.requests);
        named.any(|one| one.id == id)
    };
    for one in world.remote(NAME) {
        let is_live = !one.status.is_terminal() || one.has_access();
        assert!(
            !is_live || is_named(&one.id),
            "forgotten: {one:#?}\n{debts:#?}\n{}",
            world.last_words()
        );
    }
}

async fn connection_is(life: &mut Life, reason: &str) {
    life.until(reason, async |world| {
        let found = world.connection_status(CONNECTION).await;
        let conditions = found["conditions"].as_array().cloned().unwrap_or_default();
        let is_so = conditions
            .iter()
            .any(|one| one["type"] == "Ready" && one["reason"] == reason);
        is_so.then_some(()).ok_or_else(|| format!("{found:#}"))
    })
    .await;
}

async fn debts(world: &World) -> Vec<OwedRevocation> {
    let all = world.cluster.debts().list(&ListParams::default()).await;
    all.unwrap().items
}

/// The tokens of which a copy is kept.
async fn copies(world: &World) -> Vec<String> {
    let how = ListParams::default().labels("access.apono.io/escrow");
    let all = world.secrets().list(&how).await.unwrap();
    all.items.iter().map(|one| text(one, "token")).collect()
}
