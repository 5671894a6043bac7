//! What every pass is handed, and what the process remembers of each resource between passes.
//!
//! Nothing here is needed for safety: a restart forgets it all, and looks at everything anew. What is
//! forgotten before that is gone, or is looked at when it becomes ours again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::{Client, ResourceExt};
use tokio::time::Instant;

use super::{observed::Memory, turns::Turns};
use crate::{
    clock::Clock,
    connection::{ConnectionKey, Found, Registry, escrow::Escrow},
    crd::AccessRequest,
    metrics::Metrics,
    owed::Debts,
    poller::ResourceKey,
    shards::Shards,
};

/// How long the watch may lag behind our own writes before the object is read directly.
const BEHIND_AT_MOST: Duration = Duration::from_secs(10);

/// What every pass is handed.
pub struct Context {
    /// The Kubernetes client.
    pub client: Client,
    /// The connections.
    pub registry: Registry,
    /// Whether single namespaces are served, and so no connection of the whole cluster.
    pub is_namespaced: bool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
    /// The name of this cluster in every mark.
    pub cluster: String,
    /// The deadline of a Kubernetes call.
    pub kube_timeout: Duration,
    /// The deadline of a remote call.
    pub remote_timeout: Duration,
    /// More labels by which a GitOps tool owns a resource, so that its time to live is not kept.
    pub ttl_owner_labels: Vec<String>,
    /// Where copies of tokens are kept.
    pub escrow: Escrow,
    /// Where what is owed is written down.
    pub debts: Debts,
    /// Who is next.
    pub turns: Arc<Turns>,
    /// Which connections are this replica's.
    pub shards: Shards,
    /// What the process remembers of each resource, by `namespace/name`.
    pub resources: Mutex<HashMap<ObjectKey, Kept>>,
}

/// `namespace` and `name`.
pub type ObjectKey = (String, String);

/// What the process remembers of one resource.
#[derive(Debug, Default)]
pub struct Kept {
    uid: Box<str>,
    written: Option<u64>,
    connection: Option<Arc<ConnectionKey>>,
    /// When to look at it again, if that is far from now.
    alarm: Option<Instant>,
    /// Absent for most: there is nothing more to remember of what is at rest.
    unrest: Option<Box<Unrest>>,
}

/// What is remembered only of one that something is under way with, that has failed, or that is to go.
#[derive(Debug, Default, PartialEq)]
struct Unrest {
    memory: Memory,
    behind_since: Option<Instant>,
    complained: bool,
    failures: u32,
    is_released: bool,
}

impl Kept {
    /// Changes what is not at rest; keeps nothing of it where nothing is left to remember.
    fn change<T>(&mut self, change: impl FnOnce(&mut Unrest) -> T) -> T {
        let unrest = self.unrest.get_or_insert_default();
        let changed = change(unrest);
        if **unrest == Unrest::default() {
            self.unrest = None;
        }
        changed
    }

    /// The same, where it changes nothing of what is at rest.
    fn calm(&mut self, change: impl FnOnce(&mut Unrest)) {
        if self.unrest.is_some() {
            self.change(change);
        }
    }
}

/// Whether the object in hand has our own last write in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// It has.
    Fresh,
    /// Not yet: the watch will bring it; look again after this time if it does not.
    Behind(Duration),
    /// The watch took too long: read the object.
    Overdue,
}

impl Context {
    fn kept<T>(&self, resource: &AccessRequest, look: impl FnOnce(&mut Kept) -> T) -> T {
        let namespace = resource.namespace().unwrap_or_default();
        let key = (namespace, resource.name_any());
        let uid = resource.uid().unwrap_or_default();
        let mut all = self.lock();
        let kept = all.entry(key.clone()).or_default();
        let fresh = Kept {
            uid: uid.into(),
            ..Kept::default()
        };
        let before = (*kept.uid != *fresh.uid).then(|| std::mem::replace(kept, fresh));
        let seen = look(kept);
        drop(all);
        if let Some(before) = before {
            self.withdraw_kept(key, before);
        }
        seen
    }

