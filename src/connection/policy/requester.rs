//! Who asked, as Apono is told: the stamp of the admission policy, in the custom field that the
//! connection names. Pure.
//!
//! | what is there | told |
//! | --- | --- |
//! | no `spec.identity` in the connection | what the resource says itself, and no more |
//! | the stamp | the stamp in that field, beside what the resource says |
//! | no stamp, as without the policy | nothing in that field |
//! | the field is set by the resource itself, stamp or not | nothing is asked for: who asked is not said by who asks |
//! | a stamp that no policy writes: too long, or with our mark in it | nothing is asked for |
//! | `access.integration` | nothing: those requests have no custom fields |
//!
//! The stamp is believed. What makes it worth that is `deploy/policies/stamped-requester.yaml`, which
//! writes it on create and keeps it as it is; without the policy whoever may write the resource may
//! write the stamp.

use std::collections::BTreeMap;

use kube::ResourceExt as _;

use super::Refusal;
use crate::{
    crd::{AccessRequest, AccessRequestSpec, REQUESTED_BY_ANNOTATION},
    marker::PREFIX,
};

/// As long as the custom fields of a resource may be, and longer than names of users are.
const LONGEST: usize = 1000;

/// Whether the resource can be asked for through a connection that tells the requester in this field.
pub fn ask(field: Option<&str>, resource: &AccessRequest) -> Result<(), Refusal> {
    let Some(field) = field.filter(|_| has_custom_fields(&resource.spec)) else {
        return Ok(());
    };
    let own = resource.spec.custom_fields.iter();
    if let Some((name, value)) = own.into_iter().find(|(name, _)| same(name, field)) {
        return Err(Refusal(format!(
            "spec.customFields sets `{name}` to `{value}`, and the connection keeps `{field}` for \
             who created the request (spec.identity.customField): create a new AccessRequest with \
             another name and without that field; the annotation {REQUESTED_BY_ANNOTATION} is sent \
             in it"
        )));
    }
    let problem = match stamp(resource) {
        Some(stamp) if stamp.contains(PREFIX) => "has the operator's own mark in it",
        Some(stamp) if stamp.chars().count() > LONGEST => "is longer than 1000 characters",
        _ => return Ok(()),
    };
    Err(Refusal(format!(
        "the annotation {REQUESTED_BY_ANNOTATION} {problem}, and the connection sends it to Apono as \
         `{field}` (spec.identity.customField): it was not written by the policy of stamped \
         requesters; ask an administrator to install deploy/policies/stamped-requester.yaml, and \
         create a new AccessRequest with another name"
    )))
}

/// The custom fields as they are sent. Whatever [`ask`] would say, the connection's field holds the
/// stamp or is not there.
pub fn custom_fields(field: Option<&str>, resource: &AccessRequest) -> BTreeMap<String, String> {
    let mut fields = resource.spec.custom_fields.clone();
    let Some(field) = field else {
        return fields;
    };
    fields.retain(|name, _| !same(name, field));
    if let Some(stamp) = stamp(resource) {
        fields.insert(field.to_owned(), stamp.to_owned());
    }
    fields
}

/// An empty stamp is none: the policy never writes one.
fn stamp(resource: &AccessRequest) -> Option<&str> {
    let stamp = resource.annotations().get(REQUESTED_BY_ANNOTATION);
    stamp.map(String::as_str).filter(|stamp| !stamp.is_empty())
}

fn has_custom_fields(spec: &AccessRequestSpec) -> bool {
    spec.access.integration.is_none()
}

/// Nobody outside Apono knows whether it minds the case or white space of names.
fn same(name: &str, field: &str) -> bool {
    name.trim().to_lowercase() == field.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const FIELD: Option<&str> = Some("requested_by");

    fn resource(stamp: Option<&str>, change: Value) -> AccessRequest {
        let mut spec = json!({"access": {"bundle": "prod-read"}, "justification": "stuck orders"});
        if let (Some(spec), Value::Object(change)) = (spec.as_object_mut(), change) {
            spec.extend(change);
        }
        let mut resource = AccessRequest::new("orders-read", serde_json::from_value(spec).unwrap());
        resource.metadata.annotations =
            stamp.map(|stamp| BTreeMap::from([(REQUESTED_BY_ANNOTATION.into(), stamp.into())]));
        resource
    }

    fn sent(field: Option<&str>, resource: &AccessRequest) -> Value {
        json!(custom_fields(field, resource))
    }

    #[test]
    fn the_stamp_goes_beside_what_the_resource_says() {
        let ticket = json!({"customFields": {"ticket": "INC-42"}});
        let stamped = resource(Some("dana@example.com"), ticket.clone());
        assert_eq!(ask(FIELD, &stamped), Ok(()));
        assert_eq!(
            sent(FIELD, &stamped),
            json!({"ticket": "INC-42", "requested_by": "dana@example.com"})
        );
        assert_eq!(sent(None, &stamped), json!({"ticket": "INC-42"}));
        for without in [None, Some("")] {
            let unstamped = resource(without, ticket.clone());
            assert_eq!(ask(FIELD, &unstamped), Ok(()));
            assert_eq!(sent(FIELD, &unstamped), json!({"ticket": "INC-42"}));
        }
    }

    #[test]
    fn who_asks_does_not_say_who_asked() {
        for stamp in [None, Some("dana@example.com")] {
            for name in ["requested_by", "Requested_By", " requested_by"] {
                let forged = resource(stamp, json!({"customFields": {name: "alex@example.com"}}));
                let said = ask(FIELD, &forged).unwrap_err().0;
                for word in [
                    &*format!("spec.customFields sets `{name}` to `alex@example.com`"),
                    "spec.identity.customField",
                    "create a new AccessRequest",
                ] {
                    assert!(said.contains(word), "{word}: {said}");
                }
                let told = stamp.map_or(json!({}), |stamp| json!({"requested_by": stamp}));
                assert_eq!(sent(FIELD, &forged), told);
                // Where the connection keeps no field, a custom field is one like any other.
                assert_eq!(ask(None, &forged), Ok(()));
                assert_eq!(sent(None, &forged), json!({name: "alex@example.com"}));
            }
        }
    }

    #[test]
    fn a_stamp_that_no_policy_writes_is_not_sent_on() {
        let longest = "d".repeat(LONGEST);
        assert_eq!(ask(FIELD, &resource(Some(&longest), json!({}))), Ok(()));
        for (stamp, words) in [
            (format!("{longest}d"), "longer than 1000 characters"),
            (format!("{PREFIX}n c/ns/name] "), "the operator's own mark"),
        ] {
            let said = ask(FIELD, &resource(Some(&stamp), json!({})));
            let said = said.unwrap_err().0;
            assert!(said.contains(words), "{said}");
            assert!(said.contains("stamped-requester.yaml"), "{said}");
            assert!(!said.contains(&stamp), "what is wrong with it is enough");
        }
    }

    #[test]
    fn requests_without_custom_fields_tell_nothing_and_are_asked_for() {
        let target = json!({
            "integration": "int-1", "resourceType": "t", "resources": ["r"], "permissions": ["p"]
        });
        let stamp = "x".repeat(LONGEST + 1);
        let resource = resource(Some(&stamp), json!({"access": {"integration": target}}));
        assert_eq!(ask(FIELD, &resource), Ok(()));
    }
}
