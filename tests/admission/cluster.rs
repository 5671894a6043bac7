//! A namespace of a test's own in the real apiserver, with the definitions installed.

use std::{
    env, fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use apono_operator::crd::{AccessRequest, AccessRequestStatus, ClusterAponoConnection, all_crds};
use futures::FutureExt as _;
use k8s_openapi::{
    api::core::v1::Namespace,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
    runtime::wait::{await_condition, conditions},
};
use serde_json::{Value, json};

/// One test's part of the cluster.
pub struct Cluster {
    /// Talks to the apiserver as an administrator.
    pub client: Client,
    /// The namespace, whose name no other test has.
    pub namespace: String,
    kubeconfig: String,
}

impl Cluster {
    /// Runs a test in a namespace of its own, which goes whether the test passes or not.
    pub async fn with(test: impl AsyncFnOnce(&Cluster)) {
        let cluster = Self::start().await;
        let outcome = std::panic::AssertUnwindSafe(test(&cluster))
            .catch_unwind()
            .await;
        cluster.end().await;
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }

    async fn start() -> Self {
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
            tokio::time::timeout(Duration::from_secs(30), served)
                .await
                .unwrap_or_else(|_| panic!("{name} is not served within 30 s"))
                .unwrap();
        }
        let namespace = format!("crd-{:08x}", rand::random::<u32>());
        let object = json!({"metadata": {"name": namespace}});
        Api::<Namespace>::all(client.clone())
            .create(
                &PostParams::default(),
                &serde_json::from_value(object).unwrap(),
            )
            .await
            .unwrap();
        let cluster = Self {
            client,
            namespace,
            kubeconfig,
        };
        cluster.discovered().await;
        cluster
    }

    /// Resolves when kubectl knows the kinds by their short names: the apiserver serves a new kind
    /// before it lists it.
    async fn discovered(&self) {
        let arguments = [
            "api-resources",
            "--api-group",
            "access.apono.io",
            "--no-headers",
        ];
        for _ in 0..300 {
            let (listed, _) = texts(&self.run(&arguments, ""));
            if listed.contains("accreq") && listed.lines().count() == all_crds().len() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the kinds are not listed within 30 s");
    }

    /// Where kubectl keeps what it has discovered: not shared, for another test may have looked
    /// before the kinds were there.
    fn cache(&self) -> PathBuf {
        env::temp_dir().join(format!("kubectl-{}", self.namespace))
    }

    async fn end(&self) {
        let _ = fs::remove_dir_all(self.cache());
        let connections: Api<ClusterAponoConnection> = Api::all(self.client.clone());
        // Only tests that make one have one.
        let _ = connections
            .delete(&self.namespace, &DeleteParams::default())
            .await;
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces
            .delete(&self.namespace, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// The resources of a kind, in the namespace if the kind lives in one.
    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        let resource =
            ApiResource::from_gvk(&GroupVersionKind::gvk("access.apono.io", "v1alpha1", kind));
        if kind.starts_with("Cluster") {
            return Api::all_with(self.client.clone(), &resource);
        }
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// The requests of the namespace.
    pub fn requests(&self) -> Api<AccessRequest> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a resource.
    pub async fn create(&self, kind: &str, name: &str, spec: &Value, dry_run: bool) {
        let object = json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": kind,
            "metadata": {"name": name}, "spec": spec
        });
        let object = serde_json::from_value(object).unwrap();
        let how = PostParams {
            dry_run,
            ..PostParams::default()
        };
        self.api(kind).create(&how, &object).await.unwrap();
    }

    /// Creates a connection of the whole cluster, named as the namespace.
    pub async fn create_connection(&self) -> String {
        let spec = json!({
            "tokenSecretRef": {"name": "apono-token", "key": "token"},
            "allow": {"namespaces": {"selector": {"matchLabels": {"team": "payments"}}}}
        });
        self.create("ClusterAponoConnection", &self.namespace, &spec, false)
            .await;
        self.namespace.clone()
    }

    /// Writes a status with everything in it, and gives it back as JSON.
    pub async fn write_status(&self, name: &str) -> Value {
        let time = "2026-11-23T18:00:00Z";
        let user = json!({"id": "user-1", "sourceId": "dana@example.com"});
        let named = json!({"id": "int-1", "name": "prod-postgres"});
        let request = |id: &str| {
            json!({
                "id": id, "api": "UserV4", "status": "Active", "attempt": 1, "createdAt": time,
                "endsAt": time, "requestorId": "user-1", "nonce": "n", "activeAt": time,
                "revokingSeen": false, "adopted": true
            })
        };
        let status = json!({
            "observedGeneration": 1, "phase": "Active", "reason": "Active",
            "message": "until 2026-11-23 18:00Z", "target": "bundle prod-read",
            "attempt": {
                "number": 1, "startedAt": time,
                "posts": [{"nonce": "n", "n": 1, "of": "", "time": time, "outcome": "Answered"}]
            },
            "requests": [request("req-1"), request("req-2")],
            "entitlements": [{
                "integration": named, "permission": "ReadOnly", "status": "Granted",
                "resource": {"id": "r", "sourceId": "s", "type": "postgresql-database", "name": "o"}
            }],
            "entitlementSummary":
                {"total": 1, "granted": 1, "pending": 0, "failed": 0, "truncated": false},
            "accessGroups": [{"integration": named, "resourceTypes": ["postgresql-database"]}],
            "bundle": named, "requestor": user, "grantee": user,
            "endsAt": time, "expires": "2026-11-23 18:00Z",
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Active", "message": "until then",
                "lastTransitionTime": time, "observedGeneration": 1
            }]
        });
        let typed: AccessRequestStatus = serde_json::from_value(status.clone()).unwrap();
        assert_eq!(
            serde_json::to_value(typed).unwrap(),
            status,
            "the types hold all of it"
        );
        let patch = Patch::Merge(json!({"status": status}));
        self.requests()
            .patch_status(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
        status
    }

    /// What kubectl prints in the namespace; it must succeed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl_with_errors(arguments).0
    }

    /// What kubectl prints in the namespace as soon as it succeeds: what it asks for is published a
    /// moment after the definitions are served.
    pub fn kubectl_in_the_end(&self, arguments: &[&str]) -> String {
        let started = std::time::Instant::now();
        loop {
            let output = self.run(arguments, "");
            let texts = texts(&output);
            if output.status.success() {
                return texts.0;
            }
            let is_in_time = started.elapsed() < std::time::Duration::from_secs(30);
            assert!(is_in_time, "kubectl {arguments:?}: {texts:?}");
        }
    }

    /// What kubectl prints in the namespace, warnings apart; it must succeed.
    pub fn kubectl_with_errors(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments, "");
        let texts = texts(&output);
        assert!(output.status.success(), "kubectl {arguments:?}: {texts:?}");
        texts
    }

    /// What kubectl says when it refuses to create this.
    pub fn kubectl_refuses(&self, manifest: &str) -> String {
        let output = self.run(&["create", "-f", "-"], manifest);
        let (_, errors) = texts(&output);
        assert!(!output.status.success(), "kubectl accepted {manifest}");
        errors
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let kubectl = env::var("APONO_TEST_KUBECTL").unwrap_or_else(|_| {
            panic!("APONO_TEST_KUBECTL is not set; this test needs kubectl: run `cargo xtask test`")
        });
        let mut child = Command::new(kubectl)
            .args([
                "--kubeconfig",
                &self.kubeconfig,
                "--namespace",
                &self.namespace,
            ])
            .arg("--cache-dir")
            .arg(self.cache())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    }
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
