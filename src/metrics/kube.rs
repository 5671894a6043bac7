//! What the operator does at the Kubernetes API: every call, under the names that client-go uses; its
//! writes, by what they are for; and when each kind was last listed or watched.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    encoding::DescriptorEncoder,
    metrics::{family::Family, histogram::Histogram},
    registry::Registry,
};
use tokio::time::Instant;

use super::{
    Counters,
    described::{self, Described, Kind, Unit},
    words::{CODE, HOST, KubeWrite, METHOD, RESOURCE, VERB, WRITE, Watched},
};

/// Those of client-go, as far as a deadline of 10 s needs them.
const BUCKETS: [f64; 10] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0];

pub(super) const WRITES: Described = Described {
    name: "kube_writes",
    family: described::Family::Ours,
    kind: Kind::Counter,
    unit: Unit::None,
    labels: &[WRITE],
    help: "Writes to the Kubernetes API by kind",
};
pub(super) const WATCH_AGE: Described = Described {
    name: "watch_age",
    family: described::Family::Ours,
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[RESOURCE],
    help: "How long ago the API server last granted a watch of this kind, which is asked for anew every \
           25 s; the longest where namespaces are watched one by one",
};
pub(super) const REQUESTS: Described = Described {
    name: "rest_client_requests",
    family: described::Family::Known,
    kind: Kind::Counter,
    unit: Unit::None,
    labels: &[CODE, METHOD, HOST],
    help: "Calls to the Kubernetes API, under the name that client-go uses",
};
pub(super) const REQUEST_DURATION: Described = Described {
    name: "rest_client_request_duration",
    family: described::Family::Known,
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    labels: &[VERB, HOST],
    help: "How long the Kubernetes API takes to begin its answer",
};

type Owned<const N: usize> = [(&'static str, String); N];

#[derive(Clone, Debug)]
pub(super) struct Kube {
    writes: Counters<1>,
    requests: Family<Owned<3>, prometheus_client::metrics::counter::Counter>,
    duration: Family<Owned<2>, Histogram, fn() -> Histogram>,
    /// By path: one for each namespace that is watched by itself.
    granted: Arc<Mutex<HashMap<String, (Watched, Instant)>>>,
}

impl Kube {
    pub(super) fn new() -> Self {
        let new = Self {
            writes: Family::default(),
            requests: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            granted: Arc::default(),
        };
        for write in KubeWrite::ALL {
            let _ = new.writes.get_or_create(&[("kind", write.as_str())]);
        }
        new
    }

    pub(super) fn register(&self, ours: &mut Registry) {
        WRITES.register(ours, self.writes.clone());
    }

    pub(super) fn register_known(&self, known: &mut Registry) {
        REQUESTS.register(known, self.requests.clone());
        REQUEST_DURATION.register(known, self.duration.clone());
    }

    pub(super) fn write(&self, write: KubeWrite) {
        self.writes.get_or_create(&[("kind", write.as_str())]).inc();
    }

    pub(super) fn call(&self, call: &KubeCall<'_>) {
        let code = call
            .code
            .map_or_else(|| "<error>".to_owned(), |code| code.to_string());
        let (method, host) = (call.method.to_owned(), call.host.to_owned());
        let labels = [
            ("code", code),
            ("method", method.clone()),
            ("host", host.clone()),
        ];
        self.requests.get_or_create(&labels).inc();
        self.duration
            .get_or_create(&[("verb", method), ("host", host)])
            .observe(call.took.as_secs_f64());
        if call.is_watch && call.code.is_some_and(|code| (200..300).contains(&code)) {
            self.granted
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(call.path.to_owned(), (watched(call.path), Instant::now()));
        }
    }

    /// The longest age of each kind that is watched.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut oldest = HashMap::new();
        {
            let granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
            for (kind, at) in granted.values() {
                let age = oldest.entry(*kind).or_insert(Duration::ZERO);
                *age = at.elapsed().max(*age);
            }
        }
        let known = Watched::ALL.iter().filter_map(|kind| {
            let age = oldest.get(kind)?;
            Some(([("resource", kind.as_str())], age.as_secs_f64()))
        });
        WATCH_AGE.put_each(encoder, known)
    }
}

/// A call to the Kubernetes API whose answer began, or that came to none.
#[derive(Clone, Copy, Debug)]
pub struct KubeCall<'a> {
    /// Its method.
    pub method: &'a str,
    /// The host it went to.
    pub host: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Whether it asks for a watch.
    pub is_watch: bool,
    /// The status of the answer.
    pub code: Option<u16>,
    /// How long it took until the answer began.
    pub took: Duration,
}

/// What a path of a list or a watch is about.
fn watched(path: &str) -> Watched {
    let last = path.rsplit('/').next().unwrap_or_default();
    let known = Watched::ALL.iter().find(|one| one.as_str() == last);
    known.copied().unwrap_or(Watched::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_known_by_the_last_word_of_its_path() {
        let path = "/apis/access.apono.io/v1alpha1/namespaces/payments/accessrequests";
        assert_eq!(watched(path), Watched::AccessRequests);
        assert_eq!(watched("/api/v1/namespaces"), Watched::Namespaces);
        assert_eq!(watched("/api/v1/secrets"), Watched::Other);
    }
}
