//! The metrics of the process: names, labels, buckets, and the registry they are read from.
//!
//! Every label value comes from a closed enum, never from an object or a user, so the number of
//! series is fixed. What can be counted when it is asked for (requests by phase, the state of the
//! connections) is a closure read at each scrape, not a gauge kept in step by hand.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use apono_client::{Endpoint, ErrorClass};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{
        counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram, info::Info,
    },
    registry::{Registry, Unit},
};

use crate::{
    crd::{OwedReason, Phase},
    owed::Figures,
    shards::{self, SHARDS},
};

/// What every name starts with.
pub const PREFIX: &str = "apono_operator";
/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A pass without a remote call takes about a millisecond, one with a call up to its deadline of
/// 10 s; the last bucket shows passes that waited for pacing.
const PASS_BUCKETS: [f64; 10] = [0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// From a call within the same network to the deadline, which can be set up to two minutes.
const CALL_BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Which controller made a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Controller {
    /// That of the access requests.
    AccessRequest,
    /// That of the connections.
    Connection,
    /// That of what is owed.
    OwedRevocation,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PassOutcome {
    /// All was done that can be done now.
    Done,
    /// A failure that time may heal; the pass is repeated with a growing pause.
    Transient,
    /// The remote asked for a pause.
    Throttled,
    /// Refused; nothing more happens until something changes.
    Rejected,
    /// A connection or a setting has to be changed by a person.
    Misconfigured,
    /// The resource cannot be read by this version.
    Undecodable,
    /// The pass was dropped before its end: the process is stopping.
    Abandoned,
}

/// A write to the Kubernetes API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KubeWrite {
    /// The write-ahead: finalizer and attempt annotation.
    Mark,
    /// A status patch.
    Status,
    /// A finalizer removed.
    Finalizer,
    /// An event.
    Event,
    /// A Secret with credentials made, filled, emptied or removed.
    Secret,
    /// A workload restarted for new credentials.
    Restart,
    /// A resource whose time to live is over, deleted.
    Delete,
    /// A copy of a token made, renewed or removed.
    Escrow,
    /// A debt written, changed or deleted.
    Debt,
    /// A Lease made, renewed or deleted, or the shards shared.
    Lease,
}

/// How a debt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DebtEnd {
    /// Everything has ended, as read back.
    Paid,
    /// A person gave it up.
    WrittenOff,
}

/// What the connections look like at a scrape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFigures {
    /// How many there are.
    pub total: u32,
    /// How many of them can be used.
    pub ready: u32,
    /// How many are held back because the remote refused the token.
    pub circuit_open: u32,
    /// The longest time any of them has gone without a successful call.
    pub oldest_success: Option<Duration>,
}

/// Counts the resources in each phase.
pub type PhaseSource = Box<dyn Fn() -> Vec<(Phase, i64)> + Send + Sync>;
/// Looks at the connections.
pub type ConnectionSource = Box<dyn Fn() -> ConnectionFigures + Send + Sync>;

/// Counts what is owed.
pub type DebtSource = Box<dyn Fn() -> Figures + Send + Sync>;
/// Says what this replica holds.
pub type ShardSource = Box<dyn Fn() -> shards::Figures + Send + Sync>;
/// Counts something.
pub type CountSource = Box<dyn Fn() -> i64 + Send + Sync>;

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// The metrics. Cheap to clone; clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    passes: Counters<2>,
    pass_duration: Histograms<1>,
    remote_calls: Counters<2>,
    remote_call_duration: Histograms<1>,
    kube_writes: Counters<1>,
    debts_ended: Counters<1>,
    sources: Arc<Sources>,
}

#[derive(Default)]
struct Sources {
    phases: OnceLock<PhaseSource>,
    connections: OnceLock<ConnectionSource>,
    debts: OnceLock<DebtSource>,
    unowned: OnceLock<CountSource>,
    shards: OnceLock<ShardSource>,
}

