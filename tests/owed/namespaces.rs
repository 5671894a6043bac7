//! A namespace that goes with everything in it: its connection, its Secret, its requests.

use std::time::Duration;

use apono_operator::crd::OwedRevocation;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

use crate::{
    helpers::ACTIVE,
    support::{PATIENCE, Setup, World, eventually},
};

const COUNT: usize = 5;

/// A namespace for the operator alone, so that the other one can go.
async fn own_namespace(world: &mut World) -> String {
    let name = format!("{}-operator", world.cluster.namespace);
    let object = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    let namespaces: Api<Namespace> = Api::all(world.cluster.client.clone());
    let made = namespaces.create(&PostParams::default(), &object).await;
    made.unwrap();
    world.operator.set("OPERATOR_NAMESPACE", &name);
    name
}

async fn leave(world: &World, name: &str) {
    let namespaces: Api<Namespace> = Api::all(world.cluster.client.clone());
    let gone = namespaces.delete(name, &DeleteParams::background()).await;
    gone.unwrap();
}

#[tokio::test]
async fn a_namespace_goes_with_all_that_is_in_it_although_the_operator_is_killed_meanwhile() {
    let mut world = World::new(Setup::default().stopped()).await;
    let own = own_namespace(&mut world).await;
    world.operator.start();
    let names: Vec<_> = (0..COUNT).map(|n| format!("orders-{n}")).collect();
    for name in &names {
        world.ask_bundle(name, "prod-read").await;
    }
    for name in &names {
        world.wait_row(name, ACTIVE).await;
    }
    world.assert_live(COUNT);

    world.operator.kill();
    let namespaces: Api<Namespace> = Api::all(world.cluster.client.clone());
    let namespace = world.cluster.namespace.clone();
    let deletion = DeleteParams::background();
    namespaces.delete(&namespace, &deletion).await.unwrap();
    eventually("the Secret is gone", async || {
        let found = world.secrets().list(&ListParams::default()).await.unwrap();
        let words = || format!("{} Secrets", found.items.len());
        found.items.is_empty().then_some(()).ok_or_else(words)
    })
    .await;
    world.operator.start();
    eventually("something is taken back", async || {
        let all = world.simulator.requests();
        let ended = all.iter().any(|one| one.status.is_terminal());
        ended.then_some(()).ok_or_else(|| world.last_words())
    })
    .await;
    world.operator.kill();
    world.operator.start();

    tokio::time::timeout(2 * PATIENCE, gone(&namespaces, &namespace))
        .await
        .unwrap_or_else(|_| panic!("the namespace stays: {}", world.last_words()));
    let debts: Api<OwedRevocation> = Api::namespaced(world.cluster.client.clone(), &own);
    eventually("nothing is owed", async || {
        let all = debts.list(&ListParams::default()).await.unwrap().items;
        let words = || format!("{all:#?}\n{}", world.last_words());
        all.is_empty().then_some(()).ok_or_else(words)
    })
    .await;
    world.assert_live(0);
    let secrets: Api<k8s_openapi::api::core::v1::Secret> =
        Api::namespaced(world.cluster.client.clone(), &own);
    eventually("no copy of the token is left", async || {
        let left = secrets.list(&ListParams::default()).await.unwrap().items;
        let words = || format!("{} are left\n{}", left.len(), world.last_words());
        left.is_empty().then_some(()).ok_or_else(words)
    })
    .await;
    leave(&world, &own).await;
}

async fn gone(namespaces: &Api<Namespace>, name: &str) {
    while namespaces.get_opt(name).await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
