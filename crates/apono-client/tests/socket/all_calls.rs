//! What holds for every call alike, whatever it asks for.

use std::error::Error as _;

use apono_client::{Effect, Endpoint, Error, ErrorClass};
use futures::future::join_all;

use crate::every::call;
use crate::support::{Reply, Server, TOKEN, answer, cut_short, impatient, ok};

/// Everything an error can be made to say.
fn everything_said(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?} {:?}", error.body());
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text} {inner} {inner:?}");
        cause = inner.source();
    }
    text
}

#[tokio::test]
async fn every_call_goes_to_its_path_with_the_token() {
    for endpoint in Endpoint::ALL {
        let server = Server::start([]).await;
        let _ = call(endpoint, &server.client(), None).await;
        let asked = server.asked();
        assert_eq!(asked.len(), 1, "{endpoint:?}");
        let path = endpoint
            .path()
            .replace("{id}", "x")
            .replace("{integration_id}", "x")
            .replace("{resource_type}", "y");
        let line = asked[0].line.split(['?', ' ']).take(2);
        assert_eq!(
            line.collect::<Vec<_>>(),
            [endpoint.method(), path.as_str()],
            "{endpoint:?}"
        );
        let bearer = format!("Bearer {TOKEN}");
        assert_eq!(asked[0].header("authorization"), Some(bearer.as_str()));
        assert_eq!(asked[0].header("accept"), Some("application/json"));
        let content = (!asked[0].body.is_empty()).then_some("application/json");
        assert_eq!(asked[0].header("content-type"), content);
    }
}

#[tokio::test]
async fn no_call_follows_a_redirect() {
    let elsewhere = Server::start([ok("{}")]).await;
    for endpoint in Endpoint::ALL {
        let redirect = answer(307, &[("location", &elsewhere.url)], "");
        let server = Server::start([redirect]).await;
        let error = call(endpoint, &server.client(), None).await.unwrap_err();
        assert_eq!(
            (error.class(), error.effect(), error.endpoint()),
            (ErrorClass::Redirect, Effect::NotSent, endpoint)
        );
    }
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn every_call_says_of_its_failure_what_it_may_have_done() {
    let expected = [
        (400, ErrorClass::Refused, Effect::Refused),
        (401, ErrorClass::Unauthorized, Effect::NotSent),
        (403, ErrorClass::Refused, Effect::Refused),
        (404, ErrorClass::NotFound, Effect::Refused),
        (429, ErrorClass::Throttled, Effect::NotSent),
        (500, ErrorClass::Server, Effect::Unknown),
    ];
    for endpoint in Endpoint::ALL {
        let server = Server::start(expected.map(|(status, ..)| answer(status, &[], "no"))).await;
        let client = server.client();
        for (status, class, effect) in expected {
            let error = call(endpoint, &client, None).await.unwrap_err();
            let seen = (error.status(), error.class(), error.effect());
            assert_eq!(seen, (Some(status), class, effect), "{endpoint:?}");
        }
        let lost = call(endpoint, &client, None).await.unwrap_err();
        assert_eq!(
            (lost.class(), lost.effect()),
            (ErrorClass::Broken, Effect::Unknown)
        );
    }
}

fn is_for_details(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::GetAccessSessionDetails | Endpoint::GetAdminRequestDetails
    )
}

#[tokio::test]
async fn an_error_of_a_details_call_holds_no_text_of_the_answer() {
    const SECRET: &str = "hunter2-swordfish";
    let whole = format!(r#"{{"instructions":"{SECRET}","details":"{SECRET}"}}"#);
    let odd = [
        format!(r#""{SECRET}""#),
        format!(r#"{{"{SECRET}":1}}"#),
        format!(r#"{{"details":["{SECRET}"],"instructions":{{"{SECRET}":"{SECRET}"}}}}"#),
        format!(r#"{{"details":"{SECRET}","details":"{SECRET}","cli":"{SECRET}","cli":1}}"#),
        format!(r#"{{"instructions":"{SECRET}","details":"{SECRET}"#),
        format!("{whole} {SECRET}"),
        SECRET.to_owned(),
    ];
    let mut replies: Vec<Reply> = odd.iter().map(|body| ok(body)).collect();
    for status in [302, 400, 401, 403, 404, 409, 429, 500, 503] {
        replies.push(answer(status, &[], &whole));
    }
    replies.push(Reply::Bytes(cut_short(&whole)));
    replies.push(Reply::Hang(cut_short(&whole)));
    let secretive: Vec<_> = Endpoint::ALL
        .into_iter()
        .filter(|endpoint| is_for_details(*endpoint))
        .collect();
    assert_eq!(secretive.len(), 2);
    for endpoint in secretive {
        let server = Server::start(replies.clone()).await;
        let client = server.client_with(impatient);
        for _ in &replies {
            let error = call(endpoint, &client, None).await.unwrap_err();
            let said = everything_said(&error);
            assert!(
                !said.contains("hunter2") && !said.contains("swordfish"),
                "{said}"
            );
            assert_eq!(error.body(), None);
        }
    }
    // Everywhere else the text helps.
    for endpoint in Endpoint::ALL {
        if !is_for_details(endpoint) {
            let server = Server::start([answer(409, &[], "because")]).await;
            let error = call(endpoint, &server.client(), None).await.unwrap_err();
            assert_eq!(error.body(), Some("because"), "{endpoint:?}");
        }
    }
}

/// What comes of an answer that announces more than an object may hold and less than a page may,
/// and never arrives.
async fn against_a_large_answer(endpoint: Endpoint) -> Result<String, ErrorClass> {
    let large = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n".to_vec();
    let server = Server::start([Reply::Hang(large)]).await;
    let client = server.client_with(|config| {
        impatient(config);
        (config.max_object_bytes, config.max_page_bytes) = (4096, 8192);
    });
    let outcome = call(endpoint, &client, None).await;
    outcome.map_err(|error| error.class())
}

#[tokio::test]
async fn lists_have_the_larger_limit_and_single_objects_the_smaller() {
    let all =
        Endpoint::ALL.map(async |endpoint| (endpoint, against_a_large_answer(endpoint).await));
    for (endpoint, outcome) in join_all(all).await {
        let label = endpoint.as_str();
        let starts = |words: &[&str]| words.iter().any(|word| label.starts_with(word));
        let expected = if starts(&["revoke_", "reset_"]) {
            // The status has said everything.
            Ok("()".to_owned())
        } else if starts(&["list_", "create_access_request", "request_again"]) {
            Err(ErrorClass::Timeout)
        } else {
            Err(ErrorClass::Undecodable)
        };
        assert_eq!(outcome, expected, "{endpoint:?}");
    }
}
