//! The wall clock is set while the poller runs.

use super::*;

impl Bench {
    fn set_clock_by(&self, seconds: i64) {
        self.clock.set_by.fetch_add(seconds, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn what_vanishes_from_its_list_after_the_clock_was_set_is_read_by_itself() {
    for seconds in [-3600, 3600] {
        let bench = Bench::following(["a", "b"], State::Active).await;
        bench.set_clock_by(seconds);
        bench.world.put("a", State::Revoked, bench.now());
        pass(130).await;
        assert_eq!(bench.state("a"), State::Revoked, "{seconds}");
        assert_eq!(bench.state("b"), State::Active);
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_from_before_the_clock_was_set_proves_nothing_after() {
    for seconds in [-3600, 3600] {
        let mut bench = Bench::start();
        bench.want("n", 1, 0);
        pass(1).await;
        let look = |bench: &Bench| bench.view("n").look.get(&RemoteApi::UserV4).copied();
        assert!(look(&bench).is_some());
        assert_eq!(bench.store.heed_clock(bench.now()), None);
        bench.wakes();
        bench.set_clock_by(seconds);
        let set_at = bench.store.heed_clock(bench.now());
        assert_eq!(set_at, Some(bench.now()));
        assert_eq!(look(&bench), None);
        assert_eq!(bench.wakes(), ["n"], "what it waits for has moved");
        pass(60).await;
        assert!(look(&bench).unwrap().asked_at >= set_at.unwrap());
        assert_eq!(bench.store.heed_clock(bench.now()), set_at);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_asked_for_before_the_clock_was_set_back_is_of_then() {
    let bench = Bench::following(["a"], State::Active).await;
    let latency = Duration::from_secs(5);
    bench.world.with(|world| world.latency = latency);
    bench.store.hasten("a");
    pass(1).await;
    bench.set_clock_by(-3600);
    bench.world.with(|world| world.latency = Duration::ZERO);
    pass(10).await;
    bench.world.put("a", State::Revoked, bench.now());
    pass(130).await;
    assert_eq!(bench.state("a"), State::Revoked);
}
