//! The life of an access request, from apply to gone: the operator's binary against a real
//! apiserver and the simulated remote.
//!
//! Rows are written as `support::row` shows them; they are those of the table of conditions.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use support::{Setup, World};

#[tokio::test]
async fn a_bundle_becomes_active() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("orders", "prod-read").await;
    world
        .wait_row("orders", "Ready=True:Active Synced=True -> Current")
        .await;
    world.assert_live(1);
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.end().await;
}
