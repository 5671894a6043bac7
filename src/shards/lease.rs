//! The Leases as they are written and read. IO, and no decisions.

use std::{collections::BTreeMap, time::Duration};

use futures::Stream;
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams, Preconditions},
    runtime::watcher,
};

use super::{share::Map, watched::Sighting};
use crate::{
    crd::FIELD_MANAGER,
    kubernetes::{self, beat, deadline, watched_as},
    metrics::{KubeWrite, Metrics},
};

/// The Lease with the map.
pub(super) const MAP: &str = "apono-shards";
/// What the name of a replica's Lease begins with.
const REPLICA: &str = "apono-replica-";
/// Tells our Leases from those of others.
const LABEL: &str = "access.apono.io/lease";
/// Holds the map.
const ANNOTATION: &str = "access.apono.io/shards";
/// Says that the replica gives back what it holds, and takes nothing any more.
const LEAVING: &str = "access.apono.io/leaving";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// A Lease that does not say how long it lasts, which no operator writes.
const UNSAID: Duration = Duration::from_secs(15);

/// The Leases of the operator's namespace.
pub(super) struct Leases {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) metrics: Metrics,
    /// How long the own one lasts.
    pub(super) lasts: Duration,
    /// The deadline of a renewal, and of all else.
    pub(super) limits: (Duration, Duration),
    /// The name of the own one.
    pub(super) name: String,
    /// Which process of that name this is.
    pub(super) holder: String,
}

/// The name of the Lease of the replica in this pod.
pub(super) fn name(pod: &str) -> String {
    format!("{REPLICA}{pod}")
}

/// What is seen of a replica's Lease.
pub(super) fn sighting(lease: &Lease) -> Sighting {
    let seconds = lease
        .spec
        .as_ref()
        .and_then(|spec| spec.lease_duration_seconds);
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let metadata = lease.metadata.clone();
    let annotations = metadata.annotations.unwrap_or_default();
    Sighting {
        is_leaving: annotations.contains_key(LEAVING),
        name: metadata.name.unwrap_or_default(),
        uid: metadata.uid.unwrap_or_default(),
        version: metadata.resource_version.unwrap_or_default(),
        lasts: seconds.map_or(UNSAID, Duration::from_secs),
    }
}

/// Who holds it.
pub(super) fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

/// The map in the Lease that holds it; nothing where this version cannot read it.
pub(super) fn map(lease: &Lease) -> Option<Map> {
    let annotations = lease.metadata.annotations.as_ref()?;
    Map::parse(annotations.get(ANNOTATION)?)
}

