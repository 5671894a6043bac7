//! Tokens, ends from here, and the time to live.

use super::*;
use crate::{
    controller::{attempt::Ledger, fold::Happening, tokens::digest},
    crd::{REQUEST_AGAIN_ANNOTATION, RESET_CREDENTIALS_ANNOTATION, REVOKE_ANNOTATION},
};

fn reason(world: &World) -> String {
    world.status().reason.unwrap()
}

fn ignored(told: &[Happening]) -> usize {
    told.iter()
        .filter(|one| one.reason == "TokenIgnored")
        .count()
}

fn revoke(id: &str) -> Step {
    Step::Revoke { id: id.to_owned() }
}

#[test]
fn a_token_that_is_there_at_first_is_remembered_and_not_acted_on() {
    let mut world = world();
    for name in [
        REVOKE_ANNOTATION,
        REQUEST_AGAIN_ANNOTATION,
        RESET_CREDENTIALS_ANNOTATION,
    ] {
        world.annotate(name, "1");
    }
    world.mark();
    let told = world.fold(&Outcome::Nothing);
    assert_eq!(ignored(&told), 3, "{told:?}");
    let handled = world.status().last_handled.unwrap();
    assert_eq!(handled.revoke, Some(digest("1")));
    assert_eq!(handled.request_again, Some(digest("1")));
    assert_eq!(handled.reset_credentials, Some(digest("1")));
    assert_eq!(digest("1"), "6b86b273ff34fce1");
}

#[test]
fn the_revoke_token_latches_and_takes_back_and_keeps_the_resource() {
    let (mut world, nonce) = asked("Active");
    world.annotate(REVOKE_ANNOTATION, "1");
    world.resource.spec.suspend = Some(true);
    world.latch();
    assert_eq!(reason(&world), "Revoking");
    assert_eq!(
        world.status().last_handled.unwrap().revoke,
        Some(digest("1"))
    );
    // The latch, not the token: it may go.
    world
        .resource
        .metadata
        .annotations
        .as_mut()
        .unwrap()
        .remove(REVOKE_ANNOTATION);
    assert_eq!(world.plan().step, revoke("r1"));
    world.see(remote("r1", "Revoking", &nonce));
    assert_eq!(world.plan().step, Step::Wait);
    world.see(remote("r1", "Revoked", &nonce));
    world.fold(&Outcome::Nothing);
    assert_eq!(
        world.conditions(),
        ["Complete=True Revoked", "Synced=True Revoked"]
    );
    assert_eq!(world.status().phase, Some(crate::crd::Phase::Ended));
    assert_eq!(world.after(SECOND * 1_000_000).plan().step, Step::Wait);
}

#[test]
fn what_is_found_after_the_latch_is_taken_back_too() {
    let (mut world, nonce) = lost();
    world.annotate(REVOKE_ANNOTATION, "1");
    world.latch();
    assert_eq!(world.plan().step, Step::Wait, "look");
    assert_eq!(reason(&world), "Revoking");
    world.find(&nonce, "r1", "Active");
    world.fold(&Outcome::Nothing);
    assert_eq!(world.plan().step, revoke("r1"));
    let mut none = lost().0;
    none.annotate(REVOKE_ANNOTATION, "1");
    none.latch();
    let mut none = none.after(SETTLED);
    none.look();
    none.fold(&Outcome::Nothing);
    assert_eq!(reason(&none), "Revoked");
    assert_eq!(none.after(SECOND * 1_000_000).plan().step, Step::Wait);
}

#[test]
fn a_latch_survives_the_loss_of_the_annotation_and_of_the_status() {
    let (mut world, _) = asked("Active");
    world.annotate(REVOKE_ANNOTATION, "1");
    world.latch();
    let whole = world.resource.clone();
    world.resource.metadata.annotations = None;
    let Step::Restore(Some(ledger)) = world.plan().step else {
        panic!("{:?}", world.plan())
    };
    world.record(&ledger);
    assert_eq!(Ledger::of(&world.resource).end, Ledger::of(&whole).end);
    assert_eq!(world.plan().step, revoke("r1"));
    let mut world = world.clone();
    world.resource.status = None;
    assert!(Ledger::of(&world.resource).is_ended(1));
}

#[test]
fn a_record_of_an_older_version_reads() {
    let (world, nonce) = asked("Active");
    let mut world = world;
    let old = format!(
        r#"{{"n":1,"uid":"uid-1","object":"payments/orders-read","posts":[{{"n":1,"nonce":"{nonce}","time":"2026-11-23T12:00:00Z","of":""}}]}}"#
    );
    world.annotate(ATTEMPT_ANNOTATION, &old);
    assert!(Ledger::of(&world.resource).annotation_stands);
    assert_eq!(world.plan().step, Step::Wait);
    assert_eq!(
        Ledger::of(&world.resource)
            .record(&world.resource)
            .to_annotation(),
        old
    );
}

