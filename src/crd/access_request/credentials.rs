//! Where the credentials of the access are delivered.

#![expect(
    clippy::doc_markdown,
    reason = "the documentation is for kubectl explain: plain text"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crd::rules;

/// Where the credentials are delivered, and what is restarted for them.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The name of the Secret to deliver into, for example "orders-db", in the namespace of this
    /// resource; required. The operator creates the Secret and owns it; a Secret that it did not
    /// create is never touched. It can be changed at any time: what was delivered moves to
    /// the new Secret, and the old one ends as `onEnd` says.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::is_object_name())]
    pub secret_name: String,
    /// What becomes of the Secret when the access ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_end: Option<OnEnd>,
    /// The workloads to restart when the delivered data has changed, as "kubectl rollout restart"
    /// does; at most 10, in the namespace of this resource. Absent: none. It can be changed at any
    /// time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub rollout_restart: Option<Vec<Workload>>,
}

/// What becomes of the Secret when the access ends: Delete removes it, Empty keeps it without its
/// data, for workloads that mount it. Absent: Delete. It can be changed at any time; what counts
/// is its value when the access ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnEnd {
    /// Remove it.
    #[default]
    Delete,
    /// Keep it without data.
    Empty,
}

/// A workload of the same namespace.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Workload {
    /// The kind of the workload; required.
    pub kind: WorkloadKind,
    /// The name of the workload, for example "orders"; required.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::is_object_name())]
    pub name: String,
}

/// The kind of a workload: Deployment, StatefulSet or DaemonSet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadKind {
    /// A Deployment.
    #[default]
    Deployment,
    /// A StatefulSet.
    StatefulSet,
    /// A DaemonSet.
    DaemonSet,
}
