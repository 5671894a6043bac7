//! Sessions, their details and credentials, and what may be asked for, as they go over the wire.

use apono_client::{
    AvailableBundleQuery, AvailableEntitlementQuery, CredentialState, ErrorClass, SessionQuery,
};
use futures::TryStreamExt;

use crate::support::{Server, answer, ok};

const SESSION: &str = r#"{"id":"pg-orders-1a2b3c","name":"orders","request_ids":["AR-1","AR-2"],
    "integration":{"id":"i","name":"database"},"credentials_status":"AVAILABLE",
    "can_reset_credentials":true}"#;

/// A page of these items.
fn page(items: &str, next: &str) -> String {
    format!(r#"{{"items":[{items}],"pagination":{{"next_page_token":"{next}"}}}}"#)
}

#[tokio::test]
async fn sessions_are_walked_by_their_requests_and_integrations() {
    let server = Server::start([ok(&page(SESSION, "t/1")), ok(&page("", ""))]).await;
    let query = SessionQuery {
        limit: Some(1),
        request_ids: vec!["AR-1".into(), "AR 2".into()],
        integration_ids: vec!["i".into(), "j&k".into()],
    };
    let sessions = server.client().access_sessions(query);
    let pages: Vec<_> = sessions.try_collect().await.unwrap();
    assert_eq!(pages.len(), 2);
    let session = &pages[0].items[0];
    assert_eq!(session.request_ids, ["AR-1", "AR-2"]);
    assert_eq!(session.integration.name, "database");
    let status = session.credentials_status.as_ref().unwrap();
    assert_eq!(status.state(), CredentialState::Available);
    assert!(session.can_reset_credentials);
    let path = "GET /api/user/v1/access-sessions";
    let filters = "request_ids=AR-1&request_ids=AR+2&integration_id=i&integration_id=j%26k";
    assert_eq!(
        server.lines(),
        [
            format!("{path}?limit=1&{filters}"),
            format!("{path}?limit=1&page_token=t%2F1"),
        ]
    );
}

#[tokio::test]
async fn one_session_is_read_and_its_credentials_are_replaced() {
    let message = r#"{"message":"resetting"}"#;
    let server = Server::start([ok(SESSION), ok(message), answer(202, &[], "")]).await;
    let client = server.client();
    let session = client.access_session("a/b").await.unwrap();
    assert_eq!(session.id, "pg-orders-1a2b3c");
    for _ in 0..2 {
        client
            .reset_access_session_credentials("a/b")
            .await
            .unwrap();
    }
    let path = "/api/user/v1/access-sessions/a%2Fb";
    let reset = format!("POST {path}/reset-credentials");
    assert_eq!(
        server.lines(),
        [format!("GET {path}"), reset.clone(), reset]
    );
    assert!(server.asked().iter().all(|asked| asked.body.is_empty()));
}

#[tokio::test]
async fn details_are_read_once_and_shown_only_to_who_asks() {
    let body = r#"{"instructions":"psql to it","custom_admin_message":"be kind",
        "parameters":{"host":"db.example.com","port":5432,"password":"swordfish","none":null},
        "cli":"psql swordfish","link":{"url":"https://x.example.com/?t=swordfish","title":"Open"}}"#;
    let server = Server::start([ok(body)]).await;
    let details = server
        .client()
        .access_session_details("pg-orders-1a2b3c")
        .await
        .unwrap();
    assert_eq!(details.parameters["password"].expose(), "swordfish");
    assert_eq!(details.parameters["port"].expose(), "5432");
    assert!(!details.parameters.contains_key("none"));
    let link = details.link.as_ref().unwrap();
    assert!(link.url.expose().ends_with("?t=swordfish"));
    let shown = format!("{details:?} {details:#?}");
    for secret in ["swordfish", "psql", "db.example", "5432", "kind", "Open"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("password"), "the names help: {shown}");
    assert_eq!(
        server.lines(),
        ["GET /api/user/v1/access-sessions/pg-orders-1a2b3c/access-details"]
    );
}

#[tokio::test]
async fn a_details_call_is_never_repeated() {
    let server = Server::start([]).await;
    let client = server.client();
    let error = client.access_session_details("s").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Broken);
    let error = client.admin_request_details("s").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Broken);
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn bundles_are_found_by_name_and_grantee() {
    let one = r#"{"id":"b","name":"Billing readers"}"#;
    let server = Server::start([ok(&page(one, "t")), ok(&page(one, ""))]).await;
    let query = AvailableBundleQuery {
        limit: None,
        names: vec!["*billing*".into(), "prod*".into()],
        grantee: Some("g@example.com".into()),
    };
    let bundles = server.client().available_bundles(query);
    let pages: Vec<_> = bundles.try_collect().await.unwrap();
    assert_eq!(pages[1].items[0].name, "Billing readers");
    let path = "GET /api/user/v1/available-access/bundles";
    assert_eq!(
        server.lines(),
        [
            format!("{path}?name=*billing*&name=prod*&grantee=g%40example.com"),
            format!("{path}?page_token=t"),
        ]
    );
}

#[tokio::test]
async fn an_available_entitlement_holds_the_pair_to_ask_with() {
    let whole = r#"{"integration":{"id":"i","name":"database"},
        "resource":{"id":"r","source_id":"arn","type":{"id":"t","label":"Table"},"name":"orders"},
        "permission":{"id":"p","source_id":"SELECT","name":"read"}}"#;
    let no_id = r#"{"resource":{"id":"r"},"permission":{"name":"read"}}"#;
    let items = format!("{whole},{no_id}");
    let server = Server::start([ok(&page(&items, ""))]).await;
    let query = AvailableEntitlementQuery {
        limit: Some(5),
        integration_name: Some("data base".into()),
        permission_names: vec!["read".into(), "write".into()],
        resource_type_ids: vec!["t".into(), "u".into()],
        ..AvailableEntitlementQuery::default()
    };
    let entitlements = server.client().available_entitlements(query);
    let pages: Vec<_> = entitlements.try_collect().await.unwrap();
    assert_eq!((pages[0].items.len(), pages[0].skipped), (1, 1));
    let pair = pages[0].items[0].reference();
    assert_eq!(
        (pair.resource_id.as_str(), pair.permission_id.as_str()),
        ("r", "p")
    );
    let path = "GET /api/user/v1/available-access/entitlements";
    let names = "permission_name=read&permission_name=write";
    let types = "resource_type_id=t&resource_type_id=u";
    assert_eq!(
        server.lines(),
        [format!(
            "{path}?limit=5&integration_name=data+base&{names}&{types}"
        )]
    );
}
