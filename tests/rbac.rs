//! The shipped roles are exactly what the operator needs: a whole life as the shipped service
//! account, in a real apiserver, is never refused, and uses every verb that is granted. What was
//! used is read from the audit log, so nothing of it is forgotten.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are not seen as tests by the lint"
)]

#[path = "rbac/grants.rs"]
mod grants;
#[path = "rbac/life.rs"]
mod life;
#[path = "rbac/operator.rs"]
mod operator;
mod shipped;

use std::{
    collections::BTreeSet,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use grants::{Call, Grant, grants, lines, needed};
use life::{Kind, Life};
use operator::{ACCOUNT, Operator};
use serde_json::Value;
use shipped::{kubectl, render, text};

static ALONE: Mutex<()> = Mutex::new(());
/// Roles are known to the apiserver a moment after they are stored.
const PATIENCE: Duration = Duration::from_secs(30);

/// The roles of the account, and the namespaces by their shipped names, are one test's at a time.
fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Roles in force; they are withdrawn when this is dropped.
struct InForce {
    documents: Vec<Value>,
}

impl InForce {
    fn new(mut documents: Vec<Value>) -> Self {
        let is_kind = |document: &Value, kinds: &[&str]| kinds.contains(&text(document, "/kind"));
        let first = ["Namespace", "ServiceAccount", "CustomResourceDefinition"];
        shipped::apply(documents.iter().filter(|one| is_kind(one, &first)));
        kubectl(&["wait", "--for=condition=Established", "crd", "--all"]);
        documents.retain(|document| text(document, "/apiVersion").starts_with("rbac."));
        shipped::apply(&documents);
        let roles = Self { documents };
        for grant in grants(&roles.documents) {
            wait_for(&grant);
        }
        roles
    }
}

/// Waits until the apiserver knows of the grant.
fn wait_for(grant: &Grant) {
    let (resource, part) = grant
        .resource
        .split_once('/')
        .unwrap_or((&grant.resource, ""));
    let mut target = resource.to_owned();
    if !grant.group.is_empty() {
        target = format!("{target}.{}", grant.group);
    }
    if let Some(name) = &grant.name {
        target = format!("{target}/{name}");
    }
    let part = format!("--subresource={part}");
    let (user, group) = (format!("--as={ACCOUNT}"), "--as-group=system:authenticated");
    let place = match &grant.namespace {
        Some(namespace) => format!("--namespace={namespace}"),
        None => "--all-namespaces".to_owned(),
    };
    let question = [
        "auth",
        "can-i",
        &grant.verb,
        &target,
        &part,
        &user,
        group,
        &place,
    ];
    let started = Instant::now();
    while !shipped::try_kubectl(&question, "").is_success {
        assert!(started.elapsed() < PATIENCE, "not in force: {grant}");
    }
}

impl Drop for InForce {
    fn drop(&mut self) {
        let input = shipped::stream(&self.documents);
        let said = shipped::try_kubectl(&["delete", "--ignore-not-found", "-f", "-"], &input);
        if !said.is_success {
            eprintln!("roles are left behind: {}", said.errors);
        }
    }
}

fn deployment(documents: &[Value]) -> &Value {
    let mut found = documents.iter();
    found
        .find(|document| text(document, "/kind") == "Deployment")
        .expect("a Deployment")
}

/// No call was refused, every call is granted by these roles, and every grant was needed.
///
/// Other tests' namespaces may still hold resources, which an operator for the whole cluster sees:
/// calls about them count neither way.
fn compare(documents: &[Value], entries: &[Value], namespaces: &[&str]) {
    let granted = grants(documents);
    let calls: BTreeSet<_> = entries.iter().filter_map(Call::of).collect();
    let ours: BTreeSet<_> = calls
        .into_iter()
        .filter(|call| match call.namespace.as_deref() {
            Some(namespace) => namespaces.contains(&namespace),
            None => true,
        })
        .collect();
    let refused: Vec<_> = ours.iter().filter(|call| call.code == 403).collect();
    assert!(refused.is_empty(), "refused:\n{}", lines(refused));
    let (used, ungranted) = needed(&granted, &ours);
    println!(
        "{} granted, {} used:\n{}",
        granted.len(),
        used.len(),
        lines(&used)
    );
    assert!(
        ungranted.is_empty(),
        "used, but granted by no role here:\n{}",
        lines(ungranted)
    );
    let unused: Vec<_> = granted.iter().filter(|one| !used.contains(one)).collect();
    assert!(
        unused.is_empty(),
        "granted, but never used:\n{}",
        lines(unused)
    );
    let others = entries.iter().filter(|entry| Call::of(entry).is_none());
    for entry in others {
        let (verb, uri) = (text(entry, "/verb"), text(entry, "/requestURI"));
        // What every account may read: which resources are served.
        assert!(verb == "get" && uri.starts_with("/apis/"), "{verb} {uri}");
    }
}

#[test]
fn a_whole_cluster_needs_exactly_the_base_and_what_tenants_grant() {
    let _alone = alone();
    let mut documents = render("base");
    documents.extend(render("namespaced-connections"));
    let deployment = deployment(&documents).clone();
    let roles = InForce::new(documents);
    let (own, other) = (life::namespace(), life::namespace());
    // The two commands of the README: one Secret of one namespace.
    let names = ["role", "apono-token", "--verb=get", "--resource=secrets"];
    let in_own = format!("--namespace={own}");
    let create = |more: &[&str]| kubectl(&[&["create", &in_own], more].concat());
    create(&[&names[..], &["--resource-name=apono-token"]].concat());
    create(&[
        "rolebinding",
        "apono-token",
        "--role=apono-token",
        "--serviceaccount=apono-system:apono-operator",
    ]);
    let granted_there = kubectl(&["get", "role", "apono-token", &in_own, "-o", "json"]);
    let mut documents = roles.documents.clone();
    let role = serde_json::from_str(&granted_there).expect("a Role");
    wait_for(
        grants(std::slice::from_ref(&role))
            .first()
            .expect("one grant"),
    );
    documents.push(role);

    let simulator = life::simulator();
    let settings = [("ALLOWED_ENDPOINTS", simulator.url())];
    let settings = settings
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let operator = Operator::start(&deployment, &settings);
    for (kind, namespace) in [
        (Kind::ClusterAponoConnection, &own),
        (Kind::AponoConnection, &own),
        (Kind::AponoConnection, &other),
    ] {
        Life::new(&simulator, kind, namespace).live();
    }
    compare(&documents, &operator.end(), &[&own, &other, "apono-system"]);
    life::leave(&own);
    life::leave(&other);
}

/// A life with credentials is never refused, and uses every verb of the role that is for it.
fn compare_credentials(documents: &[Value], entries: &[Value], namespace: &str, verbs: usize) {
    let granted = grants(documents);
    let calls: BTreeSet<_> = entries
        .iter()
        .filter_map(Call::of)
        .filter(|call| call.namespace.as_deref() == Some(namespace))
        .collect();
    let refused: Vec<_> = calls.iter().filter(|call| call.code == 403).collect();
    assert!(refused.is_empty(), "refused:\n{}", lines(refused));
    let (used, ungranted) = needed(&granted, &calls);
    assert!(ungranted.is_empty(), "no role:\n{}", lines(ungranted));
    let of_it = granted
        .iter()
        .filter(|grant| grant.role == "apono-operator-credentials");
    let (used, unused): (Vec<_>, Vec<_>) = of_it.partition(|grant| used.contains(grant));
    println!("{} used:\n{}", used.len(), lines(&used));
    assert_eq!(used.len(), verbs);
    assert!(unused.is_empty(), "never used:\n{}", lines(unused));
}

#[test]
fn credentials_need_exactly_what_is_granted_for_them_in_the_whole_cluster() {
    let _alone = alone();
    let mut documents = render("base");
    documents.extend(render("credentials"));
    let deployment = deployment(&documents).clone();
    let roles = InForce::new(documents);
    let namespace = life::namespace();
    let simulator = life::simulator();
    let operator = Operator::start(&deployment, &[]);
    Life::new(&simulator, Kind::ClusterAponoConnection, &namespace).live_with_credentials();
    compare_credentials(&roles.documents, &operator.end(), &namespace, 7);
    life::leave(&namespace);
}

#[test]
fn credentials_need_exactly_what_is_granted_for_them_in_one_namespace() {
    let _alone = alone();
    let mut documents = render("namespaced");
    let mut role = render("namespaced/credentials");
    for document in &mut role {
        document["metadata"]["namespace"] = "payments".into();
    }
    documents.extend(role);
    let deployment = deployment(&documents).clone();
    let namespace = "payments";
    life::leave(namespace);
    kubectl(&["create", "namespace", namespace]);
    let roles = InForce::new(documents);
    let simulator = life::simulator();
    let url = simulator.url();
    let operator = Operator::start(&deployment, &[("ALLOWED_ENDPOINTS", &url)]);
    Life::new(&simulator, Kind::AponoConnection, namespace).live_with_credentials();
    compare_credentials(&roles.documents, &operator.end(), namespace, 6);
    drop(roles);
    life::leave(namespace);
}

#[test]
fn single_namespaces_need_exactly_their_roles() {
    let _alone = alone();
    let documents = render("namespaced");
    let deployment = deployment(&documents).clone();
    // What the overlay serves as it is shipped.
    let namespace = "payments";
    life::leave(namespace);
    kubectl(&["create", "namespace", namespace]);
    let roles = InForce::new(documents);
    let simulator = life::simulator();
    let settings = [("ALLOWED_ENDPOINTS", simulator.url())];
    let settings = settings
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let operator = Operator::start(&deployment, &settings);
    Life::new(&simulator, Kind::AponoConnection, namespace).live();
    compare(
        &roles.documents,
        &operator.end(),
        &[namespace, "apono-system"],
    );
    drop(roles);
    life::leave(namespace);
}

/// What `apono-operator check` says as the shipped account, and whether it is content.
fn checked() -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_apono-operator"))
        .arg("check")
        .env("KUBECONFIG", shipped::variable("APONO_TEST_SA_KUBECONFIG"))
        .output()
        .expect("the operator starts");
    let said = String::from_utf8(output.stdout).expect("text");
    (output.status.success(), said)
}

