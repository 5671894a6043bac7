//! Another process over requests in every state, and newer definitions over older objects.

use apono_operator::crd::{self, AccessRequest};
use apono_simulator::{Action, Endpoint, Fault, Status, When};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    ACTIVE, PENDING, REJECTED, SUSPENDED,
    plane::Plane,
    support::{Setup, World, eventually, row},
};

const PENDING_MFA: &str = "Ready=False:PendingMFA Reconciling=True Synced=True -> InProgress";
const GRANTING: &str = "Ready=False:Granting Reconciling=True Synced=True -> InProgress";
const FAILED: &str = "Ready=False:GrantFailed Stalled=True Synced=True -> Failed";
const REVOKED: &str = "Synced=True Complete=True:Revoked -> Current";

fn ids(resource: &AccessRequest) -> Vec<String> {
    let requests = resource.status.iter().flat_map(|status| &status.requests);
    requests.map(|one| one.id.clone()).collect()
}

/// Everything a person can see of a resource that stands still.
fn seen(resource: &AccessRequest) -> (Option<String>, String, Value) {
    let version = resource.resource_version();
    (version, row(resource), json!(resource.status))
}

/// Waits until Apono takes this one back.
async fn taken_back(world: &World, name: &str) -> String {
    eventually("it is being taken back", async || {
        let found = world.only_remote(name);
        let words = || format!("{name}: {:?}\n{}", found.status, world.last_words());
        let is_so = found.status == Status::Revoking;
        is_so.then(|| found.id.clone()).ok_or_else(words)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_replaced_finds_requests_in_every_state_where_they_were() {
    let mut world = World::new(Setup::explicit()).await;
    let remote = |world: &World, name: &str| world.only_remote(name).id;
    for (name, bundle) in [
        ("active", "prod-read"),
        ("granting", "prod-read"),
        ("pending", "prod-admin"),
        ("mfa", "prod-mfa"),
        ("rejected", "prod-admin"),
        ("failed", "prod-read"),
        ("revoked", "prod-read"),
        ("going", "prod-read"),
    ] {
        world.ask_bundle(name, bundle).await;
        world.wait_remote(name, 1).await;
        let id = remote(&world, name);
        let simulator = &world.simulator;
        simulator.route(&id).unwrap();
        match name {
            "active" | "revoked" | "going" => drop(simulator.activate(&id).unwrap()),
            "rejected" => drop(simulator.reject(&id, None).unwrap()),
            "granting" => drop(simulator.grant(&id).unwrap()),
            "failed" => {
                simulator.grant(&id).unwrap();
                simulator.fail(&id).unwrap();
            }
            _ => {}
        }
    }
    let suspended = json!({"access": {"bundle": "prod-read"}, "suspend": true});
    world.ask("suspended", suspended).await;
    world.wait_row("revoked", ACTIVE).await;
    let revoke = json!({"metadata": {"annotations": {"access.apono.io/revoke": "now"}}});
    world.patch("revoked", revoke).await;
    let revoked = taken_back(&world, "revoked").await;
    world.simulator.finish_revoke(&revoked).unwrap();
    let rows = [
        ("active", ACTIVE),
        ("granting", GRANTING),
        ("pending", PENDING),
        ("mfa", PENDING_MFA),
        ("rejected", REJECTED),
        ("failed", FAILED),
        ("revoked", REVOKED),
        ("suspended", SUSPENDED),
    ];
    for (name, row) in rows {
        world.wait_row(name, row).await;
    }
    // Two are in the middle of something when the process ends.
    let when = When::After;
    let lost = Fault::new(Action::Drop { when })
        .at(Endpoint::Create)
        .once();
    world.simulator.arm(lost);
    world.ask_bundle("lost", "prod-read").await;
    world.wait_remote("lost", 1).await;
    world.wait_row("going", ACTIVE).await;
    world.delete("going").await;
    let going = taken_back(&world, "going").await;
    let mut before = Vec::new();
    for (name, _) in rows {
        before.push((name, seen(&world.get(name).await)));
    }
    assert_eq!(world.operator.terminate().await, Some(0));

    // What people decide meanwhile is found when it is back.
    world.simulator.approve(&remote(&world, "pending")).unwrap();
    world.simulator.finish_revoke(&going).unwrap();
    world.operator.start();
    world.wait_gone("going").await;
    world.wait_row("pending", GRANTING).await;
    let lost = remote(&world, "lost");
    world.simulator.activate(&lost).unwrap();
    let found = world.wait_row("lost", ACTIVE).await;
    assert_eq!(ids(&found), [lost]);
    world.more_polls(5).await;
    for (name, before) in before {
        if name != "pending" {
            assert_eq!(seen(&world.get(name).await), before, "{name}");
        }
    }
    assert_eq!(world.calls(Endpoint::Create), 9);

    // And all of them go on to where they go.
    for name in ["granting", "pending"] {
        world.simulator.activate(&remote(&world, name)).unwrap();
        world.wait_row(name, ACTIVE).await;
    }
    world.simulator.pass_mfa(&remote(&world, "mfa")).unwrap();
    world.wait_row("mfa", PENDING).await;
    assert_eq!(world.simulator.requests().len(), 9);
    world.end().await;
}

/// The definitions as an early version may have brought them: no rules, and not all properties.
fn early(crd: &CustomResourceDefinition) -> Value {
    fn without_rules(schema: &mut Value) {
        match schema {
            Value::Object(map) => {
                map.remove("x-kubernetes-validations");
                map.values_mut().for_each(without_rules);
            }
            Value::Array(list) => list.iter_mut().for_each(without_rules),
            _ => {}
        }
    }
    let mut crd = serde_json::to_value(crd).unwrap();
    for version in crd["spec"]["versions"].as_array_mut().unwrap() {
        let schema = &mut version["schema"]["openAPIV3Schema"];
        without_rules(schema);
        for (part, later) in [
            (
                "spec",
                ["renewal", "credentials", "pendingTimeout", "identity"],
            ),
            (
                "status",
                ["renewals", "credentials", "accessGroups", "lastHandled"],
            ),
        ] {
            let Some(properties) = schema.pointer_mut(&format!("/properties/{part}/properties"))
            else {
                continue;
            };
            for name in later {
                properties.as_object_mut().unwrap().remove(name);
            }
        }
    }
    crd
}

async fn serve(world: &World, change: impl Fn(&CustomResourceDefinition) -> Value) {
    let crds: Api<CustomResourceDefinition> = Api::all(world.cluster.client.clone());
    for crd in crd::all_crds() {
        let how = PatchParams::apply("kubectl").force();
        let changed = change(&crd);
        let patch = Patch::Apply(&changed);
        crds.patch(&crd.name_any(), &how, &patch).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_of_older_definitions_live_on_under_newer_ones_and_go() {
    let plane = Plane::start().await;
    let mut world = World::new(Setup::default().cluster(&plane.kubeconfig).stopped()).await;
    serve(&world, early).await;
    world.operator.start();
    world.ask_bundle("lived", "prod-read").await;
    world.wait_row("lived", ACTIVE).await;
    let lived = ids(&world.get("lived").await);
    assert_eq!(world.operator.terminate().await, Some(0));
    // Two that the rules of today refuse, made before there was an operator to see them.
    let odd = json!({
        "access": {"bundle": "prod-read"}, "justification": "[k8s forged] for the migration",
        "customFields": {"": "nameless"}
    });
    world.ask("odd", odd.clone()).await;
    world
        .ask(
            "untouched",
            json!({"access": {"bundle": "prod-read"}, "suspend": true}),
        )
        .await;

    serve(&world, |crd| serde_json::to_value(crd).unwrap()).await;
    let refused = json!({
        "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
        "metadata": {"name": "new"}, "spec": odd
    });
    let requests = world.cluster.requests();
    let apply = PatchParams::apply("person");
    eventually("the rules of today hold", async || {
        let how = PatchParams {
            dry_run: true,
            ..apply.clone()
        };
        match requests.patch("new", &how, &Patch::Apply(&refused)).await {
            Err(kube::Error::Api(status)) if status.is_invalid() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    world.operator.start();
    // An object that breaks them is followed all the same: what it breaks is not what is written.
    world.wait_row("odd", ACTIVE).await;
    world
        .patch("untouched", json!({"spec": {"suspend": false}}))
        .await;
    world.wait_row("untouched", ACTIVE).await;
    let found = world.wait_row("lived", ACTIVE).await;
    assert_eq!(ids(&found), lived);
    world.more_polls(5).await;
    assert_eq!(world.calls(Endpoint::Create), 3);
    for name in ["lived", "odd", "untouched"] {
        world.only_remote(name);
        world.delete(name).await;
        world.wait_gone(name).await;
    }
    world.assert_live(0);
    world.end().await;
}
