//! When a deletion revokes, waits and lets go.

use super::*;
use crate::crd::{REQUEST_AGAIN_ANNOTATION, RemoteApi};

#[test]
fn nothing_is_restored_on_an_object_that_is_being_deleted() {
    let (mut world, _) = asked("Active");
    world.resource.metadata.annotations = None;
    assert_eq!(
        world.deleted().plan().step,
        Step::Revoke {
            id: "r1".to_owned()
        }
    );
}

#[test]
fn deletion_of_what_was_never_asked_is_immediate() {
    let mut world = world().deleted();
    world.observed.connection = ConnectionSight::Missing {
        message: String::new(),
    };
    assert_eq!(world.plan().step, Step::Release);
}

#[test]
fn deletion_revokes_what_is_live_and_waits_until_it_is_read_back() {
    for word in [
        "Initializing",
        "Pending",
        "PendingMFA",
        "Granting",
        "Active",
        "Sleeping",
    ] {
        let (world, nonce) = asked(word);
        let mut world = world.deleted();
        assert_eq!(
            world.plan().step,
            Step::Revoke {
                id: "r1".to_owned()
            },
            "{word}"
        );
        let last = world.now;
        let tried = RevokeTry {
            count: 1,
            failures: 0,
            last,
            refusal: None,
        };
        world.observed.memory.revokes.insert("r1".to_owned(), tried);
        assert_eq!(world.plan().step, Step::Wait, "{word}: once");
        world.see(remote("r1", "Revoking", &nonce));
        assert_eq!(world.plan().step, Step::Wait);
        world.see(remote("r1", "Revoked", &nonce));
        assert_eq!(world.plan().step, Step::Release);
    }
}

#[test]
fn a_revoke_that_changed_nothing_is_sent_again() {
    let (world, _) = asked("Active");
    let mut world = world.deleted();
    let tried = RevokeTry {
        count: 1,
        failures: 0,
        last: world.now,
        refusal: None,
    };
    world.observed.memory.revokes.insert("r1".to_owned(), tried);
    let wait = world.plan().requeue.unwrap();
    assert_eq!(
        world.after(wait).plan().step,
        Step::Revoke {
            id: "r1".to_owned()
        }
    );
}

#[test]
fn deletion_looks_for_a_lost_answer_before_it_lets_go() {
    let (world, nonce) = lost();
    let mut world = world.deleted();
    assert_eq!(world.plan().step, Step::Wait);
    let mut absent = world.clone().after(SETTLED);
    absent.look();
    assert_eq!(absent.plan().step, Step::Release);
    world.find(&nonce, "r1", "Active");
    assert_eq!(
        world.plan().step,
        Step::Revoke {
            id: "r1".to_owned()
        }
    );
}

#[test]
fn deletion_waits_for_a_connection_that_cannot_be_used_yet_and_hands_over_at_the_deadline() {
    let (world, _) = asked("Active");
    let mut world = world.releasing();
    world.observed.connection = ConnectionSight::NotReady {
        message: String::new(),
        callable: false,
        unreachable: false,
        orphan: false,
    };
    let waiting = world.plan();
    assert_eq!(waiting.step, Step::Wait);
    assert!(waiting.requeue.is_some(), "the deadline wakes it");
    let late = world.after(world_deadline());
    assert!(matches!(late.plan().step, Step::HandOver(_)));
}

fn world_deadline() -> std::time::Duration {
    std::time::Duration::from_mins(10)
}

#[test]
fn orphaning_needs_the_connections_leave() {
    let (world, _) = asked("Active");
    let mut world = world.deleted();
    world.resource.spec.deletion_policy = Some(DeletionPolicy::Orphan);
    assert_eq!(
        world.plan().step,
        Step::Revoke {
            id: "r1".to_owned()
        }
    );
    world.observed.connection = ConnectionSight::Usable {
        orphan: true,
        paused: None,
    };
    assert_eq!(world.plan().step, Step::Release);
}

#[test]
fn a_failed_request_has_ended_only_if_it_never_was_access() {
    let (world, _) = asked("Failed");
    let world = world.deleted();
    let revoke = Step::Revoke {
        id: "r1".to_owned(),
    };
    assert_eq!(world.plan().step, revoke, "entitlements not read");

    let entitlement = |word: &str| {
        serde_json::from_value(serde_json::json!({
            "integration": {"id": "i", "name": "n"},
            "resource": {"id": "r", "source_id": "s", "type": {"id": "t", "label": "l"}, "name": "n"},
            "permission": {"name": "p"}, "status": word
        }))
        .unwrap()
    };
    for (word, ended) in [
        ("Failure", true),
        ("Pending", true),
        ("Granted", false),
        ("Whatever", false),
    ] {
        let mut world = world.clone();
        world
            .observed
            .entitlements
            .insert("r1".to_owned(), vec![entitlement(word)]);
        let expected = if ended { Step::Release } else { revoke.clone() };
        assert_eq!(world.plan().step, expected, "{word}");
    }

    let (mut seen, nonce) = asked("Active");
    seen.see(remote("r1", "Failed", &nonce));
    seen.fold(&Outcome::Nothing);
    let mut seen = seen.deleted();
    seen.observed
        .entitlements
        .insert("r1".to_owned(), vec![entitlement("Failure")]);
    assert_eq!(seen.plan().step, revoke, "it was active once");
}

