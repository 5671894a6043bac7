//! Who gets in and sees what, and what no call may look like.

use apono_simulator::{Config, Simulator};
use reqwest::Method;
use serde_json::json;

use crate::support::{Api, DELEGATED, OTHER, OTHER_TOKEN, OWN, config, ids, send, start, started};

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
