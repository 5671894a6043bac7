//! One row of the table, one test.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        fate::RESET_UNSURE,
        scene::{Record, ResetTry, Word},
    },
    *,
};
use crate::{
    controller::credentials::scene::{CredentialMemory, Delivered, Target},
    crd::RemoteApi,
};

struct World {
    old: CredentialsStatus,
    targets: Vec<Target>,
    owned: BTreeSet<String>,
    others_live: BTreeSet<String>,
    integrations: usize,
    sessions: Result<Vec<Seen>, String>,
    secret: SecretSight,
    memory: CredentialMemory,
    reset_asked: bool,
    now: Timestamp,
}

fn start() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn seen(id: &str, word: Word) -> Seen {
    Seen {
        id: id.to_owned(),
        api: RemoteApi::UserV4,
        integration: "prod-postgres".to_owned(),
        requests: vec!["r1".to_owned()],
        word,
        can_reset: true,
    }
}

/// One live request and its session.
fn world(word: Word) -> World {
    World {
        old: CredentialsStatus::default(),
        targets: vec![Target {
            id: "r1".to_owned(),
            api: RemoteApi::UserV4,
        }],
        owned: BTreeSet::from(["r1".to_owned()]),
        others_live: BTreeSet::new(),
        integrations: 1,
        sessions: Ok(vec![seen("s1", word)]),
        secret: SecretSight::Unread,
        memory: CredentialMemory::default(),
        reset_asked: false,
        now: start(),
    }
}

impl World {
    fn next(&self) -> Decision {
        next(&Scene {
            secret_name: "orders-db",
            old: &self.old,
            targets: &self.targets,
            owned: &self.owned,
            others_live: &self.others_live,
            integrations: self.integrations,
            active_since: start(),
            sessions: &self.sessions,
            secret: &self.secret,
            memory: &self.memory,
            reset_asked: self.reset_asked,
            now: self.now,
        })
    }

    fn step(&self) -> CredentialStep {
        self.next().step
    }

    fn state(&self) -> Option<CredentialsState> {
        self.next().status.state
    }

    fn message(&self) -> String {
        self.next().status.message.unwrap_or_default()
    }

    fn see(mut self, change: impl FnOnce(&mut Seen)) -> Self {
        change(&mut self.sessions.as_mut().unwrap()[0]);
        self
    }

    /// The status says this of the session.
    fn was(mut self, state: CredentialsState, resetting_since: Option<Timestamp>) -> Self {
        self.old.state = Some(state);
        self.old.sessions = vec![SessionStatus {
            id: "s1".to_owned(),
            state: Some(state),
            requests: vec!["r1".to_owned()],
            resetting_since: resetting_since.map(Time),
            ..SessionStatus::default()
        }];
        self
    }

    fn holds(mut self, record: Record) -> Self {
        self.secret = SecretSight::Ours(record);
        self
    }

    fn after(mut self, wait: Duration) -> Self {
        self.now += wait;
        self
    }

    fn tried(mut self, tried: ResetTry) -> Self {
        self.memory.resets.insert("s1".to_owned(), tried);
        self
    }
}

/// The Secret says that we set out to read.
fn reading() -> Record {
    Record {
        reading: BTreeMap::from([("s1".to_owned(), start())]),
        digest: Some("abc".to_owned()),
        ..Record::default()
    }
}

/// The Secret says that it holds what was read after this reset.
fn delivered(reset: Option<Timestamp>) -> Record {
    let one = Delivered {
        at: Some(start()),
        reset,
        prefix: String::new(),
    };
    Record {
        reading: BTreeMap::new(),
        resetting: BTreeMap::new(),
        delivered: BTreeMap::from([("s1".to_owned(), one)]),
        digest: Some("abc".to_owned()),
    }
}

/// It holds some, and we set out to reset them.
fn resetting() -> Record {
    Record {
        resetting: BTreeMap::from([("s1".to_owned(), start())]),
        ..delivered(None)
    }
}

/// Refused for good.
fn refused() -> ResetTry {
    ResetTry {
        count: 4,
        sent: Some(start()),
        refusal: Some("403 not yours".to_owned()),
        refusals: 4,
        from_viewed: true,
        ..ResetTry::default()
    }
}

