//! The table of conditions, row by row, and what the status keeps.

mod bounds;

use std::time::Duration;

use super::*;
use crate::{
    controller::{
        fixtures::{World, asked, remote, world},
        observed::{ConnectionSight, Refusal, RevokeTry},
    },
    crd::{DeletionPolicy, Phase},
};

fn row(world: &mut World) -> (Vec<String>, Phase) {
    world.fold(&Outcome::Nothing);
    (world.conditions(), world.status().phase.unwrap())
}

/// The word of the remote, Ready, its reason, the third condition beside Synced, Synced, the phase.
const ROWS: [(&str, &str, &str, &str, &str, Phase); 9] = [
    (
        "Initializing",
        "False",
        "Submitting",
        "Reconciling",
        "Unknown",
        Phase::Submitting,
    ),
    (
        "Pending",
        "False",
        "PendingApproval",
        "Reconciling",
        "True",
        Phase::Pending,
    ),
    (
        "PendingMFA",
        "False",
        "PendingMFA",
        "Reconciling",
        "True",
        Phase::PendingMfa,
    ),
    (
        "GRANTING",
        "False",
        "Granting",
        "Reconciling",
        "True",
        Phase::Granting,
    ),
    ("active", "True", "Active", "", "True", Phase::Active),
    (
        "Rejected",
        "False",
        "Rejected",
        "Stalled",
        "True",
        Phase::Rejected,
    ),
    (
        "Failed",
        "False",
        "GrantFailed",
        "Stalled",
        "True",
        Phase::Failed,
    ),
    (
        "Revoked",
        "False",
        "RevokedUpstream",
        "Stalled",
        "True",
        Phase::Ended,
    ),
    (
        "Dreaming",
        "Unknown",
        "UnknownStatus",
        "Reconciling",
        "True",
        Phase::Unknown,
    ),
];

#[test]
fn each_remote_state_has_its_row() {
    for (word, ready, reason, third, synced, phase) in ROWS {
        let mut expected = vec![format!("Ready={ready} {reason}")];
        expected.extend((!third.is_empty()).then(|| format!("{third}=True {reason}")));
        expected.push(format!("Synced={synced} {reason}"));
        let (mut world, _) = asked(word);
        assert_eq!(row(&mut world), (expected, phase));
        assert!(
            world.status().message.is_some_and(|text| text.len() > 10),
            "{word}"
        );
    }
}

#[test]
fn an_end_as_planned_is_complete_and_not_ready() {
    let (mut world, nonce) = asked("Active");
    world = world.after(Duration::from_hours(8));
    let mut request = remote("r1", "Revoked", &nonce);
    // A remote that overwrites the planned end does not turn an early end into a planned one.
    request.revocation_date = Some("2026-11-23T11:00:00Z".parse().unwrap());
    world.see(request);
    assert_eq!(
        row(&mut world),
        (
            vec![
                "Complete=True Expired".to_owned(),
                "Synced=True Expired".to_owned()
            ],
            Phase::Ended
        )
    );
}

#[test]
fn an_early_end_stays_so_until_the_planned_end() {
    let (mut world, nonce) = asked("Active");
    let mut request = remote("r1", "Revoked", &nonce);
    request.revocation_date = Some(world.now);
    world.see(request);
    row(&mut world);
    assert_eq!(world.status().reason.as_deref(), Some("RevokedUpstream"));
    let wait = world.plan().requeue.expect("a wake-up at the planned end");
    let mut world = world.after(wait);
    row(&mut world);
    assert_eq!(world.status().reason.as_deref(), Some("Expired"));
}

#[test]
fn an_end_without_a_planned_one_is_upstream() {
    let mut world = world();
    let mut made = None;
    world.ask(|nonce| {
        let mut request = remote("r1", "Active", nonce);
        request.revocation_date = None;
        made = Some(request.clone());
        Reply::Made(vec![request])
    });
    let mut ended = made.unwrap();
    ended.status = "Revoked".into();
    world.see(ended);
    let mut world = world.after(Duration::from_secs(1_000_000));
    row(&mut world);
    assert_eq!(world.status().reason.as_deref(), Some("RevokedUpstream"));
}

