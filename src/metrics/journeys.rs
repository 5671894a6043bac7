//! How long people and the remote take: until a request is approved, until the access is live, until it
//! is taken back. And what events tell of.
//!
//! Told from one stored status to the next. When access was asked for and when a resource was deleted is
//! in the resource; when setting up and taking back began is remembered here, so a journey during which
//! the process was started again counts its approval and its deletion, and nothing else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use kube::ResourceExt as _;
use prometheus_client::{
    metrics::{family::Family, histogram::Histogram},
    registry::Registry,
};

use super::{
    Counters,
    described::{self, Described, Kind, Unit},
    words::{self, HAPPENING},
};
use crate::crd::{AccessRequest, AccessRequestStatus, Phase};

/// From an automatic flow to one that waits for Monday.
const APPROVAL: [f64; 10] = [
    5.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 28_800.0, 86_400.0, 259_200.0,
];
/// From a second, the least that is told apart, to an hour, which is not usual.
const WORK: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0];
/// More journeys at once than any cluster has; past it those under way are not counted.
const MOST: usize = 10_000;

pub(super) const APPROVALS: Described = Described {
    name: "approval_duration",
    family: described::Family::Ours,
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    labels: &[],
    help: "From asking for access until it is seen approved; approvals without a person included",
};
pub(super) const GRANTS: Described = Described {
    name: "grant_duration",
    family: described::Family::Ours,
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    labels: &[],
    help: "From the approval until the access is live, where it was seen being set up",
};
pub(super) const REVOKES: Described = Described {
    name: "revoke_duration",
    family: described::Family::Ours,
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    labels: &[],
    help: "From deleting the resource, or from when taking back was first seen, until everything has \
           ended as read back; debts aside",
};
pub(super) const HAPPENINGS: Described = Described {
    name: "happenings",
    family: described::Family::Ours,
    kind: Kind::Counter,
    unit: Unit::None,
    labels: &[HAPPENING],
    help: "What was told of access requests in events, by reason",
};

#[derive(Clone, Debug)]
pub(super) struct Journeys {
    approvals: Histogram,
    grants: Histogram,
    revokes: Histogram,
    happenings: Counters<1>,
    /// By uid.
    under_way: Arc<Mutex<HashMap<String, UnderWay>>>,
}

/// What is remembered of a journey.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct UnderWay {
    approved: Option<Timestamp>,
    revoking: Option<Timestamp>,
}

/// What has been measured by a step; seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Measured {
    approval: Option<f64>,
    grant: Option<f64>,
    revoke: Option<f64>,
}

/// One step of a journey.
#[derive(Clone, Copy, Debug)]
struct Step {
    before: Option<Phase>,
    after: Option<Phase>,
    asked: Option<Timestamp>,
    deleted: Option<Timestamp>,
    now: Timestamp,
}

impl Journeys {
    pub(super) fn new() -> Self {
        let new = Self {
            approvals: Histogram::new(APPROVAL),
            grants: Histogram::new(WORK),
            revokes: Histogram::new(WORK),
            happenings: Family::default(),
            under_way: Arc::default(),
        };
        for reason in words::happenings() {
            let _ = new.happenings.get_or_create(&[("reason", reason)]);
        }
        new
    }

    pub(super) fn register(&self, ours: &mut Registry) {
        APPROVALS.register(ours, self.approvals.clone());
        GRANTS.register(ours, self.grants.clone());
        REVOKES.register(ours, self.revokes.clone());
        HAPPENINGS.register(ours, self.happenings.clone());
    }

    pub(super) fn happened(&self, reason: &str) {
        let labels = [("reason", words::happening(reason))];
        self.happenings.get_or_create(&labels).inc();
    }

    /// This status was stored.
    pub(super) fn stored(&self, old: &AccessRequest, new: &AccessRequestStatus, now: Timestamp) {
        let before = old.status.as_ref().and_then(|status| status.phase);
        let posts = new.attempt.iter().flat_map(|attempt| &attempt.posts);
        let asked = posts.filter_map(|post| post.time.as_ref().map(|time| time.0));
        let step = Step {
            before,
            after: new.phase,
            asked: asked.max(),
            deleted: deleted(old),
            now,
        };
        self.take(old, step);
    }

    /// Everything of it has ended, and its finalizer is off.
    pub(super) fn released(&self, resource: &AccessRequest, now: Timestamp) {
        let step = Step {
            before: Some(Phase::Revoking),
            after: None,
            asked: None,
            deleted: deleted(resource),
            now,
        };
        self.take(resource, step);
    }