#[test]
fn a_revoke_token_with_nothing_to_take_back_is_remembered_only() {
    let (mut world, _) = asked("Revoked");
    world.annotate(REVOKE_ANNOTATION, "1");
    assert_eq!(world.plan().step, Step::Wait);
    assert_eq!(ignored(&world.fold(&Outcome::Nothing)), 1);
}

#[test]
fn the_request_again_token_asks_for_each_id_that_has_ended_once() {
    for word in ["Revoked", "Rejected", "Failed"] {
        let mut world = world();
        let both = |nonce: &Nonce| vec![remote("r1", word, nonce), remote("r2", word, nonce)];
        world.ask(|nonce| Reply::Made(both(nonce)));
        world.annotate(REQUEST_AGAIN_ANNOTATION, "1");
        assert_eq!(world.asks_again().as_deref(), Some("r1"), "{word}");
        let third = world.ask(|nonce| Reply::Made(vec![remote("r3", "Pending", nonce)]));
        let handled = world.status().last_handled.unwrap();
        assert_eq!(handled.request_again, Some(digest("1")), "with the mark");
        assert_eq!(reason(&world), "PendingApproval");
        assert_eq!(world.asks_again().as_deref(), Some("r2"));
        world.ask(|nonce| Reply::Made(vec![remote("r4", "Pending", nonce)]));
        assert_eq!(world.plan().step, Step::Wait);
        assert_eq!(world.status().attempt.unwrap().number, Some(2));
        world.see(remote("r3", "Rejected", &third));
        world.fold(&Outcome::Nothing);
        assert_eq!(world.plan().step, Step::Wait, "once");
    }
}

#[test]
fn a_refused_resource_without_an_id_is_created_anew() {
    let mut world = world();
    world.ask(|_| Reply::Refused("400".to_owned()));
    world.annotate(REQUEST_AGAIN_ANNOTATION, "1");
    let Step::Create { ledger, .. } = world.plan().step else {
        panic!("{:?}", world.plan())
    };
    assert_eq!(ledger.number, 2);
    world.ask(|_| Reply::Refused("400".to_owned()));
    assert_eq!(reason(&world), "RequestRefused");
    assert_eq!(
        world.after(SECOND * 1_000_000).plan().step,
        Step::Wait,
        "once"
    );
}

#[test]
fn a_request_again_token_that_does_not_apply_is_remembered_only() {
    for word in ["Pending", "Active"] {
        let (mut world, nonce) = asked(word);
        world.annotate(REQUEST_AGAIN_ANNOTATION, "1");
        assert_eq!(world.plan().step, Step::Wait);
        assert_eq!(ignored(&world.fold(&Outcome::Nothing)), 1);
        world.see(remote("r1", "Rejected", &nonce));
        world.fold(&Outcome::Nothing);
        assert_eq!(world.plan().step, Step::Wait, "{word}: not later either");
    }
}

#[test]
fn a_request_again_token_waits_for_resume_and_for_the_connection() {
    let (mut world, _) = asked("Rejected");
    world.annotate(REQUEST_AGAIN_ANNOTATION, "1");
    world.resource.spec.suspend = Some(true);
    world.fold(&Outcome::Nothing);
    assert_eq!(world.plan().step, Step::Wait);
    assert!(world.status().message.unwrap().contains("spec.suspend"));
    world.resource.spec.suspend = None;
    let usable = world.observed.connection.clone();
    world.observed.connection = ConnectionSight::Missing {
        message: String::new(),
    };
    world.fold(&Outcome::Nothing);
    assert_eq!(world.plan().step, Step::Wait);
    assert_eq!(world.status().last_handled, None);
    world.observed.connection = usable;
    assert_eq!(world.asks_again().as_deref(), Some("r1"));
}

#[test]
fn what_was_taken_back_from_here_can_be_asked_again_and_the_old_stays_ended() {
    let (mut world, nonce) = asked("Active");
    world.annotate(REVOKE_ANNOTATION, "1");
    world.latch();
    world.see(remote("r1", "Revoked", &nonce));
    world.fold(&Outcome::Nothing);
    world.annotate(REQUEST_AGAIN_ANNOTATION, "1");
    world.ask(|nonce| Reply::Made(vec![remote("r2", "Active", nonce)]));
    assert_eq!(reason(&world), "Active");
    assert_eq!(world.plan().step, Step::Wait);
    come_across(&mut world, "r3", &nonce);
    world.fold(&Outcome::Nothing);
    assert_eq!(
        world.plan().step,
        revoke("r3"),
        "late, of the ended attempt"
    );
}