#[test]
fn the_worst_of_an_array_leads_and_the_live_rest_is_named() {
    let order = [
        "Failed", "Rejected", "Revoked", "Odd", "Revoking", "Pending", "Granting", "Active",
    ];
    for pair in order.windows(2) {
        let mut world = world();
        world.ask(|nonce| {
            Reply::Made(vec![
                remote("good", pair[1], nonce),
                remote("bad", pair[0], nonce),
            ])
        });
        let (alone, _) = asked(pair[0]);
        assert_eq!(world.status().reason, alone.status().reason, "{pair:?}");
        let message = world.status().message.unwrap();
        assert!(message.contains("bad"), "{message}");
        if !apono_client::Status::from(pair[1]).state().is_terminal() {
            assert!(message.contains("good"), "{message}");
        }
    }
}

#[test]
fn before_asking_the_connection_decides() {
    let message = "m".to_owned();
    for (sight, reason) in [
        (
            ConnectionSight::Missing {
                message: message.clone(),
            },
            "ConnectionNotFound",
        ),
        (
            ConnectionSight::Deleting {
                message: message.clone(),
                orphan: false,
            },
            "ConnectionDeleting",
        ),
        (
            ConnectionSight::Unauthorized {
                message: message.clone(),
                orphan: false,
            },
            "Unauthorized",
        ),
        (
            ConnectionSight::NotAllowed {
                message: message.clone(),
                orphan: false,
            },
            "NotAllowed",
        ),
    ] {
        let mut world = world();
        world.observed.connection = sight;
        let expected =
            ["Ready=False", "Stalled=True", "Synced=False"].map(|one| format!("{one} {reason}"));
        assert_eq!(row(&mut world), (expected.to_vec(), Phase::Failed));
    }
}

#[test]
fn once_asked_ready_stays_as_last_known() {
    let (mut world, _) = asked("Active");
    world.observed.connection = ConnectionSight::Unauthorized {
        message: "m".to_owned(),
        orphan: false,
    };
    let lines = row(&mut world).0;
    assert_eq!(
        lines,
        [
            "Ready=True Active",
            "Stalled=True Unauthorized",
            "Synced=False Unauthorized"
        ]
    );
    world.observed.connection = ConnectionSight::Missing {
        message: "m".to_owned(),
    };
    assert_eq!(
        row(&mut world).0,
        ["Ready=True Active", "Synced=False ConnectionNotFound"]
    );
}

#[test]
fn an_unreachable_remote_is_told_at_once_and_stale_later() {
    let (mut world, _) = asked("Active");
    world.observed.view.health.failed_rounds = 3;
    world.observed.view.health.failing_since = Some(world.now);
    assert_eq!(
        row(&mut world).0,
        ["Ready=True Active", "Synced=False ApiUnavailable"]
    );
    let wait = world.plan().requeue.unwrap();
    let mut world = world.after(wait);
    assert_eq!(
        row(&mut world).0,
        [
            "Ready=Unknown StatusStale",
            "Reconciling=True StatusStale",
            "Synced=False ApiUnavailable"
        ]
    );
}