#[derive(Debug)]
struct Scrape(Arc<Sources>);

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry with every metric in it.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let metrics = Self {
            registry: Arc::default(),
            passes: Family::default(),
            pass_duration: Family::new_with_constructor(|| Histogram::new(PASS_BUCKETS)),
            remote_calls: Family::default(),
            remote_call_duration: Family::new_with_constructor(|| Histogram::new(CALL_BUCKETS)),
            kube_writes: Family::default(),
            debts_ended: Family::default(),
            sources: Arc::default(),
        };
        metrics.register(&mut registry);
        metrics.start_at_zero();
        Self {
            registry: Arc::new(registry),
            ..metrics
        }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "passes",
            "Passes by controller and outcome",
            self.passes.clone(),
        );
        registry.register_with_unit(
            "pass_duration",
            "How long passes take, by controller",
            Unit::Seconds,
            self.pass_duration.clone(),
        );
        registry.register(
            "remote_calls",
            "Calls to the remote API by endpoint and class of the answer",
            self.remote_calls.clone(),
        );
        registry.register_with_unit(
            "remote_call_duration",
            "How long calls to the remote API take, by endpoint",
            Unit::Seconds,
            self.remote_call_duration.clone(),
        );
        registry.register(
            "kube_writes",
            "Writes to the Kubernetes API by kind",
            self.kube_writes.clone(),
        );
        registry.register(
            "owed_revocations_ended",
            "Debts that ended, by how",
            self.debts_ended.clone(),
        );
        registry.register(
            "build",
            "The version that runs",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register_collector(Box::new(Scrape(Arc::clone(&self.sources))));
    }

    /// A rate over a series that appears with its first count misses that count.
    fn start_at_zero(&self) {
        for controller in Controller::ALL {
            for outcome in PassOutcome::ALL {
                let _ = self.passes.get_or_create(&pass_labels(controller, outcome));
            }
        }
        for write in KubeWrite::ALL {
            let _ = self.kube_writes.get_or_create(&[("kind", write.as_str())]);
        }
        for how in DebtEnd::ALL {
            let _ = self.debts_ended.get_or_create(&[("how", how.as_str())]);
        }
        for endpoint in Endpoint::ALL {
            let _ = self
                .remote_calls
                .get_or_create(&call_labels(endpoint, None));
        }
    }

    /// Counts a pass.
    pub fn pass(&self, controller: Controller, outcome: PassOutcome, took: Duration) {
        self.passes
            .get_or_create(&pass_labels(controller, outcome))
            .inc();
        self.pass_duration
            .get_or_create(&[("controller", controller.as_str())])
            .observe(took.as_secs_f64());
    }

    /// Counts a remote call; no class means that it succeeded.
    pub fn remote_call(&self, endpoint: Endpoint, class: Option<ErrorClass>, took: Duration) {
        self.remote_calls
            .get_or_create(&call_labels(endpoint, class))
            .inc();
        self.remote_call_duration
            .get_or_create(&[("endpoint", endpoint.as_str())])
            .observe(took.as_secs_f64());
    }

    /// Counts a write to the Kubernetes API that was made.
    pub fn kube_write(&self, write: KubeWrite) {
        self.kube_writes
            .get_or_create(&[("kind", write.as_str())])
            .inc();
    }

    /// Counts a debt that ended.
    pub fn debt_ended(&self, how: DebtEnd) {
        self.debts_ended
            .get_or_create(&[("how", how.as_str())])
            .inc();
    }

    /// Says who counts what is owed. The first one stays.
    pub fn count_debts_with(&self, source: DebtSource) {
        let _ = self.sources.debts.set(source);
    }

    /// Says who counts the live requests of this cluster that no resource owns. The first one stays.
    pub fn count_unowned_with(&self, source: CountSource) {
        let _ = self.sources.unowned.set(source);
    }

    /// Says who knows what this replica holds. The first one stays.
    pub fn look_at_shards_with(&self, source: ShardSource) {
        let _ = self.sources.shards.set(source);
    }

    /// Says who counts the resources by phase. The first one stays.
    pub fn count_phases_with(&self, source: PhaseSource) {
        let _ = self.sources.phases.set(source);
    }

    /// Says who looks at the connections. The first one stays.
    pub fn look_at_connections_with(&self, source: ConnectionSource) {
        let _ = self.sources.connections.set(source);
    }

    /// Everything in the text format of `OpenMetrics`.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn pass_labels(controller: Controller, outcome: PassOutcome) -> Labels<2> {
    [
        ("controller", controller.as_str()),
        ("outcome", outcome.as_str()),
    ]
}