#[test]
fn the_reconcile_token_is_remembered_when_it_was_acted_on() {
    let (mut world, _) = asked("Active");
    world.annotate(crate::crd::FLUX_RECONCILE_ANNOTATION, "now");
    world.fold(&Outcome::Nothing);
    assert_eq!(world.status().last_handled, None, "not yet acted on");
    world.observed.hastened = Some(digest("now"));
    assert_eq!(ignored(&world.fold(&Outcome::Nothing)), 0);
    let handled = world.status().last_handled.unwrap();
    assert_eq!(handled.reconcile, Some(digest("now")));
}

fn hurried(word: &str) -> (World, Nonce) {
    let (mut world, nonce) = asked(word);
    world.resource.spec.pending_timeout = Some("1h".into());
    world.fold(&Outcome::Nothing);
    (world, nonce)
}

#[test]
fn what_nobody_approves_in_time_is_cancelled_and_says_so() {
    for word in ["Pending", "PendingMFA", "Initializing"] {
        let (world, nonce) = hurried(word);
        let wait = world.plan().requeue.unwrap();
        assert!(wait <= Duration::from_secs(3601), "{wait:?}");
        let early = world.clone().after(Duration::from_secs(3599));
        assert_eq!(early.plan().step, Step::Wait, "{word}");
        let mut world = world.after(wait.max(Duration::from_hours(1)));
        world.latch();
        assert_eq!(world.plan().step, revoke("r1"));
        world.see(remote("r1", "Revoked", &nonce));
        world.fold(&Outcome::Nothing);
        assert_eq!(
            world.conditions(),
            ["Ready=False", "Stalled=True", "Synced=True"]
                .map(|one| format!("{one} ApprovalTimedOut"))
        );
        assert_eq!(world.status().phase, Some(crate::crd::Phase::Failed));
        let message = world.status().message.unwrap();
        assert!(message.contains("1h") && message.contains(REQUEST_AGAIN_ANNOTATION));
        world.annotate(REQUEST_AGAIN_ANNOTATION, "1");
        world.ask(|nonce| Reply::Made(vec![remote("r2", "Pending", nonce)]));
        assert_eq!(reason(&world), "PendingApproval", "its own hour begins");
        assert_eq!(world.plan().step, Step::Wait);
    }
    let (world, _) = hurried("Active");
    assert_eq!(world.after(SECOND * 7200).plan().step, Step::Wait);
}

#[test]
fn a_cancel_that_is_refused_is_tried_on_and_said() {
    let (world, _) = hurried("Pending");
    let mut world = world.after(Duration::from_hours(1));
    world.latch();
    let refusal = Some(crate::controller::observed::Refusal {
        status: Some(409),
        message: "no".to_owned(),
    });
    let tried = RevokeTry {
        count: 1,
        failures: 1,
        last: world.now,
        refusal,
    };
    world.observed.memory.revokes.insert("r1".to_owned(), tried);
    world.fold(&Outcome::Nothing);
    assert_eq!(reason(&world), "CancelRefused");
    let plan = world.plan();
    assert_eq!(plan.step, Step::Wait);
    assert_eq!(world.after(plan.requeue.unwrap()).plan().step, revoke("r1"));
}

#[test]
fn the_time_to_live_counts_from_the_end() {
    for word in ["Rejected", "Failed", "Revoked"] {
        let (mut world, _) = asked(word);
        world.resource.spec.ttl_seconds_after_finished = Some(600);
        let wait = world.plan().requeue.unwrap();
        assert!(wait <= SECOND * 601, "{wait:?}");
        assert_eq!(world.clone().after(SECOND * 599).plan().step, Step::Wait);
        let mut world = world.after(SECOND * 600);
        assert_eq!(world.plan().step, Step::Delete, "{word}");
        world.observed.gitops_owner = Some("label".to_owned());
        world.resource.metadata.generation = Some(2);
        assert_eq!(world.plan().step, Step::Wait);
        let told = world.fold(&Outcome::Nothing);
        assert!(told.iter().any(|one| one.reason == "TtlIgnored"));
    }
    for word in ["Active", "Pending", "Revoking", "Odd"] {
        let (mut world, _) = asked(word);
        world.resource.spec.ttl_seconds_after_finished = Some(0);
        assert_eq!(world.plan().step, Step::Wait, "{word}");
    }
}

