//! Credentials while things go wrong: read once, or reset for each further read, and never lost.
//!
//! The judge is the remote, which counts what was read and reset, and knows the password that works.

use std::time::Duration;

use apono_simulator::{Action, Endpoint, Fault, Uses, When, switches::V3Others};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    helpers::{answer, setup, within},
    support::{World, keys, text},
};

const SECRET: &str = "orders-db";
const RESET: &str = "access.apono.io/reset-credentials";
/// A reset that nobody knows of is sent again after some seconds.
const LONG: Duration = Duration::from_mins(1);

async fn ask(world: &World) {
    ask_for(world, json!({"bundle": "prod-read"})).await;
}

async fn ask_for(world: &World, access: Value) {
    let credentials = json!({"secretName": SECRET});
    let spec = json!({"access": access, "justification": "why", "credentials": credentials});
    world.ask("orders", spec).await;
}

fn credentials(found: &apono_operator::crd::AccessRequest) -> Value {
    serde_json::to_value(
        found
            .status
            .as_ref()
            .and_then(|one| one.credentials.as_ref()),
    )
    .unwrap()
}

/// Whether the Secret holds the password that works, be it within the text of the older API.
async fn is_current(world: &World) -> bool {
    let Some(found) = world.secret(SECRET).await else {
        return false;
    };
    let session = world.session("orders");
    let password = session.password().unwrap();
    if keys(&found).contains(&"details") {
        text(&found, "details").contains(password)
    } else {
        text(&found, "password") == password
    }
}

async fn delivered(world: &World) {
    within(LONG, "the credentials are delivered", async || {
        let found = world.get("orders").await;
        let shown = credentials(&found);
        let is_so = shown["state"] == "Delivered" && is_current(world).await;
        is_so
            .then_some(())
            .ok_or_else(|| format!("{shown:#}\n{}", world.last_words()))
    })
    .await;
}

fn uses(world: &World) -> Uses {
    world.simulator.session_uses(&world.session("orders").id)
}

/// Every read but the first was of credentials made anew, and none was lost.
async fn end(world: World) {
    delivered(&world).await;
    let uses = uses(&world);
    println!("{uses:?}");
    assert!(uses.consuming_reads >= 1);
    let made = world.session("orders").passwords.len() as u64;
    assert!(uses.consuming_reads <= made, "{uses:?} of {made}");
    assert_eq!(uses.consuming_reads_elsewhere, 0);
    world.passwords_are_nowhere().await;
    world.end().await;
}

/// Kills the operator while this call hangs, and starts it again.
async fn killed_at(endpoint: Endpoint, when: When) -> World {
    let mut world = World::new(setup().setting("REMOTE_TIMEOUT", "30s")).await;
    world.operator.ready().await;
    let is_later = endpoint == Endpoint::ResetSession;
    if is_later {
        ask(&world).await;
        delivered(&world).await;
    }
    let hang = Fault::new(Action::Hang { when }).at(endpoint);
    world.simulator.arm(hang.once());
    if is_later {
        let token = json!({"metadata": {"annotations": {RESET: "one"}}});
        world.patch("orders", token).await;
    } else {
        ask(&world).await;
    }
    within(LONG, "the call that hangs", async || {
        let faults = world.simulator.faults();
        let struck: u64 = faults.iter().map(|one| one.struck).sum();
        let words = || world.last_words();
        (struck > 0).then_some(()).ok_or_else(words)
    })
    .await;
    world.operator.kill();
    world.operator.start();
    world
}

#[tokio::test]
async fn a_process_killed_while_it_reads_gets_new_credentials_made_and_reads_those() {
    let world = killed_at(Endpoint::SessionDetails, When::After).await;
    delivered(&world).await;
    let uses = uses(&world);
    assert_eq!((uses.consuming_reads, uses.resets), (2, 1), "{uses:?}");
    end(world).await;
}

#[tokio::test]
async fn a_process_killed_before_anything_was_read_reads_once() {
    for endpoint in [Endpoint::ListSessions, Endpoint::SessionDetails] {
        let world = killed_at(endpoint, When::Before).await;
        delivered(&world).await;
        let uses = uses(&world);
        assert_eq!((uses.consuming_reads, uses.resets), (1, 0), "{endpoint:?}");
        end(world).await;
    }
}

