//! Every rule, as tables.

use serde_json::{Value, json};

use super::*;

fn allow(rules: &Value) -> Allow {
    serde_json::from_value(rules.clone()).unwrap()
}

/// A spec that gives a reason, with this changed.
fn spec(change: &Value) -> AccessRequestSpec {
    let mut spec = json!({"access": {"bundle": "prod-read"}, "justification": "stuck orders"});
    for (name, value) in change.as_object().unwrap() {
        spec[name] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}

fn own() -> Identity {
    Identity {
        id: Some("user-1".to_owned()),
        source_id: Some("Robot@Example.com".to_owned()),
    }
}

/// What is said against it; nothing if it may be asked for.
fn refusal(rules: &Value, change: &Value) -> Option<String> {
    let verdict = ask(&allow(rules), &spec(change), Some(&own()));
    verdict.err().map(|refusal| refusal.0)
}

/// Rules, a change of the spec, and what the refusal has to say; nothing where there is none.
type Row = (Value, Value, &'static [&'static str]);

fn holds(rows: &[Row]) {
    for (rules, change, words) in rows {
        let said = refusal(rules, change);
        assert_eq!(
            said.is_none(),
            words.is_empty(),
            "{rules} {change}: {said:?}"
        );
        let said = said.unwrap_or_default();
        for word in *words {
            assert!(
                said.contains(word),
                "{rules} {change}: no {word:?} in {said}"
            );
        }
    }
}

#[test]
fn the_ways_of_asking_are_limited() {
    let pairs = || json!({"access": {"entitlements": [{"resourceId": "r", "permissionId": "p"}]}});
    let target = || {
        json!({"access": {"integration": {
            "integration": "i", "resourceType": "t", "resources": ["r"], "permissions": ["p"]
        }}})
    };
    let bundle = || json!({});
    holds(&[
        (json!({}), bundle(), &[]),
        (json!({}), pairs(), &[]),
        (json!({}), target(), &[]),
        (json!({"access": ["Bundle"]}), bundle(), &[]),
        (
            json!({"access": ["Bundle"]}),
            pairs(),
            &["spec.access.entitlements", "spec.allow.access", "`Bundle`"],
        ),
        (
            json!({"access": ["Bundle", "Entitlements"]}),
            target(),
            &["spec.access.integration", "`Bundle`, `Entitlements`"],
        ),
        (
            json!({"access": ["Integration"]}),
            bundle(),
            &["spec.access.bundle"],
        ),
        (json!({"access": ["Integration"]}), target(), &[]),
        // With bundles alone only bundles: else entitlements would lead past them.
        (
            json!({"bundles": ["*"]}),
            pairs(),
            &["spec.allow.bundles", "`Bundle`"],
        ),
        (json!({"bundles": ["*"]}), target(), &["spec.allow.bundles"]),
        (json!({"bundles": ["prod-*"]}), bundle(), &[]),
        (
            json!({"bundles": ["x"], "access": ["Bundle", "Entitlements"]}),
            pairs(),
            &[],
        ),
        (json!({"integrations": ["x"]}), pairs(), &[]),
        (json!({"integrations": ["x"]}), target(), &[]),
    ]);
}

#[test]
fn a_limit_on_integrations_is_not_escaped_through_a_bundle() {
    let pairs = || json!({"access": {"entitlements": [{"resourceId": "r", "permissionId": "p"}]}});
    let words = &[
        "spec.access.bundle is `prod-read`",
        "spec.allow.integrations allows `x`",
        "spec.allow.bundles",
    ];
    holds(&[
        (json!({"integrations": ["x"]}), json!({}), words),
        // Naming the way of asking names no bundle.
        (
            json!({"integrations": ["x"], "access": ["Bundle", "Entitlements"]}),
            json!({}),
            words,
        ),
        (
            json!({"integrations": ["x"], "bundles": ["prod-*"]}),
            json!({}),
            &[],
        ),
        (
            json!({"integrations": ["x"], "access": ["Entitlements"]}),
            pairs(),
            &[],
        ),
        (json!({"integrations": ["x"]}), pairs(), &[]),
    ]);
}

