use serde_json::json;

use super::*;

fn role(kind: &str, namespace: &str, resource: &str, verbs: &[&str]) -> Value {
    json!({
        "kind": kind,
        "metadata": {"name": "operator", "namespace": namespace},
        "rules": [{"apiGroups": ["access.apono.io"], "resources": [resource], "verbs": verbs}]
    })
}

fn entry(verb: &str, namespace: &str, resource: &str) -> Value {
    let object = json!({
        "resource": resource, "namespace": namespace, "name": "orders",
        "apiGroup": "access.apono.io", "apiVersion": "v1alpha1"
    });
    json!({
        "verb": verb, "requestURI": "/apis/access.apono.io", "userAgent": "apono-operator/0.1.0",
        "objectRef": object, "responseStatus": {"code": 200}
    })
}

fn compared(roles: &[Value], entries: &[Value]) -> Compared {
    let rights: Vec<_> = roles.iter().flat_map(rights).collect();
    let mut calls = Calls::new(&rights);
    for entry in entries {
        calls.see(&entry.to_string()).unwrap();
    }
    compare(&rights, &calls)
}

/// Both installations, with one verb on one resource.
fn both(resource: &str, verbs: &[&str]) -> [Value; 2] {
    ["ClusterRole", "Role"].map(|kind| role(kind, "", resource, verbs))
}

#[test]
fn what_is_granted_and_used_is_even() {
    let found = compared(&both("ones", &["get"]), &[entry("get", "a", "ones")]);
    assert!(found.is_even(), "{found}");
    assert_eq!(
        found.to_string(),
        "rights: 2 granted, 2 used by 1 calls; ungranted: none; unused: none"
    );
}

#[test]
fn a_right_that_nothing_uses_is_told() {
    let found = compared(
        &both("ones", &["get", "patch"]),
        &[entry("get", "a", "ones")],
    );
    assert_eq!(
        found.unused,
        [
            "patch ones.access.apono.io (ClusterRole operator)",
            "patch ones.access.apono.io (Role of a served namespace operator)"
        ]
    );
    assert!(found.ungranted.is_empty() && !found.is_even(), "{found}");
}

#[test]
fn a_call_that_nothing_grants_is_told_even_if_it_was_refused() {
    let mut refused = entry("delete", "a", "ones");
    refused["responseStatus"] = json!({"code": 403});
    let used = entry("get", "a", "ones");
    let found = compared(&both("ones", &["get"]), &[used, refused]);
    let told: Vec<_> = found.ungranted.iter().map(String::as_str).collect();
    assert_eq!(
        told,
        [
            "delete ones.access.apono.io in a namespace, by the operator of a whole cluster",
            "delete ones.access.apono.io in a namespace, by the operator of single namespaces"
        ]
    );
}

#[test]
fn single_namespaces_must_do_with_roles() {
    let [cluster, _] = both("ones", &["get"]);
    let found = compared(&[cluster], &[entry("get", "a", "ones")]);
    assert_eq!(found.ungranted.len(), 1, "{found}");
    assert!(
        found
            .to_string()
            .contains("by the operator of single namespaces")
    );
}

#[test]
fn what_is_outside_namespaces_takes_a_cluster_role() {
    let [cluster, served] = both("ones", &["list"]);
    let everywhere = entry("list", "", "ones");
    let found = compared(
        std::slice::from_ref(&cluster),
        std::slice::from_ref(&everywhere),
    );
    assert!(found.is_even(), "{found}");
    let found = compared(&[served], &[everywhere]);
    assert_eq!(
        (found.ungranted.len(), found.unused.len()),
        (1, 1),
        "{found}"
    );
    // The list of one namespace is no reason to grant all of them.
    let found = compared(&[cluster], &[entry("list", "a", "ones")]);
    assert_eq!(found.unused.len(), 1, "{found}");
}

#[test]
fn a_role_of_the_operators_namespace_reaches_only_where_debts_are_watched() {
    let own = role("Role", OPERATOR_NAMESPACE, DEBTS, &["watch", "create"]);
    let watch = entry("watch", "here", DEBTS);
    let found = compared(
        std::slice::from_ref(&own),
        &[watch.clone(), entry("create", "here", DEBTS)],
    );
    assert!(found.is_even(), "{found}");
    let found = compared(&[own], &[watch, entry("create", "there", DEBTS)]);
    assert_eq!(
        (found.ungranted.len(), found.unused.len()),
        (2, 1),
        "{found}"
    );
}

#[test]
fn a_right_for_one_name_is_for_no_other() {
    let mut named = role("ClusterRole", "", "namespaces", &["get"]);
    named["rules"][0]["apiGroups"] = json!([""]);
    named["rules"][0]["resourceNames"] = json!(["kube-system"]);
    let read = |name: &str| {
        let mut entry = entry("get", name, "namespaces");
        entry["objectRef"]["apiGroup"] = json!("");
        entry["objectRef"]["name"] = json!(name);
        entry
    };
    let found = compared(std::slice::from_ref(&named), &[read("kube-system")]);
    assert!(found.is_even(), "{found}");
    let found = compared(&[named], &[read("default")]);
    assert_eq!(
        (found.ungranted.len(), found.unused.len()),
        (1, 1),
        "{found}"
    );
}

#[test]
fn a_subresource_is_a_resource_of_its_own() {
    let mut status = entry("patch", "a", "ones");
    status["objectRef"]["subresource"] = json!("status");
    let found = compared(&both("ones", &["patch"]), &[status.clone()]);
    assert_eq!(
        (found.ungranted.len(), found.unused.len()),
        (2, 2),
        "{found}"
    );
    assert!(compared(&both("ones/status", &["patch"]), &[status]).is_even());
}

#[test]
fn what_everybody_may_do_needs_no_role_and_other_paths_do() {
    let path = |verb: &str, uri: &str| json!({"verb": verb, "requestURI": uri, "userAgent": "apono-operator/0.1.0"});
    let mut review = entry("create", "", "selfsubjectaccessreviews");
    review["objectRef"]["apiGroup"] = json!("authorization.k8s.io");
    let everybodys = [
        path("get", "/apis/access.apono.io/v1alpha1?timeout=1s"),
        path("get", "/version"),
        path("get", "/api"),
        review,
    ];
    let found = compared(&[], &everybodys);
    assert!(found.is_even() && found.calls == 4, "{found}");
    let others = [
        path("get", "/apisix"),
        path("get", "/metrics"),
        path("post", "/api"),
    ];
    assert_eq!(compared(&[], &others).ungranted.len(), 3);
}

#[test]
fn calls_of_others_do_not_count() {
    let mut other = entry("delete", "a", "ones");
    other["userAgent"] = json!("kubectl/v1.36.3");
    // Named in what is called, but not who calls.
    other["requestURI"] = json!("/apis?agent=apono-operator/1");
    let found = compared(
        &[],
        &[other, json!({"verb": "get", "requestURI": "/metrics"})],
    );
    assert!(found.is_even() && found.calls == 0, "{found}");
}

#[test]
fn a_line_of_the_operator_that_is_none_is_not_passed_over() {
    let error = Calls::new(&[])
        .see("{\"userAgent\":\"apono-operator/1\"")
        .unwrap_err();
    assert!(
        error.to_string().contains("not a line of an audit log"),
        "{error}"
    );
}
