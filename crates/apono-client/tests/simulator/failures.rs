//! Every fault a create may meet: how the client classes it, and what the service really did.
//!
//! A 4xx here always comes from a service that did nothing. The simulator can also lie and execute
//! before such an answer; no client can see through that, and none is expected to.

use std::net::Ipv4Addr;
use std::time::Duration;

use apono_client::{Client, ClientConfig, Effect, Error, ErrorClass, ListQuery};
use apono_simulator::switches::Leniency;
use apono_simulator::{Action, Config, Control, Endpoint, Fault, When};
use jiff::SignedDuration;
use tokio::net::TcpSocket;

use crate::support::{born, bundle, client_with, creates, one, start};

/// How a create failed, as the client sees it.
#[derive(Debug, PartialEq)]
struct Seen {
    class: ErrorClass,
    effect: Effect,
    status: Option<u16>,
}

fn seen(class: ErrorClass, effect: Effect, status: impl Into<Option<u16>>) -> Seen {
    Seen {
        class,
        effect,
        status: status.into(),
    }
}

impl From<&Error> for Seen {
    fn from(error: &Error) -> Self {
        seen(error.class(), error.effect(), error.status())
    }
}

fn answer(status: u16, when: When) -> Action {
    Action::Answer {
        status,
        retry_after: None,
        body: None,
        when,
    }
}

/// Nothing that the client takes for "nothing changed" may have changed anything.
fn honest(error: &Error, control: &Control) {
    match error.effect() {
        Effect::Refused | Effect::NotSent => assert_eq!(born(control), 0, "{error:?}"),
        Effect::Unknown => (),
    }
}

/// Lets one fault strike a create on a connection that is in use already, checks that it was
/// sent once and done as expected, and says how the client sees it.
async fn struck(action: Action, done: bool, adjust: fn(&mut ClientConfig)) -> Result<usize, Seen> {
    let (simulator, _) = start(Config::instant());
    let client = client_with(&simulator, simulator.token(), adjust);
    warm(&client).await;
    simulator.arm(Fault::new(action.clone()).at(Endpoint::Create).once());
    let result = client.create_access_request(&bundle("prod-read")).await;
    let calls = creates(&simulator);
    assert_eq!(calls.len(), 1, "{action:?}: a create is sent once");
    assert_eq!(calls[0].executed, done, "{action:?}");
    assert_eq!(calls[0].result, done.then_some(200), "{action:?}");
    assert_eq!(born(&simulator), usize::from(done), "{action:?}");
    if let Err(error) = &result {
        honest(error, &simulator);
    }
    // Whatever struck, the client works on.
    one(&client, &bundle("prod-read")).await;
    result.map(|made| made.len()).map_err(|it| Seen::from(&it))
}

async fn warm(client: &Client) {
    let page = client
        .access_requests_page(&ListQuery::default(), None)
        .await;
    assert!(page.unwrap().items.is_empty());
}

fn as_it_is(_: &mut ClientConfig) {}

/// Short enough not to be waited for, long enough for a loaded machine to answer the other calls.
fn impatient(config: &mut ClientConfig) {
    config.timeout = Duration::from_secs(2);
}

const BOTH: [When; 2] = [When::Before, When::After];

#[tokio::test]
async fn a_refusing_answer_to_a_create_means_that_nothing_was_made() {
    for (status, class) in [
        (400, ErrorClass::Refused),
        (403, ErrorClass::Refused),
        (404, ErrorClass::NotFound),
        (409, ErrorClass::Refused),
        (422, ErrorClass::Refused),
    ] {
        let result = struck(answer(status, When::Before), false, as_it_is).await;
        assert_eq!(result, Err(seen(class, Effect::Refused, status)));
    }
}

#[tokio::test]
async fn a_duplicate_that_the_service_refuses_makes_no_second_request() {
    let (simulator, client) = start(Config::instant());
    simulator.set_switches(|it| it.duplicate = Leniency::Conflict);
    one(&client, &bundle("prod-read")).await;
    let again = client.create_access_request(&bundle("prod-read")).await;
    let expected = seen(ErrorClass::Refused, Effect::Refused, 409);
    assert_eq!(Seen::from(&again.unwrap_err()), expected);
    assert_eq!(born(&simulator), 1);
}

#[tokio::test]
async fn a_create_turned_away_at_the_door_was_not_sent() {
    for (status, class) in [
        (401, ErrorClass::Unauthorized),
        (429, ErrorClass::Throttled),
    ] {
        let result = struck(answer(status, When::Before), false, as_it_is).await;
        assert_eq!(result, Err(seen(class, Effect::NotSent, status)));
    }
    for status in [301, 302, 303, 307, 308] {
        let location = "https://login.example.com/".to_owned();
        let result = struck(Action::Redirect { location, status }, false, as_it_is).await;
        let expected = seen(ErrorClass::Redirect, Effect::NotSent, status);
        assert_eq!(result, Err(expected));
    }
}

