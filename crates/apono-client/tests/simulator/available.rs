//! What may be asked for, and that what is found can be asked for.

use apono_client::{
    AvailableBundleQuery, AvailableEntitlementQuery, ErrorClass, NewAccessRequest, State, Target,
};
use apono_simulator::Config;

use crate::support::{OTHER, one, start, walk};

#[tokio::test]
async fn a_bundle_found_by_a_part_of_its_name_can_be_asked_for_by_its_id() {
    let (_simulator, client) = start(Config::instant());
    let query = AvailableBundleQuery {
        names: vec!["prod-re*".into(), "*-flows".into()],
        ..AvailableBundleQuery::default()
    };
    let found = walk(client.available_bundles(query)).await.concat();
    let names: Vec<_> = found.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["prod-read", "three-flows"]);
    assert_ne!(found[0].id, found[0].name);
    let asked = NewAccessRequest::new(Target::Bundle(found[0].id.clone()));
    let made = one(&client, &asked).await;
    assert_eq!(made.bundle.unwrap().name, "prod-read");
    let query = AvailableBundleQuery {
        names: vec!["prod".into()],
        ..AvailableBundleQuery::default()
    };
    assert!(
        walk(client.available_bundles(query))
            .await
            .concat()
            .is_empty()
    );
}

#[tokio::test]
async fn available_access_comes_page_by_page() {
    let (_simulator, client) = start(Config::instant());
    let query = AvailableBundleQuery {
        limit: Some(4),
        ..AvailableBundleQuery::default()
    };
    let pages = walk(client.available_bundles(query)).await;
    let sizes: Vec<_> = pages.iter().map(Vec::len).collect();
    assert_eq!(sizes, [4, 4, 1]);
    let everything = walk(client.available_entitlements(AvailableEntitlementQuery::default()));
    let everything = everything.await.concat();
    // The filters hold on every page, because the token carries them.
    let query = AvailableEntitlementQuery {
        limit: Some(2),
        resource_type_ids: vec!["object-bucket".into(), "k8s-namespace".into()],
        ..AvailableEntitlementQuery::default()
    };
    let pages = walk(client.available_entitlements(query)).await;
    assert!(pages.len() > 2);
    let kinds = ["object-bucket", "k8s-namespace"];
    let expected: Vec<_> = everything
        .into_iter()
        .filter(|it| kinds.contains(&it.resource.resource_type.id.as_str()))
        .collect();
    assert_eq!(pages.concat(), expected);
}

#[tokio::test]
async fn an_entitlement_found_by_names_can_be_asked_for_by_its_pair_of_ids() {
    let (_simulator, client) = start(Config::instant());
    let query = AvailableEntitlementQuery {
        integration_name: Some("postgres-prod".into()),
        resource_name: Some("orders".into()),
        permission_names: vec!["ReadOnly".into()],
        ..AvailableEntitlementQuery::default()
    };
    let found = walk(client.available_entitlements(query)).await.concat();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].integration.id, "int-postgres-prod");
    assert_eq!(found[0].resource.source_id, "postgres-prod/orders");
    assert_eq!(found[0].permission.source_id, "read_only");
    let asked = Target::Entitlements(vec![found[0].reference()]);
    let made = one(&client, &NewAccessRequest::new(asked)).await;
    assert_eq!(made.status.state(), State::Active);
    let held = walk(client.entitlements(&made.id)).await.concat();
    assert_eq!(held[0].permission, found[0].permission.name);
    assert_eq!(held[0].resource.id, found[0].resource.id);
}

#[tokio::test]
async fn for_somebody_else_less_is_available_and_for_nobody_it_is_refused() {
    let (_simulator, client) = start(Config::instant());
    let of = |grantee: Option<&str>| AvailableEntitlementQuery {
        grantee: grantee.map(str::to_owned),
        integration_id: Some("int-postgres-prod".into()),
        ..AvailableEntitlementQuery::default()
    };
    let own = walk(client.available_entitlements(of(None))).await.concat();
    let theirs = walk(client.available_entitlements(of(Some(OTHER))))
        .await
        .concat();
    assert!(theirs.len() < own.len() && !theirs.is_empty());
    let nobody = of(Some("nobody"));
    let error = client.available_entitlements_page(&nobody, None).await;
    assert_eq!(error.unwrap_err().class(), ErrorClass::Refused);
}
