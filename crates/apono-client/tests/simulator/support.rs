//! A simulator, a client of it, and short ways to say common things.

use std::sync::Arc;

use apono_client::{
    AccessRequest, Client, ClientConfig, EntitlementRef, Error, NewAccessRequest, Page, Target,
    Token,
};
use apono_simulator::clock::ManualClock;
use apono_simulator::ledger::{CallEntry, Event};
use apono_simulator::{Config, Control, DEFAULT_USER, Endpoint, Outside, Simulator, User};
use futures::{Stream, TryStreamExt};

/// Someone else with a token.
pub(crate) const OTHER: &str = "other@example.com";
/// Someone without one.
pub(crate) const ALEX: &str = "alex@example.com";

pub(crate) fn start(mut config: Config) -> (Simulator, Client) {
    config.users.push(User::new(OTHER, "other-token"));
    let simulator = Simulator::start(&config).unwrap();
    let client = client_with(&simulator, simulator.token(), |_| ());
    (simulator, client)
}

/// With a clock that only the test moves.
pub(crate) fn at(time: &str, config: Config) -> Config {
    Config {
        clock: Arc::new(ManualClock::new(time.parse().unwrap())),
        ..config
    }
}

pub(crate) fn client_with(
    simulator: &Simulator,
    token: &str,
    adjust: impl FnOnce(&mut ClientConfig),
) -> Client {
    let mut config = ClientConfig::new(simulator.url().parse().unwrap());
    adjust(&mut config);
    Client::new(config, Token::new(token).unwrap()).unwrap()
}

pub(crate) fn bundle(name: &str) -> NewAccessRequest {
    NewAccessRequest {
        justification: Some("a reason".into()),
        ..NewAccessRequest::new(Target::Bundle(name.into()))
    }
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> NewAccessRequest {
    let reference = |(resource, permission): &(&str, &str)| EntitlementRef {
        resource_id: (*resource).into(),
        permission_id: (*permission).into(),
    };
    NewAccessRequest::new(Target::Entitlements(pairs.iter().map(reference).collect()))
}

/// Creates what makes one request, and gives it.
pub(crate) async fn one(client: &Client, asked: &NewAccessRequest) -> AccessRequest {
    let mut made = client.create_access_request(asked).await.unwrap();
    assert_eq!(made.len(), 1);
    made.remove(0)
}

/// Makes as many requests as if in the portal, and gives their ids.
pub(crate) fn made(control: &Control, count: usize) -> Vec<String> {
    let wanted = Outside {
        requestor: DEFAULT_USER.into(),
        bundle: Some("prod-read".into()),
        ..Outside::default()
    };
    let make = |_| control.create(wanted.clone()).unwrap().remove(0).id;
    (0..count).map(make).collect()
}

/// Reads all pages; everything in them must have been understood.
pub(crate) async fn walk<T>(pages: impl Stream<Item = Result<Page<T>, Error>>) -> Vec<Vec<T>> {
    let pages: Vec<_> = pages.try_collect().await.unwrap();
    assert!(pages.iter().all(|page| page.skipped == 0));
    pages.into_iter().map(|page| page.items).collect()
}

pub(crate) fn ids(requests: &[AccessRequest]) -> Vec<String> {
    requests.iter().map(|it| it.id.to_string()).collect()
}

/// The creates in the ledger.
pub(crate) fn creates(control: &Control) -> Vec<CallEntry> {
    let calls = control.calls().into_iter();
    calls.filter(|it| it.endpoint == Endpoint::Create).collect()
}

/// How many requests the ledger says came into being.
pub(crate) fn born(control: &Control) -> usize {
    let entries = control.ledger(0).into_iter();
    entries
        .filter(|entry| matches!(&entry.event, Event::Change(change) if change.from.is_none()))
        .count()
}
