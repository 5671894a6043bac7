//! The life of an access request, from apply to gone: the operator's binary against a real
//! apiserver and the simulated remote.
//!
//! Rows are written as `support::row` shows them; they are those of the table of conditions.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "lifecycle/again.rs"]
mod again;
#[path = "lifecycle/allow.rs"]
mod allow;
#[path = "lifecycle/before.rs"]
mod before;
#[path = "lifecycle/cost.rs"]
mod cost;
#[path = "lifecycle/credentials.rs"]
mod credentials;
#[path = "lifecycle/delegated.rs"]
mod delegated;
#[path = "lifecycle/end.rs"]
mod end;
#[path = "lifecycle/grant.rs"]
mod grant;
#[path = "lifecycle/integration.rs"]
mod integration;
#[path = "lifecycle/many.rs"]
mod many;
#[path = "lifecycle/names.rs"]
mod names;
#[path = "lifecycle/revoke.rs"]
mod revoke;
#[path = "lifecycle/secrets.rs"]
mod secrets;
mod support;
#[path = "lifecycle/turns.rs"]
mod turns;
#[path = "lifecycle/undecodable.rs"]
mod undecodable;

use apono_operator::crd::AccessRequest;
use apono_simulator::{
    Fate,
    catalogue::{GrantFate, RevokeFate},
};
use serde_json::Value;
use support::World;

const ACTIVE: &str = "Ready=True:Active Synced=True -> Current";
const EXPIRED: &str = "Synced=True Complete=True:Expired -> Current";
const PENDING: &str = "Ready=False:PendingApproval Reconciling=True Synced=True -> InProgress";

/// The status as users read it.
fn status(resource: &AccessRequest) -> Value {
    serde_json::to_value(&resource.status).unwrap()
}

/// Active, and described: what it gives is read after it is known to be live.
async fn described(world: &World, name: &str) -> Value {
    let found = world.wait_for(name, "Active and described", |found| {
        let summary = &status(found)["entitlementSummary"];
        support::row(found) == ACTIVE
            && summary["granted"].is_u64()
            && !status(found)["grantee"].is_null()
    });
    status(&found.await)
}

fn sticky_grant() -> Fate {
    Fate {
        grant: GrantFate::Stick,
        ..Fate::default()
    }
}

fn sticky_revoke() -> Fate {
    Fate {
        revoke: RevokeFate::Stick,
        ..Fate::default()
    }
}
