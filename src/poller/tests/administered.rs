//! Requests of the admin API: lists of one user each, without a second page.

use super::*;
use crate::poller::{Administered, Look, ReadError};

const API: RemoteApi = RemoteApi::AdminV3;

impl Bench {
    /// A resource that follows these ids of one user, asked for so many days ago.
    pub(super) fn administer(&self, name: &str, user: &str, ids: &[&str], days: i64) {
        let track = |id: &&str| Tracked {
            id: (*id).into(),
            api: API,
            admin: Some(Arc::new(Administered {
                user: user.to_owned(),
                asked_at: Some(self.ago(days * 86_400)),
                ends_at: None,
            })),
        };
        let interest = Interest {
            ids: ids.iter().map(track).collect(),
            looks: vec![],
            origin: origin(name),
            asks_admin: true,
        };
        self.store.declare(&key(name), interest);
    }

    /// Looks for the POST `n` of a resource in the list of its user.
    fn want_of(&self, name: &str, user: &str, n: u8, conclusive_in: i64) {
        self.want_since(name, (user, n), 0, conclusive_in);
    }

    /// The same, where it was marked so many days ago.
    fn want_since(&self, name: &str, (user, n): (&str, u8), days: i64, conclusive_in: i64) {
        let marked_at = self.ago(days * 86_400);
        let wanted = Wanted {
            nonce: nonce(name, n),
            marked_at,
            conclusive_from: marked_at + SignedDuration::from_secs(conclusive_in),
            api: API,
            user: Some(user.to_owned()),
        };
        let interest = Interest {
            ids: vec![],
            looks: vec![wanted],
            origin: origin(name),
            asks_admin: true,
        };
        self.store.declare(&key(name), interest);
    }

    fn admin_look(&self, name: &str) -> Option<Look> {
        self.view(name).look.get(&API).copied()
    }

    /// The lists of the admin API that were asked for.
    fn admin_lists(&self) -> Vec<(String, u32)> {
        let calls = self.world.calls().into_iter();
        let list = |call| match call {
            Call::Admin { user, days } => Some((user.unwrap(), days.unwrap())),
            Call::List { .. } | Call::Get { .. } => None,
        };
        calls.filter_map(list).collect()
    }
}

/// The names `a0`, `a1` and so on.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("a{n}")).collect()
}

/// So many live requests of each user, each followed by a resource of its own.
async fn following(users: &[&str], count: usize) -> Bench {
    let bench = Bench::start();
    for user in users {
        for id in names(count) {
            let id = format!("{user}-{id}");
            bench.world.put_admin(&id, user, "GRANTED");
            bench.administer(&id, user, &[&id], 2);
        }
    }
    pass(5).await;
    bench.quiet()
}