#[test]
fn not_found_is_an_end_only_for_the_user_who_made_it_and_only_if_said_often() {
    let user = |id: &str| Some(id.to_owned());
    for (times, seconds, identity, ended) in [
        (3, 30, user("user-1"), true),
        (2, 30, user("user-1"), false),
        (3, 29, user("user-1"), false),
        (3, 30, user("user-2"), false),
        (9, 900, None, false),
    ] {
        let (world, _) = asked("Active");
        let mut world = world.deleted();
        let tried = RevokeTry {
            count: 1,
            failures: 0,
            last: world.now,
            refusal: None,
        };
        world.observed.memory.revokes.insert("r1".to_owned(), tried);
        world.lose("r1", times, seconds);
        world.observed.view.identity = identity.clone();
        let released = world.plan().step == Step::Release;
        assert_eq!(released, ended, "{times} times, {seconds} s, {identity:?}");
        assert!(matches!(
            world.observed.view.sights.get("r1"),
            Some(Sight::Missing(_))
        ));
    }
}

#[test]
fn a_look_that_comes_to_nothing_is_said_with_its_error() {
    let (mut world, _) = lost();
    let fault = (RemoteApi::UserV4, "the API answered `500`".to_owned());
    world.observed.view.look_faults.extend([fault]);
    world.fold(&Outcome::Nothing);
    assert!(world.status().message.unwrap().contains("500"));
    let mut world = world.deleted();
    world.fold(&Outcome::Nothing);
    assert!(world.status().message.unwrap().contains("500"));
}

#[test]
fn orphaning_needs_no_remote() {
    let (world, _) = asked("Active");
    let mut world = world.deleted();
    world.resource.spec.deletion_policy = Some(DeletionPolicy::Orphan);
    let message = String::new();
    world.observed.connection = ConnectionSight::Unauthorized {
        message,
        orphan: true,
    };
    assert_eq!(world.plan().step, Step::Release);
}

#[test]
fn what_waits_to_leave_with_others_is_not_handed_over_twice() {
    let (world, _) = asked("Active");
    let mut world = world.deleted();
    let tried = RevokeTry {
        count: 0,
        failures: 0,
        last: world.now,
        refusal: None,
    };
    let memory = &mut world.observed.memory;
    memory.revokes.insert("r1".to_owned(), tried);
    memory.handed_over.insert("r1".to_owned());
    let mut world = world.after(SECOND * 3600);
    let plan = world.plan();
    assert_eq!(plan.step, Step::Wait);
    // Not in a loop: its answer wakes.
    assert!(plan.requeue.unwrap() >= SECOND * 5, "{plan:?}");
    world.observed.memory.handed_over.clear();
    let revoke = Step::Revoke {
        id: "r1".to_owned(),
    };
    assert_eq!(world.plan().step, revoke, "it came to nothing");
}

#[test]
fn the_first_sight_of_access_is_news_until_it_is_stored() {
    let first_sight =
        |world: &World| Picture::of(&world.resource, &world.observed, world.now).has_first_sight;
    for word in ["Active", "Revoking"] {
        let (mut world, nonce) = asked("Pending");
        assert!(!first_sight(&world));
        world.see(remote("r1", word, &nonce));
        let mut world = world.deleted();
        assert!(first_sight(&world), "{word}");
        world.fold(&Outcome::Nothing);
        assert!(!first_sight(&world), "{word}");
        // So a revoke that fails is no grant that failed.
        world.see(remote("r1", "Failed", &nonce));
        assert!(!has_ended(&world.status().requests[0], &world.observed));
    }
}

#[test]
fn what_failed_in_an_earlier_attempt_is_read_before_it_is_let_go() {
    let (mut world, failed) = asked("Failed");
    world.annotate(REQUEST_AGAIN_ANNOTATION, "now");
    let again = world.ask(|nonce| Reply::Made(vec![remote("r2", "Pending", nonce)]));
    world.see(remote("r1", "Failed", &failed));
    world.see(remote("r2", "Revoked", &again));
    world.fold(&Outcome::Nothing);

    let mut world = world.releasing();
    let revoke = Step::Revoke {
        id: "r1".to_owned(),
    };
    assert_eq!(world.plan().step, revoke, "its entitlements are not read");
    let picture = Picture::of(&world.resource, &world.observed, world.now);
    let wanted = entitlements::wanted(
        &world.resource,
        &picture,
        &world.observed,
        Intent::Release,
        world.now,
    );
    assert_eq!(wanted.now, ["r1"]);
    world
        .observed
        .entitlements
        .insert("r1".to_owned(), Vec::new());
    assert_eq!(world.plan().step, Step::Release);
}
