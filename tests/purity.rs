//! The files that decide stay pure: no IO, no clock, no logging, so that they can be tested and
//! model-checked as they are.

use std::{fs, path::Path};

/// What a pure file may not mention.
const IMPURE: [&str; 8] = [
    "async ",
    "await",
    "Client",
    "now(",
    "tracing::",
    "spawn(",
    "rand::",
    "Context",
];

/// The files that decide.
const PURE: &[&str] = &[
    "controller/admin.rs",
    "controller/attempt.rs",
    "controller/catalogue.rs",
    "controller/catalogue/words.rs",
    "controller/verdict/renewing.rs",
    "controller/verdict/latched.rs",
    "controller/ttl.rs",
    "controller/rulings.rs",
    "controller/rounds.rs",
    "controller/renewal.rs",
    "controller/message/again.rs",
    "controller/holdback.rs",
    "controller/latch.rs",
    "controller/fold/asides.rs",
    "controller/attempt/record.rs",
    "controller/bounds.rs",
    "controller/conditions.rs",
    "controller/credentials/data.rs",
    "controller/credentials/due.rs",
    "controller/credentials/fate.rs",
    "controller/credentials/next.rs",
    "controller/credentials/report.rs",
    "controller/credentials/scene.rs",
    "controller/credentials/words.rs",
    "controller/entitlements.rs",
    "controller/failed.rs",
    "controller/fold.rs",
    "drain/choice.rs",
    "drain/left.rs",
    "controller/lenient.rs",
    "controller/message.rs",
    "controller/observed.rs",
    "controller/owed.rs",
    "controller/picture.rs",
    "controller/plan.rs",
    "controller/resolution.rs",
    "controller/stored.rs",
    "controller/target.rs",
    "controller/tokens.rs",
    "controller/verdict.rs",
    "connection/bulk/batches.rs",
    "connection/policy.rs",
    "connection/policy/asks.rs",
    "connection/status.rs",
    "owed/plan.rs",
    "owed/progress.rs",
    "owed/status.rs",
    "poller/cadence.rs",
    "shards/share.rs",
    "shards/watched.rs",
    "marker.rs",
];

#[test]
fn the_deciding_files_do_no_io() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in PURE {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code = shipped
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for word in IMPURE {
                assert!(!line.contains(word), "{file} mentions `{word}`: {line}");
            }
        }
    }
}
