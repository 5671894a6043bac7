//! What the custom resources accept and refuse, told without an apiserver. `admission.rs` puts the
//! same cases to a real one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "admission/structural.rs"]
mod structural;
#[path = "admission/table.rs"]
mod table;

use std::collections::BTreeSet;

use serde_json::Value;

/// Every message of every rule below this schema.
fn messages(schema: &Value, found: &mut BTreeSet<String>) {
    if let Some(rules) = schema["x-kubernetes-validations"].as_array() {
        found.extend(
            rules
                .iter()
                .map(|rule| rule["message"].as_str().unwrap().to_owned()),
        );
    }
    match schema {
        Value::Object(object) => object.values().for_each(|value| messages(value, found)),
        Value::Array(items) => items.iter().for_each(|value| messages(value, found)),
        _ => {}
    }
}

#[test]
fn every_case_is_decided_as_written() {
    let mut wrong = Vec::new();
    for case in table::cases() {
        let title = format!("{}: {}", case.kind, case.name);
        let created = table::refusals(&case.kind, &case.created, None);
        let refusals = match &case.updated {
            None => created,
            Some(updated) => {
                assert!(
                    created.is_empty(),
                    "{title}: cannot even be created: {created:?}"
                );
                table::refusals(&case.kind, updated, Some(&case.created))
            }
        };
        let as_written = match &case.refusal {
            None => refusals.is_empty(),
            Some(text) => refusals.iter().any(|refusal| refusal.contains(text)),
        };
        if !as_written {
            wrong.push(format!(
                "{title}: expected {:?}, found {refusals:?}",
                case.refusal
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_refuses_something() {
    for kind in table::KINDS {
        let mut silent = BTreeSet::new();
        messages(table::schema(kind), &mut silent);
        assert!(silent.len() > 5, "{kind}: {silent:?}");
        for case in table::cases().into_iter().filter(|case| case.kind == kind) {
            let (new, old) = match &case.updated {
                None => (&case.created, None),
                Some(updated) => (updated, Some(&case.created)),
            };
            let refusals = table::refusals(kind, new, old);
            silent.retain(|message| !refusals.iter().any(|refusal| refusal.contains(message)));
        }
        assert!(
            silent.is_empty(),
            "{kind}: no case for these rules: {silent:#?}"
        );
    }
}
