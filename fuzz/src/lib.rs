//! What is fuzzed: everything that reads text which others wrote. Each function takes any bytes, must
//! not panic, and checks what has to hold of whatever was understood.
//!
//! `cargo fuzz run NAME` calls them through `fuzz_targets/`; `tests/fuzz.rs` of the main workspace
//! calls the same functions with a fixed seed on every test run, on the stable compiler.

use std::time::Duration;

use apono_client::{
    AccessRequest, AccessSession, AccessSessionDetails, AdminRequest, AdminRequestDetails,
    CredentialStatus, Entitlement, EntitlementStatus, Listing, Network, Page, Reach, Status,
};
use apono_operator::{
    controller::{
        attempt::{Ledger, Record},
        lenient,
    },
    crd::{ATTEMPT_ANNOTATION, DurationText},
    marker::{MAX_LENGTH, Mark, Nonce, Origin, marked},
};
use serde::de::DeserializeOwned;
use serde_json::json;

/// A name, and what is to live through any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by the name under which `cargo fuzz` knows it.
pub const TARGETS: [Target; 7] = [
    ("page", page),
    ("status", status),
    ("attempt", attempt),
    ("mark", mark),
    ("duration", duration),
    ("retry_after", retry_after),
    ("network", network),
];

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// Decodes an answer as every type that answers have.
pub fn page(data: &[u8]) {
    fn as_page<T: DeserializeOwned>(data: &[u8]) {
        let Ok(page) = serde_json::from_slice::<Page<T>>(data) else {
            return;
        };
        assert!(page.next.is_none_or(|token| !token.as_str().is_empty()));
    }
    as_page::<AccessRequest>(data);
    as_page::<Entitlement>(data);
    as_page::<AccessSession>(data);
    let _ = serde_json::from_slice::<Listing<AdminRequest>>(data);
    let _ = serde_json::from_slice::<Vec<AccessRequest>>(data);
    for shown in [
        serde_json::from_slice::<AccessSessionDetails>(data).map(|it| format!("{it:?}")),
        serde_json::from_slice::<AdminRequestDetails>(data).map(|it| format!("{it:?}")),
    ] {
        // Nothing of what it holds may be shown; the shortest secret worth the name has 12 letters.
        assert!(!shown.is_ok_and(|shown| shown.contains("canary-canary")));
    }
}

/// Reads the words for states: kept as they came, and compared without case.
pub fn status(data: &[u8]) {
    let word = text(data);
    let read = |word: &str| serde_json::from_value::<Status>(json!(word));
    let (Ok(status), Ok(shouted)) = (read(&word), read(&word.to_ascii_uppercase())) else {
        return;
    };
    assert_eq!(status.word(), word);
    assert_eq!(status.state(), shouted.state());
    let entitlement = serde_json::from_value::<EntitlementStatus>(json!(word));
    let credential = serde_json::from_value::<CredentialStatus>(json!(word));
    let _ = entitlement.map(|it| it.state());
    let _ = credential.map(|it| format!("{it:?}"));
}

/// Reads the write-ahead record, in an object that anybody may have written.
pub fn attempt(data: &[u8]) {
    let annotation = text(data);
    if let Ok(record) = serde_json::from_str::<Record>(&annotation) {
        let again = serde_json::from_str::<Record>(&record.to_annotation());
        assert_eq!(again.ok(), Some(record), "what is written reads back");
    }
    // The status is anything, too: it is read as far as it is understood.
    let body =
        json!({"spec": {}, "status": serde_json::from_slice::<serde_json::Value>(data).ok()});
    let metadata = json!({
        "name": "orders", "namespace": "payments", "uid": "7a3e",
        "annotations": {ATTEMPT_ANNOTATION: annotation}
    });
    let Ok(metadata) = serde_json::from_value(metadata) else {
        return;
    };
    let _ = Ledger::of(&lenient::view(metadata, &body));
}

/// Finds the mark in a justification, and marks it.
pub fn mark(data: &[u8]) {
    let justification = text(data);
    let _ = Mark::parse(&justification);
    let (name, rest) = justification.split_at(justification.floor_char_boundary(60));
    let (nonce, origin) = (
        Nonce::new(name, [7; 10]),
        Origin::new("prod", "payments", name),
    );
    let whole = marked(&nonce, &origin, Some(rest));
    assert!(whole.chars().count() <= MAX_LENGTH + rest.chars().count());
    let found = Mark::parse(&whole);
    assert!(found.is_some_and(|found| found.nonce == nonce && found.nonce.is_of(name)));
}

/// Reads a duration.
pub fn duration(data: &[u8]) {
    let longest = Duration::from_secs(99_999 * 3_661 + 100);
    let read = DurationText(text(data)).to_duration();
    assert!(read.is_none_or(|read| read <= longest));
}

/// Reads how long to wait.
pub fn retry_after(data: &[u8]) {
    let all = text(data);
    let (value, date) = all.split_once('\0').unwrap_or((&all, ""));
    for date in [None, Some(date)] {
        let wait = apono_client::retry_after_of(value, date);
        assert!(wait.is_none_or(|wait| wait <= Duration::from_hours(1)));
    }
}

/// Reads a network, and an address to judge by it.
pub fn network(data: &[u8]) {
    let all = text(data);
    let (network, address) = all.split_once(' ').unwrap_or((&all, &all));
    let network = network.parse::<Network>();
    if let Ok(network) = &network {
        assert_eq!(network.to_string().parse().as_ref(), Ok(network));
    }
    if let Ok(address) = address.parse() {
        let allowed = network.into_iter().collect();
        let strict = Reach::default().check(address);
        let reach = Reach {
            allowed,
            only_loopback: false,
            proxy: None,
        };
        assert!(
            strict.is_err() || reach.check(address).is_ok(),
            "allowing forbids nothing"
        );
    }
}
