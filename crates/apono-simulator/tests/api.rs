//! The API over a real socket: every endpoint, who may see what, pages, and the public contract.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test, in helpers as well"
)]

mod support;

use apono_simulator::{Config, Mode, Outside, Simulator};
use reqwest::Method;
use serde_json::{Value, json};
use support::schema::Contract;
use support::{Api, DELEGATED, OTHER, OTHER_TOKEN, OWN, config, ids, send, start, started};

const PATH_ID: &str = "/api/user/v4/access-requests/{id}";

#[tokio::test]
async fn every_kind_of_answer_fits_the_public_contract() {
    let contract = Contract::read();
    for word in ["filled", "null"] {
        let (simulator, api) = start();
        simulator.set_switches(|it| it.set("own-identity", word).unwrap());
        let body = json!({"bundle_reference": "three-flows", "duration_in_sec": 600});
        let created = api.create(&body).await.ok();
        assert_eq!(created.as_array().unwrap().len(), 3);
        contract.check("post", OWN, &created);
        let id = &ids(&created)[0];
        let other = json!({"bundle_reference": "prod-read", "grantee": "sam@example.com",
            "custom_fields": {"ticket": "T-1"}});
        let delegated = api.create(&other).await.ok();
        contract.check("post", OWN, &delegated);
        let delegated = &ids(&delegated)[0];
        contract.check("get", OWN, &api.get(&format!("{OWN}?limit=1")).await.ok());
        contract.check("get", PATH_ID, &api.get(&format!("{OWN}/{id}")).await.ok());
        let path = format!("{OWN}/{id}/entitlements");
        contract.check(
            "get",
            &format!("{PATH_ID}/entitlements"),
            &api.get(&path).await.ok(),
        );
        let again = api.again(id, json!({"custom_fields": {}}));
        contract.check(
            "post",
            &format!("{PATH_ID}/request-again"),
            &again.await.ok(),
        );
        contract.check(
            "post",
            &format!("{PATH_ID}/revoke"),
            &api.revoke(id).await.ok(),
        );
        contract.check("get", DELEGATED, &api.get(DELEGATED).await.ok());
        let path = format!("{DELEGATED}/{delegated}");
        contract.check(
            "get",
            &format!("{DELEGATED}/{{id}}"),
            &api.get(&path).await.ok(),
        );
    }
}

#[tokio::test]
async fn the_contract_refuses_every_answer_that_is_a_little_wrong() {
    let contract = Contract::read();
    let (_simulator, api) = start();
    let right = api
        .create(&json!({"bundle_reference": "prod-read"}))
        .await
        .ok()[0]
        .clone();
    contract.judge_as("AccessRequestV4", &right).unwrap();
    for (pointer, wrong) in [
        ("/id", json!(1)),
        ("/status", Value::Null),
        ("/creation_date", json!("yesterday")),
        ("/duration_in_sec", json!(1_u64 << 31)),
        ("/custom_fields", json!({"a": 1})),
        ("/access_groups/0/resource_types", json!([{}])),
        ("/bundle", json!({"id": "x", "name": "y", "colour": "red"})),
    ] {
        let mut body = right.clone();
        *body.pointer_mut(pointer).unwrap() = wrong;
        contract
            .judge_as("AccessRequestV4", &body)
            .expect_err(pointer);
    }
}

#[tokio::test]
async fn a_call_without_a_known_token_gets_the_documented_401() {
    let (simulator, _) = start();
    for token in [None, Some("wrong"), Some("")] {
        let api = Api::with_token(&simulator, token);
        for path in [OWN.to_owned(), format!("{OWN}/x"), DELEGATED.to_owned()] {
            let reply = api.get(&path).await;
            assert_eq!(reply.status, 401);
            assert_eq!(
                reply.json(),
                json!({"status": "401", "code": "Unauthorized"})
            );
        }
        assert_eq!(
            api.create(&json!({"bundle_reference": "prod-read"}))
                .await
                .status,
            401
        );
    }
    assert!(simulator.requests().is_empty());
}

