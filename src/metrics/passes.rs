//! Passes of the controllers: in our words, and in those that dashboards of controller-runtime know.
//!
//! The queue of kube's controllers cannot be looked into, so nothing of `workqueue_*` is here; no pass
//! fails for good, so there are no terminal errors; a panic ends the process, so none is counted.

use std::time::Duration;

use kube::runtime::controller::Action;
use prometheus_client::{
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{
    Counters, Histograms, Labels,
    described::{self, Described, Kind, Unit},
    words::{CONTROLLER, Controller, OUTCOME, PassOutcome, RESULT, ReconcileResult},
};

/// A pass without a remote call takes about a millisecond, one with a call up to its deadline of
/// 10 s; the last bucket shows passes that waited for pacing.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

pub(super) const PASSES: Described = Described {
    name: "passes",
    family: described::Family::Ours,
    kind: Kind::Counter,
    unit: Unit::None,
    labels: &[CONTROLLER, OUTCOME],
    help: "Passes by controller and outcome",
};
pub(super) const PASS_DURATION: Described = Described {
    name: "pass_duration",
    family: described::Family::Ours,
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    labels: &[CONTROLLER],
    help: "How long passes take, by controller",
};
pub(super) const RECONCILE: Described = Described {
    name: "controller_runtime_reconcile",
    family: described::Family::Known,
    kind: Kind::Counter,
    unit: Unit::None,
    labels: &[CONTROLLER, RESULT],
    help: "Passes by controller and result, under the name that controller-runtime uses; \
           requeue_after where one comes again within a minute",
};
pub(super) const ERRORS: Described = Described {
    name: "controller_runtime_reconcile_errors",
    family: described::Family::Known,
    kind: Kind::Counter,
    unit: Unit::None,
    labels: &[CONTROLLER],
    help: "Passes that failed",
};
pub(super) const TIME: Described = Described {
    name: "controller_runtime_reconcile_time",
    family: described::Family::Known,
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    labels: &[CONTROLLER],
    help: "How long passes take, under the name that controller-runtime uses",
};
pub(super) const ACTIVE: Described = Described {
    name: "controller_runtime_active_workers",
    family: described::Family::Known,
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &[CONTROLLER],
    help: "Passes under way",
};
pub(super) const MOST: Described = Described {
    name: "controller_runtime_max_concurrent_reconciles",
    family: described::Family::Known,
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &[CONTROLLER],
    help: "How many passes may be under way at once",
};

#[derive(Clone, Debug)]
pub(super) struct Passes {
    outcomes: Counters<2>,
    duration: Histograms<1>,
    reconcile: Counters<2>,
    errors: Counters<1>,
    time: Histograms<1>,
    active: Family<Labels<1>, Gauge>,
    most: Family<Labels<1>, Gauge>,
}

impl Passes {
    pub(super) fn new() -> Self {
        let histograms = || Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> _);
        let new = Self {
            outcomes: Family::default(),
            duration: histograms(),
            reconcile: Family::default(),
            errors: Family::default(),
            time: histograms(),
            active: Family::default(),
            most: Family::default(),
        };
        new.start_at_zero();
        new
    }

    /// A rate over a series that appears with its first count misses that count.
    fn start_at_zero(&self) {
        for controller in Controller::ALL.iter().copied() {
            for outcome in PassOutcome::ALL.iter().copied() {
                let _ = self
                    .outcomes
                    .get_or_create(&with_outcome(controller, outcome));
            }
            for result in ReconcileResult::ALL.iter().copied() {
                let _ = self
                    .reconcile
                    .get_or_create(&with_result(controller, result));
            }
            let _ = self.errors.get_or_create(&labels(controller));
            let _ = self.active.get_or_create(&labels(controller));
        }
    }

    pub(super) fn register(&self, ours: &mut Registry) {
        PASSES.register(ours, self.outcomes.clone());
        PASS_DURATION.register(ours, self.duration.clone());
    }

    pub(super) fn register_known(&self, known: &mut Registry) {
        RECONCILE.register(known, self.reconcile.clone());
        ERRORS.register(known, self.errors.clone());
        TIME.register(known, self.time.clone());
        ACTIVE.register(known, self.active.clone());
        MOST.register(known, self.most.clone());
    }

    pub(super) fn pass(&self, controller: Controller, outcome: PassOutcome, took: Duration) {
        self.outcomes
            .get_or_create(&with_outcome(controller, outcome))
            .inc();
        for histograms in [&self.duration, &self.time] {
            histograms
                .get_or_create(&labels(controller))
                .observe(took.as_secs_f64());
        }
    }

    pub(super) fn begin(&self, controller: Controller) -> Working {
        let active = self.active.get_or_create_owned(&labels(controller));
        active.inc();
        Working {
            passes: self.clone(),
            controller,
            active,
        }
    }

    pub(super) fn at_most(&self, controller: Controller, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.most.get_or_create(&labels(controller)).set(count);
    }
}

/// A pass under way, counted as such until it is dropped.
#[derive(Debug)]
pub struct Working {
    passes: Passes,
    controller: Controller,
    active: Gauge,
}

impl Working {
    /// It has ended like this.
    pub fn end<E>(self, result: &Result<Action, E>) {
        let word = match result {
            Ok(action) if *action == Action::await_change() => ReconcileResult::Success,
            Ok(_) => ReconcileResult::RequeueAfter,
            Err(_) => ReconcileResult::Error,
        };
        let passes = &self.passes;
        passes
            .reconcile
            .get_or_create(&with_result(self.controller, word))
            .inc();
        if word == ReconcileResult::Error {
            passes.errors.get_or_create(&labels(self.controller)).inc();
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.active.dec();
    }
}

fn labels(controller: Controller) -> Labels<1> {
    [("controller", controller.as_str())]
}

fn with_outcome(controller: Controller, outcome: PassOutcome) -> Labels<2> {
    [
        ("controller", controller.as_str()),
        ("outcome", outcome.as_str()),
    ]
}

fn with_result(controller: Controller, result: ReconcileResult) -> Labels<2> {
    [
        ("controller", controller.as_str()),
        ("result", result.as_str()),
    ]
}
