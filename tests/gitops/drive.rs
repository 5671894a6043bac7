//! How each state is reached. What can live side by side lives in one world; what changes the remote
//! for all has one of its own.

use apono_simulator::{
    Action, DEFAULT_USER, Fate, Fault, When,
    catalogue::{GrantFate, RevokeFate},
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{CONNECTION, Setup, World};

const ACTIVE: &str = "Ready=True:Active Synced=True -> Current";
const PENDING: &str = "Ready=False:PendingApproval Reconciling=True Synced=True -> InProgress";

type Driven = Vec<(&'static str, Value)>;

/// As the apiserver stores it.
pub fn stored(world: &World, kind: &str, name: &str) -> Value {
    let text = world.cluster.kubectl(&["get", kind, name, "-o", "json"]);
    serde_json::from_str(&text).unwrap()
}

/// Waits for the row, and keeps what is stored then.
async fn keep(world: &World, driven: &mut Driven, name: &'static str, row: &str) {
    world.wait_row(name, row).await;
    driven.push((name, stored(world, "accreq", name)));
}

/// Every state, each once.
pub async fn all() -> Driven {
    let mut driven = Driven::new();
    let (first, second, third, fourth) = tokio::join!(side_by_side(), slow(), silent(), locked());
    for part in [first, second, third, fourth] {
        driven.extend(part);
    }
    driven
}

fn spec(bundle: &str, more: Value) -> Value {
    let mut spec = json!({"access": {"bundle": bundle}});
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
        spec.extend(more);
    }
    spec
}

fn fate(grant: GrantFate, revoke: RevokeFate) -> Fate {
    Fate { grant, revoke }
}

/// Brings the planned end this near.
fn end_in(world: &World, name: &str, seconds: i64) {
    let remote = world.only_remote(name);
    let left = remote
        .planned_end
        .unwrap()
        .duration_since(world.simulator.now());
    let by = SignedDuration::from_secs(seconds - left.as_secs());
    world.simulator.extend(&remote.id, by).unwrap();
}

async fn side_by_side() -> Driven {
    let mut driven = Driven::new();
    let setup = Setup::default()
        .remote(|remote| remote.switches.revoke_retry = true)
        .connection(json!({"allow": {"grantees": ["self"]}}));
    let mut world = World::new(setup.stopped()).await;
    world.ask("unseen", spec("prod-read", json!({}))).await;
    driven.push(("unseen", stored(&world, "accreq", "unseen")));
    world.operator.start();
    let world = &world;
    ask_all(world).await;
    move_all(world).await;
    for (name, row) in ROWS {
        keep(world, &mut driven, name, row).await;
    }
    crate::argocd::actions_are_heeded(world).await;
    driven
}

/// One request for each state that a world can hold beside others.
async fn ask_all(world: &World) {
    // So long before the end that a slow machine sees it; see where the end is brought near.
    let renewal = json!({"renewal": {"before": "5m", "maxRenewals": 3}});
    let elsewhere = json!({"connectionRef": {"kind": "AponoConnection", "name": "none"}});
    for (name, bundle, more) in [
        ("pending", "prod-admin", json!({})),
        ("second-factor", "prod-mfa", json!({})),
        ("granting", "prod-admin", json!({})),
        ("active", "prod-read", json!({})),
        ("renewing", "prod-admin", renewal),
        ("delivering", "prod-read", json!({})),
        ("rejected", "prod-admin", json!({})),
        ("grant-failed", "broken-grant", json!({})),
        ("timed-out", "prod-admin", json!({"pendingTimeout": "2s"})),
        ("expired", "prod-read", json!({})),
        ("revoked", "prod-read", json!({})),
        ("revoked-upstream", "prod-read", json!({})),
        ("no-connection", "prod-read", elsewhere),
        (
            "not-allowed",
            "prod-read",
            json!({"grantee": "alex@example.com"}),
        ),
        ("not-available", "no-such-bundle", json!({})),
        ("suspended", "prod-read", json!({"suspend": true})),
        ("going", "prod-read", json!({})),
        ("stuck", "stuck-revoke", json!({})),
    ] {
        world.ask(name, spec(bundle, more)).await;
    }
    let pair = json!([{"resourceId": "res-none", "permissionId": "perm-db-read-only"}]);
    world
        .ask("refused", json!({"access": {"entitlements": pair}}))
        .await;
}

/// What is live is moved on; what needs a hand is given one.
async fn move_all(world: &World) {
    for name in ["renewing", "granting", "rejected"] {
        world.wait_row(name, PENDING).await;
        let id = world.only_remote(name).id;
        if name == "granting" {
            let sticky = fate(GrantFate::Stick, RevokeFate::default());
            world.simulator.fate(&id, sticky).unwrap();
        }
        match name {
            "rejected" => world.simulator.reject(&id, Some("not today")).unwrap(),
            _ => world.simulator.approve(&id).unwrap(),
        };
    }
    for name in [
        "active",
        "delivering",
        "expired",
        "revoked",
        "revoked-upstream",
        "going",
        "stuck",
    ] {
        world.wait_row(name, ACTIVE).await;
    }
    world.wait_row("renewing", ACTIVE).await;
    // Longer than the time before, or else it would be renewed at half its time.
    end_in(world, "renewing", 305);
    end_in(world, "expired", 6);
    let session = world.session("delivering").id;
    world.simulator.view_session(&session).unwrap();
    let secret = json!({"spec": {"credentials": {"secretName": "orders-db"}}});
    world.patch("delivering", secret).await;
    let token = json!({"metadata": {"annotations": {"access.apono.io/revoke": "now"}}});
    world.patch("revoked", token).await;
    let id = world.only_remote("revoked-upstream").id;
    world.simulator.revoke(&id).unwrap();
    let id = world.only_remote("going").id;
    let sticky = fate(GrantFate::default(), RevokeFate::Stick);
    world.simulator.fate(&id, sticky).unwrap();
    world.delete("going").await;
    world.delete("stuck").await;
}

/// In which rows they are then.
const ROWS: [(&str, &str); 19] = [
    ("pending", PENDING),
    (
        "second-factor",
        "Ready=False:PendingMFA Reconciling=True Synced=True -> InProgress",
    ),
    (
        "granting",
        "Ready=False:Granting Reconciling=True Synced=True -> InProgress",
    ),
    ("active", ACTIVE),
    ("renewing", "Ready=True:Renewing Synced=True -> Current"),
    (
        "delivering",
        "Ready=False:DeliveringCredentials Reconciling=True Synced=True -> InProgress",
    ),
    (
        "refused",
        "Ready=False:RequestRefused Stalled=True Synced=True -> Failed",
    ),
    (
        "rejected",
        "Ready=False:Rejected Stalled=True Synced=True -> Failed",
    ),
    (
        "grant-failed",
        "Ready=False:GrantFailed Stalled=True Synced=True -> Failed",
    ),
    (
        "timed-out",
        "Ready=False:ApprovalTimedOut Stalled=True Synced=True -> Failed",
    ),
    ("expired", "Synced=True Complete=True:Expired -> Current"),
    ("revoked", "Synced=True Complete=True:Revoked -> Current"),
    (
        "revoked-upstream",
        "Ready=False:RevokedUpstream Stalled=True Synced=True -> Failed",
    ),
    (
        "no-connection",
        "Ready=False:ConnectionNotFound Stalled=True Synced=False -> Failed",
    ),
    (
        "not-allowed",
        "Ready=False:NotAllowed Stalled=True Synced=False -> Failed",
    ),
    (
        "not-available",
        "Ready=False:NotAvailable Stalled=True Synced=False -> Failed",
    ),
    (
        "suspended",
        "Ready=False:Suspended Synced=True -> InProgress",
    ),
    (
        "going",
        "Ready=True:Active Reconciling=True Synced=True -> Terminating",
    ),
    (
        "stuck",
        "Ready=False:RevokeFailed Stalled=True Synced=True -> Terminating",
    ),
];

/// A remote that moves nothing by itself, and one of another version.
async fn slow() -> Driven {
    let mut driven = Driven::new();
    let world = &World::new(Setup::explicit()).await;
    world.ask("submitting", spec("prod-read", json!({}))).await;
    let row = "Ready=False:Submitting Reconciling=True Synced=Unknown -> InProgress";
    keep(world, &mut driven, "submitting", row).await;

    let world = &World::new(Setup::default().remote(|remote| {
        let words = &mut remote.switches.request_words;
        words.insert("Active".to_owned(), "Humming".to_owned());
    }))
    .await;
    world
        .ask("unknown-word", spec("prod-read", json!({})))
        .await;
    let row = "Ready=Unknown:UnknownStatus Reconciling=True Synced=True -> InProgress";
    keep(world, &mut driven, "unknown-word", row).await;
    driven
}

/// A remote that answers nothing any more.
async fn silent() -> Driven {
    let mut driven = Driven::new();
    let polling = json!({"fast": "100ms", "pending": "200ms", "active": "5s"});
    let world = &World::new(Setup::default().connection(json!({"polling": polling}))).await;
    for name in ["unreachable", "stale"] {
        world.ask(name, spec("prod-read", json!({}))).await;
        world.wait_row(name, ACTIVE).await;
    }
    // What waits for people keeps the reads coming, so that it is known long before it is stale.
    world.ask("waiting", spec("prod-admin", json!({}))).await;
    world.wait_row("waiting", PENDING).await;
    let broken = Action::Answer {
        status: 500,
        retry_after: None,
        body: None,
        when: When::Before,
    };
    world.simulator.arm(Fault::new(broken));
    keep(
        world,
        &mut driven,
        "unreachable",
        "Ready=True:Active Synced=False -> Current",
    )
    .await;
    let row = "Ready=Unknown:StatusStale Reconciling=True Synced=False -> InProgress";
    keep(world, &mut driven, "stale", row).await;
    driven
}

/// A token that is refused, before anything is asked and after.
async fn locked() -> Driven {
    let mut driven = Driven::new();
    let world = &World::new(Setup::default()).await;
    world
        .ask("unauthorized-live", spec("prod-read", json!({})))
        .await;
    world.wait_row("unauthorized-live", ACTIVE).await;
    let other = vec!["another-token".to_owned()];
    world.simulator.set_tokens(DEFAULT_USER, other).unwrap();
    world
        .wait_connection(CONNECTION, "False", "Unauthorized")
        .await;
    world
        .ask("unauthorized", spec("prod-read", json!({})))
        .await;
    let row = "Ready=True:Active Stalled=True Synced=False -> Failed";
    keep(world, &mut driven, "unauthorized-live", row).await;
    let row = "Ready=False:Unauthorized Stalled=True Synced=False -> Failed";
    keep(world, &mut driven, "unauthorized", row).await;
    driven
}
