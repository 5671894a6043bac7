//! Looking for what a lost answer may have made.

use super::world::Sorted;
use super::*;
use crate::poller::{Look, ReadError, Snapshot};

impl Bench {
    fn look(&self, name: &str) -> Option<Look> {
        self.view(name).look.get(&RemoteApi::UserV4).copied()
    }

    /// So many ended requests, one an hour, the newest of an hour ago.
    fn history(&self, count: i64) {
        for n in (1..=count).rev() {
            self.world
                .add(&format!("old{n}"), "Revoked", self.ago(n * 3_600));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_found_at_once() {
    let mut bench = Bench::start();
    bench.history(1_000);
    bench.world.put("a", State::Pending, bench.now());
    bench.world.mark("a", "n", 1);
    bench.want("n", 1, 30);
    pass_millis(50).await;
    let view = bench.view("n");
    let found = &view.by_nonce[&nonce("n", 1)][0];
    let made = Snapshot::new(bench.world.get("a"), found.api, found.asked_at);
    assert_eq!(**found, made);
    assert_eq!(view.strays.len(), 1);
    assert_eq!(bench.wakes(), ["n"]);
    assert_eq!(bench.lists(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_ended_one_is_found_too() {
    let bench = Bench::start();
    bench.world.put("a", State::Rejected, bench.now());
    bench.world.mark("a", "n", 1);
    bench.want("n", 1, 30);
    pass_millis(50).await;
    assert_eq!(bench.view("n").by_nonce[&nonce("n", 1)].len(), 1);
}

#[tokio::test(start_paused = true)]
async fn absence_is_answered_only_by_a_look_that_began_late_enough() {
    let mut bench = Bench::start();
    bench.history(1_000);
    let marked_at = bench.now();
    bench.want("n", 1, 30);
    pass(29).await;
    assert!(bench.look("n").unwrap().asked_at < marked_at + SignedDuration::from_secs(30));
    assert_eq!(bench.wakes(), Vec::<String>::new());
    let early = bench.lists();
    assert!((4..=6).contains(&early), "{early}");
    pass(2).await;
    let look = bench.look("n").unwrap();
    assert!(look.asked_at >= marked_at + SignedDuration::from_secs(30));
    assert!(look.since <= marked_at - SignedDuration::from_hours(1));
    assert_eq!(bench.wakes(), ["n"]);
    let bench = bench.quiet();
    pass(600).await;
    assert_eq!(bench.world.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn one_look_serves_all_who_want_one() {
    let bench = Bench::start();
    bench.history(10);
    for n in 0..100 {
        bench.want(&format!("n{n}"), 1, 0);
    }
    pass_millis(50).await;
    assert_eq!(bench.lists(), 1);
    assert!((0..100).all(|n| bench.look(&format!("n{n}")).is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_list_newest_first_is_read_only_as_far_as_needed() {
    let bench = Bench::start();
    bench.history(1_000);
    bench.want("n", 1, 0);
    pass(5).await;
    assert_eq!(bench.lists(), 1);
    assert_eq!(
        bench.look("n").unwrap().since,
        bench.ago(5) - SignedDuration::from_hours(1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_oldest_first_is_read_to_its_end() {
    let bench = Bench::start();
    bench.world.with(|world| world.sorted = Sorted::OldestFirst);
    bench.history(1_000);
    bench.world.put("a", State::Pending, bench.now());
    bench.world.mark("a", "n", 1);
    bench.want("n", 1, 0);
    pass(1).await;
    assert_eq!(bench.lists(), 11);
    assert_eq!(bench.look("n").unwrap().since, Timestamp::MIN);
    assert_eq!(bench.view("n").by_nonce[&nonce("n", 1)].len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_without_dates_is_read_to_its_end() {
    let bench = Bench::start();
    bench.history(300);
    bench
        .world
        .change("old1", |request| request.creation_date = None);
    bench.want("n", 1, 0);
    pass(1).await;
    assert_eq!(bench.lists(), 3);
    assert_eq!(bench.look("n").unwrap().since, Timestamp::MIN);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_left_something_out_proves_nothing() {
    let bench = Bench::start();
    bench.history(10);
    bench.world.with(|world| world.skipped = 1);
    bench.want("n", 1, 0);
    pass(60).await;
    assert_eq!(bench.look("n"), None);
    assert!((5..=7).contains(&bench.lists()), "{}", bench.lists());
    bench.world.with(|world| world.skipped = 0);
    pass(40).await;
    assert!(bench.look("n").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_look_that_stumbled_goes_on_where_it_was_and_counts_from_its_first_page() {
    let bench = Bench::start();
    bench.history(10);
    bench.world.with(|world| {
        world.sorted = Sorted::OldestFirst;
        world.stumble = Some((3, ReadError::Failed("503".to_owned())));
    });
    bench.history(1_000);
    let began = bench.now();
    bench.want("n", 1, 0);
    pass_millis(500).await;
    assert_eq!(bench.look("n"), None);
    assert_eq!(bench.view("n").health.failed_rounds, 1);
    pass(2).await;
    assert_eq!(bench.look("n").unwrap().asked_at, began);
    let is_first = |call: &Call| matches!(call, Call::List { is_first: true, .. });
    assert_eq!(bench.world.count(is_first), 1);
    assert_eq!(bench.view("n").health.failing_since, None);
}

#[tokio::test(start_paused = true)]
async fn a_very_long_list_is_read_in_rounds() {
    let bench = Bench::start();
    bench.world.with(|world| world.sorted = Sorted::OldestFirst);
    bench.history(20_500);
    bench
        .world
        .with(|world| world.latency = Duration::from_millis(10));
    let began = bench.now();
    bench.want("n", 1, 0);
    pass_millis(2_015).await;
    assert_eq!((bench.lists(), bench.look("n")), (200, None));
    pass(1).await;
    assert_eq!(bench.lists(), 205);
    assert_eq!(bench.look("n").unwrap().asked_at, began);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_goes_in_circles_proves_nothing_and_is_left_alone() {
    let mut bench = Bench::start();
    bench.history(300);
    bench.world.with(|world| {
        world.sorted = Sorted::OldestFirst;
        world.is_looping = true;
    });
    bench.want("n", 1, 0);
    pass(120).await;
    assert_eq!(bench.look("n"), None);
    assert!(bench.lists() < 30, "{}", bench.lists());
    assert_eq!(bench.wakes(), ["n"], "who waits is told why, once");
    let faults = bench.view("n").look_faults;
    assert!(faults[&RemoteApi::UserV4].contains("circles"), "{faults:?}");
    // When it has an end again it is looked through.
    bench.world.with(|world| world.is_looping = false);
    pass(60).await;
    assert!(bench.look("n").is_some());
    assert!(bench.view("n").look_faults.is_empty());
}

#[tokio::test(start_paused = true)]
async fn pages_that_lead_back_to_an_earlier_one_end_the_look_too() {
    let bench = Bench::start();
    bench.history(350);
    bench.world.with(|world| {
        world.sorted = Sorted::OldestFirst;
        world.is_circular = true;
    });
    bench.want("n", 1, 0);
    pass(120).await;
    assert_eq!(bench.look("n"), None);
    assert!(bench.lists() < 50, "{}", bench.lists());
    assert!(!bench.view("n").look_faults.is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_token_looks_anew() {
    let bench = Bench::start();
    bench.history(10);
    bench.want("n", 1, 0);
    pass(1).await;
    let first = bench.look("n").unwrap();
    bench.other_token();
    assert_eq!(bench.look("n"), None);
    pass(2).await;
    assert!(bench.look("n").unwrap().asked_at > first.asked_at);
}

#[tokio::test(start_paused = true)]
async fn a_late_sibling_and_a_cut_mark_are_told() {
    let mut bench = Bench::start();
    bench.want("n", 1, 30);
    pass(1).await;
    bench.world.put("a", State::Pending, bench.now());
    bench.world.mark("a", "n", 1);
    let whole = bench.world.get("a").justification.unwrap();
    bench.world.change("a", |request| {
        request.justification = Some(whole[..45].to_owned());
    });
    pass(10).await;
    assert_eq!(bench.view("n").by_nonce[&nonce("n", 1)].len(), 1);
    assert_eq!(bench.view("n").strays.len(), 1);
    bench.track("n", &[("a", RemoteApi::UserV4)]);
    bench.wakes();
    // Another nonce of the same origin, met while following: nobody looked for it.
    bench.world.put("b", State::Pending, bench.now());
    bench.world.mark("b", "n", 2);
    pass(12).await;
    assert_eq!(bench.wakes(), ["n"]);
    let view = bench.view("n");
    assert_eq!(
        view.strays
            .iter()
            .map(|(mark, _)| &mark.nonce)
            .collect::<Vec<_>>(),
        [&nonce("n", 2)]
    );
}
