//! Every call, when all goes well, and when the service says no.

use std::time::Duration;

use apono_client::{
    Client, Effect, EntitlementState, Error, ErrorClass, ListQuery, RequestAgain, State, Token,
};
use apono_simulator::{Config, DEFAULT_USER};
use jiff::SignedDuration;

use crate::support::{ALEX, at, born, bundle, client_with, ids, one, pairs, start, walk};

const NOON: &str = "2022-03-10T12:00:00Z";

fn seen(error: &Error) -> (ErrorClass, Effect, Option<u16>) {
    (error.class(), error.effect(), error.status())
}

#[tokio::test]
async fn a_create_by_bundle_comes_back_as_it_was_asked_for() {
    let (_simulator, client) = start(at(NOON, Config::instant()));
    let mut asked = bundle("prod-read");
    asked.duration = Some(Duration::from_mins(30));
    asked.custom_fields = [("ticket".into(), "T-1".into())].into();
    let made = one(&client, &asked).await;
    assert_eq!(made.justification.as_deref(), Some("a reason"));
    assert_eq!(made.duration, asked.duration);
    assert_eq!(made.custom_fields, asked.custom_fields);
    assert_eq!(made.bundle.as_ref().unwrap().name, "prod-read");
    assert_eq!(made.requestor.as_ref().unwrap().source_id, DEFAULT_USER);
    assert_eq!(made.access_groups[0].integration.name, "postgres-prod");
    assert_eq!(made.creation_date, Some(NOON.parse().unwrap()));
    let end = "2022-03-10T12:30:00Z".parse().unwrap();
    assert_eq!(made.revocation_date, Some(end));
    let read = client.access_request(&made.id).await.unwrap();
    assert_eq!((read.id, read.status.state()), (made.id, State::Active));
}

#[tokio::test]
async fn entitlements_under_three_flows_make_an_array_of_three_requests() {
    let (simulator, client) = start(Config::instant());
    let asked = pairs(&[
        ("res-orders", "perm-db-read-only"),
        ("res-ns-checkout", "perm-ns-view"),
        ("res-invoices", "perm-bucket-read"),
    ]);
    let by_ids = client.create_access_request(&asked).await.unwrap();
    let by_bundle = client.create_access_request(&bundle("three-flows")).await;
    for made in [by_ids, by_bundle.unwrap()] {
        let mut held = Vec::new();
        for request in &made {
            let pages = walk(client.entitlements(&request.id)).await;
            held.extend(pages.concat().into_iter().map(|it| it.resource.id));
        }
        assert_eq!((made.len(), held.len()), (3, 3));
        held.sort();
        assert_eq!(held, ["res-invoices", "res-ns-checkout", "res-orders"]);
    }
    assert_eq!(born(&simulator), 6);
}

#[tokio::test]
async fn entitlements_come_as_a_stream_with_their_names_and_states() {
    let (_simulator, client) = start(Config::instant());
    let whole = one(&client, &bundle("prod-read")).await;
    let held = walk(client.entitlements(&whole.id)).await.concat();
    assert_eq!(held.len(), 3);
    for entitlement in held {
        assert_eq!(entitlement.permission, "ReadOnly");
        assert_eq!(entitlement.integration.name, "postgres-prod");
        assert_eq!(entitlement.status.state(), EntitlementState::Granted);
    }
    let half = one(&client, &bundle("half-grant")).await;
    let held = walk(client.entitlements(&half.id)).await.concat();
    let states: Vec<_> = held.iter().map(|it| it.status.state()).collect();
    assert_eq!(
        states,
        [EntitlementState::Granted, EntitlementState::Failure]
    );
}

#[tokio::test]
async fn a_revoke_is_accepted_first_and_done_later() {
    let (simulator, client) = start(at(NOON, Config::default()));
    let state = async |id: &str| client.access_request(id).await.unwrap().status.state();
    let id = one(&client, &bundle("prod-read")).await.id;
    assert_eq!(state(&id).await, State::Granting);
    simulator.advance(SignedDuration::from_secs(2));
    assert_eq!(state(&id).await, State::Active);
    client.revoke(&id).await.unwrap();
    assert_eq!(state(&id).await, State::Revoking);
    simulator.advance(SignedDuration::from_secs(2));
    assert_eq!(state(&id).await, State::Revoked);
    let held = walk(client.entitlements(&id)).await.concat();
    let gone = |state| state == EntitlementState::Revoked;
    assert!(held.iter().all(|it| gone(it.status.state())));
}