#[test]
fn what_waits_to_be_asked_again_is_not_deleted() {
    let (mut world, _) = asked("Rejected");
    world.resource.spec.ttl_seconds_after_finished = Some(0);
    world.resource.spec.suspend = Some(true);
    assert_eq!(world.plan().step, Step::Delete);
    world.annotate(REQUEST_AGAIN_ANNOTATION, "1");
    assert_eq!(world.plan().step, Step::Wait);
}

#[test]
fn a_number_without_room_for_the_next_is_no_panic() {
    let (mut world, nonce) = asked("Revoked");
    let record = format!(
        r#"{{"n":9223372036854775807,"uid":"uid-1","object":"payments/orders-read","posts":[{{"n":9223372036854775807,"nonce":"{nonce}","time":"2026-11-23T12:00:00Z","of":""}}],"renewals":9223372036854775807}}"#
    );
    world.annotate(ATTEMPT_ANNOTATION, &record);
    world.annotate(REQUEST_AGAIN_ANNOTATION, "1");
    world.plan();
    world.fold(&Outcome::Nothing);
}

#[test]
fn more_than_can_be_remembered_is_asked_again_as_a_whole() {
    let mut world = world();
    let many = |nonce: &Nonce| {
        let ids = (0..30).map(|n| format!("r{n}"));
        ids.map(|id| remote(&id, "Rejected", nonce)).collect()
    };
    world.ask(|nonce| Reply::Made(many(nonce)));
    assert_eq!(world.status().requests.len(), 20);
    world.annotate(REQUEST_AGAIN_ANNOTATION, "1");
    let Step::Create { ledger, .. } = world.plan().step else {
        panic!("{:?}", world.plan())
    };
    assert_eq!((ledger.number, ledger.again), (2, Some(2)));
    world.ask(|nonce| Reply::Made(vec![remote("all", "Pending", nonce)]));
    assert_eq!(world.plan().step, Step::Wait, "once");
}

#[test]
fn what_is_still_to_be_asked_again_is_not_forgotten_for_what_ended_meanwhile() {
    let mut world = world();
    let old = |n: u32, nonce: &Nonce| {
        let mut old = remote(&format!("old{n:02}"), "Rejected", nonce);
        old.creation_date = Some("2026-11-20T12:00:00Z".parse().unwrap());
        old
    };
    world.ask(|nonce| Reply::Made((0..15).map(|n| old(n, nonce)).collect()));
    world.annotate(REQUEST_AGAIN_ANNOTATION, "1");
    let mut asked = Vec::new();
    while let Some(of) = world.asks_again() {
        let new = |nonce: &Nonce| remote(&format!("new-{of}"), "Rejected", nonce);
        world.ask(|nonce| Reply::Made(vec![new(nonce)]));
        assert!(world.status().requests.len() <= 20);
        asked.push(of);
    }
    assert_eq!(asked.len(), 15, "{asked:?}");
    asked.dedup();
    assert_eq!(asked.len(), 15, "each once");
}

#[test]
fn a_latch_ends_what_is_found_where_the_record_was_lost_as_a_whole() {
    let (mut world, _) = asked("Active");
    world.resource.metadata.annotations = None;
    let mut status = world.status();
    status.attempt = None;
    world.resource.status = Some(status);
    world.annotate(REVOKE_ANNOTATION, "1");
    world.latch();
    assert_eq!(reason(&world), "Revoking");
    assert_eq!(world.plan().step, revoke("r1"));
    // And nothing is asked where the rest is lost too.
    world.resource.status = None;
    world.observed.view.sights.clear();
    assert!(!matches!(world.plan().step, Step::Create { .. }));
}

#[test]
fn the_time_to_live_counts_from_the_end_and_not_from_a_trouble_before_it() {
    let mut world = world();
    world.resource.spec.ttl_seconds_after_finished = Some(600);
    let usable = world.observed.connection.clone();
    world.observed.connection = ConnectionSight::Missing {
        message: String::new(),
    };
    world.fold(&Outcome::Nothing);
    assert_eq!(reason(&world), "ConnectionNotFound");
    let mut world = world.after(Duration::from_hours(10));
    world.observed.connection = usable;
    world.ask(|_| Reply::Refused("400".to_owned()));
    assert_eq!(reason(&world), "RequestRefused");
    assert_eq!(world.plan().step, Step::Wait);
    let world = world.after(SECOND * 600);
    assert_eq!(world.plan().step, Step::Delete);
}
