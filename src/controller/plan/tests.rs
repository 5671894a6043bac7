//! One test for a row of the table, and the rules of who is who.

use std::time::Duration;

use super::*;
use crate::{
    controller::{
        fixtures::{SETTLED, World, asked, remote, world},
        fold::{Outcome, Reply},
        observed::RevokeTry,
    },
    crd::ATTEMPT_ANNOTATION,
    poller::{Sight, Snapshot},
};

const SECOND: Duration = Duration::from_secs(1);

fn lost() -> (World, Nonce) {
    let mut world = world();
    let nonce = world.ask(|_| Reply::Lost);
    (world, nonce)
}

#[test]
fn a_new_resource_is_asked_for() {
    let Step::Create { ledger, nonce } = world().plan().step else {
        panic!()
    };
    assert_eq!(ledger.number, 1);
    assert_eq!(ledger.entries.len(), 1);
    assert!(nonce.is_of("uid-1"));
}

#[test]
fn a_suspended_resource_is_not_asked_for() {
    let mut world = world();
    world.resource.spec.suspend = Some(true);
    assert_eq!(world.plan().step, Step::Wait);
}

#[test]
fn nothing_is_asked_through_a_connection_that_cannot_be_used() {
    let message = String::new();
    for sight in [
        ConnectionSight::Missing {
            message: message.clone(),
        },
        ConnectionSight::Deleting {
            message: message.clone(),
        },
        ConnectionSight::NotReady {
            message: message.clone(),
            callable: true,
        },
        ConnectionSight::Unauthorized {
            message: message.clone(),
        },
        ConnectionSight::NotAllowed {
            message: message.clone(),
            orphan: true,
        },
    ] {
        let mut world = world();
        world.observed.connection = sight;
        assert_eq!(
            world.plan(),
            Plan {
                step: Step::Wait,
                requeue: Some(RECHECK)
            }
        );
    }
}

#[test]
fn nothing_is_asked_while_the_remote_wants_a_pause() {
    let mut world = world();
    world.observed.connection = ConnectionSight::Usable {
        orphan: false,
        paused: Some(7 * SECOND),
    };
    assert_eq!(world.plan().step, Step::Wait);
    assert!(world.plan().requeue.unwrap() >= 7 * SECOND);
}

#[test]
fn a_lost_answer_is_looked_for_before_anything_is_asked_again() {
    let (mut world, _) = lost();
    for wait in [0, 10, 29, 60, 3600] {
        world = world.after(wait * SECOND);
        assert_eq!(
            world.plan().step,
            Step::Wait,
            "after {wait} s without a look"
        );
    }
}

#[test]
fn a_look_asked_for_too_early_concludes_nothing() {
    let (world, _) = lost();
    let mut world = world.after(SETTLED - SECOND);
    world.look();
    assert_eq!(world.clone().after(3600 * SECOND).plan().step, Step::Wait);
    world = world.after(SECOND);
    world.look();
    let Step::Create { ledger, .. } = world.plan().step else {
        panic!()
    };
    assert_eq!(ledger.entries.len(), 2, "the repeat is an entry of its own");
}

#[test]
fn a_look_that_does_not_reach_back_concludes_nothing() {
    let (world, _) = lost();
    let mut world = world.after(2 * SETTLED);
    world.look();
    for look in world.observed.view.look.values_mut() {
        look.since = world.now - Duration::from_secs(3600);
    }
    assert_eq!(world.plan().step, Step::Wait);
}

#[test]
fn for_somebody_else_both_lists_have_to_be_looked_through() {
    let mut world = world();
    world.observed.asks_for_another = true;
    world.ask(|_| Reply::Lost);
    let mut world = world.after(2 * SETTLED);
    world.look();
    assert_eq!(world.plan().step, Step::Wait);
    let look = world.observed.view.look.values().next().copied().unwrap();
    world
        .observed
        .view
        .look
        .insert(crate::crd::RemoteApi::Delegated, look);
    assert!(matches!(world.plan().step, Step::Create { .. }));
}

#[test]
fn a_lost_answer_that_is_found_is_adopted_and_nothing_is_asked() {
    let (mut world, nonce) = lost();
    world.find(&nonce, "r1", "Pending");
    assert_eq!(world.plan(), at_once(Step::Wait));
    world.fold(&Outcome::Nothing);
    let owned = &world.status().requests[0];
    assert_eq!((owned.id.as_str(), owned.adopted), ("r1", Some(true)));
    assert_eq!(
        world.status().attempt.unwrap().posts[0].outcome,
        Some(PostOutcome::Answered)
    );
    assert_eq!(world.plan().step, Step::Wait);
}

