//! The labels of namespaces, for `allow.namespaces.selector`: a metadata watch, in cluster scope
//! only. With roles of single namespaces nothing of the cluster may be read, and nothing is.

use std::{collections::BTreeMap, future::Future, time::Duration};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        reflector::{ObjectRef, Store, store},
        watcher,
    },
};

use crate::{admin::Gate, kubernetes::watch_config, telemetry::Chain};

type Metadata = PartialObjectMeta<Namespace>;

/// How often the log says that the watch still fails.
const QUIET: Duration = Duration::from_secs(30);

/// What is known of namespaces.
#[derive(Clone, Debug, Default)]
pub struct Namespaces {
    store: Option<Store<Metadata>>,
}

impl Namespaces {
    /// Nothing is ever known: for namespaced scope.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// A cache, and what fills it until `stop` resolves. Opens the gate when it is filled.
    pub fn watch(
        client: Client,
        gate: Gate,
        stop: impl Future<Output = ()> + Send,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (reader, writer) = store();
        let namespaces: Api<Metadata> = Api::all(client);
        let filled = reader.clone();
        let fill = async move {
            let events = watcher(namespaces, watch_config())
                .modify(|namespace| {
                    // Only labels are asked for: ten thousand namespaces stay small.
                    namespace.managed_fields_mut().clear();
                    namespace.annotations_mut().clear();
                })
                .default_backoff()
                .reflect(writer)
                .take_until(stop);
            tokio::pin!(events);
            let mut complained: Option<tokio::time::Instant> = None;
            while let Some(event) = events.next().await {
                match event {
                    Ok(watcher::Event::InitDone) => gate.open(),
                    Err(error) if complained.is_none_or(|at| at.elapsed() > QUIET) => {
                        complained = Some(tokio::time::Instant::now());
                        tracing::warn!(error = %Chain(&error), "could not watch namespaces");
                    }
                    Ok(_) | Err(_) => {}
                }
            }
        };
        (
            Self {
                store: Some(filled),
            },
            fill,
        )
    }

    /// The labels of a namespace; absent when they are not known.
    pub(super) fn labels(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let found = self.store.as_ref()?.get(&ObjectRef::new(name))?;
        Some(found.labels().clone())
    }
}
