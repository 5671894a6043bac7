//! A request of the admin API whose object this version cannot read: it is released like any other,
//! with what the admin API was asked for.

use apono_simulator::{
    Action, Endpoint, Fault, When,
    switches::{V3Others, Visibility},
};
use serde_json::json;

use crate::{
    ACTIVE,
    support::{Setup, World, eventually},
};

/// A time the apiserver takes for one, and this version does not: an offset of 99 hours.
const NO_TIME: &str = "2026-11-23T12:00:00+99:59";

/// The newer API shows nothing of what was asked on the older one.
async fn world() -> World {
    let setup = Setup::default().setting("REMOTE_TIMEOUT", "1s");
    World::new(setup.remote(|remote| {
        remote.switches.v3_others = V3Others::Anyone;
        remote.switches.v3_made_on_v4 = Visibility::Hidden;
    }))
    .await
}

async fn ask(world: &World) {
    let target = json!({
        "integration": "int-postgres-prod", "resourceType": "postgresql-database",
        "resources": ["res-orders"], "permissions": ["ReadOnly"]
    });
    let spec = json!({
        "access": {"integration": target}, "grantee": "alex@example.com", "duration": "1h"
    });
    world.ask("odd", spec).await;
}

fn garble(world: &World) {
    let patch = json!({"status": {"endsAt": NO_TIME}}).to_string();
    let arguments = ["patch", "accreq", "odd", "--subresource=status"];
    let arguments = [&arguments[..], &["--type=merge", "-p", &patch]].concat();
    world.cluster.kubectl(&arguments);
}

fn delete(world: &World) {
    let kubectl = |arguments: &[&str]| world.cluster.kubectl(arguments);
    kubectl(&["delete", "accreq", "odd", "--wait=false"]);
}

async fn gone(world: &World) {
    let kubectl = |arguments: &[&str]| world.cluster.kubectl(arguments);
    eventually("it is gone", async || {
        let left = kubectl(&["get", "accreq", "-o", "name"]);
        let missing = || format!("{left}\n{}", world.last_words());
        left.trim().is_empty().then_some(()).ok_or_else(missing)
    })
    .await;
}

#[tokio::test]
async fn what_it_holds_goes_by_a_bulk_revoke() {
    let world = world().await;
    ask(&world).await;
    world.wait_row("odd", ACTIVE).await;
    garble(&world);
    world.wait_event("odd", "Undecodable").await;
    world.assert_live(1);
    delete(&world);
    gone(&world).await;
    world.assert_live(0);
    assert_eq!(world.calls(Endpoint::V3BulkRevoke), 1);
    assert_eq!(world.calls(Endpoint::Revoke), 0);
    world.end().await;
}

#[tokio::test]
async fn what_a_lost_answer_made_is_looked_for_where_it_was_asked() {
    let mut world = world().await;
    let when = When::After;
    let hangs = Fault::new(Action::Hang { when }).at(Endpoint::V3Create);
    world.simulator.arm(hangs.once());
    ask(&world).await;
    world.wait_remote("odd", 1).await;
    world.operator.kill();
    garble(&world);
    delete(&world);
    world.operator.start();
    gone(&world).await;
    world.only_remote("odd");
    world.assert_live(0);
    assert_eq!(world.calls(Endpoint::V3BulkRevoke), 1);
    world.end().await;
}
