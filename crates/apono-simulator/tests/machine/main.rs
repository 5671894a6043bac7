//! The machine alone, on a clock that only moves when told: every move, in both modes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test, in helpers as well"
)]

mod ends;
mod moves;

use std::collections::BTreeMap;
use std::sync::Arc;

use apono_simulator::catalogue::{GrantFate, RevokeFate};
use apono_simulator::clock::ManualClock;
use apono_simulator::machine::{Ask, Wanted};
use apono_simulator::request::{Actor, Via};
use apono_simulator::users::Users;
use apono_simulator::{
    Catalogue, Command, Delays, EntitlementStatus, Fate, Machine, Mode, Status, User,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

pub(crate) const USER: &str = "a@example.com";

pub(crate) fn machine(mode: Mode) -> Machine {
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

pub(crate) fn ask(machine: &mut Machine, bundle: &str, duration: Option<i32>) -> String {
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

pub(crate) fn status(machine: &mut Machine, id: &str) -> Status {
    machine.request(id).unwrap().status
}

pub(crate) fn words(machine: &mut Machine, id: &str) -> Vec<EntitlementStatus> {
    machine
        .request(id)
        .unwrap()
        .entitlements
        .iter()
        .map(|it| it.status)
        .collect()
}

/// Every state a request went through, with the second it entered it.
pub(crate) fn path(machine: &mut Machine, id: &str) -> Vec<(Status, i64)> {
    let timeline = &machine.request(id).unwrap().timeline;
    timeline
        .iter()
        .map(|step| (step.status, step.at.as_second()))
        .collect()
}

pub(crate) fn advance(machine: &mut Machine, seconds: i64) {
    machine.advance(SignedDuration::from_secs(seconds));
}

pub(crate) fn set_fate(machine: &mut Machine, id: &str, grant: GrantFate, revoke: RevokeFate) {
    machine
        .command(
            id,
            &Command::Fate {
                fate: Fate { grant, revoke },
            },
        )
        .unwrap();
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
