//! What the client puts on the wire, seen from a socket. What it makes of odd answers is in
//! `odd_answers.rs`.

use std::time::Duration;

use apono_client::{
    DelegatedQuery, Effect, EntitlementQuery, EntitlementRef, ErrorClass, ListQuery,
    NewAccessRequest, RequestAgain, Target, Token,
};
use futures::TryStreamExt;

use crate::support::{Server, TOKEN, answer, ok, page, request};

#[tokio::test]
async fn a_create_carries_token_body_and_nothing_else() {
    let server = Server::start([ok(&format!("[{},{}]", request("AR-1"), request("AR-2")))]).await;
    let entitlement = EntitlementRef {
        resource_id: "r".into(),
        permission_id: "p".into(),
    };
    let asked = NewAccessRequest {
        duration: Some(Duration::from_mins(1)),
        ..NewAccessRequest::new(Target::Entitlements(vec![entitlement]))
    };
    let made = server.client().create_access_request(&asked).await.unwrap();
    assert_eq!(
        made.iter()
            .map(|request| request.id.as_str())
            .collect::<Vec<_>>(),
        ["AR-1", "AR-2"]
    );
    assert_eq!(server.lines(), ["POST /api/user/v4/access-requests"]);
    let asked = &server.asked()[0];
    assert_eq!(
        asked.header("authorization"),
        Some(format!("Bearer {TOKEN}").as_str())
    );
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("accept"), Some("application/json"));
    assert!(
        asked
            .header("user-agent")
            .unwrap()
            .starts_with("apono-client/")
    );
    let entitlements = r#"[{"resource_id":"r","permission_id":"p"}]"#;
    let expected =
        format!(r#"{{"entitlements":{entitlements},"duration_in_sec":60,"custom_fields":{{}}}}"#);
    assert_eq!(asked.body, expected);
}

#[tokio::test]
async fn every_call_goes_to_its_own_path() {
    let one = request("AR-1");
    let many = format!("[{one}]");
    let server = Server::start([ok(&one), ok(&one), ok(&many), ok(""), ok(&page(&[], ""))]).await;
    let client = server.client();
    client.access_request("AR-1").await.unwrap();
    client.delegated_access_request("AR-1").await.unwrap();
    let again = RequestAgain {
        justification: Some("more".into()),
        ..RequestAgain::default()
    };
    client.request_again("AR-1", &again).await.unwrap();
    client.revoke("AR-1").await.unwrap();
    client.entitlements_page("a/b", None).await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /api/user/v4/access-requests/AR-1",
            "GET /api/user/v1/delegated-access-requests/AR-1",
            "POST /api/user/v4/access-requests/AR-1/request-again",
            "POST /api/user/v4/access-requests/AR-1/revoke",
            "GET /api/user/v4/access-requests/a%2Fb/entitlements",
        ]
    );
    let asked = server.asked();
    assert_eq!(
        asked[2].body,
        r#"{"justification":"more","custom_fields":{}}"#
    );
    assert_eq!(
        (asked[3].body.as_str(), asked[3].header("content-type")),
        ("", None)
    );
}

#[tokio::test]
async fn filters_repeat_their_key_and_later_pages_carry_the_token_alone() {
    let server = Server::start([ok(&page(&["AR-1"], "t&1")), ok(&page(&["AR-2"], ""))]).await;
    let query = ListQuery {
        limit: Some(1),
        requestor: Some("u+x@example.com".into()),
        statuses: vec!["Active".into(), "PendingMFA".into()],
    };
    let pages: Vec<_> = server
        .client()
        .access_requests(query)
        .try_collect()
        .await
        .unwrap();
    let ids: Vec<_> = pages
        .iter()
        .flat_map(|page| &page.items)
        .map(|item| &item.id)
        .collect();
    assert_eq!(ids, ["AR-1", "AR-2"]);
    let path = "GET /api/user/v4/access-requests";
    assert_eq!(
        server.lines(),
        [
            format!(
                "{path}?limit=1&requestor=u%2Bx%40example.com&statuses=Active&statuses=PendingMFA"
            ),
            format!("{path}?limit=1&page_token=t%261"),
        ]
    );
}

