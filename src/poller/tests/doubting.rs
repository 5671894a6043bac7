//! Lists that do not show what they should: words, filters, routes, and what is missing.

use super::world::Filter;
use super::*;

#[tokio::test(start_paused = true)]
async fn words_of_another_case_are_learned() {
    let bench = Bench::start();
    bench.world.put_word("a", "ACTIVE", bench.now());
    bench.track("a", &[("a", RemoteApi::UserV4)]);
    pass(30).await;
    assert_eq!(bench.state("a"), State::Active);
    let bench = bench.quiet();
    pass(600).await;
    assert_eq!(bench.gets(), 0);
    assert!((9..=12).contains(&bench.lists()), "{}", bench.lists());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_word_is_followed_as_what_moves() {
    let bench = Bench::start();
    bench.world.put_word("a", "Snoozed", bench.now());
    bench.track("a", &[("a", RemoteApi::UserV4)]);
    pass(60).await;
    assert_eq!(bench.state("a"), State::Unknown);
    let bench = bench.quiet();
    pass(60).await;
    assert_eq!(bench.gets(), 0);
    bench.world.put("a", State::Active, bench.now());
    pass(8).await;
    assert_eq!(bench.state("a"), State::Active);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_hides_what_it_should_show_is_dropped() {
    let bench = Bench::start();
    bench
        .world
        .with(|world| world.filter = Filter::GivesNothing);
    bench.world.put("a", State::Active, bench.now());
    bench.track("a", &[("a", RemoteApi::UserV4)]);
    pass(300).await;
    let bench = bench.quiet();
    pass(600).await;
    assert_eq!(bench.gets(), 0);
    let is_unfiltered = |call: &Call| matches!(call, Call::List { words, .. } if words.is_empty());
    assert_eq!(bench.world.count(is_unfiltered), bench.lists());
    assert!((9..=12).contains(&bench.lists()), "{}", bench.lists());
}

#[tokio::test(start_paused = true)]
async fn an_ignored_filter_costs_no_more_pages_than_are_needed() {
    let bench = Bench::start();
    bench.world.with(|world| world.filter = Filter::Ignored);
    for n in 0..1_000 {
        bench
            .world
            .put(&format!("old{n}"), State::Revoked, bench.now());
    }
    bench.world.put("a", State::Active, bench.now());
    bench.track("a", &[("a", RemoteApi::UserV4)]);
    pass(60).await;
    let bench = bench.quiet();
    pass(600).await;
    assert!((9..=12).contains(&bench.lists()), "{}", bench.lists());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_refuses_guesses_is_asked_in_its_own_words() {
    let bench = Bench::start();
    bench
        .world
        .with(|world| world.filter = Filter::RefusesUnknown);
    bench.world.put("a", State::Active, bench.now());
    bench.track("a", &[("a", RemoteApi::UserV4)]);
    pass(60).await;
    assert_eq!(bench.state("a"), State::Active);
    let bench = bench.quiet();
    pass(600).await;
    let is_own =
        |call: &Call| matches!(call, Call::List { words, .. } if words.as_slice() == ["Active"]);
    assert_eq!(bench.world.count(is_own), bench.world.calls().len());
}

#[tokio::test(start_paused = true)]
async fn what_no_list_shows_is_followed_by_id_and_the_filter_kept() {
    let bench = Bench::start();
    bench.world.with(|world| world.unlisted = vec!["a".into()]);
    for id in ["a", "b"] {
        bench.world.put(id, State::Active, bench.now());
    }
    bench.track("a", &[("a", RemoteApi::UserV4)]);
    pass(600).await;
    let bench = bench.quiet();
    pass(600).await;
    let is_filtered = |call: &Call| matches!(call, Call::List { words, .. } if !words.is_empty());
    assert_eq!(bench.world.count(is_filtered), bench.lists());
    assert!((9..=12).contains(&bench.gets()), "{}", bench.gets());
    bench.world.put("a", State::Revoked, bench.now());
    pass(70).await;
    assert_eq!(bench.state("a"), State::Revoked);
}

#[tokio::test(start_paused = true)]
async fn missing_needs_every_route_and_three_times_half_a_minute() {
    let mut bench = Bench::following(["a"], State::Active).await;
    bench.world.lose("a");
    pass(66).await;
    let get = |api| Call::Get {
        api,
        id: "a".to_owned(),
    };
    for api in [RemoteApi::UserV4, RemoteApi::Delegated] {
        assert!(bench.world.calls().contains(&get(api)), "{api:?}");
    }
    pass(60).await;
    let Sight::Missing(missing) = bench.sight("a") else {
        panic!()
    };
    assert!(missing.times >= 3);
    let span = missing.last.duration_since(missing.first);
    assert!(span.as_secs() >= 15 * (i64::from(missing.times.min(4)) - 1));
    assert!(missing.last_seen.is_some());
    assert!(bench.wakes().len() >= 3);
    bench.world.put("a", State::Active, bench.now());
    pass(300).await;
    assert_eq!(bench.state("a"), State::Active);
}

#[tokio::test(start_paused = true)]
async fn an_id_on_the_other_route_is_not_missing() {
    let bench = Bench::start();
    bench.world.put_delegated("a", State::Active, bench.now());
    bench.track("a", &[("a", RemoteApi::UserV4)]);
    pass(60).await;
    assert_eq!(bench.state("a"), State::Active);
    let bench = bench.quiet();
    pass(600).await;
    assert_eq!(bench.gets(), 0);
    let is_delegated = |call: &Call| {
        matches!(
            call,
            Call::List {
                api: RemoteApi::Delegated,
                ..
            }
        )
    };
    assert_eq!(bench.world.count(is_delegated), bench.lists());
}

#[tokio::test(start_paused = true)]
async fn a_delegated_id_is_asked_on_its_own_route_first() {
    let bench = Bench::start();
    bench.track("a", &[("a", RemoteApi::Delegated)]);
    pass(5).await;
    let gets: Vec<_> = bench
        .world
        .calls()
        .into_iter()
        .filter_map(|call| match call {
            Call::Get { api, .. } => Some(api),
            Call::List { .. } | Call::Admin { .. } => None,
        })
        .collect();
    assert_eq!(gets, [RemoteApi::Delegated, RemoteApi::UserV4]);
    assert!(matches!(bench.sight("a"), Sight::Missing(_)));
}
