//! Switches of v3.

use apono_simulator::{Simulator, User};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::set;
use crate::support::{Api, DELEGATED, OTHER, OTHER_TOKEN, OWN, V3, config, ids, start};

const BULK: &str = "/api/v3/access-requests-bulk/revoke";
const ME: &str = "operator@example.com";

fn wish(user: &str) -> Value {
    json!({"user_id": user, "integration_id": "int-postgres-prod", "resource_ids": ["res-orders"],
        "permissions": ["ReadOnly"], "justification": "a reason"})
}

/// Makes a request on v3 and gives its id.
async fn make(api: &Api, user: &str) -> String {
    let made = api.post(V3, &wish(user)).await.ok();
    made["request_id"].as_str().unwrap().to_owned()
}

async fn listed(api: &Api, query: &str) -> Vec<Value> {
    let page = api.get(&format!("{V3}{query}")).await.ok();
    page["data"].as_array().unwrap().clone()
}

fn started_with_an_admin() -> (Simulator, Api, Api) {
    let mut config = config();
    config
        .users
        .push(User::admin("boss@example.com", "boss-token"));
    let simulator = Simulator::start(&config).unwrap();
    let api = Api::of(&simulator);
    let boss = Api::with_token(&simulator, Some("boss-token"));
    (simulator, api, boss)
}

#[tokio::test]
async fn v4_knows_what_v3_made_or_not() {
    let (simulator, api, boss) = started_with_an_admin();
    let own = make(&api, ME).await;
    let theirs = make(&boss, OTHER).await;
    for (word, status, count) in [("visible", 200, 1), ("hidden", 404, 0)] {
        set(&simulator, "v3-made-on-v4", word);
        assert_eq!(api.get(&format!("{OWN}/{own}")).await.status, status);
        assert_eq!(api.listed(OWN, "").await.len(), count);
        assert_eq!(
            boss.get(&format!("{DELEGATED}/{theirs}")).await.status,
            status
        );
        assert_eq!(boss.listed(DELEGATED, "").await.len(), count);
        assert_eq!(listed(&api, "").await.len(), 1);
    }
}

