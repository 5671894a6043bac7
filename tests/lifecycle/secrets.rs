//! The Secret that credentials are in: whose it is, what becomes of it at the end, under another name,
//! where it cannot be changed.

use apono_simulator::Endpoint;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    ACTIVE,
    credentials::{
        DELIVERING, SECRET, annotate, ask, assert_current, credentials, end, wait_no_secret,
        wait_state,
    },
    status,
    support::{Setup, World, keys, row},
};

#[tokio::test]
async fn a_secret_of_somebody_else_is_never_touched() {
    let world = World::new(Setup::default()).await;
    let theirs = json!({"metadata": {"name": SECRET}, "stringData": {"password": "theirs"}});
    let theirs: Secret = serde_json::from_value(theirs).unwrap();
    let theirs = world
        .secrets()
        .create(&PostParams::default(), &theirs)
        .await
        .unwrap();
    ask(&world, "prod-read", json!({"secretName": SECRET})).await;
    let found = world.wait_row("orders", DELIVERING).await;
    let found = if status(&found)["message"].to_string().contains("not ours") {
        found
    } else {
        let what = "the Secret in the way";
        let is_said = |found: &_| status(found)["message"].to_string().contains("not ours");
        world.wait_for("orders", what, is_said).await
    };
    let message = status(&found)["message"].to_string();
    assert!(
        message.contains(SECRET) && message.contains("secretName"),
        "{message}"
    );
    assert_eq!(world.calls(Endpoint::SessionDetails), 0);
    let still = world.secret(SECRET).await.unwrap();
    assert_eq!(still.resource_version(), theirs.resource_version());

    let how = DeleteParams::default();
    world.secrets().delete(SECRET, &how).await.unwrap();
    wait_state(&world, "Delivered").await;
    assert_current(&world, SECRET).await;
    end(world).await;
}

#[tokio::test]
async fn at_the_end_of_the_access_the_secret_is_removed_or_emptied_first() {
    for (on_end, stays) in [("Delete", false), ("Empty", true)] {
        let world = World::new(Setup::default()).await;
        ask(
            &world,
            "prod-read",
            json!({"secretName": SECRET, "onEnd": on_end}),
        )
        .await;
        wait_state(&world, "Delivered").await;
        let request = world.only_remote("orders");
        world.simulator.expire(&request.id).unwrap();
        let is_over = |found: &_| status(found)["phase"] == "Ended";
        let found = world.wait_for("orders", "the end", is_over).await;
        assert_eq!(credentials(&found)["state"], "Removed", "{}", row(&found));
        let left = world.secret(SECRET).await;
        assert_eq!(left.is_some(), stays, "{on_end}");
        if let Some(left) = left {
            assert!(keys(&left).is_empty(), "{:?}", keys(&left));
        }
        end(world).await;
    }
}

#[tokio::test]
async fn under_another_name_the_same_credentials_are_found() {
    let world = World::new(Setup::default()).await;
    ask(&world, "prod-read", json!({"secretName": SECRET})).await;
    let first = wait_state(&world, "Delivered").await;
    let spec = json!({"spec": {"credentials": {"secretName": "other-db"}}});
    world.patch("orders", spec).await;
    let found = world.wait_for("orders", "the other Secret", |found| {
        let shown = credentials(found);
        shown["secretName"] == "other-db" && shown["state"] == "Delivered"
    });
    let found = found.await;
    assert_eq!(credentials(&found)["digest"], credentials(&first)["digest"]);
    assert_current(&world, "other-db").await;
    wait_no_secret(&world, SECRET).await;
    assert_eq!(world.calls(Endpoint::SessionDetails), 1);

    // No longer asked for: out of the Secret, while the access lives on.
    let spec = json!({"spec": {"credentials": null}});
    world.patch("orders", spec).await;
    wait_no_secret(&world, "other-db").await;
    world.wait_row("orders", ACTIVE).await;
    world.assert_live(1);
    end(world).await;
}

