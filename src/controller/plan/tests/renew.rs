//! Renewal: when it starts, what it asks, and what becomes of it.

use super::*;
use crate::crd::Renewal;

const HOUR: Duration = Duration::from_hours(1);

/// An active request that ends at eight and is renewed from half past seven on.
fn renewed() -> (World, Nonce) {
    let (mut world, nonce) = asked("Active");
    world.resource.spec.renewal = Some(Renewal {
        before: "30m".into(),
        max_renewals: 2,
        justification: None,
    });
    world.fold(&Outcome::Nothing);
    (world, nonce)
}

fn due() -> World {
    renewed().0.after(HOUR * 15 / 2)
}

fn later(id: &str, word: &str, nonce: &Nonce) -> apono_client::AccessRequest {
    let mut request = remote(id, word, nonce);
    request.revocation_date = Some("2026-11-24T04:00:00Z".parse().unwrap());
    request
}

fn reason(world: &World) -> String {
    world.status().reason.unwrap()
}

fn message(world: &World) -> String {
    world.status().message.unwrap()
}

#[test]
fn a_renewal_starts_at_its_time_and_not_before() {
    let (world, _) = renewed();
    let wait = world.plan().requeue.unwrap();
    assert!(
        wait >= HOUR * 15 / 2 && wait < HOUR * 15 / 2 + SECOND,
        "{wait:?}"
    );
    assert_eq!(
        world
            .clone()
            .after(wait.saturating_sub(SECOND))
            .asks_again(),
        None
    );
    let world = world.after(wait);
    let Step::Again { ledger, of, .. } = world.plan().step else {
        panic!("{:?}", world.plan())
    };
    assert_eq!((of.as_str(), ledger.number, ledger.renewals), ("r1", 2, 1));
}

#[test]
fn a_renewal_keeps_the_access_ready_and_replaces_it_only_when_active() {
    let mut world = due();
    let nonce = world.ask(|nonce| Reply::Made(vec![later("r2", "Pending", nonce)]));
    assert_eq!(reason(&world), "Renewing");
    assert_eq!(
        world.conditions(),
        ["Ready=True Renewing", "Synced=True Renewing"]
    );
    assert_eq!(world.status().phase, Some(crate::crd::Phase::Renewing));
    assert!(message(&world).contains("r2 waits for an approver"));
    assert_eq!(world.status().expires.as_deref(), Some("2026-11-23 20:00Z"));
    assert_eq!(world.status().renewals, Some(1));
    assert_eq!(world.plan().step, Step::Wait, "once");

    world.see(later("r2", "Active", &nonce));
    world.fold(&Outcome::Nothing);
    assert_eq!(reason(&world), "Active");
    assert_eq!(world.status().expires.as_deref(), Some("2026-11-24 04:00Z"));
    assert_eq!(world.plan().step, Step::Wait, "nothing is revoked early");
    assert_eq!(world.status().requests.len(), 2);
    let deleted = world.clone().deleted();
    assert!(matches!(deleted.plan().step, Step::Revoke { .. }));
}

#[test]
fn old_access_that_ends_before_the_renewal_is_approved_leaves_the_renewal() {
    let mut world = due();
    world.ask(|nonce| Reply::Made(vec![later("r2", "Pending", nonce)]));
    let (_, first) = asked("Active");
    let mut world = world.after(HOUR);
    world.see(remote("r1", "Revoked", &first));
    world.fold(&Outcome::Nothing);
    assert_eq!(reason(&world), "PendingApproval");
}

#[test]
fn the_last_renewal_is_the_last() {
    let mut world = due();
    for (n, id) in [(2, "r2"), (3, "r3")] {
        let nonce = world.ask(|nonce| Reply::Made(vec![later(id, "Active", nonce)]));
        world.see(later(id, "Active", &nonce));
        world.fold(&Outcome::Nothing);
        assert_eq!(world.status().attempt.unwrap().number, Some(n));
        world = world.after((HOUR * 8).saturating_sub(SECOND * 10));
        // The next one ends as the one before: late enough to be due again.
        let end = Some(world.now + HOUR / 4);
        let mut request = later(id, "Active", &nonce);
        request.revocation_date = end;
        world.see(request);
        world.fold(&Outcome::Nothing);
    }
    assert_eq!(world.status().renewals, Some(2));
    assert_eq!(world.asks_again(), None);
    assert!(
        message(&world).contains("maxRenewals is 2"),
        "{}",
        message(&world)
    );
}

