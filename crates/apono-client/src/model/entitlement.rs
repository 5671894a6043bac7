//! What a request holds, one resource and permission at a time, as the API shows it.

use serde::{Deserialize, Deserializer};

use crate::model::request::{Named, ResourceType};
use crate::model::status::EntitlementStatus;
use crate::wire::lenient;

/// One permission on one resource, inside a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entitlement {
    /// The integration the resource belongs to.
    #[serde(default, deserialize_with = "lenient")]
    pub integration: Named,
    /// The resource.
    #[serde(default, deserialize_with = "lenient")]
    pub resource: Resource,
    /// The permission's *name*: its id, which was sent when asking, does not come back.
    #[serde(default, deserialize_with = "permission")]
    pub permission: String,
    /// Where it stands. The one indispensable part.
    pub status: EntitlementStatus,
}

/// A resource that access can be granted to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
pub struct Resource {
    /// Apono's id of the resource.
    #[serde(default, deserialize_with = "lenient")]
    pub id: String,
    /// The id in the system it comes from.
    #[serde(default, deserialize_with = "lenient")]
    pub source_id: String,
    /// Its kind.
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    pub resource_type: ResourceType,
    /// For people.
    #[serde(default, deserialize_with = "lenient")]
    pub name: String,
}

fn permission<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(lenient::<_, Named>(deserializer)?.name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::status::EntitlementState;

    #[test]
    fn a_whole_entitlement_is_read() {
        let value = json!({
            "integration": {"id": "i", "name": "database"},
            "resource": {
                "id": "r", "source_id": "arn", "type": {"id": "t", "label": "Table"},
                "name": "orders", "path": "/"
            },
            "permission": {"name": "read"}, "status": "Granted"
        });
        let entitlement: Entitlement = serde_json::from_value(value).unwrap();
        assert_eq!(entitlement.integration.name, "database");
        assert_eq!(entitlement.resource.source_id, "arn");
        assert_eq!(entitlement.resource.resource_type.label, "Table");
        assert_eq!(entitlement.permission, "read");
        assert_eq!(entitlement.status.state(), EntitlementState::Granted);
    }

    #[test]
    fn only_the_status_is_indispensable() {
        let bare: Entitlement =
            serde_json::from_value(json!({"status": "x", "resource": null})).unwrap();
        assert_eq!(bare.status.word(), "x");
        assert!(serde_json::from_value::<Entitlement>(json!({"resource": {}})).is_err());
    }
}
