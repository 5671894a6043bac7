//! The operator's binary as a child process, in namespaced mode, and a namespace of its own.

use std::{
    env,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use apono_operator::crd::{AponoConnection, all_crds};
use k8s_openapi::{
    api::core::v1::{Namespace, Secret},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::wait::{await_condition, conditions},
};
use serde_json::{Value, json};

/// Long enough for a busy machine of two cores.
const PATIENCE: Duration = Duration::from_mins(1);
/// The key of every token here.
const KEY: &str = "token";

/// One test's part of the cluster.
pub struct Place {
    client: Client,
    pub namespace: String,
    kubeconfig: String,
}

impl Place {
    /// A namespace of its own; the definitions are served when this returns.
    pub async fn new() -> Self {
        let kubeconfig = env::var("APONO_TEST_KUBECONFIG").unwrap_or_else(|_| {
            panic!("APONO_TEST_KUBECONFIG is not set; this test needs an apiserver: run `cargo xtask test`")
        });
        let read = Kubeconfig::read_from(&kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(read, &options)
            .await
            .unwrap();
        let client = Client::try_from(config).unwrap();
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        for crd in all_crds() {
            let name = crd.name_any();
            let how = PatchParams::apply("kubectl").force();
            crds.patch(&name, &how, &Patch::Apply(&crd)).await.unwrap();
            let served = await_condition(crds.clone(), &name, conditions::is_crd_established());
            let waited = tokio::time::timeout(PATIENCE, served).await;
            waited
                .unwrap_or_else(|_| panic!("{name} is not served"))
                .unwrap();
        }
        let namespace = format!("connections-{:08x}", rand::random::<u32>());
        let object = serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        Self {
            client,
            namespace,
            kubeconfig,
        }
    }

    /// Stores a token, or replaces it.
    pub async fn store_token(&self, name: &str, token: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name}, "stringData": {KEY: token}
        });
        let how = PatchParams::apply("person").force();
        self.secrets()
            .patch(name, &how, &Patch::Apply(&secret))
            .await
            .unwrap();
    }

    /// Creates a connection whose token is in the Secret of the same name.
    pub async fn connect(&self, name: &str, endpoint: &str) {
        let object = json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "AponoConnection",
            "metadata": {"name": name},
            "spec": {"endpoint": endpoint, "tokenSecretRef": {"name": name, "key": KEY}}
        });
        let object = serde_json::from_value(object).unwrap();
        self.connections()
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    /// Waits until the connection is Ready or not, for this reason; gives its status.
    pub async fn wait_for(&self, name: &str, status: &str, reason: &str) -> Value {
        let is_so = |found: Option<&AponoConnection>| {
            found
                .and_then(|found| found.status.as_ref())
                .is_some_and(|found| {
                    found.conditions.iter().any(|condition| {
                        condition.type_ == "Ready"
                            && condition.status == status
                            && condition.reason == reason
                    })
                })
        };
        let waited =
            tokio::time::timeout(PATIENCE, await_condition(self.connections(), name, is_so));
        let is_in_time = waited.await.is_ok();
        let found = self.status(name).await;
        assert!(
            is_in_time,
            "{name} is not Ready={status} {reason} but {found:#}"
        );
        found
    }

    /// The status as it is stored.
    pub async fn status(&self, name: &str) -> Value {
        serde_json::to_value(self.get(name).await.status).unwrap()
    }

    /// The version that every write changes.
    pub async fn version(&self, name: &str) -> String {
        self.get(name).await.resource_version().unwrap()
    }

    /// Removes the connection.
    pub async fn disconnect(&self, name: &str) {
        self.connections()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Removes the namespace; what is left of it matters to nobody.
    pub async fn leave(self) {
        let namespaces: Api<Namespace> = Api::all(self.client);
        namespaces
            .delete(&self.namespace, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Starts the operator for this namespace.
    pub fn operator(&self, allowed: &str) -> Operator {
        Operator::start(&[
            ("KUBECONFIG", &self.kubeconfig),
            ("OPERATOR_NAMESPACE", &self.namespace),
            ("WATCH_NAMESPACES", &self.namespace),
            ("CLUSTER_NAME", "test"),
            ("ALLOWED_ENDPOINTS", allowed),
        ])
    }

    async fn get(&self, name: &str) -> AponoConnection {
        self.connections().get(name).await.unwrap()
    }

    fn connections(&self) -> Api<AponoConnection> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

/// A running operator; ended when dropped.
pub struct Operator {
    child: Child,
    admin: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Operator {
    fn start(environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_apono-operator"))
            .arg("run")
            .envs(environment.iter().copied())
            .envs([
                ("ADMIN_LISTEN", "127.0.0.1:0"),
                ("LOG_FORMAT", "json"),
                ("RUST_LOG", "debug"),
            ])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (found, address) = mpsc::channel();
        let (lines, kept) = (
            BufReader::new(child.stderr.take().unwrap()),
            Arc::clone(&log),
        );
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let said: Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(address) = said["address"].as_str() {
                    let _ = found.send(address.parse().unwrap());
                }
                kept.lock().unwrap().push(line);
            }
        });
        let admin = address.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            panic!(
                "the operator did not open its admin port: {:#?}",
                log.lock().unwrap()
            )
        });
        Self { child, admin, log }
    }

    /// What the admin port answers.
    pub async fn admin(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.admin))
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Waits until it is ready.
    pub async fn ready(&self) {
        let started = std::time::Instant::now();
        loop {
            let (status, missing) = self.admin("/readyz").await;
            if status == 200 {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "not ready: {missing}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until it has made this many more passes over connections.
    pub async fn more_passes(&self, count: u64) {
        let wanted = self.passes().await + count;
        let started = std::time::Instant::now();
        while self.passes().await < wanted {
            assert!(started.elapsed() < 2 * PATIENCE, "no {count} passes");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until its metrics hold this line.
    pub async fn shows(&self, wanted: &str) {
        let started = std::time::Instant::now();
        loop {
            let (_, metrics) = self.admin("/metrics").await;
            if metrics.lines().any(|line| line == wanted) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "no `{wanted}` in {metrics}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn passes(&self) -> u64 {
        let (_, metrics) = self.admin("/metrics").await;
        let name = "apono_operator_passes_total{controller=\"connection\",outcome=\"done\"} ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no passes in {metrics}"))
            .parse()
            .unwrap()
    }

    /// Asks it to end, and waits; gives its exit code and everything it wrote.
    pub async fn end(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        let started = std::time::Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                started.elapsed() < Duration::from_secs(12),
                "it does not end"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let log = self.log.lock().unwrap().join("\n");
        (status.code(), log)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "the operator wrote:\n{}",
                self.log.lock().unwrap().join("\n")
            );
        }
    }
}
