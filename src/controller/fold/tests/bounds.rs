//! Whatever the remote says, the API server takes the status: every text and list is compared with
//! the bounds of the generated schema.

use kube::CustomResourceExt as _;
use serde_json::{Value, json};

use super::*;
use crate::{
    controller::{bounds::MOST_REQUESTS, plan::Step},
    crd::{AccessRequest, PostOutcome},
    marker::Nonce,
};

const LONG: usize = 5000;

/// Everything in it is as long as it can be, and its lists as well.
fn hostile(id: &str, word: &str, nonce: &Nonce) -> apono_client::AccessRequest {
    let text = "é".repeat(LONG);
    let types: Vec<_> = (0..300)
        .map(|n| json!({"id": format!("{n}{text}"), "label": text}))
        .collect();
    let group = |n: usize| {
        let integration = json!({"id": format!("{n}{text}"), "name": text});
        json!({"integration": integration, "resource_types": if n == 0 { &types[..] } else { &[] }})
    };
    let user = json!({"id": text, "source_id": text});
    let long = json!({
        "id": id, "status": word, "bundle": {"id": text, "name": text}, "requestor": user,
        "grantee": user, "access_groups": (0..120).map(group).collect::<Vec<_>>(),
    });
    apono_client::AccessRequest {
        justification: remote(id, word, nonce).justification,
        ..serde_json::from_value(long).unwrap()
    }
}

fn entitlement(n: usize) -> apono_client::Entitlement {
    let text = "é".repeat(LONG);
    serde_json::from_value(json!({
        "integration": {"id": text, "name": text},
        "resource": {
            "id": format!("{n}{text}"), "source_id": text, "type": {"id": text, "label": text},
            "name": text
        },
        "permission": {"name": text}, "status": text
    }))
    .unwrap()
}

fn status_schema() -> Value {
    let definition = serde_json::to_value(AccessRequest::crd()).unwrap();
    let version = &definition["spec"]["versions"][0];
    let schema = version["schema"]["openAPIV3Schema"]["properties"]["status"].clone();
    assert!(schema["properties"]["requests"]["maxItems"].is_u64());
    schema
}