/// It held some, and we set out to read what comes after a reset.
fn both() -> Record {
    Record {
        reading: reading().reading,
        ..delivered(None)
    }
}

fn reads(step: &CredentialStep) -> Vec<&str> {
    match step {
        CredentialStep::Deliver(all) => all.iter().map(|one| one.id.as_str()).collect(),
        _ => Vec::new(),
    }
}

fn puts_down(step: &CredentialStep) -> bool {
    matches!(step, CredentialStep::PutDownReset(_))
}

fn resets(step: &CredentialStep) -> bool {
    matches!(step, CredentialStep::Reset(_))
}

#[test]
fn what_nobody_has_read_is_read() {
    assert_eq!(reads(&world(Word::Available).step()), ["s1"]);
}

#[test]
fn access_without_credentials_is_settled() {
    let world = world(Word::NotApplicable);
    assert_eq!(world.step(), CredentialStep::Rest);
    assert_eq!(world.state(), Some(CredentialsState::NotApplicable));
    assert_eq!(world.message(), "");
}

#[test]
fn what_was_delivered_is_left_alone_whatever_the_word() {
    for word in [Word::Available, Word::Viewed, Word::Resetting, Word::Silent] {
        let world = world(word).was(CredentialsState::Delivered, None);
        assert_eq!(world.step(), CredentialStep::Rest);
        assert_eq!(world.state(), Some(CredentialsState::Delivered));
    }
}

#[test]
fn what_was_viewed_is_judged_by_the_secret() {
    let viewed = || world(Word::Viewed);
    assert_eq!(viewed().step(), CredentialStep::LookIntoSecret);

    let found = viewed().holds(delivered(None));
    assert_eq!(found.step(), CredentialStep::Rest);
    assert_eq!(found.state(), Some(CredentialsState::Delivered));
    assert_eq!(found.next().status.digest.as_deref(), Some("abc"));

    let ours = viewed().holds(reading());
    assert!(puts_down(&ours.step()));
    assert_eq!(ours.state(), Some(CredentialsState::Resetting));
    assert!(ours.next().status.sessions[0].resetting_since.is_some());

    let lost = viewed().holds(reading()).see(|one| one.can_reset = false);
    assert_eq!(lost.step(), CredentialStep::Rest);
    assert!(
        lost.message().contains("cannot reset"),
        "{}",
        lost.message()
    );

    for secret in [
        SecretSight::Absent,
        SecretSight::Foreign,
        SecretSight::Ours(Record::default()),
    ] {
        let mut elsewhere = viewed();
        elsewhere.secret = secret;
        assert_eq!(elsewhere.step(), CredentialStep::Rest);
        assert_eq!(elsewhere.state(), Some(CredentialsState::ViewedElsewhere));
        let message = elsewhere.message();
        assert!(
            message.contains("access.apono.io/reset-credentials"),
            "{message}"
        );
    }
}

#[test]
fn a_session_of_others_too_is_neither_read_nor_reset_until_a_person_asks() {
    for word in [Word::Available, Word::Viewed, Word::Silent] {
        let shared = || {
            world(word.clone())
                .see(|one| one.requests.push("r-other".to_owned()))
                .holds(reading())
        };
        assert_eq!(shared().step(), CredentialStep::Rest);
        assert_eq!(shared().state(), Some(CredentialsState::Shared));
        let mut asked = shared();
        asked.reset_asked = true;
        assert!(puts_down(&asked.step()));
    }
}

#[test]
fn a_request_of_our_own_does_not_make_a_session_shared() {
    let mut renewed = world(Word::Available).see(|one| one.requests.push("r0".to_owned()));
    renewed.owned.insert("r0".to_owned());
    assert_eq!(reads(&renewed.step()), ["s1"]);
}

#[test]
fn a_person_may_ask_for_new_credentials_where_they_can_be_made() {
    let mut asked = world(Word::Viewed).was(CredentialsState::Delivered, None);
    asked.reset_asked = true;
    assert!(puts_down(&asked.step()));
    let asked = asked.see(|one| one.can_reset = false);
    assert_eq!(asked.step(), CredentialStep::Rest);
    assert_eq!(asked.next().not_resettable, ["s1"]);
    assert_eq!(asked.state(), Some(CredentialsState::Delivered));
}

