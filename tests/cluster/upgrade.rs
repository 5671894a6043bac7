//! Upgrade and rollback with requests in every state in flight: each is asked for once, and ends as it
//! would have.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    release::{RELEASE, Release, variable},
    remote::Remote,
    wait::eventually_within,
};

/// What the pods run.
fn images(release: &Release) -> Vec<String> {
    let pods = release.pods("operator");
    let images = pods
        .iter()
        .map(|pod| pod.pointer("/spec/containers/0/image"));
    images
        .map(|it| it.and_then(Value::as_str).expect("an image").to_owned())
        .collect()
}

#[tokio::test]
#[ignore = "cargo xtask prove cluster: needs root and a node"]
async fn upgrade_and_rollback_leave_requests_in_flight_alone() {
    let release = Release::prepare("upgrade");
    let (old, new) = (
        variable("APONO_CLUSTER_OPERATOR"),
        variable("APONO_CLUSTER_NEXT"),
    );
    assert_ne!(old, new);
    let values = ["replicas=2", "demo.enabled=true"];
    release.install("install", &old, &values);
    release.shared(2).await;
    release.connect(&json!({}));
    let remote = Remote::open(&release.namespace);
    // A person decides when the test says so.
    let patient = json!({"delays": {"human": null}});
    remote.call("PATCH", "behaviour", patient).await;

    release.ask("live", "prod-read");
    release.ask("waits", "prod-admin");
    release.wait_phase("live", "Active").await;
    release.wait_phase("waits", "Pending").await;

    // While pods come and go, somebody asks all the time.
    let started = Instant::now();
    let during = |part: &'static str| {
        let release = &release;
        move || {
            for number in 0..6 {
                release.ask(&format!("{part}-{number}"), "prod-read");
                std::thread::sleep(Duration::from_millis(700));
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(during("up"));
        release.install("upgrade", &new, &values);
    });
    assert!(
        images(&release).iter().all(|image| *image == new),
        "{:?}",
        images(&release)
    );
    let upgraded = started.elapsed();
    let waiting = release.request("waits");
    assert_eq!(
        waiting.pointer("/status/phase"),
        Some(&"Pending".into()),
        "{waiting:#}"
    );

    std::thread::scope(|scope| {
        scope.spawn(during("down"));
        release.helm_does(&["rollback", RELEASE, "--wait", "--timeout=5m"]);
    });
    assert!(
        images(&release).iter().all(|image| *image == old),
        "{:?}",
        images(&release)
    );
    release.shared(2).await;

    // Approved only now: the request of the first pods is that of the last.
    let asked = remote.only("waits").await;
    let id = asked["id"].as_str().expect("an id");
    remote
        .call("POST", &format!("requests/{id}/approve"), Value::Null)
        .await;
    let parts = ["up", "down"].iter();
    let names = parts.flat_map(|part| (0..6).map(move |number| format!("{part}-{number}")));
    let names: Vec<String> = names
        .chain(["live".to_owned(), "waits".to_owned()])
        .collect();
    for name in &names {
        let found = release.wait_phase(name, "Active").await;
        let asked = remote.only(name).await;
        assert_eq!(
            found.pointer("/status/requests/0/id"),
            Some(&asked["id"]),
            "{found:#}"
        );
    }
    assert_eq!(remote.requests().await.len(), names.len());
    println!(
        "\nproved: cluster: {} requests through an upgrade ({upgraded:?}) and a rollback, each asked for once",
        names.len()
    );
    release.delete_requests();
    let patience = Duration::from_secs(30);
    eventually_within(patience, "all access has ended", async || {
        let all = remote.requests().await;
        let left: Vec<_> = all
            .iter()
            .filter(|one| one["status"] != "Revoked")
            .collect();
        left.is_empty()
            .then_some(())
            .ok_or_else(|| format!("{left:#?}"))
    })
    .await;
}
