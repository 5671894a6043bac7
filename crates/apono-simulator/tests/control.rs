//! The control channel over HTTP, and the ledger.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test, in helpers as well"
)]

mod support;

use apono_simulator::ledger::Event;
use apono_simulator::{Config, Endpoint, Mode, Simulator, Status};
use reqwest::Method;
use serde_json::{Value, json};
use support::{Api, OTHER, OWN, Reply, config, ids, send, start, started};

async fn call(api: &Api, method: Method, path: &str, body: Option<&Value>) -> Reply {
    let request = api.request(method, &format!("/_control/{path}"));
    send(match body {
        Some(body) => request.json(body),
        None => request,
    })
    .await
}

fn explicit() -> (Simulator, Api, Api) {
    let (simulator, api) = started(&Config {
        mode: Mode::Explicit,
        ..config()
    });
    let control = Api::with_token(&simulator, None);
    (simulator, api, control)
}

#[tokio::test]
async fn every_command_works_by_its_path() {
    let (_simulator, api, control) = explicit();
    let command = async |id: &str, name: &str, body: Option<Value>| {
        let path = format!("requests/{id}/{name}");
        call(&control, Method::POST, &path, body.as_ref())
            .await
            .ok()["status"]
            .clone()
    };
    let id = api.one("prod-mfa").await;
    assert_eq!(command(&id, "route", None).await, "PendingMFA");
    assert_eq!(command(&id, "pass-mfa", None).await, "Pending");
    assert_eq!(command(&id, "approve", None).await, "Granting");
    assert_eq!(command(&id, "activate", None).await, "Active");
    assert_eq!(
        command(&id, "extend", Some(json!({"by": "1h"}))).await,
        "Active"
    );
    assert_eq!(command(&id, "expire", None).await, "Revoking");
    assert_eq!(command(&id, "finish-revoke", None).await, "Revoked");
    let id = api.one("prod-read").await;
    let fate = json!({"fate": {"revoke": "fail"}});
    assert_eq!(command(&id, "fate", Some(fate)).await, "Initializing");
    assert_eq!(command(&id, "grant", None).await, "Granting");
    assert_eq!(
        command(&id, "fail", Some(json!({"granted": 1}))).await,
        "Active"
    );
    assert_eq!(command(&id, "revoke", None).await, "Revoking");
    assert_eq!(command(&id, "fail", None).await, "Failed");
    let id = api.one("prod-read").await;
    assert_eq!(
        command(&id, "reject", Some(json!({"reason": "no"}))).await,
        "Rejected"
    );
    assert_eq!(api.status(&id).await, "Rejected");
}

