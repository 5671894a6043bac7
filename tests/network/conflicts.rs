//! One conflict for each kind of write that the operator makes.
//!
//! A write of an object as it was seen meets a real one: the object changes a moment before. Any
//! other write (a create, a patch without a version) is answered 409 by the gate, as an apiserver
//! does when a quota or the store was written in between. The copy of a token is removed by its uid,
//! and a uid never conflicts with itself: that one passes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use apono_simulator::{DEFAULT_USER, Endpoint, Status};
use axum::http::Method;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    support::{CONNECTION, Setup, World, eventually, text},
    watches::{Gated, gated},
};

const NAME: &str = "orders";
/// Its access becomes a debt.
const OWED: &str = "owed";
const SECRET: &str = "orders-db";
const WORKLOAD: &str = "orders";
const NEW_TOKEN: &str = "canary-the-new-token";
const ESCROW: &str = "access.apono.io/escrow";

/// Every kind of write of the life below. One that is not here is a kind that nobody has tried.
const KINDS: [&str; 19] = [
    "create events",
    "create leases",
    "create owedrevocations",
    "create secrets",
    "create secrets: copy",
    "delete owedrevocations",
    "delete secrets",
    "patch accessrequests/status",
    "patch accessrequests: let go",
    "patch accessrequests: mark",
    "patch aponoconnections/status",
    "patch aponoconnections: hold",
    "patch aponoconnections: let go",
    "patch deployments",
    "patch owedrevocations/status",
    "patch owedrevocations: let go",
    "patch secrets",
    "patch secrets: copy",
    "update leases",
];

/// Which writes were made, and which of them met a conflict.
#[derive(Default)]
pub struct Conflicts {
    made: Mutex<BTreeMap<String, usize>>,
    met: Mutex<BTreeSet<String>>,
}

impl Conflicts {
    /// Of what kind a call is, if it is a write that meets a conflict now.
    pub fn first(&self, method: &Method, path: &str, body: &Value) -> Option<String> {
        let kind = kind(method, path, body)?;
        *self.made.lock().unwrap().entry(kind.clone()).or_default() += 1;
        (!self.met.lock().unwrap().contains(&kind)).then_some(kind)
    }

    /// This kind has met its conflict.
    pub fn meet(&self, kind: String) {
        self.met.lock().unwrap().insert(kind);
    }
}

/// `.../namespaces/<namespace>/<resource>/<name>/<subresource>`.
fn kind(method: &Method, path: &str, body: &Value) -> Option<String> {
    let verb = match *method {
        Method::POST => "create",
        Method::PATCH => "patch",
        Method::PUT => "update",
        Method::DELETE => "delete",
        _ => return None,
    };
    let (_, rest) = path.split_once("/namespaces/")?;
    let mut parts = rest.split('/').skip(1);
    let resource = parts.next()?;
    let name = parts.next().or(body["metadata"]["name"].as_str());
    if let Some(part) = parts.next() {
        return Some(format!("{verb} {resource}/{part}"));
    }
    // Who has which connections changes with the replicas, of which there is one.
    if verb == "update" && name == Some("apono-shards") {
        return None;
    }
    let is_copy =
        resource == "secrets" && name.is_some_and(|name| name.starts_with("apono-escrow-"));
    if verb == "delete" && is_copy {
        return None;
    }
    let finalizers = body["metadata"]["finalizers"].as_array();
    let what = if is_copy {
        ": copy"
    } else if !body["metadata"]["annotations"]["access.apono.io/attempt"].is_null() {
        ": mark"
    } else {
        match finalizers {
            Some(left) if verb == "patch" && left.is_empty() => ": let go",
            Some(_) if verb == "patch" => ": hold",
            _ => "",
        }
    };
    Some(format!("{verb} {resource}{what}"))
}

#[tokio::test]
async fn one_conflict_for_each_kind_of_write_doubles_and_forgets_nothing() {
    let Gated {
        mut world,
        gate,
        _folder,
    } = gated(Setup::explicit()).await;
    gate.conflicting();
    world.operator.start();
    becomes_active(&world).await;
    gets_new_credentials(&world).await;
    is_taken_back(&world).await;
    world.ask_bundle(OWED, "prod-read").await;
    let id = is_granted(&world, OWED).await;
    world.wait_reason(OWED, "Active").await;
    gets_a_new_token(&world).await;
    is_owed_and_paid(&world, &id).await;
    leaves_nothing(&world).await;

    assert_eq!(world.calls(Endpoint::Create), 2);
    world.only_remote(NAME);
    world.only_remote(OWED);
    let conflicts = gate.conflicts();
    let made = conflicts.made.lock().unwrap().clone();
    let met = conflicts.met.lock().unwrap().clone();
    let kinds: Vec<_> = made.keys().map(String::as_str).collect();
    assert_eq!(kinds, KINDS, "the kinds of writes: {made:#?}");
    let unmet: Vec<_> = made.keys().filter(|kind| !met.contains(*kind)).collect();
    assert!(unmet.is_empty(), "met no conflict: {unmet:?} of {made:#?}");
    println!("{} faults: {} kinds of writes", gate.faults(), met.len());
    world.end().await;
}

