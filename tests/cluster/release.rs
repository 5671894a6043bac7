//! A release in a namespace of its own that admits restricted pods only; who talks to it are Helm and
//! kubectl, as a user types them.

use std::{
    env,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::wait::eventually_within;

/// The name that the chart's documentation uses.
pub const RELEASE: &str = "apono-operator";
const CHART: &str = "deploy/chart";
/// How long Helm waits for pods.
const HELM_PATIENCE: &str = "--timeout=5m";
/// How many shards there are.
pub const SHARDS: u32 = 32;

/// What a program said.
#[derive(Debug)]
pub struct Said {
    pub is_success: bool,
    pub output: String,
    pub errors: String,
}

/// A variable that `cargo xtask prove cluster` sets.
pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set; this test needs a node: run `cargo xtask prove cluster`")
    })
}

/// Runs a command to its end.
pub fn said(command: &mut Command) -> Said {
    let ended = command.stdin(Stdio::null()).output().expect("it starts");
    Said {
        is_success: ended.status.success(),
        output: String::from_utf8_lossy(&ended.stdout).into_owned(),
        errors: String::from_utf8_lossy(&ended.stderr).into_owned(),
    }
}

/// kubectl against the cluster.
pub fn kubectl_command() -> Command {
    let mut command = Command::new(variable("APONO_CLUSTER_KUBECTL"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// What kubectl says; it must succeed. Said again where a busy apiserver did not answer: what tests call
/// with it may be done twice.
pub fn kubectl(arguments: &[&str]) -> String {
    let mut attempts = 0;
    loop {
        let said = said(kubectl_command().args(arguments));
        if said.is_success {
            return said.output;
        }
        attempts += 1;
        let is_busy = UNANSWERED.iter().any(|words| said.errors.contains(words));
        assert!(
            is_busy && attempts < 5,
            "kubectl {arguments:?}: {}",
            said.errors
        );
    }
}

/// What kubectl says where nothing answered in time.
const UNANSWERED: [&str; 3] = [
    "TLS handshake timeout",
    "i/o timeout",
    "context deadline exceeded",
];

/// An object or a list, as JSON.
pub fn get(arguments: &[&str]) -> Value {
    let all = [&["get", "-o", "json"], arguments].concat();
    serde_json::from_str(&kubectl(&all)).expect("JSON")
}

/// Applies an object.
pub fn apply(object: &Value) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), object.to_string()).expect("written");
    kubectl(&["apply", "-f", &file.path().to_string_lossy()]);
}

/// A release, and beside it a namespace in which access is asked for.
pub struct Release {
    pub namespace: String,
    pub tenant: String,
}

