//! Switches of sessions and credentials.

use apono_simulator::Simulator;
use serde_json::{Value, json};

use crate::set;
use crate::support::{Api, OTHER, SESSIONS, V3, config, ids, start, started};

/// A live request and its session.
async fn one(simulator: &Simulator, api: &Api) -> (String, String) {
    let request = api.one("prod-read").await;
    let session = simulator.sessions_of(&request).remove(0);
    (request, session.id)
}

async fn word(api: &Api, id: &str) -> String {
    let session = api.get(&format!("{SESSIONS}/{id}")).await.ok();
    session["credentials_status"].as_str().unwrap().to_owned()
}

async fn details(api: &Api, id: &str) -> Value {
    api.get(&format!("{SESSIONS}/{id}/access-details"))
        .await
        .ok()
}

async fn reset(api: &Api, id: &str) -> u16 {
    let path = format!("{SESSIONS}/{id}/reset-credentials");
    api.post_empty(&path).await.status
}

#[tokio::test]
async fn requests_of_one_user_share_a_session_or_have_their_own() {
    for (sharing, count) in [("own", 2), ("shared", 1)] {
        let (simulator, api) = start();
        set(&simulator, "session-sharing", sharing);
        let (first, session) = one(&simulator, &api).await;
        let (second, _) = one(&simulator, &api).await;
        assert_eq!(api.listed(SESSIONS, "").await.len(), count);
        if count == 1 {
            let shown = api.get(&format!("{SESSIONS}/{session}")).await.ok();
            assert_eq!(shown["request_ids"], json!([first, second]));
        }
        // A shared session outlives the first of its requests.
        api.revoke(&first).await.ok();
        assert_eq!(api.listed(SESSIONS, "").await.len(), 1);
        api.revoke(&second).await.ok();
        assert!(api.listed(SESSIONS, "").await.is_empty());
    }
}

#[tokio::test]
async fn the_word_for_credentials_changes_and_fresh_ones_may_be_new() {
    let (simulator, api) = start();
    let (_, id) = one(&simulator, &api).await;
    for (case, fresh, expected) in [
        ("upper", "available", "AVAILABLE"),
        ("upper", "new", "NEW"),
        ("lower", "new", "new"),
        ("pascal", "available", "Available"),
    ] {
        set(&simulator, "credential-case", case);
        set(&simulator, "credential-fresh", fresh);
        assert_eq!(word(&api, &id).await, expected);
    }
    let request = api.one("stuck-revoke").await;
    let id = simulator.sessions_of(&request).remove(0).id;
    assert_eq!(word(&api, &id).await, "NotApplicable");
}

#[tokio::test]
async fn a_password_seen_before_is_masked_or_absent() {
    let (simulator, api) = start();
    let (_, id) = one(&simulator, &api).await;
    details(&api, &id).await;
    assert_eq!(details(&api, &id).await["parameters"]["password"], "*****");
    set(&simulator, "seen-password", "absent");
    let parameters = &details(&api, &id).await["parameters"];
    assert!(parameters["password"].is_null() && parameters["username"].is_string());
}

#[tokio::test]
async fn details_and_resets_during_a_reset_answer_by_switch() {
    let mut config = config();
    config.delays.reset = None;
    let (simulator, api) = started(&config);
    let (_, id) = one(&simulator, &api).await;
    assert_eq!(reset(&api, &id).await, 200);
    for (word, status) in [
        ("ok", 200),
        ("bad-request", 400),
        ("forbidden", 403),
        ("not-found", 404),
        ("conflict", 409),
    ] {
        set(&simulator, "details-resetting", word);
        set(&simulator, "reset-again", word);
        let path = format!("{SESSIONS}/{id}/access-details");
        assert_eq!(api.get(&path).await.status, status);
        assert_eq!(reset(&api, &id).await, status);
    }
    assert_eq!(simulator.session_uses(&id).resets, 1);
    assert_eq!(simulator.session_uses(&id).consuming_reads, 0);
}

#[tokio::test]
async fn a_reset_of_what_cannot_be_reset_answers_by_switch() {
    let (simulator, api) = start();
    let request = api.one("stuck-revoke").await;
    let id = simulator.sessions_of(&request).remove(0).id;
    for (word, status) in [("ok", 200), ("conflict", 409), ("bad-request", 400)] {
        set(&simulator, "reset-unable", word);
        assert_eq!(reset(&api, &id).await, status);
        let path = format!("{V3}/{request}/reset");
        assert_eq!(api.post_empty(&path).await.status, status);
    }
}

#[tokio::test]
async fn who_asked_for_another_sees_his_session_or_not() {
    let (simulator, api) = start();
    let body = json!({"bundle_reference": "prod-read", "grantee": OTHER});
    let request = ids(&api.create(&body).await.ok()).remove(0);
    let session = simulator.sessions_of(&request).remove(0).id;
    for (word, status, count) in [("hidden", 404, 0), ("visible", 200, 1)] {
        set(&simulator, "delegated-sessions", word);
        assert_eq!(api.listed(SESSIONS, "").await.len(), count);
        let named = format!("request_ids={request}");
        assert_eq!(api.listed(SESSIONS, &named).await.len(), count);
        let path = format!("{SESSIONS}/{session}");
        assert_eq!(api.get(&path).await.status, status);
        let path = format!("{V3}/{request}/access-details");
        assert_eq!(api.get(&path).await.status, status);
    }
    simulator.revoke(&request).unwrap();
    assert!(api.listed(SESSIONS, "").await.is_empty());
}

#[tokio::test]
async fn v3_details_before_the_grant_are_refused_or_empty() {
    let (simulator, api) = start();
    let id = api.one("prod-admin").await;
    let path = format!("{V3}/{id}/access-details");
    for (word, status) in [("bad-request", 400), ("not-found", 404), ("conflict", 409)] {
        set(&simulator, "v3-details-early", word);
        assert_eq!(api.get(&path).await.status, status);
    }
    set(&simulator, "v3-details-early", "empty");
    assert_eq!(api.get(&path).await.ok(), json!({"details": ""}));
}
