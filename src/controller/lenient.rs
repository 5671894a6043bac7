//! A resource that does not decode, read for deletion: what is needed to let it go, field by field,
//! and nothing else. Pure.
//!
//! # Why
//! A schema that changed, or a version that wrote what this one cannot read, must not hold an object
//! for ever, nor let its access be forgotten. What cannot be read here counts as absent, but an id
//! that is readable is never lost.

use kube::core::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::crd::{
    Access, AccessRequest, AccessRequestSpec, AccessRequestStatus, AttemptStatus,
    IntegrationTarget, OwnedRequest, PostStatus,
};

/// The resource as far as deletion is concerned.
pub fn view(metadata: ObjectMeta, body: &Value) -> AccessRequest {
    let spec = body.get("spec");
    let status = body.get("status");
    let attempt = status.and_then(|status| status.get("attempt"));
    let posts = elements(attempt, "posts");
    AccessRequest {
        metadata,
        spec: AccessRequestSpec {
            connection_ref: field(spec, "connectionRef"),
            access: access(spec),
            grantee: field(spec, "grantee"),
            deletion_policy: field(spec, "deletionPolicy"),
            ..AccessRequestSpec::default()
        },
        status: Some(AccessRequestStatus {
            attempt: Some(AttemptStatus {
                number: field(attempt, "number"),
                started_at: field(attempt, "startedAt"),
                posts: posts.iter().filter_map(decode::<PostStatus>).collect(),
                end: field(attempt, "end"),
                again: field(attempt, "again"),
            }),
            renewals: field(status, "renewals"),
            requests: elements(status, "requests")
                .iter()
                .filter_map(request)
                .collect(),
            conditions: elements(status, "conditions")
                .iter()
                .filter_map(decode)
                .collect(),
            phase: field(status, "phase"),
            reason: field(status, "reason"),
            ..AccessRequestStatus::default()
        }),
    }
}

/// Which API was asked is all that matters of it.
fn access(spec: Option<&Value>) -> Access {
    let is_admin = spec.is_some_and(|spec| spec.pointer("/access/integration").is_some());
    Access {
        integration: is_admin.then(IntegrationTarget::default),
        ..Access::default()
    }
}

/// An owned request: whole if it can be read, else all of it that can, as long as there is an id.
fn request(value: &Value) -> Option<OwnedRequest> {
    let parts = || {
        let body = Some(value);
        Some(OwnedRequest {
            id: field(body, "id")?,
            api: field(body, "api"),
            status: field(body, "status"),
            attempt: field(body, "attempt"),
            requestor_id: field(body, "requestorId"),
            nonce: field(body, "nonce"),
            active_at: field(body, "activeAt"),
            revoking_seen: field(body, "revokingSeen"),
            ..OwnedRequest::default()
        })
    };
    decode(value).or_else(parts)
}

fn elements(parent: Option<&Value>, name: &str) -> Vec<Value> {
    let list = parent
        .and_then(|parent| parent.get(name))
        .and_then(Value::as_array);
    list.cloned().unwrap_or_default()
}

fn field<T: DeserializeOwned>(parent: Option<&Value>, name: &str) -> Option<T> {
    decode(parent?.get(name)?)
}

fn decode<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_survives_whatever_stands_beside_it() {
        let body = json!({
            "spec": {"deletionPolicy": "Orphan", "access": 7, "connectionRef": {"name": "x"}},
            "status": {
                "requests": [
                    {"id": "a", "attempt": "one", "status": "Active", "activeAt": true},
                    {"id": "b", "status": "Revoked"},
                    {"status": "Active"},
                    7
                ],
                "attempt": {"number": "two", "posts": [{"nonce": 1}, {"nonce": "n", "n": 1}]}
            }
        });
        let view = view(ObjectMeta::default(), &body);
        let status = view.status.unwrap();
        let ids: Vec<_> = status.requests.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(status.requests[0].status.as_deref(), Some("Active"));
        assert_eq!(status.attempt.unwrap().posts.len(), 1);
        assert_eq!(view.spec.connection_ref.unwrap().name, "x");
    }
}
