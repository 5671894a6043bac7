//! A full life with one connection: requests that succeed, fail, wait and hold back, a token that
//! is rotated, objects another version wrote, and the end of it all.

use std::time::{Duration, Instant};

use apono_simulator::{Config, DEFAULT_TOKEN, DEFAULT_USER, Simulator};
use serde_json::{Value, json};

use crate::shipped::{kubectl, kubectl_with, try_kubectl};

/// Long enough for a busy machine of two cores.
const PATIENCE: Duration = Duration::from_mins(1);
/// The apiserver takes it for a time, this version does not: as if another one had written it.
const STRANGE_TIME: &str = "2026-01-01T00:00:00+99:00";

/// Which kind of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    ClusterAponoConnection,
    AponoConnection,
}

/// The names in it.
pub struct Life<'a> {
    simulator: &'a Simulator,
    kind: Kind,
    namespace: &'a str,
    /// Of the connection; the cluster kind's is nobody else's.
    connection: String,
}

/// Everything the remote does, it does at once.
pub fn simulator() -> Simulator {
    Simulator::start(&Config::instant()).expect("a free port")
}

/// A new namespace that nobody else uses, with its name as a label.
pub fn namespace() -> String {
    let name = format!("rbac-{:08x}", rand::random::<u32>());
    kubectl(&["create", "namespace", &name]);
    kubectl(&["label", "namespace", &name, &format!("team={name}")]);
    name
}

/// Ends a namespace, if it is there, and waits until it is gone.
pub fn leave(namespace: &str) {
    kubectl(&["delete", "namespace", "--ignore-not-found", namespace]);
}

impl<'a> Life<'a> {
    pub fn new(simulator: &'a Simulator, kind: Kind, namespace: &'a str) -> Self {
        let connection = match kind {
            Kind::ClusterAponoConnection => namespace,
            Kind::AponoConnection => "apono",
        };
        Self {
            simulator,
            kind,
            namespace,
            connection: connection.to_owned(),
        }
    }

    /// From the first word to the last.
    pub fn live(&self) {
        self.store_token(DEFAULT_TOKEN);
        self.connect();
        self.wait_for_connection("Ready");

        for (name, bundle, suspend) in [
            ("active", "prod-read", false),
            ("strange", "prod-read", false),
            ("waiting", "prod-admin", false),
            ("failing", "broken-grant", false),
            ("owing", "prod-read", false),
            ("suspended", "prod-read", true),
        ] {
            self.ask(name, bundle, suspend);
        }
        for (name, reason) in [
            ("active", "Active"),
            ("strange", "Active"),
            ("waiting", "PendingApproval"),
            ("failing", "GrantFailed"),
            ("owing", "Active"),
            ("suspended", "Suspended"),
        ] {
            self.wait_for_request(name, reason);
        }
        self.let_go("failing");

        self.rotate_token();
        let (kind, name) = (self.resource(), self.connection.clone());
        self.make_strange(kind, &name);
        self.wait_until_readable(kind, &name);
        self.wait_for_connection("Ready");
        self.make_strange("accessrequest", "strange");

        let requests = ["active", "strange", "waiting", "suspended"];
        let gone = [&["delete", "accessrequest", "--timeout=60s"], &requests[..]].concat();
        self.kubectl(&gone);
        let live: Vec<_> = self.simulator.requests();
        assert!(live.iter().all(|one| !one.has_access()), "{live:#?}");
        self.kubectl(&["delete", kind, &name, "--timeout=60s"]);
    }

