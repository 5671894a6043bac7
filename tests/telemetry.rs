//! What the operator tells of itself while it runs: the log, whose level can be changed, and, where it
//! is built in, traces as a collector receives them. Metrics: `tests/monitoring.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[cfg(feature = "opentelemetry")]
#[path = "telemetry/collector.rs"]
mod collector;
mod support;
#[cfg(feature = "opentelemetry")]
#[path = "telemetry/traces.rs"]
mod traces;

use serde_json::Value;
use support::{Setup, World, eventually};

const ACTIVE: &str = "Ready=True:Active Synced=True -> Current";

/// The lines of this level.
fn told(world: &World, level: &str) -> usize {
    let text = world.operator.log().text();
    let lines = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        line["level"].as_str().expect("a level").to_owned()
    });
    lines.filter(|one| one == level).count()
}

async fn says(world: &World, words: &str) {
    eventually(words, async || {
        let text = world.operator.log().text();
        text.contains(words).then_some(()).ok_or(text)
    })
    .await;
}

#[tokio::test]
async fn the_level_of_the_log_changes_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    // As a ConfigMap is mounted that may not be there.
    let file = folder.path().join("filter");
    let setup = Setup::default()
        .setting("RUST_LOG", "info")
        .setting("LOG_FILTER_FILE", file.to_str().unwrap());
    let world = World::new(setup).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    assert_eq!(told(&world, "DEBUG"), 0);

    std::fs::write(&file, "debug\n").unwrap();
    eventually("lines of the new level", async || {
        let count = told(&world, "DEBUG");
        (count > 0).then_some(()).ok_or_else(|| world.last_words())
    })
    .await;
    std::fs::write(&file, "debug,==").unwrap();
    says(&world, "this is no log filter, and the one before holds on").await;
    std::fs::remove_file(&file).unwrap();
    says(&world, "the log filter is that of RUST_LOG again").await;
    // Whatever was being written then has been written by now.
    world.more_polls(2).await;
    let count = told(&world, "DEBUG");
    world.more_polls(5).await;
    assert_eq!(told(&world, "DEBUG"), count);
    world.end().await;
}
