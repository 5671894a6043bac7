//! What moves a request: time, people, commands.

use apono_simulator::machine::NotPossible;
use apono_simulator::switches::MfaPosition;
use apono_simulator::{Command, Delays, EntitlementStatus, Mode, Status};
use jiff::{SignedDuration, Timestamp};

use crate::{advance, ask, machine, path, status, words};

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