#[tokio::test]
async fn asking_again_makes_a_new_request_for_the_same() {
    let (simulator, client) = start(Config::instant());
    let first = one(&client, &bundle("prod-read")).await;
    client.revoke(&first.id).await.unwrap();
    let again = RequestAgain {
        justification: Some("once more".into()),
        custom_fields: [("ticket".into(), "T-2".into())].into(),
    };
    let second = client.request_again(&first.id, &again).await.unwrap();
    assert_eq!(second.len(), 1);
    assert_ne!(second[0].id, first.id);
    assert_eq!(second[0].justification, again.justification);
    assert_eq!(second[0].custom_fields, again.custom_fields);
    let known = simulator.request(&second[0].id).unwrap();
    assert_eq!(known.again_of, Some(first.id.to_string()));
}

#[tokio::test]
async fn a_request_for_someone_else_lives_at_the_delegated_paths() {
    let (_simulator, client) = start(Config::instant());
    let mut asked = bundle("prod-read");
    asked.grantee = Some(ALEX.into());
    let id = one(&client, &asked).await.id;
    let error = client.access_request(&id).await.unwrap_err();
    assert_eq!(
        seen(&error),
        (ErrorClass::NotFound, Effect::Refused, Some(404))
    );
    let read = client.delegated_access_request(&id).await.unwrap();
    assert_eq!((&read.id, read.status.state()), (&id, State::Active));
    assert_eq!(read.grantee.unwrap().source_id, ALEX);
    let own = walk(client.access_requests(ListQuery::default())).await;
    assert!(own.concat().is_empty());
    client.revoke(&id).await.unwrap();
    let read = client.delegated_access_request(&id).await.unwrap();
    assert_eq!(read.status.state(), State::Revoked);
}

/// Every call of the client once, and how it failed.
async fn every_call_fails(client: &Client) -> Vec<Error> {
    let list = ListQuery::default();
    let delegated = apono_client::DelegatedQuery::default();
    let again = RequestAgain::default();
    vec![
        client
            .create_access_request(&bundle("prod-read"))
            .await
            .unwrap_err(),
        client.access_request("x").await.unwrap_err(),
        client.access_requests_page(&list, None).await.unwrap_err(),
        client.entitlements_page("x", None).await.unwrap_err(),
        client.request_again("x", &again).await.unwrap_err(),
        client.revoke("x").await.unwrap_err(),
        client
            .delegated_access_requests_page(&delegated, None)
            .await
            .unwrap_err(),
        client.delegated_access_request("x").await.unwrap_err(),
    ]
}

#[tokio::test]
async fn a_wrong_token_fails_every_call_until_it_is_replaced() {
    let (simulator, _) = start(Config::instant());
    let client = client_with(&simulator, "wrong-token", |_| ());
    let clone = client.clone();
    let expected = (ErrorClass::Unauthorized, Effect::NotSent, Some(401));
    for error in every_call_fails(&client).await {
        assert_eq!(seen(&error), expected);
    }
    assert_eq!(born(&simulator), 0);
    client.set_token(Token::new(simulator.token()).unwrap());
    one(&clone, &bundle("prod-read")).await;
    // The same again when the service rotates the token.
    simulator
        .set_tokens(DEFAULT_USER, vec!["new-token".into()])
        .unwrap();
    let error = client.access_request("x").await.unwrap_err();
    assert_eq!(seen(&error), expected);
    client.set_token(Token::new("new-token").unwrap());
    one(&clone, &bundle("prod-read")).await;
    assert_eq!(born(&simulator), 2);
}

#[tokio::test]
async fn a_create_the_service_judges_wrong_is_refused_and_makes_nothing() {
    let (simulator, client) = start(Config::instant());
    let mut unjustified = bundle("prod-admin");
    unjustified.justification = None;
    let mut too_long = bundle("prod-read");
    too_long.duration = Some(Duration::from_hours(9));
    let mut for_nobody = bundle("prod-read");
    for_nobody.grantee = Some("nobody@example.com".into());
    for asked in [
        bundle("no-such-bundle"),
        pairs(&[("res-orders", "ReadOnly")]),
        pairs(&[]),
        unjustified,
        too_long,
        for_nobody,
    ] {
        let error = client.create_access_request(&asked).await.unwrap_err();
        assert_eq!(
            seen(&error),
            (ErrorClass::Refused, Effect::Refused, Some(400)),
            "{asked:?}"
        );
        assert!(error.body().unwrap().contains("message"), "{asked:?}");
    }
    assert_eq!(born(&simulator), 0);
}

#[tokio::test]
async fn a_refusal_of_one_flow_refuses_the_whole_array() {
    let (simulator, client) = start(Config::instant());
    // The second falls under a flow that needs a justification.
    let asked = pairs(&[
        ("res-orders", "perm-db-read-only"),
        ("res-orders", "perm-db-read-write"),
    ]);
    let error = client.create_access_request(&asked).await.unwrap_err();
    assert_eq!((error.effect(), born(&simulator)), (Effect::Refused, 0));
    let mut justified = asked;
    justified.justification = Some("a reason".into());
    let made = client.create_access_request(&justified).await.unwrap();
    assert_eq!(ids(&made).len(), 2);
}
