//! Sessions as a caller meets them: when they open, the one reading, resets, their end.

use crate::support::{Api, OTHER, OTHER_TOKEN, SESSIONS, V3, config, ids, start, started};
use apono_simulator::{Action, Endpoint, Fault, When};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

async fn sessions_of(api: &Api, request: &str) -> Vec<Value> {
    let path = format!("{SESSIONS}?request_ids={request}");
    let page = api.get(&path).await.ok();
    page["items"].as_array().unwrap().clone()
}

/// A live request of one integration and its session.
async fn one(api: &Api) -> (String, String) {
    let request = api.one("prod-read").await;
    let sessions = sessions_of(api, &request).await;
    assert_eq!(sessions.len(), 1);
    (request, sessions[0]["id"].as_str().unwrap().to_owned())
}

async fn credentials(api: &Api, id: &str) -> String {
    let session = api.get(&format!("{SESSIONS}/{id}")).await.ok();
    session["credentials_status"].as_str().unwrap().to_owned()
}

async fn details(api: &Api, id: &str) -> Value {
    let path = format!("{SESSIONS}/{id}/access-details");
    api.get(&path).await.ok()
}

fn password(details: &Value) -> String {
    details["parameters"]["password"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn reset(api: &Api, id: &str) -> crate::support::Reply {
    let path = format!("{SESSIONS}/{id}/reset-credentials");
    api.post_empty(&path).await
}

#[tokio::test]
async fn a_request_over_several_integrations_has_a_session_for_each() {
    let (_simulator, api) = start();
    let request = api.one("two-integrations").await;
    let sessions = sessions_of(&api, &request).await;
    let shown: Vec<_> = sessions
        .iter()
        .map(|it| {
            (
                it["integration"]["name"].as_str().unwrap(),
                it["credentials_status"].as_str().unwrap(),
                it["can_reset_credentials"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("kubernetes-prod", "NOT_APPLICABLE", false),
            ("postgres-prod", "AVAILABLE", true),
        ]
    );
    assert!(
        sessions
            .iter()
            .all(|it| it["request_ids"] == json!([request]))
    );
    let path = format!("{SESSIONS}?integration_id=int-kubernetes-prod");
    assert_eq!(ids(&api.get(&path).await.ok()["items"]).len(), 1);
}

#[tokio::test]
async fn a_session_opens_some_time_after_the_grant_and_closes_with_the_request() {
    let mut config = config();
    config.delays.session = SignedDuration::from_secs(10);
    let (simulator, api) = started(&config);
    let request = api.one("prod-read").await;
    assert_eq!(api.status(&request).await, "Active");
    assert!(sessions_of(&api, &request).await.is_empty());
    simulator.advance(SignedDuration::from_secs(10));
    let sessions = sessions_of(&api, &request).await;
    let id = sessions[0]["id"].as_str().unwrap();
    api.revoke(&request).await.ok();
    assert!(sessions_of(&api, &request).await.is_empty());
    for path in ["", "/access-details"] {
        assert_eq!(api.get(&format!("{SESSIONS}/{id}{path}")).await.status, 404);
    }
    assert_eq!(reset(&api, id).await.status, 404);
    assert!(simulator.session(id).unwrap().closed_at.is_some());
}

#[tokio::test]
async fn the_first_reading_takes_the_password_and_later_ones_show_asterisks() {
    let (simulator, api) = start();
    let (_, id) = one(&api).await;
    assert_eq!(credentials(&api, &id).await, "AVAILABLE");
    let first = details(&api, &id).await;
    let secret = password(&first);
    assert_eq!(
        Some(secret.as_str()),
        simulator.session(&id).unwrap().password()
    );
    assert!(first["cli"].as_str().unwrap().contains(&secret));
    assert!(first["instructions"].as_str().unwrap().contains(&secret));
    assert_eq!(first["parameters"]["port"], "5432");
    assert!(first["custom_admin_message"].is_string());
    assert_eq!(credentials(&api, &id).await, "VIEWED");
    let second = details(&api, &id).await;
    assert_eq!(password(&second), "*****");
    assert!(!second.to_string().contains(&secret));
    let uses = simulator.session_uses(&id);
    assert_eq!(
        (uses.consuming_reads, uses.later_reads, uses.resets),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn a_reading_whose_answer_is_lost_has_used_the_password_up() {
    let (simulator, api) = start();
    let (_, id) = one(&api).await;
    let lost = Fault::new(Action::Drop { when: When::After });
    simulator.arm(lost.at(Endpoint::SessionDetails).once());
    let path = format!("{SESSIONS}/{id}/access-details");
    assert!(api.request(Method::GET, &path).send().await.is_err());
    assert_eq!(simulator.session_uses(&id).consuming_reads, 1);
    assert_eq!(password(&details(&api, &id).await), "*****");
    let early = Fault::new(Action::Drop { when: When::Before });
    simulator.arm(early.at(Endpoint::ResetSession).once());
    let path = format!("{SESSIONS}/{id}/reset-credentials");
    assert!(api.request(Method::POST, &path).send().await.is_err());
    assert_eq!(simulator.session_uses(&id).resets, 0);
    let lost = Fault::new(Action::Drop { when: When::After });
    simulator.arm(lost.at(Endpoint::ResetSession).once());
    assert!(api.request(Method::POST, &path).send().await.is_err());
    assert_eq!(simulator.session_uses(&id).resets, 1);
    assert_ne!(password(&details(&api, &id).await), "*****");
}

#[tokio::test]
async fn a_reset_takes_its_time_and_ends_in_a_new_password() {
    let mut config = config();
    config.delays.reset = Some(SignedDuration::from_secs(20));
    let (simulator, api) = started(&config);
    let (_, id) = one(&api).await;
    let old = password(&details(&api, &id).await);
    reset(&api, &id).await.ok();
    assert_eq!(credentials(&api, &id).await, "RESETTING");
    assert_eq!(password(&details(&api, &id).await), "*****");
    simulator.advance(SignedDuration::from_secs(20));
    assert_eq!(credentials(&api, &id).await, "AVAILABLE");
    let new = password(&details(&api, &id).await);
    assert_ne!(new, old);
    assert_eq!(simulator.session(&id).unwrap().passwords, [old, new]);
}

#[tokio::test]
async fn without_a_time_for_it_only_the_control_channel_ends_a_reset() {
    let mut config = config();
    config.delays.reset = None;
    let (simulator, api) = started(&config);
    let (_, id) = one(&api).await;
    reset(&api, &id).await.ok();
    simulator.advance(SignedDuration::from_mins(1));
    assert_eq!(credentials(&api, &id).await, "RESETTING");
    simulator.finish_reset(&id).unwrap();
    assert_eq!(credentials(&api, &id).await, "AVAILABLE");
}

#[tokio::test]
async fn somebody_else_may_have_seen_the_password_before() {
    let (simulator, api) = start();
    let (_, id) = one(&api).await;
    simulator.view_session(&id).unwrap();
    assert_eq!(credentials(&api, &id).await, "VIEWED");
    assert_eq!(password(&details(&api, &id).await), "*****");
    let uses = simulator.session_uses(&id);
    assert_eq!(
        (uses.consuming_reads, uses.consuming_reads_elsewhere),
        (0, 1)
    );
}

#[tokio::test]
async fn what_cannot_be_reset_is_not() {
    let (simulator, api) = start();
    let body = json!({"entitlements": [
        {"resource_id": "res-invoices", "permission_id": "perm-bucket-read"}]});
    let request = ids(&api.create(&body).await.ok()).remove(0);
    let session = sessions_of(&api, &request).await.remove(0);
    let id = session["id"].as_str().unwrap();
    assert_eq!(session["can_reset_credentials"], false);
    assert_eq!(reset(&api, id).await.refused(400), "NOT_RESETTABLE");
    assert_eq!(simulator.session_uses(id).resets, 0);
    assert!(details(&api, id).await["link"]["url"].is_string());
}

#[tokio::test]
async fn sessions_of_others_do_not_exist_for_the_caller() {
    let (simulator, api) = start();
    let (_, id) = one(&api).await;
    let other = Api::with_token(&simulator, Some(OTHER_TOKEN));
    assert!(other.listed(SESSIONS, "").await.is_empty());
    for path in ["", "/access-details"] {
        assert_eq!(
            other.get(&format!("{SESSIONS}/{id}{path}")).await.status,
            404
        );
    }
    assert_eq!(reset(&other, &id).await.status, 404);
    // What one asked for somebody else opens a session of that user.
    let body = json!({"bundle_reference": "prod-read", "grantee": OTHER});
    api.create(&body).await.ok();
    assert_eq!(other.listed(SESSIONS, "").await.len(), 1);
    assert_eq!(api.listed(SESSIONS, "").await, [id]);
}

#[tokio::test]
async fn sessions_come_in_pages() {
    let (_simulator, api) = start();
    for _ in 0..5 {
        one(&api).await;
    }
    let pages = api
        .pages(SESSIONS, "limit=2&integration_id=int-postgres-prod")
        .await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
}

#[tokio::test]
async fn v3_gives_the_details_of_all_sessions_once_and_resets_what_can_be() {
    let (simulator, api) = start();
    let request = api.one("two-integrations").await;
    let text = async || {
        let shown = api
            .get(&format!("{V3}/{request}/access-details"))
            .await
            .ok();
        shown["details"].as_str().unwrap().to_owned()
    };
    let sessions = simulator.sessions_of(&request);
    let secret = sessions[0].password().unwrap();
    let first = text().await;
    assert!(
        first.contains(secret) && first.contains("kubectl"),
        "{first}"
    );
    assert!(!text().await.contains(secret));
    let reset = format!("{V3}/{request}/reset");
    assert!(api.post_empty(&reset).await.ok()["message"].is_string());
    let renewed = simulator.session(&sessions[0].id).unwrap();
    assert_ne!(renewed.password(), Some(secret));
    assert!(text().await.contains(renewed.password().unwrap()));
    let uses = simulator.session_uses(&renewed.id);
    assert_eq!((uses.consuming_reads, uses.resets), (2, 1));
    api.revoke(&request).await.ok();
    let early = api.get(&format!("{V3}/{request}/access-details")).await;
    assert_eq!(early.refused(400), "NOT_GRANTED");
    assert_eq!(api.post_empty(&reset).await.refused(400), "NOT_RESETTABLE");
}

#[tokio::test]
async fn a_failed_revoke_leaves_the_session_open() {
    let (simulator, api) = start();
    let request = api.one("stuck-revoke").await;
    api.revoke(&request).await.ok();
    assert_eq!(api.status(&request).await, "Failed");
    assert_eq!(simulator.sessions_of(&request).len(), 1);
}

#[tokio::test]
async fn passwords_are_distinct_and_the_same_for_the_same_seed() {
    let run = async || {
        let (simulator, api) = start();
        for _ in 0..20 {
            let (_, id) = one(&api).await;
            reset(&api, &id).await.ok();
        }
        let sessions = simulator.sessions();
        let all = sessions.into_iter().flat_map(|it| it.passwords);
        all.collect::<Vec<_>>()
    };
    let (mut first, second) = (run().await, run().await);
    assert_eq!(first, second);
    first.sort();
    first.dedup();
    assert_eq!(first.len(), 40);
}
