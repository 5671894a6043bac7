//! The poller: how ten thousand remote requests are observed at the cost of a few list pages.
//!
//! One poller per connection reads lists, never one request per resource, keeps what it read in a
//! [`Store`], and wakes only the resources whose remote changed. It never writes to the remote,
//! never talks to Kubernetes, and concludes nothing: that something is gone or was never made is
//! decided by the controller, from what a [`View`] says was asked, when, and how completely.

mod admin_look;
mod admin_sweep;
mod cadence;
mod commons;
mod confirm;
mod drive;
mod few;
mod interest;
mod look;
mod reads;
mod record;
mod state;
mod store;
mod sweep;
#[cfg(test)]
mod tests;
mod walk;
mod words;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use tokio::sync::{mpsc, watch};

use self::admin_look::AdminLooker;
use self::admin_sweep::AdminSweep;
use self::cadence::Tier;
use self::confirm::Confirm;
use self::drive::{Tools, drive};

pub use self::interest::{
    Administered, Health, Interest, Look, Missing, Reign, ResourceKey, Sight, Snapshot, Tracked,
    View, Wanted,
};
use self::look::Looker;
pub use self::reads::{AdminList, AdminListReply, PageReply, ReadError, Reads, RequestReply};
pub use self::store::Store;
use self::sweep::Sweep;
pub(crate) use self::walk::Order;
use crate::clock::Clock;
use crate::crd::RemoteApi;

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
#[derive(Debug)]
pub struct Poller {
    tools: Tools,
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
            tools: Tools::new(reads, store, cadence, clock, seed),
        }
    }

    /// Reads until `stop` becomes true or its sender is gone. Reads under way are then dropped.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut lanes = vec![
            drive(Confirm::default(), &self.tools).boxed(),
            drive(AdminLooker::default(), &self.tools).boxed(),
            drive(AdminSweep::default(), &self.tools).boxed(),
        ];
        for api in [RemoteApi::UserV4, RemoteApi::Delegated] {
            lanes.push(drive(Looker::new(api), &self.tools).boxed());
            for tier in Tier::ALL {
                lanes.push(drive(Sweep::new(api, tier), &self.tools).boxed());
            }
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            _ = join_all(lanes) => {}
        }
    }
}