    /// One request whose credentials are delivered, and workloads that are restarted for them.
    pub fn live_with_credentials(&self) {
        self.store_token(DEFAULT_TOKEN);
        self.connect();
        self.wait_for_connection("Ready");
        let kinds = ["Deployment", "StatefulSet", "DaemonSet"];
        for kind in kinds {
            let labels = json!({"app": "orders"});
            let pod = json!({"containers": [{"name": "orders", "image": "orders"}]});
            self.apply(&json!({
                "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "orders"},
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": pod}
                }
            }));
        }
        let workloads = kinds.map(|kind| json!({"kind": kind, "name": "orders"}));
        self.apply(&json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
            "metadata": {"name": "orders"},
            "spec": {
                "connectionRef": {"kind": format!("{:?}", self.kind), "name": self.connection},
                "access": {"bundle": "prod-read"},
                "justification": "the roles are tried",
                "credentials": {"secretName": "orders-db", "rolloutRestart": workloads}
            }
        }));
        self.wait_for_request("orders", "Active");
        let digest = "{.status.credentials.digest}";
        let digest = self.kubectl(&[
            "get",
            "accessrequest",
            "orders",
            "-o",
            &format!("jsonpath={digest}"),
        ]);
        let restarted = "{.status.credentials.restartedFor}";
        self.wait_for("accessrequest", "orders", restarted, &digest);
        for kind in kinds {
            let found = self.kubectl(&["get", kind, "orders", "-o", "yaml"]);
            assert!(found.contains(&digest), "{found}");
        }
        self.kubectl(&["delete", "accessrequest", "orders", "--timeout=60s"]);
        let left = self.kubectl(&["get", "secret", "orders-db", "--ignore-not-found"]);
        assert_eq!(left, "");
        let name = self.connection.clone();
        self.kubectl(&["delete", self.resource(), &name, "--timeout=60s"]);
    }

    fn store_token(&self, token: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": self.secret(), "namespace": self.secret_namespace()},
            "stringData": {"token": token}
        });
        self.apply(&secret);
    }

    fn connect(&self) {
        let mut connection = json!({
            "apiVersion": "access.apono.io/v1alpha1",
            "kind": format!("{:?}", self.kind),
            "metadata": {"name": self.connection},
            "spec": {
                "endpoint": self.simulator.url(),
                "tokenSecretRef": {"name": self.secret(), "key": "token"},
                "correlation": {"settle": "1s"},
                "polling": {"fast": "100ms", "pending": "200ms", "active": "300ms"}
            }
        });
        if self.kind == Kind::ClusterAponoConnection {
            let labels = json!({"matchLabels": {"team": self.namespace}});
            connection["spec"]["allow"] = json!({"namespaces": {"selector": labels}});
        }
        self.apply(&connection);
    }

    fn ask(&self, name: &str, bundle: &str, suspend: bool) {
        self.apply(&json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
            "metadata": {"name": name},
            "spec": {
                "connectionRef": {"kind": format!("{:?}", self.kind), "name": self.connection},
                "access": {"bundle": bundle},
                "justification": "the roles are tried",
                "suspend": suspend
            }
        }));
    }

    /// The operator deletes it: its time to live is over.
    fn let_go(&self, name: &str) {
        let patch = json!({"spec": {"ttlSecondsAfterFinished": 0}}).to_string();
        self.kubectl(&["patch", "accessrequest", name, "--type=merge", "-p", &patch]);
        self.kubectl(&[
            "wait",
            "accessrequest",
            name,
            "--for=delete",
            "--timeout=60s",
        ]);
    }

    fn rotate_token(&self) {
        let tokens = |token: &str| {
            let rotated = self.simulator.set_tokens(DEFAULT_USER, vec![token.into()]);
            rotated.expect("the user of the simulator");
        };
        tokens("second-token");
        self.wait_for_connection("Unauthorized");
        let uid = [
            "get",
            "accessrequest",
            "owing",
            "-o",
            "jsonpath={.metadata.uid}",
        ];
        let debt = format!("owedrevocation/owed-{}", self.kubectl(&uid));
        // It goes at once, and its access is owed until the token is back.
        self.kubectl(&["delete", "accessrequest", "owing", "--timeout=60s"]);
        self.store_token("second-token");
        self.wait_for_connection("Ready");
        // Others may be owed too: of what another test left behind.
        let paid = ["wait", &debt, "--for=delete", "--timeout=60s"];
        kubectl(&[&["--namespace=apono-system"], &paid[..]].concat());
        // Other lives begin with the first.
        tokens(DEFAULT_TOKEN);
        self.store_token(DEFAULT_TOKEN);
    }

    /// Writes into the status what this version cannot read.
    fn make_strange(&self, kind: &str, name: &str) {
        let read = self.kubectl(&["get", kind, name, "-o", "json"]);
        let mut found: Value = serde_json::from_str(&read).expect("an object");
        let conditions = found["status"]["conditions"].as_array_mut();
        for condition in conditions.expect("conditions") {
            condition["lastTransitionTime"] = json!(STRANGE_TIME);
        }
        let conditions = &found["status"]["conditions"];
        let patch = json!({"status": {"conditions": conditions}}).to_string();
        let how = ["--subresource=status", "--type=merge", "-p", &patch];
        self.kubectl(&[&["patch", kind, name], &how[..]].concat());
    }

    fn wait_until_readable(&self, kind: &str, name: &str) {
        let started = Instant::now();
        while self
            .kubectl(&["get", kind, name, "-o", "yaml"])
            .contains("+99:00")
        {
            assert!(started.elapsed() < PATIENCE, "{kind} {name} stays strange");
        }
    }

    fn wait_for_connection(&self, reason: &str) {
        let path = "{.status.conditions[?(@.type==\"Ready\")].reason}";
        self.wait_for(self.resource(), &self.connection, path, reason);
    }

    fn wait_for_request(&self, name: &str, reason: &str) {
        self.wait_for("accessrequest", name, "{.status.reason}", reason);
    }

    fn wait_for(&self, kind: &str, name: &str, path: &str, value: &str) {
        let wanted = format!("--for=jsonpath={path}={value}");
        let arguments = ["wait", kind, name, &wanted, "--timeout=60s"];
        let said = try_kubectl(
            &[&["--namespace", self.namespace], &arguments[..]].concat(),
            "",
        );
        if !said.is_success {
            let found = self.kubectl(&["get", kind, name, "-o", "yaml"]);
            panic!("{kind} {name} is not {value}: {}\n{found}", said.errors);
        }
    }

    fn resource(&self) -> &'static str {
        match self.kind {
            Kind::ClusterAponoConnection => "clusteraponoconnection",
            Kind::AponoConnection => "aponoconnection",
        }
    }

    fn secret(&self) -> &str {
        match self.kind {
            Kind::ClusterAponoConnection => self.namespace,
            Kind::AponoConnection => "apono-token",
        }
    }

    fn secret_namespace(&self) -> &str {
        match self.kind {
            Kind::ClusterAponoConnection => "apono-system",
            Kind::AponoConnection => self.namespace,
        }
    }

    fn apply(&self, object: &Value) {
        let mut arguments = vec!["apply", "--server-side", "--force-conflicts", "-f", "-"];
        if object["metadata"]["namespace"].is_null() {
            arguments.extend(["--namespace", self.namespace]);
        }
        kubectl_with(&arguments, &object.to_string());
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        kubectl(&[&["--namespace", self.namespace], arguments].concat())
    }
}