impl Release {
    /// Namespaces for it; nothing is installed yet. What an earlier test left, failed as it may have, is
    /// removed.
    pub fn prepare(name: &str) -> Self {
        let release = Self {
            namespace: format!("apono-{name}"),
            tenant: format!("tenant-{name}"),
        };
        sweep();
        for (namespace, labels) in [
            (
                &release.namespace,
                json!({
                    "pod-security.kubernetes.io/enforce": "restricted",
                    "pod-security.kubernetes.io/warn": "restricted",
                }),
            ),
            (&release.tenant, json!({})),
        ] {
            apply(&json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": namespace, "labels": labels}
            }));
        }
        release
    }

    /// Helm in the namespace of the release.
    pub fn helm(&self, arguments: &[&str]) -> Said {
        let home = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("helm-cluster");
        let mut command = Command::new(variable("APONO_CLUSTER_HELM"));
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["--namespace", &self.namespace])
            .args(arguments);
        for name in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{name}_HOME"), home.join(name));
        }
        said(&mut command)
    }

    /// Helm; it must succeed.
    pub fn helm_does(&self, arguments: &[&str]) -> Said {
        let said = self.helm(arguments);
        assert!(
            said.is_success,
            "helm {arguments:?}: {}{}\n{}",
            said.errors,
            said.output,
            self.story()
        );
        said
    }

    /// Installs or upgrades, waits until all pods are ready, and gives what Helm said.
    pub fn install(&self, verb: &str, image: &str, more: &[&str]) -> Said {
        let (repository, digest) = image.split_once('@').expect("an image by its digest");
        let simulator = variable("APONO_CLUSTER_SIMULATOR");
        let (demo, demo_digest) = simulator.split_once('@').expect("an image by its digest");
        let values = [
            format!("image.repository={repository}"),
            format!("image.digest={digest}"),
            format!("demo.image.repository={demo}"),
            format!("demo.image.digest={demo_digest}"),
        ];
        let mut arguments = vec![verb, RELEASE, CHART, "--wait", HELM_PATIENCE];
        for value in values
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
        {
            arguments.extend(["--set", value]);
        }
        self.helm_does(&arguments)
    }

    /// The pods of a component (`operator`, `simulator`) that are not being deleted.
    pub fn pods(&self, component: &str) -> Vec<Value> {
        let all = get(&["pods", "-n", &self.namespace]);
        let is_its = |pod: &&Value| {
            let container = pod.pointer("/spec/containers/0/name");
            container.is_some_and(|it| it == component)
                && pod.pointer("/metadata/deletionTimestamp").is_none()
        };
        let items = all["items"].as_array().expect("a list");
        items.iter().filter(is_its).cloned().collect()
    }

    /// The names of the operator's pods.
    pub fn operators(&self) -> Vec<String> {
        self.pods("operator")
            .iter()
            .map(|pod| name(pod).to_owned())
            .collect()
    }

    /// How many shards a pod holds; none where it does not answer.
    pub fn held(&self, pod: &str) -> u32 {
        let path = format!(
            "/api/v1/namespaces/{}/pods/{pod}:8080/proxy/metrics",
            self.namespace
        );
        let said = said(kubectl_command().args(["get", "--raw", &path]));
        let mut lines = said.output.lines();
        let found = lines.find_map(|line| line.strip_prefix("apono_operator_shards_held "));
        found
            .and_then(|value| value.parse().ok())
            .unwrap_or_default()
    }

    /// Waits until the pods there are hold all shards between them, each a fair part, and gives the pods.
    pub async fn shared(&self, replicas: u32) -> Vec<String> {
        let patience = std::time::Duration::from_mins(5);
        eventually_within(patience, "the shards are shared", async || {
            let pods = self.operators();
            let parts: Vec<u32> = pods.iter().map(|pod| self.held(pod)).collect();
            let is_fair = parts.iter().all(|part| *part == SHARDS / replicas);
            if pods.len() == usize::try_from(replicas).unwrap() && is_fair {
                return Ok(pods);
            }
            Err(format!("{pods:?} hold {parts:?}\n{}", self.story()))
        })
        .await
    }

    /// The connection that the notes of the chart describe.
    pub fn connect(&self, spec: &Value) {
        let mut whole = json!({
            "endpoint": format!("http://{RELEASE}-simulator.{}.svc:8080", self.namespace),
            "insecure": true,
            "tokenSecretRef": {"name": format!("{RELEASE}-simulator"), "key": "token"},
        });
        let more = spec.as_object().expect("properties").clone();
        whole.as_object_mut().expect("properties").extend(more);
        apply(&json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "ClusterAponoConnection",
            "metadata": {"name": "demo"}, "spec": whole
        }));
        let wait = [
            "wait",
            "clusteraponoconnection/demo",
            "--for=condition=Ready",
            "--timeout=5m",
        ];
        kubectl(&wait);
    }

    /// Asks for a bundle.
    pub fn ask(&self, name: &str, bundle: &str) {
        apply(&json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
            "metadata": {"name": name, "namespace": self.tenant},
            "spec": {
                "connectionRef": {"name": "demo"}, "access": {"bundle": bundle},
                "justification": "INC-42: stuck orders", "duration": "1h"
            }
        }));
    }

    /// An access request as it stands.
    pub fn request(&self, name: &str) -> Value {
        get(&["accreq", name, "-n", &self.tenant])
    }

    /// Waits until an access request has this phase.
    pub async fn wait_phase(&self, name: &str, phase: &str) -> Value {
        let patience = std::time::Duration::from_mins(5);
        eventually_within(patience, &format!("{name} is {phase}"), async || {
            let found = self.request(name);
            let is_it = found.pointer("/status/phase").is_some_and(|it| it == phase);
            is_it
                .then_some(())
                .ok_or_else(|| format!("{found:#}\n{}", self.story()))?;
            Ok(found)
        })
        .await
    }

    /// Deletes everything that was asked for, and waits until it is gone.
    pub fn delete_requests(&self) {
        let delete = [
            "delete",
            "accreq",
            "--all",
            "-n",
            &self.tenant,
            "--timeout=5m",
        ];
        let said = said(kubectl_command().args(delete));
        assert!(said.is_success, "{}\n{}", said.errors, self.story());
    }

    /// What a failed wait shows: pods, events, the ends of the logs.
    pub fn story(&self) -> String {
        let words = [
            &["get", "pods,leases", "-o", "wide"][..],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &[
                "logs",
                "deployment/apono-operator",
                "--all-pods=true",
                "--prefix",
                "--tail=40",
            ],
        ];
        let told = words.map(|words| {
            let said = said(kubectl_command().args(["-n", &self.namespace]).args(words));
            format!("{}{}", said.output, said.errors)
        });
        told.join("\n")
    }
}

