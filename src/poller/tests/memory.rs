//! What a followed request costs in memory, counted and not timed: at ten thousand of them every
//! hundred bytes are a megabyte, and they come back unseen.

use allocation_counter::{AllocationInfo, measure};
use apono_client::AccessRequest;
use serde_json::json;

use super::*;
use crate::marker::marked;
use crate::poller::state::Source;

const COUNT: u16 = 1_000;
/// An allocation costs its length in front of it, and is rounded up.
const OVERHEAD: i64 = 16;
/// What one followed request may cost.
const BOUND: i64 = 1_500;

/// A request as the remote lists it, read from its text.
fn listed(n: u16) -> AccessRequest {
    let name = format!("orders-read-{n:04}");
    let text = marked(
        &nonce(&name, 1),
        &origin(&name),
        Some("INC-42: stuck orders"),
    );
    let request = json!({
        "id": format!("5f2b7c1e-9a64-4d83-b0c7-{n:012}"), "status": "Active",
        "duration_in_sec": 28_800, "justification": text,
        "creation_date": "2026-11-23T12:00:00Z", "revocation_date": "2026-11-23T20:00:00Z",
        "custom_fields": {"ticket": "INC-42"},
        "access_groups": [{
            "integration": {"id": "2c1f8a3e-0b52-47f6-8f0e-d7e1a9b45c60", "name": "orders-db-prod"},
            "resource_types": [
                {"id": "postgresql-table", "label": "PostgreSQL Table"},
                {"id": "postgresql-role", "label": "PostgreSQL Role"},
            ],
        }],
        "requestor": {"id": "8d0c3b6f-5e19-4a7d-9c42-1f6b8e0a7d35", "source_id": "operator@example.com"},
        "grantee": {"id": "3e7a9d15-c8b2-4f60-a1d4-6b9c0e2f8a71", "source_id": "asker@example.com"},
        "bundle": {"id": "b4d6f8a0-1c3e-4527-8968-7a9bacbdcedf", "name": "Orders, read only"},
    });
    serde_json::from_str(&request.to_string()).unwrap()
}

/// A resource says what it follows, as the controller does: a new key and new texts in every pass.
fn follow(store: &Store, n: u16) {
    let name = format!("orders-read-{n:04}");
    let mut ids = Vec::with_capacity(4);
    ids.push(Tracked {
        id: listed(n).id,
        api: RemoteApi::UserV4,
        admin: None,
    });
    let interest = Interest {
        ids,
        looks: vec![],
        origin: origin(&name),
        asks_admin: false,
    };
    store.declare(&key(&name), interest);
    assert_eq!(store.view(&key(&name)).sights.len(), 1);
}

/// The resource waits for the answer to its own POST, and gets it.
fn make(store: &Store, n: u16) {
    let name = format!("orders-read-{n:04}");
    let waiting = Wanted {
        nonce: nonce(&name, 1),
        marked_at: Timestamp::UNIX_EPOCH,
        conclusive_from: Timestamp::UNIX_EPOCH,
        api: RemoteApi::UserV4,
        user: None,
    };
    for looks in [vec![], vec![waiting]] {
        let interest = Interest {
            ids: vec![],
            looks,
            origin: origin(&name),
            asks_admin: false,
        };
        store.declare(&key(&name), interest);
    }
    let asked_at = Timestamp::from_second(0).unwrap();
    let api = RemoteApi::UserV4;
    store.record_reply(
        &key(&name),
        &nonce(&name, 1),
        vec![listed(n)],
        api,
        asked_at,
    );
}

/// A page of the list shows them all.
fn sweep(store: &Store, second: i64) {
    let asked_at = Timestamp::from_second(second).unwrap();
    for n in 0..COUNT {
        let mut knowledge = store.lock();
        let api = RemoteApi::UserV4;
        drop(knowledge.take(listed(n), api, asked_at, Timestamp::MAX, Source::List));
    }
}

/// What is still held of what was allocated, for each of the requests.
fn each(info: AllocationInfo) -> i64 {
    (info.bytes_current + info.count_current * OVERHEAD) / i64::from(COUNT)
}

/// Begins to know of the requests in this way, then reads them often.
fn assert_cheap(begin: impl Fn(&Store, u16)) {
    let store = Store::new(CLUSTER);
    let begun = each(measure(|| {
        (0..COUNT).for_each(|n| begin(&store, n));
        sweep(&store, 1);
    }));
    assert!(begun <= BOUND, "a followed request costs {begun} bytes");
    let later = each(measure(|| {
        for second in 2..5 {
            (0..COUNT).for_each(|n| follow(&store, n));
            sweep(&store, second);
        }
    }));
    assert_eq!(later, 0, "bytes more where nothing is new");
    for n in 0..COUNT {
        let view = store.view(&key(&format!("orders-read-{n:04}")));
        let Some((_, Sight::Seen(seen))) = view.sights.first_key_value() else {
            panic!("{view:?}")
        };
        assert_eq!(seen.request.access_groups, listed(n).access_groups);
        assert_eq!(seen.request.bundle, listed(n).bundle);
    }
}

#[test]
fn a_request_that_was_there_before_costs_little_and_not_more_with_every_sweep() {
    assert_cheap(follow);
}

#[test]
fn a_request_just_made_costs_little_and_not_more_with_every_sweep() {
    assert_cheap(|store, n| {
        make(store, n);
        follow(store, n);
    });
}