    /// Another resource has the name now. What the one before followed is free for it to adopt.
    fn withdraw_kept(&self, (namespace, name): ObjectKey, kept: Kept) {
        let Some(connection) = kept.connection else {
            return;
        };
        let key = ResourceKey::new(namespace, name, kept.uid.into_string());
        self.withdraw(&connection, &key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Kept>> {
        // What a panicking pass left behind is whole: every change is one assignment.
        self.resources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What the process remembers of its own calls for a resource.
    pub fn memory(&self, resource: &AccessRequest) -> Memory {
        let memory = |kept: &mut Kept| kept.unrest.as_ref().map(|unrest| unrest.memory.clone());
        self.kept(resource, memory).unwrap_or_default()
    }

    /// Remembers it.
    pub fn remember(&self, resource: &AccessRequest, memory: &Memory) {
        self.kept(resource, |kept| {
            kept.change(|unrest| unrest.memory.clone_from(memory));
        });
    }

    /// Remembers a write of our own, to know an older object by.
    pub fn note_write(&self, written: &AccessRequest) {
        let version = version(written);
        self.kept(written, |kept| kept.written = version.max(kept.written));
    }

    /// Whether the object in hand has our own last write in it.
    pub fn fence(&self, resource: &AccessRequest) -> Fence {
        let version = version(resource);
        self.kept(resource, |kept| {
            if version >= kept.written {
                kept.calm(|unrest| unrest.behind_since = None);
                return Fence::Fresh;
            }
            let since = kept.change(|unrest| *unrest.behind_since.get_or_insert_with(Instant::now));
            match BEHIND_AT_MOST.checked_sub(since.elapsed()) {
                Some(rest) if !rest.is_zero() => Fence::Behind(rest),
                _ => Fence::Overdue,
            }
        })
    }

    /// Whether this is the first time that something is said of an object that cannot be read.
    pub fn is_first_complaint(&self, resource: &AccessRequest) -> bool {
        self.kept(resource, |kept| {
            kept.change(|unrest| !std::mem::replace(&mut unrest.complained, true))
        })
    }

    /// Counts a failed pass, and says how many have failed in a row.
    pub fn count_failure(&self, resource: &AccessRequest) -> u32 {
        self.kept(resource, |kept| {
            kept.change(|unrest| {
                unrest.failures = unrest.failures.saturating_add(1);
                unrest.failures
            })
        })
    }

    /// A pass went through.
    pub fn clear_failures(&self, resource: &AccessRequest) {
        let namespace = resource.namespace().unwrap_or_default();
        // One that was just forgotten stays forgotten.
        if let Some(kept) = self.lock().get_mut(&(namespace, resource.name_any())) {
            kept.calm(|unrest| unrest.failures = 0);
        }
    }

    /// Remembers whose store knows the resource; one it has left forgets it.
    pub fn interested(&self, key: &ResourceKey, connection: &Arc<ConnectionKey>) {
        let mut all = self.lock();
        let kept = all
            .entry((key.namespace.clone(), key.name.clone()))
            .or_default();
        let before = kept.connection.replace(Arc::clone(connection));
        drop(all);
        if let Some(before) = before.filter(|before| before != connection) {
            self.withdraw(&before, key);
        }
    }

    /// Looks at the resource again then, and not at the time that was set before.
    pub fn alarm(&self, key: &ObjectKey, at: Option<Instant>) {
        // One that was just forgotten stays forgotten.
        if let Some(kept) = self.lock().get_mut(key) {
            kept.alarm = at;
        }
    }

    /// Takes out whose time comes before `until`, in one namespace or in all.
    pub fn take_alarms(
        &self,
        namespace: Option<&str>,
        until: Instant,
    ) -> Vec<(Instant, ObjectKey)> {
        let mut all = self.lock();
        let of_scope = all
            .iter_mut()
            .filter(|(key, _)| namespace.is_none_or(|namespace| key.0 == namespace));
        of_scope
            .filter_map(|(key, kept)| {
                let at = kept.alarm.take_if(|at| *at < until)?;
                Some((at, key.clone()))
            })
            .collect()
    }

    /// Everything of the resource has ended and our finalizer is off. An older view of it, which the
    /// watch may still hold, is looked at no more: it would look as if access were left.
    pub fn release(&self, resource: &AccessRequest) {
        self.forget(resource);
        self.kept(resource, |kept| {
            kept.change(|unrest| unrest.is_released = true);
        });
    }

    /// Whether it was released.
    pub fn is_released(&self, resource: &AccessRequest) -> bool {
        let key = (
            resource.namespace().unwrap_or_default(),
            resource.name_any(),
        );
        let uid = resource.uid().unwrap_or_default();
        let all = self.lock();
        all.get(&key)
            .filter(|kept| *kept.uid == *uid)
            .and_then(|kept| kept.unrest.as_ref())
            .is_some_and(|unrest| unrest.is_released)
    }

    /// The resource is gone: nothing about it is kept.
    pub fn forget(&self, resource: &AccessRequest) {
        self.forget_object(
            &resource.namespace().unwrap_or_default(),
            &resource.name_any(),
        );
    }

    /// The resource is gone: nothing about it is kept.
    pub fn forget_object(&self, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        let kept = self.lock().remove(&key);
        if let Some(kept) = kept {
            self.withdraw_kept(key, kept);
        }
    }

    /// Forgets what no store holds any more. A resource that never was held goes without a pass.
    pub fn prune(&self, is_held: impl Fn(&ObjectKey) -> bool) {
        let gone: Vec<_> = self
            .lock()
            .keys()
            .filter(|key| !is_held(key))
            .cloned()
            .collect();
        for (namespace, name) in gone {
            self.forget_object(&namespace, &name);
        }
    }

    fn withdraw(&self, connection: &ConnectionKey, key: &ResourceKey) {
        match self.registry.find(connection) {
            Found::Usable(connection) | Found::Deleting(connection) => {
                connection.store.withdraw(key);
                connection.hold.need(&key.uid, false);
            }
            Found::Missing | Found::Elsewhere | Found::Unreadable { .. } => {}
        }
    }
}

/// Resource versions compare as integers: promised since Kubernetes 1.35, and true before.
fn version(resource: &AccessRequest) -> Option<u64> {
    resource.resource_version()?.parse().ok()
}

#[cfg(test)]
pub(super) mod tests;