#[tokio::test]
async fn a_process_killed_while_it_resets_ends_with_the_password_that_works() {
    for when in [When::Before, When::After] {
        let world = killed_at(Endpoint::ResetSession, when).await;
        within(LONG, "delivered anew", async || {
            let reads = uses(&world).consuming_reads;
            (reads >= 2)
                .then_some(())
                .ok_or_else(|| format!("{reads} reads\n{}", world.last_words()))
        })
        .await;
        end(world).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_counts_as_a_read_of_ours() {
    for (action, resets) in [
        (Action::Drop { when: When::After }, 1),
        (answer(500, When::After), 1),
        (Action::Garbage, 1),
        (Action::Drop { when: When::Before }, 0),
        (answer(500, When::Before), 0),
        (answer(429, When::Before), 0),
    ] {
        let world = World::new(setup()).await;
        let fault = Fault::new(action.clone()).at(Endpoint::SessionDetails);
        world.simulator.arm(fault.once());
        ask(&world).await;
        delivered(&world).await;
        let uses = uses(&world);
        let wanted = (resets + 1, resets);
        assert_eq!((uses.consuming_reads, uses.resets), wanted, "{action:?}");
        end(world).await;
    }
}

/// A world in which credentials of others may be delivered.
async fn world_of_others() -> World {
    let allow = json!({"allow": {"credentialsForOthers": true}});
    let setup = setup().connection(allow);
    World::new(setup.remote(|remote| remote.switches.v3_others = V3Others::Anyone)).await
}

#[tokio::test]
async fn details_of_the_older_api_that_are_lost_are_read_only_after_a_reset() {
    for (action, resets) in [
        (Action::Drop { when: When::After }, 1),
        (answer(500, When::After), 1),
        (Action::Garbage, 1),
        (answer(429, When::Before), 0),
        (answer(409, When::Before), 0),
    ] {
        let world = world_of_others().await;
        let fault = Fault::new(action.clone()).at(Endpoint::V3Details);
        world.simulator.arm(fault.once());
        let target = json!({
            "integration": "int-postgres-prod", "resourceType": "postgresql-database",
            "resources": ["res-orders"], "permissions": ["ReadOnly"]
        });
        let spec = json!({
            "access": {"integration": target}, "grantee": "alex@example.com", "duration": "1h",
            "justification": "why", "credentials": {"secretName": SECRET}
        });
        world.ask("orders", spec).await;
        delivered(&world).await;
        let uses = uses(&world);
        let wanted = (resets + 1, resets);
        assert_eq!((uses.consuming_reads, uses.resets), wanted, "{action:?}");
        assert_eq!(uses.later_reads, 0, "{action:?}");
        let sent = world.calls(Endpoint::V3Reset) as u64;
        assert_eq!(sent, resets, "{action:?}");
        end(world).await;
    }
}

#[tokio::test]
async fn a_last_look_that_is_not_answered_is_repeated_and_one_that_is_refused_is_done_without() {
    for (action, times) in [
        (answer(404, When::Before), u64::MAX),
        (answer(403, When::Before), u64::MAX),
        (answer(500, When::Before), 2),
        (Action::Drop { when: When::Before }, 2),
        (Action::Hang { when: When::After }, 1),
    ] {
        let world = World::new(setup()).await;
        let fault = Fault::new(action.clone()).at(Endpoint::GetSession);
        world.simulator.arm(fault.times(times));
        ask(&world).await;
        delivered(&world).await;
        let uses = uses(&world);
        assert_eq!((uses.consuming_reads, uses.resets), (1, 0), "{action:?}");
        assert_eq!(world.calls(Endpoint::SessionDetails), 1, "{action:?}");
        let looks = world.calls(Endpoint::GetSession) as u64;
        let wanted = if times == u64::MAX { 1 } else { times + 1 };
        assert_eq!(looks, wanted, "{action:?}");
        end(world).await;
    }
}

#[tokio::test]
async fn what_is_lost_and_cannot_be_reset_is_said() {
    let world = World::new(setup()).await;
    let lost = Action::Drop { when: When::After };
    let fault = Fault::new(lost).at(Endpoint::SessionDetails).once();
    world.simulator.arm(fault);
    let one = json!({"resourceId": "res-invoices", "permissionId": "perm-bucket-read"});
    ask_for(&world, json!({"entitlements": [one]})).await;
    within(LONG, "the message", async || {
        let shown = credentials(&world.get("orders").await);
        let message = shown["message"].as_str().unwrap_or_default();
        let is_so = message.contains("interrupted") && message.contains("cannot reset");
        is_so.then_some(()).ok_or_else(|| shown.to_string())
    })
    .await;
    let uses = uses(&world);
    assert_eq!((uses.consuming_reads, uses.resets), (1, 0), "{uses:?}");
    world.passwords_are_nowhere().await;
    world.end().await;
}

#[tokio::test]
async fn a_status_that_is_lost_is_put_right_without_a_read() {
    let mut world = World::new(setup()).await;
    ask(&world).await;
    delivered(&world).await;
    let before = credentials(&world.get("orders").await);
    restarted_without_status(&mut world).await;
    delivered(&world).await;
    let after = credentials(&world.get("orders").await);
    assert_eq!(before["digest"], after["digest"]);
    assert_eq!(before["deliveredAt"], after["deliveredAt"]);
    let uses = uses(&world);
    assert_eq!((uses.consuming_reads, uses.resets), (1, 0), "{uses:?}");
    end(world).await;
}

/// The status says nothing of credentials when the next process starts.
async fn restarted_without_status(world: &mut World) {
    world.operator.kill();
    let patch = Patch::Merge(json!({"status": {"credentials": null}}));
    let requests = world.cluster.requests();
    let how = PatchParams::default();
    requests.patch_status("orders", &how, &patch).await.unwrap();
    world.operator.start();
}

async fn ask_to_reset(world: &World, value: &str) {
    let token = json!({"metadata": {"annotations": {RESET: value}}});
    world.patch("orders", token).await;
}

#[tokio::test]
async fn a_status_that_is_lost_after_a_reset_is_put_right_without_a_read() {
    let mut world = World::new(setup()).await;
    ask(&world).await;
    delivered(&world).await;
    ask_to_reset(&world, "one").await;
    within(LONG, "the reset is delivered", async || {
        let done = uses(&world).consuming_reads == 2;
        done.then_some(()).ok_or_else(|| world.last_words())
    })
    .await;
    delivered(&world).await;
    restarted_without_status(&mut world).await;
    delivered(&world).await;
    let uses = uses(&world);
    assert_eq!((uses.consuming_reads, uses.resets), (2, 1), "{uses:?}");
    end(world).await;
}

#[tokio::test]
async fn a_status_that_is_lost_while_a_reset_is_sent_does_not_hide_the_reset() {
    for when in [When::Before, When::After] {
        let mut world = World::new(setup().setting("REMOTE_TIMEOUT", "30s")).await;
        ask(&world).await;
        delivered(&world).await;
        let hang = Fault::new(Action::Hang { when });
        world.simulator.arm(hang.at(Endpoint::ResetSession).once());
        ask_to_reset(&world, "one").await;
        within(LONG, "the call that hangs", async || {
            let struck: u64 = world.simulator.faults().iter().map(|one| one.struck).sum();
            (struck > 0).then_some(()).ok_or_else(|| world.last_words())
        })
        .await;
        restarted_without_status(&mut world).await;
        within(LONG, "new credentials are read", async || {
            let done = uses(&world).consuming_reads == 2;
            done.then_some(()).ok_or_else(|| world.last_words())
        })
        .await;
        assert_eq!(uses(&world).resets, 1, "{when:?}");
        end(world).await;
    }
}

#[tokio::test]
async fn a_reset_that_is_refused_is_said_and_what_was_delivered_stays() {
    let world = World::new(setup()).await;
    ask(&world).await;
    delivered(&world).await;
    let refused = Fault::new(answer(403, When::Before)).at(Endpoint::ResetSession);
    world.simulator.arm(refused);
    ask_to_reset(&world, "one").await;
    let note = within(LONG, "the event", async || {
        let all = world.events().await;
        let found = all
            .into_iter()
            .find(|one| one.reason.as_deref() == Some("CredentialsResetRefused"));
        let note = found.and_then(|one| one.note);
        note.ok_or_else(|| world.last_words())
    })
    .await;
    assert!(note.contains("to another value to try again"), "{note}");
    within(LONG, "delivered, and why not anew", async || {
        let shown = credentials(&world.get("orders").await);
        let message = shown["message"].as_str().unwrap_or_default();
        let is_so =
            shown["state"] == "Delivered" && message.contains("those delivered before stay");
        is_so.then_some(()).ok_or_else(|| format!("{shown:#}"))
    })
    .await;
    assert!(is_current(&world).await);
    let tries = world.calls(Endpoint::ResetSession);
    assert_eq!(tries, 4);
    world.more_polls(3).await;
    assert_eq!(world.calls(Endpoint::ResetSession), tries, "tried again");
    // A person has it tried again.
    world.simulator.clear_faults();
    ask_to_reset(&world, "two").await;
    within(LONG, "new credentials, and nothing to say", async || {
        let shown = credentials(&world.get("orders").await);
        let is_new = uses(&world).consuming_reads == 2 && shown["state"] == "Delivered";
        let is_so = is_new && shown["message"].is_null();
        is_so.then_some(()).ok_or_else(|| format!("{shown:#}"))
    })
    .await;
    end(world).await;
}

fn cluster_api(world: &World, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
    Api::all_with(world.cluster.client.clone(), &ApiResource::from_gvk(&kind))
}

/// No Secret of the namespace can be changed any more once this returns.
async fn deny_changes(world: &World) {
    let name = &world.cluster.namespace;
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"],
                "resources": ["secrets"]
            }]},
            "validations": [{"expression": "false", "message": "not now"}]
        }
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {
            "policyName": name, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {
                "matchLabels": {"kubernetes.io/metadata.name": name}
            }}
        }
    });
    for object in [policy, binding] {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let api = cluster_api(world, &kind);
        api.create(&PostParams::default(), &object).await.unwrap();
    }
    let probe: Secret = serde_json::from_value(json!({"metadata": {"name": "probe"}})).unwrap();
    let secrets = world.secrets();
    secrets
        .create(&PostParams::default(), &probe)
        .await
        .unwrap();
    within(LONG, "changes of Secrets are denied", async || {
        is_changed(world)
            .await
            .map_or(Ok(()), |()| Err("it is changed".to_owned()))
    })
    .await;
}

