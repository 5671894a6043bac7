//! What a GitOps controller does all day: it applies the same files again and looks for differences. It
//! must never find one, whatever state the request is in, whichever way it applies.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::{
    judge::read,
    support::{CONNECTION, Setup, World, eventually},
};

const ACTIVE: &str = "Ready=True:Active Synced=True -> Current";
const PENDING: &str = "Ready=False:PendingApproval Reconciling=True Synced=True -> InProgress";

/// How a tool applies.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Flux, and Argo CD with `ServerSideApply=true`.
    Server,
    /// Argo CD without, and people.
    Client,
}

/// The requests of `deploy/kustomize/samples`, for the namespace and the connection of a world.
fn samples(world: &World) -> Vec<Value> {
    let mut all = Vec::new();
    let listed = read("deploy/kustomize/samples/kustomization.yaml");
    for name in listed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- request-"))
    {
        let text = read(&format!("deploy/kustomize/samples/request-{name}"));
        let mut object: Value = serde_saphyr::from_str(&text).expect("a request");
        object["metadata"]["namespace"] = json!(world.cluster.namespace);
        object["spec"]["connectionRef"] = json!({"kind": "AponoConnection", "name": CONNECTION});
        all.push(object);
    }
    assert!(all.len() >= 4, "{all:#?}");
    all
}

struct Tool<'a> {
    world: &'a World,
    way: Way,
    folder: tempfile::TempDir,
}

impl Tool<'_> {
    fn file(&self) -> String {
        self.folder.path().join("files.yaml").display().to_string()
    }

    fn how(&self) -> &'static [&'static str] {
        match self.way {
            Way::Server => &["--server-side", "--field-manager=kustomize-controller"],
            Way::Client => &["--field-manager=argocd-controller"],
        }
    }

    fn apply(&self) {
        let file = self.file();
        let arguments = ["apply", "--validate=strict", "-f", &file];
        self.world
            .cluster
            .kubectl(&[&arguments[..], self.how()].concat());
    }

    /// Applies once more, by dry run, and compares with what is stored, status and bookkeeping apart.
    async fn finds_nothing(&self, when: &str) {
        // The operator may write between the two reads; at rest it does not.
        eventually(
            &format!("no difference, {when}, {:?}", self.way),
            async || {
                let file = self.file();
                let shown = ["-f", &file, "-o", "json"];
                let stored = self.world.cluster.kubectl(&[&["get"], &shown[..]].concat());
                let again = ["apply", "--dry-run=server"];
                let again = [&again[..], &shown[..], self.how()].concat();
                let again = self.world.cluster.kubectl(&again);
                let (stored, again) = (bare(&stored), bare(&again));
                if stored == again {
                    Ok(())
                } else {
                    Err(format!("stored {stored:#}\nagain {again:#}"))
                }
            },
        )
        .await;
        // What people see of it.
        let file = self.file();
        let way: &[&str] = match self.way {
            Way::Server => self.how(),
            Way::Client => &[],
        };
        let said = self
            .world
            .cluster
            .kubectl(&[&["diff", "-f", &file], way].concat());
        assert_eq!(said, "", "{when} {:?}", self.way);
    }
}

/// The objects, without what only says who wrote and how often.
fn bare(text: &str) -> Value {
    let mut list: Value = serde_json::from_str(text).unwrap();
    for object in list["items"].as_array_mut().expect("a list") {
        object["metadata"]["managedFields"].take();
        object["metadata"]["resourceVersion"].take();
        object["metadata"]["generation"].take();
        object["status"].take();
    }
    list["items"].take()
}

async fn lives(way: Way) {
    let world = World::new(Setup::default()).await;
    let tool = Tool {
        world: &world,
        way,
        folder: tempfile::tempdir().expect("a folder"),
    };
    let texts: Vec<_> = samples(&world).iter().map(Value::to_string).collect();
    std::fs::write(tool.file(), texts.join("\n---\n")).expect("written");
    tool.apply();
    for name in ["prod-read", "orders-last-night", "checkout-watch"] {
        world.wait_row(name, ACTIVE).await;
    }
    world.wait_row("prod-admin", PENDING).await;
    tool.finds_nothing("live and pending").await;
    tool.apply();
    tool.finds_nothing("applied again").await;

    ends(&tool).await;
    pruned(&tool).await;
}

/// Approved, taken back from here, and by somebody else.
async fn ends(tool: &Tool<'_>) {
    let world = tool.world;
    let id = world.only_remote("prod-admin").id;
    world.simulator.approve(&id).unwrap();
    world.wait_row("prod-admin", ACTIVE).await;
    let token = json!({"metadata": {"annotations": {"access.apono.io/revoke": "now"}}});
    world.patch("prod-read", token).await;
    world
        .wait_row("prod-read", "Synced=True Complete=True:Revoked -> Current")
        .await;
    let id = world.only_remote("orders-last-night").id;
    world.simulator.revoke(&id).unwrap();
    let row = "Ready=False:RevokedUpstream Stalled=True Synced=True -> Failed";
    world.wait_row("orders-last-night", row).await;
    tool.finds_nothing("revoked and taken back upstream").await;
    tool.apply();
    tool.finds_nothing("applied after the end").await;
    world
        .wait_row("prod-read", "Synced=True Complete=True:Revoked -> Current")
        .await;
    assert_eq!(world.remote("prod-read").len(), 1, "it was asked for again");
}

/// The tool waits until the access is taken back.
async fn pruned(tool: &Tool<'_>) {
    let world = tool.world;
    let file = tool.file();
    world
        .cluster
        .kubectl(&["delete", "-f", &file, "--timeout=45s"]);
    world.assert_live(0);
    let left = world
        .cluster
        .api("access.apono.io", "v1alpha1", "AccessRequest");
    let left: Vec<DynamicObject> = left
        .list(&kube::api::ListParams::default())
        .await
        .unwrap()
        .items;
    assert!(left.is_empty(), "{left:#?}");
}

#[tokio::test]
async fn a_tool_that_applies_on_the_server_never_finds_a_difference() {
    lives(Way::Server).await;
}

#[tokio::test]
async fn a_tool_that_applies_on_the_client_never_finds_a_difference() {
    lives(Way::Client).await;
}