/// The line about this.
fn line<'a>(said: &'a str, what: &str) -> &'a str {
    let mut lines = said.lines();
    lines
        .find(|line| line.contains(what))
        .unwrap_or_else(|| panic!("nothing of {what} in:\n{said}"))
}

#[test]
fn what_is_not_granted_is_said_before_it_is_missed() {
    let _alone = alone();
    let mut documents = render("base");
    let roles = InForce::new(documents.clone());
    let (_, said) = checked();
    assert!(line(&said, "apiserver").starts_with("ok "), "{said}");
    assert!(line(&said, "custom resources").starts_with("ok "), "{said}");
    for needed in ["serving the cluster", "reading tokens"] {
        assert!(line(&said, needed).starts_with("ok "), "{said}");
    }
    let credentials = line(&said, "spec.credentials");
    assert!(credentials.starts_with("off "), "{said}");
    assert!(
        credentials.ends_with("deploy/kustomize/credentials"),
        "{said}"
    );
    drop(roles);

    documents.retain(|document| !text(document, "/kind").starts_with("ClusterRole"));
    let _roles = InForce::new(documents);
    let started = Instant::now();
    loop {
        let (is_content, said) = checked();
        let serving = line(&said, "serving the cluster");
        if serving.starts_with("WRONG ") {
            assert!(!is_content, "{said}");
            let lacks = "patch accessrequests.access.apono.io/status";
            assert!(serving.contains(lacks), "{said}");
            assert!(line(&said, "reading tokens").starts_with("ok "), "{said}");
            return;
        }
        // Roles are forgotten a moment after they are gone.
        assert!(started.elapsed() < PATIENCE, "{said}");
    }
}
