//! Every fault as a client meets it on a real socket, and what was done behind it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test, in helpers as well"
)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use apono_simulator::{Action, Delays, Endpoint, Fault, Simulator, When};
use jiff::SignedDuration;
use serde_json::json;
use support::{Api, OWN, config, ids, start, started};

fn answer(status: u16, when: When) -> Action {
    Action::Answer {
        status,
        retry_after: None,
        body: None,
        when,
    }
}

/// Sends a create over a bare connection and reads until it ends or `patience` does. Says what came
/// and whether the connection ended.
fn raw_create(simulator: &Simulator, patience: Duration) -> (String, bool) {
    let body = r#"{"bundle_reference":"prod-read","custom_fields":{}}"#;
    let mut stream = TcpStream::connect(simulator.address()).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    write!(
        stream,
        "POST {OWN} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        simulator.token(),
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    let ended = stream.read_to_string(&mut text).is_ok();
    (text, ended)
}

/// Longer than anything takes that comes at all.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_status_before_executing_does_nothing_and_one_after_executing_hides_what_was_done() {
    for status in [401, 403, 404, 409, 422, 429, 500, 502, 503, 504] {
        for (when, made) in [(When::Before, 0), (When::After, 1)] {
            let (simulator, api) = start();
            simulator.arm(Fault::new(answer(status, when)).at(Endpoint::Create).once());
            let body = json!({"bundle_reference": "prod-read"});
            assert_eq!(api.create(&body).await.status, status);
            assert_eq!(simulator.requests().len(), made);
            assert_eq!(api.create(&body).await.status, 200);
        }
    }
}

#[tokio::test]
async fn a_429_comes_with_or_without_retry_after() {
    let (simulator, api) = start();
    let with = |retry_after: Option<&str>| Action::Answer {
        status: 429,
        retry_after: retry_after.map(ToOwned::to_owned),
        body: None,
        when: When::Before,
    };
    simulator.arm(Fault::new(with(Some("7"))).once());
    simulator.arm(Fault::new(with(None)).once());
    assert_eq!(api.get(OWN).await.headers["retry-after"], "7");
    let second = api.get(OWN).await;
    assert_eq!(
        (second.status, second.headers.contains_key("retry-after")),
        (429, false)
    );
    assert_eq!(api.get(OWN).await.status, 200);
}

#[test]
fn a_dropped_connection_ends_before_the_first_byte_of_an_answer() {
    for (when, made) in [(When::Before, 0), (When::After, 1)] {
        let (simulator, _) = start();
        simulator.arm(Fault::new(Action::Drop { when }).once());
        assert_eq!(
            raw_create(&simulator, LONG),
            (String::new(), true),
            "{when:?}"
        );
        assert_eq!(simulator.requests().len(), made, "{when:?}");
        let call = simulator.calls().remove(0);
        assert_eq!((call.status, call.executed), (None, when == When::After));
        assert_eq!(call.result, (when == When::After).then_some(200));
    }
}

#[test]
fn a_call_that_hangs_is_never_answered_and_was_done_or_not() {
    for (when, made) in [(When::Before, 0), (When::After, 1)] {
        let (simulator, _) = start();
        simulator.arm(Fault::new(Action::Hang { when }).once());
        let silence = (String::new(), false);
        assert_eq!(raw_create(&simulator, Duration::from_secs(1)), silence);
        assert_eq!(simulator.requests().len(), made, "{when:?}");
    }
}

#[test]
fn a_truncated_body_breaks_after_its_headers_promised_more() {
    let (simulator, _) = start();
    simulator.arm(Fault::new(Action::Truncate { complete: false }).once());
    let (text, ended) = raw_create(&simulator, LONG);
    assert!(ended);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let promised = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    assert!(head.starts_with("HTTP/1.1 200"));
    assert!(
        !body.is_empty() && body.len() < promised.parse().unwrap(),
        "{text}"
    );
    assert_eq!(simulator.requests().len(), 1);
}

#[tokio::test]
async fn a_body_can_be_half_a_document_garbage_oversized_or_of_a_wrong_type() {
    let (simulator, api) = start();
    let body = json!({"bundle_reference": "prod-read"});
    simulator.arm(Fault::new(Action::Truncate { complete: true }).once());
    let half = api.create(&body).await;
    assert_eq!(half.status, 200);
    assert!(serde_json::from_str::<serde_json::Value>(&half.text).is_err());
    simulator.arm(Fault::new(Action::Garbage).once());
    let garbage = api.create(&body).await;
    assert_eq!(garbage.status, 200);
    assert!(serde_json::from_str::<serde_json::Value>(&garbage.text).is_err());
    simulator.arm(Fault::new(Action::Oversize { bytes: 5_000_000 }).once());
    assert_eq!(api.create(&body).await.text.len(), 5_000_000);
    let content_type = "text/html".to_owned();
    simulator.arm(Fault::new(Action::ContentType { content_type }).once());
    assert_eq!(api.create(&body).await.headers["content-type"], "text/html");
    assert_eq!(simulator.requests().len(), 4);
}

