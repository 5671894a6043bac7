//! Every switch, both ways, as a caller sees it. Those only the machine shows are in `machine.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test, in helpers as well"
)]

mod support;

use apono_simulator::Command;
use jiff::SignedDuration;
use serde_json::{Value, json};
use support::{Api, DELEGATED, OTHER, OWN, ids, start};

/// Sets a switch by the name and value a command line would give.
fn set(simulator: &apono_simulator::Simulator, name: &str, value: &str) {
    simulator.set_switches(|switches| switches.set(name, value).unwrap());
}

async fn shown(api: &Api, id: &str) -> Value {
    api.get(&format!("{OWN}/{id}")).await.ok()
}

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
async fn the_last_page_says_so_with_null_nothing_or_an_empty_string() {
    let (simulator, api) = start();
    let pagination = async || api.get(OWN).await.ok()["pagination"].clone();
    assert_eq!(pagination().await, json!({"next_page_token": null}));
    set(&simulator, "page-end", "absent");
    assert_eq!(pagination().await, json!({}));
    set(&simulator, "page-end", "empty");
    assert_eq!(pagination().await, json!({"next_page_token": ""}));
}

#[tokio::test]
async fn inserts_move_later_pages_only_when_tokens_count_items() {
    for (position, repeated) in [("cursor", false), ("offset", true)] {
        let (simulator, api) = start();
        set(&simulator, "page-position", position);
        for _ in 0..4 {
            api.one("prod-read").await;
        }
        let first = api.get(&format!("{OWN}?limit=2")).await.ok();
        api.one("prod-read").await;
        let token = first["pagination"]["next_page_token"].as_str().unwrap();
        let second = api.get(&format!("{OWN}?page_token={token}")).await.ok();
        let seen = ids(&first["items"]);
        let twice = ids(&second["items"]).iter().any(|id| seen.contains(id));
        assert_eq!(twice, repeated, "{position}");
    }
}

#[tokio::test]
async fn a_page_token_lives_for_ever_or_for_a_while() {
    let (simulator, api) = start();
    for _ in 0..2 {
        api.one("prod-read").await;
    }
    let first = api.get(&format!("{OWN}?limit=1")).await.ok();
    let token = first["pagination"]["next_page_token"].as_str().unwrap();
    let path = format!("{OWN}?page_token={token}");
    simulator.advance(SignedDuration::from_secs(60));
    assert_eq!(api.get(&path).await.status, 200);
    set(&simulator, "page-token-life", "30s");
    assert_eq!(api.get(&path).await.refused(400), "PAGE_TOKEN_EXPIRED");
}

#[tokio::test]
async fn a_limit_above_the_maximum_is_refused_or_cut() {
    let (simulator, api) = start();
    for _ in 0..3 {
        api.one("prod-read").await;
    }
    set(&simulator, "max-limit", "2");
    let path = format!("{OWN}?limit=3");
    assert_eq!(api.get(&path).await.refused(400), "INVALID_LIMIT");
    set(&simulator, "over-limit", "clamp");
    assert_eq!(ids(&api.get(&path).await.ok()["items"]).len(), 2);
    assert_eq!(ids(&api.get(OWN).await.ok()["items"]).len(), 2);
    assert_eq!(api.get(&format!("{OWN}?limit=0")).await.status, 400);
}

#[tokio::test]
async fn lists_are_newest_first_oldest_first_or_shuffled_and_always_whole() {
    let (simulator, api) = start();
    let mut made = Vec::new();
    for _ in 0..20 {
        made.push(api.one("prod-read").await);
    }
    set(&simulator, "list-order", "oldest-first");
    assert_eq!(api.listed(OWN, "limit=3").await, made);
    set(&simulator, "list-order", "shuffled");
    let mut shuffled = api.listed(OWN, "limit=3").await;
    assert_ne!(shuffled, made);
    shuffled.sort();
    let reversed: Vec<_> = made.iter().rev().cloned().collect();
    made.sort();
    assert_eq!(shuffled, made);
    set(&simulator, "list-order", "newest-first");
    assert_eq!(api.listed(OWN, "limit=3").await, reversed);
}

#[tokio::test]
async fn an_unknown_status_in_a_filter_finds_nothing_or_is_refused() {
    let (simulator, api) = start();
    api.one("prod-read").await;
    assert!(api.listed(OWN, "statuses=Nonsense").await.is_empty());
    set(&simulator, "unknown-status", "refuse");
    let path = format!("{OWN}?statuses=Nonsense");
    assert_eq!(api.get(&path).await.refused(400), "INVALID_STATUS");
}

