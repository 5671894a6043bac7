//! Access requests: making them, waiting for them, and the row of the table they are in.

use apono_operator::crd::AccessRequest;
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{
    wait::eventually,
    world::{CONNECTION, World},
};

/// The conditions in the order of the table.
const TYPES: [&str; 5] = ["Ready", "Reconciling", "Stalled", "Synced", "Complete"];

/// The row of the table a resource is in, as in `Ready=False:Rejected Stalled=True Synced=True ->
/// Failed`: every condition, the reason of Ready and Complete, and what kstatus makes of it.
pub fn row(resource: &AccessRequest) -> String {
    let conditions = resource.status.as_ref().map(|status| &status.conditions);
    let mut words = Vec::new();
    for kind in TYPES {
        let mut all = conditions.into_iter().flatten();
        let Some(found) = all.find(|one| one.type_ == kind) else {
            continue;
        };
        let reason = match kind {
            "Ready" | "Complete" => format!(":{}", found.reason),
            _ => String::new(),
        };
        words.push(format!("{kind}={}{reason}", found.status));
    }
    words.push(format!("-> {}", kstatus(resource)));
    words.join(" ")
}

/// What kstatus, and so Argo CD, Flux and `kubectl wait`, make of a resource.
pub fn kstatus(resource: &AccessRequest) -> &'static str {
    let status = resource.status.as_ref();
    let is = |kind: &str, wanted: &str| {
        status.is_some_and(|status| {
            let mut conditions = status.conditions.iter();
            conditions.any(|one| one.type_ == kind && one.status == wanted)
        })
    };
    let seen = status.and_then(|status| status.observed_generation);
    if resource.metadata.deletion_timestamp.is_some() {
        "Terminating"
    } else if seen != resource.metadata.generation || is("Reconciling", "True") {
        "InProgress"
    } else if is("Stalled", "True") {
        "Failed"
    } else if is("Ready", "False") || is("Ready", "Unknown") {
        "InProgress"
    } else {
        "Current"
    }
}

impl World {
    /// Creates an access request over the world's connection.
    pub async fn ask(&self, name: &str, mut spec: Value) -> AccessRequest {
        if spec.get("connectionRef").is_none() {
            spec["connectionRef"] = json!({"kind": "AponoConnection", "name": CONNECTION});
        }
        // What connections demand unless they say otherwise; null leaves it out.
        if spec.get("justification").is_none() {
            spec["justification"] = json!("stuck orders");
        }
        let object = json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
            "metadata": {"name": name}, "spec": spec
        });
        let object = serde_json::from_value(object).expect("an access request");
        let requests = self.cluster.requests();
        let created = requests.create(&PostParams::default(), &object).await;
        created.expect("the access request is accepted")
    }

    /// Creates an access request for a bundle.
    pub async fn ask_bundle(&self, name: &str, bundle: &str) -> AccessRequest {
        let access = json!({"bundle": bundle});
        self.ask(name, json!({"access": access})).await
    }

    /// Changes an access request as a person would.
    pub async fn patch(&self, name: &str, patch: Value) -> AccessRequest {
        let how = PatchParams {
            field_manager: Some("person".to_owned()),
            ..PatchParams::default()
        };
        let requests = self.cluster.requests();
        let patched = requests.patch(name, &how, &Patch::Merge(patch)).await;
        patched.expect("the change is accepted")
    }

    /// Asks for the deletion, and does not wait for it.
    pub async fn delete(&self, name: &str) {
        let requests = self.cluster.requests();
        let deleted = requests.delete(name, &DeleteParams::default()).await;
        deleted.expect("there is such a request");
    }

    /// The access request, if it is still there.
    pub async fn find(&self, name: &str) -> Option<AccessRequest> {
        let found = self.cluster.requests().get_opt(name).await;
        found.expect("the apiserver answers")
    }

    /// The access request as it stands.
    pub async fn get(&self, name: &str) -> AccessRequest {
        let found = self.find(name).await;
        found.unwrap_or_else(|| panic!("{name} is gone\n{}", self.last_words()))
    }

    /// Waits until the access request is as wanted.
    pub async fn wait_for(
        &self,
        name: &str,
        wanted: &str,
        is_so: impl Fn(&AccessRequest) -> bool,
    ) -> AccessRequest {
        eventually(wanted, async || {
            let found = self.find(name).await;
            match found {
                Some(found) if is_so(&found) => Ok(found),
                found => Err(self.explain(name, wanted, found.as_ref())),
            }
        })
        .await
    }

    /// Waits until this is the leading reason.
    pub async fn wait_reason(&self, name: &str, reason: &str) -> AccessRequest {
        self.wait_for(name, &format!("the reason {reason}"), |found| {
            let status = found.status.as_ref();
            status.and_then(|status| status.reason.as_deref()) == Some(reason)
        })
        .await
    }

    /// Waits until the access request is in this row of the table, see [`row`].
    pub async fn wait_row(&self, name: &str, wanted: &str) -> AccessRequest {
        let what = format!("the row `{wanted}`");
        self.wait_for(name, &what, |found| row(found) == wanted)
            .await
    }

    /// Waits until the access request is gone.
    pub async fn wait_gone(&self, name: &str) {
        eventually("the access request is gone", async || {
            match self.find(name).await {
                None => Ok(()),
                found => Err(self.explain(name, "to be gone", found.as_ref())),
            }
        })
        .await;
    }

    /// The version of an access request, which every write changes.
    pub async fn version(&self, name: &str) -> String {
        let found = self.get(name).await;
        found.resource_version().expect("stored")
    }

    /// The reasons of the events about one access request, in the order they came.
    pub async fn event_reasons(&self, name: &str) -> Vec<String> {
        let mut events = self.events().await;
        events.retain(|event| {
            let about = event.regarding.as_ref();
            about.and_then(|about| about.name.as_deref()) == Some(name)
        });
        events.sort_by(|a, b| a.event_time.cmp(&b.event_time));
        let reasons = events.into_iter().filter_map(|event| event.reason);
        reasons.collect()
    }

    /// Waits until there is an event of this reason; gives its note.
    pub async fn wait_event(&self, name: &str, reason: &str) -> String {
        eventually("an event", async || {
            let events = self.events().await;
            let found = events.into_iter().find(|event| {
                let about = event.regarding.as_ref();
                event.reason.as_deref() == Some(reason)
                    && about.and_then(|about| about.name.as_deref()) == Some(name)
            });
            match found {
                Some(found) => Ok(found.note.unwrap_or_default()),
                None => Err(format!("no {reason} for {name}\n{}", self.last_words())),
            }
        })
        .await
    }

    /// Every event of the namespace.
    pub async fn events(&self) -> Vec<Event> {
        let namespace = &self.cluster.namespace;
        let api: Api<Event> = Api::namespaced(self.cluster.client.clone(), namespace);
        let list = api.list(&ListParams::default()).await;
        list.expect("a list of events").items
    }

    /// What a failed wait says.
    fn explain(&self, name: &str, wanted: &str, found: Option<&AccessRequest>) -> String {
        let Some(found) = found else {
            return format!("{name} is gone, wanted: {wanted}\n{}", self.last_words());
        };
        let yaml = serde_saphyr::to_string(found).unwrap_or_else(|error| error.to_string());
        let row = row(found);
        let words = self.last_words();
        format!("{name} is in `{row}`, wanted: {wanted}\n{yaml}\n{words}")
    }
}
