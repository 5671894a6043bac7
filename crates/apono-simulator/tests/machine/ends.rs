//! How requests end: grants that fail, revokes, and what is left.

use apono_simulator::catalogue::{GrantFate, RevokeFate};
use apono_simulator::request::Actor;
use apono_simulator::switches::{Leniency, PartialGrant, RevokeEnded};
use apono_simulator::{Command, EntitlementStatus, Mode, Status};
use jiff::SignedDuration;

use crate::{advance, ask, machine, set_fate, status, words};

#[test]
fn a_grant_fails_partly_or_wholly_or_sticks_by_fate() {
    let mut machine = machine(Mode::Auto);
    let broken = ask(&mut machine, "broken-grant", None);
    let half = ask(&mut machine, "half-grant", None);
    let stuck = ask(&mut machine, "prod-read", None);
    set_fate(&mut machine, &stuck, GrantFate::Stick, RevokeFate::Succeed);
    advance(&mut machine, 100);
    assert_eq!(status(&mut machine, &broken), Status::Failed);
    assert_eq!(words(&mut machine, &broken), [EntitlementStatus::Failure]);
    assert_eq!(status(&mut machine, &half), Status::Active);
    let partly = [EntitlementStatus::Granted, EntitlementStatus::Failure];
    assert_eq!(words(&mut machine, &half), partly);
    assert_eq!(status(&mut machine, &stuck), Status::Granting);
}

#[test]
fn a_partly_granted_request_fails_by_switch_and_keeps_what_was_granted() {
    let mut machine = machine(Mode::Auto);
    let mut switches = machine.switches().clone();
    switches.partial_grant = PartialGrant::Failed;
    machine.set_switches(switches);
    let id = ask(&mut machine, "half-grant", None);
    advance(&mut machine, 100);
    assert_eq!(status(&mut machine, &id), Status::Failed);
    let partly = [EntitlementStatus::Granted, EntitlementStatus::Failure];
    assert_eq!(words(&mut machine, &id), partly);
    // What was granted can be taken back where a failed request can be revoked at all.
    let mut switches = machine.switches().clone();
    switches.revoke_retry = true;
    machine.set_switches(switches);
    let key = machine.find(&id).unwrap();
    machine.revoke(key, &Actor::Control).unwrap();
    advance(&mut machine, 100);
    let gone = [EntitlementStatus::Revoked, EntitlementStatus::Failure];
    assert_eq!(words(&mut machine, &id), gone);
}

#[test]
fn a_failed_revoke_leaves_the_access_granted_and_is_repeated_only_with_the_switch() {
    let mut machine = machine(Mode::Auto);
    let id = ask(&mut machine, "stuck-revoke", None);
    advance(&mut machine, 10);
    let key = machine.find(&id).unwrap();
    machine.revoke(key, &Actor::Control).unwrap();
    advance(&mut machine, 10);
    assert_eq!(status(&mut machine, &id), Status::Failed);
    assert_eq!(words(&mut machine, &id), [EntitlementStatus::Granted]);
    machine.revoke(key, &Actor::Control).unwrap();
    assert_eq!(status(&mut machine, &id), Status::Failed);
    let mut switches = machine.switches().clone();
    switches.revoke_retry = true;
    machine.set_switches(switches);
    set_fate(&mut machine, &id, GrantFate::Succeed, RevokeFate::Succeed);
    machine.revoke(key, &Actor::Control).unwrap();
    assert_eq!(status(&mut machine, &id), Status::Revoking);
    advance(&mut machine, 10);
    assert_eq!(status(&mut machine, &id), Status::Revoked);
}

#[test]
fn a_revoke_in_any_open_state_ends_revoked_or_is_refused_by_switch() {
    for (waits, expected) in [
        (0, Status::Initializing),
        (1, Status::Pending),
        (3, Status::Granting),
        (6, Status::Active),
    ] {
        let mut machine = machine(Mode::Auto);
        let id = ask(&mut machine, "prod-read", None);
        advance(&mut machine, waits);
        assert_eq!(status(&mut machine, &id), expected);
        let mut switches = machine.switches().clone();
        switches.revoke_open = Leniency::Conflict;
        machine.set_switches(switches.clone());
        let key = machine.find(&id).unwrap();
        let refused = machine.revoke(key, &Actor::Control);
        assert_eq!(refused.is_err(), expected != Status::Active, "{expected:?}");
        switches.revoke_open = Leniency::Accept;
        machine.set_switches(switches);
        machine.revoke(key, &Actor::Control).unwrap();
        assert_eq!(status(&mut machine, &id), Status::Revoking);
        advance(&mut machine, 4);
        assert_eq!(status(&mut machine, &id), Status::Revoked);
    }
}

#[test]
fn a_revoke_of_an_ended_request_answers_by_switch_and_changes_nothing() {
    let mut machine = machine(Mode::Auto);
    let id = ask(&mut machine, "prod-admin", None);
    machine
        .command(&id, &Command::Reject { reason: None })
        .unwrap();
    let key = machine.find(&id).unwrap();
    for (answer, expected) in [
        (RevokeEnded::Ok, None),
        (RevokeEnded::BadRequest, Some(400)),
        (RevokeEnded::NotFound, Some(404)),
    ] {
        let mut switches = machine.switches().clone();
        switches.revoke_ended = answer;
        machine.set_switches(switches);
        let refused = machine.revoke(key, &Actor::Control).err();
        assert_eq!(refused.map(|refusal| refusal.status), expected);
        assert_eq!(status(&mut machine, &id), Status::Rejected);
    }
}

#[test]
fn an_extended_request_ends_later() {
    let mut machine = machine(Mode::Auto);
    let id = ask(&mut machine, "prod-read", Some(60));
    advance(&mut machine, 6);
    machine
        .command(
            &id,
            &Command::Extend {
                by: SignedDuration::from_secs(100),
            },
        )
        .unwrap();
    advance(&mut machine, 159);
    assert_eq!(status(&mut machine, &id), Status::Active);
    advance(&mut machine, 1);
    assert_eq!(status(&mut machine, &id), Status::Revoking);
}
