//! The shapes of v3: one integration, no dates, seven closed words.

use serde_json::{Value, json};

use super::View;
use crate::catalogue::{Described, Resource, ResourceType};
use crate::request::Request;
use crate::status::Status;

/// The v3 word for where a request stands.
pub(crate) const fn v3_status(status: Status) -> &'static str {
    match status {
        Status::Initializing | Status::Pending | Status::PendingMfa => "PENDING",
        Status::Granting => "APPROVED",
        Status::Active => "GRANTED",
        Status::Revoking => "REVOKING",
        Status::Revoked => "EXPIRED",
        Status::Rejected => "REJECTED",
        Status::Failed => "FAILED",
    }
}

/// A list of v3, which has no further pages; `total` is how many there really are.
pub(crate) fn v3_page(data: Vec<Value>, total: usize) -> Value {
    let pagination = json!({"total": total, "limit": data.len(), "offset": 0});
    json!({"data": data, "pagination": pagination})
}

/// A resource that one may ask for.
pub(crate) fn v3_resource(resource: &Resource) -> Value {
    json!({"id": resource.id, "type": resource.resource_type, "name": resource.name})
}

/// A resource type that one may ask for.
pub(crate) fn v3_resource_type(kind: &ResourceType) -> Value {
    json!({"id": kind.id, "name": kind.label})
}

impl View<'_> {
    /// A request as v3 shows it: of several integrations, the first.
    pub(crate) fn v3_request(&self, request: &Request) -> Value {
        let known: Vec<Described<'_>> = request
            .entitlements
            .iter()
            .filter_map(|it| self.describe(it))
            .collect();
        let integration = known.first().map_or("", |it| it.integration.id.as_str());
        let shown = || known.iter().filter(|it| it.integration.id == integration);
        let grantee = self.machine.users().identity(request.grantee_key);
        json!({
            "request_id": request.uuid,
            "friendly_request_id": request.friendly_id,
            "user_id": grantee.map_or("", |it| it.id.as_str()),
            "status": v3_status(self.status(request)),
            "integration_id": integration,
            "resource_ids": distinct(shown().map(|it| it.resource.id.as_str())),
            "permissions": distinct(shown().map(|it| it.permission.name.as_str())),
            "justification": request.justification.as_deref().unwrap_or_default(),
        })
    }
}

/// The items in the order of first mention.
fn distinct<'a>(items: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}
