//! The older API (v3) as it goes over the wire: its one-page lists, its own request and its steps
//! to what may be asked for.

use std::time::Duration;

use apono_client::{AdminQuery, Effect, ErrorClass, State};
use futures::TryStreamExt;

use crate::every::asked_for_user;
use crate::support::{Server, ok};

const GRANTED: &str = r#"{"request_id":"7f","friendly_request_id":"AR-7","user_id":"u",
    "status":"GRANTED","integration_id":"i","resource_ids":["r-1","r-2"],"permissions":["read"],
    "justification":"why"}"#;

/// A list of these items that says there are so many.
fn list(items: &str, total: u32) -> String {
    format!(r#"{{"data":[{items}],"pagination":{{"total":{total},"limit":100,"offset":0}}}}"#)
}

#[tokio::test]
async fn a_list_says_whether_it_was_cut_short() {
    let whole = list(GRANTED, 1);
    let cut = list(GRANTED, 2);
    let server = Server::start([ok(&whole), ok(&cut), ok(&cut)]).await;
    let client = server.client();
    let query = AdminQuery {
        user_id: Some("u+1".into()),
        days_offset: Some(30),
    };
    let listing = client.admin_requests_page(&query).await.unwrap();
    assert!(listing.is_complete());
    assert_eq!(listing.items[0].status.state(), State::Active);
    assert_eq!(listing.items[0].resource_ids, ["r-1", "r-2"]);
    let listing = client
        .admin_requests_page(&AdminQuery::default())
        .await
        .unwrap();
    assert!(!listing.is_complete());
    assert_eq!((listing.total, listing.limit), (Some(2), Some(100)));
    // There is nothing to walk to: the stream ends where the list does.
    let stream = client.admin_requests(AdminQuery::default());
    let pages: Vec<_> = stream.try_collect().await.unwrap();
    assert_eq!((pages.len(), pages[0].is_complete()), (1, false));
    let path = "GET /api/v3/access-requests";
    assert_eq!(
        server.lines(),
        [
            format!("{path}?days_offset=30&user_id=u%2B1"),
            path.to_owned(),
            path.to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_create_says_everything_and_answers_with_one_request() {
    let server = Server::start([ok(GRANTED), ok(GRANTED)]).await;
    let client = server.client();
    let mut asked = asked_for_user();
    let made = client.create_admin_request(&asked).await.unwrap();
    assert_eq!(
        (made.request_id.as_str(), made.friendly_request_id.as_str()),
        ("7f", "AR-7")
    );
    asked.duration = None;
    client.create_admin_request(&asked).await.unwrap();
    assert_eq!(server.lines(), ["POST /api/v3/access-requests"; 2]);
    let common = concat!(
        r#"{"user_id":"u","integration_id":"i","resource_ids":["r-1","r-2"],"#,
        r#""permissions":["p-1","p-2"],"justification":"why""#
    );
    assert_eq!(
        server.asked()[0].body,
        format!(r#"{common},"duration_in_sec":60}}"#)
    );
    assert_eq!(server.asked()[1].body, format!("{common}}}"));
}

#[tokio::test]
async fn one_request_is_read_reset_and_looked_into() {
    let details = r#"{"details":"user u password swordfish"}"#;
    let message = r#"{"message":"done"}"#;
    let server = Server::start([ok(GRANTED), ok(details), ok(message), ok("")]).await;
    let client = server.client();
    let request = client.admin_request("AR-7").await.unwrap();
    assert_eq!(request.request_id, "7f");
    let details = client.admin_request_details("AR-7").await.unwrap();
    assert_eq!(details.details.expose(), "user u password swordfish");
    assert!(!format!("{details:?} {details:#?}").contains("swordfish"));
    client
        .reset_admin_request_credentials("AR-7")
        .await
        .unwrap();
    client.reset_admin_request_credentials("a/b").await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /api/v3/access-requests/AR-7",
            "GET /api/v3/access-requests/AR-7/access-details",
            "POST /api/v3/access-requests/AR-7/reset",
            "POST /api/v3/access-requests/a%2Fb/reset",
        ]
    );
    assert_eq!(server.asked()[2].body, "");
}

#[tokio::test]
async fn many_requests_are_revoked_in_one_call_but_never_none() {
    let server = Server::start([ok(r#"{"message":"revoking"}"#), ok("<html>")]).await;
    let client = server.client();
    client
        .revoke_admin_requests(&["AR-1", "AR-2"])
        .await
        .unwrap();
    client.revoke_admin_requests(&["AR-3"]).await.unwrap();
    assert_eq!(
        server.lines(),
        ["POST /api/v3/access-requests-bulk/revoke"; 2]
    );
    assert_eq!(server.asked()[0].body, r#"{"request_ids":["AR-1","AR-2"]}"#);
    for ids in [&[][..], &[""], &["AR-1", ""]] {
        let error = client.revoke_admin_requests(ids).await.unwrap_err();
        assert_eq!(
            (error.class(), error.effect()),
            (ErrorClass::Invalid, Effect::NotSent)
        );
    }
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn what_may_be_asked_for_is_found_step_by_step() {
    let integrations = list(r#"{"id":"i"},{"id":"j"},{}"#, 3);
    let types = list(r#"{"id":"a/b","name":"Table"}"#, 1);
    let permissions = list(r#""read","write""#, 2).replacen('{', r#"{"allow_multiple":true,"#, 1);
    let resources = list(r#"{"id":"r","type":"t","name":"orders"}"#, 1);
    let answers = [integrations, types, permissions, resources].map(|body| ok(&body));
    let server = Server::start(answers).await;
    let client = server.client();
    let integrations = client.selectable_integrations(None).await.unwrap();
    assert_eq!((integrations.items.len(), integrations.skipped), (2, 1));
    assert!(!integrations.is_complete(), "one was not understood");
    let kinds = client.selectable_resource_types("i", Some("u")).await;
    let kind = kinds.unwrap().items.remove(0);
    assert_eq!((kind.id.as_str(), kind.name.as_str()), ("a/b", "Table"));
    let permissions = client.selectable_permissions("i", &kind.id, Some("u"));
    let permissions = permissions.await.unwrap();
    assert_eq!(permissions.permissions.items, ["read", "write"]);
    assert!(permissions.allow_multiple && permissions.permissions.is_complete());
    let resources = client
        .selectable_resources("i", &kind.id, None)
        .await
        .unwrap();
    assert_eq!(resources.items[0].resource_type, "t");
    let path = "GET /api/v3/selectable-integrations";
    assert_eq!(
        server.lines(),
        [
            path.to_owned(),
            format!("{path}/i/resource-types?user_id=u"),
            format!("{path}/i/a%2Fb/permissions?user_id=u"),
            format!("{path}/i/a%2Fb/resources"),
        ]
    );
}

#[tokio::test]
async fn a_duration_the_wire_cannot_carry_is_not_sent() {
    let server = Server::start([]).await;
    let mut asked = asked_for_user();
    asked.duration = Some(Duration::from_millis(999));
    let error = server
        .client()
        .create_admin_request(&asked)
        .await
        .unwrap_err();
    assert_eq!(
        (error.class(), error.effect()),
        (ErrorClass::Invalid, Effect::NotSent)
    );
    assert!(server.asked().is_empty());
}
