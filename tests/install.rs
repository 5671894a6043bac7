//! From the first upgrade of an installation to its end: what happens to requests when the operator,
//! the definitions or the whole cluster is another one, and when all of it is to go.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `drain.rs` | `apono-operator drain` |
//! | `upgrade.rs` | another process, and other definitions, over what is in flight |
//! | `clusters.rs` | a cluster restored, a repository applied twice, access handed over |
//! | `plane.rs` | another cluster |
//!
//! By Helm: `tests/chart/life.rs`. Servers that restart: `tests/restarts.rs`. A crash at every IO:
//! `tests/crash.rs`. Single objects exported and applied again: `tests/faults/objects.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "install/clusters.rs"]
mod clusters;
#[path = "install/drain.rs"]
mod drain;
#[path = "install/plane.rs"]
mod plane;
mod support;
#[path = "install/upgrade.rs"]
mod upgrade;

const ACTIVE: &str = "Ready=True:Active Synced=True -> Current";
const PENDING: &str = "Ready=False:PendingApproval Reconciling=True Synced=True -> InProgress";
const REJECTED: &str = "Ready=False:Rejected Stalled=True Synced=True -> Failed";
const SUSPENDED: &str = "Ready=False:Suspended Synced=True -> InProgress";

/// How many access requests there are.
async fn left(world: &support::World) -> usize {
    let everything = kube::api::ListParams::default();
    let all = world.cluster.requests().list(&everything).await;
    all.unwrap().items.len()
}
