//! The debt as it is written down: made under a name that its origin alone has, so that writing it
//! twice is writing it once. IO.
//!
//! Guarantees: when [`Debts::write`] returns, an object stands at the apiserver that names all that
//! was to be named and has the finalizer. A debt that is just going away is never taken for one that
//! stands.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use thiserror::Error;

use super::Debts;
use crate::{
    connection::{ConnectionKey, LastKnown, escrow},
    controller::owed::Debt,
    crd::{
        ConnectionKind, FIELD_MANAGER, Limits, MOST_MARKS, MOST_OWED, OWED_FINALIZER,
        OwedConnection, OwedOrigin, OwedRevocation, OwedRevocationSpec, SecretKeyRef,
    },
    kubernetes::{self, deadline},
    metrics::KubeWrite,
};

/// The connection as it is when the access becomes owed.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// Which it is.
    pub key: &'a ConnectionKey,
    /// What is known of it, also if it has gone meanwhile.
    pub known: Option<&'a LastKnown>,
}

/// The debt could not be written down.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The apiserver did not do it.
    #[error("the apiserver did not take the debt")]
    Kubernetes(#[source] kubernetes::Error),
    /// A debt of that name is of somebody else, or is just going away.
    #[error("OwedRevocation `{0}` stands in the way: if it does not go by itself, delete it")]
    InTheWay(String),
}

impl WriteError {
    /// Whether the apiserver refused what was to be written.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Kubernetes(error) => error.is_invalid(),
            Self::InTheWay(_) => false,
        }
    }
}

/// The debt of one resource, as it is to be written.
pub fn owed_revocation(
    origin: OwedOrigin,
    debt: &Debt,
    snapshot: &Snapshot<'_>,
    now: Timestamp,
) -> OwedRevocation {
    let mut object = OwedRevocation::new(
        &format!("owed-{}", origin.uid),
        OwedRevocationSpec {
            origin,
            reason: debt.reason.as_str().to_owned(),
            owed_since: Some(Time(Timestamp::from_second(now.as_second()).unwrap_or(now))),
            connection: connection(snapshot),
            token_secret_ref: snapshot.known.map(|known| token(snapshot.key, known)),
            requests: debt.requests.clone(),
            marks: debt.marks.clone(),
            written_off: None,
        },
    );
    object.metadata.finalizers = Some(vec![OWED_FINALIZER.to_owned()]);
    object
}

fn connection(snapshot: &Snapshot<'_>) -> OwedConnection {
    let settings = snapshot.known.map(|known| &known.settings);
    let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    OwedConnection {
        kind: snapshot.key.kind,
        name: snapshot.key.name.clone(),
        uid: snapshot.known.map(|known| known.uid.clone()),
        endpoint: settings.map(|settings| settings.endpoint.clone()),
        ca_bundle: settings.and_then(|settings| settings.ca_bundle.clone()),
        insecure: settings.and_then(|settings| settings.insecure.then_some(true)),
        limits: settings.map(|settings| Limits {
            requests_per_second: settings.limits.requests_per_second.map(number),
            burst: settings.limits.burst.map(number),
            concurrency: Some(number(settings.limits.concurrency)),
        }),
    }
}

/// The token of the cluster kind is in the operator's namespace; of the other kind a copy is.
fn token(key: &ConnectionKey, known: &LastKnown) -> SecretKeyRef {
    match key.kind {
        ConnectionKind::ClusterAponoConnection => known.settings.token_secret_ref.clone(),
        ConnectionKind::AponoConnection => escrow::place(&known.uid),
    }
}

impl Debts {
    /// Writes the debt, or adds what is missing to the one that stands.
    pub async fn write(&self, debt: &OwedRevocation) -> Result<(), WriteError> {
        let name = debt.name_any();
        // Before it is there, so that the escrow does not go in between.
        self.note(debt);
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let api = self.api();
        let create = api.create(&parameters, debt);
        let created = deadline("create the OwedRevocation", self.kube_timeout, create).await;
        self.metrics.kube_write(KubeWrite::Debt);
        match created {
            Ok(_) => {
                tracing::warn!(
                    debt = name,
                    reason = debt.spec.reason,
                    requests = debt.spec.requests.len(),
                    marks = debt.spec.marks.len(),
                    "access is owed"
                );
                Ok(())
            }
            Err(error) if error.is_already_exists() => self.add(debt).await,
            Err(error) => Err(WriteError::Kubernetes(error)),
        }
    }