fn call_labels(endpoint: Endpoint, class: Option<ErrorClass>) -> Labels<2> {
    [
        ("endpoint", endpoint.as_str()),
        ("class", class.map_or("ok", ErrorClass::as_str)),
    ]
}

impl Controller {
    const ALL: [Self; 3] = [Self::AccessRequest, Self::Connection, Self::OwedRevocation];

    fn as_str(self) -> &'static str {
        match self {
            Self::AccessRequest => "access_request",
            Self::Connection => "connection",
            Self::OwedRevocation => "owed_revocation",
        }
    }
}

impl PassOutcome {
    const ALL: [Self; 7] = [
        Self::Done,
        Self::Transient,
        Self::Throttled,
        Self::Rejected,
        Self::Misconfigured,
        Self::Undecodable,
        Self::Abandoned,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Rejected => "rejected",
            Self::Misconfigured => "misconfigured",
            Self::Undecodable => "undecodable",
            Self::Abandoned => "abandoned",
        }
    }
}

impl DebtEnd {
    const ALL: [Self; 2] = [Self::Paid, Self::WrittenOff];

    fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::WrittenOff => "written_off",
        }
    }
}

impl KubeWrite {
    const ALL: [Self; 10] = [
        Self::Mark,
        Self::Status,
        Self::Finalizer,
        Self::Event,
        Self::Secret,
        Self::Restart,
        Self::Delete,
        Self::Escrow,
        Self::Debt,
        Self::Lease,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Mark => "mark",
            Self::Status => "status",
            Self::Finalizer => "finalizer",
            Self::Event => "event",
            Self::Secret => "secret",
            Self::Restart => "restart",
            Self::Delete => "delete",
            Self::Escrow => "escrow",
            Self::Debt => "debt",
            Self::Lease => "lease",
        }
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sources").finish_non_exhaustive()
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        if let Some(phases) = self.0.phases.get() {
            requests_by_phase(&mut encoder, &phases())?;
        }
        if let Some(debts) = self.0.debts.get() {
            owed(&mut encoder, &debts())?;
        }
        if let Some(unowned) = self.0.unowned.get() {
            let gauge = ConstGauge::new(unowned());
            let help = "Live requests that bear this cluster's mark and belong to no resource";
            let kind = gauge.metric_type();
            gauge.encode(encoder.encode_descriptor("unowned_requests", help, None, kind)?)?;
        }
        if let Some(shards) = self.0.shards.get() {
            held(&mut encoder, &shards())?;
        }
        let Some(connections) = self.0.connections.get() else {
            return Ok(());
        };
        let figures = connections();
        let counts = [
            ("connections", "Connections that exist", figures.total),
            (
                "connections_ready",
                "Connections that can be used",
                figures.ready,
            ),
            (
                "connections_circuit_open",
                "Connections held back because the remote refused their token",
                figures.circuit_open,
            ),
        ];
        for (name, help, count) in counts {
            let gauge = ConstGauge::new(i64::from(count));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let Some(oldest) = figures.oldest_success else {
            return Ok(());
        };
        let gauge = ConstGauge::new(oldest.as_secs_f64());
        gauge.encode(encoder.encode_descriptor(
            "last_success_age",
            "The longest time any connection has gone without a successful remote call",
            Some(&Unit::Seconds),
            gauge.metric_type(),
        )?)
    }
}

