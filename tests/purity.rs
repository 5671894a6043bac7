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

#[test]
fn the_deciding_files_do_no_io() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let pure = [
        "controller/admin.rs",
        "controller/attempt.rs",
        "controller/bounds.rs",
        "controller/conditions.rs",
        "controller/entitlements.rs",
        "controller/failed.rs",
        "controller/fold.rs",
        "controller/lenient.rs",
        "controller/message.rs",
        "controller/observed.rs",
        "controller/picture.rs",
        "controller/plan.rs",
        "controller/resolution.rs",
        "controller/target.rs",
        "controller/verdict.rs",
        "connection/bulk/batches.rs",
        "connection/policy.rs",
        "connection/status.rs",
        "poller/cadence.rs",
        "marker.rs",
    ];
    for file in pure {
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
