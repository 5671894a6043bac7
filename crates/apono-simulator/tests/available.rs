//! What one may ask for, as the searches for it show it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test, in helpers as well"
)]

mod support;

use serde_json::{Value, json};
use support::{Api, OTHER, start};

const BUNDLES: &str = "/api/user/v1/available-access/bundles";
const ENTITLEMENTS: &str = "/api/user/v1/available-access/entitlements";

async fn names(api: &Api, query: &str) -> Vec<String> {
    let page = api.get(&format!("{BUNDLES}?{query}")).await.ok();
    let name = |item: &Value| item["name"].as_str().unwrap().to_owned();
    page["items"].as_array().unwrap().iter().map(name).collect()
}

async fn pairs(api: &Api, query: &str) -> Vec<String> {
    let page = api.get(&format!("{ENTITLEMENTS}?{query}")).await.ok();
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|it| {
            let (resource, permission) = (&it["resource"]["name"], &it["permission"]["name"]);
            format!(
                "{}:{}",
                resource.as_str().unwrap(),
                permission.as_str().unwrap()
            )
        })
        .collect()
}

#[tokio::test]
async fn bundles_are_found_by_names_with_stars() {
    let (_simulator, api) = start();
    assert_eq!(names(&api, "name=prod-read").await, ["prod-read"]);
    assert_eq!(names(&api, "name=prod").await, Vec::<String>::new());
    assert_eq!(
        names(&api, "name=*-grant&name=prod-r*").await,
        ["prod-read", "broken-grant", "half-grant"]
    );
    assert_eq!(names(&api, "name=*flow*").await, ["three-flows"]);
    assert_eq!(names(&api, "name=%2A").await.len(), 9);
}

#[tokio::test]
async fn an_available_entitlement_is_a_pair_that_a_create_takes() {
    let (_simulator, api) = start();
    let query = "resource_name=orders&permission_name=ReadOnly&permission_name=Admin";
    assert_eq!(
        pairs(&api, query).await,
        ["orders:ReadOnly", "orders:Admin"]
    );
    let page = api.get(&format!("{ENTITLEMENTS}?{query}")).await.ok();
    let item = &page["items"][0];
    let body = json!({"entitlements": [{
        "resource_id": item["resource"]["id"],
        "permission_id": item["permission"]["id"],
    }]});
    api.create(&body).await.ok();
    for (query, count) in [
        ("", 19),
        ("integration_id=int-kubernetes-prod", 4),
        ("integration_name=kubernetes-prod", 4),
        (
            "resource_type_id=object-bucket&resource_type_id=k8s-namespace",
            10,
        ),
        ("resource_name=ord*", 0),
    ] {
        assert_eq!(pairs(&api, query).await.len(), count, "{query}");
    }
}

#[tokio::test]
async fn for_somebody_else_only_what_flows_allow_for_others_is_available() {
    let (_simulator, api) = start();
    let own = pairs(&api, "integration_id=int-postgres-prod").await;
    assert_eq!(own.len(), 9);
    let query = format!("integration_id=int-postgres-prod&grantee={OTHER}");
    let theirs = pairs(&api, &query).await;
    assert_eq!(
        theirs,
        ["orders:ReadOnly", "payments:ReadOnly", "billing:ReadOnly"]
    );
    assert_eq!(
        api.get(&format!("{BUNDLES}?grantee=nobody"))
            .await
            .refused(400),
        "UNKNOWN_USER"
    );
}

#[tokio::test]
async fn available_access_comes_in_pages() {
    let (_simulator, api) = start();
    let pages = api.pages(BUNDLES, "limit=4").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 1]);
    let first = api.get(&format!("{ENTITLEMENTS}?limit=10")).await.ok();
    let token = first["pagination"]["next_page_token"].as_str().unwrap();
    let second = api.get(&format!("{ENTITLEMENTS}?page_token={token}")).await;
    assert_eq!(second.ok()["items"].as_array().unwrap().len(), 9);
}