#[test]
fn grantees_are_limited() {
    let for_whom = |grantee: &str| json!({ "grantee": grantee });
    let rules = || json!({"grantees": ["self", "*@example.com"]});
    holds(&[
        (rules(), json!({}), &[]),
        (rules(), for_whom("dana@example.com"), &[]),
        (rules(), for_whom("Dana@EXAMPLE.com"), &[]),
        (json!({"grantees": ["DANA@*"]}), for_whom("dana@a"), &[]),
        (
            rules(),
            for_whom("dana@example.com.evil"),
            &[
                "spec.grantee is `dana@example.com.evil`",
                "`self`, `*@example.com`",
            ],
        ),
        // The user of the token is named like anybody, by what a pattern allows.
        (rules(), for_whom("robot@example.com"), &[]),
        (
            rules(),
            for_whom("user-1"),
            &["spec.grantee is `user-1`", "`*@example.com`"],
        ),
        (
            json!({"grantees": ["dana@example.com"]}),
            for_whom("robot@example.com"),
            &["spec.grantee is `robot@example.com`"],
        ),
        (
            json!({"grantees": ["self"]}),
            for_whom("robot@example.com"),
            &["spec.grantee is `robot@example.com`", "`self`"],
        ),
        // Nobody is called "self", and "*" is not the user of the token.
        (rules(), for_whom("self"), &["spec.grantee is `self`"]),
        (json!({"grantees": ["*"]}), for_whom("anybody"), &[]),
        (
            json!({"grantees": ["*"]}),
            json!({}),
            &["spec.grantee is absent", "\"self\""],
        ),
    ]);
}

#[test]
fn time_is_limited_renewals_included() {
    let lasting = |duration: &str, renewals: u32| json!({"duration": duration, "renewal": {"before": "5m", "maxRenewals": renewals}});
    let rules = || json!({"maxDuration": "8h"});
    holds(&[
        (rules(), json!({"duration": "8h"}), &[]),
        (rules(), json!({"duration": "480m"}), &[]),
        (
            rules(),
            json!({"duration": "8h1s"}),
            &["spec.duration is `8h1s`", "`8h`"],
        ),
        (
            rules(),
            json!({}),
            &["spec.duration is absent", "maxDuration is `8h`"],
        ),
        (rules(), lasting("2h", 3), &[]),
        (
            rules(),
            lasting("2h", 4),
            &["4 renewals", "lower spec.renewal.maxRenewals"],
        ),
        (rules(), lasting("9h", 1), &["spec.duration is `9h`"]),
        (rules(), json!({"duration": "1d"}), &["`1d`"]),
        (json!({}), json!({"duration": "8760h"}), &[]),
    ]);
}

#[test]
fn a_reason_is_demanded_unless_the_connection_says_otherwise() {
    let silent = || json!({"justification": null});
    holds(&[
        (json!({}), silent(), &["spec.justification is absent"]),
        (
            json!({"requireJustification": true}),
            silent(),
            &["requireJustification"],
        ),
        (
            json!({}),
            json!({"justification": " \n"}),
            &["spec.justification is blank"],
        ),
        (json!({"requireJustification": false}), silent(), &[]),
    ]);
}

#[test]
fn credentials_of_others_are_not_delivered() {
    let credentials =
        |grantee: Option<&str>| json!({"credentials": {"secretName": "s"}, "grantee": grantee});
    let other = || credentials(Some("dana@example.com"));
    holds(&[
        (json!({}), credentials(None), &[]),
        (json!({}), credentials(Some("robot@example.COM")), &[]),
        (json!({}), credentials(Some("user-1")), &[]),
        (
            json!({}),
            other(),
            &[
                "spec.grantee `dana@example.com`",
                "`Robot@Example.com`",
                "credentialsForOthers",
            ],
        ),
        (
            json!({"credentialsForOthers": false}),
            other(),
            &["spec.credentials"],
        ),
        (json!({"credentialsForOthers": true}), other(), &[]),
        (json!({}), json!({"grantee": "dana@example.com"}), &[]),
    ]);
    let nobody = ask(&Allow::default(), &spec(&credentials(Some("user-1"))), None);
    let said = nobody.unwrap_err().0;
    assert!(said.contains("not known yet"), "{said}");
}

