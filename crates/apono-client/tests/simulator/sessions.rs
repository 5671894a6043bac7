//! Sessions of live access: reading how to use one consumes its credential, replacing it takes
//! time.

use apono_client::{
    AccessSession, AccessSessionDetails, Client, CredentialState, Effect, ErrorClass,
    NewAccessRequest, Secret, SessionQuery,
};
use apono_simulator::switches::{CredentialCase, CredentialFresh, SeenPassword, V3DetailsEarly};
use apono_simulator::{Action, Config, Endpoint, Fault, When};
use jiff::SignedDuration;

use crate::support::{at, bundle, one, pairs, start, walk};

const NOON: &str = "2022-03-10T12:00:00Z";

async fn sessions(client: &Client, query: SessionQuery) -> Vec<AccessSession> {
    walk(client.access_sessions(query)).await.concat()
}

/// Asks for this and gives the request's id and its only session.
async fn live(client: &Client, asked: &NewAccessRequest) -> (String, AccessSession) {
    let id = one(client, asked).await.id;
    let query = SessionQuery {
        request_ids: vec![id.to_string()],
        ..SessionQuery::default()
    };
    let mut found = sessions(client, query).await;
    assert_eq!(found.len(), 1);
    (id.to_string(), found.remove(0))
}

async fn state(client: &Client, id: &str) -> Option<CredentialState> {
    let session = client.access_session(id).await.unwrap();
    session.credentials_status.map(|status| status.state())
}

fn password(details: &AccessSessionDetails) -> Option<&str> {
    details.parameters.get("password").map(Secret::expose)
}

fn database() -> NewAccessRequest {
    pairs(&[("res-orders", "perm-db-read-only")])
}

fn namespace() -> NewAccessRequest {
    pairs(&[("res-ns-checkout", "perm-ns-view")])
}

#[tokio::test]
async fn a_session_is_there_while_access_is_live_and_is_found_by_its_request() {
    let (_simulator, client) = start(Config::instant());
    let everything = SessionQuery::default;
    // This one waits for a person.
    one(&client, &bundle("prod-admin")).await;
    assert!(sessions(&client, everything()).await.is_empty());
    let (database_request, database) = live(&client, &database()).await;
    let (_, namespace) = live(&client, &namespace()).await;
    assert_eq!(
        database.request_ids,
        std::slice::from_ref(&database_request)
    );
    assert_eq!(database.integration.id, "int-postgres-prod");
    assert!(database.can_reset_credentials && !namespace.can_reset_credentials);
    assert_eq!(client.access_session(&database.id).await.unwrap(), database);
    let query = SessionQuery {
        limit: Some(1),
        integration_ids: vec!["int-kubernetes-prod".into(), "int-bucket-store".into()],
        ..SessionQuery::default()
    };
    assert_eq!(sessions(&client, query).await, [namespace]);
    assert_eq!(sessions(&client, everything()).await.len(), 2);
    client.revoke(&database_request).await.unwrap();
    assert_eq!(sessions(&client, everything()).await.len(), 1);
    let error = client.access_session(&database.id).await.unwrap_err();
    assert_eq!(
        (error.class(), error.effect()),
        (ErrorClass::NotFound, Effect::Refused)
    );
}

#[tokio::test]
async fn reading_the_details_consumes_the_password_until_it_is_replaced() {
    let mut config = at(NOON, Config::instant());
    config.delays.reset = Some(SignedDuration::from_secs(20));
    let (simulator, client) = start(config);
    let (_, session) = live(&client, &database()).await;
    let id = &session.id;
    // Looking at the session consumes nothing.
    for _ in 0..2 {
        assert_eq!(state(&client, id).await, Some(CredentialState::Available));
    }
    let first = client.access_session_details(id).await.unwrap();
    assert_eq!(state(&client, id).await, Some(CredentialState::Viewed));
    assert_eq!(
        first.parameters["host"].expose(),
        "postgres-prod.example.com"
    );
    assert!(first.instructions.is_some() && first.custom_admin_message.is_some());
    let first = password(&first).unwrap();
    assert!(!first.contains('*'));
    let later = client.access_session_details(id).await.unwrap();
    assert!(password(&later).unwrap().contains('*'));
    simulator.set_switches(|it| it.seen_password = SeenPassword::Absent);
    let later = client.access_session_details(id).await.unwrap();
    assert_eq!(password(&later), None);
    assert_eq!(simulator.session_uses(id).consuming_reads, 1);

    client.reset_access_session_credentials(id).await.unwrap();
    assert_eq!(state(&client, id).await, Some(CredentialState::Resetting));
    simulator.advance(SignedDuration::from_secs(20));
    assert_eq!(state(&client, id).await, Some(CredentialState::Available));
    let fresh = client.access_session_details(id).await.unwrap();
    assert_ne!(password(&fresh).unwrap(), first);
}

