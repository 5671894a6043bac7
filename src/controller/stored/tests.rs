use serde_json::json;

use super::*;

fn vocabulary() -> AccessRequest {
    serde_json::from_slice(VOCABULARY).unwrap()
}

fn unpacked(stored: &Stored) -> AccessRequest {
    match stored.unpack().unwrap() {
        Unpacked::Readable(resource) => *resource,
        Unpacked::Unreadable(invalid) => panic!("{invalid}"),
    }
}

/// A resource at rest as a cluster may have it: nothing of its names and ids is in the vocabulary.
fn active() -> AccessRequest {
    let id = "75e88c63-a6e1-429a-ac9c-7a3c30f0a328";
    let integration = json!({"id": "int-7731", "name": "warehouse-eu"});
    let entitlement = |name: &str| {
        json!({
            "integration": integration, "permission": "SELECT", "status": "Granted",
            "resource": {
                "id": format!("res-{name}"), "name": name, "type": "snowflake-table",
                "sourceId": format!("warehouse-eu/{name}"),
            },
        })
    };
    let condition = |kind: &str| {
        json!({
            "type": kind, "status": "True", "reason": "Active", "observedGeneration": 3,
            "message": "until 2027-03-04 16:15Z", "lastTransitionTime": "2027-03-04T08:15:22Z",
        })
    };
    serde_json::from_value(json!({
        "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
        "metadata": {
            "name": "quarter-end", "namespace": "finance", "generation": 3,
            "uid": "32658437-3a37-401d-90cb-80f5768dfd01", "resourceVersion": "8315522",
            "creationTimestamp": "2027-03-04T08:15:20Z", "finalizers": ["access.apono.io/revoke"],
            "annotations": {"access.apono.io/attempt": "{\"n\":1}", LAST_APPLIED_ANNOTATION: "{}"},
            "managedFields": [{"manager": "kubectl", "operation": "Update"}],
        },
        "spec": {"access": {"bundle": "reporting"}, "justification": "closing the \"quarter\""},
        "status": {
            "observedGeneration": 3, "phase": "Active", "reason": "Active",
            "requests": [{
                "id": id, "api": "UserV4", "attempt": 1, "status": "Active",
                "nonce": "7afqrwerqxrcyulxdchmlo6b", "createdAt": "2027-03-04T08:15:21Z",
            }],
            "entitlements": [entitlement("ledger"), entitlement("invoices")],
            "conditions": [condition("Ready"), condition("Synced")],
        },
    }))
    .unwrap()
}

#[test]
fn what_is_unpacked_is_what_was_packed_less_what_nobody_looks_at() {
    let mut large = active();
    // Further than the compression looks back.
    large.spec.justification = Some((0..20_000).map(|n: u32| n.to_string()).collect());
    for mut resource in [active(), vocabulary(), AccessRequest::default(), large] {
        let stored = Stored::pack(resource.clone());
        resource.metadata.managed_fields = None;
        if let Some(annotations) = &mut resource.metadata.annotations {
            annotations.remove(LAST_APPLIED_ANNOTATION);
        }
        assert_eq!(unpacked(&stored), resource);
        assert_eq!(stored.meta().uid, resource.metadata.uid);
        let version = &resource.metadata.resource_version;
        assert_eq!(&stored.meta().resource_version, version);
    }
}

#[test]
fn what_the_wire_brings_is_stored_as_if_it_was_packed() {
    let stored: Stored = serde_json::from_value(json!(active())).unwrap();
    let packed = Stored::pack(active());
    assert_eq!(unpacked(&stored), unpacked(&packed));
    assert_eq!(stored.facts(), packed.facts());
}

#[test]
fn one_at_rest_takes_a_third_of_its_text() {
    let text = serde_json::to_vec(&active()).unwrap().len();
    let Content::Packed { text: packed, .. } = Stored::pack(active()).content else {
        panic!("it can be read");
    };
    assert!(packed.len() * 3 < text, "{} of {text}", packed.len());
}

/// In any other order the vocabulary holds fewer of the pieces that a text is made of.
#[test]
fn the_vocabulary_is_written_as_resources_are() {
    let text = serde_json::to_string(&vocabulary()).unwrap();
    let file = std::str::from_utf8(VOCABULARY).unwrap();
    assert_eq!(file.trim_end(), text);
}