#[tokio::test(start_paused = true)]
async fn many_of_one_user_cost_one_list_as_far_back_as_the_oldest() {
    let bench = following(&["u", "v"], 40).await;
    assert_eq!(bench.state("u-a7"), State::Active);
    pass(61).await;
    let lists = bench.admin_lists();
    let once = [("u".to_owned(), 3), ("v".to_owned(), 3)];
    assert!(lists.starts_with(&once), "{lists:?}");
    assert!(lists.len() <= 4, "{lists:?}");
    assert_eq!(bench.gets(), 0);
    assert_eq!(bench.lists(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_few_of_one_user_are_read_one_by_one() {
    let bench = following(&["u"], 3).await;
    pass(61).await;
    assert_eq!(bench.admin_lists(), []);
    let gets = bench.gets();
    assert!((3..=6).contains(&gets), "{gets}");
}

#[tokio::test(start_paused = true)]
async fn what_ends_is_told_to_its_resource_alone() {
    for count in [2, 20] {
        let mut bench = following(&["u"], count).await;
        bench.world.put_admin("u-a1", "u", "EXPIRED");
        pass(70).await;
        assert_eq!(bench.state("u-a1"), State::Revoked);
        assert_eq!(bench.wakes(), ["u-a1"], "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_revoke_it_is_read_again_at_once() {
    for count in [1, 20] {
        let bench = following(&["u"], count).await;
        bench.store.hasten("u-a0");
        bench.world.put_admin("u-a0", "u", "EXPIRED");
        pass_millis(120).await;
        assert_eq!(bench.state("u-a0"), State::Revoked, "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reckoned_end_is_watched_for() {
    let mut bench = following(&["u"], 1).await;
    let admin = Administered {
        user: "u".to_owned(),
        asked_at: Some(bench.now()),
        ends_at: Some(bench.now() + SignedDuration::from_secs(10)),
    };
    let interest = Interest {
        ids: vec![Tracked {
            id: "u-a0".into(),
            api: API,
            admin: Some(admin.into()),
        }],
        looks: vec![],
        origin: origin("u-a0"),
        asks_admin: true,
    };
    bench.store.declare(&key("u-a0"), interest);
    pass_millis(9_900).await;
    bench.world.put_admin("u-a0", "u", "EXPIRED");
    pass_millis(300).await;
    assert_eq!(bench.state("u-a0"), State::Revoked);
    assert!(bench.wakes().contains(&"u-a0".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_refused_is_replaced_by_reads_by_id() {
    for failure in [ReadError::Refused("403".to_owned()), ReadError::NotFound] {
        let bench = Bench::start();
        bench
            .world
            .with(|inner| inner.admin_failure = Some(failure.clone()));
        for id in names(30) {
            bench.world.put_admin(&id, "u", "GRANTED");
            bench.administer(&id, "u", &[&id], 0);
        }
        pass(10).await;
        assert_eq!(bench.state("a29"), State::Active);
        assert_eq!(bench.admin_lists().len(), 1, "not asked for again at once");
        assert_eq!(bench.gets(), 30);
        assert_eq!(bench.view("a0").health.failing_since, None);
        bench.world.put_admin("a29", "u", "EXPIRED");
        pass(70).await;
        assert_eq!(bench.state("a29"), State::Revoked);
        pass(600).await;
        assert_eq!(bench.admin_lists().len(), 2, "asked for again later");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_list_cuts_off_or_hides_is_read_by_id() {
    let bench = following(&["u"], 20).await;
    bench.world.with(|inner| {
        inner.admin_limit = Some(10);
        inner.unlisted.push("u-a3".into());
    });
    for id in ["u-a3", "u-a19"] {
        bench.world.put_admin(id, "u", "EXPIRED");
    }
    pass(70).await;
    assert_eq!(bench.state("u-a3"), State::Revoked);
    assert_eq!(bench.state("u-a19"), State::Revoked);
    assert_eq!(bench.state("u-a4"), State::Active);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_not_there_is_missing_and_no_other_route_is_asked() {
    let bench = following(&["u"], 1).await;
    bench.world.lose("u-a0");
    pass(130).await;
    let Sight::Missing(missing) = bench.sight("u-a0") else {
        panic!("{:?}", bench.sight("u-a0"))
    };
    assert!(missing.times >= 3, "{missing:?}");
    let is_elsewhere = |call: &Call| matches!(call, Call::Get { api, .. } if *api != API);
    assert_eq!(bench.world.count(is_elsewhere), 0);
    assert_eq!(bench.lists(), 0, "whose token it is does not matter");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_noticed_whether_lists_are_read_or_ids() {
    for count in [1, 20] {
        let bench = following(&["u"], count).await;
        let failure = ReadError::Failed("500".to_owned());
        bench.world.with(|inner| inner.failure = Some(failure));
        pass(120).await;
        let health = bench.view("u-a0").health;
        assert!(health.failed_rounds >= 3, "{count}: {health:?}");
        bench.world.with(|inner| inner.failure = None);
        pass(70).await;
        let health = bench.view("u-a0").health;
        assert_eq!(health.failed_rounds, 0, "{count}: {health:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_create_is_found_in_the_list_of_its_user() {
    let mut bench = Bench::start();
    bench.world.put_admin("a", "u", "PENDING");
    bench.world.mark("a", "n", 1);
    bench.want_of("n", "u", 1, 30);
    pass_millis(50).await;
    let view = bench.view("n");
    assert_eq!(view.by_nonce[&nonce("n", 1)][0].request.id, "a");
    assert_eq!(bench.wakes(), ["n"]);
    assert_eq!(bench.admin_lists(), [("u".to_owned(), 1)]);
    assert_eq!(bench.lists(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_a_complete_list_asked_for_late_enough_answers_a_look() {
    let mut bench = Bench::start();
    let marked_at = bench.now();
    bench.want_of("n", "u", 1, 30);
    bench.want_of("m", "v", 1, 30);
    pass(29).await;
    let late = marked_at + SignedDuration::from_secs(30);
    assert!(bench.admin_look("n").unwrap().asked_at < late);
    assert_eq!(bench.wakes(), Vec::<String>::new());
    pass(2).await;
    assert!(bench.admin_look("n").unwrap().asked_at >= late);
    let mut woken = bench.wakes();
    woken.sort();
    assert_eq!(woken, ["m", "n"]);
    bench.world.forget_calls();
    pass(300).await;
    assert_eq!(bench.admin_lists(), [], "nothing is looked for any more");
}

#[tokio::test(start_paused = true)]
async fn a_look_that_reached_back_a_day_says_nothing_of_an_older_create() {
    let mut bench = Bench::start();
    bench.want_of("new", "u", 1, 0);
    pass(2).await;
    assert_eq!(bench.wakes(), ["new"], "it is answered");
    // After a long outage, one that was lost days ago turns up.
    let back_to = bench.ago(5 * 86_400) - SignedDuration::from_hours(1);
    bench.want_since("old", ("u", 1), 5, 30);
    assert!(bench.admin_look("old").unwrap().since > back_to);
    pass(1).await;
    assert!(bench.admin_look("old").unwrap().since <= back_to);
    assert_eq!(bench.wakes(), ["old"]);
    assert_eq!(
        bench.admin_lists().last(),
        Some(&("u".to_owned(), 6)),
        "five days and an hour"
    );
}

#[tokio::test(start_paused = true)]
async fn a_later_look_for_a_young_create_reaches_back_for_the_old_one_too() {
    let bench = Bench::start();
    bench.want_since("old", ("u", 1), 5, 30);
    pass(2).await;
    let back_to = bench.ago(5 * 86_400) - SignedDuration::from_hours(1);
    bench.want_of("new", "u", 1, 30);
    pass(60).await;
    let reached = |name: &str| bench.admin_look(name).unwrap();
    assert!(reached("new").asked_at > bench.ago(40));
    assert!(reached("old").since <= back_to, "as long as it is wanted");
    assert!(bench.admin_lists().iter().all(|(_, days)| *days >= 6));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_refused_or_cut_short_answers_nothing_and_says_so() {
    let refused = ReadError::Refused("the API answered `403`".to_owned());
    for (failure, limit, told) in [(Some(refused), None, "403"), (None, Some(0), "cut short")] {
        let mut bench = Bench::start();
        bench.world.put_admin("b", "u", "PENDING");
        bench.world.with(|inner| {
            inner.admin_failure = failure;
            inner.admin_limit = limit;
        });
        bench.want_of("n", "u", 1, 5);
        pass(100).await;
        let view = bench.view("n");
        assert_eq!(view.look.get(&API), None, "{told}");
        assert!(view.look_trouble.unwrap().contains(told));
        assert_eq!(bench.wakes(), ["n"], "told once");
        assert_eq!(view.health.failed_rounds, 0);
        // The looking goes on, and ends when the list can be read.
        bench.world.with(|inner| {
            inner.admin_failure = None;
            inner.admin_limit = None;
        });
        pass(31).await;
        let view = bench.view("n");
        assert!(view.look.contains_key(&API) && view.look_trouble.is_none());
        assert_eq!(bench.wakes(), ["n"]);
    }
}

#[tokio::test(start_paused = true)]
async fn another_token_has_to_look_again() {
    let bench = Bench::start();
    bench.store.use_token(1, bench.now());
    bench.want_of("n", "u", 1, 0);
    pass(1).await;
    assert!(bench.admin_look("n").is_some());
    bench.store.use_token(2, bench.now());
    assert_eq!(bench.admin_look("n"), None);
    pass(1).await;
    assert!(bench.admin_look("n").is_some());
}

#[tokio::test(start_paused = true)]
async fn what_the_other_lists_show_of_it_is_not_taken() {
    let mut bench = following(&["u"], 1).await;
    // The same by another id, and the same id in other words.
    bench.world.add("AR-1", "Active", bench.now());
    bench.world.mark("AR-1", "u-a0", 1);
    bench.world.add("u-a0", "Active", bench.now());
    bench.track("v4", &[("v4", RemoteApi::UserV4)]);
    bench.world.put("v4", State::Active, bench.now());
    pass(130).await;
    assert_eq!(bench.state("v4"), State::Active);
    let view = bench.view("u-a0");
    assert_eq!(view.strays.len(), 0, "{view:?}");
    let Sight::Seen(seen) = &view.sights["u-a0"] else {
        panic!("{view:?}")
    };
    assert_eq!((seen.api, seen.request.status.word()), (API, "GRANTED"));
    assert_eq!(bench.store.unowned().len(), 0);
    assert!(!bench.wakes().contains(&"u-a0".to_owned()));
}
