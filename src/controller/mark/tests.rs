//! What the API server refuses: an object that has changed is looked at again, a write that is wrong
//! fails loudly.

use axum::{Json, Router, http::StatusCode, routing::any};
use serde_json::{Value, json};

use super::*;
use crate::controller::{
    context::tests::context_of,
    fixtures::world,
    fold::Outcome,
    plan::{Intent, Step},
};

/// An API server that refuses every patch, and shows the object with this version.
async fn refusing(version: &'static str) -> Context {
    let object = json!({
        "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
        "metadata": {
            "name": "orders-read", "namespace": "payments", "uid": "uid-1",
            "resourceVersion": version
        },
        "spec": {"access": {"bundle": "prod-read"}}
    });
    let answer = move |method: axum::http::Method| async move {
        let refusal = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 422,
            "reason": "Invalid", "message": "status.bundle.name: Too long"
        });
        match method.as_str() {
            "GET" => (StatusCode::OK, Json::<Value>(object)),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, Json(refusal)),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = axum::serve(listener, Router::new().fallback(any(answer)));
    tokio::spawn(server.into_future());
    let client = crate::kubernetes::client(kube::Config::new(url.parse().unwrap())).unwrap();
    context_of(client)
}

fn resource() -> AccessRequest {
    let mut resource = world().resource;
    resource.metadata.resource_version = Some("7".to_owned());
    resource
}

#[tokio::test]
async fn a_mark_that_is_refused_is_an_error_unless_the_object_has_changed() {
    let Step::Create { ledger, .. } = world().plan().step else {
        panic!()
    };
    let context = refusing("8").await;
    let marked = mark(&context, &resource(), Some(&ledger)).await;
    assert!(matches!(marked, Ok(Marked::LookAgain)), "{marked:?}");

    let context = refusing("7").await;
    let error = mark(&context, &resource(), Some(&ledger))
        .await
        .unwrap_err();
    assert!(error.is_refusal(), "{error:?}");
    let chain = crate::telemetry::Chain(&error).to_string();
    assert!(chain.contains("Too long"), "{chain}");
}

#[tokio::test]
async fn a_status_that_is_refused_is_an_error() {
    let context = refusing("7").await;
    let (resource, world) = (resource(), world());
    let written = persist::persist(
        &context,
        resource,
        &world.observed,
        &Outcome::Nothing,
        Intent::Hold,
        world.now,
    );
    let error = written.await.unwrap_err();
    assert!(error.is_refusal(), "{error:?}");
    assert_eq!(error.label(), "write_status");
}
