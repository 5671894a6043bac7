//! Whatever happens in whatever order: the newest answer stands, the indexes agree with the
//! records, and what nobody wants is forgotten.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::marker::{RANDOM_BYTES, marked};
use crate::poller::{Snapshot, Tracked, Wanted};

const WORDS: [&str; 5] = ["Pending", "Granting", "Active", "Revoked", "Snoozed"];

#[derive(Clone, Debug)]
enum Event {
    Declare {
        key: u8,
        ids: Vec<u8>,
        looks: Vec<u8>,
    },
    Withdraw {
        key: u8,
    },
    Take {
        id: u8,
        word: usize,
        marked: Option<u8>,
        at: i64,
    },
    Reply {
        key: u8,
        id: u8,
        word: usize,
        at: i64,
    },
    Miss {
        id: u8,
        at: i64,
    },
    Hasten {
        id: u8,
    },
    Sweep {
        at: i64,
    },
    Foresee,
    Token,
}

fn event() -> impl Strategy<Value = Event> {
    let ids = || proptest::collection::vec(0_u8..4, 0..3);
    let (key, id, word, at) = (0_u8..3, 0_u8..4, 0..WORDS.len(), 0_i64..50);
    let some = proptest::option::of(0_u8..3);
    prop_oneof![
        (key.clone(), ids(), ids())
            .prop_map(|(key, ids, looks)| { Event::Declare { key, ids, looks } }),
        key.clone().prop_map(|key| Event::Withdraw { key }),
        (id.clone(), word.clone(), some, at.clone()).prop_map(|(id, word, marked, at)| {
            Event::Take {
                id,
                word,
                marked,
                at,
            }
        }),
        (key, id.clone(), word, at.clone())
            .prop_map(|(key, id, word, at)| { Event::Reply { key, id, word, at } }),
        (id.clone(), at.clone()).prop_map(|(id, at)| Event::Miss { id, at }),
        id.prop_map(|id| Event::Hasten { id }),
        at.prop_map(|at| Event::Sweep { at }),
        Just(Event::Foresee),
        Just(Event::Token),
    ]
}

fn key(n: u8) -> ResourceKey {
    ResourceKey::new("n".to_owned(), format!("k{n}"), format!("u{n}"))
}

fn origin(n: u8) -> Origin {
    Origin::new("prod", "n", &format!("k{n}"))
}

fn nonce(n: u8) -> Nonce {
    Nonce::new(&key(n).uid, [n; RANDOM_BYTES])
}

fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn request(id: u8, word: usize, of: Option<u8>) -> apono_client::AccessRequest {
    let text = of.map(|of| marked(&nonce(of), &origin(of), None));
    let json = serde_json::json!({
        "id": format!("r{id}"), "status": WORDS[word], "justification": text,
        "revocation_date": "2030-01-01T00:00:00Z",
    });
    serde_json::from_value(json).unwrap()
}

fn interest(of: u8, ids: &[u8], looks: &[u8]) -> Interest {
    let track = |id: &u8| Tracked {
        id: format!("r{id}").into(),
        api: RemoteApi::UserV4,
        admin: None,
    };
    let want = |n: &u8| Wanted {
        nonce: nonce(*n),
        marked_at: moment(10),
        conclusive_from: moment(20),
        api: RemoteApi::UserV4,
        user: None,
    };
    Interest {
        ids: ids.iter().map(track).collect(),
        looks: looks.iter().map(want).collect(),
        origin: origin(of),
        asks_admin: false,
    }
}

fn play(knowledge: &mut Knowledge, event: Event) {
    let now = Instant::now();
    let api = RemoteApi::UserV4;
    match event {
        Event::Declare {
            key: of,
            ids,
            looks,
        } => {
            knowledge.declare(&key(of), interest(of, &ids, &looks));
        }
        Event::Withdraw { key: of } => {
            knowledge.withdraw(&key(of));
        }
        Event::Take {
            id,
            word,
            marked,
            at,
        } => {
            let request = request(id, word, marked);
            let _ = knowledge.take(request, api, moment(at), Timestamp::MAX, Source::List);
        }
        Event::Reply {
            key: of,
            id,
            word,
            at,
        } => {
            let requests = vec![request(id, word, None)];
            knowledge.take_reply(&key(of), &nonce(of), requests, api, moment(at));
        }
        Event::Miss { id, at } => {
            let _ = knowledge.miss(&format!("r{id}").into(), moment(at), now);
        }
        Event::Hasten { id } => knowledge.hasten(&format!("r{id}"), now),
        Event::Sweep { at } => {
            let tiers = crate::poller::cadence::Tier::ALL.to_vec();
            let evidence = Evidence {
                api,
                tiers,
                began: moment(at),
                filter: vec![],
                shown: BTreeSet::new(),
                is_complete: true,
            };
            knowledge.end_sweep(evidence, now);
        }
        Event::Foresee => knowledge.foresee(now),
        Event::Token => knowledge.change_token(now),
    }
}

/// Everything the indexes say, said of the records, and the other way round.
fn agree(knowledge: &Knowledge) -> Result<(), TestCaseError> {
    for (id, record) in &knowledge.records {
        prop_assert_eq!(record.place, record.rightful_place());
        prop_assert!(knowledge.is_kept(id), "{} is kept for nobody", id);
        prop_assert_eq!(record.owners.is_empty(), knowledge.loose.contains(id));
        if let Some(group) = record.place.group {
            prop_assert!(knowledge.groups[&group].contains(id));
        }
        if let Some(mark) = record.mark() {
            prop_assert!(knowledge.by_nonce[&mark.nonce].contains(id));
            prop_assert!(knowledge.by_origin[&mark.origin].contains(id));
        }
    }
    let of_marks = knowledge
        .by_nonce
        .values()
        .chain(knowledge.by_origin.values());
    let indexed = knowledge
        .groups
        .values()
        .flatten()
        .chain(of_marks.flatten());
    let indexed = indexed
        .chain(&knowledge.loose)
        .chain(knowledge.suspects.keys());
    for id in indexed.chain(knowledge.ends.iter().map(|(_, id)| id)) {
        prop_assert!(knowledge.records.contains_key(id), "{} is not known", id);
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_indexes_agree_and_nothing_is_left(
        events in proptest::collection::vec(event(), 1..40),
    ) {
        let mut knowledge = Knowledge::new("prod");
        let mut newest: BTreeMap<RequestId, Option<Snapshot>> = BTreeMap::new();
        for event in events {
            play(&mut knowledge, event);
            agree(&knowledge)?;
            for (id, record) in &knowledge.records {
                let known = record.snapshot.as_deref().cloned();
                if let Some(Some(before)) = newest.get(id) {
                    let now = known.as_ref().expect("what was seen stays seen");
                    prop_assert!(now.asked_at >= before.asked_at, "{} became older", id);
                }
                newest.insert(id.clone(), known);
            }
            newest.retain(|id, _| knowledge.records.contains_key(id));
        }
        for of in 0..3 {
            knowledge.withdraw(&key(of));
        }
        // What is live and ours stays until a sweep does not show it.
        let later = moment(50) + SignedDuration::from_hours(1);
        play(&mut knowledge, Event::Sweep { at: later.as_second() });
        prop_assert_eq!(knowledge.size(), 0);
    }
}
