//! What is asked for: as the API takes it, and as people read it. Pure.
//!
//! | `spec.access` | resolved | sent |
//! | --- | --- | --- |
//! | a bundle | yes | its id |
//! | | no | what is written: the API takes id and display name |
//! | entitlements | yes | the two ids of each |
//! | | no | the two ids of each, as written; names are never sent |
//! | resources of an integration | yes | the ids |
//! | | no | what is written |

use apono_client::{AdminTarget, EntitlementRef as Pair, Target};

use crate::crd::{AccessRequest, EntitlementRef, IntegrationTarget, ResolvedAccess};

/// What a create asks for where it is asked for by bundle or by entitlements.
pub fn target(resource: &AccessRequest, resolved: Option<&ResolvedAccess>) -> Target {
    let access = &resource.spec.access;
    if let Some(bundle) = &access.bundle {
        let id = resolved.and_then(|resolved| resolved.bundle.as_ref()?.id.clone());
        return Target::Bundle(id.unwrap_or_else(|| bundle.clone()));
    }
    let written = access.entitlements.iter().flatten();
    let found = resolved.map(|resolved| resolved.entitlements.as_slice());
    let pairs = written.enumerate().map(|(number, written)| {
        let found = found.and_then(|found| found.get(number));
        let id = |found: Option<&Option<String>>, written: &Option<String>| {
            let found = found.and_then(Clone::clone);
            found.or_else(|| written.clone()).unwrap_or_default()
        };
        Pair {
            resource_id: id(found.map(|one| &one.resource_id), &written.resource_id),
            permission_id: id(found.map(|one| &one.permission_id), &written.permission_id),
        }
    });
    Target::Entitlements(pairs.collect())
}

/// What a create asks for where it is asked for by an integration.
pub fn admin_target(
    resource: &AccessRequest,
    resolved: Option<&ResolvedAccess>,
) -> Option<AdminTarget> {
    let written = resource.spec.access.integration.as_ref()?;
    let integration = resolved.and_then(|resolved| resolved.integrations.first()?.id.clone());
    let resources = resolved.map(|resolved| resolved.resources.clone());
    Some(AdminTarget {
        integration_id: integration.unwrap_or_else(|| written.integration.clone()),
        resource_ids: resources
            .filter(|found| found.len() == written.resources.len())
            .unwrap_or_else(|| written.resources.clone()),
        permissions: written.permissions.clone(),
    })
}

/// `bundle prod-read`, `ReadOnly on orders of prod-postgres`, `3 entitlements`: in names, as far as
/// they are known.
pub fn shown(resource: &AccessRequest, resolved: Option<&ResolvedAccess>) -> String {
    let access = &resource.spec.access;
    match (&access.bundle, &access.entitlements, &access.integration) {
        (Some(bundle), _, _) => {
            let name = resolved.and_then(|resolved| resolved.bundle.as_ref()?.name.as_ref());
            format!("bundle {}", name.unwrap_or(bundle))
        }
        (None, Some(all), _) => match all.as_slice() {
            [one] => one_entitlement(one),
            more => format!("{} entitlements", more.len()),
        },
        (None, None, Some(target)) => {
            let name = resolved.and_then(|resolved| resolved.integrations.first()?.name.as_ref());
            resources_of(target, name.unwrap_or(&target.integration))
        }
        (None, None, None) => "nothing".to_owned(),
    }
}

fn resources_of(target: &IntegrationTarget, integration: &str) -> String {
    let permissions = target.permissions.join(", ");
    match target.resources.as_slice() {
        [one] => format!("{permissions} on {one} of {integration}"),
        more => format!("{permissions} on {} resources of {integration}", more.len()),
    }
}

fn one_entitlement(one: &EntitlementRef) -> String {
    let or = |id: &Option<String>, name: &Option<String>| {
        id.clone().or_else(|| name.clone()).unwrap_or_default()
    };
    let permission = or(&one.permission_id, &one.permission);
    let resource = or(&one.resource_id, &one.resource);
    match &one.integration {
        Some(integration) => format!("{permission} on {resource} of {integration}"),
        None => format!("{permission} on {resource}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asking(access: &serde_json::Value) -> AccessRequest {
        let mut resource = AccessRequest::default();
        resource.spec.access = serde_json::from_value(access.clone()).unwrap();
        resource
    }

    fn resolved(found: &serde_json::Value) -> ResolvedAccess {
        serde_json::from_value(found.clone()).unwrap()
    }

    #[test]
    fn a_bundle_is_sent_by_its_id_and_shown_by_its_name() {
        let resource = asking(&json!({"bundle": "b-1"}));
        let found = resolved(&json!({"bundle": {"id": "b-1", "name": "prod-read"}}));
        assert_eq!(target(&resource, None), Target::Bundle("b-1".to_owned()));
        assert_eq!(
            target(&resource, Some(&found)),
            Target::Bundle("b-1".to_owned())
        );
        assert_eq!(shown(&resource, None), "bundle b-1");
        assert_eq!(shown(&resource, Some(&found)), "bundle prod-read");
    }

    #[test]
    fn entitlements_are_sent_by_what_they_were_found_to_be() {
        let resource = asking(&json!({"entitlements": [
            {"integration": "pg", "resource": "orders", "permission": "ReadOnly"},
            {"resourceId": "r-2", "permissionId": "p-2"}
        ]}));
        let pair = |resource: &str, permission: &str| Pair {
            resource_id: resource.to_owned(),
            permission_id: permission.to_owned(),
        };
        let found = resolved(&json!({"entitlements": [
            {"resourceId": "r-1", "permissionId": "p-1"}, {}
        ]}));
        assert_eq!(
            target(&resource, Some(&found)),
            Target::Entitlements(vec![pair("r-1", "p-1"), pair("r-2", "p-2")])
        );
        assert_eq!(shown(&resource, Some(&found)), "2 entitlements");
    }

    #[test]
    fn resources_of_an_integration_are_sent_by_ids() {
        let resource = asking(&json!({"integration": {
            "integration": "pg", "resourceType": "db", "resources": ["orders"],
            "permissions": ["ReadOnly", "Admin"]
        }}));
        let found = resolved(&json!({
            "integrations": [{"id": "int-1", "name": "PG"}], "resources": ["r-1"]
        }));
        let target = |integration: &str, resource: &str| AdminTarget {
            integration_id: integration.to_owned(),
            resource_ids: vec![resource.to_owned()],
            permissions: vec!["ReadOnly".to_owned(), "Admin".to_owned()],
        };
        assert_eq!(admin_target(&resource, None), Some(target("pg", "orders")));
        assert_eq!(
            admin_target(&resource, Some(&found)),
            Some(target("int-1", "r-1"))
        );
        assert_eq!(
            shown(&resource, Some(&found)),
            "ReadOnly, Admin on orders of PG"
        );
        assert_eq!(admin_target(&asking(&json!({"bundle": "b"})), None), None);
    }
}
