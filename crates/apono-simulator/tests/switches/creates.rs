//! Switches of creates.

use apono_simulator::Command;
use apono_simulator::catalogue::{Approval, Flow};
use serde_json::json;

use crate::set;
use crate::support::{OTHER, OWN, V3, start};

#[tokio::test]
async fn a_justification_is_kept_trimmed_cut_or_refused() {
    let (simulator, api) = start();
    set(&simulator, "justification-length", "5");
    let body = json!({"bundle_reference": "prod-read", "justification": " äbcdefg "});
    for (word, expected) in [
        ("kept", " äbcdefg "),
        ("trimmed", "äbcdefg"),
        ("cut", " äbcd"),
    ] {
        set(&simulator, "justification", word);
        assert_eq!(api.create(&body).await.ok()[0]["justification"], expected);
    }
    set(&simulator, "justification", "refused");
    assert_eq!(
        api.create(&body).await.refused(400),
        "JUSTIFICATION_TOO_LONG"
    );
}

#[tokio::test]
async fn a_repeated_create_is_accepted_or_refused_while_the_first_has_not_ended() {
    let (simulator, api) = start();
    let first = api.one("prod-read").await;
    let body = json!({"bundle_reference": "prod-read"});
    for (word, expected) in [("bad-request", 400), ("conflict", 409)] {
        set(&simulator, "duplicate", word);
        assert_eq!(
            api.create(&body).await.refused(expected),
            "DUPLICATE_REQUEST"
        );
    }
    api.revoke(&first).await.ok();
    api.create(&body).await.ok();
    set(&simulator, "duplicate", "accept");
    api.create(&body).await.ok();
}

#[tokio::test]
async fn malformed_creates_pass_with_their_switches() {
    let (simulator, api) = start();
    let bare = json!({"bundle_reference": "prod-read"});
    set(&simulator, "missing-custom-fields", "accept");
    api.post(OWN, &bare).await.ok();
    let pairs = json!([{"resource_id": "res-invoices", "permission_id": "perm-bucket-read"}]);
    let both = json!({"bundle_reference": "prod-read", "entitlements": pairs});
    assert_eq!(api.create(&both).await.status, 400);
    set(&simulator, "both-targets", "accept");
    assert_eq!(
        api.create(&both).await.ok()[0]["bundle"]["name"],
        "prod-read"
    );
    let foreign = json!({"bundle_reference": "prod-read", "custom_fields": {"colour": "red"}});
    api.create(&foreign).await.ok();
    set(&simulator, "unknown-custom-field", "bad-request");
    assert_eq!(api.create(&foreign).await.refused(400), "UNKNOWN_FIELD");
}

#[tokio::test]
async fn entitlements_of_one_create_are_capped_or_not() {
    let (simulator, api) = start();
    let pair = |name: &str| json!({"resource_id": name, "permission_id": "perm-db-read-only"});
    let body = json!({"entitlements": [pair("res-orders"), pair("res-billing")]});
    api.create(&body).await.ok();
    set(&simulator, "entitlement-cap", "1");
    assert_eq!(
        api.create(&body).await.refused(400),
        "TOO_MANY_ENTITLEMENTS"
    );
}

#[tokio::test]
async fn when_one_flow_refuses_nothing_or_the_rest_is_created() {
    let (simulator, api) = start();
    let body = json!({"entitlements": [
        {"resource_id": "res-invoices", "permission_id": "perm-bucket-read"},
        {"resource_id": "res-orders", "permission_id": "perm-db-read-write"},
    ]});
    assert_eq!(api.create(&body).await.status, 400);
    set(&simulator, "flow-refusal", "accept-rest");
    assert_eq!(api.create(&body).await.ok().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn asking_again_depends_on_the_state_and_the_justification_by_switch() {
    let (simulator, api) = start();
    let id = api.one("prod-admin").await;
    let path = format!("{OWN}/{id}/request-again");
    let body = json!({"custom_fields": {}});
    assert_eq!(
        api.post(&path, &body).await.ok()[0]["justification"],
        "a reason"
    );
    set(&simulator, "again-unended", "conflict");
    assert_eq!(api.post(&path, &body).await.refused(409), "NOT_ENDED");
    simulator
        .command(&id, &Command::Reject { reason: None })
        .unwrap();
    api.post(&path, &body).await.ok();
    set(&simulator, "again-justification", "as-sent");
    assert_eq!(api.post(&path, &body).await.refused(400), "FIELD_MISSING");
}

#[tokio::test]
async fn a_duration_is_optional_or_required() {
    let (simulator, api) = start();
    let mut body = json!({"bundle_reference": "prod-read"});
    api.create(&body).await.ok();
    set(&simulator, "duration-required", "true");
    assert_eq!(api.create(&body).await.refused(400), "INVALID_DURATION");
    body["duration_in_sec"] = json!(60);
    api.create(&body).await.ok();
}

#[tokio::test]
async fn a_type_of_one_permission_takes_several_on_v4_or_not_and_never_on_v3() {
    let (simulator, api) = start();
    let pair =
        |permission: &str| json!({"resource_id": "res-ns-checkout", "permission_id": permission});
    let body = json!({"entitlements": [pair("perm-ns-view"), pair("perm-ns-edit")]});
    api.create(&body).await.ok();
    set(&simulator, "single-permission-on-v4", "bad-request");
    assert_eq!(api.create(&body).await.refused(400), "SEVERAL_PERMISSIONS");
    let body = json!({"user_id": "operator@example.com", "integration_id": "int-kubernetes-prod",
        "resource_ids": ["res-ns-checkout"], "permissions": ["View", "Edit"], "justification": "x"});
    let reply = api.post(V3, &body).await;
    assert_eq!(reply.refused(400), "SEVERAL_PERMISSIONS");
}

#[tokio::test]
async fn asking_again_is_judged_by_the_flow_as_it_is_then() {
    let (simulator, api) = start();
    let id = api.one("prod-read").await;
    let again = async || api.again(&id, json!({"custom_fields": {}})).await;
    again().await.ok();
    let change = |approval| move |flow: &mut Flow| flow.approval = approval;
    simulator
        .edit_flow("prod-read", change(Approval::Human))
        .unwrap();
    assert_eq!(again().await.ok()[0]["status"], "Pending");
    simulator
        .edit_flow("prod-read", |flow| flow.requestors = vec![OTHER.to_owned()])
        .unwrap();
    // The bundle has no flow of its own for this user now; that of its parts decides.
    assert_eq!(again().await.ok()[0]["status"], "Active");
    simulator
        .edit_flow("databases-read", |flow| flow.request_for.clear())
        .unwrap();
    assert_eq!(again().await.refused(403), "FORBIDDEN");
}
