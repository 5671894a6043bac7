use super::*;
use crate::controller::{
    fixtures::{World, asked},
    fold::Reply,
    observed::{Refusal, RevokeTry},
    plan::Step,
};

const DEADLINE: Duration = Duration::from_mins(10);

fn handed(world: &World) -> Option<Debt> {
    match world.plan().step {
        Step::HandOver(debt) => Some(debt),
        _ => None,
    }
}

fn unauthorized() -> ConnectionSight {
    ConnectionSight::Unauthorized {
        message: String::new(),
        orphan: false,
    }
}

#[test]
fn where_waiting_is_hopeless_what_is_left_is_owed_at_once() {
    let missing = ConnectionSight::Missing {
        message: String::new(),
    };
    for (sight, reason) in [
        (missing, OwedReason::ConnectionNotFound),
        (unauthorized(), OwedReason::Unauthorized),
    ] {
        let (mut world, _) = asked("Active");
        world.observed.connection = sight;
        assert_eq!(handed(&world), None, "it is not being deleted");
        let debt = handed(&world.deleted()).unwrap();
        assert_eq!(debt.reason, reason);
        assert_eq!(debt.requests[0].id, "r1");
        assert_eq!(debt.requests[0].was_access, Some(true));
        assert_eq!(debt.requests[0].requestor_id.as_deref(), Some("user-1"));
        assert_eq!(debt.marks, []);
    }
}

#[test]
fn a_finalizer_that_is_gone_before_the_access_leaves_a_debt_at_once() {
    let (world, _) = asked("Active");
    let mut world = world.deleted();
    assert_eq!(handed(&world), None);
    world.resource.metadata.finalizers = None;
    let debt = handed(&world).unwrap();
    assert_eq!(debt.reason, OwedReason::FinalizerRemoved);
}

#[test]
fn everything_else_is_owed_at_the_deadline_and_not_before() {
    let (world, _) = asked("Revoking");
    let world = world.releasing();
    let early = world
        .clone()
        .after(DEADLINE.saturating_sub(Duration::from_secs(1)));
    assert_eq!(handed(&early), None);
    let late = world.after(DEADLINE);
    assert_eq!(handed(&late).unwrap().reason, OwedReason::Revoking);
}

#[test]
fn a_process_that_has_just_begun_tries_first_however_late_it_is() {
    let (world, _) = asked("Active");
    let mut world = world.deleted().after(2 * DEADLINE);
    world.observed.memory.releasing_since = Some(world.now);
    assert!(matches!(world.plan().step, Step::Revoke { .. }));
    let late = world.after(FAIR_TRY);
    assert!(handed(&late).is_some());
}

#[test]
fn what_has_ended_is_not_owed() {
    let (mut world, _) = asked("Revoked");
    world.observed.connection = unauthorized();
    assert_eq!(world.deleted().plan().step, Step::Release);
}

#[test]
fn a_lost_answer_is_owed_by_its_mark_for_a_day() {
    let mut world = crate::controller::fixtures::world();
    let nonce = world.ask(|_| Reply::Lost);
    let mut world = world.deleted();
    world.observed.connection = unauthorized();
    let debt = handed(&world).unwrap();
    assert_eq!(debt.requests, []);
    assert_eq!(debt.marks[0].nonce, nonce.to_string());
    let until = debt.marks[0].search_until.clone().unwrap().0;
    assert_eq!(until, world.now + SEARCHED_FOR);
}

#[test]
fn the_reason_is_the_plainest_there_is() {
    let tried = |status| RevokeTry {
        count: 4,
        failures: 4,
        last: Timestamp::UNIX_EPOCH,
        refusal: Some(Refusal {
            status,
            message: String::new(),
        }),
    };
    for (word, status, reason) in [
        ("Pending", Some(400), OwedReason::CancelRefused),
        ("Active", Some(403), OwedReason::RevokeFailed),
        ("Active", Some(503), OwedReason::ApiUnavailable),
        ("Active", None, OwedReason::ApiUnavailable),
    ] {
        let (world, _) = asked(word);
        let mut world = world.releasing().after(DEADLINE);
        let tries = &mut world.observed.memory.revokes;
        tries.insert("r1".to_owned(), tried(status));
        assert_eq!(handed(&world).unwrap().reason, reason, "{word} {status:?}");
    }
}

#[test]
fn a_connection_is_needed_while_something_is_live_or_open() {
    for (word, needed) in [
        ("Active", true),
        ("Pending", true),
        ("Failed", true),
        ("Revoked", false),
        ("Rejected", false),
    ] {
        let (world, _) = asked(word);
        assert_eq!(needs_connection(&world.resource), needed, "{word}");
    }
    let mut lost = crate::controller::fixtures::world();
    assert!(!needs_connection(&lost.resource));
    lost.ask(|_| Reply::Lost);
    assert!(needs_connection(&lost.resource));
    let mut released = lost.deleted();
    released.resource.metadata.finalizers = None;
    assert!(!needs_connection(&released.resource), "it was handed over");
}
