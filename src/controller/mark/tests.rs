//! What the API server refuses: an object that has changed is looked at again, a write that is wrong
//! fails loudly.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use axum::{Json, Router, http::StatusCode, routing::any};
use serde_json::{Value, json};

use super::*;
use crate::{
    clock::SystemClock,
    connection::{Namespaces, Registry, escrow::Escrow},
    controller::{
        fixtures::world,
        fold::Outcome,
        plan::{Intent, Step},
    },
    metrics::Metrics,
    owed::Debts,
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
    let limit = Duration::from_secs(5);
    let namespace = || "apono-system".to_owned();
    Context {
        shards: crate::shards::Shards::all(),
        escrow: Escrow {
            client: client.clone(),
            namespace: namespace(),
            kube_timeout: limit,
            metrics: Metrics::new(),
        },
        debts: Debts::new(client.clone(), namespace(), limit, Metrics::new()),
        client,
        registry: Registry::new(Namespaces::unknown()),
        clock: std::sync::Arc::new(SystemClock),
        metrics: Metrics::new(),
        cluster: "cluster".to_owned(),
        is_namespaced: false,
        kube_timeout: limit,
        remote_timeout: limit,
        ttl_owner_labels: Vec::new(),
        turns: crate::controller::turns::Turns::new(1),
        resources: Mutex::new(HashMap::new()),
    }
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
async fn what_no_store_holds_is_forgotten() {
    let context = refusing("7").await;
    let held = ("payments".to_owned(), "orders-read".to_owned());
    let mut gone = resource();
    gone.metadata.name = Some("gone".to_owned());
    for one in [&resource(), &gone] {
        context.fence(one);
    }
    assert_eq!(context.resources.lock().unwrap().len(), 2);
    context.prune(|key| *key == held);
    let kept: Vec<_> = context.resources.lock().unwrap().keys().cloned().collect();
    assert_eq!(kept, [held]);
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
