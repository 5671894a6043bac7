//! `deploy/policies` in a real apiserver, both ways: what they refuse and what they let pass, each asked
//! by the user it is about. A policy holds for the whole cluster; here its binding is narrowed to the
//! namespaces of one test, so that no other test meets it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "policies/in_force.rs"]
mod in_force;
#[path = "policies/requester.rs"]
mod requester;
mod shipped;
mod support;

use std::time::{Duration, Instant};

use in_force::InForce;
use serde_json::{Value, json};
use shipped::{Said, kubectl, kubectl_with, try_kubectl};

/// Roles and policies are known to the apiserver a moment after they are stored.
const PATIENCE: Duration = Duration::from_secs(30);
const LABEL: &str = "access.apono.io/longest-duration";
const STAMP: &str = "access.apono.io/requested-by";
const DANA: &str = "dana@example.com";
const ALEX: &str = "alex@example.com";

fn with(more: Value) -> Value {
    let mut spec =
        json!({"access": {"bundle": "prod-read"}, "justification": "policies are tried"});
    if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
        spec.extend(more);
    }
    spec
}

#[test]
fn everybody_asks_for_themselves_unless_they_hold_the_verb() {
    let here = InForce::new(&["grantee-is-caller"]);
    let of = |grantee: &str| with(json!({"grantee": grantee}));
    here.holds(DANA, &of(ALEX));

    here.refuses(
        DANA,
        &of(ALEX),
        "spec.grantee is \"alex@example.com\", and you are \"dana@example.com\"",
    );
    here.refuses(
        DANA,
        &with(json!({})),
        "spec.grantee is absent, and you are",
    );
    here.refuses(
        DANA,
        &of("dana@example.com.evil.example"),
        "request-for-others",
    );
    here.allows(DANA, &of(DANA));
    here.allows(DANA, &of("Dana@Example.com"));
    here.allows(ALEX, &of(DANA));
    here.allows(ALEX, &with(json!({})));
}

#[test]
fn no_access_is_longer_than_its_namespace_allows() {
    let here = InForce::new(&["longest-duration"]);
    let long = with(json!({"duration": "9h"}));
    let renewed = |duration: &str, times: i32| {
        with(json!({"duration": duration, "renewal": {"before": "15m", "maxRenewals": times}}))
    };
    here.label("8h");
    here.holds(DANA, &long);

    here.refuses(DANA, &long, "spec.duration is 9h: in namespace");
    here.refuses(DANA, &with(json!({})), "spec.duration is absent");
    here.refuses(
        DANA,
        &renewed("3h", 2),
        "spec.duration is 3h, 3 times with its renewals",
    );
    here.allows(DANA, &with(json!({"duration": "8h"})));
    here.allows(DANA, &with(json!({"duration": "7h59m60s"})));
    here.allows(DANA, &renewed("2h40m", 2));

    here.label("8-hours");
    here.refuses(
        DANA,
        &with(json!({"duration": "1h"})),
        "write it like 8h or 1h30m",
    );

    // What is longer than a label that came later can be let go of, and not be lengthened.
    kubectl(&["label", "namespace", &here.namespace, &format!("{LABEL}-")]);
    let started = Instant::now();
    while !here.judge(DANA, &long).is_success {
        assert!(started.elapsed() < PATIENCE, "the label is gone");
    }
    kubectl_with(
        &["create", "-f", "-"],
        &here.request("old", &renewed("9h", 1)).to_string(),
    );
    here.label("8h");
    here.holds(DANA, &long);
    let patch = |patch: &Value| {
        here.act(
            DANA,
            &[
                "patch",
                "accessrequest",
                "old",
                "--type=merge",
                "-p",
                &patch.to_string(),
            ],
        )
    };
    let lengthened = patch(&json!({"spec": {"renewal": {"maxRenewals": 2}}}));
    assert!(
        lengthened.errors.contains("3 times with its renewals"),
        "{}",
        lengthened.errors
    );
    for pass in [
        json!({"metadata": {"finalizers": ["access.apono.io/revoke"]}}),
        json!({"metadata": {"finalizers": null, "annotations": {"access.apono.io/revoke": "now"}}}),
        json!({"spec": {"suspend": true}}),
        json!({"spec": {"renewal": null}}),
    ] {
        let said = patch(&pass);
        assert!(said.is_success, "{pass}: {}", said.errors);
    }
    let gone = here.act(DANA, &["delete", "accessrequest", "old", "--timeout=30s"]);
    assert!(gone.is_success, "{}", gone.errors);
}