/// Grants what was asked for; gives its id.
async fn is_granted(world: &World, name: &str) -> String {
    let id = world.wait_remote(name, 1).await.remove(0).id;
    world.simulator.route(&id).unwrap();
    world.simulator.activate(&id).unwrap();
    id
}

async fn becomes_active(world: &World) {
    world.deploy(WORKLOAD).await;
    let workloads = json!([{"kind": "Deployment", "name": WORKLOAD}]);
    let spec = json!({
        "access": {"bundle": "prod-read"},
        "credentials": {"secretName": SECRET, "rolloutRestart": workloads}
    });
    world.ask(NAME, spec).await;
    is_granted(world, NAME).await;
    is_delivered(world).await;
}

/// Active, the Secret holds the password that works, and the workload was restarted for it.
async fn is_delivered(world: &World) {
    eventually("credentials that work", async || {
        let found = world.get(NAME).await;
        let status = serde_json::to_value(found.status).unwrap();
        let shown = &status["credentials"];
        let digest = shown["digest"].as_str().map(str::to_owned);
        let is_restarted = digest.is_some() && world.restarted_for(WORKLOAD).await == digest;
        let is_so = status["reason"] == "Active"
            && shown["state"] == "Delivered"
            && shown["restartedFor"] == shown["digest"]
            && is_restarted
            && world.is_current(NAME, SECRET).await;
        let words = || format!("{status:#}\n{}", world.last_words());
        is_so.then_some(()).ok_or_else(words)
    })
    .await;
    let session = world.session(NAME);
    let uses = world.simulator.session_uses(&session.id);
    let made = session.passwords.len() as u64;
    assert!(uses.consuming_reads <= made, "{uses:?} of {made}");
}

async fn gets_new_credentials(world: &World) {
    let please = json!({"access.apono.io/reset-credentials": "one"});
    world
        .patch(NAME, json!({"metadata": {"annotations": please}}))
        .await;
    let session = world.session(NAME).id;
    world.wait_calls(Endpoint::ResetSession, 1).await;
    world.simulator.finish_reset(&session).unwrap();
    is_delivered(world).await;
    assert_eq!(world.calls(Endpoint::ResetSession), 1);
}

/// The copy of the token is renewed.
async fn gets_a_new_token(world: &World) {
    let tokens = vec![world.token.clone(), NEW_TOKEN.to_owned()];
    world.simulator.set_tokens(DEFAULT_USER, tokens).unwrap();
    world.store_token(CONNECTION, NEW_TOKEN).await;
    eventually("the copy of the new token", async || {
        let copies = copies(world).await;
        let is_so = copies == [NEW_TOKEN];
        is_so.then_some(()).ok_or_else(|| world.last_words())
    })
    .await;
}

async fn is_revoking(world: &World, name: &str) {
    eventually("a revoke", async || {
        let status = world.only_remote(name).status;
        let is_so = status == Status::Revoking;
        is_so.then_some(()).ok_or_else(|| world.last_words())
    })
    .await;
}

async fn is_taken_back(world: &World) {
    world.delete(NAME).await;
    is_revoking(world, NAME).await;
    let id = world.only_remote(NAME).id;
    world.simulator.finish_revoke(&id).unwrap();
    world.wait_gone(NAME).await;
    world.assert_live(0);
}

async fn is_owed_and_paid(world: &World, id: &str) {
    let soon = Patch::Merge(json!({"spec": {"revocationDeadline": "1s"}}));
    let how = PatchParams::default();
    let connections = world.cluster.connections();
    connections.patch(CONNECTION, &how, &soon).await.unwrap();
    world.delete(OWED).await;
    world.wait_gone(OWED).await;
    // Live, so named.
    let debts = world.cluster.debts().list(&ListParams::default()).await;
    let debts = debts.unwrap().items;
    let mut named = debts.iter().flat_map(|one| &one.spec.requests);
    assert!(named.any(|one| one.id == id), "{debts:#?}");
    is_revoking(world, OWED).await;
    world.simulator.finish_revoke(id).unwrap();
    eventually("the debt is paid", async || {
        let debts = world.cluster.debts().list(&ListParams::default()).await;
        let debts = debts.unwrap().items;
        let is_so = debts.is_empty();
        is_so.then_some(()).ok_or_else(|| format!("{debts:#?}"))
    })
    .await;
    world.assert_live(0);
}

async fn leaves_nothing(world: &World) {
    eventually("nothing is left", async || {
        let connection = world.cluster.connections().get(CONNECTION).await.unwrap();
        let finalizers = connection.metadata.finalizers.unwrap_or_default();
        let copies = copies(world).await.len();
        let secret = world.secret(SECRET).await.is_some();
        let is_so = finalizers.is_empty() && copies == 0 && !secret;
        let words = || format!("{finalizers:?}, copies: {copies}, Secret: {secret}");
        is_so.then_some(()).ok_or_else(words)
    })
    .await;
}

/// The tokens of which a copy is kept.
async fn copies(world: &World) -> Vec<String> {
    let all = world
        .secrets()
        .list(&ListParams::default().labels(ESCROW))
        .await;
    let all = all.unwrap().items;
    all.iter().map(|one| text(one, "token")).collect()
}