#[tokio::test]
async fn delegated_lists_and_entitlements_are_walked_the_same_way() {
    let entitlements = r#"{"items":[{"status":"Granted"}],"pagination":{"next_page_token":null}}"#;
    let server = Server::start([
        ok(&page(&["AR-1"], "t")),
        ok(&page(&["AR-2"], "")),
        ok(entitlements),
    ])
    .await;
    let client = server.client();
    let query = DelegatedQuery {
        grantee: Some("g".into()),
        ..DelegatedQuery::default()
    };
    let pages: Vec<_> = client
        .delegated_access_requests(query)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(pages.len(), 2);
    let pages: Vec<_> = client.entitlements("AR-1").try_collect().await.unwrap();
    assert_eq!(pages[0].items[0].status.word(), "Granted");
    assert_eq!(
        server.lines(),
        [
            "GET /api/user/v1/delegated-access-requests?grantee=g",
            "GET /api/user/v1/delegated-access-requests?page_token=t",
            "GET /api/user/v4/access-requests/AR-1/entitlements",
        ]
    );
}

#[tokio::test]
async fn entitlements_are_filtered_where_they_are() {
    let body = r#"{"items":[{"status":"Granted"}],"pagination":{"next_page_token":"t"}}"#;
    let server = Server::start([ok(body), ok(&page(&[], ""))]).await;
    let query = EntitlementQuery {
        limit: Some(2),
        statuses: vec!["Granted".into(), "Failure".into()],
        integration_ids: vec!["i".into()],
        resource_types: vec!["t".into(), "u".into()],
    };
    let held = server.client().matching_entitlements("AR-1", query);
    let pages: Vec<_> = held.try_collect().await.unwrap();
    assert_eq!(pages.len(), 2);
    let path = "GET /api/user/v4/access-requests/AR-1/entitlements?limit=2";
    let statuses = "statuses=Granted&statuses=Failure";
    let rest = "integration_ids=i&resource_types=t&resource_types=u";
    assert_eq!(
        server.lines(),
        [
            format!("{path}&{statuses}&{rest}"),
            format!("{path}&page_token=t"),
        ]
    );
}

#[tokio::test]
async fn a_new_token_serves_all_clones_from_the_next_call_on() {
    let server = Server::start([answer(401, &[], ""), ok(&request("AR-1"))]).await;
    let client = server.client();
    let clone = client.clone();
    let error = clone.access_request("AR-1").await.unwrap_err();
    assert_eq!(
        (error.class(), error.effect()),
        (ErrorClass::Unauthorized, Effect::NotSent)
    );
    client.set_token(Token::new("another").unwrap());
    clone.access_request("AR-1").await.unwrap();
    assert_eq!(
        server.asked()[1].header("authorization"),
        Some("Bearer another")
    );
}

#[tokio::test]
async fn a_call_that_cannot_be_put_together_is_not_sent() {
    let server = Server::start([]).await;
    let client = server.client();
    for id in ["", ".", "..", "a\nb"] {
        let error = client.revoke(id).await.unwrap_err();
        assert_eq!(
            (error.class(), error.effect()),
            (ErrorClass::Invalid, Effect::NotSent)
        );
    }
    let long = "a".repeat(100_000);
    let error = client.revoke(&long).await.unwrap_err();
    assert_eq!(
        (error.class(), error.effect()),
        (ErrorClass::Invalid, Effect::NotSent)
    );
    let mut asked = NewAccessRequest::new(Target::Bundle("b".into()));
    asked.duration = Some(Duration::ZERO);
    let error = client.create_access_request(&asked).await.unwrap_err();
    assert_eq!(
        (error.class(), error.effect()),
        (ErrorClass::Invalid, Effect::NotSent)
    );
    assert!(server.asked().is_empty());
}
