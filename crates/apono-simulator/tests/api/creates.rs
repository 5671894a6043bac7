//! Creates on v4: what they make and what refuses them.

use serde_json::{Value, json};

use crate::support::{OWN, ids, start};

#[tokio::test]
async fn a_create_by_entitlements_makes_one_request_per_flow_with_its_own_part() {
    let (_simulator, api) = start();
    let pair = |resource: &str, permission: &str| json!({"resource_id": resource, "permission_id": permission});
    let body = json!({"justification": "why", "entitlements": [
        pair("res-orders", "perm-db-read-only"),
        pair("res-orders", "perm-db-read-write"),
        pair("res-payments", "perm-db-read-only"),
        pair("res-ns-checkout", "perm-ns-view"),
    ]});
    let created = api.create(&body).await.ok();
    let mut parts = Vec::new();
    for id in ids(&created) {
        let items = api.get(&format!("{OWN}/{id}/entitlements")).await.ok()["items"].clone();
        let name = |item: &Value| {
            format!(
                "{}:{}",
                item["resource"]["name"], item["permission"]["name"]
            )
            .replace('"', "")
        };
        parts.push(
            items
                .as_array()
                .unwrap()
                .iter()
                .map(name)
                .collect::<Vec<_>>(),
        );
    }
    let expected: [&[&str]; 3] = [
        &["orders:ReadOnly", "payments:ReadOnly"],
        &["orders:ReadWrite"],
        &["checkout:View"],
    ];
    assert_eq!(parts, expected);
    assert!(
        created
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["bundle"].is_null())
    );
}

#[tokio::test]
async fn a_bundle_is_asked_for_by_id_or_name_and_is_named_in_the_answer() {
    let (_simulator, api) = start();
    for reference in ["prod-read", "bundle-prod-read"] {
        let created = api
            .create(&json!({"bundle_reference": reference}))
            .await
            .ok();
        let bundle = json!({"id": "bundle-prod-read", "name": "prod-read"});
        assert_eq!(created[0]["bundle"], bundle);
        assert_eq!(created[0]["status"], "Active");
    }
}

#[tokio::test]
async fn access_groups_hold_one_integration_each() {
    let (_simulator, api) = start();
    let created = api
        .create(&json!({"bundle_reference": "two-integrations"}))
        .await
        .ok();
    assert_eq!(created.as_array().unwrap().len(), 1);
    let groups = created[0]["access_groups"].as_array().unwrap();
    let names: Vec<_> = groups
        .iter()
        .map(|group| &group["integration"]["name"])
        .collect();
    assert_eq!(names, ["postgres-prod", "kubernetes-prod"]);
}

