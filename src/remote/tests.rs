//! The gated remote against the simulator, over a real socket, and its lanes without one.

use std::{future::pending, time::Duration};

use apono_client::{ClientConfig, Effect, ListQuery};
use apono_simulator::{Action, Config, DEFAULT_TOKEN, Fault, Simulator, faults::When};
use tokio::time::timeout;

use super::*;
use crate::{
    connection::ConnectionKey,
    shards::{Shard, Shards},
};

const LIST: Endpoint = Endpoint::ListAccessRequests;

fn client(endpoint: &str, token: &str) -> Client {
    let config = ClientConfig::new(endpoint.parse().unwrap());
    Client::new(config, Token::new(token).unwrap()).unwrap()
}

fn simulator() -> Simulator {
    Simulator::start(&Config::instant()).unwrap()
}

fn remote(simulator: &Simulator, token: &str) -> Remote {
    Remote::new(
        client(&simulator.url(), token),
        Pace::default(),
        Metrics::new(),
    )
}

/// A remote whose calls never reach anything.
fn idle(concurrency: usize) -> Remote {
    let pace = Pace {
        concurrency,
        rate: None,
    };
    Remote::new(client("http://127.0.0.1:1", "t"), pace, Metrics::new())
}

async fn list(remote: &Remote) -> Result<usize, RemoteError> {
    let query = ListQuery::default();
    let read = remote.call(LIST, |client| async move {
        client.access_requests_page(&query, None).await
    });
    read.await.map(|page| page.items.len())
}

fn throttle(simulator: &Simulator, retry_after: &str) {
    let action = Action::Answer {
        status: 429,
        retry_after: Some(retry_after.into()),
        body: None,
        when: When::Before,
    };
    simulator.arm(Fault::new(action).once());
}

#[tokio::test]
async fn a_refusal_is_told_in_the_words_of_the_api() {
    let simulator = simulator();
    let action = Action::Answer {
        status: 400,
        retry_after: None,
        body: Some("custom_fields is required".into()),
        when: When::Before,
    };
    simulator.arm(Fault::new(action).once());
    let error = list(&remote(&simulator, DEFAULT_TOKEN)).await.unwrap_err();
    assert!(!error.to_string().contains("custom_fields"), "{error}");
    let told = error.in_full();
    assert!(told.starts_with(&error.to_string()), "{told}");
    assert!(told.contains("custom_fields is required"), "{told}");
}

#[tokio::test]
async fn a_call_for_a_shard_that_was_lost_never_leaves() {
    let simulator = simulator();
    let shard = Shard::of(&ConnectionKey::cluster("default"));
    let fenced = |shards: Shards| {
        let client = client(&simulator.url(), DEFAULT_TOKEN);
        let fence = shards.fence(shard);
        Remote::fenced(client, Pace::default(), Metrics::new(), fence)
    };
    assert!(list(&fenced(Shards::all())).await.is_ok());
    let error = list(&fenced(Shards::none())).await.unwrap_err();
    assert!(matches!(error, RemoteError::NotHeld), "{error}");
    assert_eq!(error.effect(), Effect::NotSent);
    assert_eq!(simulator.calls().len(), 1);
}

#[tokio::test]
async fn a_refused_token_is_not_sent_again_until_it_changes() {
    let simulator = simulator();
    let remote = remote(&simulator, "wrong");
    let mut circuit = remote.circuit();
    for _ in 0..20 {
        assert!(list(&remote).await.unwrap_err().is_unauthorized());
    }
    assert_eq!(simulator.calls().len(), 1);
    assert!(*circuit.borrow_and_update());

    remote.set_token(Token::new("also-wrong").unwrap());
    for _ in 0..20 {
        assert!(list(&remote).await.unwrap_err().is_unauthorized());
    }
    assert_eq!(simulator.calls().len(), 2);

    remote.set_token(Token::new(DEFAULT_TOKEN).unwrap());
    assert_eq!(list(&remote).await.unwrap(), 0);
    assert!(!*circuit.borrow_and_update());
    assert!(!remote.health().circuit_open);
}

