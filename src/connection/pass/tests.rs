//! Passes against a scripted apiserver, for what a real one does not do on demand; the remote is
//! behind the same port.

use std::{
    future::IntoFuture as _,
    sync::{
        Mutex,
        atomic::{AtomicU16, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::Request,
    http::{Method, StatusCode},
};
use clap::Parser as _;
use kube::Config;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::*;
use crate::{
    admin::Readiness,
    app::Shell,
    clock::SystemClock,
    connection::{Found, Namespaces, Registry},
    crd::ClusterAponoConnection,
    metrics::Metrics,
    settings::{self, Command, CommandLine, Settings},
    shards::Shards,
};

type Guarded = DeserializeGuard<ClusterAponoConnection>;

/// What the server answers, and what was written to it.
struct Script {
    secret: AtomicU16,
    remote: AtomicU16,
    patches: Mutex<Vec<Value>>,
}

struct World {
    script: Arc<Script>,
    context: Context,
    url: String,
}

async fn answer(script: Arc<Script>, request: Request) -> (StatusCode, Json<Value>) {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let of = |status: &AtomicU16| StatusCode::from_u16(status.load(Ordering::Relaxed)).unwrap();
    if path == "/api/v1/namespaces/apono-system/secrets/apono-token" {
        let status = of(&script.secret);
        let code = status.as_u16();
        let body = match code {
            // "aup_1", as base64.
            200 => json!({"data": {"token": "YXVwXzE="}}),
            _ => json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}),
        };
        return (status, Json(body));
    }
    let is_connection = path.contains("/clusteraponoconnections/default");
    let stored = json!({
        "apiVersion": "access.apono.io/v1alpha1", "kind": "ClusterAponoConnection",
        "metadata": {"name": "default"}
    });
    if is_connection && parts.method == Method::PATCH {
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let patch = serde_json::from_slice(&body).unwrap();
        script.patches.lock().unwrap().push(patch);
        return (StatusCode::OK, Json(stored));
    }
    if is_connection {
        return (StatusCode::OK, Json(stored));
    }
    let page = json!({"items": [], "pagination": {"next_page_token": null}});
    (of(&script.remote), Json(page))
}

async fn world() -> World {
    let script = Arc::new(Script {
        secret: AtomicU16::new(200),
        remote: AtomicU16::new(200),
        patches: Mutex::default(),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = Arc::clone(&script);
    let router = Router::new().fallback(move |request: Request| answer(served.clone(), request));
    tokio::spawn(axum::serve(listener, router).into_future());

    let Command::Run(arguments) = CommandLine::parse_from(["apono-operator", "run"]).command else {
        panic!("another command")
    };
    let mut settings = Settings::new(&arguments, &settings::Surroundings::default()).unwrap();
    settings.operator_namespace = "apono-system".to_owned();
    let shell = Shell {
        client: kubernetes::client(Config::new(url.parse().unwrap())).unwrap(),
        settings: Arc::new(settings),
        cluster: "cluster".to_owned(),
        registry: Registry::new(Namespaces::unknown()),
        metrics: Metrics::new(),
        readiness: Readiness::default(),
        shards: Shards::all(),
        clock: Arc::new(SystemClock),
        stop: watch::channel(false).1,
    };
    let context = Context::new(&shell, mpsc::unbounded_channel().0);
    World {
        script,
        context,
        url,
    }
}

impl World {
    fn object(&self, uid: &str) -> Guarded {
        serde_json::from_value(json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "ClusterAponoConnection",
            "metadata": {"name": "default", "uid": uid, "resourceVersion": "7"},
            "spec": {
                "endpoint": self.url,
                "tokenSecretRef": {"name": "apono-token", "key": "token"}
            }
        }))
        .unwrap()
    }

    async fn pass(&self, object: &Guarded) -> Result<Action, Error> {
        pass(object, &self.context).await
    }

    fn state(&self) -> ConnectionState {
        match self
            .context
            .registry
            .find(&ConnectionKey::cluster("default"))
        {
            Found::Usable(connection) => connection.state(),
            other => panic!("{other:?}"),
        }
    }

    /// The last condition Ready that was written.
    fn written(&self) -> Option<Value> {
        let patches = self.script.patches.lock().unwrap();
        Some(patches.last()?["status"]["conditions"][0].clone())
    }
}

