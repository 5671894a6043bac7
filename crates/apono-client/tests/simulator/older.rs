//! The older API (v3): the same requests in its own words, for any user.

use std::time::Duration;

use apono_client::{
    AdminQuery, AdminRequest, Client, Effect, Error, ErrorClass, NewAdminRequest, State,
};
use apono_simulator::switches::V3Unnamed;
use apono_simulator::{Action, Config, DEFAULT_USER, Endpoint, Fault, Mode, When};
use futures::TryStreamExt;

use crate::support::{OTHER, born, bundle, client_with, made, one, start, walk};

fn wish(user: &str) -> NewAdminRequest {
    NewAdminRequest {
        user_id: user.into(),
        integration_id: "int-postgres-prod".into(),
        resource_ids: vec!["res-orders".into(), "res-billing".into()],
        permissions: vec!["ReadOnly".into()],
        justification: "a reason".into(),
        duration: None,
    }
}

fn seen(error: &Error) -> (ErrorClass, Effect, Option<u16>) {
    (error.class(), error.effect(), error.status())
}

async fn all(client: &Client) -> Vec<AdminRequest> {
    let query = AdminQuery::default();
    let pages: Vec<_> = client.admin_requests(query).try_collect().await.unwrap();
    assert_eq!(pages.len(), 1);
    assert!(pages[0].is_complete());
    pages.into_iter().flat_map(|page| page.items).collect()
}

#[tokio::test]
async fn a_request_made_there_is_one_object_that_both_apis_show() {
    let (simulator, client) = start(Config::instant());
    let mut asked = wish(DEFAULT_USER);
    asked.duration = Some(Duration::from_mins(30));
    let made = client.create_admin_request(&asked).await.unwrap();
    assert_eq!(
        (made.status.word(), made.status.state()),
        ("GRANTED", State::Active)
    );
    assert_eq!(made.integration_id, asked.integration_id);
    assert_eq!(made.resource_ids, asked.resource_ids);
    assert_eq!(made.permissions, asked.permissions);
    assert_eq!(made.justification, asked.justification);
    for id in [&made.request_id, &made.friendly_request_id] {
        assert_eq!(client.admin_request(id).await.unwrap(), made);
    }
    assert_eq!(all(&client).await, std::slice::from_ref(&made));
    let newer = client.access_request(&made.request_id).await.unwrap();
    assert_eq!(newer.status.state(), State::Active);
    assert_eq!(newer.duration, asked.duration);
    assert_eq!(born(&simulator), 1);
}

#[tokio::test]
async fn both_apis_words_mean_the_same_states() {
    let (simulator, client) = start(Config::instant());
    simulator.set_mode(Mode::Explicit);
    let id = one(&client, &bundle("prod-mfa")).await.id;
    let expect = async |word: &str, older: State, newer: State| {
        let request = client.admin_request(&id).await.unwrap();
        assert_eq!(
            (request.status.word(), request.status.state()),
            (word, older)
        );
        let request = client.access_request(&id).await.unwrap();
        assert_eq!(request.status.state(), newer);
    };
    // The older API has one word for all that waits.
    expect("PENDING", State::Pending, State::Initializing).await;
    simulator.route(&id).unwrap();
    expect("PENDING", State::Pending, State::PendingMfa).await;
    simulator.pass_mfa(&id).unwrap();
    expect("PENDING", State::Pending, State::Pending).await;
    simulator.approve(&id).unwrap();
    expect("APPROVED", State::Granting, State::Granting).await;
    simulator.activate(&id).unwrap();
    expect("GRANTED", State::Active, State::Active).await;
    simulator.revoke(&id).unwrap();
    expect("REVOKING", State::Revoking, State::Revoking).await;
    simulator.finish_revoke(&id).unwrap();
    expect("EXPIRED", State::Revoked, State::Revoked).await;
}

