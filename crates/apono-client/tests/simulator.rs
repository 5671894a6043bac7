//! The client against the simulator, over a real socket. The two share no code: where they agree,
//! both have read the contract alike.

#![expect(
    clippy::expect_used,
    reason = "helpers of tests; clippy knows only the functions marked as tests"
)]

use std::time::Duration;

use apono_client::{
    Client, ClientConfig, DelegatedQuery, Effect, EntitlementRef, EntitlementState, ErrorClass,
    ListQuery, NewAccessRequest, RequestAgain, State, Target, Token,
};
use apono_simulator::{Action, Config, Endpoint, Fault, Simulator, When};
use futures::TryStreamExt as _;

fn simulator() -> Simulator {
    Simulator::start(&Config::instant()).expect("a free loopback port")
}

fn client_with(simulator: &Simulator, token: &str) -> Client {
    let endpoint = simulator.url().parse().expect("the simulator's address");
    let mut config = ClientConfig::new(endpoint);
    config.timeout = Duration::from_millis(700);
    let token = Token::new(token).expect("a token that fits into a header");
    Client::new(config, token).expect("a client")
}

fn client(simulator: &Simulator) -> Client {
    client_with(simulator, simulator.token())
}

fn bundle(name: &str) -> NewAccessRequest {
    let mut new = NewAccessRequest::new(Target::Bundle(name.to_owned()));
    new.justification = Some("INC-42: stuck orders".to_owned());
    new
}

#[tokio::test]
async fn a_bundle_is_asked_for_read_and_taken_back() {
    let simulator = simulator();
    let client = client(&simulator);
    let mut new = bundle("prod-read");
    new.duration = Some(Duration::from_hours(1));
    let made = client.create_access_request(&new).await.unwrap();
    let [made] = made.as_slice() else {
        panic!("{made:?}")
    };
    let read = client.access_request(&made.id).await.unwrap();
    assert_eq!(read.status.state(), State::Active);
    assert_eq!(read.justification, new.justification);
    assert_eq!(read.duration, new.duration);
    assert!(read.creation_date.is_some() && read.revocation_date.is_some());
    let pages: Vec<_> = client.entitlements(&made.id).try_collect().await.unwrap();
    let entitlements: Vec<_> = pages.into_iter().flat_map(|page| page.items).collect();
    assert_eq!(entitlements.len(), 3);
    for entitlement in &entitlements {
        assert_eq!(entitlement.status.state(), EntitlementState::Granted);
    }
    client.revoke(&made.id).await.unwrap();
    let read = client.access_request(&made.id).await.unwrap();
    assert_eq!(read.status.state(), State::Revoked);
}

#[tokio::test]
async fn entitlements_are_asked_for_by_their_ids() {
    let simulator = simulator();
    let client = client(&simulator);
    let target = Target::Entitlements(vec![EntitlementRef {
        resource_id: "res-orders".to_owned(),
        permission_id: "perm-db-read-only".to_owned(),
    }]);
    let made = client
        .create_access_request(&NewAccessRequest::new(target))
        .await
        .unwrap();
    assert_eq!(made.len(), 1);
}

#[tokio::test]
async fn an_answer_may_hold_several_requests() {
    let simulator = simulator();
    let made = client(&simulator)
        .create_access_request(&bundle("three-flows"))
        .await
        .unwrap();
    assert_eq!(made.len(), 3);
}

#[tokio::test]
async fn lists_are_read_page_by_page_with_the_token_alone() {
    let simulator = simulator();
    let client = client(&simulator);
    for _ in 0..130 {
        client
            .create_access_request(&bundle("prod-read"))
            .await
            .unwrap();
    }
    let first = simulator.requests()[0].id.clone();
    client.revoke(&first).await.unwrap();
    for (statuses, expected) in [(vec![], 130), (vec!["Active"], 129), (vec!["Revoked"], 1)] {
        let statuses = statuses.into_iter().map(str::to_owned).collect();
        let query = ListQuery {
            statuses,
            ..ListQuery::default()
        };
        let pages: Vec<_> = client.access_requests(query).try_collect().await.unwrap();
        let ids: std::collections::BTreeSet<_> = pages
            .iter()
            .flat_map(|page| &page.items)
            .map(|one| &one.id)
            .collect();
        assert_eq!(ids.len(), expected);
        assert!(pages.iter().all(|page| page.skipped == 0));
    }
}

#[tokio::test]
async fn what_was_made_for_somebody_else_is_on_the_delegated_list() {
    let simulator = simulator();
    let client = client(&simulator);
    let mut new = bundle("prod-read");
    new.grantee = Some("alex@example.com".to_owned());
    let made = client.create_access_request(&new).await.unwrap();
    let page = client
        .delegated_access_requests_page(&DelegatedQuery::default(), None)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
    let read = client.delegated_access_request(&made[0].id).await.unwrap();
    assert_eq!(read.grantee.map(|user| user.source_id), new.grantee);
}

