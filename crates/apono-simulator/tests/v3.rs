//! Requests on v3: the same machine in the other vocabulary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test, in helpers as well"
)]

mod support;

use serde_json::{Value, json};
use support::{Api, OTHER, OTHER_TOKEN, V3, ids, start};

const SELECTABLE: &str = "/api/v3/selectable-integrations";

fn wish(user: &str) -> Value {
    json!({
        "user_id": user,
        "integration_id": "int-postgres-prod",
        "resource_ids": ["res-orders", "res-billing"],
        "permissions": ["ReadOnly"],
        "justification": "a reason",
    })
}

const ME: &str = "operator@example.com";

#[tokio::test]
async fn a_request_made_on_v3_is_one_object_that_v4_sees_too() {
    let (simulator, api) = start();
    let made = api.post(V3, &wish(ME)).await.ok();
    let id = made["request_id"].as_str().unwrap();
    assert_eq!(made["status"], "GRANTED");
    assert_eq!(made["friendly_request_id"], "AR-00001");
    assert_eq!(made["resource_ids"], json!(["res-orders", "res-billing"]));
    assert_eq!(made["permissions"], json!(["ReadOnly"]));
    assert_eq!(made["integration_id"], "int-postgres-prod");
    assert_eq!(api.status(id).await, "Active");
    assert_eq!(api.get(&format!("{V3}/{id}")).await.ok(), made);
    assert_eq!(api.get(&format!("{V3}/AR-00001")).await.ok(), made);
    let listed = api.get(V3).await.ok();
    assert_eq!(listed["data"], json!([made]));
    assert_eq!(
        listed["pagination"],
        json!({"total": 1, "limit": 1, "offset": 0})
    );
    assert_eq!(simulator.calls()[0].ids, [id]);
}

#[tokio::test]
async fn every_state_has_its_v3_word() {
    let (simulator, api) = start();
    simulator.set_mode(apono_simulator::Mode::Explicit);
    let id = api.one("prod-mfa").await;
    let word = async || {
        let shown = api.get(&format!("{V3}/{id}")).await.ok();
        shown["status"].as_str().unwrap().to_owned()
    };
    let expect = async |command: &str, expected: &str| {
        let command = serde_json::from_value(json!({"do": command})).unwrap();
        simulator.command(&id, &command).unwrap();
        assert_eq!(word().await, expected);
    };
    assert_eq!(word().await, "PENDING");
    expect("route", "PENDING").await;
    expect("pass-mfa", "PENDING").await;
    expect("approve", "APPROVED").await;
    expect("activate", "GRANTED").await;
    expect("revoke", "REVOKING").await;
    expect("finish-revoke", "EXPIRED").await;
}

#[tokio::test]
async fn a_v3_create_that_names_nothing_real_is_refused_and_makes_nothing() {
    let (simulator, api) = start();
    let with = |name: &str, value: Value| {
        let mut body = wish(ME);
        body[name] = value;
        body
    };
    for (body, code) in [
        (with("user_id", json!("nobody")), "UNKNOWN_USER"),
        (
            with("integration_id", json!("int-x")),
            "UNKNOWN_INTEGRATION",
        ),
        (with("resource_ids", json!(["orders"])), "UNKNOWN_RESOURCE"),
        (
            with("permissions", json!(["perm-db-read-only"])),
            "UNKNOWN_PERMISSION",
        ),
        (with("permissions", json!([])), "FIELD_MISSING"),
        (with("duration_in_sec", json!(0)), "INVALID_DURATION"),
        (with("justification", Value::Null), "BAD_REQUEST"),
    ] {
        assert_eq!(api.post(V3, &body).await.refused(400), code, "{body}");
    }
    assert!(simulator.requests().is_empty());
}

#[tokio::test]
async fn only_admins_and_service_accounts_name_other_users() {
    let (simulator, api) = start();
    let robot = Api::with_token(&simulator, Some("robot-token"));
    assert_eq!(api.post(V3, &wish(OTHER)).await.refused(403), "FORBIDDEN");
    let path = format!("{V3}?user_id={OTHER}");
    assert_eq!(api.get(&path).await.status, 403);
    let made = robot.post(V3, &wish(OTHER)).await.ok();
    let id = made["request_id"].as_str().unwrap();
    assert_eq!(robot.get(&path).await.ok()["data"], json!([made]));
    // A service account is nobody: the user himself asked.
    let other = Api::with_token(&simulator, Some(OTHER_TOKEN));
    assert_eq!(other.status(id).await, "Active");
    assert_eq!(api.get(&format!("{V3}/{id}")).await.status, 404);
    simulator.set_admin(ME, true).unwrap();
    assert_eq!(api.get(&format!("{V3}/{id}")).await.ok(), made);
}

#[tokio::test]
async fn a_bulk_revoke_revokes_all_or_nothing() {
    let (simulator, api) = start();
    let path = "/api/v3/access-requests-bulk/revoke";
    let [one, two] = [api.one("prod-read").await, api.one("prod-read").await];
    let body = json!({"request_ids": [one, "none", two]});
    assert_eq!(api.post(path, &body).await.refused(404), "NOT_FOUND");
    assert_eq!(api.status(&one).await, "Active");
    let body = json!({"request_ids": [one, two, one]});
    assert!(api.post(path, &body).await.ok()["message"].is_string());
    for id in [&one, &two] {
        assert_eq!(api.status(id).await, "Revoked");
    }
    let foreign = Api::with_token(&simulator, Some(OTHER_TOKEN));
    let mine = foreign.one("prod-read").await;
    let body = json!({"request_ids": [mine]});
    assert_eq!(api.post(path, &body).await.refused(403), "FORBIDDEN");
    assert_eq!(foreign.status(&mine).await, "Active");
}

#[tokio::test]
async fn what_is_selectable_is_what_flows_let_the_user_have() {
    let (_simulator, api) = start();
    let data = async |path: &str| api.get(&format!("{SELECTABLE}{path}")).await.ok();
    let expected = json!([{"id": "int-postgres-prod"}, {"id": "int-kubernetes-prod"}, {"id": "int-bucket-store"}]);
    assert_eq!(data("").await["data"], expected);
    assert_eq!(
        data("/int-kubernetes-prod/resource-types").await["data"],
        json!([{"id": "k8s-namespace", "name": "Kubernetes Namespace"}])
    );
    let permissions = data("/int-kubernetes-prod/k8s-namespace/permissions").await;
    assert_eq!(permissions["data"], json!(["View", "Edit"]));
    assert_eq!(permissions["allow_multiple"], false);
    let resources = data("/int-kubernetes-prod/k8s-namespace/resources").await;
    assert_eq!(
        ids(&resources["data"]),
        ["res-ns-checkout", "res-ns-shipping"]
    );
    assert_eq!(
        api.get(&format!("{SELECTABLE}/none/resource-types"))
            .await
            .status,
        404
    );
    assert_eq!(
        api.get(&format!("{SELECTABLE}?user_id={OTHER}"))
            .await
            .status,
        403
    );
}