#[test]
fn access_shorter_than_the_time_before_is_renewed_at_half_its_time() {
    let (mut world, _) = renewed();
    world.resource.spec.renewal.as_mut().unwrap().before = "10h".into();
    let wait = world.plan().requeue.unwrap();
    assert!(wait >= HOUR * 4 && wait < HOUR * 4 + SECOND, "{wait:?}");
    let world = world.after(wait);
    assert_eq!(world.asks_again().as_deref(), Some("r1"));
}

#[test]
fn nothing_is_renewed_while_suspended_or_where_nothing_may_be_asked() {
    let mut world = due();
    world.resource.spec.suspend = Some(true);
    world.fold(&Outcome::Nothing);
    assert_eq!(world.plan().step, Step::Wait);
    assert!(message(&world).contains("spec.suspend"));
    assert_eq!(reason(&world), "Active");

    let mut world = due();
    world.observed.connection = ConnectionSight::NotAllowed {
        message: "too long".to_owned(),
        orphan: false,
    };
    world.fold(&Outcome::Nothing);
    let plan = world.plan();
    assert_eq!(plan.step, Step::Wait);
    assert!(plan.requeue.unwrap() <= RECHECK);
    assert_eq!(reason(&world), "Renewing");
    assert!(message(&world).contains("waits: too long"));
}

#[test]
fn access_without_a_known_end_is_not_renewed_and_says_so() {
    let (mut world, nonce) = renewed();
    let mut request = remote("r1", "Active", &nonce);
    request.revocation_date = None;
    world.see(request);
    world.fold(&Outcome::Nothing);
    assert!(message(&world).contains("names no end"));
    assert_eq!(world.after(HOUR * 100).asks_again(), None);
}

#[test]
fn a_renewal_whose_answer_is_lost_is_looked_for_before_it_is_asked_once_more() {
    let mut world = due();
    let nonce = world.ask(|_| Reply::Lost);
    assert_eq!(reason(&world), "Renewing");
    assert_eq!(world.clone().after(HOUR / 4).plan().step, Step::Wait);
    let mut found = world.clone();
    found.find(&nonce, "r2", "Active");
    found.fold(&Outcome::Nothing);
    assert_eq!(found.status().requests[1].attempt, Some(2));
    let mut world = world.after(SETTLED);
    world.look();
    world.fold(&Outcome::Nothing);
    assert_eq!(world.asks_again().as_deref(), Some("r1"));
    world.ask(|nonce| Reply::Made(vec![later("r3", "Active", nonce)]));
    assert_eq!(world.status().renewals, Some(1), "the same renewal");
    // The first arrives late: a twin.
    world.find(&nonce, "r2", "Active");
    world.fold(&Outcome::Nothing);
    let twin = Step::Revoke {
        id: "r2".to_owned(),
    };
    assert_eq!(world.plan().step, twin);
}

#[test]
fn only_when_all_were_refused_one_create_asks_for_everything() {
    let mut world = world();
    let both = |nonce: &Nonce| vec![remote("r1", "Active", nonce), remote("r2", "Active", nonce)];
    let nonce = world.ask(|nonce| Reply::Made(both(nonce)));
    for one in both(&nonce) {
        world.see(one);
    }
    world.fold(&Outcome::Nothing);
    world.resource.spec.renewal = due().resource.spec.renewal;
    let mut world = world.after(HOUR * 15 / 2);
    let refuse = |_: &Nonce| Reply::Refused("409".to_owned());
    assert_eq!(world.asks_again().as_deref(), Some("r1"));
    world.ask(refuse);
    assert_eq!(world.asks_again().as_deref(), Some("r2"));
    let mut one = world.clone();
    one.ask(|nonce| Reply::Made(vec![later("r3", "Active", nonce)]));
    assert_eq!(one.plan().step, Step::Wait, "one of them was made");
    world.ask(refuse);
    let Step::Create { ledger, .. } = world.plan().step else {
        panic!("{:?}", world.plan())
    };
    assert_eq!((ledger.number, ledger.renewals), (2, 1));
}