#[tokio::test]
async fn a_rotated_token_stops_working_and_the_new_one_works() {
    let (simulator, api) = start();
    let id = api.one("prod-read").await;
    simulator
        .set_tokens("operator@example.com", vec!["fresh".to_owned()])
        .unwrap();
    assert_eq!(api.get(OWN).await.status, 401);
    let fresh = Api::with_token(&simulator, Some("fresh"));
    assert_eq!(fresh.listed(OWN, "").await, [id]);
}

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
async fn wrong_methods_types_paths_and_parameters_are_refused() {
    let (_simulator, api) = start();
    let id = api.one("prod-read").await;
    let reply = send(api.request(Method::PUT, OWN)).await;
    assert_eq!(
        (reply.status, reply.headers["allow"].to_str().unwrap()),
        (405, "GET, POST")
    );
    for (method, path) in [
        (Method::DELETE, format!("{OWN}/{id}")),
        (Method::GET, format!("{OWN}/{id}/revoke")),
        (Method::POST, DELEGATED.to_owned()),
    ] {
        assert_eq!(send(api.request(method, &path)).await.status, 405, "{path}");
    }
    assert_eq!(api.get("/api/user/v4/nothing").await.status, 404);
    let text = api
        .request(Method::POST, OWN)
        .header("content-type", "text/plain");
    assert_eq!(send(text.body("{}")).await.status, 415);
    assert_eq!(
        send(api.request(Method::POST, OWN).body("{}")).await.status,
        415
    );
    let broken = api
        .request(Method::POST, OWN)
        .header("content-type", "application/json");
    assert_eq!(send(broken.body("{")).await.status, 400);
    for query in [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=-1",
        "limit=1&limit=2",
        "status=Active",
        "page_token=garbage",
    ] {
        assert_eq!(
            api.get(&format!("{OWN}?{query}")).await.status,
            400,
            "{query}"
        );
    }
    let reply = api.post(&format!("{OWN}/{id}/revoke"), &json!({})).await;
    assert_eq!(reply.status, 400);
    assert_eq!(api.get(&format!("{OWN}/{id}?limit=1")).await.status, 400);
}

#[tokio::test]
async fn pages_are_read_by_the_token_alone_or_with_a_limit_and_carry_the_filters() {
    let (simulator, api) = start();
    let mut all = Vec::new();
    for place in 0..7 {
        all.push(api.one("prod-read").await);
        if place % 3 == 0 {
            simulator
                .command(&all[place], &apono_simulator::Command::Revoke)
                .unwrap();
        }
    }
    all.reverse();
    let pages = api.pages(OWN, "limit=3").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(pages.concat(), all);
    let revoked = [&all[0], &all[3], &all[6]].map(Clone::clone);
    let pages = api
        .pages(OWN, "limit=2&statuses=Revoked&statuses=Failed")
        .await;
    assert_eq!(pages.concat(), revoked);
    assert_eq!(pages.len(), 2);
    let first = api.get(&format!("{OWN}?limit=3")).await.ok();
    let token = first["pagination"]["next_page_token"].as_str().unwrap();
    let wider = api
        .get(&format!("{OWN}?page_token={token}&limit=100"))
        .await
        .ok();
    assert_eq!(ids(&wider["items"]), all[3..]);
    assert!(wider["pagination"]["next_page_token"].is_null());
}

#[tokio::test]
async fn a_page_token_is_of_one_list_and_one_user() {
    let (simulator, api) = start();
    for _ in 0..2 {
        api.one("prod-read").await;
    }
    let first = api.get(&format!("{OWN}?limit=1")).await.ok();
    let token = first["pagination"]["next_page_token"].as_str().unwrap();
    assert_eq!(
        api.get(&format!("{DELEGATED}?page_token={token}"))
            .await
            .status,
        400
    );
    let other = Api::with_token(&simulator, Some(OTHER_TOKEN));
    assert_eq!(
        other.get(&format!("{OWN}?page_token={token}")).await.status,
        400
    );
}

#[tokio::test]
async fn a_status_filter_takes_exact_words_and_a_comma_is_part_of_a_word() {
    let (_simulator, api) = start();
    let active = api.one("prod-read").await;
    let pending = api.one("prod-admin").await;
    assert_eq!(
        api.listed(OWN, "statuses=Active&statuses=Pending").await,
        [pending, active.clone()]
    );
    assert_eq!(api.listed(OWN, "statuses=Active").await, [active]);
    for nothing in [
        "statuses=active",
        "statuses=Active,Pending",
        "statuses=Nonsense",
        "statuses=",
    ] {
        assert!(api.listed(OWN, nothing).await.is_empty(), "{nothing}");
    }
}