/// Bodies of creates, and the code that refuses each.
const MALFORMED: [(&str, &str); 19] = [
    (r#"{"bundle_reference": "prod-read"}"#, "FIELD_MISSING"),
    (
        r#"{"custom_fields": null, "bundle_reference": "prod-read"}"#,
        "FIELD_MISSING",
    ),
    (r#"{"custom_fields": {}}"#, "FIELD_MISSING"),
    (
        r#"{"custom_fields": {}, "entitlements": []}"#,
        "FIELD_MISSING",
    ),
    (
        r#"{"custom_fields": {}, "bundle_reference": "prod-read", "entitlements":
            [{"resource_id": "res-orders", "permission_id": "perm-db-read-only"}]}"#,
        "BAD_REQUEST",
    ),
    (
        r#"{"custom_fields": {}, "bundle_reference": "prod-read", "purpose": "x"}"#,
        "BAD_REQUEST",
    ),
    (
        r#"{"custom_fields": {"a": 1}, "bundle_reference": "prod-read"}"#,
        "BAD_REQUEST",
    ),
    (
        r#"{"custom_fields": {}, "bundle_reference": "nope"}"#,
        "UNKNOWN_BUNDLE",
    ),
    (
        r#"{"custom_fields": {}, "entitlements":
            [{"resource_id": "orders", "permission_id": "ReadOnly"}]}"#,
        "UNKNOWN_ENTITLEMENT",
    ),
    (
        r#"{"custom_fields": {}, "entitlements":
            [{"resource_id": "res-orders", "permission_id": "perm-ns-view"}]}"#,
        "UNKNOWN_ENTITLEMENT",
    ),
    (
        r#"{"custom_fields": {}, "entitlements": [["res-orders", "perm-db-read-only"]]}"#,
        "BAD_REQUEST",
    ),
    (
        r#"{"custom_fields": {}, "bundle_reference": "prod-read", "duration_in_sec": 0}"#,
        DURATION,
    ),
    (
        r#"{"custom_fields": {}, "bundle_reference": "prod-read", "duration_in_sec": -1}"#,
        DURATION,
    ),
    (
        r#"{"custom_fields": {}, "bundle_reference": "prod-read", "duration_in_sec": 28801}"#,
        DURATION,
    ),
    (
        r#"{"custom_fields": {}, "bundle_reference": "prod-read", "duration_in_sec": 2147483648}"#,
        "BAD_REQUEST",
    ),
    (
        r#"{"custom_fields": {}, "bundle_reference": "prod-read", "grantee": "nobody"}"#,
        "UNKNOWN_GRANTEE",
    ),
    (
        r#"{"custom_fields": {}, "bundle_reference": "prod-admin"}"#,
        "FIELD_MISSING",
    ),
    (
        r#"{"custom_fields": {}, "bundle_reference": "prod-admin", "justification": " "}"#,
        "FIELD_MISSING",
    ),
    ("[]", "BAD_REQUEST"),
];
const DURATION: &str = "INVALID_DURATION";

#[tokio::test]
async fn a_create_that_is_not_as_the_contract_says_is_refused_and_makes_nothing() {
    let (simulator, api) = start();
    for (body, code) in MALFORMED {
        let reply = api.post(OWN, &serde_json::from_str(body).unwrap()).await;
        assert_eq!(reply.refused(400), code, "{body}");
        assert_eq!(reply.json()["status"], "400");
        assert!(reply.json()["message"].is_string());
    }
    assert!(simulator.requests().is_empty());
}

#[tokio::test]
async fn one_refusing_flow_refuses_the_whole_create() {
    let (simulator, api) = start();
    let body = json!({"grantee": "sam@example.com", "justification": "why", "entitlements": [
        {"resource_id": "res-ns-checkout", "permission_id": "perm-ns-view"},
        {"resource_id": "res-orders", "permission_id": "perm-db-read-write"},
    ]});
    assert_eq!(api.create(&body).await.refused(403), "FORBIDDEN");
    assert!(simulator.requests().is_empty());
}

#[tokio::test]
async fn asking_again_makes_a_new_request_for_the_same_access() {
    let (simulator, api) = start();
    let id = api.one("prod-read").await;
    api.revoke(&id).await.ok();
    let path = format!("{OWN}/{id}/request-again");
    assert_eq!(
        api.post(&path, &json!({})).await.refused(400),
        "FIELD_MISSING"
    );
    let unknown = json!({"custom_fields": {}, "duration_in_sec": 5});
    assert_eq!(api.post(&path, &unknown).await.refused(400), "BAD_REQUEST");
    let again = api.again(
        &id,
        json!({"custom_fields": {"ticket": "T-2"}, "justification": "again"}),
    );
    let again = again.await.ok();
    assert_eq!(again.as_array().unwrap().len(), 1);
    assert_ne!(again[0]["id"], id);
    assert_eq!(again[0]["justification"], "again");
    let new = simulator.request(again[0]["id"].as_str().unwrap()).unwrap();
    let old = simulator.request(&id).unwrap();
    assert_eq!(new.again_of.as_deref(), Some(id.as_str()));
    assert_eq!(new.entitlements.len(), old.entitlements.len());
    assert_eq!(new.duration_in_sec, old.duration_in_sec);
}