#[test]
fn one_that_cannot_be_read_keeps_its_metadata_and_says_why() {
    let stored: Stored = serde_json::from_value(json!({
        "metadata": {
            "name": "a", "namespace": "b", "finalizers": ["c"], "labels": {"d": "e"},
            "annotations": {LAST_APPLIED_ANNOTATION: "{}"}, "managedFields": [{"manager": "f"}],
        },
        "spec": {"access": 7},
    }))
    .unwrap();
    assert_eq!(stored.facts(), None);
    assert_eq!(stored.meta().finalizers, Some(vec!["c".to_owned()]));
    let Unpacked::Unreadable(invalid) = stored.unpack().unwrap() else {
        panic!("it is unreadable");
    };
    assert_eq!(invalid.metadata.name.as_deref(), Some("a"));
    assert!(invalid.metadata.labels.is_some(), "nothing else is lost");
    assert_eq!(invalid.metadata.managed_fields, None);
    assert_eq!(invalid.metadata.annotations, Some([].into()));
    assert!(invalid.error.contains("invalid type"), "{}", invalid.error);
    assert!(stored.unpack_if_mentions(&["a"]).is_none());
}

#[test]
fn a_glance_finds_what_the_text_mentions_and_nothing_else() {
    let stored = Stored::pack(active());
    let mentions = |text: &str| stored.unpack_if_mentions(&["nothing", text]).is_some();
    assert!(mentions("75e88c63-a6e1-429a-ac9c-7a3c30f0a328"));
    assert!(mentions("closing the \"quarter\""), "as it is quoted");
    assert!(!mentions("75e88c63-a6e1-429a-ac9c-7a3c30f0a329"));
}

#[test]
fn what_is_broken_in_memory_is_told_and_not_taken_for_another() {
    let mut stored = Stored::pack(active());
    let Content::Packed { text, .. } = &mut stored.content else {
        panic!("it can be read");
    };
    *text = text[..text.len() / 2].into();
    assert!(stored.unpack().is_err());
}

#[test]
fn what_is_in_a_resource_is_not_in_its_debug_text() {
    let text = format!("{:?}", Stored::pack(active()));
    assert!(text.contains("quarter-end"), "{text}");
    assert!(!text.contains("75e88c63"), "{text}");
}

#[test]
fn waiting_counts_from_when_it_was_asked_for_and_only_for_people() {
    let since = |phase: &str| {
        let post = |time: &str| json!({"nonce": "n", "n": 1, "time": time});
        let posts = [post("2027-03-04T08:15:40Z"), post("2027-03-04T08:15:30Z")];
        let resource: AccessRequest = serde_json::from_value(json!({
            "metadata": {"creationTimestamp": "2027-03-04T08:15:20Z"},
            "spec": {"access": {"bundle": "reporting"}},
            "status": {"phase": phase, "attempt": {"number": 1, "posts": posts}},
        }))
        .unwrap();
        Stored::pack(resource).facts().unwrap().waiting_since
    };
    let asked = Some("2027-03-04T08:15:40Z".parse().unwrap());
    assert_eq!(since("Pending"), asked);
    assert_eq!(since("PendingMFA"), asked);
    assert_eq!(since("Granting"), None);
}

/// As the API server sends it: in a list, and in an event whose type comes before its object.
#[test]
fn it_reads_from_lists_and_from_events() {
    use kube::core::{ObjectList, WatchEvent};

    let object = serde_json::to_value(active()).unwrap();
    let list =
        json!({"kind": "AccessRequestList", "apiVersion": "v1", "items": [object, {"spec": 7}]});
    let list: ObjectList<Stored> = serde_json::from_str(&list.to_string()).unwrap();
    let readable: Vec<_> = list.items.iter().map(|one| one.facts().is_some()).collect();
    assert_eq!(readable, [true, false]);
    let event = format!("{{\"type\":\"MODIFIED\",\"object\":{object}}}");
    let WatchEvent::Modified(stored) = serde_json::from_str::<WatchEvent<Stored>>(&event).unwrap()
    else {
        panic!("it is modified");
    };
    assert_eq!(stored.facts(), list.items[0].facts());
}