#[test]
fn some_bundles_are_only_asked_for_with_a_ticket() {
    let here = InForce::new(&["ticket-for-bundles"]);
    let of = |bundle: &str, ticket: Option<&str>| {
        let fields = ticket.map(|ticket| json!({"ticket": ticket}));
        let access = json!({"bundle": bundle});
        with(match fields {
            Some(fields) => json!({"access": access, "customFields": fields}),
            None => json!({"access": access}),
        })
    };
    here.holds(DANA, &of("prod-admin", None));

    let words = "is only given for a ticket";
    for bundle in ["prod-admin", "Prod-Admin", "bundle-prod-admin"] {
        here.refuses(DANA, &of(bundle, None), words);
        for ticket in ["", "later", "see INC-42", "INC-42\nand more"] {
            here.refuses(DANA, &of(bundle, Some(ticket)), words);
        }
        here.allows(DANA, &of(bundle, Some("INC-42")));
    }
    here.allows(DANA, &of("prod-read", None));
    here.allows(DANA, &of("prod-administrators", None));
    let entitlements = json!([{"resourceId": "res-1", "permissionId": "perm-1"}]);
    here.allows(
        DANA,
        &with(json!({"access": {"entitlements": entitlements}})),
    );

    // Without the list nobody knows which need one.
    kubectl(&[
        "delete",
        "configmap",
        "apono-ticket-for-bundles",
        "-n",
        &here.namespace,
    ]);
    let started = Instant::now();
    while here.judge(DANA, &of("prod-read", None)).is_success {
        assert!(
            started.elapsed() < PATIENCE,
            "the list is gone, and bundles are given"
        );
    }
}

#[test]
fn who_asked_is_stamped_and_stays() {
    let here = InForce::new(&["stamped-requester"]);
    let mut forged = here.request("stamped", &with(json!({})));
    forged["metadata"]["annotations"] = json!({STAMP: ALEX, "team": "payments"});
    // One policy writes the stamp and another keeps it: each comes into force in its own moment.
    let stamped = |said: &Said| -> Value {
        let object: Value = serde_json::from_str(&said.output).unwrap_or_default();
        object["metadata"]["annotations"].clone()
    };
    let started = Instant::now();
    let mine = format!("--as={DANA}");
    let create = ["create", "-o", "json", "-f", "-", &*mine];
    let dry = [&create[..], &["--dry-run=server"]].concat();
    let wanted = json!({STAMP: DANA, "team": "payments"});
    while stamped(&try_kubectl(&dry, &forged.to_string())) != wanted {
        assert!(started.elapsed() < PATIENCE, "no stamp is written");
    }
    let created = kubectl_with(&create, &forged.to_string());
    assert_eq!(stamped(&created), wanted);

    let patch = |user: &str, annotations: &Value, more: &[&str]| {
        let patch = json!({"metadata": {"annotations": annotations}}).to_string();
        let what = ["patch", "accessrequest", "stamped", "--type=merge", "-p"];
        here.act(user, &[&what[..], &[&patch], more].concat())
    };
    let started = Instant::now();
    while !patch(DANA, &json!({STAMP: ALEX}), &["--dry-run=server"])
        .errors
        .contains("leave it as it is")
    {
        assert!(started.elapsed() < PATIENCE, "no stamp is kept");
    }
    for user in [DANA, ALEX] {
        for change in [
            json!({STAMP: ALEX}),
            json!({STAMP: "two\nlines"}),
            json!({STAMP: null}),
            Value::Null,
        ] {
            let said = patch(user, &change, &[]);
            assert!(!said.is_success, "{user} may write {change}");
            assert!(said.errors.contains("leave it as it is"), "{}", said.errors);
        }
        let other = patch(user, &json!({"team": user}), &[]);
        assert!(other.is_success, "{}", other.errors);
    }
    // What was there before the policy has no stamp, and gets none.
    let stored = kubectl(&[
        "get",
        "accessrequest",
        "stamped",
        "-n",
        &here.namespace,
        "-o",
        "json",
    ]);
    let stored: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(stored["metadata"]["annotations"][STAMP], DANA);

    // As a GitOps tool applies it, again and again: its file knows of no stamp.
    let plain = here.request("plain", &with(json!({})));
    let apply = [
        "apply",
        "--server-side",
        "--field-manager=flux",
        "-f",
        "-",
        &*mine,
    ];
    for _ in 0..2 {
        let said = try_kubectl(&apply, &plain.to_string());
        assert!(said.is_success, "{}", said.errors);
    }
    let found = here.act(DANA, &["get", "accessrequest", "plain", "-o", "json"]);
    let found: Value = serde_json::from_str(&found.output).unwrap();
    assert_eq!(found["metadata"]["annotations"][STAMP], DANA);
}

#[test]
fn the_folder_lists_every_policy() {
    let listed = std::fs::read_to_string("deploy/policies/kustomization.yaml").unwrap();
    for entry in std::fs::read_dir("deploy/policies").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_listed = listed.contains(&format!("  - {name}\n"));
        assert!(is_listed || name == "kustomization.yaml", "{name}");
    }
}
