//! Restarts workloads as `kubectl rollout restart` does: by an annotation on their pod template. IO.
//!
//! The annotation names the digest of the data, so a repeat changes nothing. Only what the API server
//! says of this very patch is final; whatever may pass is tried again.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    core::PartialObjectMeta,
};
use serde_json::{Value, json};

use super::secret::words_of;
use crate::{
    controller::{Context, fold::Happening, message, observed::is_definite},
    crd::{AccessRequest, FIELD_MANAGER, RESTARTED_ANNOTATION, Workload, WorkloadKind},
    kubernetes::{self, deadline},
    metrics::KubeWrite,
};

/// What came of it.
pub struct Restarted {
    /// What there is to say.
    pub happenings: Vec<Happening>,
    /// Whether to try again: the API server did not answer, or not for good.
    pub again: bool,
}

/// Restarts every workload for this digest. What cannot be restarted is said and left.
pub async fn restart(context: &Context, resource: &AccessRequest, digest: &str) -> Restarted {
    let credentials = resource.spec.credentials.as_ref();
    let workloads = credentials.and_then(|one| one.rollout_restart.as_ref());
    let mut restarted = Restarted {
        happenings: Vec::new(),
        again: false,
    };
    for workload in workloads.into_iter().flatten() {
        match restart_one(context, resource, workload, digest).await {
            Ok(()) => {}
            Err(error) if is_final(&error) => {
                restarted
                    .happenings
                    .push(not_restarted(resource, workload, &error));
            }
            Err(error) => {
                tracing::info!(error = %words_of(&error), "a workload is restarted later");
                restarted.again = true;
            }
        }
    }
    restarted
}

/// Whether trying again is in vain until a person acts. A conflict, a busy API server and a token
/// that is just being renewed pass.
fn is_final(error: &kubernetes::Error) -> bool {
    let code = error.status().map(|status| status.code);
    is_definite(code) && !error.is_conflict()
}

async fn restart_one(
    context: &Context,
    resource: &AccessRequest,
    workload: &Workload,
    digest: &str,
) -> Result<(), kubernetes::Error> {
    let annotations = json!({ RESTARTED_ANNOTATION: digest });
    let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    match workload.kind {
        WorkloadKind::Deployment => {
            patch_one::<Deployment>(context, resource, workload, patch).await
        }
        WorkloadKind::StatefulSet => {
            patch_one::<StatefulSet>(context, resource, workload, patch).await
        }
        WorkloadKind::DaemonSet => patch_one::<DaemonSet>(context, resource, workload, patch).await,
    }
}

async fn patch_one<K>(
    context: &Context,
    resource: &AccessRequest,
    workload: &Workload,
    patch: Value,
) -> Result<(), kubernetes::Error>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let namespace = resource.namespace().unwrap_or_default();
    // Only its metadata comes back: the rest is none of ours.
    let api: Api<PartialObjectMeta<K>> = Api::namespaced(context.client.clone(), &namespace);
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(patch);
    let patched = api.patch(&workload.name, &parameters, &patch);
    context.metrics.kube_write(KubeWrite::Restart);
    deadline("restart a workload", context.kube_timeout, patched)
        .await
        .map(drop)
}

fn not_restarted(
    resource: &AccessRequest,
    workload: &Workload,
    error: &kubernetes::Error,
) -> Happening {
    let (kind, name) = (kind(workload.kind), &workload.name);
    let namespace = resource.namespace().unwrap_or_default();
    let what = if error.is_not_found() {
        "there is none of that name; create it, or correct spec.credentials.rolloutRestart"
            .to_owned()
    } else if error.is_forbidden() {
        format!(
            "the operator may not patch it; let its service account patch {} in namespace \
             `{namespace}` (deploy/kustomize/credentials)",
            plural(workload.kind)
        )
    } else {
        words_of(error)
    };
    Happening {
        is_warning: true,
        reason: "RestartFailed",
        note: message::bounded(&format!(
            "{kind} `{name}` was not restarted for the new credentials: {what}"
        )),
    }
}

fn kind(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Deployment => "Deployment",
        WorkloadKind::StatefulSet => "StatefulSet",
        WorkloadKind::DaemonSet => "DaemonSet",
    }
}

fn plural(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Deployment => "deployments",
        WorkloadKind::StatefulSet => "statefulsets",
        WorkloadKind::DaemonSet => "daemonsets",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kube::core::Status;

    use super::*;

    #[test]
    fn only_a_word_on_the_patch_itself_ends_the_tries() {
        let answered = |code: u16, reason: &str| {
            let status = Status::failure("words", reason).with_code(code);
            is_final(&kubernetes::Error::Call {
                doing: "restart a workload",
                source: Box::new(kube::Error::Api(status.boxed())),
            })
        };
        for (code, reason) in [
            (400, "BadRequest"),
            (403, "Forbidden"),
            (404, "NotFound"),
            (405, "MethodNotAllowed"),
            (422, "Invalid"),
        ] {
            assert!(answered(code, reason), "{code}");
        }
        for (code, reason) in [
            (401, "Unauthorized"),
            (408, "Timeout"),
            (409, "Conflict"),
            (429, "TooManyRequests"),
            (500, "InternalError"),
            (503, "ServiceUnavailable"),
            (504, "Timeout"),
        ] {
            assert!(!answered(code, reason), "{code}");
        }
        assert!(!is_final(&kubernetes::Error::Deadline {
            doing: "restart a workload",
            limit: Duration::from_secs(10),
        }));
    }
}