/// Versions compare as integers.
pub(super) fn version(lease: &Lease) -> u64 {
    let version = lease.metadata.resource_version.as_deref();
    version
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

impl Leases {
    fn api(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// All of them, and every change.
    pub(super) fn watch(
        &self,
        relist: Duration,
    ) -> impl Stream<Item = watcher::Result<watcher::Event<Lease>>> + Send + use<> {
        watched_as(self.api(), watcher::Config::default().labels(LABEL), relist)
    }

    /// All of them, as they are now.
    pub(super) async fn list(&self) -> Result<Vec<Lease>, kubernetes::Error> {
        let (api, parameters) = (self.api(), ListParams::default().labels(LABEL));
        let listed = deadline("list the leases", self.limits.1, api.list(&parameters)).await;
        listed.map(|all| all.items)
    }

    /// Makes the own one, or takes over that of the predecessor in this pod.
    pub(super) async fn join(
        &self,
        before: Option<&Sighting>,
        now: Timestamp,
    ) -> Result<Lease, kubernetes::Error> {
        let api = self.api();
        let mut lease = self.lease(&self.name, "replica");
        // Rounded up: others may wait longer than this replica acts, never shorter.
        let whole = self.lasts.as_secs() + u64::from(self.lasts.subsec_nanos() > 0);
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.holder.clone()),
            lease_duration_seconds: i32::try_from(whole).ok(),
            acquire_time: Some(MicroTime(now)),
            renew_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        });
        let doing = "join the replicas";
        let joined = if let Some(before) = before {
            lease.metadata.uid = Some(before.uid.clone());
            lease.metadata.resource_version = Some(before.version.clone());
            let parameters = parameters();
            let write = api.replace(&self.name, &parameters, &lease);
            deadline(doing, self.limits.1, write).await
        } else {
            let parameters = parameters();
            let write = api.create(&parameters, &lease);
            deadline(doing, self.limits.1, write).await
        };
        self.metrics.kube_write(KubeWrite::Lease);
        joined
    }

    /// Renews the own one, if it is as it was; it may say that its replica leaves.
    pub(super) async fn renew(
        &self,
        lease: &Lease,
        is_leaving: bool,
        now: Timestamp,
    ) -> Result<Lease, kubernetes::Error> {
        let mut lease = lease.clone();
        lease.metadata.managed_fields = None;
        if is_leaving {
            let annotations = lease.metadata.annotations.get_or_insert_default();
            annotations.insert(LEAVING.to_owned(), "true".to_owned());
        }
        if let Some(spec) = &mut lease.spec {
            spec.renew_time = Some(MicroTime(now));
        }
        let (api, parameters) = (self.api(), parameters());
        let write = api.replace(&self.name, &parameters, &lease);
        let renewed = beat("renew the lease", self.limits.0, write).await;
        self.metrics.kube_write(KubeWrite::Lease);
        renewed
    }

    /// Removes the Lease of a replica that is gone, if nobody has renewed it.
    pub(super) async fn bury(&self, gone: &Sighting) -> Result<(), kubernetes::Error> {
        let preconditions = Preconditions {
            uid: Some(gone.uid.clone()),
            resource_version: Some(gone.version.clone()),
        };
        self.delete(&gone.name, preconditions, "bury a replica")
            .await
    }

    /// Removes the own one, however it has changed.
    pub(super) async fn leave(&self, own: &Lease) -> Result<(), kubernetes::Error> {
        let preconditions = Preconditions {
            uid: own.metadata.uid.clone(),
            resource_version: None,
        };
        self.delete(&self.name, preconditions, "leave the replicas")
            .await
    }

    async fn delete(
        &self,
        name: &str,
        preconditions: Preconditions,
        doing: &'static str,
    ) -> Result<(), kubernetes::Error> {
        let parameters = DeleteParams {
            preconditions: Some(preconditions),
            ..DeleteParams::default()
        };
        let api = self.api();
        let deleted = deadline(doing, self.limits.1, api.delete(name, &parameters)).await;
        self.metrics.kube_write(KubeWrite::Lease);
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes the map, over what was seen or where none was.
    pub(super) async fn share(
        &self,
        map: &Map,
        before: Option<&Lease>,
    ) -> Result<Lease, kubernetes::Error> {
        let mut lease = self.lease(MAP, "shards");
        let text = BTreeMap::from([(ANNOTATION.to_owned(), map.text())]);
        lease.metadata.annotations = Some(text);
        let (api, parameters) = (self.api(), parameters());
        let doing = "share the shards";
        let shared = if let Some(before) = before {
            lease.metadata.uid.clone_from(&before.metadata.uid);
            let version = &before.metadata.resource_version;
            lease.metadata.resource_version.clone_from(version);
            let write = api.replace(MAP, &parameters, &lease);
            deadline(doing, self.limits.1, write).await
        } else {
            let write = api.create(&parameters, &lease);
            deadline(doing, self.limits.1, write).await
        };
        self.metrics.kube_write(KubeWrite::Lease);
        shared
    }

    fn lease(&self, name: &str, what: &str) -> Lease {
        let labels = [(MANAGED_BY, FIELD_MANAGER), (LABEL, what)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Lease {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(self.namespace.clone()),
                labels: Some(labels.into()),
                ..ObjectMeta::default()
            },
            spec: None,
        }
    }
}

fn parameters() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}
