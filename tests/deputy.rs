//! No confused deputy: the operator may read Secrets of many tenants and holds powerful tokens, and
//! whoever may write one request must not borrow any of that. Names of another tenant's things are
//! written into every property that holds text; nothing of that tenant is read, moved or used.
//!
//! In a binary of its own, with one test: an operator for the whole cluster sees the resources of
//! other tests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "mutations/bases.rs"]
#[allow(
    dead_code,
    reason = "connections of the cluster are none of a tenant's"
)]
mod bases;
#[path = "mutations/generate.rs"]
#[allow(dead_code, reason = "only what is planted is needed here")]
mod generate;
#[path = "admission/structural.rs"]
mod structural;
mod support;
#[path = "admission/table.rs"]
#[allow(dead_code, reason = "the written cases are judged elsewhere")]
mod table;

use std::collections::BTreeSet;

use apono_operator::crd::ClusterAponoConnection;
use apono_simulator::{Endpoint, User};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use support::{Cluster, Setup, World, eventually};

/// The tenant whose things are named; nothing of the test acts as this user.
const VICTIM: &str = "victim@example.com";
const VICTIMS_TOKEN: &str = "canary-token-of-the-victim";
/// The user of the connection that the attacker may not use.
const POWER: &str = "power@example.com";
const POWERS_TOKEN: &str = "canary-token-of-power";
/// Whatever the victim keeps in its Secret.
const VICTIMS_DATA: &str = "canary-data-of-the-victim";
/// The Secret of another controller in the attacker's own namespace.
const THEIRS: &str = "theirs";

async fn store(cluster: &Cluster, name: &str, data: Value) -> Secret {
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let object = json!({"metadata": {"name": name}, "stringData": data});
    let object = serde_json::from_value(object).unwrap();
    secrets
        .create(&PostParams::default(), &object)
        .await
        .unwrap()
}

/// The Secrets of a namespace, with the version that every write changes.
async fn secrets(cluster: &Cluster) -> BTreeSet<(String, String)> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let list = secrets.list(&ListParams::default()).await.unwrap();
    let version = |one: &Secret| (one.name_any(), one.resource_version().unwrap());
    list.iter().map(version).collect()
}

/// A connection of the whole cluster whose token is in the operator's namespace.
async fn connect(world: &World, name: &str, allowed: &str) {
    let object = json!({
        "apiVersion": "access.apono.io/v1alpha1", "kind": "ClusterAponoConnection",
        "metadata": {"name": name},
        "spec": {
            "endpoint": world.simulator.url(),
            "tokenSecretRef": {"name": "power", "key": "token"},
            "allow": {"namespaces": {"names": [allowed]}, "requireJustification": false}
        }
    });
    let connections: Api<ClusterAponoConnection> = Api::all(world.cluster.client.clone());
    let object = serde_json::from_value(object).unwrap();
    connections
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
}

async fn plant(world: &World, mutant: &generate::Mutant, name: &str) {
    let kind = GroupVersionKind::gvk("access.apono.io", "v1alpha1", mutant.kind);
    let client = world.cluster.client.clone();
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = Api::namespaced_with(client, &world.cluster.namespace, &resource);
    let mut spec = mutant.spec.clone();
    if mutant.kind == "AponoConnection" && spec["endpoint"] == "https://api.apono.io" {
        spec["endpoint"] = json!(world.simulator.url());
    }
    let object = json!({
        "apiVersion": "access.apono.io/v1alpha1", "kind": mutant.kind,
        "metadata": {"name": name}, "spec": spec
    });
    let object = serde_json::from_value(object).unwrap();
    let made = api.create(&PostParams::default(), &object).await;
    made.unwrap_or_else(|error| panic!("{}: {error}", mutant.what));
}