#[tokio::test]
async fn an_empty_array_answers_a_create_that_was_done_or_not() {
    for (when, made) in [(When::Before, 0), (When::After, 1)] {
        let (simulator, api) = start();
        simulator.arm(Fault::new(Action::EmptyArray { when }).once());
        assert_eq!(api.get(OWN).await.ok()["items"], json!([]));
        assert_eq!(
            api.create(&json!({"bundle_reference": "prod-read"}))
                .await
                .ok(),
            json!([])
        );
        assert_eq!(simulator.requests().len(), made);
    }
}

#[tokio::test]
async fn a_redirect_leads_elsewhere_and_nothing_is_done() {
    let (simulator, api) = start();
    let location = "https://login.example.com/".to_owned();
    simulator.arm(
        Fault::new(Action::Redirect {
            location: location.clone(),
            status: 302,
        })
        .once(),
    );
    let reply = api.create(&json!({"bundle_reference": "prod-read"})).await;
    assert_eq!(
        (reply.status, &reply.headers["location"]),
        (302, &location.parse().unwrap())
    );
    assert!(simulator.requests().is_empty());
}

#[tokio::test]
async fn a_slow_call_waits_before_or_after_it_is_done() {
    for (when, made_meanwhile) in [(When::Before, 0), (When::After, 1)] {
        let (simulator, api) = start();
        let by = SignedDuration::from_millis(400);
        simulator.arm(Fault::new(Action::Slow { by, when }).once());
        let began = Instant::now();
        let call = tokio::spawn(async move {
            api.create(&json!({"bundle_reference": "prod-read"}))
                .await
                .status
        });
        while simulator.faults()[0].struck == 0 {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "the call never came"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(simulator.requests().len(), made_meanwhile, "{when:?}");
        assert_eq!(call.await.unwrap(), 200);
        assert!(began.elapsed() >= Duration::from_millis(400));
        assert_eq!(simulator.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_lagging_list_lacks_new_requests_while_a_get_sees_them_at_once() {
    let (simulator, api) = start();
    let by = SignedDuration::from_secs(30);
    let fault = simulator.arm(Fault::new(Action::ListLag { by }));
    let id = api.one("prod-read").await;
    assert!(api.listed(OWN, "").await.is_empty());
    assert_eq!(api.status(&id).await, "Active");
    simulator.advance(by);
    assert_eq!(api.listed(OWN, "").await, [id]);
    let second = api.one("prod-read").await;
    assert_eq!(api.listed(OWN, "").await.len(), 1);
    simulator.disarm(fault).unwrap();
    assert!(api.listed(OWN, "").await.contains(&second));
}

#[tokio::test]
async fn a_stale_list_shows_and_filters_by_the_status_of_some_time_ago() {
    let config = apono_simulator::Config {
        delays: Delays::default(),
        ..config()
    };
    let (simulator, api) = started(&config);
    simulator.arm(Fault::new(Action::StaleList {
        by: SignedDuration::from_secs(10),
    }));
    let id = api.one("prod-read").await;
    simulator.advance(SignedDuration::from_secs(5));
    assert_eq!(api.status(&id).await, "Active");
    assert_eq!(
        api.get(OWN).await.ok()["items"][0]["status"],
        "Initializing"
    );
    assert!(api.listed(OWN, "statuses=Active").await.is_empty());
    simulator.advance(SignedDuration::from_secs(10));
    assert_eq!(api.listed(OWN, "statuses=Active").await, [id]);
}

#[tokio::test]
async fn drifting_pages_repeat_or_skip_items() {
    let (simulator, api) = start();
    let mut all = Vec::new();
    for _ in 0..4 {
        all.insert(0, api.one("prod-read").await);
    }
    let read = async || {
        let first = api.get(&format!("{OWN}?limit=2")).await.ok();
        let token = first["pagination"]["next_page_token"].as_str().unwrap();
        let second = api.get(&format!("{OWN}?page_token={token}")).await.ok();
        [ids(&first["items"]), ids(&second["items"])].concat()
    };
    assert_eq!(read().await, all);
    let skip = simulator.arm(Fault::new(Action::PageDrift { by: 1 }));
    assert_eq!(read().await, [&all[..2], &all[3..]].concat());
    simulator.disarm(skip).unwrap();
    simulator.arm(Fault::new(Action::PageDrift { by: -1 }));
    assert_eq!(read().await, [&all[..2], &all[1..3]].concat());
}

#[tokio::test]
async fn faults_strike_their_endpoint_only_and_only_so_often_and_are_taken_back() {
    let (simulator, api) = start();
    simulator.arm(
        Fault::new(answer(500, When::Before))
            .at(Endpoint::List)
            .only_after(1)
            .times(2),
    );
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(api.get(OWN).await.status);
        assert_eq!(api.get(&format!("{OWN}/none")).await.status, 404);
    }
    assert_eq!(seen, [200, 500, 500, 200, 200]);
    simulator.arm(Fault::new(answer(503, When::Before)));
    assert_eq!(api.get(OWN).await.status, 503);
    simulator.clear_faults();
    assert_eq!(api.get(OWN).await.status, 200);
    assert!(simulator.disarm(1).is_err());
}

#[tokio::test]
async fn the_control_channel_has_no_faults() {
    let (simulator, _) = start();
    simulator.arm(Fault::new(Action::Drop { when: When::Before }));
    let api = Api::with_token(&simulator, None);
    assert_eq!(api.get("/_control/ready").await.ok()["ready"], true);
    assert!(simulator.calls().is_empty());
}
