//! `apono-operator drain`, as a user who holds what the operator's own roles grant of it and no more.

use std::{
    io::Write as _,
    process::{Output, Stdio},
};

use apono_simulator::{Fate, catalogue::RevokeFate};
use serde_json::json;

use crate::{
    ACTIVE, PENDING, REJECTED, SUSPENDED,
    support::{Setup, World, eventually},
};

const DRAINER: &str = "drainer";

/// A kubeconfig of a user who may do what a drain does, as docs/lifecycle.md lists it.
fn drainer(world: &World) -> tempfile::NamedTempFile {
    let kubectl = |arguments: &[&str]| world.cluster.kubectl(arguments);
    for (role, resource, verbs) in [
        ("requests", "accessrequests", "list,patch,delete"),
        ("connections", "aponoconnections", "list"),
        ("debts", "owedrevocations", "list"),
    ] {
        let resource = format!("--resource={resource}.access.apono.io");
        kubectl(&[
            "create",
            "role",
            role,
            &resource,
            &format!("--verb={verbs}"),
        ]);
        let (whom, what) = (format!("--user={DRAINER}"), format!("--role={role}"));
        kubectl(&["create", "rolebinding", role, &what, &whom]);
    }
    let text = std::fs::read_to_string(world.cluster.kubeconfig()).unwrap();
    let mut kubeconfig: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    kubeconfig["users"][0]["user"]["as"] = json!(DRAINER);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(kubeconfig.to_string().as_bytes()).unwrap();
    file
}

/// How a drain ended, and what it said.
struct Drained {
    code: Option<i32>,
    said: String,
    printed: String,
}

impl From<Output> for Drained {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            said: String::from_utf8(output.stderr).unwrap(),
            printed: String::from_utf8(output.stdout).unwrap(),
        }
    }
}

impl Drained {
    fn says(&self, words: &[&str]) {
        for word in words {
            assert!(self.said.contains(word), "{word}: {}", self.said);
        }
    }
}

