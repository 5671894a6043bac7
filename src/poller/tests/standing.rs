//! Failures, pauses, refused tokens, and who the token is.

use super::world::requestor;
use super::*;
use crate::poller::ReadError;

impl Bench {
    fn fail(&self, failure: Option<ReadError>) {
        self.world.with(|world| world.failure = failure);
    }
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_are_told_after_the_third() {
    let mut bench = Bench::following(["a"], State::Pending).await;
    bench.fail(Some(ReadError::Failed("503".to_owned())));
    pass(600).await;
    // Four within 15 s, then one every 16 s, give or take the jitter.
    assert!((34..=52).contains(&bench.lists()), "{}", bench.lists());
    let health = bench.view("a").health;
    assert!(health.failed_rounds >= 10 && health.last_good < health.failing_since);
    assert_eq!(health.error.as_deref(), Some("503"));
    assert_eq!(bench.wakes(), ["a"]);
    bench.fail(None);
    pass(20).await;
    let health = bench.view("a").health;
    assert_eq!(
        (health.failed_rounds, health.failing_since, health.error),
        (0, None, None)
    );
    assert_eq!(bench.wakes(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_or_two_wakes_nobody() {
    let mut bench = Bench::following(["a"], State::Pending).await;
    bench
        .world
        .with(|world| world.stumble = Some((1, ReadError::Failed("503".to_owned()))));
    pass(60).await;
    assert_eq!(bench.wakes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_failing_list_does_not_stop_the_other() {
    let bench = Bench::following(["a"], State::Active).await;
    bench.track("b", &[("b", RemoteApi::UserV4)]);
    bench.world.put("b", State::Pending, bench.now());
    bench.fail(Some(ReadError::Failed("503".to_owned())));
    pass(30).await;
    bench.fail(None);
    pass(70).await;
    assert_eq!(bench.state("b"), State::Pending);
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_kept_and_is_no_failure() {
    let bench = Bench::following(["a"], State::Pending).await;
    bench.fail(Some(ReadError::Paused(Duration::from_mins(2))));
    pass(20).await;
    bench.store.hasten("a");
    pass(90).await;
    assert_eq!(bench.world.calls().len(), 1);
    assert_eq!(bench.view("a").health.failing_since, None);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_ends_all_reading_until_another_comes() {
    let mut bench = Bench::following(["a", "b"], State::Pending).await;
    bench.fail(Some(ReadError::Unauthorized));
    pass(20).await;
    assert_eq!(bench.wakes(), ["a", "b"]);
    assert!(bench.view("a").health.failing_since.is_some());
    let mut bench = bench.quiet();
    bench.store.hasten("a");
    pass(3_600).await;
    assert_eq!(bench.world.calls(), []);
    bench.fail(None);
    bench.other_token();
    pass(15).await;
    assert!(bench.lists() > 0);
    assert_eq!(bench.view("a").health.failing_since, None);
    assert!(!bench.wakes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_identity_is_that_of_the_own_list() {
    let bench = Bench::following(["a"], State::Pending).await;
    assert_eq!(bench.view("a").identity.as_deref(), Some("u-1"));
    bench.other_token();
    assert_eq!(bench.view("a").identity, None);
    pass(15).await;
    assert_eq!(bench.view("a").identity.as_deref(), Some("u-1"));
}

#[tokio::test(start_paused = true)]
async fn a_list_of_several_requestors_names_nobody() {
    let bench = Bench::start();
    for id in ["a", "b"] {
        bench.world.put(id, State::Pending, bench.now());
    }
    bench
        .world
        .change("b", |request| request.requestor = Some(requestor("u-2")));
    bench.track("a", &[("a", RemoteApi::UserV4)]);
    pass(15).await;
    assert_eq!(bench.view("a").identity, None);
}

#[tokio::test(start_paused = true)]
async fn who_the_token_is_is_asked_when_something_is_missing() {
    let mut bench = Bench::start();
    bench.world.put("other", State::Revoked, bench.now());
    bench.track("a", &[("a", RemoteApi::UserV4)]);
    pass(5).await;
    assert!(matches!(bench.sight("a"), Sight::Missing(_)));
    assert_eq!(bench.view("a").identity.as_deref(), Some("u-1"));
    assert!(bench.wakes().len() >= 2);
}

#[tokio::test(start_paused = true)]
async fn another_token_starts_the_count_of_the_missing_again() {
    let bench = Bench::following(["a"], State::Pending).await;
    bench.world.lose("a");
    pass(60).await;
    assert!(matches!(bench.sight("a"), Sight::Missing(missing) if missing.times >= 3));
    bench.other_token();
    assert_eq!(bench.state("a"), State::Pending);
    pass(5).await;
    assert!(matches!(bench.sight("a"), Sight::Missing(missing) if missing.times == 1));
}

#[tokio::test(start_paused = true)]
async fn one_id_that_cannot_be_read_harms_no_other() {
    let bench = Bench::following(["a", "b"], State::Pending).await;
    bench.world.with(|world| {
        world.unreadable = vec!["a".to_owned()];
        world.unlisted = vec!["a".into()];
    });
    bench.world.put("a", State::Active, bench.now());
    bench.world.put("b", State::Active, bench.now());
    pass(120).await;
    assert_eq!(
        (bench.state("a"), bench.state("b")),
        (State::Pending, State::Active)
    );
    assert!(bench.gets() < 20, "{}", bench.gets());
    assert_eq!(bench.view("a").health.failing_since, None);
    bench.world.with(|world| world.unreadable.clear());
    pass(40).await;
    assert_eq!(bench.state("a"), State::Active);
}

#[test]
fn a_token_that_comes_back_is_known_again() {
    let store = Store::new(CLUSTER);
    let at = |second| Timestamp::from_second(second).unwrap();
    let reigns = || store.view(&key("n")).reigns;
    let all = |from, until| crate::poller::Reign { from, until };
    assert_eq!(reigns(), [all(Timestamp::MIN, Timestamp::MAX)]);
    store.use_token(1, at(10));
    store.use_token(1, at(20));
    assert_eq!(reigns(), [all(Timestamp::MIN, Timestamp::MAX)]);
    store.use_token(2, at(30));
    assert_eq!(reigns(), [all(at(30), Timestamp::MAX)]);
    store.use_token(1, at(40));
    let expected = [all(Timestamp::MIN, at(30)), all(at(40), Timestamp::MAX)];
    assert_eq!(reigns(), expected);
}

#[test]
fn a_rotated_token_of_the_same_user_is_as_good() {
    let store = Store::new(CLUSTER);
    store.use_token(1, Timestamp::UNIX_EPOCH);
    store.meet("u-1");
    let changed = Timestamp::from_second(30).unwrap();
    store.use_token(2, changed);
    let reigns = || store.view(&key("n")).reigns;
    assert_eq!(reigns().len(), 1);
    store.meet("u-1");
    assert_eq!(reigns()[0].from, Timestamp::MIN);
    store.use_token(3, changed);
    store.meet("u-2");
    assert_eq!(reigns().len(), 1);
}
