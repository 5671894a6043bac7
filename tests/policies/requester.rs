//! From the apiserver's stamp to Apono: who asked is told in the field that the connection names,
//! and nobody can tell another.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    ALEX, DANA, PATIENCE, STAMP,
    in_force::InForce,
    shipped::{Said, try_kubectl},
    support::{CONNECTION, Setup, World},
};

const ACTIVE: &str = "Ready=True:Active Synced=True -> Current";
const REVOKED: &str = "Synced=True Complete=True:Revoked -> Current";
const NOT_ALLOWED: &str = "Ready=False:NotAllowed Stalled=True Synced=False -> Failed";
const FIELD: &str = "requested_by";

/// What this user writes, a forged stamp included, with these custom fields.
fn asked(here: &InForce, name: &str, custom_fields: &Value) -> Value {
    let mut object = here.request(
        name,
        &json!({
            "access": {"bundle": "prod-read"}, "justification": "stuck orders",
            "connectionRef": {"kind": "AponoConnection", "name": CONNECTION},
            "customFields": custom_fields
        }),
    );
    object["metadata"]["annotations"] = json!({STAMP: ALEX});
    object
}

fn try_create(user: &str, object: &Value, more: &[&str]) -> Said {
    let who = format!("--as={user}");
    let how = ["create", "-o", "json", "-f", "-", &*who];
    try_kubectl(&[&how[..], more].concat(), &object.to_string())
}

fn create(user: &str, object: &Value) {
    let said = try_create(user, object, &[]);
    assert!(said.is_success, "{user} {object}: {}", said.errors);
}

/// Waits until the apiserver stamps. The policy that keeps the stamp may be in force a moment earlier,
/// and refuses what is not stamped.
fn stamps(here: &InForce) {
    let started = Instant::now();
    let object = asked(here, "tried", &json!({"ticket": "INC-42"}));
    loop {
        let said = try_create(DANA, &object, &["--dry-run=server"]);
        let found: Value = serde_json::from_str(&said.output).unwrap_or_default();
        if found["metadata"]["annotations"][STAMP] == DANA {
            return;
        }
        let elapsed = started.elapsed();
        assert!(elapsed < PATIENCE, "no stamp is written: {}", said.errors);
    }
}

fn annotate(here: &InForce, user: &str, name: &str, annotation: &str) {
    let word = format!("access.apono.io/{annotation}=now");
    let said = here.act(user, &["annotate", "accessrequest", name, &word]);
    assert!(said.is_success, "{}", said.errors);
}

/// The custom fields of the newest request at Apono.
fn told(world: &World, name: &str) -> Value {
    json!(world.remote(name).last().expect("asked").custom_fields)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asked_reaches_apono_and_nobody_can_say_another() {
    let identity = json!({"identity": {"customField": FIELD}});
    let world = World::new(Setup::default().connection(identity)).await;
    // Before the policy there is no stamp, and nothing is told.
    let ticket = json!({"ticket": "INC-42"});
    let spec = json!({"access": {"bundle": "prod-read"}, "customFields": ticket});
    world.ask("before", spec).await;
    world.wait_row("before", ACTIVE).await;
    assert_eq!(told(&world, "before"), ticket);

    let here = InForce::within(world.cluster.namespace.clone(), &["stamped-requester"]);
    stamps(&here);
    create(DANA, &asked(&here, "orders", &ticket));
    world.wait_row("orders", ACTIVE).await;
    let dana = json!({"ticket": "INC-42", FIELD: DANA});
    assert_eq!(told(&world, "orders"), dana);

    // Who asks again is not who asked: the stamp tells who created it.
    annotate(&here, ALEX, "orders", "revoke");
    world.wait_row("orders", REVOKED).await;
    annotate(&here, ALEX, "orders", "request-again");
    world.wait_row("orders", ACTIVE).await;
    assert_eq!(world.remote("orders").len(), 2);
    assert_eq!(told(&world, "orders"), dana);

    // The field is the connection's, whoever it names.
    for (name, value) in [("forged", ALEX), ("true", DANA)] {
        create(DANA, &asked(&here, name, &json!({FIELD: value})));
        let found = world.wait_row(name, NOT_ALLOWED).await;
        let message = found.status.and_then(|status| status.message).unwrap();
        let words = format!("spec.customFields sets `{FIELD}` to `{value}`");
        assert!(message.starts_with(&words), "{message}");
        assert!(world.remote(name).is_empty());
    }
    drop(here);
    world.end().await;
}
