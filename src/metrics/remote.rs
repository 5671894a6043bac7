//! Calls to the remote API: what they came to, how long they took, what they waited for, and those
//! that never left.

use std::time::Duration;

use apono_client::{Endpoint, ErrorClass};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use tokio::time::Instant;

use super::{
    Counters, Histograms, Labels,
    described::{self, Described, Kind, Unit},
    words::{self, CLASS, ENDPOINT, HELD_BACK, HeldBack, WAIT, Wait},
};

/// From a call within the same network to the deadline, which can be set up to two minutes.
const BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

pub(super) const CALLS: Described = Described {
    name: "remote_calls",
    family: described::Family::Ours,
    kind: Kind::Counter,
    unit: Unit::None,
    labels: &[ENDPOINT, CLASS],
    help: "Calls to the remote API by endpoint and class of the answer",
};
pub(super) const DURATION: Described = Described {
    name: "remote_call_duration",
    family: described::Family::Ours,
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    labels: &[ENDPOINT],
    help: "How long calls to the remote API take, by endpoint",
};
pub(super) const WAITED: Described = Described {
    name: "remote_waited",
    family: described::Family::Ours,
    kind: Kind::Counter,
    unit: Unit::Seconds,
    labels: &[WAIT],
    help: "How long calls to the remote API waited before they left, all together, by what for",
};
pub(super) const HELD: Described = Described {
    name: "remote_calls_held_back",
    family: described::Family::Ours,
    kind: Kind::Counter,
    unit: Unit::None,
    labels: &[HELD_BACK],
    help: "Calls to the remote API that never left, by why",
};

type Seconds = Counter<f64, std::sync::atomic::AtomicU64>;

#[derive(Clone, Debug)]
pub(super) struct Remote {
    calls: Counters<2>,
    duration: Histograms<1>,
    waited: Family<Labels<1>, Seconds>,
    held: Counters<1>,
}

impl Remote {
    pub(super) fn new() -> Self {
        let new = Self {
            calls: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            waited: Family::default(),
            held: Family::default(),
        };
        new.start_at_zero();
        new
    }

    /// Of the calls only those that succeed: of all that can fail, most never do.
    fn start_at_zero(&self) {
        for endpoint in Endpoint::ALL {
            let _ = self.calls.get_or_create(&labels(endpoint, None));
        }
        for wait in Wait::ALL {
            let _ = self.waited.get_or_create(&[("for", wait.as_str())]);
        }
        for why in HeldBack::ALL {
            let _ = self.held.get_or_create(&[("why", why.as_str())]);
        }
    }

    pub(super) fn register(&self, ours: &mut Registry) {
        CALLS.register(ours, self.calls.clone());
        DURATION.register(ours, self.duration.clone());
        WAITED.register(ours, self.waited.clone());
        HELD.register(ours, self.held.clone());
    }

    pub(super) fn call(&self, endpoint: Endpoint, class: Option<ErrorClass>, took: Duration) {
        self.calls.get_or_create(&labels(endpoint, class)).inc();
        self.duration
            .get_or_create(&[("endpoint", endpoint.as_str())])
            .observe(took.as_secs_f64());
    }

    pub(super) fn held_back(&self, why: HeldBack) {
        self.held.get_or_create(&[("why", why.as_str())]).inc();
    }

    pub(super) fn wait(&self, wait: Wait) -> Waited {
        Waited {
            seconds: self.waited.get_or_create_owned(&[("for", wait.as_str())]),
            began: Instant::now(),
        }
    }
}

/// A wait, counted when it is dropped: also one that is given up.
#[derive(Debug)]
pub struct Waited {
    seconds: Seconds,
    began: Instant,
}

impl Drop for Waited {
    fn drop(&mut self) {
        self.seconds.inc_by(self.began.elapsed().as_secs_f64());
    }
}

fn labels(endpoint: Endpoint, class: Option<ErrorClass>) -> Labels<2> {
    [
        ("endpoint", endpoint.as_str()),
        ("class", words::class(class)),
    ]
}
