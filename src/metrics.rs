//! The metrics of the process, by what is measured, and the registry they are read from.
//!
//! | what | where |
//! | --- | --- |
//! | what is said of a metric, once | `described.rs` |
//! | the closed lists that label series | `words.rs` |
//! | passes of the controllers | `passes.rs` |
//! | calls to the remote API | `remote.rs` |
//! | calls to the Kubernetes API, writes, watches | `kube.rs` |
//! | approvals, grants, revokes, events | `journeys.rs` |
//! | what is counted when it is asked for | `figures.rs` |
//! | the process | `process.rs` |
//! | all of them, for people | `catalogue.rs` |
//!
//! Every label value comes from a closed list, never from an object or a user, so the number of
//! series is fixed; the few exceptions are made by a setting. What can be counted when it is asked for
//! (requests by phase, the state of the connections) is a closure read at each scrape, not a gauge kept
//! in step by hand.

mod catalogue;
mod described;
mod figures;
mod journeys;
mod kube;
mod passes;
mod process;
mod remote;
mod words;

use std::{fmt, sync::Arc, time::Duration};

use apono_client::{Endpoint, ErrorClass};
use jiff::Timestamp;
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, histogram::Histogram, info::Info},
    registry::Registry,
};

pub use self::{
    catalogue::{catalogue, reference},
    described::{Described, Kind, Label, Unit, Values},
    figures::{
        AgeSource, ConnectionFigures, ConnectionSource, CountSource, DebtSource, EachRequest,
        PhaseSource, RequestFigures, RequestSource, ShardSource,
    },
    kube::KubeCall,
    passes::Working,
    remote::Waited,
    words::{
        Controller, DebtEnd, HeldBack, KubeWrite, PassOutcome, ReconcileResult, Wait, Waiting,
        Watched,
    },
};
use self::{
    figures::{Scrape, ScrapeProcess, Sources},
    journeys::Journeys,
    kube::Kube,
    passes::Passes,
    remote::Remote,
    words::{DEBT_END, VERSION},
};
use crate::crd::{AccessRequest, AccessRequestStatus};

/// What every name of ours starts with.
pub const PREFIX: &str = "apono_operator";
/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const DEBTS_ENDED: Described = Described {
    name: "owed_revocations_ended",
    family: described::Family::Ours,
    kind: Kind::Counter,
    unit: Unit::None,
    labels: &[DEBT_END],
    help: "Debts that ended, by how",
};
const BUILD: Described = Described {
    name: "build",
    family: described::Family::Ours,
    kind: Kind::Info,
    unit: Unit::None,
    labels: &[VERSION],
    help: "The version that runs",
};

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// The metrics. Cheap to clone; clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    passes: Passes,
    remote: Remote,
    kube: Kube,
    journeys: Journeys,
    debts_ended: Counters<1>,
    sources: Arc<Sources>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry with every metric in it.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let metrics = Self {
            registry: Arc::default(),
            passes: Passes::new(),
            remote: Remote::new(),
            kube: Kube::new(),
            journeys: Journeys::new(),
            debts_ended: Family::default(),
            sources: Arc::default(),
        };
        for how in DebtEnd::ALL {
            let _ = metrics.debts_ended.get_or_create(&[("how", how.as_str())]);
        }
        metrics.register(&mut registry);
        Self {
            registry: Arc::new(registry),
            ..metrics
        }
    }

    fn register(&self, known: &mut Registry) {
        self.passes.register_known(known);
        self.kube.register_known(known);
        known.register_collector(Box::new(ScrapeProcess));
        let ours = known.sub_registry_with_prefix(PREFIX);
        self.passes.register(ours);
        self.remote.register(ours);
        self.kube.register(ours);
        self.journeys.register(ours);
        DEBTS_ENDED.register(ours, self.debts_ended.clone());
        BUILD.register(ours, Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let scrape = Scrape(Arc::clone(&self.sources), self.kube.clone());
        ours.register_collector(Box::new(scrape));
    }

    /// Counts a pass.
    pub fn pass(&self, controller: Controller, outcome: PassOutcome, took: Duration) {
        self.passes.pass(controller, outcome, took);
    }

    /// A pass begins; it counts as under way until what is returned has ended or is dropped.
    #[must_use]
    pub fn begin(&self, controller: Controller) -> Working {
        self.passes.begin(controller)
    }

    /// Says how many passes of a controller may be under way at once.
    pub fn at_most(&self, controller: Controller, count: usize) {
        self.passes.at_most(controller, count);
    }

    /// Counts a remote call; no class means that it succeeded.
    pub fn remote_call(&self, endpoint: Endpoint, class: Option<ErrorClass>, took: Duration) {
        self.remote.call(endpoint, class, took);
    }

    /// Counts a remote call that never left.
    pub fn held_back(&self, why: HeldBack) {
        self.remote.held_back(why);
    }

    /// A remote call begins to wait; it does until what is returned is dropped.
    #[must_use]
    pub fn waiting(&self, wait: Wait) -> Waited {
        self.remote.wait(wait)
    }

    /// Counts a write to the Kubernetes API that was made.
    pub fn kube_write(&self, write: KubeWrite) {
        self.kube.write(write);
    }

    /// Counts a call to the Kubernetes API.
    pub fn kube_call(&self, call: &KubeCall<'_>) {
        self.kube.call(call);
    }

    /// Counts a debt that ended.
    pub fn debt_ended(&self, how: DebtEnd) {
        self.debts_ended
            .get_or_create(&[("how", how.as_str())])
            .inc();
    }

    /// Counts what an event told of.
    pub fn happened(&self, reason: &str) {
        self.journeys.happened(reason);
    }

    /// Takes a status that was stored in the place of what `old` holds.
    pub fn stored(&self, old: &AccessRequest, new: &AccessRequestStatus, now: Timestamp) {
        self.journeys.stored(old, new, now);
    }

    /// Takes that everything of a resource has ended and it was let go.
    pub fn released(&self, resource: &AccessRequest, now: Timestamp) {
        self.journeys.released(resource, now);
    }

    /// Says who counts what is owed. The first one stays.
    pub fn count_debts_with(&self, source: DebtSource) {
        let _ = self.sources.debts.set(source);
    }

    /// Says who knows what this replica holds. The first one stays.
    pub fn look_at_shards_with(&self, source: ShardSource) {
        let _ = self.sources.shards.set(source);
    }

    /// Says who counts the live requests of this cluster that no resource owns. The first one stays.
    pub fn count_unowned_with(&self, source: CountSource) {
        let _ = self.sources.unowned.set(source);
    }

    /// Says who knows how many passes may run at once. The first one stays.
    pub fn count_turns_with(&self, source: CountSource) {
        let _ = self.sources.turns.set(source);
    }

    /// Says who counts the resources by phase. The first one stays.
    pub fn count_phases_with(&self, source: PhaseSource) {
        let _ = self.sources.phases.set(source);
    }

    /// Says who looks at the access requests. The first one stays.
    pub fn look_at_requests_with(&self, source: RequestSource) {
        let _ = self.sources.requests.set(source);
    }

    /// Says who looks at the connections. The first one stays.
    pub fn look_at_connections_with(&self, source: ConnectionSource) {
        let _ = self.sources.connections.set(source);
    }

    /// Says who knows how long what is followed has gone unread. The first one stays.
    pub fn look_at_staleness_with(&self, source: AgeSource) {
        let _ = self.sources.staleness.set(source);
    }

    /// Everything in the text format of `OpenMetrics`.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