async fn is_changed(world: &World) -> Option<()> {
    let value = format!("{:08x}", rand::random::<u32>());
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"touched": value}}}));
    let how = PatchParams::default();
    world
        .secrets()
        .patch("probe", &how, &patch)
        .await
        .ok()
        .map(drop)
}

async fn allow_changes(world: &World) {
    for kind in [
        "ValidatingAdmissionPolicyBinding",
        "ValidatingAdmissionPolicy",
    ] {
        let api = cluster_api(world, kind);
        let name = &world.cluster.namespace;
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }
    within(LONG, "changes of Secrets are let through", async || {
        is_changed(world).await.ok_or_else(|| "denied".to_owned())
    })
    .await;
}

#[tokio::test]
async fn what_was_read_and_cannot_be_stored_is_made_anew_and_not_read_before_it_can_be() {
    let world = World::new(setup()).await;
    deny_changes(&world).await;
    ask(&world).await;
    within(
        LONG,
        "the read, and the refused write-ahead of the reset",
        async || {
            let shown = credentials(&world.get("orders").await);
            let message = shown["message"].as_str().unwrap_or_default();
            let is_so = shown["state"] == "Resetting" && message.contains("not now");
            is_so
                .then_some(())
                .ok_or_else(|| format!("{shown:#}\n{}", world.last_words()))
        },
    )
    .await;
    let before = uses(&world);
    assert_eq!(
        (before.consuming_reads, before.resets),
        (1, 0),
        "{before:?}"
    );
    allow_changes(&world).await;
    delivered(&world).await;
    let after = uses(&world);
    assert_eq!((after.consuming_reads, after.resets), (2, 1), "{after:?}");
    end(world).await;
}

