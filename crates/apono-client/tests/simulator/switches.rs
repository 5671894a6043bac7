//! What no public source says: however the service spells it, it is read.

use apono_client::{AccessRequest, Client, EntitlementState, ListQuery, State};
use apono_simulator::switches::{ErrorShape, IdForm, OwnIdentity, WordCase};
use apono_simulator::{Config, Simulator};
use jiff::Timestamp;

use crate::support::{at, bundle, ids, one, start, walk};

/// Takes requests through all nine states and reads each in turn.
async fn every_state(simulator: &Simulator, client: &Client) -> Vec<AccessRequest> {
    let mut seen = Vec::new();
    let first = one(client, &bundle("prod-read")).await;
    let id = first.id.clone();
    seen.push(first);
    let steps = [
        |simulator: &Simulator, id: &str| simulator.route(id),
        |simulator: &Simulator, id: &str| simulator.grant(id),
        |simulator: &Simulator, id: &str| simulator.activate(id),
        |simulator: &Simulator, id: &str| simulator.revoke(id),
        |simulator: &Simulator, id: &str| simulator.finish_revoke(id),
    ];
    for step in steps {
        step(simulator, &id).unwrap();
        seen.push(client.access_request(&id).await.unwrap());
    }
    let rejected = one(client, &bundle("prod-admin")).await.id;
    simulator.route(&rejected).unwrap();
    simulator.reject(&rejected, None).unwrap();
    let failed = one(client, &bundle("prod-read")).await.id;
    simulator.grant(&failed).unwrap();
    simulator.fail(&failed).unwrap();
    let challenged = one(client, &bundle("prod-mfa")).await.id;
    simulator.route(&challenged).unwrap();
    for id in [rejected, failed, challenged] {
        seen.push(client.access_request(&id).await.unwrap());
    }
    seen
}

const STATES: [State; 9] = [
    State::Initializing,
    State::Pending,
    State::Granting,
    State::Active,
    State::Revoking,
    State::Revoked,
    State::Rejected,
    State::Failed,
    State::PendingMfa,
];

#[tokio::test]
async fn all_nine_states_are_read_in_any_letter_case_and_shown_as_they_came() {
    for word_case in [WordCase::Pascal, WordCase::Upper, WordCase::Lower] {
        let (simulator, client) = start(Config::explicit());
        simulator.set_switches(|it| it.word_case = word_case);
        let seen = every_state(&simulator, &client).await;
        let states: Vec<_> = seen.iter().map(|it| it.status.state()).collect();
        assert_eq!(states, STATES, "{word_case:?}");
        let words: Vec<_> = seen.iter().map(|it| it.status.word()).collect();
        let spelt = STATES.map(|state| match word_case {
            WordCase::Pascal => state.as_str().to_owned(),
            WordCase::Upper => state.as_str().to_uppercase(),
            WordCase::Lower => state.as_str().to_lowercase(),
        });
        assert_eq!(words, spelt);
        // A word as received is a filter the service understands.
        let query = ListQuery {
            statuses: vec![words[5].to_owned()],
            ..ListQuery::default()
        };
        let listed = walk(client.access_requests(query)).await.concat();
        assert_eq!(ids(&listed), [seen[5].id.clone()], "{word_case:?}");
        let held = walk(client.entitlements(&seen[5].id)).await.concat();
        let gone = |state| state == EntitlementState::Revoked;
        assert!(held.iter().all(|it| gone(it.status.state())));
    }
}

#[tokio::test]
async fn an_unheard_of_word_is_shown_and_is_not_the_end() {
    let (simulator, client) = start(Config::instant());
    simulator.set_switches(|it| {
        it.request_words.insert("Active".into(), "Snoozed".into());
    });
    let status = one(&client, &bundle("prod-read")).await.status;
    assert_eq!((status.word(), status.state()), ("Snoozed", State::Unknown));
    assert!(!status.state().is_terminal());
}

#[tokio::test]
async fn dates_are_read_with_and_without_fractions_of_a_second() {
    let exact = "2022-03-10T16:15:50.125Z";
    for (fractional, expected) in [(true, exact), (false, "2022-03-10T16:15:50Z")] {
        let (simulator, client) = start(at(exact, Config::instant()));
        simulator.set_switches(|it| it.fractional_seconds = fractional);
        let made = one(&client, &bundle("prod-read")).await;
        let created: Timestamp = expected.parse().unwrap();
        assert_eq!(made.creation_date, Some(created));
        let end = made.revocation_date.unwrap();
        assert_eq!(end.duration_since(created).as_hours(), 8);
    }
}

#[tokio::test]
async fn ids_of_either_form_and_absent_identities_are_read() {
    let (simulator, client) = start(Config::instant());
    simulator.set_switches(|it| {
        it.id_form = IdForm::ArNumber;
        it.own_identity = OwnIdentity::Null;
    });
    let made = one(&client, &bundle("prod-read")).await;
    assert!(made.id.starts_with("AR-"), "{}", made.id);
    assert_eq!((made.requestor, made.grantee), (None, None));
    assert_eq!(client.access_request(&made.id).await.unwrap().id, made.id);
}

#[tokio::test]
async fn no_shape_of_an_error_body_changes_what_the_error_means() {
    let shapes = [
        ErrorShape::Flat,
        ErrorShape::Nested,
        ErrorShape::Listed,
        ErrorShape::Text,
        ErrorShape::Empty,
    ];
    for shape in shapes {
        let (simulator, client) = start(Config::instant());
        simulator.set_switches(|it| it.error_shape = shape);
        let error = client.access_request("none").await.unwrap_err();
        assert_eq!(error.status(), Some(404), "{shape:?}");
        let silent = shape == ErrorShape::Empty;
        assert_eq!(error.body().is_none(), silent, "{shape:?}");
    }
}
