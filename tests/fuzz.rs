//! The fuzz targets on the stable compiler: seeds that reach deep, each changed many times with a
//! fixed seed. Whatever goes wrong here goes wrong again on the next run.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

/// How often each seed of each target is changed, and how often where `APONO_PROVE=full`.
const CHANGES: usize = 400;
const CHANGES_IN_FULL: usize = 20_000;

/// What a target understands.
const SEEDS: [&str; 18] = [
    "",
    r#"{"items": [{"id": "r-1", "status": "Active", "justification": "j", "creation_time": 1.5,
        "access_groups": [{"integration": {"id": "i", "name": "n"}}]}],
        "pagination": {"next_page_token": "t"}}"#,
    r#"{"items": null, "pagination": null}"#,
    r#"{"data": [{"request_id": "a", "status": "GRANTED", "creation_date": "2026-11-23"}]}"#,
    r#"{"credentials": {"password": "canary-canary"}, "link": {"url": "https://h", "x": 1},
        "parameters": {"host": "h", "port": 5432}, "cli": "psql canary-canary"}"#,
    r#"{"n": 2, "uid": "7a3e", "object": "payments/orders", "posts": [{"n": 1,
        "nonce": "3f6m2kq7a5c2t4w6y7b3d5e7", "time": "2026-11-23T18:00:00Z", "of": ""}],
        "end": {"n": 1, "why": "revoke"}, "handled": {"revoke": "00ff"}, "again": 2}"#,
    r#"{"attempt": {"number": 3, "posts": [{"nonce": "n", "n": -1, "of": "x"}]}, "requests": [{}]}"#,
    "[k8s 3f6m2kq7a5c2t4w6y7b3d5e7 prod/payments/orders-read] INC-42: stuck orders",
    "Active",
    "PendingMFA",
    "1h30m",
    "99999h99999m99999s99999ms",
    "120",
    "Sun, 06 Nov 1994 08:49:37 GMT\0Sun, 06 Nov 1994 08:49:30 GMT",
    "169.254.10.0/24 169.254.10.7",
    "::ffff:169.254.10.0/120 64:ff9b::169.254.10.7",
    "fe80::/10 fe80::1",
    "[[[[[[[[[[[[[[[[",
];

/// Bytes that structure what is read.
const PIECES: [&[u8]; 16] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"-1",
    b"9223372036854775808",
    b"1e999",
    b"\\ud800",
    b"\xf0\x9f",
    b"/",
    b"]",
    b"\0",
];

fn changed(seed: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.random_range(1..5) {
        let at = random.random_range(0..=bytes.len());
        let to = random.random_range(at..=bytes.len());
        match random.random_range(0..5) {
            0 => drop(bytes.drain(at..to)),
            1 => drop(bytes.splice(at..at, PIECES.choose(random).unwrap().iter().copied())),
            2 => bytes.insert(at, random.random()),
            3 => {
                let copy = bytes[at..to].to_vec();
                drop(bytes.splice(at..at, copy));
            }
            _ if at < bytes.len() => bytes[at] = random.random(),
            _ => {}
        }
    }
    bytes
}

#[test]
fn no_text_of_others_makes_a_reader_panic() {
    let mut random = StdRng::seed_from_u64(42);
    let is_full = std::env::var("APONO_PROVE").is_ok_and(|how| how == "full");
    let changes = if is_full { CHANGES_IN_FULL } else { CHANGES };
    let mut runs = 0;
    for (name, target) in targets::TARGETS {
        for seed in SEEDS {
            let deep = seed.repeat(200);
            for start in [seed.as_bytes(), deep.as_bytes()] {
                target(start);
            }
            for _ in 0..changes {
                let input = changed(seed.as_bytes(), &mut random);
                let outcome = std::panic::catch_unwind(|| target(&input));
                assert!(
                    outcome.is_ok(),
                    "{name}: {:?}",
                    String::from_utf8_lossy(&input)
                );
                runs += 1;
            }
        }
    }
    let count = targets::TARGETS.len();
    println!("proved: inputs: {runs} for {count} readers, none panicked");
}
