//! What a turn gives, and how times are summed up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything of one turn.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// The operator under test.
    pub subject: String,
    /// How many objects.
    pub size: usize,
    /// How the remote answers.
    pub profile: String,
    /// What is wrong with the turn: then no figure of it counts.
    pub wrong: Vec<String>,
    /// One at a time, while nothing else goes on: from the request to create to ready.
    pub idle: Option<Times>,
    /// All at once.
    pub burst: Option<Burst>,
    /// One of another namespace in the middle of the burst, in milliseconds.
    pub other_tenant_ms: Option<f64>,
    /// One at a time beside all the others.
    pub one_more: Option<Times>,
    /// At rest.
    pub steady: Option<Steady>,
    /// From a change at the remote to the status.
    pub freshness: Option<Times>,
    /// After a restart.
    pub restart: Option<Restart>,
    /// All deleted at once, in seconds until nothing is left.
    pub revoke_s: Option<f64>,
    /// What one object costs from its creation to its end, apart from what is read for all.
    pub life: Option<Life>,
    /// The most memory the operator ever had, in MiB.
    pub peak_mib: f64,
    /// What the same writes cost without an operator, measured in the same turn.
    #[serde(default)]
    pub bare: Option<Bare>,
}

/// The least of the writes by themselves, in milliseconds for each object, many at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bare {
    /// Created, marked, given its status and told of.
    pub burst_ms: f64,
    /// Deleted, let go and told of.
    pub revoke_ms: f64,
}

impl Turn {
    /// How often the time of the bare writes this took, in seconds for all objects.
    pub fn times_bare(&self, seconds: Option<f64>, each: fn(&Bare) -> f64) -> Option<f64> {
        let count = f64::from(u32::try_from(self.size).ok()?);
        let bare = each(self.bare.as_ref()?) * count / 1000.0;
        (bare > 0.0).then_some(seconds? / bare)
    }
}

/// How long something took, in milliseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Times {
    /// How many were measured.
    pub count: usize,
    /// Half of them took no longer.
    pub p50: f64,
    /// Ninety-nine of a hundred took no longer.
    pub p99: f64,
    /// The longest.
    pub most: f64,
    /// Up to 200 of them, in order, for pictures.
    pub curve: Vec<f64>,
}

/// All at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Burst {
    /// From the first request to create until all are ready.
    pub all_ready_s: f64,
    /// How long the writers took alone.
    pub written_s: f64,
    /// From the request to create to ready.
    pub times: Times,
    /// How many requests were made at the remote for each object; one is right.
    pub creates_per_object: f64,
    /// From the grant at the remote to ready, where that is not at once.
    #[serde(default)]
    pub from_grant: Option<Times>,
}

/// At rest for a while.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Steady {
    /// For how long.
    pub seconds: f64,
    /// Calls of the remote a minute.
    pub calls_a_minute: f64,
    /// Writes of objects and events to the apiserver a minute.
    pub writes_a_minute: f64,
    /// All other writes but those of leases: of a connection, whose user was learned.
    #[serde(default)]
    pub other_writes: u64,
    /// Renewals of leases a minute.
    pub leases_a_minute: f64,
    /// Of one core, in per cent: the operator, the apiserver, etcd.
    pub cpu_percent: [f64; 3],
    /// Memory of the operator, in MiB.
    pub rss_mib: f64,
    /// Its open files and sockets.
    pub open_files: usize,
}

/// After a restart.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// From the start of the process until every object was looked at anew.
    pub verified_s: f64,
    /// Writes of objects and events to the apiserver until then and ten seconds on.
    pub writes: u64,
    /// All other writes but those of leases.
    #[serde(default)]
    pub other_writes: u64,
    /// Calls of the remote, likewise.
    pub calls: u64,
    /// Passes, likewise, where the operator counts them.
    #[serde(default)]
    pub passes: Option<u64>,
}

/// What one object costs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Life {
    /// Calls of the remote, lists of all requests not counted, by endpoint.
    pub calls: BTreeMap<String, f64>,
    /// Lists of all requests while they lived.
    pub lists: f64,
    /// Writes to the apiserver, by kind.
    pub writes: BTreeMap<String, f64>,
}

impl Times {
    /// Sums up times in milliseconds.
    pub fn of(mut all: Vec<f64>) -> Option<Self> {
        all.sort_by(f64::total_cmp);
        let most = *all.last()?;
        let step = all.len().div_ceil(200);
        Some(Self {
            count: all.len(),
            p50: at(&all, 0.5),
            p99: at(&all, 0.99),
            most,
            curve: all.iter().copied().step_by(step).chain([most]).collect(),
        })
    }
}

/// The value that this share of all does not exceed.
fn at(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a count"
    )]
    let index = (sorted.len() as f64 * share).ceil() as usize;
    let index = index.saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_taken_from_the_times_in_order() {
        let times = Times::of((1..=200).rev().map(f64::from).collect()).unwrap();
        assert_eq!(
            (times.count, times.p50, times.p99, times.most),
            (200, 100.0, 198.0, 200.0)
        );
        assert!(Times::of(Vec::new()).is_none());
        let one = Times::of(vec![3.0]).unwrap();
        assert_eq!((one.p50, one.p99), (3.0, 3.0));
    }
}