#[tokio::test]
async fn v3_knows_what_v4_made_or_not() {
    let (simulator, api) = start();
    let id = api.one("prod-read").await;
    for (word, status, count) in [("visible", 200, 1), ("hidden", 404, 0)] {
        set(&simulator, "v4-made-on-v3", word);
        assert_eq!(api.get(&format!("{V3}/{id}")).await.status, status);
        assert_eq!(listed(&api, "").await.len(), count);
    }
    let reply = api.post(BULK, &json!({"request_ids": [id]})).await;
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn a_request_of_several_integrations_shows_the_first_or_nothing_on_v3() {
    let (simulator, api) = start();
    let id = api.one("two-integrations").await;
    let shown = api.get(&format!("{V3}/{id}")).await.ok();
    assert_eq!(shown["integration_id"], "int-postgres-prod");
    assert_eq!(shown["resource_ids"], json!(["res-orders"]));
    set(&simulator, "several-on-v3", "hidden");
    assert_eq!(api.get(&format!("{V3}/{id}")).await.status, 404);
}

#[tokio::test]
async fn each_api_takes_the_other_form_of_an_id_or_not() {
    let (simulator, api) = start();
    set(&simulator, "id-form", "ar-number");
    let made = api.post(V3, &wish(ME)).await.ok();
    let (uuid, friendly) = (&made["request_id"], &made["friendly_request_id"]);
    let (uuid, friendly) = (uuid.as_str().unwrap(), friendly.as_str().unwrap());
    assert_eq!(uuid.len(), 36);
    assert_eq!(api.status(friendly).await, "Active");
    for (word, status) in [("hidden", 404), ("visible", 200)] {
        set(&simulator, "other-id-on-v4", word);
        set(&simulator, "friendly-id-on-v3", word);
        assert_eq!(api.get(&format!("{OWN}/{uuid}")).await.status, status);
        assert_eq!(api.get(&format!("{V3}/{friendly}")).await.status, status);
        assert_eq!(api.get(&format!("{V3}/{uuid}")).await.status, 200);
    }
}

#[tokio::test]
async fn a_service_account_is_an_admin_on_v3_or_nobody() {
    let (simulator, _) = start();
    let robot = Api::with_token(&simulator, Some("robot-token"));
    for (word, status) in [("accepted", 200), ("unauthorized", 401), ("forbidden", 403)] {
        set(&simulator, "v3-service", word);
        assert_eq!(robot.get(V3).await.status, status);
    }
}

#[tokio::test]
async fn other_users_are_named_by_admins_by_anyone_or_by_nobody() {
    let (simulator, api, boss) = started_with_an_admin();
    for (word, mine, of_boss) in [
        ("admins", 403, 200),
        ("anyone", 200, 200),
        ("nobody", 403, 403),
    ] {
        set(&simulator, "v3-others", word);
        assert_eq!(api.post(V3, &wish(OTHER)).await.status, mine, "{word}");
        assert_eq!(boss.post(V3, &wish(OTHER)).await.status, of_boss, "{word}");
    }
}

#[tokio::test]
async fn the_requestor_of_a_v3_request_for_others_is_the_caller_or_the_user() {
    let (simulator, _, boss) = started_with_an_admin();
    for (word, expected) in [("caller", "boss@example.com"), ("user", OTHER)] {
        set(&simulator, "v3-requestor", word);
        let id = make(&boss, OTHER).await;
        assert_eq!(simulator.request(&id).unwrap().requestor, expected);
    }
    // What only the user himself may ask for, an admin may ask for as the user.
    let mut wish = wish(OTHER);
    wish["permissions"] = json!(["ReadWrite"]);
    boss.post(V3, &wish).await.ok();
    set(&simulator, "v3-requestor", "caller");
    assert_eq!(boss.post(V3, &wish).await.refused(403), "FORBIDDEN");
}

#[tokio::test]
async fn a_v3_create_over_several_flows_is_refused_or_tells_the_first() {
    let (simulator, api) = start();
    let mut body = wish(ME);
    body["permissions"] = json!(["ReadOnly", "ReadWrite"]);
    assert_eq!(api.post(V3, &body).await.refused(400), "SEVERAL_FLOWS");
    set(&simulator, "v3-flows", "answer-first");
    let made = api.post(V3, &body).await.ok();
    assert_eq!(made["permissions"], json!(["ReadOnly"]));
    assert_eq!(simulator.requests().len(), 2);
}

#[tokio::test]
async fn an_unknown_property_is_overlooked_on_v3_and_refused_on_v4_or_the_reverse() {
    let (simulator, api) = start();
    let mut v3 = wish(ME);
    v3["expiration_in_sec"] = json!(43_200);
    let v4 = json!({"bundle_reference": "prod-read", "purpose": "x"});
    api.post(V3, &v3).await.ok();
    assert_eq!(api.create(&v4).await.status, 400);
    set(&simulator, "v3-unknown-property", "refuse");
    set(&simulator, "unknown-property", "ignore");
    assert_eq!(api.post(V3, &v3).await.status, 400);
    api.create(&v4).await.ok();
}

#[tokio::test]
async fn a_v3_list_without_a_user_shows_the_callers_all_or_nothing() {
    let (simulator, api, boss) = started_with_an_admin();
    make(&api, ME).await;
    for (word, count) in [("caller", 0), ("all", 1)] {
        set(&simulator, "v3-list-unnamed", word);
        assert_eq!(listed(&boss, "").await.len(), count, "{word}");
    }
    let other = Api::with_token(&simulator, Some(OTHER_TOKEN));
    assert!(listed(&other, "").await.is_empty());
    set(&simulator, "v3-list-unnamed", "refuse");
    assert_eq!(boss.get(V3).await.refused(400), "FIELD_MISSING");
}

#[tokio::test]
async fn a_v3_list_looks_back_some_days() {
    let (simulator, api) = start();
    make(&api, ME).await;
    simulator.advance(SignedDuration::from_hours(24 * 10));
    assert!(listed(&api, "").await.is_empty());
    assert_eq!(listed(&api, "?days_offset=11").await.len(), 1);
    assert!(listed(&api, "?days_offset=9").await.is_empty());
    assert_eq!(
        listed(&api, "?days_offset=9223372036854775807").await.len(),
        1
    );
    set(&simulator, "v3-list-days", "null");
    assert_eq!(listed(&api, "").await.len(), 1);
    for wrong in ["-1", "x"] {
        let path = format!("{V3}?days_offset={wrong}");
        assert_eq!(api.get(&path).await.refused(400), "INVALID_DAYS_OFFSET");
    }
}

#[tokio::test]
async fn a_v3_list_may_be_cut_short_and_says_how_many_there_were() {
    let (simulator, api) = start();
    for _ in 0..3 {
        make(&api, ME).await;
    }
    set(&simulator, "v3-list-cut", "2");
    let page = api.get(V3).await.ok();
    assert_eq!(page["data"].as_array().unwrap().len(), 2);
    assert_eq!(
        page["pagination"],
        json!({"total": 3, "limit": 2, "offset": 0})
    );
}

#[tokio::test]
async fn a_bulk_revoke_with_an_odd_id_revokes_nothing_or_the_others() {
    let (simulator, api) = start();
    let other = Api::with_token(&simulator, Some(OTHER_TOKEN));
    let foreign = other.one("prod-read").await;
    let ended = api.one("prod-read").await;
    api.revoke(&ended).await.ok();
    for (name, odd, refused) in [
        ("bulk-unknown", "none", 404),
        ("bulk-foreign", foreign.as_str(), 403),
        ("bulk-ended", ended.as_str(), 400),
    ] {
        let live = api.one("prod-read").await;
        let body = json!({"request_ids": [live, odd]});
        set(&simulator, name, "refuse");
        assert_eq!(api.post(BULK, &body).await.status, refused, "{name}");
        assert_eq!(api.status(&live).await, "Active");
        set(&simulator, name, "ignore");
        api.post(BULK, &body).await.ok();
        assert_eq!(api.status(&live).await, "Revoked");
    }
    assert_eq!(other.status(&foreign).await, "Active");
}

#[tokio::test]
async fn who_asked_for_another_may_revoke_in_bulk_or_not() {
    let (simulator, api) = start();
    let body = json!({"bundle_reference": "prod-read", "grantee": OTHER});
    let id = ids(&api.create(&body).await.ok()).remove(0);
    let body = json!({"request_ids": [id]});
    for (word, status) in [("hidden", 403), ("visible", 200)] {
        set(&simulator, "bulk-delegated", word);
        assert_eq!(api.post(BULK, &body).await.status, status);
    }
}

#[tokio::test]
async fn a_bulk_revoke_takes_any_number_of_ids_or_not() {
    let (simulator, api) = start();
    let (one, two) = (api.one("prod-read").await, api.one("prod-read").await);
    let body = json!({"request_ids": [one, two]});
    set(&simulator, "bulk-max", "1");
    assert_eq!(api.post(BULK, &body).await.status, 400);
    set(&simulator, "bulk-max", "null");
    api.post(BULK, &body).await.ok();
    assert_eq!(
        api.post(BULK, &json!({"request_ids": []})).await.status,
        400
    );
}
