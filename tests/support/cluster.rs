//! The real apiserver: a namespace of the test's own, with the definitions served, and the audit
//! log, which tells who wrote what.

use std::{
    collections::BTreeSet,
    env,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    process::Command,
    time::Duration,
};

use apono_operator::crd::{
    AccessRequest, AponoConnection, FIELD_MANAGER, OwedRevocation, all_crds,
};
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

use super::wait::PATIENCE;

/// What is left of a world after this may stay.
const FAREWELL: Duration = Duration::from_secs(5);
/// The clusters that serve the definitions, which are the same for every test of a binary.
static SERVED: tokio::sync::Mutex<BTreeSet<String>> =
    tokio::sync::Mutex::const_new(BTreeSet::new());

/// One test's part of the cluster.
pub struct Cluster {
    /// Talks to the apiserver as an administrator.
    pub client: Client,
    /// The namespace, whose name no other test has.
    pub namespace: String,
    kubeconfig: String,
    audit_start: u64,
}

/// A write the operator made, from the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// `patch`, `update`, `create` or `delete`.
    pub verb: String,
    /// For example `accessrequests` or `accessrequests/status`.
    pub resource: String,
    /// The answer.
    pub code: u64,
    /// When the apiserver had answered.
    pub at: jiff::Timestamp,
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set; this test needs an apiserver: run `cargo xtask test`")
    })
}

async fn connect(kubeconfig: &str) -> Client {
    let read = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(read, &options)
        .await
        .expect("a whole kubeconfig");
    Client::try_from(config).expect("a client")
}

async fn serve_definitions(client: &Client) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in all_crds() {
        let name = crd.name_any();
        let how = PatchParams::apply("kubectl").force();
        let applied = crds.patch(&name, &how, &Patch::Apply(&crd)).await;
        applied.expect("the definition is accepted");
        let served = await_condition(crds.clone(), &name, conditions::is_crd_established());
        let waited = tokio::time::timeout(PATIENCE, served).await;
        waited
            .unwrap_or_else(|_| panic!("{name} is not served"))
            .expect("watched");
    }
}

impl Cluster {
    /// A namespace of its own; the definitions are served when this returns.
    pub async fn new() -> Self {
        Self::at(variable("APONO_TEST_KUBECONFIG")).await
    }

    /// The same in a cluster of the test's own.
    pub async fn at(kubeconfig: String) -> Self {
        let client = connect(&kubeconfig).await;
        let mut served = SERVED.lock().await;
        if served.insert(kubeconfig.clone()) {
            serve_definitions(&client).await;
        }
        drop(served);
        let namespace = format!("test-{:08x}", rand::random::<u32>());
        Self::with_namespace(client, kubeconfig, namespace).await
    }

    /// The namespace of this name in another cluster, with the definitions served.
    pub async fn elsewhere(kubeconfig: String, namespace: String) -> Self {
        let client = connect(&kubeconfig).await;
        serve_definitions(&client).await;
        Self::with_namespace(client, kubeconfig, namespace).await
    }

    async fn with_namespace(client: Client, kubeconfig: String, namespace: String) -> Self {
        let object = json!({"metadata": {"name": namespace}});
        let object = serde_json::from_value(object).expect("a namespace");
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let created = namespaces.create(&PostParams::default(), &object).await;
        created.expect("a namespace of the test's own");
        let audit = env::var("APONO_TEST_AUDIT_LOG").ok();
        let audit_start = audit
            .and_then(|path| std::fs::metadata(path).ok())
            .map_or(0, |audit| audit.len());
        Self {
            client,
            namespace,
            kubeconfig,
            audit_start,
        }
    }

    /// Where the kubeconfig is.
    pub fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// The access requests of the namespace.
    pub fn requests(&self) -> Api<AccessRequest> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The connections of the namespace.
    pub fn connections(&self) -> Api<AponoConnection> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// What is owed, where the namespace is the operator's too.
    pub fn debts(&self) -> Api<OwedRevocation> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The resources of another kind in the namespace, untyped.
    pub fn api(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// What kubectl prints in the namespace; it must succeed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output = Command::new(variable("APONO_TEST_KUBECTL"))
            .args(["--kubeconfig", &self.kubeconfig])
            .args(["--namespace", &self.namespace])
            .args(arguments)
            .output()
            .expect("kubectl runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The writes the operator made on one access request, oldest first: from the audit log, so
    /// nothing is forgotten, whatever became of it.
    pub fn writes(&self, name: &str) -> Vec<Write> {
        let mut log = File::open(variable("APONO_TEST_AUDIT_LOG")).expect("an audit log");
        let start = SeekFrom::Start(self.audit_start);
        log.seek(start).expect("an audit log only grows");
        let mut text = Vec::new();
        log.read_to_end(&mut text).expect("a readable audit log");
        let text = String::from_utf8_lossy(&text);
        // The last line may be half written; then it is no JSON.
        let entries = text
            .lines()
            .filter(|line| line.contains(&self.namespace))
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let manager = format!("fieldManager={FIELD_MANAGER}");
        entries
            .filter(|entry| {
                let object = &entry["objectRef"];
                object["resource"] == "accessrequests"
                    && object["namespace"] == self.namespace.as_str()
                    && object["name"] == name
                    && entry["requestURI"]
                        .as_str()
                        .is_some_and(|uri| uri.contains(&manager))
            })
            .map(|entry| write(&entry))
            .collect()
    }
}

fn write(entry: &Value) -> Write {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &entry["objectRef"];
    let resource = match object["subresource"].as_str() {
        Some(part) => format!("{}/{part}", text(&object["resource"])),
        None => text(&object["resource"]),
    };
    let at = text(&entry["stageTimestamp"]);
    Write {
        verb: text(&entry["verb"]),
        resource,
        code: entry["responseStatus"]["code"].as_u64().unwrap_or_default(),
        at: at.parse().expect("a time"),
    }
}

/// Gives the namespace back, whatever the test left in it, without waiting for it to be gone.
///
/// On a thread of its own, since a test that panics has no runtime any more.
impl Drop for Cluster {
    fn drop(&mut self) {
        let (kubeconfig, namespace) = (self.kubeconfig.clone(), self.namespace.clone());
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let Ok(runtime) = runtime else { return };
            let leave = async { leave(&connect(&kubeconfig).await, &namespace).await };
            let _ = runtime.block_on(async { tokio::time::timeout(FAREWELL, leave).await });
        })
        .join();
    }
}

/// Without the operator nobody takes the finalizers away, and the namespace would stay for ever.
async fn leave(client: &Client, namespace: &str) {
    let resource = |kind| {
        let kind = GroupVersionKind::gvk("access.apono.io", "v1alpha1", kind);
        ApiResource::from_gvk(&kind)
    };
    for kind in ["AccessRequest", "AponoConnection", "OwedRevocation"] {
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), namespace, &resource(kind));
        for object in api
            .list(&kube::api::ListParams::default())
            .await
            .into_iter()
            .flatten()
        {
            let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            let _ = api
                .patch(&object.name_any(), &PatchParams::default(), &free)
                .await;
        }
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let _ = namespaces
        .delete(namespace, &DeleteParams::background())
        .await;
}
