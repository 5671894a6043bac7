use futures::{FutureExt as _, StreamExt as _};
use proptest::prelude::*;

use super::*;

type Calls = std::pin::Pin<Box<dyn Stream<Item = ObjectKey>>>;

fn key(name: &str) -> ObjectKey {
    // The namespace is the first letter.
    (name[..1].to_owned(), name.to_owned())
}

/// Turns for so many, and the calls of all namespaces.
fn turns(count: u16) -> (Arc<Turns>, Calls) {
    let turns = Turns::new(count);
    let calls = Box::pin(turns.calls(None));
    (turns, calls)
}

fn waits(turns: &Arc<Turns>, name: &str, urgency: Urgency) {
    assert!(turns.take(&key(name), urgency).is_none());
}

fn called(calls: &mut Calls) -> Option<String> {
    let (_, name) = calls.next().now_or_never()??;
    Some(name)
}

/// The order in which those that wait are called, one after the other.
fn order(turns: &Arc<Turns>, calls: &mut Calls, first: Turn) -> Vec<String> {
    drop(first);
    let mut order = Vec::new();
    while let Some(name) = called(calls) {
        let turn = turns.take(&key(&name), Urgency::Routine);
        drop(turn.expect("it was called"));
        order.push(name);
    }
    assert_eq!(turns.lock().running, 0);
    order
}

fn first(turns: &Arc<Turns>) -> Turn {
    let turn = turns.take(&key("first"), Urgency::Now);
    turn.expect("few run")
}

#[test]
fn namespaces_take_turns_and_within_one_whoever_came_first_is_first() {
    let (turns, mut calls) = turns(1);
    let turn = first(&turns);
    for name in ["a1", "a2", "a3", "b1", "b2"] {
        waits(&turns, name, Urgency::Now);
    }
    let order = order(&turns, &mut calls, turn);
    assert_eq!(order, ["a1", "b1", "a2", "b2", "a3"]);
}

#[test]
fn what_is_at_rest_waits_for_what_is_not_and_is_not_forgotten() {
    let (turns, mut calls) = turns(1);
    let turn = first(&turns);
    waits(&turns, "rest", Urgency::Routine);
    (0..10).for_each(|number| waits(&turns, &format!("now-{number}"), Urgency::Now));
    let order = order(&turns, &mut calls, turn);
    let place = order.iter().position(|one| one == "rest").unwrap();
    assert_eq!(place, 7);
}

#[test]
fn one_that_begins_to_matter_while_it_waits_stands_in_the_other_line_and_is_called_once() {
    let (turns, mut calls) = turns(1);
    let turn = first(&turns);
    for name in ["a1", "a2"] {
        waits(&turns, name, Urgency::Routine);
    }
    waits(&turns, "a2", Urgency::Now);
    // Looked at again, it matters no less.
    waits(&turns, "a2", Urgency::Routine);
    assert_eq!(order(&turns, &mut calls, turn), ["a2", "a1"]);
}

#[test]
fn a_turn_that_somebody_is_called_for_is_kept_until_it_comes_or_is_gone() {
    let (turns, mut calls) = turns(1);
    let turn = first(&turns);
    for name in ["a1", "a2", "a3"] {
        waits(&turns, name, Urgency::Now);
    }
    turns.leave(&key("a2"));
    drop(turn);
    assert_eq!(called(&mut calls).as_deref(), Some("a1"));
    waits(&turns, "a4", Urgency::Now);
    assert_eq!(called(&mut calls), None);
    turns.leave(&key("a1"));
    assert_eq!(called(&mut calls).as_deref(), Some("a3"));
    turns.leave(&key("a3"));
    assert_eq!(called(&mut calls).as_deref(), Some("a4"));
    drop(turns.take(&key("a4"), Urgency::Now).expect("called"));
    assert_eq!(turns.lock().running, 0);
}

#[test]
fn who_nobody_can_call_any_more_holds_up_nobody() {
    let turns = Turns::new(1);
    let ended = turns.calls(Some("a"));
    let mut calls: Calls = Box::pin(turns.calls(Some("b")));
    let turn = first(&turns);
    waits(&turns, "a1", Urgency::Now);
    waits(&turns, "b1", Urgency::Now);
    drop(ended);
    drop(turn);
    assert_eq!(called(&mut calls).as_deref(), Some("b1"));
    assert_eq!(turns.lock().running, 1);
}

#[test]
fn a_controller_that_begins_again_hears_the_calls_of_the_one_before() {
    let (turns, calls) = turns(1);
    drop(calls);
    let mut calls: Calls = Box::pin(turns.calls(None));
    let turn = first(&turns);
    waits(&turns, "a1", Urgency::Now);
    drop(turn);
    assert_eq!(called(&mut calls).as_deref(), Some("a1"));
}

