//! A cluster of the test's own, with the controllers of Deployments and of aggregated roles. It has no
//! node: what a kubelet would do to the pods is done here, as far as Helm can see it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    helm::{Helm, said},
    shipped::{Said, text, variable},
};

/// Long enough for a busy machine of two cores.
const PATIENCE: Duration = Duration::from_mins(1);
/// Where the release lives.
pub const NAMESPACE: &str = "apono-system";
/// What a Deployment needs to come up, and an aggregated role to be filled.
const CONTROLLERS: &str =
    "deployment-controller,replicaset-controller,clusterrole-aggregation-controller";

/// The cluster; it ends with this value.
pub struct Plane {
    process: Child,
    exports: BTreeMap<String, String>,
    kubelet: Option<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

impl Plane {
    /// Starts it; nothing is installed.
    pub fn start() -> Self {
        let mut process = Command::new(variable("APONO_TEST_XTASK"))
            .args(["control-plane", "up", "--controllers", CONTROLLERS])
            .env_remove("APONO_TEST_KUBECONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("xtask starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut exports = BTreeMap::new();
        // The last of what it prints.
        while !exports.contains_key("APONO_TEST_SA_KUBECONFIG") {
            let line = lines.next().expect("it comes up").expect("text");
            let line = line.strip_prefix("export ").expect("an export");
            let (name, value) = line.split_once('=').expect("a value");
            exports.insert(name.to_owned(), value.trim_matches('\'').to_owned());
        }
        let mut plane = Self {
            process,
            exports,
            kubelet: None,
            is_over: Arc::default(),
        };
        plane.kubelet = Some(plane.drive_pods());
        plane
    }

    /// A file of the cluster's, by the variable that names it.
    pub fn file(&self, variable: &str) -> &str {
        &self.exports[variable]
    }

    fn kubectl_command(&self) -> Command {
        let mut command = Command::new(self.file("APONO_TEST_KUBECTL"));
        command
            .args(["--kubeconfig", self.file("KUBECONFIG")])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null());
        command
    }

    /// Calls kubectl as the administrator, however it ends.
    pub fn try_kubectl(&self, arguments: &[&str]) -> Said {
        said(self.kubectl_command().args(arguments))
    }

    /// The same where it must succeed; gives what it printed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let said = self.try_kubectl(arguments);
        assert!(said.is_success, "kubectl {arguments:?}: {}", said.errors);
        said.output
    }

    /// Applies an object as an administrator does.
    pub fn apply(&self, object: &Value) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("object.json");
        std::fs::write(&file, object.to_string()).expect("written");
        self.kubectl(&["apply", "--server-side", "-f", &file.to_string_lossy()]);
    }

    /// An object as it is stored; null where there is none.
    pub fn get(&self, kind: &str, name: &str, namespace: &str) -> Value {
        let found = ["get", kind, name, "-n", namespace, "-o", "json"];
        let said = self.try_kubectl(&[&found[..], &["--ignore-not-found"]].concat());
        assert!(said.is_success, "{kind} {name}: {}", said.errors);
        serde_json::from_str(&said.output).unwrap_or_default()
    }

    /// Helm with this cluster.
    pub fn helm(&self, helm: Helm, arguments: &[&str]) -> Said {
        let mut command = helm.command();
        command
            .env("KUBECONFIG", self.file("KUBECONFIG"))
            .args(["--namespace", NAMESPACE])
            .args(arguments);
        said(&mut command)
    }

    /// Plays the kubelet. A pod of a Deployment is ready as soon as its command runs, here as a process
    /// with the account of the operator; a pod of `helm test` ends as its command does.
    fn drive_pods(&self) -> JoinHandle<()> {
        let is_over = Arc::clone(&self.is_over);
        let kubectl = self.file("APONO_TEST_KUBECTL").to_owned();
        let kubeconfig = self.file("KUBECONFIG").to_owned();
        let account = self.file("APONO_TEST_SA_KUBECONFIG").to_owned();
        std::thread::spawn(move || {
            let call = |arguments: &[&str]| {
                let mut command = Command::new(&kubectl);
                command.args(["--kubeconfig", &kubeconfig, "-n", NAMESPACE]);
                said(command.args(arguments).stdin(Stdio::null()))
            };
            let mut running = BTreeMap::<String, Running>::new();
            while !is_over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
                let pods = call(&["get", "pods", "-o", "json"]).output;
                let Ok(pods) = serde_json::from_str::<Value>(&pods) else {
                    continue;
                };
                let pods = pods["items"].as_array().cloned().unwrap_or_default();
                let names = pods.iter().map(|pod| text(pod, "/metadata/name"));
                let names: BTreeSet<_> = names.collect();
                running.retain(|name, _| names.contains(name.as_str()));
                for pod in pods
                    .iter()
                    .filter(|pod| text(pod, "/status/phase") == "Pending")
                {
                    let name = text(pod, "/metadata/name");
                    let status = if name.ends_with("-check") {
                        checked(pod, &account)
                    } else {
                        running.insert(name.to_owned(), Running::start(pod, &account));
                        json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
                    };
                    let patch = json!({"status": status}).to_string();
                    let how = ["--subresource=status", "--type=merge", "-p", &patch];
                    // It may be gone by now.
                    call(&[&["patch", "pod", name], &how[..]].concat());
                }
            }
        })
    }
}

/// Looks until there is an answer; the error says what is missing.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(missing) => assert!(
                started.elapsed() < PATIENCE,
                "not within {PATIENCE:?}: {what}: {missing}"
            ),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The container of a pod, as a process; it ends with the pod.
struct Running(Child);

impl Running {
    fn start(pod: &Value, account: &str) -> Self {
        let child = container(pod, account)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("the operator starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The operator with the arguments and the environment that a pod gives its container.
fn container(pod: &Value, account: &str) -> Command {
    let list = |path: &str| {
        let list = pod.pointer(path).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_apono-operator"));
    for argument in list("/spec/containers/0/args") {
        command.arg(argument.as_str().expect("a text"));
    }
    for variable in list("/spec/containers/0/env") {
        // What is no text is the name of the pod.
        let value = match variable.get("value") {
            Some(_) => text(&variable, "/value"),
            None => text(pod, "/metadata/name"),
        };
        command.env(text(&variable, "/name"), value);
    }
    command
        .env("KUBECONFIG", account)
        .env("ADMIN_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null());
    command
}

/// How a pod of `helm test` ends.
fn checked(pod: &Value, account: &str) -> Value {
    let ended = said(&mut container(pod, account));
    println!("{}", ended.output);
    let phase = if ended.is_success {
        "Succeeded"
    } else {
        "Failed"
    };
    json!({"phase": phase})
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(kubelet) = self.kubelet.take() {
            let _ = kubelet.join();
        }
        let _ = Command::new("kill")
            .args(["-TERM", &self.process.id().to_string()])
            .status();
        let _ = self.process.wait();
    }
}