#[tokio::test]
async fn status_words_change_case_and_can_be_foreign_and_filters_follow() {
    let (simulator, api) = start();
    let id = api.one("prod-mfa").await;
    let word = async |api: &Api| {
        let items = api.get(&format!("{OWN}/{id}/entitlements")).await.ok();
        (
            api.status(&id).await,
            items["items"][0]["status"].as_str().unwrap().to_owned(),
        )
    };
    let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
    assert_eq!(word(&api).await, pair("PendingMFA", "Pending"));
    set(&simulator, "word-case", "upper");
    assert_eq!(word(&api).await, pair("PENDINGMFA", "PENDING"));
    assert_eq!(api.listed(OWN, "statuses=PENDINGMFA").await, [id.as_str()]);
    assert!(api.listed(OWN, "statuses=PendingMFA").await.is_empty());
    set(&simulator, "word-case", "lower");
    assert_eq!(word(&api).await, pair("pendingmfa", "pending"));
    set(&simulator, "request-words", r#"{"PendingMFA": "AWAITING"}"#);
    set(&simulator, "entitlement-words", r#"{"Pending": "Queued"}"#);
    assert_eq!(word(&api).await, pair("AWAITING", "Queued"));
    assert_eq!(api.listed(OWN, "statuses=AWAITING").await, [id.as_str()]);
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
async fn a_justification_is_kept_trimmed_cut_or_refused() {
    let (simulator, api) = start();
    set(&simulator, "justification-length", "5");
    let body = json!({"bundle_reference": "prod-read", "justification": " äbcdefg "});
    for (word, expected) in [
        ("kept", " äbcdefg "),
        ("trimmed", "äbcdefg"),
        ("cut", " äbcd"),
    ] {
        set(&simulator, "justification", word);
        assert_eq!(api.create(&body).await.ok()[0]["justification"], expected);
    }
    set(&simulator, "justification", "refused");
    assert_eq!(
        api.create(&body).await.refused(400),
        "JUSTIFICATION_TOO_LONG"
    );
}

#[tokio::test]
async fn a_repeated_create_is_accepted_or_refused_while_the_first_has_not_ended() {
    let (simulator, api) = start();
    let first = api.one("prod-read").await;
    let body = json!({"bundle_reference": "prod-read"});
    for (word, expected) in [("bad-request", 400), ("conflict", 409)] {
        set(&simulator, "duplicate", word);
        assert_eq!(
            api.create(&body).await.refused(expected),
            "DUPLICATE_REQUEST"
        );
    }
    api.revoke(&first).await.ok();
    api.create(&body).await.ok();
    set(&simulator, "duplicate", "accept");
    api.create(&body).await.ok();
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
async fn malformed_creates_pass_with_their_switches() {
    let (simulator, api) = start();
    let bare = json!({"bundle_reference": "prod-read"});
    set(&simulator, "missing-custom-fields", "accept");
    api.post(OWN, &bare).await.ok();
    let pairs = json!([{"resource_id": "res-invoices", "permission_id": "perm-bucket-read"}]);
    let both = json!({"bundle_reference": "prod-read", "entitlements": pairs});
    assert_eq!(api.create(&both).await.status, 400);
    set(&simulator, "both-targets", "accept");
    assert_eq!(
        api.create(&both).await.ok()[0]["bundle"]["name"],
        "prod-read"
    );
    let foreign = json!({"bundle_reference": "prod-read", "custom_fields": {"colour": "red"}});
    api.create(&foreign).await.ok();
    set(&simulator, "unknown-custom-field", "bad-request");
    assert_eq!(api.create(&foreign).await.refused(400), "UNKNOWN_FIELD");
}

#[tokio::test]
async fn entitlements_of_one_create_are_capped_or_not() {
    let (simulator, api) = start();
    let pair = |name: &str| json!({"resource_id": name, "permission_id": "perm-db-read-only"});
    let body = json!({"entitlements": [pair("res-orders"), pair("res-billing")]});
    api.create(&body).await.ok();
    set(&simulator, "entitlement-cap", "1");
    assert_eq!(
        api.create(&body).await.refused(400),
        "TOO_MANY_ENTITLEMENTS"
    );
}

#[tokio::test]
async fn when_one_flow_refuses_nothing_or_the_rest_is_created() {
    let (simulator, api) = start();
    let body = json!({"entitlements": [
        {"resource_id": "res-invoices", "permission_id": "perm-bucket-read"},
        {"resource_id": "res-orders", "permission_id": "perm-db-read-write"},
    ]});
    assert_eq!(api.create(&body).await.status, 400);
    set(&simulator, "flow-refusal", "accept-rest");
    assert_eq!(api.create(&body).await.ok().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn asking_again_depends_on_the_state_and_the_justification_by_switch() {
    let (simulator, api) = start();
    let id = api.one("prod-admin").await;
    let path = format!("{OWN}/{id}/request-again");
    let body = json!({"custom_fields": {}});
    assert_eq!(
        api.post(&path, &body).await.ok()[0]["justification"],
        "a reason"
    );
    set(&simulator, "again-unended", "conflict");
    assert_eq!(api.post(&path, &body).await.refused(409), "NOT_ENDED");
    simulator
        .command(&id, &Command::Reject { reason: None })
        .unwrap();
    api.post(&path, &body).await.ok();
    set(&simulator, "again-justification", "as-sent");
    assert_eq!(api.post(&path, &body).await.refused(400), "FIELD_MISSING");
}

#[test]
fn every_switch_has_a_test_here_or_in_the_machine() {
    let tests = [include_str!("switches.rs"), include_str!("machine.rs")].concat();
    for (name, _) in apono_simulator::Switches::table() {
        let field = name.replace('-', "_");
        assert!(
            tests.contains(&name) || tests.contains(&field),
            "{name} has no test"
        );
    }
}
