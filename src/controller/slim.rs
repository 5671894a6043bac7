//! What is kept of a resource in memory: nothing that nobody looks at, and no room that is not used.
//! Pure.
//!
//! A decoded list has room for four members or more, and most lists of a resource have one: at ten
//! thousand resources that is a fifth of the memory.

use kube::{Resource as _, core::DeserializeGuard};

use crate::crd::{AccessRequest, AccessRequestStatus, LAST_APPLIED_ANNOTATION};

/// Makes an object as small as it can be before it is kept. What is dropped is looked at by nobody:
/// a resource that is kept is whole otherwise.
pub fn slim(object: &mut DeserializeGuard<AccessRequest>) {
    let metadata = object.meta_mut();
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED_ANNOTATION);
    }
    shrink(&mut metadata.finalizers);
    shrink(&mut metadata.owner_references);
    let Ok(resource) = &mut object.0 else {
        return;
    };
    shrink(&mut resource.spec.access.entitlements);
    if let Some(status) = &mut resource.status {
        slim_status(status);
    }
}

fn slim_status(status: &mut AccessRequestStatus) {
    status.requests.shrink_to_fit();
    status.entitlements.shrink_to_fit();
    status.access_groups.shrink_to_fit();
    status.conditions.shrink_to_fit();
    for group in &mut status.access_groups {
        group.resource_types.shrink_to_fit();
    }
    if let Some(attempt) = &mut status.attempt {
        attempt.posts.shrink_to_fit();
    }
    if let Some(resolved) = &mut status.resolved {
        resolved.entitlements.shrink_to_fit();
        resolved.integrations.shrink_to_fit();
        resolved.resources.shrink_to_fit();
    }
}

fn shrink<T>(list: &mut Option<Vec<T>>) {
    if let Some(list) = list {
        list.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_have_no_room_that_is_not_used_and_what_nobody_looks_at_is_gone() {
        let mut object: DeserializeGuard<AccessRequest> = serde_json::from_value(json!({
            "metadata": {
                "name": "a", "namespace": "b", "finalizers": ["c"],
                "annotations": {LAST_APPLIED_ANNOTATION: "{}", "kept": "yes"},
                "managedFields": [{"manager": "kubectl"}],
            },
            "spec": {"access": {"bundle": "prod-read"}},
            "status": {"requests": [{"id": "r1"}], "attempt": {"posts": [{"nonce": "n"}]}},
        }))
        .unwrap();
        slim(&mut object);
        assert_eq!(object.meta().managed_fields, None);
        let kept = object.meta().annotations.clone().unwrap();
        assert_eq!(kept.into_keys().collect::<Vec<_>>(), ["kept"]);
        let finalizers = object.meta().finalizers.as_ref().unwrap();
        assert_eq!((finalizers.len(), finalizers.capacity()), (1, 1));
        let status = object.0.unwrap().status.unwrap();
        assert_eq!((status.requests.len(), status.requests.capacity()), (1, 1));
        let posts = status.attempt.unwrap().posts;
        assert_eq!((posts.len(), posts.capacity()), (1, 1));
    }
}