/// The name of an object.
pub fn name(object: &Value) -> &str {
    object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .expect("a name")
}

/// Removes what is left of earlier tests: releases first, then what would wait for an operator.
fn sweep() {
    let quietly = |arguments: &[&str]| said(kubectl_command().args(arguments));
    let namespaces = get(&["namespaces"]);
    let items = namespaces["items"].as_array().expect("a list");
    let ours: Vec<&str> = items
        .iter()
        .map(name)
        .filter(|name| name.starts_with("apono-") || name.starts_with("tenant-"))
        .collect();
    for namespace in &ours {
        let release = Release {
            namespace: (*namespace).to_owned(),
            tenant: String::new(),
        };
        let uninstall = [
            "uninstall",
            RELEASE,
            "--ignore-not-found",
            "--wait",
            HELM_PATIENCE,
        ];
        // Again where a busy apiserver did not answer.
        let mut ended = (0..5).map(|_| release.helm(&uninstall));
        let is_gone = ended.any(|said| said.is_success);
        assert!(is_gone, "a release is left in {namespace}");
    }
    let kinds = "accessrequests,owedrevocations,aponoconnections,clusteraponoconnections";
    let left = quietly(&["get", kinds, "-A", "-o", "json"]);
    let left: Value = serde_json::from_str(&left.output).unwrap_or_default();
    for object in left["items"].as_array().into_iter().flatten() {
        let kind = object["kind"].as_str().expect("a kind");
        let namespace = object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str);
        let place = namespace.map_or(vec![], |namespace| vec!["-n", namespace]);
        let released = r#"{"metadata": {"finalizers": null}}"#;
        quietly(&[&["delete", kind, name(object), "--wait=false"], &place[..]].concat());
        quietly(
            &[
                &["patch", kind, name(object), "--type=merge", "-p", released],
                &place[..],
            ]
            .concat(),
        );
    }
    // What a namespace that was deleted by hand leaves of its release.
    let roles = "clusterroles,clusterrolebindings";
    quietly(&[
        "delete",
        roles,
        "-l",
        "app.kubernetes.io/part-of=apono-operator",
    ]);
    // They stay by design, and are the release's that made them: another name or namespace is refused.
    let definitions = kubectl(&["get", "crd", "-o", "name"]);
    let ours_too = definitions
        .lines()
        .filter(|name| name.ends_with(".access.apono.io"));
    for definition in ours_too {
        quietly(&["delete", definition, "--timeout=5m"]);
    }
    for namespace in ours {
        quietly(&["delete", "namespace", namespace, "--timeout=5m"]);
    }
}
