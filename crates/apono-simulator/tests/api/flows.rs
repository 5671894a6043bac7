//! Whom flows let ask for what and for whom, and who decides.

use apono_simulator::{Command, Config, Simulator, Status, User};
use jiff::SignedDuration;
use serde_json::json;

use crate::support::{Api, OTHER, OTHER_TOKEN, config, ids, start, started};

const WRITE: &str = r#"{"entitlements": [
    {"resource_id": "res-billing", "permission_id": "perm-db-read-write"}],
    "justification": "a reason", "grantee": "other@example.com"}"#;

#[tokio::test]
async fn one_may_ask_for_those_who_report_to_oneself_and_for_no_other() {
    let mut config = config();
    let team = vec![OTHER.to_owned()];
    let reports = &mut config.catalogue.reports;
    reports.insert("boss@example.com".to_owned(), team);
    config
        .users
        .push(User::new("boss@example.com", "boss-token"));
    let (simulator, api) = started(&config);
    let body = serde_json::from_str(WRITE).unwrap();
    assert_eq!(api.create(&body).await.refused(403), "FORBIDDEN");
    let boss = Api::with_token(&simulator, Some("boss-token"));
    boss.create(&body).await.ok();
    let path = "/api/user/v1/available-access/entitlements?grantee=other@example.com";
    let count = async |api: &Api| {
        let page = api.get(path).await.ok();
        page["items"].as_array().unwrap().len()
    };
    // Nine of the sixteen pairs are open to everybody for others, six more to the boss for these.
    assert_eq!(count(&boss).await - count(&api).await, 6);
}

#[tokio::test]
async fn a_flow_is_open_to_its_requestors_and_for_its_grantees_only() {
    let (simulator, api) = start();
    let other = Api::with_token(&simulator, Some(OTHER_TOKEN));
    simulator
        .edit_flow("buckets", |flow| {
            flow.requestors = vec!["operator@example.com".to_owned()];
            flow.grantees = vec!["sam@example.com".to_owned()];
        })
        .unwrap();
    let pair = json!([{"resource_id": "res-invoices", "permission_id": "perm-bucket-read"}]);
    let body = json!({"entitlements": pair});
    api.create(&body).await.ok();
    assert_eq!(other.create(&body).await.refused(400), "NO_ACCESS_FLOW");
    for (grantee, status) in [("sam@example.com", 200), (OTHER, 403)] {
        let body = json!({"entitlements": pair, "grantee": grantee});
        assert_eq!(api.create(&body).await.status, status);
    }
    let selectable = "/api/v3/selectable-integrations";
    let mine = api.get(selectable).await.ok()["data"].clone();
    let theirs = other
        .get(&format!(
            "{selectable}/int-bucket-store/object-bucket/permissions"
        ))
        .await
        .ok();
    assert_eq!(ids(&mine).len(), 3);
    assert_eq!(theirs["data"], json!(["BreakGlass", "HalfOpen"]));
}

#[tokio::test]
async fn a_webhook_decides_after_its_time_or_by_the_control_channel() {
    let (simulator, api) = start();
    let (told, late) = (api.one("prod-webhook").await, api.one("prod-webhook").await);
    assert_eq!(api.status(&told).await, "Pending");
    simulator
        .command(&told, &Command::Reject { reason: None })
        .unwrap();
    assert_eq!(api.status(&told).await, "Rejected");
    let mut delays = simulator.behaviour().1;
    delays.webhook = Some(SignedDuration::from_mins(2));
    simulator.set_delays(delays);
    assert_eq!(api.status(&late).await, "Pending");
    simulator.advance(SignedDuration::from_mins(2));
    assert_eq!(api.status(&late).await, "Active");
}

/// Ids, passwords and all answers depend on the seed, the clock and the calls alone.
#[tokio::test]
async fn the_same_seed_clock_and_calls_give_the_same_answers() {
    let run = async || {
        let start = "2026-11-23T12:00:00Z".parse().unwrap();
        let config = Config {
            seed: 7,
            clock: std::sync::Arc::new(apono_simulator::clock::ManualClock::new(start)),
            ..config()
        };
        let simulator = Simulator::start(&config).unwrap();
        let api = Api::of(&simulator);
        for bundle in ["three-flows", "two-integrations", "prod-mfa"] {
            api.bundle(bundle).await;
            simulator.advance(SignedDuration::from_secs(3));
        }
        let live = simulator.requests();
        let live = live.iter().find(|it| it.status == Status::Active).unwrap();
        let revoked = api.revoke(&live.id).await;
        assert_eq!(revoked.status, 200);
        let mut told = Vec::new();
        for path in [
            crate::support::OWN,
            crate::support::SESSIONS,
            crate::support::V3,
        ] {
            told.push(api.get(path).await.text);
        }
        (told, serde_json::to_string(&simulator.ledger(0)).unwrap())
    };
    assert_eq!(run().await, run().await);
}