#[test]
fn a_found_request_of_another_object_is_not_touched() {
    let (mut world, nonce) = lost();
    let mut request = remote("r1", "Active", &nonce);
    request.justification = Some(format!("[k8s {nonce} cluster/other/thing] x"));
    let snapshot = Snapshot {
        request,
        api: crate::crd::RemoteApi::UserV4,
        asked_at: world.now,
    };
    world
        .observed
        .view
        .by_nonce
        .insert(nonce, vec![snapshot.into()]);
    world.fold(&Outcome::Nothing);
    assert!(world.status().requests.is_empty());
}

#[test]
fn a_look_with_another_users_token_concludes_nothing() {
    let user = |id: &str| Some(id.to_owned());
    let mut world = world();
    world.observed.user = user("user-1");
    world.ask(|_| Reply::Lost);
    let mut world = world.after(SETTLED);
    world.look();
    for other in [user("user-2"), None] {
        world.observed.view.identity = other;
        world.fold(&Outcome::Nothing);
        assert_eq!(world.plan().step, Step::Wait);
        assert!(world.status().message.unwrap().contains("token"));
        let mut deleted = world.clone().deleted();
        assert_eq!(deleted.plan().step, Step::Wait);
        deleted.fold(&Outcome::Nothing);
        assert!(deleted.status().message.unwrap().contains("token"));
    }
    let mut shared = world.clone();
    shared.observed.view.is_shared = true;
    world.observed.view.identity = user("user-1");
    for world in [world, shared] {
        assert!(matches!(world.plan().step, Step::Create { .. }));
        assert_eq!(world.deleted().plan().step, Step::Release);
    }
}

#[test]
fn what_certainly_was_not_sent_is_sent_again_without_a_look_but_later() {
    let mut world = world();
    world.ask(|_| Reply::NotSent);
    assert_eq!(world.plan().step, Step::Wait);
    assert!(matches!(
        world.after(REPEAT_AFTER_NOT_SENT).plan().step,
        Step::Create { .. }
    ));
}

#[test]
fn repeats_come_slower_and_slower() {
    let mut world = world();
    for pause in [5, 10, 20, 40] {
        world.ask(|_| Reply::NotSent);
        world = world.after(Duration::from_secs(pause - 1));
        assert_eq!(world.plan().step, Step::Wait, "after {} s", pause - 1);
        world = world.after(SECOND);
    }
}

#[test]
fn a_refused_create_is_final() {
    let mut world = world();
    world.ask(|_| Reply::Refused("400".to_owned()));
    let world = world.after(1_000_000 * SECOND);
    assert_eq!(
        world.plan(),
        Plan {
            step: Step::Wait,
            requeue: None
        }
    );
}

#[test]
fn an_empty_answer_is_looked_for_once_and_then_refused() {
    let mut world = world();
    world.ask(|_| Reply::Empty);
    assert_eq!(world.plan().step, Step::Wait);
    let mut world = world.after(SETTLED);
    world.look();
    world.fold(&Outcome::Nothing);
    assert_eq!(
        world.plan(),
        Plan {
            step: Step::Wait,
            requeue: None
        }
    );
    assert_eq!(world.status().reason.as_deref(), Some("RequestRefused"));
}

#[test]
fn no_further_post_leaves_after_three_hundred() {
    let mut world = world();
    world.ask(|_| Reply::NotSent);
    let with_posts = |world: &World, count: usize| {
        let mut world = world.clone();
        let attempt = world
            .resource
            .status
            .as_mut()
            .and_then(|status| status.attempt.as_mut());
        let posts = &mut attempt.unwrap().posts;
        while posts.len() < count {
            let random = u64::try_from(posts.len()).unwrap().to_le_bytes();
            let mut bytes = [9; crate::marker::RANDOM_BYTES];
            bytes[..8].copy_from_slice(&random);
            let nonce = Nonce::new("uid-1", bytes).to_string();
            posts.push(crate::crd::PostStatus {
                nonce,
                ..posts[0].clone()
            });
        }
        world.resource.metadata.annotations = None;
        let Step::Restore(Some(ledger)) = world.plan().step else {
            panic!()
        };
        let record = ledger.record(&world.resource).to_annotation();
        world.resource.metadata.annotations = Some(
            [(ATTEMPT_ANNOTATION.to_owned(), record)]
                .into_iter()
                .collect(),
        );
        world.after(Duration::from_secs(3600))
    };
    assert!(matches!(
        with_posts(&world, MOST_POSTS - 1).plan().step,
        Step::Create { .. }
    ));
    assert_eq!(with_posts(&world, MOST_POSTS).plan().step, Step::Wait);
}

