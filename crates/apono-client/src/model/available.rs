//! What may be asked for: bundles and entitlements, with the ids that a request is made of.

use serde::Deserialize;

use crate::model::ask::EntitlementRef;
use crate::model::entitlement::Resource;
use crate::model::request::Named;
use crate::wire::{identifier, lenient};

/// A bundle that may be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct AvailableBundle {
    /// What to ask for; never empty.
    #[serde(deserialize_with = "identifier")]
    pub id: String,
    /// For people; may be asked for too. Empty if the answer left it out.
    #[serde(default, deserialize_with = "lenient")]
    pub name: String,
}

/// A permission on a resource that may be asked for. What lacks one of the two ids cannot be asked
/// for and does not decode.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "Wire")]
pub struct AvailableEntitlement {
    /// The integration the resource belongs to.
    pub integration: Named,
    /// The resource.
    pub resource: Resource,
    /// The permission.
    pub permission: Permission,
}

/// A permission that can be granted on a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
pub struct Permission {
    /// Apono's id of the permission.
    #[serde(default, deserialize_with = "lenient")]
    pub id: String,
    /// The id in the system it comes from.
    #[serde(default, deserialize_with = "lenient")]
    pub source_id: String,
    /// For people. A request's entitlements name the permission by it.
    #[serde(default, deserialize_with = "lenient")]
    pub name: String,
}

impl AvailableEntitlement {
    /// The pair of ids to ask with.
    pub fn reference(&self) -> EntitlementRef {
        EntitlementRef {
            resource_id: self.resource.id.clone(),
            permission_id: self.permission.id.clone(),
        }
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "lenient")]
    integration: Named,
    resource: Resource,
    permission: Permission,
}

/// The entitlement cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the entitlement lacks the id of its resource or permission")]
struct Unaskable;

impl TryFrom<Wire> for AvailableEntitlement {
    type Error = Unaskable;

    fn try_from(wire: Wire) -> Result<Self, Unaskable> {
        if wire.resource.id.is_empty() || wire.permission.id.is_empty() {
            return Err(Unaskable);
        }
        Ok(Self {
            integration: wire.integration,
            resource: wire.resource,
            permission: wire.permission,
        })
    }
}
