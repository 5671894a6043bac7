//! Workloads that use delivered credentials. Nothing runs: there is no kubelet.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, api::PostParams};
use serde_json::json;

use super::world::World;

impl World {
    /// Creates a Deployment.
    pub async fn deploy(&self, name: &str) {
        let labels = json!({"app": name});
        let containers = json!([{"name": name, "image": name}]);
        let deployment = json!({
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}}
            }
        });
        let deployment = serde_json::from_value(deployment).expect("a Deployment");
        let deployments = self.deployments();
        let created = deployments
            .create(&PostParams::default(), &deployment)
            .await;
        created.expect("the Deployment is accepted");
    }

    /// The digest of the credentials for which a Deployment was restarted last.
    pub async fn restarted_for(&self, name: &str) -> Option<String> {
        let found = self.deployments().get(name).await.expect("a Deployment");
        let template = found.spec.and_then(|spec| spec.template.metadata);
        let annotations = template.and_then(|metadata| metadata.annotations);
        annotations.and_then(|all| all.get("access.apono.io/restarted-for").cloned())
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.cluster.client.clone(), &self.cluster.namespace)
    }
}