#[test]
fn a_twin_is_revoked_and_the_first_stored_survives() {
    let (mut world, first) = lost();
    world = world.after(SETTLED);
    world.look();
    let second = world.ask(|nonce| Reply::Made(vec![remote("r2", "Active", nonce)]));
    world.see(remote("r2", "Active", &second));
    world.find(&first, "r1", "Active");
    assert_eq!(
        world.plan(),
        at_once(Step::Wait),
        "stored before anything is done to it"
    );
    world.fold(&Outcome::Nothing);
    assert_eq!(
        world.plan().step,
        Step::Revoke {
            id: "r1".to_owned()
        }
    );
    assert_eq!(world.status().phase, Some(crate::crd::Phase::Active));
}

#[test]
fn a_request_that_appears_after_it_was_concluded_absent_is_a_twin() {
    let (mut world, first) = lost();
    world = world.after(SETTLED);
    world.look();
    let second = world.ask(|nonce| Reply::Made(vec![remote("r2", "Active", nonce)]));
    world.see(remote("r2", "Active", &second));
    world.fold(&Outcome::Nothing);
    late(&mut world, "r1", &first);
    world.fold(&Outcome::Nothing);
    let outcomes: Vec<_> = world
        .status()
        .attempt
        .unwrap()
        .posts
        .iter()
        .map(|post| post.outcome)
        .collect();
    assert_eq!(outcomes, [Some(PostOutcome::Answered); 2]);
    assert_eq!(
        world.plan().step,
        Step::Revoke {
            id: "r1".to_owned()
        }
    );
}

#[test]
fn a_request_that_appears_before_the_repeat_makes_the_repeat_needless() {
    let (mut world, first) = lost();
    world = world.after(SETTLED);
    world.look();
    world.fold(&Outcome::Nothing);
    late(&mut world, "r1", &first);
    assert_eq!(world.plan(), at_once(Step::Wait));
    world.fold(&Outcome::Nothing);
    let world = world.after(3600 * SECOND);
    assert_eq!(world.plan().step, Step::Wait);
    assert_eq!(world.status().requests[0].id, "r1");
}

#[test]
fn a_sibling_that_appears_after_the_answer_is_kept_with_the_others() {
    let (mut world, nonce) = asked("Active");
    late(&mut world, "r2", &nonce);
    world.fold(&Outcome::Nothing);
    assert_eq!(world.status().requests.len(), 2);
    assert_eq!(world.plan().step, Step::Wait);
    let mut world = world.deleted();
    world.see(remote("r1", "Revoked", &nonce));
    assert_eq!(
        world.plan().step,
        Step::Revoke {
            id: "r2".to_owned()
        }
    );
}

#[test]
fn siblings_of_one_answer_are_all_kept() {
    let mut world = world();
    let nonce = world.ask(|nonce| {
        Reply::Made(vec![
            remote("r1", "Active", nonce),
            remote("r2", "Active", nonce),
        ])
    });
    world.find(&nonce, "r3", "Active");
    world.fold(&Outcome::Nothing);
    assert_eq!(world.status().requests.len(), 3);
    assert!(matches!(world.plan().step, Step::Wait));
}

fn stray(world: &mut World, id: &str, byte: u8) {
    let nonce = Nonce::new("uid-1", [byte; crate::marker::RANDOM_BYTES]);
    late(world, id, &nonce);
}

/// A sweep shows a live request that no list of ours names, by the mark it bears: the poller does
/// not look for its nonce any more.
fn late(world: &mut World, id: &str, nonce: &Nonce) {
    let request = remote(id, "Active", nonce);
    let mark = crate::marker::Mark::parse(request.justification.as_deref().unwrap()).unwrap();
    let api = crate::crd::RemoteApi::UserV4;
    let snapshot = Snapshot {
        request: request.clone(),
        api,
        asked_at: world.now,
    };
    world.observed.view.strays.push((mark, snapshot.into()));
    world.see(request);
}