    fn take(&self, resource: &AccessRequest, step: Step) {
        let uid = resource.uid().unwrap_or_default();
        let mut all = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&uid).copied().unwrap_or_default();
        let (known, measured) = measure(known, step);
        if known == UnderWay::default() {
            all.remove(&uid);
        } else if all.len() < MOST || all.contains_key(&uid) {
            all.insert(uid, known);
        }
        drop(all);
        let each = [
            (&self.approvals, measured.approval),
            (&self.grants, measured.grant),
            (&self.revokes, measured.revoke),
        ];
        for (histogram, seconds) in each {
            if let Some(seconds) = seconds {
                histogram.observe(seconds);
            }
        }
    }
}

fn deleted(resource: &AccessRequest) -> Option<Timestamp> {
    resource.metadata.deletion_timestamp.as_ref().map(|at| at.0)
}

/// What a step measures, and what is remembered after it.
fn measure(mut known: UnderWay, step: Step) -> (UnderWay, Measured) {
    let mut measured = Measured::default();
    if step.before == step.after {
        return (known, measured);
    }
    let since = |start: Timestamp| step.now.duration_since(start).as_secs_f64().max(0.0);
    if waits(step.before) && is_approved(step.after) {
        measured.approval = step.asked.map(since);
    }
    match step.after {
        Some(Phase::Granting) => known.approved = Some(step.now),
        Some(Phase::Active) => measured.grant = known.approved.take().map(since),
        _ => known.approved = None,
    }
    if step.after == Some(Phase::Revoking) {
        known.revoking = Some(step.deleted.unwrap_or(step.now));
    } else if step.before == Some(Phase::Revoking) {
        let began = known.revoking.take().or(step.deleted);
        let is_over = matches!(step.after, None | Some(Phase::Ended));
        measured.revoke = began.filter(|_| is_over).map(since);
    }
    (known, measured)
}

fn waits(phase: Option<Phase>) -> bool {
    matches!(
        phase,
        None | Some(Phase::Submitting | Phase::Pending | Phase::PendingMfa)
    )
}

fn is_approved(phase: Option<Phase>) -> bool {
    matches!(phase, Some(Phase::Granting | Phase::Active))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn step(before: Option<Phase>, after: Option<Phase>, now: i64) -> Step {
        Step {
            before,
            after,
            asked: Some(at(10)),
            deleted: None,
            now: at(now),
        }
    }

    #[test]
    fn a_whole_life_is_measured_at_its_turns() {
        let life = [
            (None, Phase::Submitting, 10),
            (Some(Phase::Submitting), Phase::Pending, 11),
            (Some(Phase::Pending), Phase::Granting, 70),
            (Some(Phase::Granting), Phase::Active, 75),
            (Some(Phase::Active), Phase::Revoking, 100),
            (Some(Phase::Revoking), Phase::Ended, 103),
        ];
        let (mut known, mut all) = (UnderWay::default(), Vec::new());
        for (before, after, now) in life {
            let (next, measured) = measure(known, step(before, Some(after), now));
            known = next;
            all.push(measured);
        }
        assert_eq!(known, UnderWay::default(), "nothing is remembered of it");
        let approvals: Vec<_> = all.iter().filter_map(|one| one.approval).collect();
        let grants: Vec<_> = all.iter().filter_map(|one| one.grant).collect();
        let revokes: Vec<_> = all.iter().filter_map(|one| one.revoke).collect();
        assert_eq!(
            (approvals, grants, revokes),
            (vec![60.0], vec![5.0], vec![3.0])
        );
    }

    #[test]
    fn a_deletion_counts_from_when_it_was_asked_for_even_after_a_restart() {
        let gone = Step {
            deleted: Some(at(40)),
            ..step(Some(Phase::Revoking), None, 100)
        };
        assert_eq!(measure(UnderWay::default(), gone).1.revoke, Some(60.0));
    }

    #[test]
    fn what_was_not_seen_being_set_up_has_no_time_of_setting_up() {
        let at_once = step(Some(Phase::Pending), Some(Phase::Active), 12);
        let measured = measure(UnderWay::default(), at_once).1;
        assert_eq!((measured.approval, measured.grant), (Some(2.0), None));
    }

    #[test]
    fn a_revoke_that_comes_to_a_debt_or_fails_is_not_measured() {
        let stuck = step(Some(Phase::Revoking), Some(Phase::Unknown), 100);
        let known = UnderWay {
            approved: None,
            revoking: Some(at(50)),
        };
        assert_eq!(measure(known, stuck).1, Measured::default());
    }
}