#[tokio::test]
async fn what_ended_is_asked_for_again() {
    let simulator = simulator();
    let client = client(&simulator);
    let made = client
        .create_access_request(&bundle("prod-read"))
        .await
        .unwrap();
    client.revoke(&made[0].id).await.unwrap();
    let again = RequestAgain {
        justification: Some("again".to_owned()),
        ..RequestAgain::default()
    };
    let new = client.request_again(&made[0].id, &again).await.unwrap();
    assert_ne!(new[0].id, made[0].id);
    assert_eq!(new[0].justification, again.justification);
}

#[tokio::test]
async fn a_token_is_swapped_while_the_client_is_in_use() {
    let simulator = simulator();
    let client = client_with(&simulator, "not-the-token");
    let error = client.access_request("any").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unauthorized);
    client.set_token(Token::new(simulator.token()).unwrap());
    let error = client.access_request("any").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
}

#[tokio::test]
async fn words_and_dates_are_read_in_every_form_the_contract_leaves_open() {
    for (switch, value) in [
        ("word-case", "upper"),
        ("word-case", "lower"),
        ("fractional-seconds", "true"),
        ("page-end", "absent"),
        ("page-end", "empty"),
        ("own-identity", "null"),
        ("list-order", "oldest-first"),
        ("id-form", "ar-number"),
    ] {
        let simulator = simulator();
        simulator.set_switches(|switches| {
            switches
                .set(switch, value)
                .expect("a switch and one of its values");
        });
        let client = client(&simulator);
        client
            .create_access_request(&bundle("prod-read"))
            .await
            .unwrap();
        let pages: Vec<_> = client
            .access_requests(ListQuery::default())
            .try_collect()
            .await
            .unwrap();
        let items: Vec<_> = pages.into_iter().flat_map(|page| page.items).collect();
        assert_eq!(items.len(), 1, "{switch}={value}");
        assert_eq!(items[0].status.state(), State::Active, "{switch}={value}");
        assert!(items[0].creation_date.is_some(), "{switch}={value}");
    }
}

/// The rule that keeps access from being asked for twice: what the client calls refused or not sent
/// was certainly not done.
#[tokio::test]
async fn what_counts_as_not_done_was_not_done() {
    let answer = |status, when| Action::Answer {
        status,
        retry_after: None,
        body: None,
        when,
    };
    let (before, after) = (When::Before, When::After);
    let elsewhere = "http://127.0.0.1:9/".to_owned();
    let cases = [
        (answer(400, before), Effect::Refused, 0),
        (answer(403, before), Effect::Refused, 0),
        (answer(422, before), Effect::Refused, 0),
        (answer(401, before), Effect::NotSent, 0),
        (answer(429, before), Effect::NotSent, 0),
        (
            Action::Redirect {
                location: elsewhere,
                status: 302,
            },
            Effect::NotSent,
            0,
        ),
        (answer(408, before), Effect::Unknown, 0),
        (answer(500, before), Effect::Unknown, 0),
        (answer(503, after), Effect::Unknown, 1),
        (Action::Drop { when: before }, Effect::Unknown, 0),
        (Action::Drop { when: after }, Effect::Unknown, 1),
        (Action::Hang { when: before }, Effect::Unknown, 0),
        (Action::Hang { when: after }, Effect::Unknown, 1),
        (Action::Garbage, Effect::Unknown, 1),
        (Action::Truncate { complete: true }, Effect::Unknown, 1),
        (Action::Truncate { complete: false }, Effect::Unknown, 1),
        (Action::Oversize { bytes: 16 << 20 }, Effect::Unknown, 1),
    ];
    for (action, effect, done) in cases {
        let simulator = simulator();
        simulator.arm(Fault::new(action.clone()).at(Endpoint::Create).once());
        let error = client(&simulator)
            .create_access_request(&bundle("prod-read"))
            .await
            .expect_err("the fault strikes");
        assert_eq!(error.effect(), effect, "{action:?}: {error}");
        assert_eq!(simulator.requests().len(), done, "{action:?}");
        assert!(
            !format!("{error} {error:?}").contains(simulator.token()),
            "{action:?}"
        );
    }
}

#[tokio::test]
async fn nobody_there_means_not_sent() {
    let simulator = simulator();
    let client = client(&simulator);
    simulator.stop().unwrap();
    let error = client
        .create_access_request(&bundle("prod-read"))
        .await
        .unwrap_err();
    assert_eq!(error.effect(), Effect::NotSent, "{error}");
}

#[tokio::test]
async fn the_pause_a_throttled_call_asks_for_is_told() {
    let simulator = simulator();
    let retry_after = Some("7".to_owned());
    let action = Action::Answer {
        status: 429,
        retry_after,
        body: None,
        when: When::Before,
    };
    simulator.arm(Fault::new(action).once());
    let error = client(&simulator).access_request("any").await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn an_empty_array_is_an_answer() {
    let simulator = simulator();
    let action = Action::EmptyArray { when: When::After };
    simulator.arm(Fault::new(action).at(Endpoint::Create).once());
    let made = client(&simulator)
        .create_access_request(&bundle("prod-read"))
        .await
        .unwrap();
    assert!(made.is_empty());
    assert_eq!(simulator.requests().len(), 1);
}
