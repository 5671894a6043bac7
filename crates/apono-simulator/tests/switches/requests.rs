//! Switches of how requests look, who sees them, and of errors.

use apono_simulator::clock::ManualClock;
use jiff::SignedDuration;
use serde_json::json;

use crate::support::{Api, DELEGATED, OTHER, OTHER_TOKEN, OWN, config, ids, start, started};
use crate::{set, shown};

#[tokio::test]
async fn ids_are_uuids_or_ar_numbers() {
    let (simulator, api) = start();
    assert_eq!(api.one("prod-read").await.len(), 36);
    set(&simulator, "id-form", "ar-number");
    assert_eq!(api.one("prod-read").await, "AR-00002");
}

#[tokio::test]
async fn the_end_is_shown_from_the_create_or_from_the_grant() {
    let (simulator, api) = start();
    let id = api.one("prod-admin").await;
    assert!(shown(&api, &id).await["revocation_date"].is_string());
    set(&simulator, "end-shown", "at-grant");
    assert!(shown(&api, &id).await["revocation_date"].is_null());
    simulator.activate(&id).unwrap();
    assert!(shown(&api, &id).await["revocation_date"].is_string());
}

#[tokio::test]
async fn after_an_early_revoke_the_end_is_the_planned_or_the_actual_one() {
    let (simulator, api) = start();
    let id = api.one("prod-read").await;
    let planned = shown(&api, &id).await["revocation_date"].clone();
    simulator.advance(SignedDuration::from_mins(5));
    api.revoke(&id).await.ok();
    assert_eq!(shown(&api, &id).await["revocation_date"], planned);
    set(&simulator, "end-after-revoke", "actual");
    let actual = shown(&api, &id).await["revocation_date"].clone();
    assert!(actual.as_str() < planned.as_str(), "{actual} {planned}");
}

#[tokio::test]
async fn a_duration_not_asked_for_is_null_or_the_flows() {
    let (simulator, api) = start();
    let id = api.one("prod-read").await;
    assert!(shown(&api, &id).await["duration_in_sec"].is_null());
    set(&simulator, "duration-echo", "effective");
    assert_eq!(shown(&api, &id).await["duration_in_sec"], 28_800);
}

