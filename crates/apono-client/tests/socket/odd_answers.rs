//! What the client makes of answers that no contract promises: redirects, floods, silence, half
//! answers, garbage.

use std::error::Error as _;
use std::time::Duration;

use apono_client::{
    Client, Effect, Error, ErrorClass, ListQuery, NewAccessRequest, Page, State, Target,
};
use futures::{StreamExt, TryStreamExt};
use tokio::net::TcpListener;

use crate::support::{
    Reply, Server, TOKEN, answer, client, cut_short, impatient, ok, page, request,
};

async fn create(client: &Client) -> Error {
    let asked = NewAccessRequest::new(Target::Bundle("b".into()));
    client
        .create_access_request(&asked)
        .await
        .expect_err("the answer is odd")
}

/// What creating against this one reply ends in, and that it was asked exactly once.
async fn creating_against(reply: Reply) -> (ErrorClass, Effect, Option<u16>) {
    let server = Server::start([reply]).await;
    let error = create(&server.client_with(impatient)).await;
    assert_eq!(server.asked().len(), 1, "a create must never be sent twice");
    (error.class(), error.effect(), error.status())
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_token_goes_nowhere() {
    let elsewhere = Server::start([ok("[]")]).await;
    for status in [301, 302, 303, 307, 308] {
        let redirect = answer(status, &[("location", &elsewhere.url)], "");
        let expected = (ErrorClass::Redirect, Effect::NotSent, Some(status));
        assert_eq!(creating_against(redirect).await, expected);
    }
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn an_announced_flood_is_refused_before_it_is_read() {
    // It never ends: only a client that does not read it comes back with this error.
    let flood = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n[";
    let expected = (ErrorClass::Undecodable, Effect::Unknown, Some(200));
    assert_eq!(creating_against(Reply::Hang(flood.into())).await, expected);
}

#[tokio::test]
async fn an_unannounced_flood_is_refused_at_the_limit() {
    let chunk = format!("400\r\n{}\r\n", " ".repeat(0x400));
    let flood = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}",
        chunk.repeat(8)
    );
    let server = Server::start([Reply::Hang(flood.into())]).await;
    let client = server.client_with(|config| config.max_object_bytes = 4096);
    let error = client.access_request("AR-1").await.unwrap_err();
    assert_eq!(
        (error.class(), error.status()),
        (ErrorClass::Undecodable, Some(200))
    );
    assert_eq!(
        error.source().unwrap().to_string(),
        "the answer is larger than 4096 bytes"
    );
}

#[tokio::test]
async fn pages_have_a_limit_of_their_own() {
    let body = page(&["AR-1"], "");
    let server = Server::start([ok(&body), ok(&body)]).await;
    let small = |config: &mut apono_client::ClientConfig| config.max_object_bytes = 10;
    let list = ListQuery::default();
    server
        .client_with(small)
        .access_requests_page(&list, None)
        .await
        .unwrap();
    let tight = server.client_with(|config| config.max_page_bytes = body.len() - 1);
    let error = tight.access_requests_page(&list, None).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Undecodable);
}

#[tokio::test]
async fn half_an_answer_may_have_happened() {
    let expected = (ErrorClass::Broken, Effect::Unknown, Some(200));
    assert_eq!(
        creating_against(Reply::Bytes(cut_short("[{"))).await,
        expected
    );
}

#[tokio::test]
async fn a_connection_dropped_before_any_answer_may_have_happened() {
    let expected = (ErrorClass::Broken, Effect::Unknown, None);
    assert_eq!(creating_against(Reply::Bytes(Vec::new())).await, expected);
    assert_eq!(
        creating_against(Reply::Bytes(b"HTTP/1.1 20".to_vec())).await,
        expected
    );
    assert_eq!(
        creating_against(Reply::Bytes(b"SSH-2.0-x\r\n".to_vec())).await,
        expected
    );
}

#[tokio::test]
async fn silence_ends_at_the_timeout_and_may_have_happened() {
    let silent = creating_against(Reply::Hang(Vec::new())).await;
    assert_eq!(silent, (ErrorClass::Timeout, Effect::Unknown, None));
    let stalled = creating_against(Reply::Hang(cut_short("[{"))).await;
    assert_eq!(stalled, (ErrorClass::Timeout, Effect::Unknown, Some(200)));
}

#[tokio::test]
async fn a_success_that_does_not_decode_may_have_happened() {
    for body in [
        "",
        "<html>",
        "null",
        "{}",
        "[{}]",
        r#"[{"id":"AR-1"}]"#,
        "[] trailing",
    ] {
        let expected = (ErrorClass::Undecodable, Effect::Unknown, Some(200));
        assert_eq!(creating_against(ok(body)).await, expected, "{body}");
    }
    let empty = creating_against(answer(204, &[], "")).await;
    assert_eq!(empty, (ErrorClass::Undecodable, Effect::Unknown, Some(204)));
}