#[test]
fn an_apiserver_that_answers_late_is_given_half_as_many_once_for_all_that_ran_together() {
    let (turns, mut calls) = turns(64);
    let together: Vec<_> = (0..64).map(|_| first(&turns)).collect();
    waits(&turns, "a1", Urgency::Now);
    for turn in together {
        turn.end(Answered::Late);
    }
    assert_eq!(turns.allowed(), 32);
    assert_eq!(
        called(&mut calls).as_deref(),
        Some("a1"),
        "fewer than 32 run"
    );
    let turn = turns.take(&key("a1"), Urgency::Now).expect("called");
    turn.end(Answered::Late);
    assert_eq!(turns.allowed(), 16);
    for _ in 0..10 {
        first(&turns).end(Answered::Late);
    }
    assert_eq!(turns.allowed(), LEAST);
    for _ in 0..100 {
        first(&turns).end(Answered::InTime);
    }
    assert_eq!(turns.allowed(), 64);
}

#[test]
fn those_that_wait_are_called_when_the_limit_rises() {
    let (turns, mut calls) = turns(8);
    (0..3).for_each(|_| first(&turns).end(Answered::Late));
    let mut running: Vec<_> = (0..LEAST).map(|_| first(&turns)).collect();
    for name in ["a1", "a2", "a3", "a4"] {
        waits(&turns, name, Urgency::Now);
    }
    running.pop().unwrap().end(Answered::InTime);
    let both = [called(&mut calls), called(&mut calls)];
    assert_eq!(both.map(Option::unwrap), ["a1", "a2"]);
    assert_eq!(
        called(&mut calls),
        None,
        "its own place, and the one that was won"
    );
}

/// What may happen to one of a few resources.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// It is woken.
    Wake(u8, bool),
    /// The call of the one that was called first arrives.
    Hear,
    /// One that runs ends.
    End(u8, bool),
    /// It is deleted, and the next that is heard of it is that it is gone.
    Leave(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (0_u8..12, any::<bool>()).prop_map(|(who, urgent)| Happening::Wake(who, urgent)),
        Just(Happening::Hear),
        (any::<u8>(), any::<bool>()).prop_map(|(which, late)| Happening::End(which, late)),
        (0_u8..12).prop_map(Happening::Leave),
    ]
}

proptest! {
    /// Whoever waits is called or gone in the end, and every turn comes back.
    #[test]
    fn no_turn_and_nobody_that_waits_is_lost(
        happenings in proptest::collection::vec(happening(), 0..200), count in 1_u16..6,
    ) {
        let (turns, mut calls) = turns(count);
        let named = |who: u8| key(&format!("{}{who}", ["a", "b", "c"][usize::from(who % 3)]));
        let mut running: Vec<(ObjectKey, Turn)> = Vec::new();
        let mut waiting: HashSet<ObjectKey> = HashSet::new();
        let hear = |who: ObjectKey, urgency, running: &mut Vec<(ObjectKey, Turn)>, waiting: &mut HashSet<_>| {
            // kube starts no second pass beside one that runs.
            if running.iter().any(|(key, _)| *key == who) {
                return;
            }
            if let Some(turn) = turns.take(&who, urgency) {
                waiting.remove(&who);
                running.push((who, turn));
            } else {
                waiting.insert(who);
            }
        };
        for happening in happenings {
            match happening {
                Happening::Wake(who, urgent) => {
                    let urgency = if urgent { Urgency::Now } else { Urgency::Routine };
                    hear(named(who), urgency, &mut running, &mut waiting);
                }
                Happening::Hear => {
                    if let Some(Some(who)) = calls.next().now_or_never() {
                        hear(who, Urgency::Routine, &mut running, &mut waiting);
                    }
                }
                Happening::End(which, late) if !running.is_empty() => {
                    let (_, turn) = running.swap_remove(usize::from(which) % running.len());
                    turn.end(if late { Answered::Late } else { Answered::InTime });
                }
                Happening::End(..) => {}
                Happening::Leave(who) => {
                    if running.iter().all(|(key, _)| *key != named(who)) {
                        turns.leave(&named(who));
                        waiting.remove(&named(who));
                    }
                }
            }
            let inner = turns.lock();
            prop_assert!(inner.running <= usize::from(count));
            prop_assert!(inner.running >= inner.limit || inner.waiting.is_empty());
        }
        loop {
            running.clear();
            let Some(Some(who)) = calls.next().now_or_never() else {
                break;
            };
            hear(who, Urgency::Routine, &mut running, &mut waiting);
        }
        prop_assert_eq!(waiting, HashSet::new());
        let inner = turns.lock();
        prop_assert_eq!(inner.running, 0);
        prop_assert!(inner.waiting.is_empty() && inner.called.is_empty());
    }
}