#[test]
fn two_resets_never_have_the_same_time() {
    let mut again = world(Word::Viewed).was(CredentialsState::Delivered, Some(start()));
    again.reset_asked = true;
    let since = again.next().status.sessions[0].resetting_since.clone();
    assert!(since.unwrap().0 > start());
}

#[test]
fn a_reset_on_record_is_sent_at_once_by_who_put_it_down() {
    let planned = world(Word::Viewed)
        .was(CredentialsState::Resetting, Some(start()))
        .tried(ResetTry::default());
    assert!(resets(&planned.step()));
}

#[test]
fn another_process_looks_first_and_waits_before_it_sends_one() {
    let other = || world(Word::Viewed).was(CredentialsState::Resetting, Some(start()));
    assert_eq!(other().step(), CredentialStep::LookIntoSecret);
    let before = other().holds(both());
    assert_eq!(before.step(), CredentialStep::Rest, "it may have been sent");
    assert!(resets(&before.after(RESET_UNSURE).step()));
    let done = other().holds(delivered(Some(start())));
    assert_eq!(done.step(), CredentialStep::Rest);
    assert_eq!(done.state(), Some(CredentialsState::Delivered));
}

#[test]
fn new_credentials_are_read_when_they_are_surely_new() {
    let sent = |from_viewed, seen_resetting| {
        let tried = ResetTry {
            count: 1,
            sent: Some(start()),
            from_viewed,
            seen_resetting,
            ..ResetTry::default()
        };
        world(Word::Available)
            .was(CredentialsState::Resetting, Some(start()))
            .tried(tried)
    };
    assert_eq!(reads(&sent(true, false).step()), ["s1"]);
    assert_eq!(reads(&sent(false, true).step()), ["s1"]);
    let unsure = sent(false, false);
    assert_eq!(unsure.step(), CredentialStep::Rest);
    assert_eq!(reads(&unsure.after(Duration::from_secs(30)).step()), ["s1"]);
}

#[test]
fn a_reset_of_which_no_sign_is_seen_is_sent_again_ever_later() {
    let sent = |count| {
        let tried = ResetTry {
            count,
            sent: Some(start()),
            from_viewed: true,
            ..ResetTry::default()
        };
        world(Word::Viewed)
            .was(CredentialsState::Resetting, Some(start()))
            .tried(tried)
    };
    assert_eq!(sent(1).after(SECOND).step(), CredentialStep::Rest);
    assert!(resets(&sent(1).after(Duration::from_secs(20)).step()));
    assert!(!resets(&sent(3).after(Duration::from_secs(20)).step()));
}

#[test]
fn a_reset_that_is_refused_for_good_leaves_what_works() {
    for word in [Word::Viewed, Word::Silent] {
        let world = || {
            world(word.clone())
                .was(CredentialsState::Resetting, Some(start()))
                .tried(refused())
        };
        assert_eq!(world().step(), CredentialStep::LookIntoSecret);
        let kept = world().holds(resetting());
        assert_eq!(kept.step(), CredentialStep::Rest);
        assert_eq!(kept.state(), Some(CredentialsState::Delivered));
        assert!(kept.next().is_done);
        let message = kept.message();
        for part in ["403 not yours", "stay", "access.apono.io/reset-credentials"] {
            assert!(message.contains(part), "{message}");
        }
        for record in [Record::default(), reading(), both()] {
            let lost = world().holds(record);
            assert_eq!(lost.step(), CredentialStep::Rest);
            assert_eq!(lost.state(), Some(CredentialsState::ViewedElsewhere));
            assert!(lost.message().contains("403 not yours"));
            assert_eq!(lost.next().pause, Duration::from_mins(1));
        }
        let mut unsure = world().holds(resetting());
        let tried = unsure.memory.resets.get_mut("s1").unwrap();
        tried.may_be_done = true;
        assert_eq!(unsure.state(), Some(CredentialsState::ViewedElsewhere));
        tried_again_when_asked(world().holds(resetting()));
    }
}

fn tried_again_when_asked(mut world: World) {
    world = world.was(CredentialsState::Delivered, Some(start()));
    world.reset_asked = true;
    assert!(puts_down(&world.step()));
}

