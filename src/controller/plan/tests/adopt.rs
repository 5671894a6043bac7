//! Who is who: siblings, twins, strays, and what is put back.

use super::*;

#[test]
fn a_lost_answer_that_is_found_is_adopted_and_nothing_is_asked() {
    let (mut world, nonce) = lost();
    world.find(&nonce, "r1", "Pending");
    assert_eq!(world.plan(), at_once(Step::Wait));
    world.fold(&Outcome::Nothing);
    let owned = &world.status().requests[0];
    assert_eq!((owned.id.as_str(), owned.adopted), ("r1", Some(true)));
    assert_eq!(world.status().phase, Some(crate::crd::Phase::Pending));
    assert_eq!(
        outcome(&world),
        Some(PostOutcome::Open),
        "others may follow"
    );
    assert_eq!(world.plan().step, Step::Wait);
    let mut world = world.after(SETTLED);
    world.look();
    world.fold(&Outcome::Nothing);
    assert_eq!(outcome(&world), Some(PostOutcome::Answered));
    assert_eq!(world.after(3600 * SECOND).plan().step, Step::Wait);
}

fn outcome(world: &World) -> Option<PostOutcome> {
    world.status().attempt?.posts.first()?.outcome
}

#[test]
fn a_sibling_that_lists_show_only_later_is_waited_for() {
    let (mut world, nonce) = lost();
    world.find(&nonce, "r1", "Active");
    world.look();
    world.fold(&Outcome::Nothing);
    let mut world = world.after(10 * SECOND).deleted();
    let revoke = |id: &str| Step::Revoke { id: id.to_owned() };
    assert_eq!(world.plan().step, revoke("r1"), "at once");
    world.find(&nonce, "r1", "Revoked");
    world.fold(&Outcome::Nothing);
    assert_eq!(world.plan().step, Step::Wait, "r2 may still turn up");
    assert!(world.plan().requeue.is_some());
    let mut alone = world.clone().after(SETTLED);
    alone.look();
    assert_eq!(alone.plan().step, Step::Release, "there was none");

    world.find(&nonce, "r2", "Active");
    assert_eq!(world.plan().step, revoke("r2"));
    let mut world = world.after(SETTLED);
    world.look();
    world.fold(&Outcome::Nothing);
    world.find(&nonce, "r2", "Revoked");
    assert_eq!(world.plan().step, Step::Release);
}

#[test]
fn an_answer_needs_no_look_even_if_a_list_shows_its_requests_first() {
    let mut world = world();
    let nonce = world.ask(|nonce| Reply::Made(vec![remote("r1", "Active", nonce)]));
    world.find(&nonce, "r1", "Active");
    world.fold(&Outcome::Nothing);
    assert_eq!(outcome(&world), Some(PostOutcome::Answered));
}

#[test]
fn what_is_found_although_it_was_not_sent_is_looked_on_for() {
    let mut world = world();
    let nonce = world.ask(|_| Reply::NotSent);
    come_across(&mut world, "r1", &nonce);
    world.fold(&Outcome::Nothing);
    assert_eq!(outcome(&world), Some(PostOutcome::Open));
    let mut world = world.after(SETTLED);
    world.look();
    world.fold(&Outcome::Nothing);
    assert_eq!(outcome(&world), Some(PostOutcome::Answered));
}

#[test]
fn a_found_request_of_another_object_is_not_touched() {
    let (mut world, nonce) = lost();
    let mut request = remote("r1", "Active", &nonce);
    request.justification = Some(format!("[k8s {nonce} cluster/other/thing] x"));
    let snapshot = Snapshot::new(request, crate::crd::RemoteApi::UserV4, world.now);
    world
        .observed
        .view
        .by_nonce
        .insert(nonce, vec![snapshot.into()]);
    world.fold(&Outcome::Nothing);
    assert!(world.status().requests.is_empty());
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
fn a_post_that_was_thought_absent_and_arrived_late_is_revoked_as_a_twin() {
    let (world, first) = lost();
    let mut world = world.after(SETTLED);
    world.look();
    let second = world.ask(|nonce| Reply::Made(vec![remote("r2", "Active", nonce)]));
    world.see(remote("r2", "Active", &second));
    world.fold(&Outcome::Nothing);
    come_across(&mut world, "r1", &first);
    world.fold(&Outcome::Nothing);
    assert_eq!(
        world.plan().step,
        Step::Revoke {
            id: "r1".to_owned()
        }
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
    assert_eq!(
        world.plan().step,
        Step::Restore(None),
        "held while it is looked for"
    );
    world.find(&nonce, "r1", "Active");
    assert_eq!(world.plan().step, Step::Restore(None));
    world.fold(&Outcome::Nothing);
    assert_eq!(world.status().requests[0].id, "r1");
    world.look();
    let Step::Restore(Some(ledger)) = world.plan().step else {
        panic!("{:?}", world.plan())
    };
    assert_eq!(ledger.entries.len(), 1, "its own from now on");
}

#[test]
fn a_reapplied_resource_whose_requests_have_ended_starts_anew() {
    let (mut world, nonce) = reapplied("Revoked");
    world.resource.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
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
fn a_request_that_appears_before_the_repeat_makes_the_repeat_needless() {
    let (mut world, first) = lost();
    world = world.after(SETTLED);
    world.look();
    world.fold(&Outcome::Nothing);
    come_across(&mut world, "r1", &first);
    assert_eq!(world.plan(), at_once(Step::Wait));
    world.fold(&Outcome::Nothing);
    let world = world.after(3600 * SECOND);
    assert_eq!(world.plan().step, Step::Wait);
    assert_eq!(world.status().requests[0].id, "r1");
}

#[test]
fn a_sibling_that_appears_after_the_answer_is_kept_with_the_others() {
    let (mut world, nonce) = asked("Active");
    come_across(&mut world, "r2", &nonce);
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
fn a_time_without_room_for_what_is_counted_from_it_is_not_taken() {
    let mut world = world();
    let nonce = Nonce::new("uid-9", [1; crate::marker::RANDOM_BYTES]);
    let record = format!(
        r#"{{"n":1,"uid":"uid-9","object":"payments/orders-read","posts":[{{"n":1,"nonce":"{nonce}","time":"9999-12-30T22:00:00Z"}}]}}"#
    );
    world.resource.metadata.annotations = Some(
        [(ATTEMPT_ANNOTATION.to_owned(), record)]
            .into_iter()
            .collect(),
    );
    assert!(matches!(world.plan().step, Step::Create { .. }));
}
