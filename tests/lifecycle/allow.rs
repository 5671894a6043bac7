//! What a connection allows: every rule refuses before anything is asked, and says what to do.

use apono_simulator::{DEFAULT_USER, Endpoint};
use serde_json::{Value, json};

use crate::{
    ACTIVE, status,
    support::{CONNECTION, Setup, World},
};

const NOT_ALLOWED: &str = "Ready=False:NotAllowed Stalled=True Synced=False -> Failed";

impl World {
    /// A further connection with the token of the first, and this in its spec.
    pub async fn connect_as(&self, name: &str, mut spec: Value) {
        spec["correlation"] = json!({"settle": "1s"});
        spec["polling"] = json!({"fast": "100ms", "pending": "200ms", "active": "300ms"});
        self.store_token(name, &self.token).await;
        self.connect(name, &self.simulator.url(), spec).await;
        self.wait_connection(name, "True", "Ready").await;
    }

    /// Asks through the connection of the same name.
    async fn ask_through(&self, name: &str, mut spec: Value) {
        spec["connectionRef"] = json!({"kind": "AponoConnection", "name": name});
        self.ask(name, spec).await;
    }

    /// Waits until it is not allowed, and gives the message.
    async fn refusal(&self, name: &str) -> String {
        let found = self.wait_row(name, NOT_ALLOWED).await;
        let shown = status(&found);
        assert_eq!(shown["phase"], "Failed", "{shown:#}");
        shown["message"].as_str().unwrap().to_owned()
    }

    /// How often the remote was asked for anything but what connections ask by themselves.
    fn questions(&self) -> usize {
        let asked = [
            Endpoint::Create,
            Endpoint::V3Create,
            Endpoint::AvailableBundles,
            Endpoint::AvailableEntitlements,
            Endpoint::SelectableIntegrations,
        ];
        asked.into_iter().map(|endpoint| self.calls(endpoint)).sum()
    }
}

fn bundle() -> Value {
    json!({"bundle": "prod-read"})
}

#[tokio::test]
async fn what_the_spec_alone_tells_is_refused_without_a_call() {
    let world = World::new(Setup::default().unconnected()).await;
    let pairs = json!({"entitlements": [
        {"resourceId": "res-orders", "permissionId": "perm-db-read-only"}
    ]});
    let renewed = json!({"before": "5m", "maxRenewals": 4});
    let others = json!({"secretName": "theirs"});
    for (name, allow, spec, words) in [
        (
            "access",
            json!({"access": ["Bundle"]}),
            json!({"access": pairs}),
            "spec.allow.access allows `Bundle`",
        ),
        (
            "bundles",
            json!({"bundles": ["prod-*"]}),
            json!({"access": pairs}),
            "spec.allow.bundles, which alone allows Bundle only",
        ),
        (
            "grantees",
            json!({"grantees": ["self", "*@example.org"]}),
            json!({"access": bundle(), "grantee": "alex@example.com"}),
            "spec.allow.grantees allows `self`, `*@example.org`",
        ),
        (
            "self",
            json!({"grantees": ["*@example.com"]}),
            json!({"access": bundle()}),
            "spec.grantee is absent",
        ),
        (
            "duration",
            json!({"maxDuration": "1h"}),
            json!({"access": bundle()}),
            "spec.duration is absent, and the connection's spec.allow.maxDuration is `1h`",
        ),
        (
            "renewals",
            json!({"maxDuration": "8h"}),
            json!({"access": bundle(), "duration": "2h", "renewal": renewed}),
            "4 renewals of it are longer together than allowed",
        ),
        (
            "justification",
            json!({}),
            json!({"access": bundle(), "justification": null}),
            "spec.justification is absent",
        ),
        (
            "integrations",
            json!({"integrations": ["postgres-*"]}),
            json!({"access": bundle()}),
            "to be set in the connection's spec.allow.bundles",
        ),
        (
            "credentials",
            json!({}),
            json!({"access": bundle(), "grantee": "alex@example.com", "credentials": others}),
            "spec.allow.credentialsForOthers: true",
        ),
    ] {
        world.connect_as(name, json!({ "allow": allow })).await;
        world.ask_through(name, spec).await;
        let told = world.refusal(name).await;
        assert!(told.contains(words), "{name}: no {words:?} in: {told}");
        let note = world.wait_event(name, "NotAllowed").await;
        assert!(note.contains(words), "{name}: {note}");
    }
    assert_eq!(world.questions(), 0, "{:?}", world.simulator.counters());
    world.end().await;
}

