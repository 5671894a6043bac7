//! A request as the API shows it. One type for own and delegated requests, and for what the older
//! API shows: they differ only in what may be absent. What thousands of requests have in common is
//! held in such a way that who keeps them can hold it once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::model::request_id::RequestId;
use crate::model::status::Status;
use crate::wire::{
    identifier, lenient, lenient_list, lenient_shared, lenient_shared_list, moment, seconds,
    text_map,
};

/// An access request at Apono.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AccessRequest {
    /// Opaque; never empty.
    #[serde(deserialize_with = "identifier")]
    pub id: RequestId,
    /// Where it stands.
    pub status: Status,
    /// How long the access was asked for; absent means as long as the access flow allows.
    #[serde(rename = "duration_in_sec", default, deserialize_with = "seconds")]
    pub duration: Option<Duration>,
    /// The reason given.
    #[serde(default, deserialize_with = "lenient")]
    pub justification: Option<String>,
    /// When it was made. Absent if the answer's date does not read.
    #[serde(default, deserialize_with = "moment")]
    pub creation_date: Option<Timestamp>,
    /// The *planned* end. Whether access has ended is told by the status alone.
    #[serde(default, deserialize_with = "moment")]
    pub revocation_date: Option<Timestamp>,
    /// The account's own fields, by their ids.
    #[serde(default, deserialize_with = "text_map")]
    pub custom_fields: BTreeMap<String, String>,
    /// What it touches, one group for each integration.
    #[serde(default, deserialize_with = "lenient_shared_list")]
    pub access_groups: Arc<[AccessGroup]>,
    /// Who asked; absent means the token's user.
    #[serde(default, deserialize_with = "lenient_shared")]
    pub requestor: Option<Arc<Identity>>,
    /// For whom; absent means the token's user.
    #[serde(default, deserialize_with = "lenient_shared")]
    pub grantee: Option<Arc<Identity>>,
    /// The bundle asked for, if it was one.
    #[serde(default, deserialize_with = "lenient_shared")]
    pub bundle: Option<Arc<Named>>,
    /// The id that people see, such as `AR-123`. Only the older API gives one beside the id.
    #[serde(skip)]
    pub friendly_id: Option<Box<str>>,
    /// What was asked for. Only the older API says it with the request.
    #[serde(skip)]
    pub target: Option<Arc<AdminTarget>>,
}

/// What a request of the older API asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AdminTarget {
    /// The integration.
    pub integration_id: String,
    /// The resources, by their ids.
    pub resource_ids: Vec<String>,
    /// The permissions, by their names.
    pub permissions: Vec<String>,
}

/// The part of a request that falls to one integration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct AccessGroup {
    /// The integration.
    #[serde(default, deserialize_with = "lenient")]
    pub integration: Named,
    /// The kinds of resources in it.
    #[serde(default, deserialize_with = "lenient_list")]
    pub resource_types: Vec<ResourceType>,
}

/// Something with an id and a name for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
pub struct Named {
    /// Opaque; empty if the answer left it out.
    #[serde(default, deserialize_with = "lenient")]
    pub id: String,
    /// For people; empty if the answer left it out.
    #[serde(default, deserialize_with = "lenient")]
    pub name: String,
}

/// A kind of resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
pub struct ResourceType {
    /// Stable.
    #[serde(default, deserialize_with = "lenient")]
    pub id: String,
    /// For people.
    #[serde(default, deserialize_with = "lenient")]
    pub label: String,
}

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
pub struct Identity {
    /// Apono's id of the user.
    #[serde(default, deserialize_with = "lenient")]
    pub id: String,
    /// The user at the identity provider: the e-mail address.
    #[serde(default, deserialize_with = "lenient")]
    pub source_id: String,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::status::State;

    fn read(value: &Value) -> Result<AccessRequest, serde_json::Error> {
        // Through text, as on the wire.
        serde_json::from_str(&value.to_string())
    }

    fn named(id: &str, name: &str) -> Named {
        Named {
            id: id.into(),
            name: name.into(),
        }
    }

    #[test]
    fn a_whole_request_is_read() {
        let request = read(&json!({
            "id": "AR-1", "status": "Active", "duration_in_sec": 3600, "justification": "why",
            "creation_date": "2022-03-10T16:15:50Z", "revocation_date": "2022-03-10T17:15:50.25Z",
            "custom_fields": {"ticket": "T-1"},
            "access_groups": [{
                "integration": {"id": "i", "name": "database"},
                "resource_types": [{"id": "t", "label": "Table"}]
            }],
            "requestor": {"id": "u", "source_id": "u@example.com"},
            "grantee": {"id": "g", "source_id": "g@example.com"},
            "bundle": {"id": "b", "name": "Billing"}, "new_field": [1]
        }))
        .unwrap();
        assert_eq!(request.duration, Some(Duration::from_hours(1)));
        assert_eq!(request.justification.as_deref(), Some("why"));
        assert_eq!(
            request.creation_date,
            Some("2022-03-10T16:15:50Z".parse().unwrap())
        );
        assert_eq!(
            request.revocation_date,
            Some("2022-03-10T17:15:50.25Z".parse().unwrap())
        );
        assert_eq!(request.custom_fields["ticket"], "T-1");
        let table = ResourceType {
            id: "t".into(),
            label: "Table".into(),
        };
        let group = AccessGroup {
            integration: named("i", "database"),
            resource_types: vec![table],
        };
        assert_eq!(*request.access_groups, [group]);
        assert_eq!(request.requestor.unwrap().source_id, "u@example.com");
        assert_eq!(request.grantee.unwrap().id, "g");
        assert_eq!(request.bundle.as_deref(), Some(&named("b", "Billing")));
    }

    #[test]
    fn only_id_and_status_are_indispensable() {
        let bare = read(&json!({"id": "AR-1", "status": "odd"})).unwrap();
        assert_eq!((&*bare.id, bare.status.state()), ("AR-1", State::Unknown));
        let nulls = read(&json!({
            "id": "AR-1", "status": "odd", "duration_in_sec": null, "justification": null,
            "creation_date": null, "revocation_date": null, "custom_fields": null,
            "access_groups": null, "requestor": null, "grantee": null, "bundle": null
        }));
        assert_eq!(nulls.unwrap(), bare);
        let nonsense = read(&json!({
            "id": "AR-1", "status": "odd", "duration_in_sec": "long", "justification": 7,
            "creation_date": {}, "revocation_date": "later", "custom_fields": [],
            "access_groups": "none", "requestor": 1, "grantee": "g", "bundle": true
        }));
        assert_eq!(nonsense.unwrap(), bare);
    }

    #[test]
    fn a_request_without_id_or_status_is_none() {
        for value in [
            json!({"status": "Active"}),
            json!({"id": "AR-1"}),
            json!({"id": "", "status": "Active"}),
            json!({"id": null, "status": "Active"}),
            json!({"id": "AR-1", "status": null}),
            json!({"id": "AR-1", "status": 3}),
            json!(null),
            json!("AR-1"),
        ] {
            assert!(read(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn an_odd_group_does_not_take_the_others_with_it() {
        let request = read(&json!({
            "id": "AR-1", "status": "Active",
            "access_groups": [7, {"integration": null}, {"integration": {"id": "i", "name": 3}}]
        }))
        .unwrap();
        let integrations: Vec<_> = request
            .access_groups
            .iter()
            .map(|group| group.integration.clone())
            .collect();
        assert_eq!(integrations, [named("", ""), named("i", "")]);
    }
}
