//! The escrow: a copy of the token of a namespaced connection, in the operator's namespace. IO.
//!
//! A namespace can go with its connection, its Secret and its requests all at once. Access that was
//! asked for through that token can then only be taken back with a copy of it. The copy is made
//! before the first request, follows every token that was proven, and goes when no resource and no
//! debt needs it. It is used to read and to take back, never to ask.
//!
//! Secrets are got by name, never listed and never watched; a Secret of the same name that is not
//! ours is left as it is.

use std::{collections::BTreeMap, fmt, time::Duration};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::json;
use thiserror::Error;

use super::ConnectionKey;
use crate::{
    crd::{ESCROW_ANNOTATION, ESCROW_LABEL, FIELD_MANAGER, SecretKeyRef},
    kubernetes::{self, deadline},
    metrics::{KubeWrite, Metrics},
};

/// The key of every copy.
const KEY: &str = "token";
/// What the name of every copy begins with; the uid of the connection follows.
const PREFIX: &str = "apono-escrow-";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Where copies are kept, and how they are reached.
#[derive(Clone)]
pub struct Escrow {
    /// The Kubernetes client.
    pub client: Client,
    /// The operator's namespace.
    pub namespace: String,
    /// The deadline of a Kubernetes call.
    pub kube_timeout: Duration,
    /// What is counted.
    pub metrics: Metrics,
}

impl fmt::Debug for Escrow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Escrow")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// A copy could not be made or removed.
#[derive(Debug, Error)]
pub enum EscrowError {
    /// The apiserver did not do it.
    #[error("could not keep a copy of the token")]
    Kubernetes(#[source] kubernetes::Error),
    /// There is a Secret of that name that the operator did not make.
    #[error(
        "Secret `{0}` is not the operator's: delete it, so that a copy of the token can be kept there"
    )]
    NotOurs(String),
}

impl EscrowError {
    /// Whether a person has to act.
    pub fn is_for_people(&self) -> bool {
        match self {
            Self::Kubernetes(error) => error.is_forbidden(),
            Self::NotOurs(_) => true,
        }
    }
}

/// The key of the Secret with the copy of the token of the connection with this uid.
pub fn place(uid: &str) -> SecretKeyRef {
    SecretKeyRef {
        name: format!("{PREFIX}{uid}"),
        key: KEY.to_owned(),
    }
}

/// Whether a Secret has the name of a copy.
pub fn is_copy(secret: &SecretKeyRef) -> bool {
    secret.name.starts_with(PREFIX)
}

impl Escrow {
    /// Keeps this token for a connection. Nothing is written where the copy is the same already.
    pub async fn keep(
        &self,
        key: &ConnectionKey,
        uid: &str,
        token: &ByteString,
    ) -> Result<(), EscrowError> {
        let name = place(uid).name;
        let secret = copy(&name, key, token);
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let api = self.api();
        let create = api.create(&parameters, &secret);
        let created = deadline("create the copy of a token", self.kube_timeout, create).await;
        self.metrics.kube_write(KubeWrite::Escrow);
        match created {
            Ok(_) => return Ok(()),
            Err(error) if error.is_already_exists() => {}
            Err(error) => return Err(EscrowError::Kubernetes(error)),
        }
        let Some(found) = self.find(&name).await? else {
            // It went meanwhile; the next pass makes it.
            return Err(EscrowError::NotOurs(self.path(&name)));
        };
        let held = found.data.as_ref().and_then(|data| data.get(KEY));
        if held == Some(token) {
            return Ok(());
        }
        let patch = json!({
            "metadata": {
                "uid": found.metadata.uid, "resourceVersion": found.metadata.resource_version
            },
            "data": {KEY: token}
        });
        let patch = Patch::Merge(patch);
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let write = api.patch(&name, &parameters, &patch);
        let written = deadline("renew the copy of a token", self.kube_timeout, write).await;
        self.metrics.kube_write(KubeWrite::Escrow);
        written.map(drop).map_err(EscrowError::Kubernetes)
    }

    /// Removes the copy of the token of the connection with this uid, if there is one.
    pub async fn remove(&self, name: &str) -> Result<(), EscrowError> {
        let Some(found) = self.find(name).await? else {
            return Ok(());
        };
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: found.metadata.uid,
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let api = self.api();
        let delete = api.delete(name, &parameters);
        let deleted = deadline("remove the copy of a token", self.kube_timeout, delete).await;
        self.metrics.kube_write(KubeWrite::Escrow);
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            Err(error) => Err(EscrowError::Kubernetes(error)),
        }
    }

    /// The Secret of this name, if it is there and ours.
    async fn find(&self, name: &str) -> Result<Option<Secret>, EscrowError> {
        let api = self.api();
        let read = deadline("read the copy of a token", self.kube_timeout, api.get(name));
        match read.await {
            Ok(found) if is_ours(&found) => Ok(Some(found)),
            Ok(_) => Err(EscrowError::NotOurs(self.path(name))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(EscrowError::Kubernetes(error)),
        }
    }

    fn api(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.namespace)
    }
}

fn is_ours(secret: &Secret) -> bool {
    let labels = secret.metadata.labels.as_ref();
    let annotations = secret.metadata.annotations.as_ref();
    labels.is_some_and(|labels| labels.contains_key(ESCROW_LABEL))
        && annotations.is_some_and(|all| all.contains_key(ESCROW_ANNOTATION))
}

fn copy(name: &str, key: &ConnectionKey, token: &ByteString) -> Secret {
    let mut secret = Secret {
        data: Some(BTreeMap::from([(KEY.to_owned(), token.clone())])),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    secret.metadata.name = Some(name.to_owned());
    let labels = [
        (MANAGED_BY, FIELD_MANAGER.to_owned()),
        (ESCROW_LABEL, "true".to_owned()),
    ];
    secret.metadata.labels = Some(labels.map(|(name, value)| (name.to_owned(), value)).into());
    let origin = (ESCROW_ANNOTATION.to_owned(), key.to_string());
    secret.metadata.annotations = Some(BTreeMap::from([origin]));
    secret
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_by_its_label_and_its_annotation_together() {
        let key = ConnectionKey::namespaced("payments", "apono");
        let token = ByteString(b"t".to_vec());
        let mut secret = copy("apono-escrow-1", &key, &token);
        assert!(is_ours(&secret));
        let annotations = secret.metadata.annotations.as_mut().unwrap();
        assert_eq!(
            annotations[ESCROW_ANNOTATION],
            "AponoConnection payments/apono"
        );
        annotations.clear();
        assert!(!is_ours(&secret));
    }
}
