//! What is reckoned, and what is told from what was asked for.

use serde_json::json;

use super::*;
use crate::{
    controller::{
        fixtures::{World, origin, world},
        fold::{Outcome, Reply},
        observed::{Refusal, RevokeTry},
        plan::{Plan, Step},
    },
    marker::{Nonce, marked},
    poller::{Look, Sight, Snapshot},
};

fn remote(word: &str, nonce: &Nonce) -> Remote {
    let admin: apono_client::AdminRequest = serde_json::from_value(json!({
        "request_id": "r1", "friendly_request_id": "AR-1", "user_id": "user-9", "status": word,
        "integration_id": "int-1", "resource_ids": ["res-1", "res-2"],
        "permissions": ["ReadOnly"], "justification": marked(nonce, &origin(), Some("why"))
    }))
    .unwrap();
    admin.into()
}

/// A resource that asks the admin API, not yet asked for.
fn asking(duration: Option<&str>) -> World {
    let mut world = world();
    world.resource.spec.access = serde_json::from_value(json!({"integration": {
        "integration": "prod-postgres", "resourceType": "database",
        "resources": ["orders", "billing"], "permissions": ["ReadOnly"]
    }}))
    .unwrap();
    world.resource.spec.grantee = Some("dana@example.com".to_owned());
    world.resource.spec.duration = duration.map(DurationText::from);
    world.observed.asks_for_another = true;
    world.observed.asks_admin = true;
    let resolved = json!({
        "integrations": [{"id": "int-1", "name": "prod-postgres"}],
        "resources": ["res-1", "res-2"]
    });
    let status = world.resource.status.get_or_insert_default();
    status.resolved = Some(serde_json::from_value(resolved).unwrap());
    world
}

impl World {
    fn see_admin(&mut self, word: &str, nonce: &Nonce) {
        let snapshot = Snapshot::new(remote(word, nonce), RemoteApi::AdminV3, self.now);
        let sight = Sight::Seen(std::sync::Arc::new(snapshot));
        self.observed.view.sights.insert("r1".to_owned(), sight);
        self.fold(&Outcome::Nothing);
    }

    fn reason(&self) -> String {
        self.status().reason.unwrap_or_default()
    }
}

/// As it stands after its create was answered and this was seen.
fn asked(word: &str, duration: Option<&str>) -> (World, Nonce) {
    let mut world = asking(duration);
    let nonce = world.ask(|nonce| Reply::Made(vec![remote("PENDING", nonce)]));
    world.see_admin(word, &nonce);
    (world, nonce)
}

#[test]
fn what_is_held_is_told_from_what_was_asked_for_in_the_names_of_the_resource() {
    let (world, _) = asked("GRANTED", Some("1h"));
    let status = world.status();
    let shown = serde_json::to_value(&status.entitlements).unwrap();
    assert_eq!(
        shown[0],
        json!({
            "integration": {"id": "int-1", "name": "prod-postgres"}, "permission": "ReadOnly",
            "resource": {"id": "res-1", "type": "database", "name": "orders"}, "status": "Granted"
        })
    );
    let summary = status.entitlement_summary.unwrap();
    assert_eq!((summary.total, summary.granted), (2, 2));
    let grantee = status.grantee.unwrap();
    assert_eq!(grantee.id.as_deref(), Some("user-9"));
    assert_eq!(grantee.source_id.as_deref(), Some("dana@example.com"));
    assert_eq!(status.requests[0].friendly_id.as_deref(), Some("AR-1"));
    assert_eq!(status.requests[0].api, Some(RemoteApi::AdminV3));
}

#[test]
fn every_word_of_the_admin_api_is_a_state() {
    for (word, reason) in [
        ("PENDING", "PendingApproval"),
        ("APPROVED", "Granting"),
        ("GRANTED", "Active"),
        ("REVOKING", "Revoking"),
        ("REJECTED", "Rejected"),
        ("FAILED", "GrantFailed"),
        ("PAUSED", "UnknownStatus"),
    ] {
        let (world, _) = asked(word, Some("1h"));
        assert_eq!(world.reason(), reason, "{word}");
        assert_eq!(world.status().requests[0].status.as_deref(), Some(word));
    }
}

#[test]
fn the_end_is_reckoned_from_when_the_access_was_first_seen() {
    let (world, nonce) = asked("PENDING", Some("1h"));
    assert_eq!(world.status().ends_at, None);
    let mut world = world.after(Duration::from_mins(10));
    world.see_admin("GRANTED", &nonce);
    let end = "2026-11-23T13:10:00Z".parse().unwrap();
    assert_eq!(world.status().ends_at, Some(Time(end)));
    assert_eq!(world.status().requests[0].ends_at_estimated, Some(true));
    let mut world = world.after(Duration::from_mins(5));
    world.see_admin("GRANTED", &nonce);
    assert_eq!(world.status().ends_at, Some(Time(end)), "it does not move");
    assert!(
        world
            .status()
            .message
            .unwrap()
            .starts_with("until about 2026-11-23 13:10Z")
    );
}