#[test]
fn a_stray_is_revoked_beside_a_live_request_and_adopted_without_one() {
    let (mut world, _) = asked("Active");
    stray(&mut world, "r9", 99);
    world.fold(&Outcome::Nothing);
    assert_eq!(
        world.plan().step,
        Step::Revoke {
            id: "r9".to_owned()
        }
    );

    let (mut world, _) = asked("Revoked");
    stray(&mut world, "r9", 99);
    world.fold(&Outcome::Nothing);
    assert_eq!(world.plan().step, Step::Wait);
    assert_eq!(
        world.status().phase,
        Some(crate::crd::Phase::Ended),
        "the worse leads"
    );
}

#[test]
fn a_dropped_finalizer_and_record_are_put_back_first() {
    let (mut world, _) = asked("Pending");
    world.resource.metadata.finalizers = None;
    world.resource.metadata.annotations = None;
    let Step::Restore(Some(ledger)) = world.plan().step else {
        panic!()
    };
    assert_eq!(ledger.entries.len(), 1);
    let record = ledger.record(&world.resource).to_annotation();
    world.resource.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    world.resource.metadata.annotations = Some(
        [(ATTEMPT_ANNOTATION.to_owned(), record)]
            .into_iter()
            .collect(),
    );
    assert_eq!(world.plan().step, Step::Wait);
}

#[test]
fn a_dropped_record_alone_is_put_back() {
    let (mut world, _) = asked("Pending");
    world.resource.metadata.annotations = None;
    assert!(matches!(world.plan().step, Step::Restore(Some(_))));
}

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

/// The same name applied again with the annotation of the resource that was there before.
fn reapplied(word: &str) -> (World, Nonce) {
    let (before, nonce) = asked(word);
    let mut world = before;
    world.resource.metadata.uid = Some("uid-2".to_owned());
    world.resource.metadata.finalizers = None;
    world.resource.status = None;
    world.observed.view.sights.clear();
    (world.after(SETTLED), nonce)
}

#[test]
fn a_reapplied_resource_adopts_what_is_still_live() {
    let (mut world, nonce) = reapplied("Active");
    assert_eq!(world.plan().step, Step::Wait, "look first");
    world.find(&nonce, "r1", "Active");
    assert!(matches!(world.plan().step, Step::Restore(_)));
    world.fold(&Outcome::Nothing);
    assert_eq!(world.status().requests[0].id, "r1");
}

#[test]
fn a_reapplied_resource_whose_requests_have_ended_starts_anew() {
    let (mut world, nonce) = reapplied("Revoked");
    world.find(&nonce, "r1", "Revoked");
    assert_eq!(world.plan().step, Step::Wait, "look first");
    world.look();
    world.fold(&Outcome::Nothing);
    assert!(world.status().requests.is_empty());
    let Step::Create { ledger, .. } = world.plan().step else {
        panic!("{:?}", world.plan())
    };
    assert_eq!((ledger.number, ledger.entries.len()), (1, 1));
}

#[test]
fn the_record_of_another_object_is_discarded() {
    let (mut world, _) = reapplied("Active");
    world.resource.metadata.name = Some("another".to_owned());
    let Step::Create { ledger, .. } = world.plan().step else {
        panic!("{:?}", world.plan())
    };
    assert_eq!(ledger.entries.len(), 1);
}

#[test]
fn ended_requests_are_not_asked_for_again() {
    for word in ["Revoked", "Rejected", "Failed", "EXPIRED"] {
        let (world, _) = asked(word);
        let world = world.after(1_000_000 * SECOND);
        assert_eq!(world.plan().step, Step::Wait, "{word}");
    }
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
fn deletion_waits_for_a_connection() {
    for sight in [
        ConnectionSight::Missing {
            message: String::new(),
        },
        ConnectionSight::Unauthorized {
            message: String::new(),
        },
        ConnectionSight::NotReady {
            message: String::new(),
            callable: false,
        },
    ] {
        let (world, _) = asked("Active");
        let mut world = world.deleted();
        world.observed.connection = sight;
        assert_eq!(world.plan().step, Step::Wait);
    }
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
