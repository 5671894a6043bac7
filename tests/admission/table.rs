//! The cases of what is accepted and what is refused: read from the files beside this one, used by
//! `rules.rs` without an apiserver and by `admission.rs` with one. The verdicts must agree.

use std::{collections::BTreeMap, fs, path::Path, sync::LazyLock};

use apono_operator::crd;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::structural;

/// The files with the cases.
const FILES: [&str; 4] = [
    "access_request.yaml",
    "connection.yaml",
    "cluster_connection.yaml",
    "owed_revocation.yaml",
];

/// The kinds that a person or the operator writes.
pub const KINDS: [&str; 4] = [
    "AccessRequest",
    "AponoConnection",
    "ClusterAponoConnection",
    "OwedRevocation",
];

/// One case for one kind.
#[derive(Clone, Debug)]
pub struct Case {
    /// The kind it is about.
    pub kind: String,
    /// What it shows.
    pub name: String,
    /// The spec that is created.
    pub created: Value,
    /// The spec that the created one is replaced by, where the case is about a change.
    pub updated: Option<Value>,
    /// What must be part of the refusal; nothing if the case is accepted.
    pub refusal: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kinds: Vec<String>,
    base: Value,
    cases: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    create: Value,
    update: Option<Value>,
    valid: bool,
    message: Option<String>,
}

/// All cases of all files.
pub fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/admission");
    FILES
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(folder.join(file)).unwrap();
            let read: File = serde_saphyr::from_str(&text).unwrap();
            read.kinds.clone().into_iter().flat_map(move |kind| {
                let base = read.base.clone();
                read.cases
                    .iter()
                    .map(|entry| case(&kind, &base, entry))
                    .collect::<Vec<_>>()
            })
        })
        .collect()
}

fn case(kind: &str, base: &Value, entry: &Entry) -> Case {
    assert_eq!(
        entry.valid,
        entry.message.is_none(),
        "{}: refused exactly with message",
        entry.name
    );
    let created = merged(base.clone(), expanded(&entry.create));
    let updated = entry
        .update
        .as_ref()
        .map(|patch| merged(created.clone(), expanded(patch)));
    Case {
        kind: kind.to_owned(),
        name: entry.name.clone(),
        created,
        updated,
        refusal: entry.message.clone(),
    }
}

/// A JSON merge patch: null removes.
fn merged(mut base: Value, patch: Value) -> Value {
    match (&mut base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (name, value) in patch {
                if value.is_null() {
                    base.remove(&name);
                } else {
                    let old = base.remove(&name).unwrap_or(Value::Null);
                    base.insert(name, merged(old, value));
                }
            }
        }
        (_, Value::Null) => {}
        (base, patch) => *base = patch,
    }
    base
}

/// Writes out what `$times` abbreviates: `text` repeated, a list of `item`, or a map of `key` to
/// `value`; `#` stands for the number of the repetition.
fn expanded(value: &Value) -> Value {
    let Value::Object(object) = value else {
        return match value {
            Value::Array(items) => items.iter().map(expanded).collect(),
            other => other.clone(),
        };
    };
    let Some(times) = object.get("$times").and_then(Value::as_u64) else {
        return object
            .iter()
            .map(|(name, value)| (name.clone(), expanded(value)))
            .collect();
    };
    if let Some(text) = object.get("text").and_then(Value::as_str) {
        return text.repeat(usize::try_from(times).unwrap()).into();
    }
    if let Some(item) = object.get("item") {
        return (0..times).map(|number| numbered(item, number)).collect();
    }
    let entry = |number| {
        let key = numbered(&expanded(&object["key"]), number);
        (
            key.as_str().unwrap().to_owned(),
            numbered(&expanded(&object["value"]), number),
        )
    };
    Value::Object((0..times).map(entry).collect::<Map<_, _>>())
}

fn numbered(value: &Value, number: u64) -> Value {
    let text = value.to_string().replace('#', &number.to_string());
    serde_json::from_str(&text).unwrap()
}

/// Why the schema of this kind refuses the spec, as far as this can be told without an apiserver:
/// first its form, then, if that is sound, the rules.
pub fn refusals(kind: &str, new: &Value, old: Option<&Value>) -> Vec<String> {
    let schema = schema(kind);
    let object = |spec: &Value| {
        let mut object = structural::prepared(schema, &json!({"spec": spec}));
        object["metadata"] = json!({"name": "case"});
        object
    };
    let form = structural::refusals(schema, &object(new), "");
    if !form.is_empty() {
        return form;
    }
    let validator = Validator::new();
    match validator.validate_compiled(rules(kind), &object(new), old.map(object).as_ref()) {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .into_vec()
            .into_iter()
            .map(|error| error.to_string())
            .collect(),
    }
}

/// The rules of the schema, compiled once for all cases.
fn rules(kind: &str) -> &'static CompiledSchema {
    static RULES: LazyLock<BTreeMap<&'static str, CompiledSchema>> = LazyLock::new(|| {
        let compiled = |kind| {
            let rules = compile_schema(schema(kind));
            assert!(!rules.has_errors(), "{:?}", rules.compilation_errors());
            (kind, rules)
        };
        KINDS.map(compiled).into()
    });
    &RULES[kind]
}

/// The schema of the definition that is installed.
pub fn schema(kind: &str) -> &'static Value {
    static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
        let schema = |crd: CustomResourceDefinition| {
            let validation = crd.spec.versions[0].schema.clone().unwrap();
            let schema = serde_json::to_value(validation.open_api_v3_schema.unwrap()).unwrap();
            (crd.spec.names.kind, schema)
        };
        crd::all_crds().into_iter().map(schema).collect()
    });
    &SCHEMAS[kind]
}
