//! Following ids: how often, at what cost, and what becomes of an id that a list stops showing.

use super::world::{Sorted, request};
use super::*;
use crate::poller::state::Source;

#[tokio::test(start_paused = true)]
async fn nothing_is_read_when_nothing_is_followed() {
    let bench = Bench::start();
    bench.world.put("a", State::Active, bench.now());
    pass(3_600).await;
    assert_eq!(bench.world.calls(), []);
    bench.track("a", &[("a", RemoteApi::UserV4)]);
    pass(120).await;
    bench.store.withdraw(&key("a"));
    bench.world.forget_calls();
    pass(3_600).await;
    assert_eq!(bench.world.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_live_requests_cost_ten_pages_a_minute_and_nothing_else() {
    let bench = Bench::start();
    for n in 0..1_000 {
        let id = format!("a{n}");
        bench.world.put(&id, State::Active, bench.now());
        bench.track(&id, &[(&id, RemoteApi::UserV4)]);
    }
    pass(120).await;
    let mut bench = bench.quiet();
    pass(60 * 60).await;
    assert_eq!(bench.gets(), 0);
    assert!((540..=670).contains(&bench.lists()), "{}", bench.lists());
    assert_eq!(bench.wakes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_restart_reads_each_live_request_once_and_each_ended_one_in_bulk() {
    let bench = Bench::start();
    let name = |n: usize| format!("a{n}");
    for n in 0..2_000 {
        let state = if n % 2 == 0 {
            State::Active
        } else {
            State::Revoked
        };
        bench.world.put(&name(n), state, bench.now());
    }
    for n in 0..2_000 {
        bench.track(&name(n), &[(&name(n), RemoteApi::UserV4)]);
    }
    pass(20).await;
    assert_eq!(bench.gets(), 0);
    assert!(bench.lists() <= 10 + 20, "{}", bench.lists());
    for n in 0..2_000 {
        assert!(matches!(bench.sight(&name(n)), Sight::Seen(_)), "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_tier_is_read_at_its_own_pace() {
    for (state, least, most) in [
        (State::Granting, 11, 14),
        (State::Pending, 5, 8),
        (State::Active, 1, 1),
    ] {
        let bench = Bench::following(["a"], state).await;
        pass(3_600).await;
        let bench = bench.quiet();
        pass(60).await;
        let lists = bench.lists();
        assert!((least..=most).contains(&lists), "{state:?}: {lists}");
        assert_eq!(bench.gets(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn only_whose_request_changed_is_woken() {
    let mut bench = Bench::following(["a", "b"], State::Pending).await;
    pass(60).await;
    assert_eq!(bench.wakes(), Vec::<String>::new());
    bench.world.put("b", State::PendingMfa, bench.now());
    pass(12).await;
    assert_eq!(bench.wakes(), ["b"]);
    assert_eq!(bench.state("b"), State::PendingMfa);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_left_its_tier_is_read_by_itself() {
    let mut bench = Bench::following(["a", "b"], State::Pending).await;
    bench.world.put("a", State::Active, bench.now());
    pass(12).await;
    assert_eq!(bench.state("a"), State::Active);
    assert_eq!(bench.gets(), 1);
    assert_eq!(bench.wakes(), ["a"]);
    bench.world.put("b", State::Rejected, bench.now());
    pass(12).await;
    assert_eq!(bench.state("b"), State::Rejected);
}

#[tokio::test(start_paused = true)]
async fn many_that_left_at_once_are_found_in_the_list() {
    let bench = Bench::start();
    let name = |n: usize| format!("a{n}");
    for n in 0..400 {
        bench.world.put(&name(n), State::Pending, bench.now());
        bench.track(&name(n), &[(&name(n), RemoteApi::UserV4)]);
    }
    pass(30).await;
    let bench = bench.quiet();
    for n in 0..400 {
        bench.world.put(&name(n), State::Active, bench.now());
    }
    pass(15).await;
    assert_eq!(bench.gets(), 0);
    assert!((0..400).all(|n| bench.state(&name(n)) == State::Active));
}

#[tokio::test(start_paused = true)]
async fn what_was_just_asked_is_seen_within_a_blink() {
    let bench = Bench::following(["a"], State::Active).await;
    bench.store.hasten("a");
    pass_millis(60).await;
    bench.world.put("a", State::Revoking, bench.now());
    pass_millis(60).await;
    assert_eq!(bench.state("a"), State::Revoking);
    assert_eq!(bench.gets(), 0);
    bench.world.put("a", State::Revoked, bench.now());
    pass_millis(200).await;
    assert_eq!(bench.state("a"), State::Revoked);
    let bench = bench.quiet();
    pass(3_600).await;
    assert_eq!(bench.world.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn what_had_ended_and_was_asked_to_move_is_read_again_when_it_has_had_its_time() {
    let bench = Bench::following(["a"], State::Active).await;
    bench.store.hasten("a");
    bench.world.put("a", State::Failed, bench.now());
    pass(40).await;
    let bench = bench.quiet();
    bench.store.hasten("a");
    pass(15).await;
    assert_eq!(bench.gets(), 1);
    bench.world.put("a", State::Active, bench.now());
    pass(6).await;
    assert_eq!((bench.gets(), bench.state("a")), (2, State::Active));
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_and_does_not_happen_costs_little() {
    let bench = Bench::following(["a"], State::Active).await;
    bench.store.hasten("a");
    pass(600).await;
    assert!(bench.gets() <= 7, "{}", bench.gets());
    assert!(bench.lists() <= 60, "{}", bench.lists());
}

#[tokio::test(start_paused = true)]
async fn a_page_that_drifts_loses_nothing() {
    let bench = Bench::start();
    let name = |n: usize| format!("a{n}");
    for n in 0..300 {
        bench.world.put(&name(n), State::Active, bench.now());
        bench.track(&name(n), &[(&name(n), RemoteApi::UserV4)]);
    }
    pass(5).await;
    bench
        .world
        .with(|world| world.latency = Duration::from_secs(1));
    for round in 0..300 {
        bench
            .world
            .put(&name(299 - round), State::Revoked, bench.now());
        pass(1).await;
    }
    pass(90).await;
    for n in 0..300 {
        assert_eq!(bench.state(&name(n)), State::Revoked, "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_planned_end_wakes_its_owner_and_is_read_at_once() {
    let mut bench = Bench::following(["a", "b"], State::Active).await;
    let end = bench.now() + SignedDuration::from_secs(200);
    bench
        .world
        .change("a", |request| request.revocation_date = Some(end));
    pass(100).await;
    bench.wakes();
    pass(99).await;
    assert_eq!(bench.wakes(), Vec::<String>::new());
    bench.world.put("a", State::Revoked, bench.now());
    pass_millis(1_500).await;
    assert_eq!(bench.wakes(), ["a", "a"]);
    assert_eq!(bench.state("a"), State::Revoked);
}

#[tokio::test(start_paused = true)]
async fn a_planned_end_that_does_not_come_wakes_once() {
    let mut bench = Bench::following(["a"], State::Active).await;
    let end = bench.now() + SignedDuration::from_secs(100);
    bench
        .world
        .change("a", |request| request.revocation_date = Some(end));
    pass(90).await;
    bench.wakes();
    pass(1_000).await;
    assert_eq!(bench.wakes(), ["a"]);
    assert_eq!(bench.state("a"), State::Active);
}

#[tokio::test(start_paused = true)]
async fn a_reply_counts_until_something_newer_is_read() {
    let mut bench = Bench::start();
    bench.track("n", &[]);
    let asked = bench.now();
    let reply = request("a", "Initializing", asked);
    bench.world.put("a", State::Initializing, asked);
    bench.store.record_reply(
        &key("n"),
        &nonce("n", 1),
        vec![reply.clone()],
        RemoteApi::UserV4,
        asked,
    );
    // Not yet declared: held for the resource, linked to the nonce though no mark came back.
    let view = bench.view("n");
    assert_eq!(view.by_nonce[&nonce("n", 1)][0].request, reply);
    assert_eq!(bench.wakes(), Vec::<String>::new());
    bench.track("n", &[("a", RemoteApi::UserV4)]);
    assert!(bench.view("n").by_nonce.is_empty());
    // A list answer from before the reply says nothing.
    let old = request("a", "Pending", asked);
    let earlier = asked - SignedDuration::from_secs(1);
    let (api, source) = (RemoteApi::UserV4, Source::Single);
    let told = bench.store.lock().take(old, api, earlier, asked, source);
    assert!(told.is_empty());
    let Sight::Seen(seen) = bench.view("n").sights["a"].clone() else {
        panic!()
    };
    assert_eq!(seen.request, reply);
    bench.world.put("a", State::Pending, asked);
    pass(1).await;
    let Sight::Seen(seen) = bench.view("n").sights["a"].clone() else {
        panic!()
    };
    assert_eq!(seen.request.status.state(), State::Pending);
    assert_eq!(bench.wakes(), ["n"]);
}

#[tokio::test(start_paused = true)]
async fn what_an_own_post_made_is_followed_where_it_was_made_whatever_other_list_shows_it() {
    let bench = Bench::start();
    bench.track("n", &[]);
    let asked = bench.now();
    let shown = |bench: &Bench| bench.view("n").by_nonce[&nonce("n", 1)][0].api;
    // The admin API shows it without our mark: before the answer to the POST is taken, and after.
    let later = asked + SignedDuration::from_secs(1);
    let list = |bench: &Bench, at| {
        let item = request("a", "Pending", asked);
        let mut knowledge = bench.store.lock();
        knowledge.take(item, RemoteApi::AdminV3, at, later, Source::List)
    };
    assert!(list(&bench, asked).is_empty());
    let reply = vec![request("a", "Initializing", asked)];
    let key = key("n");
    bench
        .store
        .record_reply(&key, &nonce("n", 1), reply, RemoteApi::Delegated, asked);
    assert_eq!(shown(&bench), RemoteApi::Delegated);
    assert!(list(&bench, later).is_empty());
    assert_eq!(shown(&bench), RemoteApi::Delegated);
}

#[tokio::test(start_paused = true)]
async fn declaring_the_same_again_reads_nothing() {
    let bench = Bench::following(["a"], State::Revoked).await;
    for _ in 0..100 {
        bench.track("a", &[("a", RemoteApi::UserV4)]);
        pass(1).await;
    }
    assert_eq!(bench.world.calls(), []);
    assert_eq!(bench.store.owner_of("a"), Some(key("a")));
    assert_eq!(bench.store.owner_of("b"), None);
}

#[tokio::test(start_paused = true)]
async fn ids_that_keep_coming_after_a_start_are_read_in_a_second_and_once() {
    let bench = Bench::start();
    let name = |n: u8| format!("a{n}");
    for n in 0..60 {
        bench.world.put(&name(n), State::Active, bench.now());
        bench.world.mark(&name(n), &name(n), n);
    }
    for n in 0..60 {
        bench.track(&name(n), &[(&name(n), RemoteApi::UserV4)]);
        pass_millis(100).await;
        if n == 15 {
            assert!(matches!(bench.sight(&name(0)), Sight::Seen(_)));
        }
    }
    // Those that came later were kept for their marks when the first were read.
    assert!(matches!(bench.sight(&name(59)), Sight::Seen(_)));
    assert_eq!((bench.lists(), bench.gets()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_follows_is_forgotten_except_what_is_ours_and_live() {
    let bench = Bench::following(["a"], State::Active).await;
    bench.world.with(|world| world.sorted = Sorted::OldestFirst);
    for n in 0..50 {
        bench
            .world
            .put(&format!("foreign{n}"), State::Active, bench.now());
        let ours = format!("ours{n}");
        bench.world.put(&ours, State::Active, bench.now());
        bench.world.mark(&ours, "gone", n);
    }
    pass(70).await;
    assert_eq!(bench.store.unowned().len(), 50);
    assert_eq!(bench.view("a").strays.len(), 0);
    bench.track("gone", &[]);
    assert_eq!(bench.view("gone").strays.len(), 50);
    for n in 0..50 {
        bench
            .world
            .put(&format!("ours{n}"), State::Revoked, bench.now());
    }
    pass(70).await;
    assert_eq!(bench.store.unowned().len(), 0);
    for name in ["a", "gone"] {
        bench.store.withdraw(&key(name));
    }
    assert_eq!(bench.store.lock().size(), 0);
}

#[tokio::test(start_paused = true)]
async fn arrivals_do_not_postpone_the_sweep_of_what_is_there() {
    let bench = Bench::following(["a"], State::Active).await;
    bench.world.put("a", State::Revoked, bench.now());
    for n in 0..100 {
        let id = format!("new{n}");
        bench.world.put(&id, State::Active, bench.now());
        bench.track(&id, &[(&id, RemoteApi::UserV4)]);
        pass(1).await;
    }
    assert_eq!(bench.state("a"), State::Revoked);
}

#[tokio::test(start_paused = true)]
async fn a_planned_end_wakes_though_nothing_can_be_read() {
    let mut bench = Bench::following(["a"], State::Active).await;
    let end = bench.now() + SignedDuration::from_secs(200);
    bench
        .world
        .change("a", |request| request.revocation_date = Some(end));
    pass(100).await;
    bench
        .world
        .with(|world| world.failure = Some(crate::poller::ReadError::Unauthorized));
    pass(99).await;
    bench.wakes();
    pass(32).await;
    assert_eq!(bench.wakes(), ["a"]);
}
