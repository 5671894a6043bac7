//! Debts as the tests look at them.

use apono_operator::crd::OwedRevocation;
use apono_simulator::{Fate, catalogue::RevokeFate};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::support::{CONNECTION, Setup, World, eventually};

/// Active, as `support::row` shows it.
pub const ACTIVE: &str = "Ready=True:Active Synced=True -> Current";

/// A world in which a deletion waits for a second only, and a lost call is settled in seconds.
pub fn hasty() -> Setup {
    Setup::default()
        .connection(json!({"revocationDeadline": "1s"}))
        .setting("REMOTE_TIMEOUT", "1s")
}

/// A revoke that is accepted and comes to no end.
pub fn stuck() -> Fate {
    Fate {
        revoke: RevokeFate::Stick,
        ..Fate::default()
    }
}

impl World {
    /// The debts of the operator's namespace.
    pub fn owed(&self) -> Api<OwedRevocation> {
        Api::namespaced(self.cluster.client.clone(), &self.cluster.namespace)
    }

    /// The debts there are.
    pub async fn debts(&self) -> Vec<OwedRevocation> {
        let all = self.owed().list(&ListParams::default()).await;
        all.unwrap().items
    }

    /// Waits for the one debt of a resource, and that the resource is gone.
    pub async fn wait_debt(&self, origin: &str, reason: &str) -> OwedRevocation {
        self.wait_gone(origin).await;
        eventually("a debt", async || {
            let mut all = self.debts().await;
            all.retain(|one| one.spec.origin.name == origin);
            match all.as_slice() {
                [one] if one.spec.reason == reason => Ok(one.clone()),
                _ => Err(format!("{origin}: {all:#?}\n{}", self.last_words())),
            }
        })
        .await
    }

    /// Waits until the debt stands like this: the reason of its condition Ready.
    pub async fn wait_standing(&self, name: &str, wanted: &str) -> OwedRevocation {
        eventually("where a debt stands", async || {
            let found = self.owed().get(name).await.unwrap();
            let conditions = found.status.as_ref().map(|status| &status.conditions);
            let mut ready = conditions.into_iter().flatten();
            let is_so = ready.any(|one| one.type_ == "Ready" && one.reason == wanted);
            let words = || format!("{:#?}\n{}", found.status, self.last_words());
            is_so.then(|| found.clone()).ok_or_else(words)
        })
        .await
    }

    /// Waits until no debt is left.
    pub async fn wait_paid(&self) {
        eventually("every debt is paid", async || {
            let all = self.debts().await;
            let words = || format!("{all:#?}\n{}", self.last_words());
            all.is_empty().then_some(()).ok_or_else(words)
        })
        .await;
    }

    /// Removes the Secret with the token.
    pub async fn remove_token(&self) {
        let (secrets, how) = (self.secrets(), DeleteParams::default());
        secrets.delete(CONNECTION, &how).await.unwrap();
    }

    /// Removes the connection as nobody should: its finalizer first.
    pub async fn tear_out_connection(&self) {
        let connections = self.cluster.connections();
        let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        connections
            .delete(CONNECTION, &DeleteParams::default())
            .await
            .unwrap();
        eventually("the connection is gone", async || {
            let how = PatchParams::default();
            let _ = connections.patch(CONNECTION, &how, &free).await;
            let found = connections.get_opt(CONNECTION).await.unwrap();
            found.map_or(Ok(()), |found| Err(format!("{:?}", found.metadata)))
        })
        .await;
    }

    /// Waits until the connection is gone.
    pub async fn wait_disconnected(&self) {
        eventually("the connection is gone", async || {
            let connections = self.cluster.connections();
            let found = connections.get_opt(CONNECTION).await.unwrap();
            let words = |found| format!("{found:?}\n{}", self.last_words());
            found.map_or(Ok(()), |found| Err(words(found.metadata)))
        })
        .await;
    }

    /// Waits until a condition of the access request has this reason.
    pub async fn wait_reason_of(&self, name: &str, reason: &str) {
        self.wait_for(name, reason, |found| {
            let conditions = found.status.as_ref().map(|status| &status.conditions);
            let mut all = conditions.into_iter().flatten();
            all.any(|one| one.reason == reason)
        })
        .await;
    }

    /// The names of the copies of tokens in the operator's namespace.
    pub async fn copies(&self) -> Vec<String> {
        let how = ListParams::default().labels("access.apono.io/escrow");
        let all = self.secrets().list(&how).await.unwrap();
        all.items.iter().map(ResourceExt::name_any).collect()
    }

    /// Writes a debt off.
    pub async fn write_off(&self, name: &str, off: Value) {
        let patch = Patch::Merge(json!({"spec": {"writtenOff": off}}));
        let (owed, how) = (self.owed(), PatchParams::default());
        owed.patch(name, &how, &patch).await.unwrap();
    }
}
