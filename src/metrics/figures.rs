//! What is counted when it is asked for, and who counts it. Nothing is kept in step by hand.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use jiff::Timestamp;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::{
    Kube,
    described::{Described, Family, Kind, Unit},
    process,
    words::{
        self, GRANTEE, NAME, NAMESPACE, OWED_REASON, PHASE, PHASES, SHARD, TARGET, UNREADABLE,
        WAITING, Waiting,
    },
};
use crate::{
    crd::{OwedReason, Phase},
    owed::Figures,
    shards::{self, SHARDS},
};

const fn count(
    name: &'static str,
    labels: &'static [super::described::Label],
    help: &'static str,
) -> Described {
    Described {
        name,
        family: Family::Ours,
        kind: Kind::Gauge,
        unit: Unit::None,
        labels,
        help,
    }
}

const fn age(name: &'static str, help: &'static str) -> Described {
    Described {
        unit: Unit::Seconds,
        ..count(name, &[], help)
    }
}

pub(super) const REQUESTS: Described = count("requests", &[PHASE], "Access requests by phase");
pub(super) const PENDING: Described = count(
    "pending_requests",
    &[WAITING],
    "Access requests that wait for people, by how long",
);
pub(super) const OLDEST_PENDING: Described = age(
    "oldest_pending_request_age",
    "How long the access request that waits longest for people has waited; 0 where none waits",
);
pub(super) const OWED: Described = count(
    "owed_revocations",
    &[OWED_REASON],
    "What is owed: access that outlived its resource, by why it could not be taken back",
);
pub(super) const OLDEST_OWED: Described = age(
    "oldest_owed_revocation_age",
    "How long the oldest debt has been owed; 0 where there is none",
);
pub(super) const UNOWNED: Described = count(
    "unowned_requests",
    &[],
    "Live requests that bear this cluster's mark and belong to no resource",
);
pub(super) const PASSES_ALLOWED: Described = count(
    "passes_allowed",
    &[],
    "How many passes over access requests may run at once now: fewer than \
     controller_runtime_max_concurrent_reconciles while the API server answers late",
);
pub(super) const CONNECTIONS: Described = count("connections", &[], "Connections that exist");
pub(super) const READY: Described = count("connections_ready", &[], "Connections that can be used");
pub(super) const CIRCUIT_OPEN: Described = count(
    "connections_circuit_open",
    &[],
    "Connections held back because the remote refused their token",
);
pub(super) const PAUSED: Described = count(
    "connections_paused",
    &[],
    "Connections held back because the remote asked for a pause, or takes so few calls that one \
     would wait for long",
);
pub(super) const LAST_SUCCESS: Described = age(
    "last_success_age",
    "The longest time any connection has gone without a successful remote call; a connection through \
     which nothing is followed calls nobody",
);
pub(super) const STALENESS: Described = age(
    "status_staleness",
    "The longest time that requests which are followed have gone unread at the remote; 0 where none \
     is followed",
);
pub(super) const SHARDS_HELD: Described = count(
    "shards_held",
    &[],
    "Shards of connections that this replica works for, of 32",
);
pub(super) const SHARD_HELD: Described = count(
    "shard_held",
    &[SHARD],
    "1 where this replica works for the shard, else 0",
);
pub(super) const REPLICAS: Described = count(
    "replicas",
    &[],
    "Replicas that share the connections, as this one sees it",
);
pub(super) const OBJECT_PHASE: Described = Described {
    family: Family::PerObject,
    ..count(
        "access_request_phase",
        &[NAMESPACE, NAME, PHASE],
        "1 for the phase that the access request is in",
    )
};
pub(super) const OBJECT_END: Described = Described {
    name: "access_request_expiration_timestamp",
    family: Family::PerObject,
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[NAMESPACE, NAME],
    help: "When the access ends as planned, in seconds since 1970",
};
pub(super) const LIVE: Described = Described {
    family: Family::PerObject,
    ..count(
        "live_access",
        &[NAMESPACE, TARGET, GRANTEE],
        "Access requests whose access is live, by what and for whom",
    )
};

/// What the connections look like at a scrape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFigures {
    /// How many there are.
    pub total: u32,
    /// How many of them can be used.
    pub ready: u32,
    /// How many are held back because the remote refused the token.
    pub circuit_open: u32,
    /// How many are held back because the remote asked for a pause.
    pub paused: u32,
    /// The longest time any of them has gone without a successful call.
    pub oldest_success: Option<Duration>,
}

