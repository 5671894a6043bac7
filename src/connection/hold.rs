//! What holds a connection while access that was asked for through it may be live: its finalizer,
//! and for a namespaced one the escrow of its token. IO.
//!
//! Guarantees: finalizer and escrow are there before the first POST is marked; they go only when no
//! resource has something live or open, as this process has seen it and as the caches hold it. A
//! resource says that it needs the connection before it takes the lock, and whoever lets go looks
//! under the lock, so neither misses the other.

use std::{
    collections::HashSet,
    fmt,
    sync::{Mutex, PoisonError},
};

use k8s_openapi::ByteString;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::json;
use thiserror::Error;
use tokio::sync::broadcast;

use super::{
    ConnectionKey,
    escrow::{Escrow, EscrowError, place},
};
use crate::{
    crd::{
        AponoConnection, ClusterAponoConnection, ConnectionKind, FIELD_MANAGER, IN_USE_FINALIZER,
    },
    kubernetes::{self, deadline},
    metrics::KubeWrite,
};

/// How often a connection that changes under our hands is read again.
const MOST_CONFLICTS: u32 = 5;

/// Why a connection could not be held; nothing may be asked through it now.
#[derive(Debug, Error)]
pub enum HoldError {
    /// It is being deleted, or gone: no new asks.
    #[error("the connection is being deleted")]
    Deleting,
    /// The finalizer could not be written.
    #[error("could not put the finalizer on the connection")]
    Finalizer(#[source] kubernetes::Error),
    /// The token could not be copied.
    #[error("could not keep a copy of the token in the operator's namespace")]
    Escrow(#[source] EscrowError),
}

/// Who needs one connection, and whether it is held.
pub struct Hold {
    key: ConnectionKey,
    uid: String,
    look_again: broadcast::Sender<ConnectionKey>,
    needing: Mutex<HashSet<String>>,
    held: tokio::sync::Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Whether the finalizer is known to be on it.
    is_on: bool,
    /// The token that the API accepted last.
    proven: Option<ByteString>,
    /// The one of which a copy is kept.
    kept: Option<ByteString>,
}

impl fmt::Debug for Hold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Hold")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Hold {
    /// Nobody needs it yet, as far as this process knows.
    pub(super) fn new(
        key: ConnectionKey,
        uid: String,
        look_again: broadcast::Sender<ConnectionKey>,
    ) -> Self {
        Self {
            key,
            uid,
            look_again,
            needing: Mutex::default(),
            held: tokio::sync::Mutex::default(),
        }
    }

    /// Says whether the resource with this uid needs the connection.
    pub fn need(&self, uid: &str, is_needed: bool) {
        let mut needing = self.needing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last = if is_needed {
            needing.insert(uid.to_owned());
            false
        } else {
            needing.remove(uid) && needing.is_empty()
        };
        drop(needing);
        if is_last {
            let _ = self.look_again.send(self.key.clone());
        }
    }

    fn is_needed(&self) -> bool {
        let needing = self.needing.lock().unwrap_or_else(PoisonError::into_inner);
        !needing.is_empty()
    }

    /// Takes a token that the API has accepted, for the next copy.
    pub(super) async fn prove(&self, token: ByteString) {
        self.held.lock().await.proven = Some(token);
    }

    /// Finalizer and escrow are there when this returns, for a resource that is about to ask.
    pub async fn protect(&self, escrow: &Escrow, uid: &str) -> Result<(), HoldError> {
        self.need(uid, true);
        let mut held = self.held.lock().await;
        if !held.is_on {
            self.put_on(escrow).await?;
            held.is_on = true;
        }
        self.copy(&mut held, escrow).await
    }

    async fn copy(&self, held: &mut Held, escrow: &Escrow) -> Result<(), HoldError> {
        if self.key.kind == ConnectionKind::ClusterAponoConnection || held.kept == held.proven {
            return Ok(());
        }
        let Some(token) = held.proven.clone() else {
            return Ok(());
        };
        let kept = escrow.keep(&self.key, &self.uid, &token).await;
        kept.map_err(HoldError::Escrow)?;
        held.kept = Some(token);
        Ok(())
    }

    /// Brings finalizer and escrow in line with who needs the connection; says whether it is needed.
    /// `is_on` is what the object in hand says of the finalizer; `others` whether the caches hold a
    /// resource that needs it, unknown while they are being filled; `is_owed` the same of debts and
    /// the escrow.
    pub(super) async fn settle(
        &self,
        escrow: &Escrow,
        (is_on, is_deleting): (bool, bool),
        others: Option<bool>,
        is_owed: Option<bool>,
    ) -> Result<bool, HoldError> {
        let mut held = self.held.lock().await;
        if self.is_needed() || others != Some(false) {
            if !is_on && !is_deleting && (self.is_needed() || others == Some(true)) {
                // Taken off by hand, or not seen yet.
                self.put_on(escrow).await?;
            }
            held.is_on |= is_on;
            if held.is_on || is_on {
                self.copy(&mut held, escrow).await?;
            }
            return Ok(true);
        }
        if !is_on {
            if is_owed == Some(true) {
                // A debt is to be paid with the newest token, too.
                self.copy(&mut held, escrow).await?;
            }
            return Ok(false);
        }
        if self.key.kind == ConnectionKind::AponoConnection {
            match is_owed {
                None => return Ok(true),
                // The debt is heir to the copy.
                Some(true) => {}
                Some(false) => {
                    let removed = escrow.remove(&place(&self.uid).name).await;
                    removed.map_err(HoldError::Escrow)?;
                }
            }
            held.kept = None;
        }
        held.is_on = false;
        self.take_off(escrow).await?;
        Ok(false)
    }

    /// The last debt that needed the copy has ended: it goes, unless a resource needs it.
    pub async fn leave_copy(
        &self,
        escrow: &Escrow,
        others: Option<bool>,
    ) -> Result<(), EscrowError> {
        let mut held = self.held.lock().await;
        if self.is_needed() || others != Some(false) {
            return Ok(());
        }
        held.kept = None;
        escrow.remove(&place(&self.uid).name).await
    }

    async fn put_on(&self, escrow: &Escrow) -> Result<(), HoldError> {
        self.write(escrow, |finalizers| {
            let is_missing = !finalizers.iter().any(|name| name == IN_USE_FINALIZER);
            if is_missing {
                finalizers.push(IN_USE_FINALIZER.to_owned());
            }
            is_missing
        })
        .await
    }

    async fn take_off(&self, escrow: &Escrow) -> Result<(), HoldError> {
        let written = self.write(escrow, |finalizers| {
            let before = finalizers.len();
            finalizers.retain(|name| name != IN_USE_FINALIZER);
            finalizers.len() != before
        });
        match written.await {
            // What is gone is held no more.
            Err(HoldError::Deleting) => Ok(()),
            other => other,
        }
    }

    /// Changes the finalizers as they stand at the apiserver.
    async fn write(
        &self,
        escrow: &Escrow,
        change: impl Fn(&mut Vec<String>) -> bool,
    ) -> Result<(), HoldError> {
        let api = self.api(escrow);
        let limit = escrow.kube_timeout;
        let mut tries = 0;
        loop {
            tries += 1;
            let get = api.get_opt(&self.key.name);
            let found = deadline("read the connection", limit, get).await;
            let found = found.map_err(HoldError::Finalizer)?;
            let Some(found) = found.filter(|one| one.metadata.uid.as_ref() == Some(&self.uid))
            else {
                return Err(HoldError::Deleting);
            };
            let mut finalizers = found.metadata.finalizers.clone().unwrap_or_default();
            let count = finalizers.len();
            if !change(&mut finalizers) {
                return Ok(());
            }
            if finalizers.len() > count && found.metadata.deletion_timestamp.is_some() {
                return Err(HoldError::Deleting);
            }
            let patch = Patch::Merge(json!({"metadata": {
                "uid": self.uid,
                "resourceVersion": found.metadata.resource_version,
                "finalizers": finalizers
            }}));
            let parameters = PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let write = api.patch_metadata(&self.key.name, &parameters, &patch);
            let written = deadline("patch the finalizers of the connection", limit, write).await;
            escrow.metrics.kube_write(KubeWrite::Finalizer);
            match written {
                Ok(_) => return Ok(()),
                Err(error) if error.is_conflict() && tries < MOST_CONFLICTS => {}
                Err(error) if error.is_not_found() => return Err(HoldError::Deleting),
                Err(error) => return Err(HoldError::Finalizer(error)),
            }
        }
    }

    fn api(&self, escrow: &Escrow) -> Api<DynamicObject> {
        let kind = match self.key.kind {
            ConnectionKind::ClusterAponoConnection => {
                ApiResource::erase::<ClusterAponoConnection>(&())
            }
            ConnectionKind::AponoConnection => ApiResource::erase::<AponoConnection>(&()),
        };
        match &self.key.namespace {
            Some(namespace) => Api::namespaced_with(escrow.client.clone(), namespace, &kind),
            None => Api::all_with(escrow.client.clone(), &kind),
        }
    }
}
