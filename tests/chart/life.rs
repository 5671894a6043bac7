//! A whole life by Helm, in a cluster that has seen nothing of it: the definitions come with the
//! release, the connection with them, a request is live all the while, and what must stay stays.

use apono_simulator::{Config, DEFAULT_TOKEN, Simulator};
use serde_json::{Value, json};

use crate::{
    helm::{CHART, Helm},
    monitors,
    plane::{NAMESPACE, Plane, eventually},
};

const RELEASE: &str = "apono-operator";
const TENANT: &str = "payments";

/// One release in one cluster.
struct Release {
    helm: Helm,
    plane: Plane,
    simulator: Simulator,
}

impl Release {
    fn new(helm: Helm) -> Self {
        let simulator = Simulator::start(&Config::instant()).expect("a free port");
        let plane = Plane::start();
        plane.apply(&json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {
                "pod-security.kubernetes.io/enforce": "restricted"
            }}
        }));
        plane.kubectl(&["create", "namespace", TENANT]);
        let token = format!("--from-literal=token={DEFAULT_TOKEN}");
        let secret = ["create", "secret", "generic", "apono-token", &token];
        plane.kubectl(&[&secret[..], &["-n", NAMESPACE]].concat());
        Self {
            helm,
            plane,
            simulator,
        }
    }

    fn run(&self, arguments: &[&str]) -> String {
        let said = self.plane.helm(self.helm, arguments);
        assert!(
            said.is_success,
            "{:?} {arguments:?}: {}{}",
            self.helm, said.errors, said.output
        );
        said.output
    }

    /// Upgrade or install with a connection to the simulator, and wait until it can be used.
    fn connect(&self, verb: &str, set: &[&str]) {
        let endpoint = format!("connection.endpoint={}", self.simulator.url());
        let arguments = Self::connecting(verb, &endpoint, set);
        self.run(&arguments);
        self.is_ready();
    }

    fn connecting<'a>(verb: &'a str, endpoint: &'a str, set: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec![verb, RELEASE, CHART, "--wait", "--timeout=120s"];
        let connection = [
            "connection.create=true",
            "connection.token.secretName=apono-token",
            endpoint,
        ];
        for one in connection.iter().chain(set) {
            arguments.extend(["--set", one]);
        }
        arguments
    }

    /// The operator runs and Apono takes its token.
    fn is_ready(&self) {
        let ready = ["--for=condition=Ready", "--timeout=60s"];
        let connection = ["wait", "clusteraponoconnection/default"];
        self.plane.kubectl(&[connection, ready].concat());
    }

    fn test(&self) -> bool {
        let test = ["test", RELEASE, "--timeout=60s"];
        self.plane.helm(self.helm, &test).is_success
    }

    fn may(&self, verb: &str, resource: &str) -> bool {
        let question = ["auth", "can-i", verb, resource, "-n", TENANT, "--as=dana"];
        self.plane.try_kubectl(&question).is_success
    }

    fn request(&self) -> Value {
        self.plane.get("accessrequest", "prod-read", TENANT)
    }

    /// Asks, and waits until it is live.
    fn ask(&self) {
        self.plane.apply(&json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
            "metadata": {"name": "prod-read", "namespace": TENANT},
            "spec": {"access": {"bundle": "prod-read"}, "justification": "the chart is tried"}
        }));
        let live = ["--for=condition=Ready", "--timeout=60s", "-n", TENANT];
        self.plane
            .kubectl(&[&["wait", "accessrequest/prod-read"], &live[..]].concat());
    }

    /// The request is the same and live, and the remote was asked once.
    fn is_untouched(&self, before: &Value) {
        let now = self.request();
        assert_eq!(now["metadata"]["uid"], before["metadata"]["uid"]);
        assert_eq!(now["spec"], before["spec"]);
        assert!(now["metadata"]["deletionTimestamp"].is_null());
        let all = self.simulator.requests();
        assert_eq!(all.len(), 1, "{all:#?}");
        assert!(all[0].has_access());
    }
}

impl Release {
    /// It is refused, and says so in these words.
    fn is_refused(&self, arguments: &[&str], words: &str) {
        let said = self.plane.helm(self.helm, arguments);
        assert!(!said.is_success, "{arguments:?} is taken");
        assert!(said.errors.contains(words), "{}", said.errors);
    }

    fn connection(&self) -> Value {
        let kind = "clusteraponoconnection";
        self.plane.get(kind, "default", NAMESPACE)
    }

    fn image(&self) -> String {
        let deployment = self.plane.get("deployment", RELEASE, NAMESPACE);
        let image = deployment.pointer("/spec/template/spec/containers/0/image");
        image.and_then(Value::as_str).expect("an image").to_owned()
    }

