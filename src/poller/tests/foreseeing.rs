//! What is read after a start before the resources have come that follow it.

use super::*;
use crate::poller::ReadError;

/// Puts live requests on the list, each with the mark of the resource of its name.
fn put_marked(bench: &Bench) -> Vec<String> {
    let ids: Vec<_> = (0..500).map(|n| format!("a{n}")).collect();
    for id in &ids {
        bench.world.put(id, State::Active, bench.now());
        bench.world.mark(id, id, 1);
    }
    ids
}

#[tokio::test(start_paused = true)]
async fn what_is_foreseen_is_there_before_it_is_asked_for() {
    let mut bench = Bench::start();
    let ids = put_marked(&bench);
    bench.store.foresee();
    pass(1).await;
    assert_eq!(bench.lists(), 5);
    assert_eq!(bench.store.unowned().len(), 500);
    for id in &ids {
        bench.track(id, &[(id, RemoteApi::UserV4)]);
        assert_eq!(bench.state(id), State::Active);
        assert_eq!(bench.view(id).strays.len(), 0);
    }
    assert_eq!(bench.store.unowned().len(), 0);
    pass(30).await;
    assert_eq!((bench.lists(), bench.gets()), (5, 0));
    assert_eq!(bench.wakes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_was_foreseen_and_has_ended_meanwhile_is_read_by_itself() {
    let bench = Bench::start();
    let ids = put_marked(&bench);
    bench.world.put("a0", State::Revoked, bench.now());
    bench.track("a0", &[("a0", RemoteApi::UserV4)]);
    bench.store.foresee();
    pass(1).await;
    bench.world.put("a1", State::Rejected, bench.now());
    for id in &ids {
        bench.track(id, &[(id, RemoteApi::UserV4)]);
    }
    bench.world.put("late", State::Revoked, bench.now());
    bench.track("late", &[("late", RemoteApi::UserV4)]);
    pass(1).await;
    assert_eq!(bench.state("a0"), State::Revoked);
    assert_eq!(bench.state("late"), State::Revoked);
    assert_eq!((bench.lists(), bench.gets()), (5, 2));
    pass(70).await;
    assert_eq!(bench.state("a1"), State::Rejected);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_shows_no_marks_is_swept_again_when_it_is_known_for_whom() {
    let bench = Bench::start();
    for n in 0..500 {
        let id = format!("a{n}");
        bench.world.put(&id, State::Active, bench.now());
    }
    bench.store.foresee();
    pass(1).await;
    assert_eq!(bench.lists(), 5);
    for n in 0..500 {
        let id = format!("a{n}");
        bench.track(&id, &[(&id, RemoteApi::UserV4)]);
    }
    pass(2).await;
    assert_eq!((bench.lists(), bench.gets()), (10, 0));
    assert!((0..500).all(|n| bench.state(&format!("a{n}")) == State::Active));
    bench.store.foresee();
    pass(2).await;
    assert_eq!(bench.lists(), 10, "what is known need not be foreseen");
}

#[tokio::test(start_paused = true)]
async fn what_is_foreseen_is_read_although_the_remote_fails_at_first() {
    let bench = Bench::start();
    let ids = put_marked(&bench);
    bench
        .world
        .with(|world| world.stumble = Some((3, ReadError::Failed("503".to_owned()))));
    bench.store.foresee();
    pass(5).await;
    assert!((6..=10).contains(&bench.lists()), "{}", bench.lists());
    bench.track(&ids[0], &[(&ids[0], RemoteApi::UserV4)]);
    assert_eq!(bench.state(&ids[0]), State::Active);
}

#[tokio::test(start_paused = true)]
async fn what_a_resource_of_the_admin_api_finds_foreseen_is_not_taken() {
    let bench = Bench::start();
    // The same by another id, and the same id in other words.
    for id in ["AR-1", "u-a0"] {
        bench.world.add(id, "Active", bench.now());
        bench.world.mark(id, "u-a0", 1);
    }
    bench.store.foresee();
    pass(1).await;
    assert_eq!(bench.store.unowned().len(), 2);
    bench.world.lose("u-a0");
    bench.world.put_admin("u-a0", "u", "GRANTED");
    bench.administer("u-a0", "u", &["u-a0"], 2);
    assert_eq!(bench.view("u-a0").strays.len(), 0);
    assert_eq!(bench.sight("u-a0"), Sight::Unread);
    pass(5).await;
    let Sight::Seen(seen) = bench.sight("u-a0") else {
        panic!("{:?}", bench.view("u-a0"))
    };
    assert_eq!(
        (seen.api, seen.request.status.word()),
        (RemoteApi::AdminV3, "GRANTED")
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_read_ahead_is_not_believed_for_long() {
    let bench = Bench::start();
    let ids = put_marked(&bench);
    bench.store.foresee();
    pass(14).await;
    bench.track("a1", &[("a1", RemoteApi::UserV4)]);
    assert_eq!(bench.state("a1"), State::Active);
    bench.world.put("a0", State::Revoked, bench.now());
    pass(2).await;
    for id in &ids {
        bench.track(id, &[(id, RemoteApi::UserV4)]);
    }
    assert_eq!(bench.sight("a0"), Sight::Unread);
    pass(2).await;
    assert_eq!(bench.state("a0"), State::Revoked);
    assert_eq!(bench.state("a2"), State::Active);
    assert_eq!((bench.lists(), bench.gets()), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_read_ahead_for_nobody_is_forgotten() {
    let bench = Bench::start();
    put_marked(&bench);
    bench.store.foresee();
    pass(10).await;
    assert_eq!(bench.store.unowned().len(), 500);
    pass(50).await;
    assert_eq!(bench.store.unowned().len(), 0);
    assert_eq!(bench.lists(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_read_ahead_is_left_alone_where_nobody_needs_it() {
    let bench = Bench::start();
    put_marked(&bench);
    let failure = ReadError::Failed("503".to_owned());
    bench.world.with(|world| world.failure = Some(failure));
    bench.store.foresee();
    pass(60).await;
    // Tries that come more and more slowly, and a look now and then whether the filter is to blame.
    assert!((2..=8).contains(&bench.lists()), "{}", bench.lists());
    let bench = bench.quiet();
    pass(600).await;
    assert_eq!(bench.lists(), 0);
    assert_eq!(bench.view("a0").health.failing_since, None);
}

#[tokio::test(start_paused = true)]
async fn a_cut_mark_read_ahead_is_not_taken_by_a_resource_of_the_admin_api() {
    let bench = Bench::start();
    bench.world.add("AR-1", "Active", bench.now());
    bench.world.mark("AR-1", "u-a0", 1);
    let whole = bench.world.get("AR-1").justification.unwrap();
    let end = whole.find("u-a0").unwrap() + 1;
    bench.world.change("AR-1", |request| {
        request.justification = Some(whole[..end].to_owned());
    });
    bench.store.foresee();
    pass(1).await;
    bench.world.put_admin("u-a0", "u", "GRANTED");
    bench.administer("u-a0", "u", &["u-a0"], 2);
    assert_eq!(bench.view("u-a0").strays.len(), 0);
}