#[tokio::test]
async fn where_no_secret_may_be_made_nothing_is_read() {
    let world = World::new(setup()).await;
    world.operator.ready().await;
    world.wait_connection("apono", "True", "Ready").await;
    // So that the copy of the token is there, without which nothing at all is asked for.
    world.ask_bundle("first", "prod-read").await;
    world.wait_reason("first", "Active").await;
    let quotas = world.cluster.api("", "v1", "ResourceQuota");
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"},
        "spec": {"hard": {"secrets": "1"}}
    });
    let quota: DynamicObject = serde_json::from_value(quota).unwrap();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    let full = json!({"status": {"hard": {"secrets": "1"}, "used": {"secrets": "1"}}});
    let how = PatchParams::default();
    let full = quotas.patch_status("none", &how, &Patch::Merge(full)).await;
    full.unwrap();
    ask(&world).await;
    within(LONG, "the refusal", async || {
        let shown = credentials(&world.get("orders").await);
        let message = shown["message"].as_str().unwrap_or_default();
        message
            .contains("nothing was read")
            .then_some(())
            .ok_or_else(|| format!("{shown:#}\n{}", world.last_words()))
    })
    .await;
    let reads = world.calls(Endpoint::SessionDetails);
    assert_eq!(reads, 0, "read before it could be stored");
    quotas
        .delete("none", &DeleteParams::default())
        .await
        .unwrap();
    // A change of the resource is tried at once.
    world
        .patch("orders", json!({"spec": {"suspend": false}}))
        .await;
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_at_any_time_ends_with_the_password_that_works() {
    let given = std::env::var("APONO_TEST_SEED").ok();
    let seed = given.map_or_else(rand::random, |seed| seed.parse().unwrap());
    println!("APONO_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::new(setup()).await;
    ask(&world).await;
    for round in 0..8 {
        let life = Duration::from_millis(random.random_range(100..1200));
        tokio::time::sleep(life).await;
        world.operator.kill();
        world.operator.start();
        let token = json!({"metadata": {"annotations": {RESET: format!("{round}")}}});
        world.patch("orders", token).await;
    }
    within(LONG, "the last token is handled", async || {
        let found = world.get("orders").await;
        let shown = credentials(&found);
        let is_so = shown["state"] == "Delivered" && world.is_current("orders", SECRET).await;
        is_so
            .then_some(())
            .ok_or_else(|| format!("{shown:#}\n{}", world.last_words()))
    })
    .await;
    end(world).await;
}