/// Somebody marks it.
async fn make_immutable(world: &World) {
    let patch = Patch::Merge(json!({"immutable": true}));
    let (secrets, how) = (world.secrets(), PatchParams::default());
    secrets.patch(SECRET, &how, &patch).await.unwrap();
}

#[tokio::test]
async fn a_secret_that_was_made_immutable_is_made_anew_and_is_deleted_where_it_cannot_be_emptied() {
    let world = World::new(Setup::default()).await;
    let credentials = json!({"secretName": SECRET, "onEnd": "Empty"});
    ask(&world, "prod-read", credentials).await;
    wait_state(&world, "Delivered").await;
    make_immutable(&world).await;
    annotate(&world, "one").await;
    let note = world
        .wait_event("orders", "CredentialsSecretReplaced")
        .await;
    assert!(note.contains("immutable"), "{note}");
    wait_state(&world, "Delivered").await;
    assert_current(&world, SECRET).await;
    assert_eq!(world.calls(Endpoint::SessionDetails), 2);
    assert_eq!(world.secret(SECRET).await.unwrap().immutable, None);

    make_immutable(&world).await;
    world.delete("orders").await;
    world.wait_gone("orders").await;
    wait_no_secret(&world, SECRET).await;
    let note = world.wait_event("orders", "CredentialsSecretDeleted").await;
    assert!(note.contains("could not be emptied"), "{note}");
    end(world).await;
}

/// What a move leaves that was interrupted after it copied: both Secrets, and a status that names
/// the old one. The operator is stopped.
async fn interrupt_a_move(world: &mut World) {
    ask(world, "prod-read", json!({"secretName": SECRET})).await;
    wait_state(world, "Delivered").await;
    world.operator.kill();
    let mut copy = world.secret(SECRET).await.unwrap();
    copy.metadata.name = Some("copied-db".to_owned());
    copy.metadata.resource_version = None;
    copy.metadata.uid = None;
    let created = world.secrets().create(&PostParams::default(), &copy).await;
    created.unwrap();
    let others = json!({"status": {"credentials": {"otherSecretNames": ["copied-db"]}}});
    let requests = world.cluster.requests();
    let how = PatchParams::default();
    let others = Patch::Merge(others);
    let patched = requests.patch_status("orders", &how, &others).await;
    patched.unwrap();
}

#[tokio::test]
async fn a_move_that_was_interrupted_leaves_nothing_behind_at_the_end() {
    let mut world = World::new(Setup::default()).await;
    interrupt_a_move(&mut world).await;
    let spec = json!({"spec": {"credentials": {"secretName": "copied-db"}}});
    world.patch("orders", spec).await;
    world.delete("orders").await;
    world.operator.start();
    world.wait_gone("orders").await;
    wait_no_secret(&world, SECRET).await;
    wait_no_secret(&world, "copied-db").await;
    end(world).await;
}

#[tokio::test]
async fn a_move_that_was_interrupted_and_renamed_again_ends_in_one_secret() {
    for is_source_gone in [false, true] {
        let mut world = World::new(Setup::default()).await;
        interrupt_a_move(&mut world).await;
        if is_source_gone {
            let how = DeleteParams::default();
            world.secrets().delete(SECRET, &how).await.unwrap();
        }
        let spec = json!({"spec": {"credentials": {"secretName": "third-db"}}});
        world.patch("orders", spec).await;
        world.operator.start();
        let found = world.wait_for("orders", "the third Secret", |found| {
            let shown = credentials(found);
            shown["secretName"] == "third-db" && shown["state"] == "Delivered"
        });
        let found = found.await;
        assert!(credentials(&found)["otherSecretNames"].is_null());
        assert_current(&world, "third-db").await;
        wait_no_secret(&world, SECRET).await;
        wait_no_secret(&world, "copied-db").await;
        assert_eq!(world.calls(Endpoint::SessionDetails), 1);
        end(world).await;
    }
}