#[tokio::test]
async fn every_spelling_of_unread_credentials_is_understood() {
    let (simulator, client) = start(Config::instant());
    let (_, session) = live(&client, &database()).await;
    for case in [
        CredentialCase::Upper,
        CredentialCase::Lower,
        CredentialCase::Pascal,
    ] {
        for fresh in [CredentialFresh::Available, CredentialFresh::New] {
            simulator.set_switches(|it| {
                it.credential_case = case;
                it.credential_fresh = fresh;
            });
            let found = state(&client, &session.id).await;
            assert_eq!(
                found,
                Some(CredentialState::Available),
                "{case:?} {fresh:?}"
            );
        }
    }
}

#[tokio::test]
async fn where_there_are_no_credentials_there_is_nothing_to_replace() {
    let (_simulator, client) = start(Config::instant());
    let (_, session) = live(&client, &namespace()).await;
    let none = Some(CredentialState::NotApplicable);
    assert_eq!(state(&client, &session.id).await, none);
    let details = client.access_session_details(&session.id).await.unwrap();
    assert!(details.cli.unwrap().expose().starts_with("kubectl"));
    assert_eq!(state(&client, &session.id).await, none);
    let error = client.reset_access_session_credentials(&session.id).await;
    assert_eq!(error.unwrap_err().effect(), Effect::Refused);
    let bucket = pairs(&[("res-invoices", "perm-bucket-read")]);
    let (_, session) = live(&client, &bucket).await;
    let details = client.access_session_details(&session.id).await.unwrap();
    assert!(details.link.unwrap().url.expose().starts_with("https://"));
}

#[tokio::test]
async fn details_whose_answer_is_lost_are_gone_all_the_same() {
    let (simulator, client) = start(Config::instant());
    let (_, session) = live(&client, &database()).await;
    let lost = Action::Drop { when: When::After };
    simulator.arm(Fault::new(lost).at(Endpoint::SessionDetails).once());
    let error = client
        .access_session_details(&session.id)
        .await
        .unwrap_err();
    assert_eq!(
        (error.class(), error.effect()),
        (ErrorClass::Broken, Effect::Unknown)
    );
    let found = state(&client, &session.id).await;
    assert_eq!(found, Some(CredentialState::Viewed));
    let late = client.access_session_details(&session.id).await.unwrap();
    assert!(password(&late).unwrap().contains('*'));
}

#[tokio::test]
async fn the_older_api_tells_it_all_in_one_text() {
    let (simulator, client) = start(at(NOON, Config::instant()));
    let (id, session) = live(&client, &database()).await;
    let details = client.admin_request_details(&id).await.unwrap();
    assert!(
        details
            .details
            .expose()
            .contains("postgres-prod.example.com")
    );
    assert_eq!(
        state(&client, &session.id).await,
        Some(CredentialState::Viewed)
    );
    client.reset_admin_request_credentials(&id).await.unwrap();
    simulator.advance(SignedDuration::from_mins(1));
    assert_eq!(
        state(&client, &session.id).await,
        Some(CredentialState::Available)
    );
    client.revoke(&id).await.unwrap();
    let error = client.admin_request_details(&id).await.unwrap_err();
    assert_eq!(
        (error.effect(), error.status()),
        (Effect::Refused, Some(400))
    );
    assert_eq!(error.body(), None);
    simulator.set_switches(|it| it.v3_details_early = V3DetailsEarly::Empty);
    let details = client.admin_request_details(&id).await.unwrap();
    assert!(details.details.is_empty());
}