#[test]
fn names_are_those_at_apono() {
    let rules = allow(&json!({"bundles": ["prod-*", "x"], "integrations": ["*-db"]}));
    assert!(bundle(&rules, "prod-read").is_ok());
    let said = bundle(&rules, "admin").unwrap_err().0;
    for word in ["`admin`", "spec.allow.bundles", "`prod-*`, `x`"] {
        assert!(said.contains(word), "{said}");
    }
    assert!(integration(&rules, "orders-db").is_ok());
    let said = integration(&rules, "Orders-DB").unwrap_err().0;
    assert!(said.contains("spec.allow.integrations"), "{said}");
    assert!(bundle(&Allow::default(), "any").is_ok());
}

#[test]
fn what_was_asked_is_held_to_the_names_that_are_known() {
    let rules = allow(&json!({"access": ["Bundle", "Entitlements"],
        "bundles": ["prod-*"], "integrations": ["prod-*"]}));
    let check = |access: Value, status: Value| {
        let access: Access = serde_json::from_value(access).unwrap();
        let status: AccessRequestStatus = serde_json::from_value(status).unwrap();
        let known = names_are_known(&rules, &access, &status);
        (found(&rules, &access, &status).is_ok(), known)
    };
    let bundle = || json!({"bundle": "b-1"});
    let pair = || json!({"entitlements": [{"resourceId": "r", "permissionId": "p"}]});
    let group = |name: &str| json!([{"integration": {"id": "i", "name": name}}]);
    let asked = || json!([{"id": "req-1"}]);
    for (access, status, expected) in [
        (bundle(), json!({}), (true, false)),
        (bundle(), json!({"resolved": {}}), (true, false)),
        (
            bundle(),
            json!({"resolved": {"bundle": {"id": "b-1", "name": "prod-a"}}}),
            (true, true),
        ),
        (
            bundle(),
            json!({"resolved": {"bundle": {"id": "b-1", "name": "admin"}}}),
            (false, true),
        ),
        (bundle(), json!({"requests": asked()}), (false, false)),
        (
            bundle(),
            json!({"requests": asked(), "bundle": {"id": "b-1", "name": "prod-a"}}),
            (true, true),
        ),
        (pair(), json!({}), (true, false)),
        (
            pair(),
            json!({"resolved": {"integrations": [{"id": "i", "name": "prod-pg"}]}}),
            (true, true),
        ),
        (
            pair(),
            json!({"resolved": {"integrations": [{"id": "i", "name": "prod-pg"}, {"id": "j"}]}}),
            (true, false),
        ),
        (
            pair(),
            json!({"requests": asked(), "accessGroups": group("staging")}),
            (false, true),
        ),
        (
            pair(),
            json!({"requests": asked(), "accessGroups": group("prod-pg")}),
            (true, true),
        ),
        (pair(), json!({"requests": asked()}), (false, false)),
    ] {
        let told = format!("{access} {status}");
        assert_eq!(check(access, status), expected, "{told}");
    }
}

#[test]
fn a_star_stands_for_any_characters() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("", "a", false),
        ("a", "a", true),
        ("a", "ab", false),
        ("*", "", true),
        ("**", "é", true),
        ("prod-*", "prod-", true),
        ("prod-*", "my-prod-a", false),
        ("*-read", "prod-read", true),
        ("*-read", "prod-reader", false),
        ("a*b*c", "a--b--c", true),
        ("a*b*c", "a--c--b", false),
        ("a*a", "a", false),
        ("a*ab", "aab", true),
        ("*ab*ab", "abab", true),
        ("*ab*ab", "ab", false),
        ("é*ü", "éxü", true),
        ("?", "a", false),
    ] {
        assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
    }
}