#[tokio::test]
async fn names_of_other_tenants_in_any_property_open_nothing_of_theirs() {
    let (system, victim) = (Cluster::new().await, Cluster::new().await);
    store(&system, "power", json!({"token": POWERS_TOKEN})).await;
    let data = json!({"token": VICTIMS_TOKEN, "password": VICTIMS_DATA});
    store(&victim, "victim", data).await;
    let setup = Setup::default()
        .remote(|remote| {
            remote.users.push(User::new(VICTIM, VICTIMS_TOKEN));
            remote.users.push(User::new(POWER, POWERS_TOKEN));
        })
        .setting("WATCH_NAMESPACES", "")
        .setting("OPERATOR_NAMESPACE", &system.namespace);
    let world = World::new(setup).await;
    let power = format!("power-{}", victim.namespace);
    connect(&world, &power, &victim.namespace).await;
    let theirs = store(&world.cluster, THEIRS, json!({"password": VICTIMS_DATA})).await;
    let before = secrets(&victim).await;

    let (space, own) = (&victim.namespace, &world.cluster.namespace);
    let words = [
        "victim".to_owned(),
        "power".to_owned(),
        THEIRS.to_owned(),
        power.clone(),
        space.clone(),
        format!("{space}/victim"),
        format!("{space}.victim"),
        format!("../{space}/victim"),
        format!("../../{space}/secrets/victim"),
        format!("{own}/../{space}/victim"),
        format!("{}/power", system.namespace),
        format!("..%2f{space}%2fsecrets%2fvictim"),
        format!("victim?namespace={space}"),
        format!("/api/v1/namespaces/{space}/secrets/victim"),
    ];
    // Only a cluster connection has a name that means the same everywhere.
    let mut requests = bases::access_request();
    let mut foreign = requests[0].clone();
    foreign["connectionRef"] = json!({"kind": "ClusterAponoConnection", "name": power});
    requests.push(foreign);
    let connections = [bases::connection().remove(0)];
    let mut all = Vec::new();
    for (kind, bases) in [
        ("AccessRequest", &requests[..]),
        ("AponoConnection", &connections),
    ] {
        let planted = generate::planted(kind, table::schema(kind), bases, &words);
        let count = planted.len();
        let admitted = |one: &generate::Mutant| table::refusals(kind, &one.spec, None).is_empty();
        let admitted: Vec<_> = planted.into_iter().filter(admitted).collect();
        println!("{kind}: {count} planted, {} let in", admitted.len());
        assert!(admitted.len() > 20);
        all.extend(admitted);
    }
    for (number, mutant) in all.iter().enumerate() {
        plant(&world, mutant, &format!("planted-{number}")).await;
    }
    eventually("every one of them is judged", async || {
        let requests = world.cluster.requests().list(&ListParams::default()).await;
        let is_open = |reason: Option<&str>| {
            matches!(
                reason,
                None | Some("Submitting" | "Recovering" | "Verifying")
            )
        };
        let open: Vec<_> = requests
            .unwrap()
            .into_iter()
            .filter(|one| {
                is_open(
                    one.status
                        .as_ref()
                        .and_then(|status| status.reason.as_deref()),
                )
            })
            .map(|one| one.name_any())
            .collect();
        let first = open.first().cloned();
        first.map_or(Ok(()), |first| {
            Err(format!("{}, {first}\n{}", open.len(), world.last_words()))
        })
    })
    .await;
    world.more_polls(5).await;

    // Nothing is asked for with the power of the others, and the victim's token is never used.
    for call in world.simulator.calls() {
        assert_ne!(call.user.as_deref(), Some(VICTIM), "{call:?}");
        let is_powers = call.user.as_deref() == Some(POWER);
        assert!(!is_powers || call.endpoint == Endpoint::List, "{call:?}");
    }
    let refused = world
        .cluster
        .requests()
        .list(&ListParams::default())
        .await
        .unwrap();
    let refused = refused.iter().filter(|one| {
        let reason = one
            .status
            .as_ref()
            .and_then(|status| status.reason.as_deref());
        one.spec
            .connection_ref
            .as_ref()
            .is_some_and(|at| at.name == power)
            && reason == Some("NotAllowed")
    });
    let refused = refused.count();
    println!("refused the connection of others: {refused}");
    assert!(refused > 0, "nobody reached for it");
    // No Secret of the victim is written, none that is not ours is overwritten, none is copied.
    assert_eq!(secrets(&victim).await, before);
    let still = world.secret(THEIRS).await.unwrap();
    assert_eq!(still.resource_version(), theirs.resource_version());
    assert_eq!(still.data, theirs.data);
    for secret in world.secrets().list(&ListParams::default()).await.unwrap() {
        let text = serde_json::to_string(&secret).unwrap();
        for canary in [VICTIMS_TOKEN, POWERS_TOKEN, VICTIMS_DATA] {
            let encoded = data_encoding::BASE64.encode(canary.as_bytes());
            assert!(
                secret.name_any() == THEIRS || !text.contains(&encoded),
                "{}",
                secret.name_any()
            );
        }
    }
    let requests = world
        .cluster
        .requests()
        .list(&ListParams::default())
        .await
        .unwrap();
    for place in [world.operator.log().text(), format!("{requests:?}")] {
        for canary in [VICTIMS_TOKEN, POWERS_TOKEN, VICTIMS_DATA] {
            assert!(!place.contains(canary), "{canary}");
        }
    }
    let connections: Api<ClusterAponoConnection> = Api::all(world.cluster.client.clone());
    connections
        .delete(&power, &DeleteParams::default())
        .await
        .unwrap();
    world.end().await;
}