/// Every bound that a value breaks, with its place.
fn broken(value: &Value, schema: &Value, place: &str) -> Vec<String> {
    let bound = |name: &str| schema[name].as_u64().map(|it| usize::try_from(it).unwrap());
    let mut all = Vec::new();
    let mut compare = |length: usize, least: &str, most: &str| {
        if bound(least).is_some_and(|it| length < it) || bound(most).is_some_and(|it| length > it) {
            all.push(format!("{place}: {length}"));
        }
        // What has no bound at all cannot be compared with it.
        if bound(most).is_none() && schema["enum"].is_null() && schema["format"].is_null() {
            all.push(format!("{place} has no {most}"));
        }
    };
    match value {
        Value::String(text) => compare(text.chars().count(), "minLength", "maxLength"),
        Value::Array(items) => {
            compare(items.len(), "minItems", "maxItems");
            let each = items.iter().enumerate();
            all.extend(
                each.flat_map(|(n, item)| broken(item, &schema["items"], &format!("{place}[{n}]"))),
            );
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let place = format!("{place}.{name}");
                let schema = &schema["properties"][name];
                assert!(!schema.is_null(), "{place} is not in the schema");
                all.extend(broken(field, schema, &place));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    all
}

fn assert_storable(world: &World) {
    let status = serde_json::to_value(world.status()).unwrap();
    let broken = broken(&status, &status_schema(), "status");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn whatever_the_remote_says_the_status_can_be_stored() {
    for word in ["Active", &"é".repeat(LONG)] {
        let mut world = world();
        world.resource.spec.access.bundle = Some("b".repeat(LONG));
        let nonce = world.ask(|nonce| Reply::Made(vec![hostile("r1", word, nonce)]));
        assert_storable(&world);
        world.see(hostile("r1", word, &nonce));
        let read = (0..150).map(entitlement).collect();
        world.observed.entitlements.insert("r1".to_owned(), read);
        world.observed.view.health.failed_rounds = 9;
        world.observed.view.health.error = Some("é".repeat(LONG));
        world.fold(&Outcome::Nothing);
        assert_storable(&world);
        assert!(world.status().entitlement_summary.unwrap().truncated);
        assert_eq!(world.status().access_groups.len(), 50);
        let refusal = Some(Refusal {
            status: Some(500),
            message: "é".repeat(LONG),
        });
        let tried = RevokeTry {
            count: 9,
            failures: 9,
            last: world.now,
            refusal,
        };
        let mut world = world.deleted();
        world.observed.memory.revokes.insert("r1".to_owned(), tried);
        world.fold(&Outcome::Nothing);
        assert_storable(&world);
    }
    let mut world = world();
    world.ask(|_| Reply::Refused("é".repeat(LONG)));
    assert_storable(&world);
}

#[test]
fn a_user_with_an_endless_id_is_still_the_one_who_asked() {
    let (mut world, nonce) = asked("Active");
    world.see(hostile("r1", "Active", &nonce));
    world.observed.view.identity = Some("é".repeat(LONG));
    world.fold(&Outcome::Nothing);
    let mut world = world.deleted();
    world.lose("r1", 3, 30);
    assert_eq!(world.plan().step, Step::Release);
}

#[test]
fn what_has_no_place_in_the_status_is_said_and_is_taken_back_on_deletion() {
    let long = "x".repeat(1025);
    let many: Vec<_> = (0..=MOST_REQUESTS).map(|n| format!("r{n}")).collect();
    for ids in [vec!["r1".to_owned(), long], many] {
        let mut world = world();
        let (ledger, nonce) = world.mark();
        for id in &ids {
            world.find(&nonce, id, "Active");
        }
        let made = ids.iter().map(|id| remote(id, "Active", &nonce));
        world.fold(&Outcome::Posted {
            ledger,
            nonce: nonce.clone(),
            sent_at: world.now,
            reply: Reply::Made(made.collect()),
        });
        assert_storable(&world);
        let status = world.status();
        assert_eq!(status.requests.len(), ids.len() - 1);
        assert_eq!(
            status.attempt.unwrap().posts[0].outcome,
            Some(PostOutcome::Open)
        );
        assert!(status.message.unwrap().contains("cannot be kept"));
        assert_eq!(world.plan().step, Step::Wait, "and nothing is asked again");
        assert!(world.plan().requeue.is_none_or(|wait| !wait.is_zero()));

        let mut world = world.after(Duration::from_mins(1));
        world.look();
        world.fold(&Outcome::Nothing);
        assert_eq!(world.plan().step, Step::Wait);
        let mut world = world.deleted();
        let (last, rest) = ids.split_last().unwrap();
        for id in rest {
            world.find(&nonce, id, "Rejected");
        }
        let revoke = Step::Revoke { id: last.clone() };
        assert_eq!(world.plan().step, revoke);
        world.fold(&Outcome::Nothing);
        world.find(&nonce, last, "Revoked");
        assert_eq!(world.plan().step, Step::Release);
    }
}

#[test]
fn many_requests_that_ended_are_no_news_again_and_again() {
    let mut world = world();
    let nonce = world.ask(|nonce| {
        Reply::Made(
            (0..60)
                .map(|n| remote(&format!("r{n}"), "Rejected", nonce))
                .collect(),
        )
    });
    for n in 0..60 {
        world.find(&nonce, &format!("r{n}"), "Rejected");
    }
    world.fold(&Outcome::Nothing);
    assert_eq!(world.status().requests.len(), 20);
    let wait = world.plan().requeue;
    assert!(wait.is_none_or(|wait| !wait.is_zero()), "{wait:?}");
}