#[test]
fn a_reset_that_is_refused_is_tried_a_few_times_ever_later() {
    for count in 1..4 {
        let tried = ResetTry {
            count,
            refusals: count,
            ..refused()
        };
        let world = || {
            world(Word::Viewed)
                .was(CredentialsState::Resetting, Some(start()))
                .tried(tried.clone())
                .holds(resetting())
        };
        let pause = Duration::from_secs(2_u64.pow(count));
        assert_eq!(
            world().after(pause / 2).step(),
            CredentialStep::Rest,
            "{count}"
        );
        assert!(resets(&world().after(pause).step()), "{count}");
    }
    let hiccup = ResetTry {
        count: 40,
        refusals: 0,
        ..refused()
    };
    let world = world(Word::Viewed)
        .was(CredentialsState::Resetting, Some(start()))
        .tried(hiccup)
        .after(Duration::from_mins(10));
    assert!(resets(&world.step()), "what may pass is tried for ever");
}

#[test]
fn without_the_reset_a_session_is_what_it_was() {
    let world = |word| {
        world(word)
            .was(CredentialsState::Resetting, Some(start()))
            .tried(refused())
            .holds(Record::default())
    };
    assert_eq!(reads(&world(Word::Available).step()), ["s1"]);
    let shared = world(Word::Available).see(|one| one.requests.push("r-other".to_owned()));
    assert_eq!(shared.step(), CredentialStep::Rest);
    assert_eq!(shared.state(), Some(CredentialsState::Shared));
    // An interrupted read of ours asks for no further reset by itself.
    let lost = self::world(Word::Viewed)
        .was(CredentialsState::ViewedElsewhere, Some(start()))
        .tried(refused())
        .holds(reading());
    assert_eq!(lost.step(), CredentialStep::Rest);
    assert!(lost.message().contains("403 not yours"));
}

#[test]
fn a_reset_of_ours_is_known_by_the_secret_when_the_status_is_lost() {
    for word in [Word::Viewed, Word::Silent] {
        // Done and delivered.
        let done = world(word.clone()).holds(delivered(Some(start())));
        assert_eq!(done.step(), CredentialStep::Rest);
        assert_eq!(done.state(), Some(CredentialsState::Delivered));
        assert_eq!(done.next().reset_of("s1"), Some(start()));
        // Sent or not: what is in the Secret may not work any more.
        let open = || world(word.clone()).holds(resetting());
        assert_eq!(open().step(), CredentialStep::Rest);
        assert_eq!(open().state(), Some(CredentialsState::Resetting));
        assert_eq!(open().next().reset_of("s1"), Some(start()));
        assert!(resets(&open().after(RESET_UNSURE).step()));
        // Nothing was delivered before it.
        let first = world(word.clone()).holds(Record {
            delivered: BTreeMap::new(),
            ..resetting()
        });
        assert_eq!(first.state(), Some(CredentialsState::Resetting));
        // An old one is over.
        let over = world(word.clone()).holds(Record {
            delivered: delivered(Some(start() + SECOND)).delivered,
            ..resetting()
        });
        assert_eq!(over.state(), Some(CredentialsState::Delivered));
    }
}

#[test]
fn the_older_api_is_read_once_and_read_again_after_a_reset_and_some_time() {
    let silent = || world(Word::Silent);
    assert_eq!(silent().step(), CredentialStep::LookIntoSecret);
    let mut first = silent();
    first.secret = SecretSight::Absent;
    assert_eq!(reads(&first.step()), ["s1"]);
    assert!(puts_down(&silent().holds(reading()).step()));
    let sent = ResetTry {
        count: 1,
        sent: Some(start()),
        ..ResetTry::default()
    };
    let waiting = silent()
        .was(CredentialsState::Resetting, Some(start()))
        .tried(sent);
    assert_eq!(waiting.step(), CredentialStep::Rest);
    assert_eq!(
        reads(&waiting.after(Duration::from_secs(30)).step()),
        ["s1"]
    );
}

#[test]
fn a_word_nobody_knows_is_shown_and_not_read() {
    let odd = world(Word::Unknown("Humming".to_owned()));
    assert_eq!(odd.step(), CredentialStep::Rest);
    assert!(odd.message().contains("Humming"));
}

