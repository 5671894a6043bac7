//! What holds of the conditions whatever the access, the connection and the credentials are.

use std::time::Duration;

use super::*;
use crate::{
    controller::{
        fixtures::{World, asked},
        fold::Outcome,
        observed::ConnectionSight,
    },
    crd::Credentials,
};

const WORDS: [&str; 10] = [
    "Initializing",
    "Pending",
    "PendingMFA",
    "Granting",
    "Active",
    "Revoking",
    "Revoked",
    "Rejected",
    "Failed",
    "Humming",
];

fn connections() -> Vec<ConnectionSight> {
    let (message, orphan) = (String::from("do this"), false);
    let not_ready = |callable, unreachable| ConnectionSight::NotReady {
        message: message.clone(),
        callable,
        unreachable,
        orphan,
    };
    let message = || message.clone();
    vec![
        ConnectionSight::Missing { message: message() },
        ConnectionSight::Deleting {
            message: message(),
            orphan,
        },
        ConnectionSight::Verifying,
        not_ready(true, true),
        not_ready(false, true),
        not_ready(true, false),
        not_ready(false, false),
        ConnectionSight::Unauthorized {
            message: message(),
            orphan,
        },
        ConnectionSight::NotAllowed {
            message: message(),
            orphan,
        },
        ConnectionSight::Undecided {
            message: message(),
            orphan,
        },
        ConnectionSight::Usable {
            orphan,
            paused: None,
        },
        ConnectionSight::Usable {
            orphan,
            paused: Some(Duration::from_secs(7)),
        },
    ]
}

fn states() -> Vec<Option<CredentialsState>> {
    use CredentialsState::{
        Delivered, NotApplicable, Pending, Removed, Resetting, Shared, ViewedElsewhere,
    };
    let all = [
        Delivered,
        NotApplicable,
        Pending,
        Removed,
        Resetting,
        Shared,
        ViewedElsewhere,
    ];
    all.into_iter().map(Some).chain([None]).collect()
}

/// A request whose credentials are wanted, and are so far.
fn world(word: &str, connection: ConnectionSight, state: Option<CredentialsState>) -> World {
    let (mut world, _) = asked(word);
    world.resource.spec.credentials = Some(Credentials {
        secret_name: "orders-db".to_owned(),
        ..Credentials::default()
    });
    world.observed.connection = connection;
    let status = CredentialsStatus {
        state,
        ..CredentialsStatus::default()
    };
    world.observed.credentials = state.map(|_| Made {
        status,
        handled: None,
    });
    world
}

fn holds(world: &World, kind: &str) -> bool {
    let start = format!("{kind}=True ");
    world.conditions().iter().any(|one| one.starts_with(&start))
}

#[test]
fn nothing_is_ever_under_way_and_stuck_at_once() {
    let mut seen = 0;
    for word in WORDS {
        for connection in connections() {
            for state in states() {
                for (wait, is_deleted) in [(0, false), (0, true), (1, false), (1, true)] {
                    let mut world = world(word, connection.clone(), state);
                    world.observed.view.health.failing_since = (wait > 0).then_some(world.now);
                    world.observed.view.health.failed_rounds = 9 * wait;
                    let mut world = world.after(Duration::from_hours(u64::from(wait)));
                    if is_deleted {
                        world = world.deleted();
                    }
                    world.fold(&Outcome::Nothing);
                    let all = world.conditions();
                    let both = holds(&world, "Reconciling") && holds(&world, "Stalled");
                    assert!(
                        !both,
                        "{word} {connection:?} {state:?} {is_deleted}: {all:?}"
                    );
                    seen += usize::from(holds(&world, "Stalled"));
                }
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn a_token_that_is_refused_leads_and_what_is_not_delivered_is_not_ready() {
    let refused = ConnectionSight::Unauthorized {
        message: String::from("change the Secret"),
        orphan: false,
    };
    let mut world = world("Active", refused, Some(CredentialsState::Pending));
    world.fold(&Outcome::Nothing);
    let all = world.conditions();
    for line in [
        "Stalled=True Unauthorized",
        "Ready=False DeliveringCredentials",
    ] {
        assert!(all.iter().any(|one| one == line), "{all:?}");
    }
    assert_eq!(world.status().reason.as_deref(), Some("Unauthorized"));
}