    /// Adds what a debt that stands does not name yet.
    async fn add(&self, debt: &OwedRevocation) -> Result<(), WriteError> {
        let name = debt.name_any();
        // An empty change answers with the object: the role needs no other verb for it.
        let look = self.merge(&name, json!({}), "read the OwedRevocation");
        let found = look.await.map_err(WriteError::Kubernetes)?;
        let is_ours = found.spec.origin.uid == debt.spec.origin.uid;
        let is_held = found.finalizers().iter().any(|one| one == OWED_FINALIZER);
        let is_going = found.metadata.deletion_timestamp.is_some() && !is_held;
        if !is_ours || is_going || found.spec.written_off.is_some() {
            return Err(WriteError::InTheWay(name));
        }
        let mut whole = found.clone();
        for request in &debt.spec.requests {
            if !whole.spec.requests.iter().any(|one| one.id == request.id) {
                whole.spec.requests.push(request.clone());
            }
        }
        for mark in &debt.spec.marks {
            if !whole.spec.marks.iter().any(|one| one.nonce == mark.nonce) {
                whole.spec.marks.push(mark.clone());
            }
        }
        if whole.spec == found.spec && is_held {
            return Ok(());
        }
        self.patch(&whole).await.map(drop)
    }

    /// Writes requests, marks and the finalizer of a debt, as it was read and changed since.
    pub(super) async fn patch(&self, debt: &OwedRevocation) -> Result<OwedRevocation, WriteError> {
        let mut metadata = precondition(debt);
        let mut finalizers = debt.finalizers().to_vec();
        if !finalizers.iter().any(|one| one == OWED_FINALIZER) {
            finalizers.push(OWED_FINALIZER.to_owned());
            put(&mut metadata, finalizers);
        }
        let requests: Vec<_> = debt.spec.requests.iter().take(MOST_OWED).collect();
        let marks: Vec<_> = debt.spec.marks.iter().take(MOST_MARKS).collect();
        let patch = json!({
            "metadata": metadata, "spec": {"requests": requests, "marks": marks}
        });
        self.merge(&debt.name_any(), patch, "change the OwedRevocation")
            .await
            .map_err(WriteError::Kubernetes)
    }

    /// Takes the finalizer off.
    pub(super) async fn unhold(&self, debt: &OwedRevocation) -> Result<(), kubernetes::Error> {
        let finalizers = debt.finalizers().iter();
        let rest = finalizers.filter(|one| *one != OWED_FINALIZER);
        let rest = rest.cloned().collect();
        let mut metadata = precondition(debt);
        put(&mut metadata, rest);
        let patch = json!({"metadata": metadata});
        let name = debt.name_any();
        let doing = "remove the finalizer of the OwedRevocation";
        match self.merge(&name, patch, doing).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn merge(
        &self,
        name: &str,
        patch: serde_json::Value,
        doing: &'static str,
    ) -> Result<OwedRevocation, kubernetes::Error> {
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let (api, patch) = (self.api(), Patch::Merge(patch));
        let write = api.patch(name, &parameters, &patch);
        let written = deadline(doing, self.kube_timeout, write).await;
        self.metrics.kube_write(KubeWrite::Debt);
        written
    }

    pub(super) fn api(&self) -> Api<OwedRevocation> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

/// A patch of these metadata writes the whole list of finalizers.
fn put(metadata: &mut serde_json::Value, finalizers: Vec<String>) {
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("finalizers".to_owned(), finalizers.into());
    }
}

pub(super) fn precondition(debt: &OwedRevocation) -> serde_json::Value {
    json!({"uid": debt.uid(), "resourceVersion": debt.resource_version()})
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::crd::{ClusterAponoConnectionSpec, OwedReason};

    fn written(key: &ConnectionKey, known: Option<&LastKnown>) -> OwedRevocation {
        let origin = OwedOrigin {
            namespace: "payments".to_owned(),
            name: "orders".to_owned(),
            uid: "uid-1".to_owned(),
        };
        let debt = Debt {
            reason: OwedReason::Unauthorized,
            requests: Vec::new(),
            marks: Vec::new(),
        };
        let snapshot = Snapshot { key, known };
        owed_revocation(origin, &debt, &snapshot, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_debt_says_where_the_token_is_for_each_kind_and_is_held_from_the_first_moment() {
        let spec = ClusterAponoConnectionSpec {
            token_secret_ref: SecretKeyRef {
                name: "apono-token".to_owned(),
                key: "token".to_owned(),
            },
            ..ClusterAponoConnectionSpec::default()
        };
        let known = LastKnown {
            uid: "c-1".to_owned(),
            settings: Arc::new(spec.settings()),
        };
        let of_cluster = written(&ConnectionKey::cluster("default"), Some(&known));
        let token = |debt: &OwedRevocation| debt.spec.token_secret_ref.clone().map(|it| it.name);
        assert_eq!(token(&of_cluster).as_deref(), Some("apono-token"));
        assert_eq!(of_cluster.finalizers(), [OWED_FINALIZER]);
        assert_eq!(of_cluster.name_any(), "owed-uid-1");
        let key = ConnectionKey::namespaced("payments", "apono");
        let of_namespace = written(&key, Some(&known));
        assert_eq!(token(&of_namespace).as_deref(), Some("apono-escrow-c-1"));
        let endpoint = of_namespace.spec.connection.endpoint.as_deref();
        assert_eq!(endpoint, Some("https://api.apono.io"));
        let unknown = written(&key, None);
        assert_eq!(token(&unknown), None);
        assert_eq!(unknown.spec.connection.endpoint, None);
    }
}
