//! What a user may ask for at the older API (v3), step by step: integrations, then kinds of
//! resources, then permissions and resources.

use serde::{Deserialize, Deserializer};

use crate::listing::Listing;
use crate::wire::{identifier, lenient};

/// An integration that may be asked for. There is no name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct SelectableIntegration {
    /// Opaque; never empty.
    #[serde(deserialize_with = "identifier")]
    pub id: String,
}

/// A kind of resources that may be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct SelectableResourceType {
    /// What the next step is asked with; never empty.
    #[serde(deserialize_with = "identifier")]
    pub id: String,
    /// For people; empty if the answer left it out.
    #[serde(default, deserialize_with = "lenient")]
    pub name: String,
}

/// A resource that may be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct SelectableResource {
    /// What to ask for; never empty.
    #[serde(deserialize_with = "identifier")]
    pub id: String,
    /// Its kind; empty if the answer left it out.
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    pub resource_type: String,
    /// For people; empty if the answer left it out.
    #[serde(default, deserialize_with = "lenient")]
    pub name: String,
}

/// The permissions that may be asked for on a kind of resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectablePermissions {
    /// Their names.
    pub permissions: Listing<String>,
    /// Whether one request may ask for more than one of them; false if the answer left it out.
    pub allow_multiple: bool,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(flatten)]
    permissions: Listing<String>,
    #[serde(default, deserialize_with = "lenient")]
    allow_multiple: bool,
}

impl<'de> Deserialize<'de> for SelectablePermissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        Ok(Self {
            permissions: wire.permissions,
            allow_multiple: wire.allow_multiple,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_permission_at_a_time_unless_the_answer_says_otherwise() {
        let read = |value| serde_json::from_value::<SelectablePermissions>(value);
        let silent = read(json!({"data": ["read", 7]})).unwrap();
        assert_eq!(
            (silent.permissions.skipped, silent.allow_multiple),
            (1, false)
        );
        let odd = read(json!({"data": [], "allow_multiple": "yes"})).unwrap();
        assert!(!odd.allow_multiple);
        assert!(read(json!({"allow_multiple": true})).is_err());
    }
}