#[test]
fn no_session_is_waited_for_and_after_a_minute_it_says_so() {
    let mut none = world(Word::Available);
    none.sessions = Ok(Vec::new());
    assert_eq!(none.step(), CredentialStep::Rest);
    assert_eq!(none.next().pause, SECOND);
    assert_eq!(
        none.message(),
        "waiting for Apono to open the session of request r1"
    );
    none.memory.looks = 9;
    assert_eq!(none.next().pause, MOST_BETWEEN_LOOKS);
    let none = none.after(PATIENCE);
    assert!(
        none.message().contains("shows no session"),
        "{}",
        none.message()
    );
}

#[test]
fn nothing_is_read_before_every_integration_has_its_session_or_a_minute_has_passed() {
    let mut few = world(Word::Available);
    few.integrations = 2;
    assert_eq!(few.step(), CredentialStep::Rest);
    assert_eq!(reads(&few.after(PATIENCE).step()), ["s1"]);
}

#[test]
fn the_state_is_that_of_the_session_furthest_behind() {
    use CredentialsState::{Delivered, NotApplicable, Pending, Resetting, Shared, ViewedElsewhere};
    let of = |states: &[CredentialsState]| {
        let all = states.iter().map(|state| SessionStatus {
            state: Some(*state),
            ..SessionStatus::default()
        });
        overall(&all.collect::<Vec<_>>(), false)
    };
    assert_eq!(of(&[Delivered, NotApplicable]), Delivered);
    assert_eq!(of(&[NotApplicable]), NotApplicable);
    assert_eq!(of(&[Delivered, Pending]), Pending);
    assert_eq!(of(&[Resetting, Pending]), Resetting);
    assert_eq!(of(&[ViewedElsewhere, Resetting]), ViewedElsewhere);
    assert_eq!(of(&[Shared, ViewedElsewhere]), Shared);
    assert_eq!(of(&[]), Pending);
}

#[test]
fn what_was_delivered_counts_until_its_successor_is_there() {
    let mut renewed = world(Word::Available).was(CredentialsState::Delivered, None);
    renewed.targets[0].id = "r2".to_owned();
    renewed.owned.insert("r2".to_owned());
    renewed.others_live.insert("r1".to_owned());
    renewed.sessions = Ok(Vec::new());
    assert_eq!(renewed.state(), Some(CredentialsState::Delivered));
    assert_eq!(renewed.next().pause, SECOND);
    renewed.others_live.clear();
    assert_eq!(renewed.state(), Some(CredentialsState::Pending));
}

#[test]
fn a_session_that_others_reset_while_access_is_renewed_is_looked_at_ever_later() {
    let mut renewed = world(Word::Resetting).was(CredentialsState::Delivered, None);
    renewed.targets[0].id = "r2".to_owned();
    renewed.owned.insert("r2".to_owned());
    renewed.others_live.insert("r1".to_owned());
    let mut new = seen("s2", Word::Resetting);
    new.requests = vec!["r2".to_owned()];
    renewed.sessions = Ok(vec![new]);
    let decision = renewed.next();
    assert_eq!(decision.step, CredentialStep::Rest);
    assert_eq!(decision.status.state, Some(CredentialsState::Delivered));
    assert!(!decision.is_done, "nothing would be waited for");
    assert_eq!(decision.pause, SECOND);
    renewed.memory.looks = 3;
    assert_eq!(renewed.next().pause, SECOND * 8);
    renewed.memory.looks = 99;
    assert_eq!(renewed.next().pause, Duration::from_secs(15));
    let done = world(Word::Available).was(CredentialsState::Delivered, None);
    assert!(done.next().is_done);
}

#[test]
fn a_list_that_fails_leaves_what_is_delivered() {
    let mut failing = world(Word::Viewed).was(CredentialsState::Delivered, None);
    failing.sessions = Err("no answer".to_owned());
    assert_eq!(failing.state(), Some(CredentialsState::Delivered));
    let mut failing = world(Word::Viewed);
    failing.sessions = Err("no answer".to_owned());
    assert_eq!(failing.state(), Some(CredentialsState::Pending));
    assert!(failing.message().contains("no answer"));
}