#[test]
fn access_that_is_gone_has_expired_or_was_taken_back() {
    for (duration, minutes, reason) in [
        (Some("1h"), 30, "RevokedUpstream"),
        (Some("1h"), 58, "RevokedUpstream"),
        // It was seen some time after it was granted.
        (Some("1h"), 59, "Expired"),
        (Some("1h"), 61, "Expired"),
        (None, 1, "Expired"),
    ] {
        let (world, nonce) = asked("GRANTED", duration);
        let mut world = world.after(Duration::from_mins(minutes));
        world.see_admin("EXPIRED", &nonce);
        assert_eq!(world.reason(), reason, "{duration:?} after {minutes}");
    }
    // The tolerance leaves most of a short access.
    let (world, nonce) = asked("GRANTED", Some("1m"));
    let mut world = world.after(Duration::from_secs(40));
    world.see_admin("EXPIRED", &nonce);
    assert_eq!(world.reason(), "RevokedUpstream");
}

#[test]
fn access_that_came_and_went_unseen_has_expired_when_its_time_is_over() {
    for (minutes, reason) in [(30, "RevokedUpstream"), (61, "Expired")] {
        let (world, nonce) = asked("PENDING", Some("1h"));
        let mut world = world.after(Duration::from_mins(minutes));
        world.see_admin("EXPIRED", &nonce);
        assert_eq!(world.reason(), reason, "{minutes}");
    }
}

#[test]
fn a_lost_answer_is_looked_for_in_the_list_of_the_admin_api_alone() {
    let mut world = asking(None);
    world.ask(|_| Reply::Lost);
    let mut world = world.after(Duration::from_mins(1));
    let since = Timestamp::MIN;
    let look = Look {
        asked_at: world.now,
        since,
    };
    for api in [RemoteApi::UserV4, RemoteApi::Delegated] {
        world.observed.view.look.insert(api, look);
    }
    assert!(!matches!(world.plan().step, Step::Create { .. }));
    world.observed.view.look_trouble = Some("the API answered `403`".to_owned());
    world.fold(&Outcome::Nothing);
    let told = world.status().message.unwrap();
    assert!(
        told.contains("`403`") && told.contains("nothing is asked again"),
        "{told}"
    );
    world.observed.view.look.insert(RemoteApi::AdminV3, look);
    assert!(matches!(world.plan().step, Step::Create { .. }));
}

#[test]
fn an_id_of_the_admin_api_that_is_not_found_is_never_taken_for_ended() {
    let (mut world, _) = asked("GRANTED", None);
    world.lose("r1", 5, 60);
    world.observed.view.identity = Some("user-1".to_owned());
    world.fold(&Outcome::Nothing);
    assert_eq!(world.reason(), "RemoteNotFound");
    let deleted = world.deleted();
    assert!(!matches!(deleted.plan().step, Step::Release));
}

/// What is planned for a failed request that is being deleted, read this long after this came of
/// its revoke.
fn failed_for(
    seconds: u64,
    seen: &[&str],
    tried: Option<(u32, Option<u16>)>,
    is_handed_over: bool,
) -> Plan {
    let (mut world, nonce) = asked("PENDING", None);
    for word in seen {
        world.see_admin(word, &nonce);
    }
    let mut world = world.deleted();
    if let Some((count, status)) = tried {
        let message = "no".to_owned();
        let refusal = status.map(|status| Refusal {
            status: Some(status),
            message,
        });
        let last = world.now;
        let tried = RevokeTry {
            count,
            failures: 0,
            last,
            refusal,
        };
        let memory = &mut world.observed.memory;
        memory.revokes.insert("r1".to_owned(), tried);
        memory
            .handed_over
            .extend(is_handed_over.then(|| "r1".to_owned()));
    }
    let mut world = world.after(Duration::from_secs(seconds));
    world.see_admin("FAILED", &nonce);
    world.plan()
}

fn failed(seen: &[&str], tried: Option<(u32, Option<u16>)>, is_handed_over: bool) -> Plan {
    failed_for(1, seen, tried, is_handed_over)
}

#[test]
fn a_failed_request_of_the_admin_api_goes_after_a_revoke_that_was_answered() {
    let revoke = Step::Revoke {
        id: "r1".to_owned(),
    };
    assert_eq!(failed(&[], None, false).step, revoke);
    assert_eq!(failed(&[], Some((1, None)), true).step, Step::Wait);
    assert_eq!(failed(&[], Some((1, Some(503))), false).step, Step::Wait);
    assert_eq!(failed(&[], Some((1, Some(400))), false).step, Step::Release);
    // One that was accepted may still be acted upon.
    assert_eq!(failed(&[], Some((1, None)), false).step, Step::Wait);
    assert_eq!(failed_for(14, &[], Some((1, None)), false).step, Step::Wait);
    assert_eq!(
        failed_for(15, &[], Some((1, None)), false).step,
        Step::Release
    );
    // What was seen live is never let go of.
    for seen in [&["GRANTED"], &["REVOKING"]] {
        let step = failed(seen, Some((1, Some(400))), false).step;
        assert_eq!(step, Step::Wait, "{seen:?}");
    }
}