#[test]
fn a_refused_renewal_is_told_once_and_asked_for_once_more_after_the_end() {
    let mut world = due();
    let (_, first) = asked("Active");
    world.ask(|_| Reply::Refused("409".to_owned()));
    let (ledger, nonce) = world.mark();
    let sent_at = world.now;
    let told = world.fold(&Outcome::Posted {
        ledger,
        nonce,
        sent_at,
        reply: Reply::Refused("409 no more".to_owned()),
    });
    assert_eq!(
        told.iter()
            .filter(|one| one.reason == "RenewalRefused")
            .count(),
        1
    );
    assert!(told.iter().any(|one| one.note.contains("409 no more")));
    assert_eq!(reason(&world), "Active");
    assert_eq!(world.conditions()[0], "Ready=True Active");
    assert_eq!(world.plan().step, Step::Wait);

    let mut world = world.after(HOUR);
    world.see(remote("r1", "Revoked", &first));
    world.fold(&Outcome::Nothing);
    assert_eq!(world.asks_again().as_deref(), Some("r1"));
    world.ask(|_| Reply::Refused("409".to_owned()));
    world.ask(|_| Reply::Refused("409".to_owned()));
    assert_eq!(reason(&world), "RequestRefused");
    assert_eq!(world.after(HOUR * 1000).plan().step, Step::Wait, "no loop");
}

#[test]
fn a_renewal_that_is_rejected_leaves_the_access_as_it_is() {
    let mut world = due();
    let nonce = world.ask(|nonce| Reply::Made(vec![later("r2", "Pending", nonce)]));
    world.see(later("r2", "Rejected", &nonce));
    world.fold(&Outcome::Nothing);
    assert_eq!(world.conditions()[0], "Ready=True Active");
    assert!(message(&world).contains("rejected"), "{}", message(&world));
    assert_eq!(world.plan().step, Step::Wait);
}

#[test]
fn access_that_was_taken_back_early_is_not_renewed() {
    let mut world = due();
    let (_, first) = asked("Active");
    world.ask(|_| Reply::NotSent);
    world.see(remote("r1", "Revoked", &first));
    world.fold(&Outcome::Nothing);
    assert_eq!(reason(&world), "RevokedUpstream");
    assert_eq!(world.after(SECOND * 100).plan().step, Step::Wait);
}

/// Two requests of one create; the first ends at eight, the second at nine. The renewal of the
/// first waits for an approver for longer than it may.
fn waiting_renewal_beside_a_sibling() -> (World, Nonce, Nonce) {
    let mut world = world();
    let pair = |nonce: &Nonce| {
        let mut second = remote("r2", "Active", nonce);
        second.revocation_date = Some("2026-11-23T21:00:00Z".parse().unwrap());
        vec![remote("r1", "Active", nonce), second]
    };
    let first = world.ask(|nonce| Reply::Made(pair(nonce)));
    for one in pair(&first) {
        world.see(one);
    }
    world.fold(&Outcome::Nothing);
    world.resource.spec.renewal = due().resource.spec.renewal;
    world.resource.spec.pending_timeout = Some("10m".into());
    let mut world = world.after(HOUR * 15 / 2);
    let second = world.ask(|nonce| Reply::Made(vec![later("r3", "Pending", nonce)]));
    let mut world = world.after(HOUR / 2);
    world.see(remote("r1", "Revoked", &first));
    world.fold(&Outcome::Nothing);
    (world, first, second)
}

#[test]
fn a_renewal_that_nobody_approves_never_takes_access_with_it() {
    let (world, first, second) = waiting_renewal_beside_a_sibling();
    // The sibling is renewed by itself; nothing is latched and nothing taken back.
    let mut world = world.after(HOUR / 4);
    assert!(!matches!(world.plan().step, Step::Latch(_)));
    let mut renewed = world.clone();
    renewed.see(later("r3", "Active", &second));
    renewed.fold(&Outcome::Nothing);
    assert!(!matches!(renewed.plan().step, Step::Latch(_)));
    // When the last access has ended, what nobody approved is cancelled at once.
    world.resource.spec.suspend = Some(true);
    let mut world = world.after(HOUR);
    world.see(remote("r2", "Revoked", &first));
    world.latch();
    let cancel = Step::Revoke {
        id: "r3".to_owned(),
    };
    assert_eq!(world.plan().step, cancel);
    world.see(later("r3", "Revoked", &second));
    world.fold(&Outcome::Nothing);
    assert_eq!(reason(&world), "ApprovalTimedOut");
}