fn requests_by_phase(
    encoder: &mut DescriptorEncoder,
    phases: &[(Phase, i64)],
) -> Result<(), fmt::Error> {
    let kind = ConstGauge::new(0_i64).metric_type();
    let mut metric =
        encoder.encode_descriptor("requests", "Access requests by phase", None, kind)?;
    for (phase, count) in phases {
        let labels = [("phase", phase_label(*phase))];
        ConstGauge::new(*count).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Every reason, also those of which there is none, so that an alert never misses the first.
fn owed(encoder: &mut DescriptorEncoder, figures: &Figures) -> Result<(), fmt::Error> {
    let kind = ConstGauge::new(0_i64).metric_type();
    let help = "What is owed: access that outlived its resource, by why it could not be taken back";
    let mut metric = encoder.encode_descriptor("owed_revocations", help, None, kind)?;
    for reason in OwedReason::ALL {
        let count = figures.by_reason.get(&reason).copied().unwrap_or_default();
        let labels = [("reason", reason.as_str())];
        ConstGauge::new(count).encode(metric.encode_family(&labels)?)?;
    }
    let labels = [("reason", "Unreadable")];
    ConstGauge::new(figures.unreadable).encode(metric.encode_family(&labels)?)?;
    let oldest = figures.oldest.unwrap_or_default();
    let gauge = ConstGauge::new(oldest.as_secs_f64());
    gauge.encode(encoder.encode_descriptor(
        "oldest_owed_revocation_age",
        "How long the oldest debt has been owed; 0 where there is none",
        Some(&Unit::Seconds),
        gauge.metric_type(),
    )?)
}

/// Every shard, held or not: the scrape says whose they are.
fn held(encoder: &mut DescriptorEncoder, figures: &shards::Figures) -> Result<(), fmt::Error> {
    let count = |count: usize| ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
    let kind = count(0).metric_type();
    let help = "Shards of connections that this replica works for";
    let metric = encoder.encode_descriptor("shards_held", help, None, kind)?;
    count(figures.held.len()).encode(metric)?;
    let help = "Replicas that share the connections, as this one sees it";
    let metric = encoder.encode_descriptor("replicas", help, None, kind)?;
    count(figures.replicas).encode(metric)?;
    let help = "Whether this replica works for the shard: 1 or 0";
    let mut metric = encoder.encode_descriptor("shard_held", help, None, kind)?;
    for number in 0..SHARDS {
        let labels = [("shard", number.to_string())];
        let is_held = usize::from(figures.held.contains(&number));
        count(is_held).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

fn phase_label(phase: Phase) -> &'static str {
    match phase {
        Phase::Submitting => "submitting",
        Phase::Pending => "pending",
        Phase::PendingMfa => "pending_mfa",
        Phase::Granting => "granting",
        Phase::Active => "active",
        Phase::Renewing => "renewing",
        Phase::Revoking => "revoking",
        Phase::Ended => "ended",
        Phase::Rejected => "rejected",
        Phase::Failed => "failed",
        Phase::Suspended => "suspended",
        Phase::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_in_the_text() {
        let metrics = Metrics::new();
        let second = Duration::from_secs(1);
        metrics.pass(Controller::AccessRequest, PassOutcome::Transient, second);
        metrics.remote_call(Endpoint::ListAccessRequests, None, second);
        let refused = Some(ErrorClass::Unauthorized);
        metrics.remote_call(Endpoint::ListAccessRequests, refused, second);
        metrics.kube_write(KubeWrite::Status);
        metrics.count_phases_with(Box::new(|| vec![(Phase::Active, 7)]));
        metrics.look_at_connections_with(Box::new(move || ConnectionFigures {
            total: 3,
            ready: 2,
            circuit_open: 1,
            oldest_success: Some(second),
        }));

        let text = metrics.encode().unwrap();
        for line in [
            "apono_operator_passes_total{controller=\"access_request\",outcome=\"transient\"} 1",
            "apono_operator_pass_duration_seconds_count{controller=\"access_request\"} 1",
            "apono_operator_remote_calls_total{endpoint=\"list_access_requests\",class=\"ok\"} 1",
            "{endpoint=\"list_access_requests\",class=\"unauthorized\"} 1",
            "apono_operator_kube_writes_total{kind=\"status\"} 1",
            "apono_operator_kube_writes_total{kind=\"mark\"} 0",
            "apono_operator_requests{phase=\"active\"} 7",
            "apono_operator_connections 3",
            "apono_operator_connections_ready 2",
            "apono_operator_connections_circuit_open 1",
            "apono_operator_last_success_age_seconds 1.0",
            "apono_operator_build_info{version=",
            "# EOF",
        ] {
            assert!(text.contains(line), "no `{line}` in\n{text}");
        }
    }
}
