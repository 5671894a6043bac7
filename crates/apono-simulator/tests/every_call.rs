//! Faults at every call of the API: refused before it is done, and its answer lost after it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test, in helpers as well"
)]

mod support;

use apono_simulator::{Action, DEFAULT_USER, Endpoint, Fault, Outside, Simulator, When};
use reqwest::Method;
use serde_json::{Value, json};
use support::{DELEGATED, OTHER, OWN, SESSIONS, V3, start};

const AVAILABLE: &str = "/api/user/v1/available-access";
const SELECTABLE: &str = "/api/v3/selectable-integrations";

type Calls = Vec<(Endpoint, Method, String, Option<Value>)>;

fn fresh(simulator: &Simulator, grantee: Option<&str>) -> String {
    let outside = Outside {
        requestor: DEFAULT_USER.to_owned(),
        grantee: grantee.map(str::to_owned),
        bundle: Some("prod-read".to_owned()),
        ..Outside::default()
    };
    simulator.create(outside).unwrap().remove(0).id
}

fn reads(id: &str, delegated: &str, session: &str) -> Calls {
    let kind = format!("{SELECTABLE}/int-postgres-prod/postgresql-database");
    let paths = [
        (Endpoint::List, OWN.to_owned()),
        (Endpoint::Get, format!("{OWN}/{id}")),
        (Endpoint::Entitlements, format!("{OWN}/{id}/entitlements")),
        (Endpoint::ListDelegated, DELEGATED.to_owned()),
        (Endpoint::GetDelegated, format!("{DELEGATED}/{delegated}")),
        (Endpoint::AvailableBundles, format!("{AVAILABLE}/bundles")),
        (
            Endpoint::AvailableEntitlements,
            format!("{AVAILABLE}/entitlements"),
        ),
        (Endpoint::ListSessions, SESSIONS.to_owned()),
        (Endpoint::GetSession, format!("{SESSIONS}/{session}")),
        (
            Endpoint::SessionDetails,
            format!("{SESSIONS}/{session}/access-details"),
        ),
        (Endpoint::V3List, V3.to_owned()),
        (Endpoint::V3Get, format!("{V3}/{id}")),
        (Endpoint::V3Details, format!("{V3}/{id}/access-details")),
        (Endpoint::SelectableIntegrations, SELECTABLE.to_owned()),
        (
            Endpoint::SelectableResourceTypes,
            format!("{SELECTABLE}/int-postgres-prod/resource-types"),
        ),
        (
            Endpoint::SelectablePermissions,
            format!("{kind}/permissions"),
        ),
        (Endpoint::SelectableResources, format!("{kind}/resources")),
    ];
    let call = |(endpoint, path)| (endpoint, Method::GET, path, None);
    paths.into_iter().map(call).collect()
}

fn changes(id: &str, other: &str, session: &str) -> Calls {
    let create = json!({"bundle_reference": "prod-read", "custom_fields": {}});
    let wish = json!({"user_id": DEFAULT_USER, "integration_id": "int-postgres-prod",
        "resource_ids": ["res-orders"], "permissions": ["ReadOnly"], "justification": "x"});
    let again = json!({"custom_fields": {}});
    let bulk = json!({"request_ids": [other]});
    let calls = [
        (
            Endpoint::ResetSession,
            format!("{SESSIONS}/{session}/reset-credentials"),
            None,
        ),
        (Endpoint::V3Reset, format!("{V3}/{id}/reset"), None),
        (Endpoint::Create, OWN.to_owned(), Some(create)),
        (
            Endpoint::RequestAgain,
            format!("{OWN}/{id}/request-again"),
            Some(again),
        ),
        (Endpoint::V3Create, V3.to_owned(), Some(wish)),
        (
            Endpoint::V3BulkRevoke,
            format!("{V3}-bulk/revoke"),
            Some(bulk),
        ),
        (Endpoint::Revoke, format!("{OWN}/{id}/revoke"), None),
    ];
    let call = |(endpoint, path, body)| (endpoint, Method::POST, path, body);
    calls.into_iter().map(call).collect()
}

#[tokio::test]
async fn every_call_can_be_refused_before_and_its_answer_lost_after_it_is_done() {
    let (simulator, api) = start();
    let id = fresh(&simulator, None);
    let session = simulator.sessions_of(&id).remove(0).id;
    let delegated = fresh(&simulator, Some(OTHER));
    let mut all = reads(&id, &delegated, &session);
    all.extend(changes(&id, &fresh(&simulator, None), &session));
    let refusal = Action::Answer {
        status: 503,
        retry_after: None,
        body: None,
        when: When::Before,
    };
    assert_eq!(all.len() + 1, Endpoint::ALL.len());
    for (endpoint, method, path, body) in all {
        let send = async || {
            let request = api.request(method.clone(), &path);
            match &body {
                Some(body) => request.json(body).send().await,
                None => request.send().await,
            }
        };
        simulator.arm(Fault::new(refusal.clone()).at(endpoint).once());
        let before = simulator.ledger(0).len();
        assert_eq!(send().await.unwrap().status(), 503, "{endpoint:?}");
        assert_eq!(
            simulator.ledger(0).len(),
            before + 1,
            "{endpoint:?} did something"
        );
        simulator.arm(
            Fault::new(Action::Drop { when: When::After })
                .at(endpoint)
                .once(),
        );
        assert!(send().await.is_err(), "{endpoint:?}");
        let call = simulator.calls().pop().unwrap();
        assert_eq!((call.endpoint, call.executed), (endpoint, true));
        assert_eq!((call.result, call.status), (Some(200), None));
    }
}
