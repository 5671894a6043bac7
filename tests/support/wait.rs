//! The one place that waits.

use std::time::{Duration, Instant};

/// Long enough for a busy machine of two cores.
pub const PATIENCE: Duration = Duration::from_secs(45);
/// Between two looks: often enough to see states of a tenth of a second.
const PAUSE: Duration = Duration::from_millis(30);

/// Looks until there is an answer. An error says what is missing, and is the message at the end.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Result<T, String>) -> T {
    eventually_within(PATIENCE, what, look).await
}

/// The same for what takes its time by design.
pub async fn eventually_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let started = Instant::now();
    loop {
        let missing = match look().await {
            Ok(found) => return found,
            Err(missing) => missing,
        };
        assert!(
            started.elapsed() < patience,
            "not within {patience:?}: {what}\n{missing}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}
