//! Pods that end: told to, as in every rollout, or killed, in the middle of a create too.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    node::Process,
    release::{Release, kubectl, kubectl_command, name, variable},
    remote::Remote,
    wait::eventually_within,
};

/// A Lease of this length cannot have run out in what these tests wait for.
const LONG_LEASE: &str = "leaseDuration=2m";
/// Of `terminationGracePeriodSeconds`: who needs it all is killed.
const GRACE: Duration = Duration::from_secs(15);

fn quick() -> Value {
    json!({"correlation": {"settle": "1s"}, "polling": {"fast": "200ms", "pending": "1s", "active": "2s"}})
}

#[tokio::test]
#[ignore = "cargo xtask prove cluster: needs root and a node"]
async fn a_pod_that_is_told_to_end_gives_back_its_part_and_ends_well() {
    let release = Release::prepare("drain");
    let image = variable("APONO_CLUSTER_OPERATOR");
    release.install(
        "install",
        &image,
        &["replicas=2", "demo.enabled=true", LONG_LEASE],
    );
    let pods = release.shared(2).await;
    release.connect(&quick());
    release.ask("held", "prod-read");
    release.wait_phase("held", "Active").await;

    let leaving = &pods[0];
    // What the kubelet says of its end is there for a moment only.
    let mut watch = kubectl_command()
        .args(["get", "pod", leaving, "-n", &release.namespace])
        .args(["-o", "json", "--watch", "--output-watch-events"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kubectl starts");
    let started = Instant::now();
    kubectl(&[
        "delete",
        "pod",
        leaving,
        "-n",
        &release.namespace,
        "--wait=false",
    ]);
    let stream = serde_json::Deserializer::from_reader(watch.stdout.take().expect("piped"));
    let (mut ended, mut time) = (None, Duration::ZERO);
    for event in stream.into_iter::<Value>().map_while(Result::ok) {
        let state = event.pointer("/object/status/containerStatuses/0/state/terminated");
        if let (Some(state), None) = (state, &ended) {
            ended = Some(state.clone());
            time = started.elapsed();
        }
        if event["type"] == "DELETED" {
            break;
        }
    }
    watch.kill().expect("killed");
    watch.wait().expect("it ends");
    let ended = ended.expect("the kubelet has told how it ended");
    assert_eq!(ended["exitCode"], 0, "{ended}\n{}", release.story());
    assert!(time < GRACE, "after {time:?}: {ended}");

    // The other, or who came in its place, has its part long before its Lease would have run out.
    release.shared(2).await;
    assert!(
        started.elapsed() < Duration::from_mins(1),
        "{:?}",
        started.elapsed()
    );
    println!("\nproved: cluster: a pod told to end was gone after {time:?}, exit code 0");
    release.delete_requests();
}

#[tokio::test]
#[ignore = "cargo xtask prove cluster: needs root and a node"]
async fn a_pod_deleted_in_the_middle_of_a_create_does_not_ask_twice() {
    let release = Release::prepare("deleted");
    let image = variable("APONO_CLUSTER_OPERATOR");
    release.install("install", &image, &["replicas=2", "demo.enabled=true"]);
    release.shared(2).await;
    release.connect(&quick());
    let remote = Remote::open(&release.namespace);

    remote.swallow_creates(1).await;
    release.ask("cut", "prod-read");
    remote.asked("cut").await;
    // Whichever of them asked.
    let pods = release.operators();
    for pod in &pods {
        kubectl(&[
            "delete",
            "pod",
            pod,
            "-n",
            &release.namespace,
            "--wait=false",
        ]);
    }
    let found = release.wait_phase("cut", "Active").await;
    let asked = remote.only("cut").await;
    assert_eq!(
        found.pointer("/status/requests/0/id"),
        Some(&asked["id"]),
        "{found:#}"
    );
    let left = release.operators();
    assert!(
        pods.iter().all(|pod| !left.contains(pod)),
        "{pods:?} {left:?}"
    );
    release.delete_requests();
    assert_eq!(remote.only("cut").await["status"], "Revoked");
}

#[tokio::test]
#[ignore = "cargo xtask prove cluster: needs root and a node"]
async fn a_container_killed_in_the_middle_of_a_create_does_not_ask_twice() {
    let release = Release::prepare("killed");
    let image = variable("APONO_CLUSTER_OPERATOR");
    release.install("install", &image, &["demo.enabled=true", LONG_LEASE]);
    release.shared(1).await;
    release.connect(&quick());
    let remote = Remote::open(&release.namespace);

    remote.swallow_creates(1).await;
    release.ask("cut", "prod-read");
    remote.asked("cut").await;
    let pod = release.pods("operator").remove(0);
    let uid = pod
        .pointer("/metadata/uid")
        .and_then(Value::as_str)
        .expect("a uid");
    Process::of(uid, "apono-operator").kill();
    let killed = Instant::now();

    // The next container of the pod goes on as its heir: it does not wait for a Lease of two minutes.
    let found = release.wait_phase("cut", "Active").await;
    let time = killed.elapsed();
    assert!(
        time < Duration::from_mins(1),
        "{time:?}\n{}",
        release.story()
    );
    let asked = remote.only("cut").await;
    assert_eq!(
        found.pointer("/status/requests/0/id"),
        Some(&asked["id"]),
        "{found:#}"
    );
    let patience = Duration::from_mins(1);
    eventually_within(patience, "the kubelet tells of the restart", async || {
        let again = release.pods("operator").remove(0);
        let count = again
            .pointer("/status/containerStatuses/0/restartCount")
            .cloned();
        assert_eq!(name(&again), name(&pod), "the same pod");
        (count == Some(1.into()))
            .then_some(())
            .ok_or_else(|| format!("{count:?}"))
    })
    .await;
    println!(
        "\nproved: cluster: a container killed in a create: active after {time:?}, asked once"
    );
    release.delete_requests();
}
