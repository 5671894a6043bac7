//! As a user installs it: by Helm, into a namespace that admits restricted pods only, with what the notes
//! say typed as they say it.

use std::process::Command;

use serde_json::Value;

use crate::{
    node::Process,
    release::{RELEASE, Release, kubectl, kubectl_command, said, variable},
    remote::Remote,
};

#[tokio::test]
#[ignore = "cargo xtask prove cluster: needs root and a node"]
async fn the_chart_runs_as_pods_and_does_what_its_notes_say() {
    let release = Release::prepare("install");
    let log =
        || std::fs::read_to_string(variable("APONO_CLUSTER_AUDIT_LOG")).expect("an audit log");
    let earlier = log().len();
    let installed = release.install(
        "install",
        &variable("APONO_CLUSTER_OPERATOR"),
        &[
            "replicas=2",
            "demo.enabled=true",
            "podDisruptionBudget.enabled=true",
        ],
    );
    // The apiserver warns where a pod would not be admitted.
    assert!(
        !installed.errors.contains("would violate"),
        "{}",
        installed.errors
    );

    let (operators, simulators) = (release.pods("operator"), release.pods("simulator"));
    assert_eq!(
        (operators.len(), simulators.len()),
        (2, 1),
        "{}",
        release.story()
    );
    for (pods, program) in [
        (&operators, "apono-operator"),
        (&simulators, "apono-simulator"),
    ] {
        for pod in pods {
            is_confined(pod, program);
        }
    }
    release.shared(2).await;

    // As it is typed, up to what would watch for ever.
    let notes = installed.output;
    let (_, typed) = notes.split_once("Try it:").expect("a demo in the notes");
    let (typed, _) = typed
        .split_once("kubectl -n payments get")
        .expect("its end");
    kubectl(&["delete", "namespace", "payments", "--ignore-not-found"]);
    let folder = std::path::PathBuf::from(variable("APONO_CLUSTER_KUBECTL"));
    let path = format!(
        "{}:{}",
        folder.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let shell = said(Command::new("sh").args(["-ec", typed]).env("PATH", path));
    assert!(shell.is_success, "{}{}", shell.output, shell.errors);
    let wait = [
        "wait",
        "accreq/prod-read",
        "--for=condition=Ready",
        "--timeout=5m",
    ];
    let waited = said(kubectl_command().args(["-n", "payments"]).args(wait));
    assert!(waited.is_success, "{}\n{}", waited.errors, release.story());

    let tested = release.helm_does(&["test", RELEASE, "--logs"]);
    for line in [
        "ok    custom resources: served",
        "ok    ClusterAponoConnection demo",
    ] {
        assert!(tested.output.contains(line), "{}", tested.output);
    }

    let remote = Remote::open(&release.namespace);
    assert_eq!(remote.only("prod-read").await["status"], "Active");
    kubectl(&[
        "delete",
        "accreq",
        "prod-read",
        "-n",
        "payments",
        "--timeout=5m",
    ]);
    assert_eq!(remote.only("prod-read").await["status"], "Revoked");
    kubectl(&["delete", "namespace", "payments", "--timeout=5m"]);

    // Its token is one that the kubelet projects, and opens what it needs: nothing was refused.
    let account = format!("system:serviceaccount:{}:{RELEASE}", release.namespace);
    let log = log();
    let (_, log) = log.split_at(earlier);
    let entries = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let its: Vec<Value> = entries
        .filter(|one| one["user"]["username"] == *account)
        .collect();
    assert!(its.len() > 20, "{} calls", its.len());
    let bound = its.iter().filter(|one| {
        let pods = one.pointer("/user/extra/authentication.kubernetes.io~1pod-name");
        pods.and_then(|it| it[0].as_str())
            .is_some_and(|pod| pod.starts_with(RELEASE))
    });
    assert_eq!(bound.count(), its.len(), "every token is bound to a pod");
    let refused = its
        .iter()
        .filter(|one| one["responseStatus"]["code"] == 403);
    let refused: Vec<_> = refused.map(|one| one["requestURI"].clone()).collect();
    assert!(refused.is_empty(), "{refused:?}");

    // What the operator never needs, its account may not.
    let account = format!("--as=system:serviceaccount:{}:{RELEASE}", release.namespace);
    for forbidden in [
        ["list", "secrets"],
        ["create", "pods"],
        ["get", "configmaps"],
    ] {
        let asked = said(
            kubectl_command()
                .args(["auth", "can-i", "-A", &account])
                .args(forbidden),
        );
        assert_eq!(asked.output.trim(), "no", "{forbidden:?}");
    }
}

/// What the chart asks for is what the kernel does: nobody's user, no capability, no way to get one, a
/// filter of system calls, nothing to write to.
fn is_confined(pod: &Value, program: &str) {
    let uid = pod
        .pointer("/metadata/uid")
        .and_then(Value::as_str)
        .expect("a uid");
    let process = Process::of(uid, program);
    assert_eq!(
        process.status("Uid"),
        "65532 65532 65532 65532",
        "{program}"
    );
    assert_eq!(
        process.status("Gid"),
        "65532 65532 65532 65532",
        "{program}"
    );
    for row in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(process.status(row), "0000000000000000", "{program} {row}");
    }
    assert_eq!(process.status("NoNewPrivs"), "1", "{program}");
    assert_eq!(process.status("Seccomp"), "2", "{program}");
    assert_eq!(process.root(), "ro", "{program}");
    let restarts = pod.pointer("/status/containerStatuses/0/restartCount");
    assert_eq!(restarts, Some(&0.into()), "{program}");
}
