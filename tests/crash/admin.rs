//! The life of access for somebody else, through the admin API: asked for, granted, credentials
//! delivered, made anew, deleted. Its lists have no pages and its revokes go out together.

use apono_simulator::switches::Switches;
use serde_json::{Value, json};

use crate::{
    life::{Life, NAME, SECRET, shown, status},
    owed,
    support::World,
};

/// What the connection has to allow.
pub fn allowed() -> Value {
    json!({"allow": {"credentialsForOthers": true}})
}

/// Lives it.
pub async fn live(life: &mut Life) {
    let target = json!({
        "integration": "int-postgres-prod", "resourceType": "postgresql-database",
        "resources": ["res-orders", "res-billing"], "permissions": ["ReadOnly"]
    });
    let spec = json!({
        "access": {"integration": target}, "grantee": "alex@example.com", "duration": "1h",
        "credentials": {"secretName": SECRET}
    });
    life.world.ask(NAME, spec).await;
    let id = life.asked(1).await.remove(0).id;
    life.world.simulator.activate(&id).unwrap();
    delivered(life).await;
    life.gets_new_credentials().await;
    delivered(life).await;
    owed::knows_what_it_made(life).await;
    // Then the lists show nothing any more, and each request is read by its id.
    let cut = |switches: &mut Switches| switches.v3_list_cut = Some(0);
    life.world.simulator.set_switches(cut);
    life.goes().await;
}

/// Active, and the Secret holds the password that works.
async fn delivered(life: &mut Life) {
    life.until("access with credentials", async |world| {
        let found = world.get(NAME).await;
        let is_active = status(&found)["reason"] == "Active";
        let is_delivered = status(&found)["credentials"]["state"] == "Delivered";
        let is_current = holds_the_password(world).await;
        let is_so = is_active && is_delivered && is_current;
        let words = || format!("current: {is_current}, {}", shown(&found));
        is_so.then_some(()).ok_or_else(words)
    })
    .await;
}

async fn holds_the_password(world: &World) -> bool {
    let Some(secret) = world.secret(SECRET).await else {
        return false;
    };
    let details = secret.data.as_ref().and_then(|all| all.get("details"));
    let details = details.map(|one| String::from_utf8_lossy(&one.0).into_owned());
    let password = world.session(NAME).password().map(str::to_owned);
    details
        .zip(password)
        .is_some_and(|(details, password)| details.contains(&password))
}