#[tokio::test]
async fn a_throttled_create_says_how_long_to_wait_if_the_service_does() {
    let seconds = Duration::from_secs;
    for (header, wait) in [
        (Some("7"), Some(seconds(7))),
        (Some("0"), Some(seconds(0))),
        (Some("soon"), None),
        (None, None),
    ] {
        let (simulator, client) = start(Config::instant());
        let action = Action::Answer {
            status: 429,
            retry_after: header.map(ToOwned::to_owned),
            body: None,
            when: When::Before,
        };
        simulator.arm(Fault::new(action).once());
        let error = client.create_access_request(&bundle("prod-read")).await;
        let error = error.unwrap_err();
        assert_eq!(
            (error.retry_after(), error.effect()),
            (wait, Effect::NotSent)
        );
        honest(&error, &simulator);
    }
}

#[tokio::test]
async fn a_create_to_a_closed_port_was_not_sent() {
    let (simulator, _) = start(Config::instant());
    // Bound and not listening: refuses, and nobody else can get the port meanwhile.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let endpoint = format!("http://{}", closed.local_addr().unwrap());
    let client = client_with(&simulator, simulator.token(), |config| {
        config.endpoint = endpoint.parse().unwrap();
    });
    let error = client.create_access_request(&bundle("prod-read")).await;
    let error = error.unwrap_err();
    let expected = seen(ErrorClass::Connect, Effect::NotSent, None);
    assert_eq!(Seen::from(&error), expected);
    honest(&error, &simulator);
}

#[tokio::test]
async fn a_create_that_cannot_be_put_together_is_never_seen_by_the_service() {
    let (simulator, client) = start(Config::instant());
    let mut asked = bundle("prod-read");
    asked.duration = Some(Duration::ZERO);
    let error = client.create_access_request(&asked).await.unwrap_err();
    let expected = seen(ErrorClass::Invalid, Effect::NotSent, None);
    assert_eq!(Seen::from(&error), expected);
    assert!(simulator.calls().is_empty());
}

#[tokio::test]
async fn a_server_error_leaves_open_whether_the_create_was_done() {
    for status in [500, 502, 503, 504] {
        for when in BOTH {
            let result = struck(answer(status, when), when == When::After, as_it_is).await;
            let expected = seen(ErrorClass::Server, Effect::Unknown, status);
            assert_eq!(result, Err(expected), "{when:?}");
        }
    }
}

#[tokio::test]
async fn a_connection_dropped_under_a_create_leaves_open_whether_it_was_done() {
    for when in BOTH {
        let result = struck(Action::Drop { when }, when == When::After, as_it_is).await;
        let expected = seen(ErrorClass::Broken, Effect::Unknown, None);
        assert_eq!(result, Err(expected), "{when:?}");
    }
}

#[tokio::test]
async fn a_create_never_answered_ends_at_the_timeout_and_leaves_open_whether_it_was_done() {
    for when in BOTH {
        let result = struck(Action::Hang { when }, when == When::After, impatient).await;
        let expected = seen(ErrorClass::Timeout, Effect::Unknown, None);
        assert_eq!(result, Err(expected), "{when:?}");
        let told = struck(answer(408, when), when == When::After, as_it_is).await;
        let expected = seen(ErrorClass::Timeout, Effect::Unknown, 408);
        assert_eq!(told, Err(expected), "{when:?}");
    }
}

#[tokio::test]
async fn a_success_that_cannot_be_read_leaves_open_what_was_in_fact_done() {
    let undecodable = || seen(ErrorClass::Undecodable, Effect::Unknown, 200);
    let small = |config: &mut ClientConfig| config.max_page_bytes = 100_000;
    let oversize = Action::Oversize { bytes: 200_000 };
    assert_eq!(struck(oversize, true, small).await, Err(undecodable()));
    let half = Action::Truncate { complete: true };
    for action in [Action::Garbage, half] {
        let result = struck(action, true, as_it_is).await;
        assert_eq!(result, Err(undecodable()));
    }
    let broken = Action::Truncate { complete: false };
    let expected = seen(ErrorClass::Broken, Effect::Unknown, 200);
    assert_eq!(struck(broken, true, as_it_is).await, Err(expected));
}

#[tokio::test]
async fn a_late_answer_or_one_of_another_type_is_read_all_the_same() {
    let by = SignedDuration::from_millis(200);
    for when in BOTH {
        let result = struck(Action::Slow { by, when }, true, as_it_is).await;
        assert_eq!(result, Ok(1), "{when:?}");
    }
    let content_type = "text/html".to_owned();
    let result = struck(Action::ContentType { content_type }, true, as_it_is).await;
    assert_eq!(result, Ok(1));
}

#[tokio::test]
async fn an_empty_array_is_a_success_that_says_nothing_of_what_was_done() {
    for when in BOTH {
        let result = struck(Action::EmptyArray { when }, when == When::After, as_it_is).await;
        assert_eq!(result, Ok(0), "{when:?}");
    }
}