fn unreadable(uid: &str) -> Guarded {
    let object = serde_json::from_value(json!({
        "apiVersion": "access.apono.io/v1alpha1", "kind": "ClusterAponoConnection",
        "metadata": {"name": "default", "uid": uid, "resourceVersion": "7"},
        "spec": {"tokenSecretRef": "of another version"}
    }));
    let object: Guarded = object.unwrap();
    assert!(object.0.is_err());
    object
}

#[tokio::test]
async fn a_secret_the_apiserver_does_not_give_is_named_after_the_second_failure() {
    let world = world().await;
    let object = world.object("a");
    world.script.secret.store(500, Ordering::Relaxed);
    world.pass(&object).await.unwrap_err();
    assert_eq!(world.state().reason(), ConnectionReason::Verifying);
    assert_eq!(world.written(), None);

    world.pass(&object).await.unwrap_err();
    let said = world.state();
    assert_eq!(said.reason(), ConnectionReason::SecretUnavailable);
    for word in ["`apono-system/apono-token`", "500", "tried again"] {
        assert!(said.message().contains(word), "{word}: {said:?}");
    }
    assert_eq!(world.written().unwrap()["message"], said.message());

    // The same failure is no news.
    world.pass(&object).await.unwrap_err();
    assert_eq!(world.state(), said);

    world.script.secret.store(200, Ordering::Relaxed);
    world.pass(&object).await.unwrap();
    assert_eq!(world.state(), ConnectionState::Ready);
    assert_eq!(world.written().unwrap()["status"], "True");
}

#[tokio::test]
async fn what_was_known_holds_while_the_apiserver_does_not_give_the_secret() {
    let world = world().await;
    let object = world.object("a");
    world.pass(&object).await.unwrap();
    world.script.secret.store(503, Ordering::Relaxed);
    for _ in 0..3 {
        world.pass(&object).await.unwrap_err();
        assert_eq!(world.state(), ConnectionState::Ready);
    }
}

#[tokio::test]
async fn a_connection_that_cannot_be_read_exists_and_says_why_until_it_can() {
    let world = world().await;
    world.pass(&unreadable("a")).await.unwrap();
    let key = ConnectionKey::cluster("default");
    let Found::Unreadable { message } = world.context.registry.find(&key) else {
        panic!("{:?}", world.context.registry.find(&key))
    };
    assert!(
        message.contains("cannot be read by this version"),
        "{message}"
    );
    assert!(message.contains("of another version"), "{message}");
    let written = world.written().unwrap();
    assert_eq!(
        (&written["reason"], &written["message"]),
        (&json!("InvalidSpec"), &json!(message))
    );

    world.pass(&world.object("a")).await.unwrap();
    assert_eq!(world.state(), ConnectionState::Ready);
    // What runs already goes on; what another object left behind does not count.
    world.pass(&unreadable("a")).await.unwrap();
    assert_eq!(world.state().reason(), ConnectionReason::InvalidSpec);
    world.pass(&unreadable("b")).await.unwrap();
    let found = world.context.registry.find(&key);
    assert!(matches!(found, Found::Unreadable { .. }), "{found:?}");
}

#[tokio::test]
async fn a_refused_list_is_said_with_its_status() {
    for (status, word) in [(403, "user API"), (404, "spec.endpoint")] {
        let world = world().await;
        world.script.remote.store(status, Ordering::Relaxed);
        world.pass(&world.object("a")).await.unwrap();
        let said = world.state();
        assert_eq!(said.reason(), ConnectionReason::ApiUnavailable);
        assert!(said.message().contains(&status.to_string()), "{said:?}");
        assert!(said.message().contains(word), "{said:?}");
    }
}