#[tokio::test]
async fn what_names_nothing_real_is_refused_and_makes_nothing() {
    let (simulator, client) = start(Config::instant());
    let mut nobody = wish(DEFAULT_USER);
    nobody.user_id = "nobody".into();
    let mut nowhere = wish(DEFAULT_USER);
    nowhere.integration_id = "int-x".into();
    let mut by_id = wish(DEFAULT_USER);
    by_id.permissions = vec!["perm-db-read-only".into()];
    for asked in [nobody, nowhere, by_id] {
        let error = client.create_admin_request(&asked).await.unwrap_err();
        let expected = (ErrorClass::Refused, Effect::Refused, Some(400));
        assert_eq!(seen(&error), expected, "{asked:?}");
        assert!(error.body().unwrap().contains("message"));
    }
    let error = client.admin_request("none").await.unwrap_err();
    assert_eq!(
        seen(&error),
        (ErrorClass::NotFound, Effect::Refused, Some(404))
    );
    assert_eq!(born(&simulator), 0);
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_may_have_happened_and_has() {
    let (simulator, client) = start(Config::instant());
    let lost = Action::Drop { when: When::After };
    simulator.arm(Fault::new(lost).at(Endpoint::V3Create).once());
    let error = client
        .create_admin_request(&wish(DEFAULT_USER))
        .await
        .unwrap_err();
    assert_eq!(
        (error.class(), error.effect()),
        (ErrorClass::Broken, Effect::Unknown)
    );
    assert_eq!((born(&simulator), all(&client).await.len()), (1, 1));
}

#[tokio::test]
async fn a_list_that_was_cut_short_says_so() {
    let (simulator, client) = start(Config::instant());
    made(&simulator, 5);
    assert_eq!(all(&client).await.len(), 5);
    simulator.set_switches(|it| it.v3_list_cut = Some(3));
    let cut = client
        .admin_requests_page(&AdminQuery::default())
        .await
        .unwrap();
    assert_eq!(
        (cut.items.len(), cut.total, cut.is_complete()),
        (3, Some(5), false)
    );
}

#[tokio::test]
async fn only_an_admin_names_other_users() {
    let (simulator, client) = start(Config::instant());
    let other = client_with(&simulator, "other-token", |_| ());
    let theirs = one(&other, &bundle("prod-read")).await.id;
    let query = AdminQuery {
        user_id: Some(OTHER.into()),
        days_offset: Some(1),
    };
    let forbidden = (ErrorClass::Refused, Effect::Refused, Some(403));
    let error = client.admin_requests_page(&query).await.unwrap_err();
    assert_eq!(seen(&error), forbidden);
    let error = client.create_admin_request(&wish(OTHER)).await.unwrap_err();
    assert_eq!(seen(&error), forbidden);
    simulator.set_admin(DEFAULT_USER, true).unwrap();
    let listing = client.admin_requests_page(&query).await.unwrap();
    assert_eq!(listing.items[0].request_id, theirs);
    simulator.set_switches(|it| it.v3_list_unnamed = V3Unnamed::Refuse);
    let error = client.admin_requests_page(&AdminQuery::default()).await;
    assert_eq!(error.unwrap_err().status(), Some(400));
}

#[tokio::test]
async fn many_requests_are_taken_back_in_one_call() {
    let (simulator, client) = start(Config::instant());
    let mine = made(&simulator, 3);
    let mut named: Vec<&str> = mine.iter().map(String::as_str).collect();
    client.revoke_admin_requests(&named).await.unwrap();
    for request in all(&client).await {
        let word = request.status.word().to_owned();
        assert_eq!(
            (word.as_str(), request.status.state()),
            ("EXPIRED", State::Revoked)
        );
    }
    let live = one(&client, &bundle("prod-read")).await.id;
    named.extend([live.as_str(), "none"]);
    let error = client.revoke_admin_requests(&named).await.unwrap_err();
    assert_eq!(error.effect(), Effect::Refused);
    let read = client.access_request(&live).await.unwrap();
    assert_eq!(read.status.state(), State::Active);
}

#[tokio::test]
async fn what_may_be_asked_for_is_found_step_by_step_and_asked_for() {
    let (_simulator, client) = start(Config::instant());
    let integrations = client.selectable_integrations(None).await.unwrap();
    assert!(integrations.is_complete());
    let id = "int-kubernetes-prod";
    assert!(integrations.items.iter().any(|it| it.id == id));
    let kinds = client.selectable_resource_types(id, None).await.unwrap();
    let kind = &kinds.items[0];
    assert_eq!(
        (kind.id.as_str(), kind.name.as_str()),
        ("k8s-namespace", "Kubernetes Namespace")
    );
    let permissions = client
        .selectable_permissions(id, &kind.id, None)
        .await
        .unwrap();
    assert_eq!(permissions.permissions.items, ["View", "Edit"]);
    assert!(!permissions.allow_multiple && permissions.permissions.is_complete());
    let resources = client
        .selectable_resources(id, &kind.id, None)
        .await
        .unwrap();
    let resource = &resources.items[0];
    assert_eq!(
        (resource.resource_type.as_str(), resources.items.len()),
        (kind.id.as_str(), 2)
    );
    let asked = NewAdminRequest {
        integration_id: id.into(),
        resource_ids: vec![resource.id.clone()],
        permissions: vec![permissions.permissions.items[0].clone()],
        ..wish(DEFAULT_USER)
    };
    let made = client.create_admin_request(&asked).await.unwrap();
    let held = walk(client.entitlements(&made.request_id)).await.concat();
    assert_eq!(held[0].resource.id, resource.id);
    let error = client.selectable_resource_types("none", None).await;
    assert_eq!(error.unwrap_err().class(), ErrorClass::NotFound);
}