/// What the access requests look like at a scrape, beside their phases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFigures {
    /// How long each that waits for people has waited.
    pub waiting: Vec<Duration>,
    /// Each of them, where that is wanted.
    pub each: Vec<EachRequest>,
}

/// One access request, for the series that are told apart by objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EachRequest {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its phase.
    pub phase: Phase,
    /// When its access ends as planned.
    pub ends_at: Option<Timestamp>,
    /// What is asked for.
    pub target: String,
    /// For whom, where it says so.
    pub grantee: Option<String>,
}

/// Counts the resources in each phase.
pub type PhaseSource = Box<dyn Fn() -> Vec<(Phase, i64)> + Send + Sync>;
/// Looks at the access requests.
pub type RequestSource = Box<dyn Fn() -> RequestFigures + Send + Sync>;
/// Looks at the connections.
pub type ConnectionSource = Box<dyn Fn() -> ConnectionFigures + Send + Sync>;
/// Counts what is owed.
pub type DebtSource = Box<dyn Fn() -> Figures + Send + Sync>;
/// Says what this replica holds.
pub type ShardSource = Box<dyn Fn() -> shards::Figures + Send + Sync>;
/// Counts something.
pub type CountSource = Box<dyn Fn() -> i64 + Send + Sync>;
/// Says how long something has gone on.
pub type AgeSource = Box<dyn Fn() -> Option<Duration> + Send + Sync>;

/// Who counts what. The first of a kind stays.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) phases: OnceLock<PhaseSource>,
    pub(super) requests: OnceLock<RequestSource>,
    pub(super) connections: OnceLock<ConnectionSource>,
    pub(super) debts: OnceLock<DebtSource>,
    pub(super) unowned: OnceLock<CountSource>,
    pub(super) turns: OnceLock<CountSource>,
    pub(super) staleness: OnceLock<AgeSource>,
    pub(super) shards: OnceLock<ShardSource>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// Asks all of them, at a scrape.
#[derive(Debug)]
pub(super) struct Scrape(pub(super) Arc<Sources>, pub(super) Kube);

/// The same of the process.
#[derive(Debug)]
pub(super) struct ScrapeProcess;

impl Collector for ScrapeProcess {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        process::encode(&mut encoder)
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (Self(sources, kube), encoder) = (self, &mut encoder);
        if let Some(phases) = sources.phases.get() {
            by_phase(encoder, &phases())?;
        }
        if let Some(requests) = sources.requests.get() {
            requests_of(encoder, &requests())?;
        }
        if let Some(debts) = sources.debts.get() {
            owed(encoder, &debts())?;
        }
        if let Some(unowned) = sources.unowned.get() {
            UNOWNED.put(encoder, unowned())?;
        }
        if let Some(turns) = sources.turns.get() {
            PASSES_ALLOWED.put(encoder, turns())?;
        }
        if let Some(staleness) = sources.staleness.get() {
            STALENESS.put(encoder, staleness().unwrap_or_default().as_secs_f64())?;
        }
        if let Some(shards) = sources.shards.get() {
            held(encoder, &shards())?;
        }
        if let Some(connections) = sources.connections.get() {
            connections_of(encoder, &connections())?;
        }
        kube.encode(encoder)
    }
}

/// Every shard, held or not: the scrape says whose they are.
fn held(encoder: &mut DescriptorEncoder<'_>, figures: &shards::Figures) -> fmt::Result {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    SHARDS_HELD.put(encoder, count(figures.held.len()))?;
    REPLICAS.put(encoder, count(figures.replicas))?;
    let all = (0..SHARDS).map(|number| {
        let is_held = i64::from(figures.held.contains(&number));
        ([("shard", number.to_string())], is_held)
    });
    SHARD_HELD.put_each(encoder, all)
}

/// Every phase, also those that nothing is in, so that a panel shows 0 and not a gap.
fn by_phase(encoder: &mut DescriptorEncoder<'_>, phases: &[(Phase, i64)]) -> fmt::Result {
    let counted = |phase: Phase| phases.iter().filter(move |(one, _)| *one == phase);
    let all = PHASES.map(|phase| {
        let count: i64 = counted(phase).map(|(_, count)| count).sum();
        ([("phase", words::phase(phase))], count)
    });
    REQUESTS.put_each(encoder, all)
}

