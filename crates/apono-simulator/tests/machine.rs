//! The machine alone, on a clock that only moves when told: every move, in both modes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test, in helpers as well"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use apono_simulator::catalogue::{GrantFate, RevokeFate};
use apono_simulator::clock::ManualClock;
use apono_simulator::machine::{Ask, NotPossible, Wanted};
use apono_simulator::request::{Actor, Via};
use apono_simulator::switches::{Leniency, MfaPosition, PartialGrant, RevokeEnded};
use apono_simulator::users::Users;
use apono_simulator::{
    Catalogue, Command, Delays, EntitlementStatus, Fate, Machine, Mode, Status, User,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const USER: &str = "a@example.com";

fn machine(mode: Mode) -> Machine {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let catalogue = Catalogue::built_in();
    let users = Users::new(vec![User::new(USER, "t")], &catalogue.people);
    let mut machine = Machine::new(clock, catalogue, users, 1);
    let delays = Delays {
        route: SignedDuration::from_secs(1),
        approve: SignedDuration::from_secs(2),
        human: None,
        mfa: None,
        grant: SignedDuration::from_secs(3),
        revoke: SignedDuration::from_secs(4),
        ..Delays::INSTANT
    };
    machine.set_behaviour(mode, delays);
    machine
}

fn ask(machine: &mut Machine, bundle: &str, duration: Option<i32>) -> String {
    let requestor = machine.users().find(USER).unwrap();
    let keys = machine
        .create(Ask {
            requestor,
            grantee: None,
            wanted: Wanted::Bundle(bundle.to_owned()),
            justification: Some("a reason".to_owned()),
            duration_in_sec: duration,
            custom_fields: BTreeMap::new(),
            by: Actor::User(USER.to_owned()),
            via: Via::V4,
        })
        .unwrap();
    assert_eq!(keys.len(), 1);
    machine.get(keys[0]).unwrap().id.clone()
}

fn status(machine: &mut Machine, id: &str) -> Status {
    machine.request(id).unwrap().status
}

fn words(machine: &mut Machine, id: &str) -> Vec<EntitlementStatus> {
    machine
        .request(id)
        .unwrap()
        .entitlements
        .iter()
        .map(|it| it.status)
        .collect()
}

/// Every state a request went through, with the second it entered it.
fn path(machine: &mut Machine, id: &str) -> Vec<(Status, i64)> {
    let timeline = &machine.request(id).unwrap().timeline;
    timeline
        .iter()
        .map(|step| (step.status, step.at.as_second()))
        .collect()
}

fn advance(machine: &mut Machine, seconds: i64) {
    machine.advance(SignedDuration::from_secs(seconds));
}

fn set_fate(machine: &mut Machine, id: &str, grant: GrantFate, revoke: RevokeFate) {
    machine
        .command(
            id,
            &Command::Fate {
                fate: Fate { grant, revoke },
            },
        )
        .unwrap();
}

#[test]
fn time_takes_a_request_from_its_create_to_its_end_at_exact_times() {
    let mut machine = machine(Mode::Auto);
    let id = ask(&mut machine, "prod-read", Some(60));
    assert_eq!(status(&mut machine, &id), Status::Initializing);
    // One jump past everything: each move is still made at its own time.
    advance(&mut machine, 1_000);
    let expected = [
        (Status::Initializing, 0),
        (Status::Pending, 1),
        (Status::Granting, 3),
        (Status::Active, 6),
        (Status::Revoking, 66),
        (Status::Revoked, 70),
    ];
    assert_eq!(path(&mut machine, &id), expected);
    assert_eq!(words(&mut machine, &id), [EntitlementStatus::Revoked; 3]);
}

#[test]
fn the_clock_of_the_access_starts_at_the_grant() {
    let mut machine = machine(Mode::Auto);
    let id = ask(&mut machine, "prod-read", Some(60));
    assert_eq!(
        machine
            .request(&id)
            .unwrap()
            .planned_end
            .unwrap()
            .as_second(),
        60
    );
    advance(&mut machine, 6);
    assert_eq!(words(&mut machine, &id), [EntitlementStatus::Granted; 3]);
    assert_eq!(
        machine
            .request(&id)
            .unwrap()
            .planned_end
            .unwrap()
            .as_second(),
        66
    );
}

#[test]
fn without_a_duration_the_flow_decides_and_without_a_period_there_is_no_end() {
    let mut machine = machine(Mode::Auto);
    let dated = ask(&mut machine, "prod-read", None);
    let endless = ask(&mut machine, "half-grant", None);
    advance(&mut machine, 100_000_000);
    assert_eq!(status(&mut machine, &dated), Status::Revoked);
    assert_eq!(status(&mut machine, &endless), Status::Active);
    assert_eq!(machine.request(&endless).unwrap().planned_end, None);
}

#[test]
fn with_no_delays_a_create_is_active_at_once() {
    let mut machine = machine(Mode::Auto);
    machine.set_behaviour(Mode::Auto, Delays::INSTANT);
    let id = ask(&mut machine, "prod-read", None);
    assert_eq!(status(&mut machine, &id), Status::Active);
}

#[test]
fn a_person_decides_only_when_told_to_or_after_the_delay_for_people() {
    let mut machine = machine(Mode::Auto);
    let told = ask(&mut machine, "prod-admin", None);
    advance(&mut machine, 100_000);
    assert_eq!(status(&mut machine, &told), Status::Pending);
    machine.command(&told, &Command::Approve).unwrap();
    assert_eq!(status(&mut machine, &told), Status::Granting);
    let late = ask(&mut machine, "prod-admin", None);
    let human = Some(SignedDuration::from_secs(50));
    machine.set_behaviour(
        Mode::Auto,
        Delays {
            human,
            ..machine.delays()
        },
    );
    advance(&mut machine, 51);
    assert_eq!(status(&mut machine, &late), Status::Granting);
}

#[test]
fn a_rejected_request_says_why_and_never_had_anything() {
    let mut machine = machine(Mode::Auto);
    let id = ask(&mut machine, "prod-admin", None);
    let reason = Some("not today".to_owned());
    machine
        .command(
            &id,
            &Command::Reject {
                reason: reason.clone(),
            },
        )
        .unwrap();
    let request = machine.request(&id).unwrap();
    assert_eq!(request.status, Status::Rejected);
    assert_eq!(request.timeline.last().unwrap().note, reason);
    assert_eq!(words(&mut machine, &id), [EntitlementStatus::Pending; 2]);
}

#[test]
fn a_pending_request_times_out_only_with_the_switch() {
    let mut machine = machine(Mode::Auto);
    let id = ask(&mut machine, "prod-admin", None);
    advance(&mut machine, 1_000);
    assert_eq!(status(&mut machine, &id), Status::Pending);
    let mut switches = machine.switches().clone();
    switches.pending_timeout = Some(SignedDuration::from_secs(2_000));
    machine.set_switches(switches);
    advance(&mut machine, 1_001);
    assert_eq!(status(&mut machine, &id), Status::Rejected);
}

#[test]
fn the_second_factor_comes_before_or_after_the_decision_by_switch() {
    for (position, expected) in [
        (
            MfaPosition::BeforeApproval,
            [Status::Pending, Status::PendingMfa, Status::Pending],
        ),
        (
            MfaPosition::AfterApproval,
            [Status::Pending, Status::PendingMfa, Status::Granting],
        ),
    ] {
        let mut machine = machine(Mode::Auto);
        let mut switches = machine.switches().clone();
        switches.mfa_position = position;
        machine.set_switches(switches);
        let id = ask(&mut machine, "prod-mfa", None);
        advance(&mut machine, 10_000);
        assert_eq!(status(&mut machine, &id), Status::PendingMfa);
        machine.command(&id, &Command::PassMfa).unwrap();
        let passed: Vec<_> = path(&mut machine, &id)
            .into_iter()
            .map(|step| step.0)
            .collect();
        assert_eq!(passed[1..], expected);
        advance(&mut machine, 10);
        assert_eq!(status(&mut machine, &id), Status::Active);
    }
}

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

#[test]
fn in_explicit_mode_nothing_but_commands_and_callers_move_a_request() {
    let mut machine = machine(Mode::Explicit);
    let id = ask(&mut machine, "prod-read", Some(60));
    let mut expect = |command: Option<Command>, expected: Status| {
        advance(&mut machine, 1_000_000);
        if let Some(command) = command {
            machine.command(&id, &command).unwrap();
        }
        advance(&mut machine, 1_000_000);
        assert_eq!(status(&mut machine, &id), expected);
    };
    expect(None, Status::Initializing);
    expect(Some(Command::Route), Status::Pending);
    expect(Some(Command::Approve), Status::Granting);
    expect(Some(Command::Activate), Status::Active);
    expect(Some(Command::Expire), Status::Revoking);
    expect(Some(Command::FinishRevoke), Status::Revoked);
}

#[test]
fn commands_take_every_short_cut_and_refuse_what_does_not_fit() {
    let mut machine = machine(Mode::Explicit);
    for bundle in ["prod-read", "prod-admin", "prod-mfa"] {
        let id = ask(&mut machine, bundle, None);
        machine.command(&id, &Command::Activate).unwrap();
        assert_eq!(status(&mut machine, &id), Status::Active);
        let refused = machine.command(&id, &Command::Approve).unwrap_err();
        assert!(matches!(
            refused,
            NotPossible::State {
                status: Status::Active,
                ..
            }
        ));
        machine.command(&id, &Command::Revoke).unwrap();
        machine.command(&id, &Command::Fail { granted: 0 }).unwrap();
        assert_eq!(status(&mut machine, &id), Status::Failed);
    }
    let id = ask(&mut machine, "prod-read", None);
    machine.command(&id, &Command::Fail { granted: 0 }).unwrap();
    assert_eq!(status(&mut machine, &id), Status::Failed);
    let unknown = machine.command("none", &Command::Approve).unwrap_err();
    assert!(unknown.to_string().contains("/_control/requests"));
}

#[test]
fn a_change_of_mode_or_delays_reaches_requests_under_way() {
    let mut machine = machine(Mode::Explicit);
    let id = ask(&mut machine, "prod-read", None);
    advance(&mut machine, 100);
    machine.set_behaviour(Mode::Auto, machine.delays());
    // Overdue moves are made now, not in the past.
    assert_eq!(path(&mut machine, &id)[1], (Status::Pending, 100));
    machine.set_behaviour(Mode::Auto, Delays::INSTANT);
    assert_eq!(status(&mut machine, &id), Status::Active);
}

#[test]
fn a_status_of_the_past_is_known() {
    let mut machine = machine(Mode::Auto);
    let id = ask(&mut machine, "prod-read", Some(60));
    advance(&mut machine, 1_000);
    let request = machine.request(&id).unwrap();
    let at = |second| request.status_at(Timestamp::from_second(second).unwrap());
    assert_eq!(at(-1), None);
    assert_eq!(at(0), Some(Status::Initializing));
    assert_eq!(at(5), Some(Status::Granting));
    assert_eq!(at(999), Some(Status::Revoked));
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        Just(Command::Route),
        Just(Command::Approve),
        Just(Command::Reject { reason: None }),
        Just(Command::PassMfa),
        Just(Command::Grant),
        Just(Command::Activate),
        (0_usize..3).prop_map(|granted| Command::Fail { granted }),
        Just(Command::Revoke),
        Just(Command::FinishRevoke),
        Just(Command::Expire),
        (-100_i64..100).prop_map(|by| Command::Extend {
            by: SignedDuration::from_secs(by)
        }),
    ]
}

proptest! {
    #[test]
    fn every_path_is_legal_and_times_never_run_back(
        bundle in prop::sample::select(vec!["prod-read", "prod-admin", "prod-mfa", "half-grant"]),
        explicit in any::<bool>(),
        steps in prop::collection::vec((any_command(), 0_i64..30), 0..20),
    ) {
        let mut machine = machine(if explicit { Mode::Explicit } else { Mode::Auto });
        let id = ask(&mut machine, bundle, Some(20));
        for (command, wait) in steps {
            let before = machine.request(&id).unwrap().clone();
            if machine.command(&id, &command).is_err() {
                prop_assert_eq!(&before, machine.request(&id).unwrap());
            }
            advance(&mut machine, wait);
        }
        let path = path(&mut machine, &id);
        for pair in path.windows(2) {
            prop_assert!(pair[0].0.may_become(pair[1].0), "{:?}", path);
            prop_assert!(pair[0].1 <= pair[1].1, "{:?}", path);
        }
        let changes = machine.take_changes();
        prop_assert_eq!(changes.len(), path.len());
    }
}