#[tokio::test]
async fn a_connection_that_never_was_changes_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let refused = create(&client(&format!("http://{address}"), impatient)).await;
    assert_eq!(
        (refused.class(), refused.effect()),
        (ErrorClass::Connect, Effect::NotSent)
    );

    let plain = Server::start([]).await;
    let https = plain.url.replace("http://", "https://");
    let handshake = create(&client(&https, impatient)).await;
    assert_eq!(
        (handshake.class(), handshake.effect()),
        (ErrorClass::Connect, Effect::NotSent)
    );
}

#[tokio::test]
async fn throttling_says_how_long_to_wait() {
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    for (headers, wait) in [
        (vec![("retry-after", "7")], Some(7)),
        (
            vec![("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), date],
            Some(30),
        ),
        (vec![("retry-after", "99999999")], Some(3600)),
        (vec![], None),
    ] {
        let server = Server::start([answer(429, &headers, "slow down")]).await;
        let error = create(&server.client()).await;
        assert_eq!(
            (error.class(), error.effect()),
            (ErrorClass::Throttled, Effect::NotSent)
        );
        assert_eq!(error.retry_after(), wait.map(Duration::from_secs));
        assert_eq!(error.body(), Some("slow down"));
    }
}

#[tokio::test]
async fn an_error_shows_neither_token_nor_address() {
    let echo = format!("no such token: {TOKEN}\n{}", "x".repeat(2000));
    let server = Server::start([answer(403, &[], &echo)]).await;
    let client = server.client_with(impatient);
    let refused = create(&client).await;
    assert_eq!(
        (refused.class(), refused.effect()),
        (ErrorClass::Refused, Effect::Refused)
    );
    assert!(
        refused
            .body()
            .unwrap()
            .starts_with("no such token: [redacted] xxx")
    );
    assert_eq!(refused.body().unwrap().chars().count(), 512);
    let broken = create(&client).await;
    for error in [refused, broken] {
        let mut text = format!("{error} {error:?}");
        let mut cause = error.source();
        while let Some(inner) = cause {
            text = format!("{text} {inner} {inner:?}");
            cause = inner.source();
        }
        assert!(
            !text.contains(TOKEN) && !text.contains("access-requests"),
            "{text}"
        );
    }
    assert!(!format!("{client:?}").contains(TOKEN));
}

#[tokio::test]
async fn a_refusal_whose_text_never_ends_is_still_a_refusal() {
    let head = b"HTTP/1.1 409 Conflict\r\ncontent-length: 1000\r\n\r\ntaken".to_vec();
    let server = Server::start([Reply::Hang(head.clone()), Reply::Bytes(head)]).await;
    for _ in 0..2 {
        let error = create(&server.client_with(impatient)).await;
        assert_eq!(
            (error.effect(), error.status()),
            (Effect::Refused, Some(409))
        );
        assert_eq!(error.body(), Some("taken"));
    }
}

#[tokio::test]
async fn any_success_will_do_for_a_revoke() {
    let odd = [
        ok("<html>"),
        ok(""),
        answer(202, &[], "null"),
        answer(204, &[], ""),
    ];
    let broken = [Reply::Bytes(cut_short("{")), Reply::Hang(cut_short("{"))];
    let server = Server::start(odd.into_iter().chain(broken)).await;
    let client = server.client_with(impatient);
    for _ in 0..6 {
        client.revoke("AR-1").await.unwrap();
    }
    assert_eq!(server.asked().len(), 6);
}

async fn walk(server: &Server) -> Vec<Result<Page<apono_client::AccessRequest>, Error>> {
    server
        .client()
        .access_requests(ListQuery::default())
        .collect()
        .await
}

#[tokio::test]
async fn a_list_that_never_ends_is_an_error() {
    let next_of = |token| ok(&page(&["AR-1"], token));
    for (tokens, calls) in [(vec!["a", "a", "b"], 2), (vec!["a", "b", "c", "a", "d"], 4)] {
        let server = Server::start(tokens.into_iter().map(next_of)).await;
        let mut pages = walk(&server).await;
        assert_eq!(server.asked().len(), calls);
        let error = pages.pop().unwrap().unwrap_err();
        assert_eq!(error.class(), ErrorClass::Undecodable);
        assert_eq!(
            error.source().unwrap().to_string(),
            "a page token repeats itself"
        );
        assert_eq!(pages.len(), calls);
        assert!(pages.iter().all(Result::is_ok));
    }
}

#[tokio::test]
async fn a_walk_ends_at_its_first_error() {
    let server = Server::start([ok(&page(&["AR-1"], "a")), answer(500, &[], "")]).await;
    let pages = walk(&server).await;
    assert_eq!(pages.len(), 2);
    assert_eq!(pages[1].as_ref().unwrap_err().class(), ErrorClass::Server);
}

#[tokio::test]
async fn one_odd_item_does_not_spoil_a_page_but_is_counted() {
    let items = format!(
        r#"{{"items":[{},{{"id":7}},null,{}]}}"#,
        request("a"),
        request("b")
    );
    let server = Server::start([ok(&items)]).await;
    let stream = server.client().access_requests(ListQuery::default());
    let pages: Vec<_> = stream.try_collect().await.unwrap();
    assert_eq!((pages[0].items.len(), pages[0].skipped), (2, 2));
    assert_eq!(pages[0].items[1].status.state(), State::Active);
}