#[test]
fn suspended_before_asking_is_quiet() {
    let mut world = world();
    world.resource.spec.suspend = Some(true);
    let expected = ["Ready=False Suspended", "Synced=True Suspended"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(row(&mut world), (expected, Phase::Suspended));
}

#[test]
fn the_answer_of_a_refusal_is_kept_in_the_message() {
    let mut world = world();
    world.ask(|_| Reply::Refused("400: no such bundle".to_owned()));
    row(&mut world);
    let message = world.status().message.unwrap();
    assert!(
        message.contains("no such bundle") && message.contains("another name"),
        "{message}"
    );
    assert_eq!(world.status().phase, Some(Phase::Failed));
}

#[test]
fn a_resource_being_deleted_keeps_ready_as_it_was() {
    let (world, _) = asked("Active");
    let mut world = world.deleted();
    assert_eq!(
        row(&mut world),
        (
            [
                "Ready=True Active",
                "Reconciling=True Revoking",
                "Synced=True Revoking"
            ]
            .map(str::to_owned)
            .to_vec(),
            Phase::Revoking
        )
    );
}

#[test]
fn a_refused_revoke_says_so() {
    for (word, reason) in [("Active", "RevokeFailed"), ("Pending", "CancelRefused")] {
        let (world, _) = asked(word);
        let mut world = world.deleted();
        let refusal = Some(Refusal {
            status: Some(409),
            message: "no".to_owned(),
        });
        let tried = RevokeTry {
            count: 1,
            failures: 0,
            last: world.now,
            refusal,
        };
        world.observed.memory.revokes.insert("r1".to_owned(), tried);
        let expected =
            ["Ready=False", "Stalled=True", "Synced=True"].map(|one| format!("{one} {reason}"));
        assert_eq!(row(&mut world).0, expected);
    }
}

#[test]
fn a_revoke_that_fails_three_times_says_so_until_one_is_accepted() {
    let (world, _) = asked("Active");
    let mut world = world.deleted();
    let refusal = |status| Refusal {
        status,
        message: "the API answered `503`".to_owned(),
    };
    let last = world.now;
    let try_of = |failures, refusal| RevokeTry {
        count: 5,
        failures,
        last,
        refusal,
    };
    let going = [
        "Ready=True Active",
        "Reconciling=True Revoking",
        "Synced=True Revoking",
    ];
    let failed = [
        "Ready=False RevokeFailed",
        "Stalled=True RevokeFailed",
        "Synced=True RevokeFailed",
    ];
    for (tried, expected) in [
        (try_of(2, Some(refusal(Some(503)))), going),
        (try_of(0, Some(refusal(Some(429)))), going),
        (try_of(3, Some(refusal(Some(503)))), failed),
        (try_of(4, Some(refusal(None))), failed),
    ] {
        let mut world = world.clone();
        world.observed.memory.revokes.insert("r1".to_owned(), tried);
        assert_eq!(row(&mut world).0, expected);
    }
    let tried = try_of(3, Some(refusal(Some(503))));
    world.observed.memory.revokes.insert("r1".to_owned(), tried);
    row(&mut world);
    let message = world.status().message.unwrap();
    assert!(
        message.contains("3 times") && message.contains("503") && message.contains("12:00:32Z"),
        "{message}"
    );
    let tried = try_of(0, None);
    world.observed.memory.revokes.insert("r1".to_owned(), tried);
    let lines = row(&mut world).0;
    assert!(
        lines.contains(&"Reconciling=True Revoking".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn an_orphan_that_is_not_allowed_is_told_once() {
    let (world, _) = asked("Active");
    let mut world = world.deleted();
    world.resource.spec.deletion_policy = Some(DeletionPolicy::Orphan);
    let told = world.fold(&Outcome::Nothing);
    assert!(
        told.iter().any(|one| one.reason == "OrphanNotAllowed"),
        "{told:?}"
    );
}

#[test]
fn all_live_requests_are_kept_and_twenty_ended() {
    let mut world = world();
    world.ask(|nonce| {
        let word = |n: usize| {
            if n.is_multiple_of(2) {
                "Active"
            } else {
                "Revoked"
            }
        };
        Reply::Made(
            (0..60)
                .map(|n| remote(&format!("r{n}"), word(n), nonce))
                .collect(),
        )
    });
    let live = world
        .status()
        .requests
        .iter()
        .filter(|one| is_live(one))
        .count();
    assert_eq!((live, world.status().requests.len()), (30, 50));
}

#[test]
fn expires_is_a_function_of_the_earliest_end() {
    let (world, _) = asked("Active");
    assert_eq!(world.status().expires.as_deref(), Some("2026-11-23 20:00Z"));
}

#[test]
fn a_connection_that_gets_no_answer_is_an_outage_and_not_a_fault_of_the_resource() {
    let sight = ConnectionSight::NotReady {
        message: "m".to_owned(),
        callable: true,
        unreachable: true,
        orphan: false,
    };
    let mut new = world();
    new.observed.connection = sight.clone();
    assert_eq!(
        row(&mut new).0,
        [
            "Ready=False Submitting",
            "Reconciling=True Submitting",
            "Synced=False ApiUnavailable"
        ]
    );
    let (mut active, _) = asked("Active");
    active.observed.connection = sight;
    active.observed.view.health.failing_since = Some(active.now);
    assert_eq!(
        row(&mut active).0,
        ["Ready=True Active", "Synced=False ApiUnavailable"]
    );
    let mut stale = active.after(Duration::from_mins(3));
    assert_eq!(
        row(&mut stale).0,
        [
            "Ready=Unknown StatusStale",
            "Reconciling=True StatusStale",
            "Synced=False ApiUnavailable"
        ]
    );
}

#[test]
fn a_refused_token_leaves_only_live_access_ready() {
    let (mut world, _) = asked("Pending");
    world.observed.connection = ConnectionSight::Unauthorized {
        message: "m".to_owned(),
        orphan: false,
    };
    let expected = ["Ready=False", "Stalled=True", "Synced=False"];
    let expected = expected.map(|one| format!("{one} Unauthorized")).to_vec();
    assert_eq!(row(&mut world), (expected, Phase::Failed));
}