#[tokio::test]
async fn names_are_compared_as_apono_gives_them() {
    let world = World::new(Setup::default()).await;
    let only = json!({"bundles": ["prod-read", "bundle-*"], "integrations": ["postgres-*"],
        "access": ["Bundle", "Entitlements"]});
    world.connect_as("named", json!({ "allow": only })).await;
    let through = json!({"kind": "AponoConnection", "name": "named"});
    let pair = |resource: &str, permission: &str| json!({"entitlements": [{"resourceId": resource, "permissionId": permission}]});
    let by_name = json!({"entitlements": [
        {"integration": "kubernetes-prod", "resource": "checkout", "permission": "View"}
    ]});
    for (name, access, words) in [
        // The id fits a pattern, and its name does not.
        (
            "by-id",
            json!({"bundle": "bundle-prod-admin"}),
            "the bundle is `prod-admin` at Apono",
        ),
        (
            "by-case",
            json!({"bundle": "PROD-ADMIN"}),
            "the bundle is `prod-admin` at Apono",
        ),
        (
            "raw-ids",
            pair("res-ns-checkout", "perm-ns-view"),
            "the integration is `kubernetes-prod` at Apono",
        ),
        (
            "by-names",
            by_name,
            "spec.allow.integrations allows `postgres-*`",
        ),
    ] {
        let spec = json!({"access": access, "connectionRef": through});
        world.ask(name, spec).await;
        let told = world.refusal(name).await;
        assert!(told.contains(words), "{name}: no {words:?} in: {told}");
    }
    assert_eq!(world.calls(Endpoint::Create), 0);
    // Ids that nobody offers have no name to compare, and what is near is not told beyond the rules.
    let row = "Ready=False:NotAvailable Stalled=True Synced=False -> Failed";
    for (name, access) in [
        ("no-ids", pair("res-none", "perm-ns-view")),
        ("no-name", json!({"bundle": "prod-reads"})),
    ] {
        let spec = json!({"access": access, "connectionRef": through});
        world.ask(name, spec).await;
        let found = world.wait_row(name, row).await;
        let told = status(&found)["message"].to_string();
        assert!(told.contains("offers no such"), "{told}");
        for beyond in ["prod-admin", "res-ns-"] {
            assert!(!told.contains(beyond), "{told}");
        }
    }
    for (name, access) in [
        ("good-bundle", json!({"bundle": "bundle-prod-read"})),
        ("good-ids", pair("res-orders", "perm-db-read-only")),
    ] {
        let spec = json!({"access": access, "connectionRef": through});
        world.ask(name, spec).await;
        world.wait_row(name, ACTIVE).await;
    }
    let found = status(&world.get("good-ids").await);
    let integration = json!({"id": "int-postgres-prod", "name": "postgres-prod"});
    assert_eq!(found["resolved"]["integrations"], json!([integration]));
    world.end().await;
}

#[tokio::test]
async fn what_is_allowed_is_asked_for() {
    let world = World::new(Setup::default().unconnected()).await;
    let all = json!({
        "access": ["Bundle"], "bundles": ["prod-*"], "grantees": ["self", "*@EXAMPLE.com"],
        "maxDuration": "8h", "requireJustification": false, "credentialsForOthers": true
    });
    world.connect_as("all", json!({ "allow": all })).await;
    let through = json!({"kind": "AponoConnection", "name": "all"});
    for (name, grantee) in [("own", None), ("theirs", Some("Alex@example.com"))] {
        let spec = json!({
            "access": bundle(), "connectionRef": through, "duration": "4h", "grantee": grantee,
            "justification": null
        });
        world.ask(name, spec).await;
        world.wait_row(name, ACTIVE).await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_rule_that_comes_later_says_so_and_leaves_what_was_asked_alone() {
    let world = World::new(Setup::default()).await;
    world.ask_bundle("orders", "prod-read").await;
    world.wait_row("orders", ACTIVE).await;
    let connections = world.cluster.connections();
    let patch = json!({"spec": {"allow": {"bundles": ["staging-*"]}}});
    let how = kube::api::PatchParams::default();
    connections
        .patch(CONNECTION, &how, &kube::api::Patch::Merge(patch))
        .await
        .unwrap();
    let row = "Ready=True:Active Synced=False -> Current";
    let found = world.wait_row("orders", row).await;
    let told = status(&found)["conditions"].to_string();
    assert!(
        told.contains("the bundle is `prod-read` at Apono"),
        "{told}"
    );
    world.assert_live(1);
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.assert_live(0);
    world.end().await;
}

#[tokio::test]
async fn the_tokens_own_user_is_not_another() {
    let world = World::new(Setup::default()).await;
    // Whose token it is, is known from what was asked with it.
    world.ask_bundle("first", "prod-read").await;
    world.wait_row("first", ACTIVE).await;
    let found = crate::support::eventually("whose token it is", async || {
        let status = world.connection_status(CONNECTION).await;
        let known = status["identity"]["sourceId"] == DEFAULT_USER;
        known.then_some(()).ok_or_else(|| format!("{status:#}"))
    });
    found.await;
    let spec = json!({
        "access": bundle(), "grantee": DEFAULT_USER, "credentials": {"secretName": "own"}
    });
    world.ask("own", spec).await;
    world
        .wait_for("own", "asked for", |found| {
            !status(found)["requests"].is_null()
        })
        .await;
    world.end().await;
}