#[tokio::test]
async fn requests_of_others_do_not_exist_for_the_caller() {
    let (simulator, api) = start();
    let id = api.one("prod-read").await;
    let other = Api::with_token(&simulator, Some(OTHER_TOKEN));
    assert!(other.listed(OWN, "").await.is_empty());
    assert_eq!(
        other.get(&format!("{OWN}/{id}")).await.refused(404),
        "NOT_FOUND"
    );
    assert_eq!(
        other.get(&format!("{OWN}/{id}/entitlements")).await.status,
        404
    );
    assert_eq!(other.revoke(&id).await.status, 404);
    let again = other.again(&id, json!({"custom_fields": {}}));
    assert_eq!(again.await.status, 404);
    assert_eq!(api.status(&id).await, "Active");
    // Nor may one list what another asked for himself.
    assert!(
        other
            .listed(OWN, "requestor=operator@example.com")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_request_for_somebody_else_is_delegated_for_the_asker_and_own_for_the_grantee() {
    let (simulator, api) = start();
    let own = api.one("prod-read").await;
    let body = json!({"bundle_reference": "prod-read", "grantee": OTHER});
    let delegated = ids(&api.create(&body).await.ok()).remove(0);
    assert_eq!(api.listed(OWN, "").await, [own.as_str()]);
    assert_eq!(api.listed(DELEGATED, "").await, [delegated.as_str()]);
    assert_eq!(
        api.listed(DELEGATED, &format!("grantee={OTHER}")).await,
        [delegated.as_str()]
    );
    assert!(
        api.listed(DELEGATED, "grantee=sam@example.com")
            .await
            .is_empty()
    );
    assert!(api.listed(DELEGATED, "grantee=nobody").await.is_empty());
    let shown = api.get(&format!("{DELEGATED}/{delegated}")).await.ok();
    assert_eq!(shown["grantee"]["source_id"], OTHER);
    assert_eq!(shown["requestor"]["source_id"], "operator@example.com");
    assert_eq!(api.get(&format!("{DELEGATED}/{own}")).await.status, 404);
    let other = Api::with_token(&simulator, Some(OTHER_TOKEN));
    assert!(other.listed(OWN, "").await.is_empty());
    let by_id = shown["requestor"]["id"].as_str().unwrap();
    for asker in ["operator@example.com", by_id] {
        let listed = other.listed(OWN, &format!("requestor={asker}")).await;
        assert_eq!(listed, [delegated.as_str()]);
    }
    assert_eq!(other.status(&delegated).await, "Active");
    assert_eq!(
        other.get(&format!("{DELEGATED}/{delegated}")).await.status,
        404
    );
    assert_eq!(other.revoke(&delegated).await.status, 200);
}

#[tokio::test]
async fn entitlements_are_filtered_and_paged() {
    let (_simulator, api) = start();
    let id = api.one("two-integrations").await;
    let count = async |query: &str| {
        let path = format!("{OWN}/{id}/entitlements?{query}");
        api.get(&path).await.ok()["items"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 2);
    assert_eq!(count("integration_ids=int-postgres-prod").await, 1);
    assert_eq!(
        count("integration_ids=int-postgres-prod&integration_ids=int-kubernetes-prod").await,
        2
    );
    assert_eq!(count("resource_types=k8s-namespace").await, 1);
    assert_eq!(count("statuses=Granted").await, 2);
    assert_eq!(count("statuses=Active").await, 0);
    let path = format!("{OWN}/{id}/entitlements");
    let first = api.get(&format!("{path}?limit=1")).await.ok();
    let token = first["pagination"]["next_page_token"].as_str().unwrap();
    let second = api.get(&format!("{path}?page_token={token}")).await.ok();
    assert_ne!(first["items"], second["items"]);
    assert!(second["pagination"]["next_page_token"].is_null());
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

#[tokio::test]
async fn a_revoke_is_asynchronous() {
    let config = Config {
        delays: apono_simulator::Delays::default(),
        ..config()
    };
    let (simulator, api) = started(&config);
    let id = api.one("prod-read").await;
    assert_eq!(api.status(&id).await, "Granting");
    simulator.advance("2s".parse().unwrap());
    assert_eq!(api.status(&id).await, "Active");
    api.revoke(&id).await.ok();
    assert_eq!(api.status(&id).await, "Revoking");
    api.revoke(&id).await.ok();
    simulator.advance("2s".parse().unwrap());
    assert_eq!(api.status(&id).await, "Revoked");
    api.revoke(&id).await.ok();
}

#[tokio::test]
async fn ten_thousand_requests_are_paged_through_quickly() {
    let (simulator, api) = started(&Config {
        mode: Mode::Explicit,
        ..config()
    });
    for _ in 0..10_000 {
        let outside = Outside {
            requestor: "operator@example.com".to_owned(),
            bundle: Some("prod-read".to_owned()),
            ..Outside::default()
        };
        simulator.create(outside).unwrap();
    }
    let began = std::time::Instant::now();
    let listed = api.listed(OWN, "limit=100&statuses=Initializing").await;
    let took = began.elapsed();
    assert_eq!(listed.len(), 10_000);
    let distinct: std::collections::BTreeSet<_> = listed.iter().collect();
    assert_eq!(distinct.len(), 10_000);
    // Generous: an unoptimized build on a busy machine; a square would take minutes.
    assert!(took.as_secs() < 30, "{took:?}");
}

#[tokio::test]
async fn a_dropped_simulator_stops_listening_and_a_stopped_one_too() {
    let first = Simulator::start(&Config::default()).unwrap();
    let address = first.address();
    drop(first);
    assert!(std::net::TcpStream::connect(address).is_err());
    let second = Simulator::start(&Config::default()).unwrap();
    let address = second.address();
    second.stop().unwrap();
    assert!(std::net::TcpStream::connect(address).is_err());
}