    /// Nothing but what the release brings knows of our kinds.
    fn installs(&self) {
        let endpoint = "connection.endpoint=https://api.apono.io";
        let early = Self::connecting("install", endpoint, &[]);
        self.is_refused(&early, "install with connection.create=false first");
        self.run(&["install", RELEASE, CHART, "--wait", "--timeout=120s"]);
        assert!(self.test(), "check finds something wrong");
        self.connect("upgrade", &[]);
        assert!(self.connection()["metadata"]["uid"].is_string());
        assert!(self.test(), "check finds something wrong");
    }

    /// Everything that can be switched on in a cluster like this, with a request that is live.
    fn upgrades(&self) {
        // Opt-in: nobody but administrators may ask before it is said.
        let bind = ["create", "rolebinding", "dana", "--clusterrole=edit"];
        self.plane
            .kubectl(&[&bind[..], &["--user=dana", "-n", TENANT]].concat());
        assert!(self.may("create", "secrets"), "edit is not filled");
        assert!(!self.may("create", "accessrequests"));
        monitors::define(&self.plane);
        self.connect(
            "upgrade",
            &[
                "image.tag=next",
                "aggregatedRoles.view=true",
                "aggregatedRoles.edit=true",
                "podDisruptionBudget.enabled=true",
                "networkPolicy.enabled=true",
                "metrics.serviceMonitor.enabled=true",
                "metrics.podMonitor.enabled=true",
                "metrics.rules.enabled=true",
                "metrics.dashboard.enabled=true",
                "connection.allow.maxDuration=8h",
            ],
        );
        assert_eq!(self.image(), "apono-operator:next");
        monitors::are_stored(&self.plane, RELEASE);
        assert_eq!(self.connection()["spec"]["allow"]["maxDuration"], "8h");
        eventually("the aggregated role", || {
            let may = self.may("create", "accessrequests");
            may.then_some(()).ok_or_else(|| "not granted".to_owned())
        });
        let connections = self.may("create", "aponoconnections");
        assert!(!connections, "that is admin's");
    }

    /// Without its roles the operator would not work, and the test says so; back from there.
    fn rolls_back(&self) {
        let without = ["--reuse-values", "--set=rbac.create=false"];
        self.run(&[&["upgrade", RELEASE, CHART], &without[..]].concat());
        assert!(!self.test(), "check misses nothing without any role");
        self.run(&["rollback", RELEASE, "2", "--wait", "--timeout=120s"]);
        let version = concat!("apono-operator:", env!("CARGO_PKG_VERSION"));
        assert_eq!(self.image(), version);
        self.is_ready();
        assert!(self.test());
        let policy = self.plane.get("networkpolicy", RELEASE, NAMESPACE);
        assert!(policy.is_null(), "{policy:#}");
        let connection = self.connection();
        assert!(connection["spec"]["allow"].is_null(), "{connection:#}");
    }

    /// What grants and runs goes; the definitions stay.
    fn uninstalls(&self) {
        self.run(&["uninstall", RELEASE, "--wait", "--timeout=60s"]);
        for (kind, name) in [
            ("deployment", RELEASE),
            ("serviceaccount", RELEASE),
            ("clusterrole", RELEASE),
            ("role", "apono-operator-owed"),
        ] {
            let found = self.plane.get(kind, name, NAMESPACE);
            assert!(found.is_null(), "{kind} {name} stays");
        }
        for crd in apono_operator::crd::all_crds() {
            let name = crd.metadata.name.expect("named");
            let found = self.plane.get("crd", &name, NAMESPACE);
            assert!(found["metadata"]["deletionTimestamp"].is_null() && found.is_object());
        }
    }

    /// What stayed is taken up again without a flag. Helm 3 would leave it as it is, and is stopped.
    fn installs_again(&self) {
        let changed = ["connection.allow.maxDuration=8h"];
        if self.helm == Helm::Three {
            let endpoint = format!("connection.endpoint={}", self.simulator.url());
            let install = Self::connecting("install", &endpoint, &changed);
            self.is_refused(&install, "is there with another spec");
            self.connect("install", &[]);
        } else {
            self.connect("install", &changed);
            assert_eq!(self.connection()["spec"]["allow"]["maxDuration"], "8h");
        }
    }
}

/// From nothing to nothing but what must stay, and up again.
fn lives(helm: Helm) {
    let release = Release::new(helm);
    release.installs();
    let connection = release.connection()["metadata"]["uid"].clone();
    release.ask();
    let before = release.request();
    for step in [
        Release::upgrades,
        Release::rolls_back,
        Release::uninstalls,
        Release::installs_again,
    ] {
        step(&release);
        assert_eq!(release.connection()["metadata"]["uid"], connection);
        release.is_untouched(&before);
    }
    let delete = ["delete", "accessrequest", "prod-read", "-n", TENANT];
    release
        .plane
        .kubectl(&[&delete[..], &["--timeout=60s"]].concat());
    assert!(!release.simulator.requests()[0].has_access());
}

#[test]
fn helm_3_installs_upgrades_rolls_back_and_leaves_what_must_stay() {
    lives(Helm::Three);
}

#[test]
fn helm_4_installs_upgrades_rolls_back_and_leaves_what_must_stay() {
    lives(Helm::Four);
}