fn requests_of(encoder: &mut DescriptorEncoder<'_>, figures: &RequestFigures) -> fmt::Result {
    let all = Waiting::ALL.iter().map(|band| {
        let waiting = figures.waiting.iter();
        let count = waiting.filter(|time| Waiting::of(**time) == *band).count();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        ([("waiting", band.as_str())], count)
    });
    PENDING.put_each(encoder, all)?;
    let oldest = figures.waiting.iter().max().copied();
    OLDEST_PENDING.put(encoder, oldest.unwrap_or_default().as_secs_f64())?;
    if figures.each.is_empty() {
        return Ok(());
    }
    each(encoder, &figures.each)
}

fn each(encoder: &mut DescriptorEncoder<'_>, all: &[EachRequest]) -> fmt::Result {
    let phases = all.iter().map(|one| {
        let object = (("namespace", &one.namespace), ("name", &one.name));
        let labels = [object.0, object.1].map(|(name, value)| (name, value.clone()));
        let phase = ("phase", words::phase(one.phase).to_owned());
        let [namespace, name] = labels;
        ([namespace, name, phase], 1_i64)
    });
    OBJECT_PHASE.put_each(encoder, phases)?;
    let ends = all.iter().filter_map(|one| {
        let end = one.ends_at?.as_second();
        let labels = [
            ("namespace", one.namespace.clone()),
            ("name", one.name.clone()),
        ];
        Some((labels, end))
    });
    OBJECT_END.put_each(encoder, ends)?;
    let mut live: BTreeMap<(&str, &str, &str), i64> = BTreeMap::new();
    for one in all {
        if matches!(one.phase, Phase::Active | Phase::Renewing) {
            let grantee = one.grantee.as_deref().unwrap_or("self");
            *live
                .entry((&one.namespace, &one.target, grantee))
                .or_default() += 1;
        }
    }
    let live = live
        .into_iter()
        .map(|((namespace, target, grantee), count)| {
            let labels = [
                ("namespace", namespace),
                ("target", target),
                ("grantee", grantee),
            ];
            (labels, count)
        });
    LIVE.put_each(encoder, live)
}

/// Every reason, also those of which there is none, so that an alert never misses the first.
fn owed(encoder: &mut DescriptorEncoder<'_>, figures: &Figures) -> fmt::Result {
    let known = OwedReason::ALL.into_iter().map(|reason| {
        let count = figures.by_reason.get(&reason).copied().unwrap_or_default();
        ([("reason", reason.as_str())], count)
    });
    let unreadable = ([("reason", UNREADABLE)], figures.unreadable);
    OWED.put_each(encoder, known.chain([unreadable]))?;
    let oldest = figures.oldest.unwrap_or_default();
    OLDEST_OWED.put(encoder, oldest.as_secs_f64())
}

fn connections_of(encoder: &mut DescriptorEncoder<'_>, figures: &ConnectionFigures) -> fmt::Result {
    let counts = [
        (CONNECTIONS, figures.total),
        (READY, figures.ready),
        (CIRCUIT_OPEN, figures.circuit_open),
        (PAUSED, figures.paused),
    ];
    for (what, count) in counts {
        what.put(encoder, i64::from(count))?;
    }
    match figures.oldest_success {
        Some(oldest) => LAST_SUCCESS.put(encoder, oldest.as_secs_f64()),
        None => Ok(()),
    }
}

impl Waiting {
    /// The band that a time of waiting is in.
    pub fn of(time: Duration) -> Self {
        const HOUR: u64 = 3_600;
        match time.as_secs() {
            0..300 => Self::Minutes,
            300..HOUR => Self::Hour,
            HOUR..28_800 => Self::Day,
            _ => Self::Longer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_in_the_band_that_its_name_says() {
        let bands = [0, 299, 300, 3_599, 3_600, 28_799, 28_800].map(|seconds| {
            let band = Waiting::of(Duration::from_secs(seconds));
            band.as_str()
        });
        let wanted = [
            "under_5m", "under_5m", "5m_to_1h", "5m_to_1h", "1h_to_8h", "1h_to_8h", "over_8h",
        ];
        assert_eq!(bands, wanted);
    }
}
