//! Whether, and when, something is asked.

use super::*;
use crate::{
    controller::{
        attempt::MOST_POSTS,
        observed::ClockSet,
        resolution::{Consulted, Resolution},
        rounds::REPEAT_AFTER_NOT_SENT,
    },
    crd::{NamedRef, ResolvedAccess},
};

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
fn what_the_catalogue_says_no_to_is_looked_up_again_before_it_is_asked() {
    let message = || "no such bundle".to_owned();
    for (resolution, failures, seconds) in [
        (
            Resolution::NotAvailable {
                message: message(),
                status: None,
            },
            0,
            600,
        ),
        (Resolution::NotAllowed { message: message() }, 0, 600),
        (Resolution::Unreadable { message: message() }, 3, 8),
    ] {
        let mut world = world();
        world.observed.resolution = resolution.clone();
        world.observed.memory.consulted = Some(Consulted {
            at: world.now - 4 * SECOND,
            failures,
            question: 1,
            resolution: resolution.clone(),
        });
        let plan = world.plan();
        assert_eq!(plan.step, Step::Wait, "{resolution:?}");
        let wait = plan.requeue.unwrap().as_secs();
        assert_eq!(wait, seconds - 4, "{resolution:?}");
        world.fold(&Outcome::Nothing);
        let status = world.status();
        assert_eq!(status.message.as_deref(), Some("no such bundle"));
        assert_eq!(status.resolved, None);
    }
    let mut world = world();
    world.observed.resolution = Resolution::Found(ResolvedAccess {
        bundle: Some(NamedRef {
            id: Some("b-1".to_owned()),
            name: Some("prod-read".to_owned()),
        }),
        ..ResolvedAccess::default()
    });
    world.ask(|_| Reply::NotSent);
    world.observed.resolution = Resolution::AsWritten;
    world.fold(&Outcome::Nothing);
    let found = world.status().resolved.unwrap().bundle.unwrap();
    assert_eq!(found.id.as_deref(), Some("b-1"));
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
            orphan: false,
        },
        ConnectionSight::NotReady {
            message: message.clone(),
            callable: true,
            unreachable: false,
            orphan: false,
        },
        ConnectionSight::Unauthorized {
            message: message.clone(),
            orphan: false,
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
fn nothing_is_asked_before_the_labels_of_the_namespace_are_known() {
    let mut world = world();
    world.observed.connection = ConnectionSight::Undecided {
        message: "the labels are not known".to_owned(),
        orphan: false,
    };
    let plan = world.plan();
    assert_eq!(plan.step, Step::Wait);
    let a_moment = Duration::from_millis(50);
    let soon = RECHECK_LABELS..RECHECK_LABELS + a_moment;
    assert!(soon.contains(&plan.requeue.unwrap()), "{plan:?}");
    world.fold(&Outcome::Nothing);
    assert_eq!(
        world.conditions(),
        [
            "Ready=False Submitting",
            "Reconciling=True Submitting",
            "Synced=Unknown Submitting"
        ]
    );
    let message = world.status().message;
    assert_eq!(message.as_deref(), Some("the labels are not known"));
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
    let mut world = world.after(SETTLED.saturating_sub(SECOND));
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
        look.since = world.now - Duration::from_hours(1);
    }
    assert_eq!(world.plan().step, Step::Wait);
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
fn a_clock_that_was_set_neither_shortens_nor_stretches_the_wait_for_a_lost_answer() {
    let hour = Duration::from_hours(1);
    for is_forward in [true, false] {
        let (world, _) = lost();
        let mut world = world.after(SECOND);
        world.now = if is_forward {
            world.now + hour
        } else {
            world.now - hour
        };
        let at = world.now;
        let clock_set = |now| Some(ClockSet { at, now });
        world.observed.clock_set = clock_set(at);
        world.look();
        world.fold(&Outcome::Nothing);
        assert_eq!(world.plan().step, Step::Wait, "{is_forward}");
        let mut world = world.after(SETTLED);
        world.observed.clock_set = clock_set(world.now);
        assert_eq!(world.plan().step, Step::Wait, "nobody has looked since");
        world.look();
        let look = world.observed.view.look.values_mut().next().unwrap();
        look.since = Timestamp::MIN;
        assert!(
            matches!(world.plan().step, Step::Create { .. }),
            "{is_forward}"
        );
    }
}

#[test]
fn the_first_request_of_a_token_is_not_judged_by_the_lists_of_another() {
    let (world, _) = lost();
    let changed = world.now + 2 * SECOND;
    let mut world = world.after(SETTLED);
    world.look();
    let reign = |from, until| crate::poller::Reign { from, until };
    let mut other = world.clone();
    other.observed.view.identity = Some("user-2".to_owned());
    other.observed.view.reigns = vec![reign(changed, Timestamp::MAX)];
    other.fold(&Outcome::Nothing);
    assert_eq!(other.plan().step, Step::Wait);
    assert!(other.status().message.unwrap().contains("token"));
    let mut deleted = other.clone().deleted();
    deleted.fold(&Outcome::Nothing);
    assert_eq!(deleted.plan().step, Step::Wait);
    assert!(deleted.status().message.unwrap().contains("token"));
    // The first token is back.
    let back = world.now - SECOND;
    let reigns = vec![reign(back, Timestamp::MAX), reign(Timestamp::MIN, changed)];
    world.observed.view.reigns = reigns;
    assert!(matches!(world.plan().step, Step::Create { .. }));
    assert_eq!(world.deleted().plan().step, Step::Release);
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
        world.after(Duration::from_hours(1))
    };
    assert!(matches!(
        with_posts(&world, MOST_POSTS - 1).plan().step,
        Step::Create { .. }
    ));
    let mut full = with_posts(&world, MOST_POSTS);
    assert_eq!(full.plan().step, Step::Wait);
    let wait = full.plan().requeue.expect("until the first is forgotten");
    full.fold(&Outcome::Nothing);
    let message = full.status().message.unwrap();
    assert!(message.starts_with("300 calls"), "{message}");
    let Step::Create { ledger, .. } = full.after(wait).plan().step else {
        panic!("what came to nothing a day ago is forgotten")
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
