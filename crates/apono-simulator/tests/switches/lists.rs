//! Switches of lists, filters and pages.

use jiff::SignedDuration;
use serde_json::json;

use crate::set;
use crate::support::{Api, OTHER, OTHER_TOKEN, OWN, V3, ids, start};

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
async fn a_comma_is_part_of_a_value_or_parts_values() {
    let (simulator, api) = start();
    api.one("prod-read").await;
    api.one("prod-admin").await;
    for (word, count) in [("one-value", 0), ("splits", 2)] {
        set(&simulator, "comma", word);
        let listed = api.listed(OWN, "statuses=Active,Pending").await;
        assert_eq!(listed.len(), count);
    }
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_or_overlooked() {
    let (simulator, api) = start();
    for (word, status) in [("refuse", 400), ("ignore", 200)] {
        set(&simulator, "unknown-parameter", word);
        assert_eq!(api.get(&format!("{OWN}?colour=red")).await.status, status);
        let path = format!("{V3}?colour=red");
        assert_eq!(api.get(&path).await.status, status);
    }
}

#[tokio::test]
async fn a_list_by_requestor_shows_what_was_made_for_the_caller_or_all_of_theirs() {
    let (simulator, api) = start();
    let other = Api::with_token(&simulator, Some(OTHER_TOKEN));
    api.one("prod-read").await;
    let body = json!({"bundle_reference": "prod-read", "grantee": OTHER});
    api.create(&body).await.ok();
    for (word, count) in [("for-caller", 1), ("all-of-theirs", 2)] {
        set(&simulator, "requestor-list", word);
        let listed = other.listed(OWN, "requestor=operator@example.com").await;
        assert_eq!(listed.len(), count);
    }
    assert_eq!(api.listed(OWN, "").await.len(), 1);
}

#[tokio::test]
async fn names_are_found_exactly_or_with_stars_or_in_any_case() {
    let (simulator, api) = start();
    let count = async |query: &str| {
        let path = format!("/api/user/v1/available-access/entitlements?{query}");
        api.get(&path).await.ok()["items"].as_array().unwrap().len()
    };
    assert_eq!(count("resource_name=ord*").await, 0);
    assert_eq!(count("resource_name=ORDERS").await, 0);
    set(&simulator, "entitlement-names", "wildcard");
    assert_eq!(count("resource_name=ord*").await, 3);
    assert_eq!(count("resource_name=*&permission_name=*Only").await, 3);
    set(&simulator, "name-case", "blind");
    assert_eq!(count("resource_name=ORDERS").await, 3);
}

#[tokio::test]
async fn a_search_for_an_unknown_user_is_refused_or_finds_nothing() {
    let (simulator, api) = start();
    let paths = [
        "/api/user/v1/available-access/bundles?grantee=nobody".to_owned(),
        format!("{V3}?user_id=nobody"),
        "/api/v3/selectable-integrations?user_id=nobody".to_owned(),
    ];
    for (word, status) in [("refuse", 400), ("no-items", 200)] {
        set(&simulator, "unknown-user", word);
        for path in &paths {
            assert_eq!(api.get(path).await.status, status, "{path}");
        }
    }
}
