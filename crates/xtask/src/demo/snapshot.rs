//! What an access request says of itself, read from its JSON. Pure: no cluster, no time.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::page::cut;

/// One line of `kubectl get --watch --output-watch-events`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// The resource is like this now.
    Now(Box<AccessRequest>),
    /// The resource is gone.
    Gone(String),
}

impl Seen {
    /// Reads one; nothing of a bookmark or of another kind.
    pub(crate) fn read(event: &Value) -> Option<Self> {
        let object = AccessRequest::deserialize(event.get("object")?).ok()?;
        match event.get("type")?.as_str()? {
            "ADDED" | "MODIFIED" => Some(Self::Now(Box::new(object))),
            "DELETED" => Some(Self::Gone(object.metadata.name)),
            _ => None,
        }
    }
}

/// The parts of an access request that are told.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct AccessRequest {
    pub(crate) metadata: Metadata,
    #[serde(default)]
    pub(crate) status: Status,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) name: String,
    #[serde(default)]
    deletion_timestamp: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    reason: String,
    message: String,
    pub(crate) renewals: usize,
    pub(crate) requests: Vec<OwnedRequest>,
    pub(crate) entitlements: Vec<Entitlement>,
    pub(crate) conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct OwnedRequest {
    pub(crate) id: String,
    #[serde(default)]
    status: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Entitlement {
    integration: Named,
    resource: Named,
    permission: String,
    status: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
    message: String,
}

impl AccessRequest {
    /// Whether the access can be used, by everything the status says of it, and nothing is under way.
    pub(crate) fn is_active(&self) -> bool {
        self.status.reason == "Active" && self.is_held()
    }

    /// Whether the access can be used, also while it is being asked for again.
    pub(crate) fn is_held(&self) -> bool {
        let ready = |it: &Condition| it.kind == "Ready" && it.status == "True";
        let granted = |it: &Entitlement| it.status == "Granted";
        self.status.conditions.iter().any(ready)
            && !self.status.requests.is_empty()
            && !self.status.entitlements.is_empty()
            && self.status.entitlements.iter().all(granted)
    }

    /// Whether a person has to decide.
    pub(crate) fn waits_for_approval(&self) -> bool {
        self.status.reason == "PendingApproval"
    }

    /// Whether it gets no further without a person.
    pub(crate) fn is_stalled(&self) -> bool {
        let stalled = |it: &Condition| it.kind == "Stalled" && it.status == "True";
        self.status.conditions.iter().any(stalled)
    }

    /// What is worth telling after `before`: a word and a text; nothing when nothing changed for a
    /// reader.
    pub(crate) fn news(&self, before: Option<&Self>) -> Option<(String, String)> {
        let status = &self.status;
        let Some(before) = before else {
            let text = "stored; the operator has not looked at it yet";
            return Some(self.own_word().unwrap_or(("Created".into(), text.into())));
        };
        if self.metadata.deletion_timestamp != before.metadata.deletion_timestamp {
            let text = "marked for deletion; the finalizer access.apono.io/revoke keeps it until \
                        the access is taken back";
            return Some(("Deleting".into(), text.into()));
        }
        if (&status.reason, &status.message) != (&before.status.reason, &before.status.message) {
            return self.own_word();
        }
        if status.requests != before.status.requests {
            let said: Vec<String> = status
                .requests
                .iter()
                .map(|it| format!("request {} is `{}`", it.id, it.status))
                .collect();
            return Some((
                status.reason.clone(),
                format!("Apono says: {}", said.join(", ")),
            ));
        }
        None
    }

    fn own_word(&self) -> Option<(String, String)> {
        let status = &self.status;
        (!status.reason.is_empty()).then(|| (status.reason.clone(), status.message.clone()))
    }

    /// Where it stands, for the case that it does not get further.
    pub(crate) fn standing(&self) -> String {
        let name = &self.metadata.name;
        match self.own_word() {
            Some((reason, message)) => format!("`{name}` is {reason}: {message}"),
            None => format!("`{name}` has no status: the operator has not looked at it"),
        }
    }

    /// Its conditions as a table.
    pub(crate) fn conditions(&self) -> Vec<Vec<String>> {
        let header = ["TYPE", "STATUS", "REASON", "MESSAGE"].map(str::to_owned);
        let rows = self.status.conditions.iter().map(|it| {
            [&it.kind, &it.status, &it.reason, &it.message]
                .map(String::clone)
                .to_vec()
        });
        std::iter::once(header.to_vec()).chain(rows).collect()
    }
}

/// A request's id as an account shows it: the start tells them apart.
pub(crate) fn short(id: &str) -> String {
    cut(id, 9)
}

/// The events of one resource, as `kubectl get events -o json` gives them, oldest first.
pub(crate) fn events(list: &Value) -> Vec<Vec<String>> {
    let word = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let mut items = list["items"].as_array().cloned().unwrap_or_default();
    items.sort_by_key(|event| word(event, "eventTime"));
    let header = ["TYPE", "REASON", "MESSAGE"].map(str::to_owned);
    let rows = items.iter().map(|event| {
        ["type", "reason", "message"]
            .map(|key| word(event, key))
            .to_vec()
    });
    std::iter::once(header.to_vec()).chain(rows).collect()
}

/// The entitlements of all resources as one table.
pub(crate) fn entitlements(resources: &BTreeMap<String, AccessRequest>) -> Vec<Vec<String>> {
    let header = [
        "NAME",
        "INTEGRATION",
        "TYPE",
        "RESOURCE",
        "PERMISSION",
        "STATUS",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for (name, resource) in resources {
        rows.extend(resource.status.entitlements.iter().map(|it| {
            let place = [&it.integration.name, &it.resource.kind, &it.resource.name];
            let mut row = vec![name.clone()];
            row.extend(
                place
                    .into_iter()
                    .chain([&it.permission, &it.status])
                    .cloned(),
            );
            row
        }));
    }
    rows
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resource(change: impl FnOnce(&mut Value)) -> AccessRequest {
        let mut event = json!({
            "type": "MODIFIED",
            "object": {
                "metadata": {"name": "orders-read"},
                "status": {
                    "reason": "Active",
                    "message": "until 18:00Z",
                    "requests": [{"id": "r-1", "status": "Active"}],
                    "entitlements": [{
                        "integration": {"name": "postgres"},
                        "resource": {"name": "orders", "type": "database"},
                        "permission": "ReadOnly",
                        "status": "Granted",
                    }],
                    "conditions": [
                        {"type": "Ready", "status": "True", "reason": "Active", "message": "m"},
                    ],
                },
            },
        });
        change(&mut event["object"]);
        match Seen::read(&event) {
            Some(Seen::Now(resource)) => *resource,
            other => panic!("read as {other:?}"),
        }
    }

    #[test]
    fn active_means_ready_with_every_entitlement_granted() {
        assert!(resource(|_| ()).is_active());
        let half = resource(|it| it["status"]["entitlements"][0]["status"] = json!("Pending"));
        assert!(!half.is_active());
        let unready = resource(|it| it["status"]["conditions"][0]["status"] = json!("False"));
        assert!(!unready.is_active());
    }

    #[test]
    fn a_stalled_resource_is_told_by_its_condition() {
        assert!(!resource(|_| ()).is_stalled());
        assert!(
            resource(|it| it["status"]["conditions"][0]["type"] = json!("Stalled")).is_stalled()
        );
    }

    #[test]
    fn only_what_a_reader_would_notice_is_news() {
        let before = resource(|_| ());
        let same = resource(|it| it["metadata"]["resourceVersion"] = json!("7"));
        assert_eq!(same.news(Some(&before)), None);
        let later = resource(|it| it["status"]["message"] = json!("until 19:00Z"));
        let (word, text) = later.news(Some(&before)).unwrap();
        assert_eq!((word.as_str(), text.as_str()), ("Active", "until 19:00Z"));
    }

    #[test]
    fn a_deletion_and_the_word_of_apono_are_news() {
        let before = resource(|_| ());
        let deleting = resource(|it| it["metadata"]["deletionTimestamp"] = json!("2026-01-01"));
        assert_eq!(deleting.news(Some(&before)).unwrap().0, "Deleting");
        let moved = resource(|it| it["status"]["requests"][0]["status"] = json!("Revoking"));
        let (_, text) = moved.news(Some(&before)).unwrap();
        assert_eq!(text, "Apono says: request r-1 is `Revoking`");
    }

    #[test]
    fn a_resource_without_status_has_been_created_and_no_more() {
        let new = resource(|it| it["status"] = json!({}));
        assert_eq!(new.news(None).unwrap().0, "Created");
        assert!(new.standing().contains("has no status"));
    }

    #[test]
    fn a_bookmark_is_nothing_and_a_deletion_names_what_is_gone() {
        let object = json!({"metadata": {"name": "a"}});
        let event = |kind: &str| Seen::read(&json!({"type": kind, "object": object}));
        assert_eq!(event("BOOKMARK"), None);
        assert_eq!(event("DELETED"), Some(Seen::Gone("a".into())));
    }

    #[test]
    fn events_come_in_the_order_of_their_time() {
        let event = |time: &str| json!({"type": "Normal", "reason": time, "message": "m", "eventTime": time});
        let table = events(&json!({"items": [event("2"), event("1")]}));
        assert_eq!(table[1..], [["Normal", "1", "m"], ["Normal", "2", "m"]]);
        assert_eq!(events(&json!({})).len(), 1);
    }

    #[test]
    fn tables_have_a_header_and_a_row_for_each() {
        let resource = resource(|_| ());
        assert_eq!(resource.conditions()[1], ["Ready", "True", "Active", "m"]);
        let all = BTreeMap::from([("orders-read".to_owned(), resource)]);
        let table = entitlements(&all);
        let row = [
            "orders-read",
            "postgres",
            "database",
            "orders",
            "ReadOnly",
            "Granted",
        ];
        assert_eq!(table[1], row);
    }
}
