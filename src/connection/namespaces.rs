//! The labels of namespaces, for `allow.namespaces.selector`: a metadata watch, in cluster scope
//! only. With roles of single namespaces nothing of the cluster may be read, and nothing is.
//!
//! Who waits for a namespace is told when its labels appear or change, after they can be read here.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::sync::broadcast;

use crate::{admin::Gate, kubernetes::watched, telemetry::Chain};

type Metadata = PartialObjectMeta<Namespace>;
/// Namespaces whose labels changed.
pub type Relabelled = Arc<[String]>;
type Labels = BTreeMap<String, String>;

/// How often the log says that the watch still fails.
const QUIET: Duration = Duration::from_secs(30);

/// What is known of namespaces. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Namespaces {
    known: Option<Arc<RwLock<Known>>>,
}

/// Only labels are kept: ten thousand namespaces stay small.
#[derive(Debug, Default)]
struct Known {
    labels: HashMap<String, Labels>,
    /// What a list has brought so far; it counts when the list is whole.
    listed: HashMap<String, Labels>,
    is_filled: bool,
}

impl Namespaces {
    /// Nothing is ever known: for namespaced scope.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// A cache, listed anew this often, and what fills it until `stop` resolves. Opens the gate when it is filled, and tells
    /// `relabelled` the namespaces whose labels were not known before, or other ones.
    pub fn watch(
        (client, relist): (Client, Duration),
        gate: Gate,
        relabelled: broadcast::Sender<Relabelled>,
        stop: impl Future<Output = ()> + Send,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let namespaces: Api<Metadata> = Api::all(client);
        let known = Arc::new(RwLock::new(Known::default()));
        let filled = Arc::clone(&known);
        let fill = async move {
            let events = watched(namespaces, relist)
                .default_backoff()
                .take_until(stop);
            tokio::pin!(events);
            let mut complained: Option<tokio::time::Instant> = None;
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => {
                        let is_whole = matches!(event, watcher::Event::InitDone);
                        let changed = filled
                            .write()
                            .unwrap_or_else(PoisonError::into_inner)
                            .take(event);
                        if is_whole {
                            gate.open();
                        }
                        if !changed.is_empty() {
                            // Nobody listens yet before the first passes, which see them anyway.
                            let _ = relabelled.send(changed.into());
                        }
                    }
                    Err(error) if complained.is_none_or(|at| at.elapsed() > QUIET) => {
                        complained = Some(tokio::time::Instant::now());
                        tracing::warn!(error = %Chain(&error), "could not watch namespaces");
                    }
                    Err(_) => {}
                }
            }
        };
        (Self { known: Some(known) }, fill)
    }

    /// The labels of a namespace; absent when they are not known.
    pub(super) fn labels(&self, name: &str) -> Option<Labels> {
        self.read()?.labels.get(name).cloned()
    }

    /// Whether all that existed at the start are known.
    pub(super) fn is_filled(&self) -> bool {
        self.read().is_some_and(|known| known.is_filled)
    }

    fn read(&self) -> Option<RwLockReadGuard<'_, Known>> {
        let known = self.known.as_ref()?;
        Some(known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    /// Takes an event of the watch. Gives the namespaces whose labels were not known before, or
    /// other ones; one that is gone has nothing left in it to tell.
    fn take(&mut self, event: watcher::Event<Metadata>) -> Vec<String> {
        match event {
            watcher::Event::Init => self.listed.clear(),
            watcher::Event::InitApply(namespace) => {
                let (name, labels) = of(&namespace);
                self.listed.insert(name, labels);
            }
            watcher::Event::InitDone => {
                self.is_filled = true;
                let before = std::mem::replace(&mut self.labels, std::mem::take(&mut self.listed));
                let is_changed =
                    |(name, labels): &(&String, &Labels)| before.get(*name) != Some(*labels);
                let changed = self.labels.iter().filter(is_changed);
                return changed.map(|(name, _)| name.clone()).collect();
            }
            watcher::Event::Apply(namespace) => {
                let (name, labels) = of(&namespace);
                let is_changed = self.labels.get(&name) != Some(&labels);
                if is_changed {
                    self.labels.insert(name.clone(), labels);
                    return vec![name];
                }
            }
            watcher::Event::Delete(namespace) => drop(self.labels.remove(&namespace.name_any())),
        }
        Vec::new()
    }
}

fn of(namespace: &Metadata) -> (String, Labels) {
    (namespace.name_any(), namespace.labels().clone())
}

#[cfg(test)]
mod tests {
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};

    use super::*;

    fn namespace(name: &str, team: &str) -> Metadata {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": name, "labels": {"team": team}}
        }))
        .unwrap()
    }

    fn list(known: &mut Known, all: &[(&str, &str)]) -> Vec<String> {
        assert!(known.take(Init).is_empty());
        for (name, team) in all {
            assert!(known.take(InitApply(namespace(name, team))).is_empty());
        }
        let mut changed = known.take(InitDone);
        changed.sort_unstable();
        changed
    }

    #[test]
    fn what_is_listed_counts_when_the_list_is_whole() {
        let mut known = Known::default();
        known.take(Init);
        known.take(InitApply(namespace("a", "x")));
        assert!(!known.is_filled && known.labels.is_empty());
        assert_eq!(known.take(InitDone), ["a"]);
        assert!(known.is_filled && known.labels.contains_key("a"));
    }

    #[test]
    fn only_labels_that_differ_are_told() {
        let mut known = Known::default();
        assert_eq!(list(&mut known, &[("a", "x"), ("b", "x")]), ["a", "b"]);
        assert!(known.take(Apply(namespace("a", "x"))).is_empty());
        assert_eq!(known.take(Apply(namespace("a", "y"))), ["a"]);
        assert_eq!(known.take(Apply(namespace("c", "x"))), ["c"]);
        // A list after a broken watch tells what was missed.
        let again = list(&mut known, &[("a", "y"), ("b", "z"), ("d", "x")]);
        assert_eq!(again, ["b", "d"]);
        assert!(!known.labels.contains_key("c"));
    }

    #[test]
    fn one_that_is_gone_is_not_known_any_more() {
        let mut known = Known::default();
        list(&mut known, &[("a", "x")]);
        assert!(known.take(Delete(namespace("a", "x"))).is_empty());
        assert_eq!(known.take(Apply(namespace("a", "x"))), ["a"]);
    }
}