#[tokio::test]
async fn errors_say_what_would_work() {
    let (_simulator, api, control) = explicit();
    let id = api.one("prod-read").await;
    let error = async |method: Method, path: &str, body: Option<Value>, status: u16| {
        let reply = call(&control, method, path, body.as_ref()).await;
        assert_eq!(reply.status, status, "{}", reply.text);
        reply.json()["error"].as_str().unwrap().to_owned()
    };
    let post = Method::POST;
    let unknown = error(post.clone(), "requests/none/approve", None, 404).await;
    assert!(unknown.contains("GET /_control/requests"));
    let state = error(
        post.clone(),
        &format!("requests/{id}/finish-revoke"),
        None,
        409,
    )
    .await;
    assert!(
        state.contains("Initializing") && state.contains("revoke it first"),
        "{state}"
    );
    let name = error(post.clone(), &format!("requests/{id}/explode"), None, 400).await;
    assert!(name.contains("pass-mfa"), "{name}");
    let body = error(
        post.clone(),
        "clock/advance",
        Some(json!({"seconds": 1})),
        400,
    )
    .await;
    assert!(body.contains(r#"{"by": "90s"}"#), "{body}");
    let switch = error(Method::PATCH, "switches", Some(json!({"nope": 1})), 400).await;
    assert!(switch.contains("id-form"), "{switch}");
    let path = error(Method::GET, "nothing", None, 404).await;
    assert!(path.contains("clock/advance"), "{path}");
    let outside = error(
        post,
        "requests",
        Some(json!({"requestor": "nobody", "bundle": "x"})),
        404,
    );
    assert!(outside.await.contains("/_control/users"));
}

#[tokio::test]
async fn a_request_from_outside_appears_to_its_user_and_to_no_other() {
    let (_simulator, api, control) = explicit();
    let body = json!({"requestor": "operator@example.com", "bundle": "three-flows",
        "justification": "by hand"});
    let made = call(&control, Method::POST, "requests", Some(&body))
        .await
        .ok();
    assert_eq!(made.as_array().unwrap().len(), 3);
    assert_eq!(made[0]["timeline"][0]["by"], "control");
    let mut mine = api.listed(OWN, "").await;
    mine.reverse();
    assert_eq!(mine, ids(&made));
    let body = json!({"requestor": OTHER, "bundle": "prod-read"});
    call(&control, Method::POST, "requests", Some(&body))
        .await
        .ok();
    assert_eq!(api.listed(OWN, "").await.len(), 3);
    let all = call(&control, Method::GET, "requests", None).await.ok();
    assert_eq!(all.as_array().unwrap().len(), 4);
    let some = call(
        &control,
        Method::GET,
        &format!("requests?requestor={OTHER}"),
        None,
    )
    .await;
    assert_eq!(some.ok().as_array().unwrap().len(), 1);
    let one = call(
        &control,
        Method::GET,
        &format!("requests/{}", mine[0]),
        None,
    )
    .await
    .ok();
    assert_eq!(one["justification"], "by hand");
}

#[tokio::test]
async fn time_behaviour_switches_and_tokens_are_set_over_http() {
    let (simulator, api, control) = explicit();
    let id = api.one("prod-read").await;
    let delays = json!({"mode": "auto", "delays": {"grant": "5s"}});
    let behaviour = call(&control, Method::PATCH, "behaviour", Some(&delays))
        .await
        .ok();
    assert_eq!(behaviour["mode"], "auto");
    assert_eq!(behaviour["delays"]["revoke"], "PT0S");
    assert_eq!(api.status(&id).await, "Granting");
    let before = simulator.now();
    let by = json!({"by": "5s"});
    call(&control, Method::POST, "clock/advance", Some(&by))
        .await
        .ok();
    assert!(simulator.now().duration_since(before).as_secs() >= 5);
    assert_eq!(api.status(&id).await, "Active");
    let patch = json!({"word-case": "upper", "max-limit": 5});
    let switches = call(&control, Method::PATCH, "switches", Some(&patch))
        .await
        .ok();
    assert_eq!(switches["max-limit"], 5);
    assert_eq!(api.status(&id).await, "ACTIVE");
    let bad = json!({"max-limit": 9, "word-case": "sideways"});
    assert_eq!(
        call(&control, Method::PATCH, "switches", Some(&bad))
            .await
            .status,
        400
    );
    let now = call(&control, Method::GET, "switches", None).await.ok();
    assert_eq!(now["max-limit"], 5);
    let tokens = "users/operator@example.com/tokens";
    call(
        &control,
        Method::PUT,
        tokens,
        Some(&json!({"tokens": ["fresh"]})),
    )
    .await
    .ok();
    assert_eq!(api.get(OWN).await.status, 401);
}

#[tokio::test]
async fn faults_are_set_listed_and_cleared_over_http() {
    let (_simulator, api, control) = explicit();
    let fault = json!({"endpoint": "list", "times": 1,
        "action": {"kind": "answer", "status": 429, "retry_after": "3"}});
    let armed = call(&control, Method::POST, "faults", Some(&fault))
        .await
        .ok();
    assert_eq!(armed, json!({"id": 1}));
    assert_eq!(api.get(OWN).await.headers["retry-after"], "3");
    let all = call(&control, Method::GET, "faults", None).await.ok();
    assert_eq!((&all[0]["struck"], &all[0]["seen"]), (&json!(1), &json!(1)));
    for action in [
        json!({"kind": "drop", "when": "after"}),
        json!({"kind": "hang"}),
        json!({"kind": "slow", "by": "2s"}),
        json!({"kind": "garbage"}),
        json!({"kind": "truncate"}),
        json!({"kind": "content-type", "content_type": "text/html"}),
        json!({"kind": "empty-array", "when": "after"}),
        json!({"kind": "oversize", "bytes": 10}),
        json!({"kind": "redirect", "location": "http://example.com"}),
        json!({"kind": "page-drift", "by": -1}),
        json!({"kind": "list-lag", "by": "1s"}),
        json!({"kind": "stale-list", "by": "1s"}),
    ] {
        call(
            &control,
            Method::POST,
            "faults",
            Some(&json!({"action": action})),
        )
        .await
        .ok();
    }
    let left = call(&control, Method::DELETE, "faults/1", None).await.ok();
    assert_eq!(left.as_array().unwrap().len(), 12);
    assert_eq!(
        call(&control, Method::DELETE, "faults/1", None)
            .await
            .status,
        404
    );
    assert_eq!(
        call(&control, Method::DELETE, "faults", None).await.ok(),
        json!([])
    );
    assert_eq!(api.get(OWN).await.status, 200);
}

#[tokio::test]
async fn the_ledger_tells_every_call_and_change_in_order() {
    let (simulator, api) = start();
    let id = api.one("prod-read").await;
    api.revoke(&id).await.ok();
    api.get(&format!("{OWN}?limit=1")).await.ok();
    let entries = simulator.ledger(0);
    let told: Vec<String> = entries
        .iter()
        .map(|entry| match &entry.event {
            Event::Call(call) => format!("{:?} {:?}", call.endpoint, call.status.unwrap()),
            Event::Change(change) => format!("{:?}", change.to),
            Event::Session(change) => format!("{:?}", change.what),
        })
        .collect();
    let expected = [
        "Initializing",
        "Pending",
        "Granting",
        "Active",
        "Opened",
        "Create 200",
        "Revoking",
        "Revoked",
        "Closed",
        "Revoke 200",
        "List 200",
    ];
    assert_eq!(told, expected);
    let calls = simulator.calls();
    assert_eq!(calls[0].ids, calls[1].ids);
    assert_eq!(calls[1].ids, [id]);
    assert_eq!(calls[2].path, format!("{OWN}?limit=1"));
    assert!(calls.iter().all(|call| call.bytes > 0));
    assert_eq!(calls[0].user.as_deref(), Some("operator@example.com"));
    assert_eq!(simulator.counters()[&Endpoint::Create]["200"], 1);
    let control = Api::with_token(&simulator, None);
    let after = call(&control, Method::GET, "ledger?after=10", None)
        .await
        .ok();
    assert_eq!(after["entries"][0]["kind"], "call");
    assert_eq!(after["entries"][0]["endpoint"], "list");
    let counters = call(&control, Method::GET, "counters", None).await.ok();
    assert_eq!(counters["revoke"]["200"], 1);
}

#[tokio::test]
async fn a_reset_forgets_requests_faults_switches_and_the_ledger() {
    let (simulator, api, control) = explicit();
    api.one("prod-read").await;
    simulator.set_switches(|switches| switches.max_limit = 1);
    call(&control, Method::POST, "reset", None).await.ok();
    assert!(simulator.requests().is_empty() && simulator.ledger(0).is_empty());
    assert_eq!(simulator.switches().max_limit, 100);
    assert_eq!(simulator.behaviour().0, Mode::Explicit);
    assert!(simulator.catalogue().bundle("prod-read").is_some());
    let id = api.one("prod-read").await;
    assert_eq!(simulator.request(&id).unwrap().status, Status::Initializing);
}

#[tokio::test]
async fn sessions_admins_and_flows_are_reached_by_paths_too() {
    let (simulator, api) = start();
    let control = Api::with_token(&simulator, None);
    let post = async |path: &str| call(&control, Method::POST, path, None).await;
    let request = api.one("prod-read").await;
    let all = call(&control, Method::GET, "sessions", None).await.ok();
    let id = all[0]["id"].as_str().unwrap();
    assert_eq!(all[0]["requests"], json!([request]));
    let seen = post(&format!("sessions/{id}/view")).await.ok();
    assert_eq!(seen["credentials"], "VIEWED");
    assert_eq!(seen["uses"]["consuming_reads_elsewhere"], 1);
    let mut delays = simulator.behaviour().1;
    delays.reset = None;
    simulator.set_delays(delays);
    let reset = post(&format!("sessions/{id}/reset")).await.ok();
    assert_eq!(reset["credentials"], "RESETTING");
    let done = post(&format!("sessions/{id}/finish-reset")).await.ok();
    assert_eq!(done["passwords"].as_array().unwrap().len(), 2);
    let one = call(&control, Method::GET, &format!("sessions/{id}"), None).await;
    assert_eq!(one.ok(), done);
    assert_eq!(post("sessions/none/view").await.status, 404);
    let path = format!("users/{OTHER}/admin");
    let body = json!({"admin": true});
    let users = call(&control, Method::PUT, &path, Some(&body)).await.ok();
    let admins = users.as_array().unwrap().iter();
    assert_eq!(admins.filter(|it| it["admin"] == true).count(), 1);
    let body = json!({"approval": "human"});
    let changed = call(&control, Method::PATCH, "flows/prod-read", Some(&body)).await;
    assert_eq!(changed.ok()["grant_duration_in_sec"], 28_800);
    let request = api.one("prod-read").await;
    assert_eq!(api.status(&request).await, "Pending");
}
