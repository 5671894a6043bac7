//! Connections and their tokens.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{wait::eventually, world::World};

/// The key of every token here.
const KEY: &str = "token";

impl World {
    /// Stores a token in a Secret, or replaces it.
    pub async fn store_token(&self, name: &str, token: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name}, "stringData": {KEY: token}
        });
        let secrets: Api<Secret> =
            Api::namespaced(self.cluster.client.clone(), &self.cluster.namespace);
        let how = PatchParams::apply("person").force();
        let stored = secrets.patch(name, &how, &Patch::Apply(&secret)).await;
        stored.expect("a Secret");
    }

    /// Creates a connection whose token is in the Secret of the same name.
    pub async fn connect(&self, name: &str, endpoint: &str, mut spec: Value) {
        spec["endpoint"] = json!(endpoint);
        spec["tokenSecretRef"] = json!({"name": name, "key": KEY});
        let object = json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "AponoConnection",
            "metadata": {"name": name}, "spec": spec
        });
        let object = serde_json::from_value(object).expect("a connection");
        let connections = self.cluster.connections();
        let created = connections.create(&PostParams::default(), &object).await;
        created.expect("the connection is accepted");
    }

    /// Removes the connection.
    pub async fn disconnect(&self, name: &str) {
        let connections = self.cluster.connections();
        let removed = connections.delete(name, &DeleteParams::default()).await;
        removed.expect("there is such a connection");
    }

    /// Waits until the connection is Ready or not, for this reason; gives its status.
    pub async fn wait_connection(&self, name: &str, status: &str, reason: &str) -> Value {
        eventually("the state of a connection", async || {
            let found = self.connection_status(name).await;
            let conditions = found["conditions"].as_array().cloned().unwrap_or_default();
            let is_so = conditions.iter().any(|one| {
                one["type"] == "Ready" && one["status"] == status && one["reason"] == reason
            });
            is_so.then(|| found.clone()).ok_or_else(|| {
                let words = self.last_words();
                format!("{name} is not Ready={status} {reason} but {found:#}\n{words}")
            })
        })
        .await
    }

    /// The status of a connection as it is stored.
    pub async fn connection_status(&self, name: &str) -> Value {
        let found = self.cluster.connections().get(name).await;
        serde_json::to_value(found.expect("a connection").status).expect("a status")
    }

    /// The version of a connection, which every write changes.
    pub async fn connection_version(&self, name: &str) -> String {
        let found = self.cluster.connections().get(name).await;
        found
            .expect("a connection")
            .resource_version()
            .expect("stored")
    }
}