#[tokio::test]
async fn errors_have_the_shape_of_the_switch_and_the_401_its_own() {
    let (simulator, api) = start();
    let missing = format!("{OWN}/none");
    assert_eq!(api.get(&missing).await.json()["code"], "NOT_FOUND");
    for (shape, pointer) in [("nested", "/error/code"), ("listed", "/errors/0/code")] {
        set(&simulator, "error-shape", shape);
        let body = api.get(&missing).await.json();
        assert_eq!(body.pointer(pointer).unwrap(), "NOT_FOUND");
    }
    set(&simulator, "error-shape", "text");
    let reply = api.get(&missing).await;
    assert!(
        reply.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
    set(&simulator, "error-shape", "empty");
    assert_eq!(api.get(&missing).await.text, "");
    let stranger = Api::with_token(&simulator, None);
    assert_eq!(stranger.get(OWN).await.json()["code"], "Unauthorized");
}

#[tokio::test]
async fn each_own_path_knows_delegated_ids_or_not() {
    let (simulator, api) = start();
    let body = json!({"bundle_reference": "prod-read", "grantee": OTHER});
    let id = ids(&api.create(&body).await.ok()).remove(0);
    let again = json!({"custom_fields": {}});
    for (word, expected) in [("hidden", 404), ("visible", 200)] {
        for name in [
            "delegated-get",
            "delegated-entitlements",
            "delegated-again",
            "delegated-revoke",
        ] {
            set(&simulator, name, word);
        }
        let path = format!("{OWN}/{id}");
        assert_eq!(api.get(&path).await.status, expected);
        assert_eq!(
            api.get(&format!("{path}/entitlements")).await.status,
            expected
        );
        let again = api.post(&format!("{path}/request-again"), &again).await;
        assert_eq!(again.status, expected);
        assert_eq!(api.revoke(&id).await.status, expected);
        // The delegated path knows it either way.
        assert_eq!(api.get(&format!("{DELEGATED}/{id}")).await.status, 200);
    }
}

#[tokio::test]
async fn a_revoke_of_an_ended_or_open_request_answers_by_switch() {
    let (simulator, api) = start();
    let ended = api.one("prod-read").await;
    api.revoke(&ended).await.ok();
    for (word, expected) in [("ok", 200), ("bad-request", 400), ("not-found", 404)] {
        set(&simulator, "revoke-ended", word);
        assert_eq!(api.revoke(&ended).await.status, expected);
    }
    let open = api.one("prod-admin").await;
    for (word, expected) in [("bad-request", 400), ("conflict", 409), ("accept", 200)] {
        set(&simulator, "revoke-open", word);
        assert_eq!(api.revoke(&open).await.status, expected);
    }
    assert_eq!(api.status(&open).await, "Revoked");
}

#[tokio::test]
async fn the_caller_is_filled_in_or_null_in_own_requests() {
    let (simulator, api) = start();
    let id = api.one("prod-read").await;
    let request = shown(&api, &id).await;
    assert_eq!(request["requestor"]["source_id"], "operator@example.com");
    assert_eq!(request["grantee"], request["requestor"]);
    set(&simulator, "own-identity", "null");
    let request = shown(&api, &id).await;
    assert!(request["requestor"].is_null() && request["grantee"].is_null());
}

#[tokio::test]
async fn dates_have_milliseconds_or_not() {
    let (simulator, api) = start();
    let id = api.one("prod-read").await;
    let length = async || {
        shown(&api, &id).await["creation_date"]
            .as_str()
            .unwrap()
            .len()
    };
    assert_eq!(length().await, "2022-03-10T16:15:50Z".len());
    set(&simulator, "fractional-seconds", "true");
    assert_eq!(length().await, "2022-03-10T16:15:50.123Z".len());
}

#[tokio::test]
async fn a_service_token_is_unauthorized_or_forbidden() {
    let (simulator, _) = start();
    let robot = Api::with_token(&simulator, Some("robot-token"));
    assert_eq!(robot.get(OWN).await.status, 401);
    set(&simulator, "service-token", "forbidden");
    assert_eq!(robot.get(OWN).await.status, 403);
}

#[tokio::test]
async fn the_id_of_somebody_elses_request_is_unknown_or_forbidden() {
    let (simulator, api) = start();
    let id = api.one("prod-read").await;
    let other = Api::with_token(&simulator, Some(OTHER_TOKEN));
    for (word, status) in [("not-found", 404), ("forbidden", 403)] {
        set(&simulator, "foreign-id", word);
        assert_eq!(other.get(&format!("{OWN}/{id}")).await.status, status);
        assert_eq!(other.revoke(&id).await.status, status);
        assert_eq!(other.get(&format!("{OWN}/none")).await.status, 404);
    }
}

#[tokio::test]
async fn refused_content_is_a_400_or_a_422_and_a_broken_body_always_a_400() {
    let (simulator, api) = start();
    let refused = json!({"bundle_reference": "nope"});
    let broken = json!({"bundle_reference": 1});
    for (word, status) in [("bad-request", 400), ("unprocessable", 422)] {
        set(&simulator, "invalid-status", word);
        assert_eq!(api.create(&refused).await.refused(status), "UNKNOWN_BUNDLE");
        assert_eq!(api.create(&broken).await.status, 400);
    }
}

#[tokio::test]
async fn a_message_is_a_sentence_a_word_or_nothing() {
    let (simulator, api) = start();
    let id = api.one("prod-read").await;
    let text = async || {
        api.revoke(&id).await.ok()["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(text().await.contains(' '));
    set(&simulator, "message-text", "word");
    assert_eq!(text().await, "ok");
    set(&simulator, "message-text", "empty");
    assert_eq!(text().await, "");
}

#[tokio::test]
async fn calls_above_the_rate_get_a_429_that_says_how_long_to_wait_or_not() {
    let mut config = config();
    let start = "2026-11-23T12:00:00Z".parse().unwrap();
    config.clock = std::sync::Arc::new(ManualClock::new(start));
    let (simulator, api) = started(&config);
    set(&simulator, "rate-limit", "2");
    for hint in ["seconds", "date", "none"] {
        set(&simulator, "rate-hint", hint);
        simulator.advance(SignedDuration::from_secs(1));
        for status in [200, 200, 429] {
            assert_eq!(api.get(OWN).await.status, status);
        }
        let headers = api.get(OWN).await.headers;
        let wait = headers.get("retry-after").map(|it| it.to_str().unwrap());
        match hint {
            "seconds" => assert_eq!(wait, Some("1")),
            "date" => assert_eq!(wait, Some("Mon, 23 Nov 2026 12:00:03 GMT")),
            _ => assert_eq!(wait, None),
        }
    }
    // Of one user's calls, others notice nothing.
    let other = Api::with_token(&simulator, Some(OTHER_TOKEN));
    other.get(OWN).await.ok();
}