/// Starts a drain of the world's namespace.
fn begin(
    world: &World,
    kubeconfig: &tempfile::NamedTempFile,
    more: &[&str],
) -> std::process::Child {
    world
        .operator
        .command(&[&["drain"], more].concat())
        .env("KUBECONFIG", kubeconfig.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn drain(world: &World, kubeconfig: &tempfile::NamedTempFile, more: &[&str]) -> Drained {
    let child = begin(world, kubeconfig, more);
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    ended.await.unwrap().unwrap().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_takes_everything_back_and_ends_when_nothing_is_left() {
    let orphan = json!({"allow": {"orphan": true}});
    let world = World::new(Setup::default().connection(orphan)).await;
    let kubeconfig = drainer(&world);
    for (name, spec, row) in [
        ("active", json!({"access": {"bundle": "prod-read"}}), ACTIVE),
        (
            "pending",
            json!({"access": {"bundle": "prod-admin"}}),
            PENDING,
        ),
        (
            "rejected",
            json!({"access": {"bundle": "prod-admin"}}),
            PENDING,
        ),
        (
            "suspended",
            json!({"access": {"bundle": "prod-read"}, "suspend": true}),
            SUSPENDED,
        ),
        (
            "left",
            json!({"access": {"bundle": "prod-read"}, "deletionPolicy": "Orphan"}),
            ACTIVE,
        ),
    ] {
        world.ask(name, spec).await;
        world.wait_row(name, row).await;
    }
    let rejected = world.only_remote("rejected").id;
    world.simulator.reject(&rejected, None).unwrap();
    world.wait_row("rejected", REJECTED).await;

    let fates = [
        "revoke    ",
        "/active (Active)\n",
        "/pending (Pending)\n",
        "/rejected (Rejected)\n",
        "goes      ",
        "/suspended (Suspended)\n",
        "orphan    ",
        "/left (Active): its access stays, spec.deletionPolicy is Orphan\n",
    ];
    let dry = drain(&world, &kubeconfig, &["--dry-run"]).await;
    assert_eq!(dry.code, Some(0), "{}", dry.said);
    dry.says(&fates);
    dry.says(&["left: 5 AccessRequests, 0 OwedRevocations, 1 connection in use; nothing was done"]);
    for name in ["active", "pending", "rejected", "suspended", "left"] {
        let found = world.get(name).await;
        assert!(found.metadata.deletion_timestamp.is_none(), "{name}");
    }
    world.assert_live(3);

    let drained = drain(&world, &kubeconfig, &["--timeout=45s"]).await;
    assert_eq!(
        drained.code,
        Some(0),
        "{}{}",
        drained.said,
        world.last_words()
    );
    drained.says(&fates);
    drained.says(&["nothing is left: remove the operator, then the definitions\n"]);
    assert_eq!(drained.printed, "");
    assert!(world.only_remote("left").has_access());
    world.assert_live(1);
    assert_eq!(crate::left(&world).await, 0);
    // Nothing holds the connection, so that its definition and its namespace can go.
    let connection = world.cluster.connections().get("apono").await.unwrap();
    assert_eq!(connection.metadata.finalizers, None);

    let again = drain(&world, &kubeconfig, &["--timeout=1s"]).await;
    assert_eq!(again.code, Some(0), "{}", again.said);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_says_what_is_left_and_what_to_do_and_can_be_run_again() {
    let deadline = json!({"revocationDeadline": "4s"});
    let world = World::new(Setup::default().connection(deadline)).await;
    let kubeconfig = drainer(&world);
    world.ask_bundle("stuck", "prod-read").await;
    world.wait_row("stuck", ACTIVE).await;
    let stuck = world.only_remote("stuck").id;
    let revoke = RevokeFate::Stick;
    world
        .simulator
        .fate(
            &stuck,
            Fate {
                revoke,
                ..Fate::default()
            },
        )
        .unwrap();

    let child = begin(&world, &kubeconfig, &["--timeout=2s"]);
    let going =
        |found: &apono_operator::crd::AccessRequest| found.metadata.deletion_timestamp.is_some();
    world.wait_for("stuck", "the drain deletes it", going).await;
    // As a GitOps tool does that nobody has suspended.
    world.ask_bundle("again", "prod-read").await;
    let output = tokio::task::spawn_blocking(move || child.wait_with_output());
    let short: Drained = output.await.unwrap().unwrap().into();
    assert_eq!(short.code, Some(1), "{}", short.said);
    let (waits, made) = (
        format!(
            "WAITS     {}/stuck: being deleted; ",
            world.cluster.namespace
        ),
        format!(
            "MADE      {}/again: after the drain began",
            world.cluster.namespace
        ),
    );
    short.says(&[
        &waits,
        &made,
        "do not remove the operator before it ends with 0",
    ]);
    let again = world.wait_row("again", ACTIVE).await;
    assert!(again.metadata.deletion_timestamp.is_none());

    world.wait_gone("stuck").await;
    let owing = drain(&world, &kubeconfig, &["--timeout=3s"]).await;
    assert_eq!(owing.code, Some(1), "{}", owing.said);
    let owed = format!(": access of {}/stuck, ", world.cluster.namespace);
    owing.says(&[
        "OWED      ",
        &owed,
        "patch owedrevocation NAME",
        "writtenOff",
    ]);

    world.simulator.fate(&stuck, Fate::default()).unwrap();
    let drained = drain(&world, &kubeconfig, &["--timeout=45s"]).await;
    assert_eq!(
        drained.code,
        Some(0),
        "{}{}",
        drained.said,
        world.last_words()
    );
    world.assert_live(0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_operator_or_the_rights_it_does_not_pretend() {
    let mut world = World::new(Setup::default()).await;
    let kubeconfig = drainer(&world);
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    let refused = drain(&world, &kubeconfig, &["--hand-over"]).await;
    assert_eq!(refused.code, Some(1));
    refused.says(&[
        "REFUSED   ",
        "does not allow access to be left behind: set spec.allow.orphan: true there",
        "1 of 1 cannot be handed over: nothing was done",
    ]);
    assert_eq!(refused.printed, "");
    let found = world.get("orders").await;
    assert!(found.metadata.deletion_timestamp.is_none() && found.spec.suspend.is_none());

    world
        .cluster
        .kubectl(&["delete", "rolebinding", "requests"]);
    eventually("the right is gone", async || {
        let forbidden = drain(&world, &kubeconfig, &["--dry-run"]).await;
        let is_so = forbidden.code == Some(1)
            && forbidden
                .said
                .contains("could not list the access requests")
            && forbidden.said.contains("forbidden");
        is_so.then_some(()).ok_or(forbidden.said)
    })
    .await;
    world.cluster.kubectl(&[
        "create",
        "rolebinding",
        "requests",
        "--role=requests",
        "--user=drainer",
    ]);

    assert_eq!(world.operator.terminate().await, Some(0));
    eventually("the right is back", async || {
        let alone = drain(&world, &kubeconfig, &["--timeout=1s"]).await;
        assert_eq!(alone.code, Some(1), "{}", alone.said);
        let words = "the operator has to run, it alone takes access back";
        alone.said.contains(words).then_some(()).ok_or(alone.said)
    })
    .await;
    world.assert_live(1);
    world.operator.start();
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.end().await;
}