#[tokio::test]
async fn a_long_pause_is_told_and_nothing_is_sent() {
    let simulator = simulator();
    let remote = remote(&simulator, DEFAULT_TOKEN);
    throttle(&simulator, "30");
    assert_eq!(list(&remote).await.unwrap_err().status(), Some(429));
    let error = list(&remote).await.unwrap_err();
    assert!(matches!(error, RemoteError::Paused(left) if left > Duration::from_secs(25)));
    assert_eq!(error.effect(), Effect::NotSent);
    assert_eq!(simulator.calls().len(), 1);
}

#[tokio::test]
async fn a_short_pause_is_waited_for() {
    let simulator = simulator();
    let remote = remote(&simulator, DEFAULT_TOKEN);
    throttle(&simulator, "1");
    list(&remote).await.unwrap_err();
    let started = Instant::now();
    list(&remote).await.unwrap();
    assert!(
        started.elapsed() > Duration::from_millis(900),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn every_call_is_counted_by_how_it_ended() {
    let simulator = simulator();
    let metrics = Metrics::new();
    let client = client(&simulator.url(), DEFAULT_TOKEN);
    let remote = Remote::new(client, Pace::default(), metrics.clone());
    list(&remote).await.unwrap();
    let gone = remote.call(Endpoint::GetAccessRequest, |client| async move {
        client.access_request("nobody").await
    });
    gone.await.unwrap_err();
    let text = metrics.encode().unwrap();
    for line in [
        "{endpoint=\"list_access_requests\",class=\"ok\"} 1",
        "{endpoint=\"get_access_request\",class=\"not_found\"} 1",
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
    let health = remote.health();
    assert!(health.last_success.is_some() && health.failing_for.is_none());
}

#[tokio::test(start_paused = true)]
async fn sweeps_leave_room_for_taking_access_back() {
    let remote = idle(4);
    let silent = |_| pending::<Result<(), Error>>();
    let sweeps = futures::future::join_all((0..10).map(|_| remote.call(LIST, silent)));
    tokio::pin!(sweeps);
    let second = Duration::from_secs(1);
    timeout(second, &mut sweeps).await.unwrap_err();
    let started = |endpoint| {
        let remote = remote.clone();
        async move {
            timeout(second, remote.call(endpoint, |_| async { Ok(()) }))
                .await
                .is_ok()
        }
    };
    assert!(!started(LIST).await);
    assert!(started(Endpoint::RevokeAccessRequest).await);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_leave_in_time_is_not_made() {
    let remote = idle(1);
    let silent = |_| pending::<Result<(), Error>>();
    let first = remote.call(Endpoint::RevokeAccessRequest, silent);
    tokio::pin!(first);
    timeout(Duration::from_secs(1), &mut first)
        .await
        .unwrap_err();

    let leave_by = Instant::now() + Duration::from_secs(5);
    let mut has_left = false;
    let late = remote.call_by(Endpoint::CreateAccessRequest, leave_by, |_| {
        has_left = true;
        async { Ok(()) }
    });
    assert!(matches!(late.await, Err(RemoteError::TooLate)));
    assert!(!has_left);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_has_left_may_take_its_time() {
    let remote = idle(1);
    let leave_by = Instant::now() + Duration::from_secs(5);
    let slow = remote.call_by(Endpoint::CreateAccessRequest, leave_by, |_| async {
        tokio::time::sleep(Duration::from_secs(9)).await;
        Ok(7)
    });
    assert!(matches!(slow.await, Ok(7)));
}

#[tokio::test(start_paused = true)]
async fn dropped_calls_give_their_places_back() {
    let remote = idle(1);
    let second = Duration::from_secs(1);
    for _ in 0..5 {
        let silent = |_| pending::<Result<(), Error>>();
        timeout(second, remote.call(LIST, silent))
            .await
            .unwrap_err();
    }
    timeout(second, remote.call(LIST, |_| async { Ok(()) }))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_connection_without_endpoint_or_token_calls_nothing() {
    let remote = Remote::unconfigured(Metrics::new());
    assert!(matches!(
        list(&remote).await,
        Err(RemoteError::Unconfigured)
    ));
    assert!(!remote.is_configured());
}

#[test]
fn errors_tell_people_what_to_do() {
    for (error, word) in [
        (RemoteError::CircuitOpen, "Secret"),
        (RemoteError::Paused(Duration::from_millis(1500)), "in 2 s"),
        (RemoteError::Unconfigured, "Ready"),
    ] {
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(error.effect(), Effect::NotSent);
    }
}
