//! As much of the form that a schema demands as our schemas use: a stand-in for the part of the
//! apiserver that looks at an object before its rules are asked. Messages begin as the apiserver's.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What the apiserver makes of an object before it judges it: unknown properties are dropped, and so
/// are those that are null. The items of a list stay as they are.
pub fn prepared(schema: &Value, value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let item = |item| prepared(&schema["items"], item);
            items.iter().map(item).collect()
        }
        Value::Object(object) => {
            let known = |(name, value): (&String, &Value)| {
                let schema = schema["properties"].get(name).or_else(|| {
                    let rest = schema.get("additionalProperties");
                    rest.filter(|rest| rest.is_object())
                })?;
                (!value.is_null()).then(|| (name.clone(), prepared(schema, value)))
            };
            Value::Object(object.iter().filter_map(known).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// Why the value does not have the form of the schema.
pub fn refusals(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let at = if path.is_empty() { "object" } else { path };
    let mut refuse = |broken: bool, text: String| {
        if broken {
            found.push(format!("{at}: {text}"));
        }
    };
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        // As the apiserver has it (seen with 1.36.3): a list passes for a string that has a format.
        Some("string") => value.is_string() || value.is_array() && schema["format"].is_string(),
        // 1.0 is whole, and stored as 1.
        Some("integer") => {
            let is_whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
            value.is_i64() || value.is_u64() || is_whole
        }
        Some("boolean") => value.is_boolean(),
        _ => true,
    };
    refuse(
        !fits,
        format!("Invalid value: must be of type {}", schema["type"]),
    );
    if let Some(words) = schema["enum"].as_array() {
        refuse(
            !words.contains(value),
            format!("Unsupported value: {value}"),
        );
    }
    let length = |name: &str| {
        schema[name]
            .as_u64()
            .and_then(|bound| usize::try_from(bound).ok())
    };
    let bounds = match value {
        Value::String(text) => Some(("minLength", "maxLength", text.chars().count())),
        Value::Array(items) => Some(("minItems", "maxItems", items.len())),
        Value::Object(object) => Some(("minProperties", "maxProperties", object.len())),
        _ => None,
    };
    if let Some((least, most, size)) = bounds {
        refuse(
            length(least).is_some_and(|bound| size < bound),
            format!("Invalid value: {least}"),
        );
        refuse(
            length(most).is_some_and(|bound| size > bound),
            format!("Too long: {most}"),
        );
    }
    if let Some(number) = value.as_f64() {
        let below = schema["minimum"]
            .as_f64()
            .is_some_and(|bound| number < bound);
        let above = schema["maximum"]
            .as_f64()
            .is_some_and(|bound| number > bound);
        refuse(below || above, "Invalid value: out of bounds".to_owned());
    }
    if let (Value::String(text), Some("date-time")) = (value, schema["format"].as_str()) {
        let is_one = text.parse::<jiff::Timestamp>().is_ok();
        refuse(
            !is_one,
            "Invalid value: must be of type date-time".to_owned(),
        );
    }
    let keys = schema["x-kubernetes-list-map-keys"].as_array();
    let identity = |item: &Value| match keys {
        None => item.to_string(),
        Some(keys) => {
            let parts = keys.iter().filter_map(|key| item.get(key.as_str()?));
            parts.map(ToString::to_string).collect()
        }
    };
    let kind = schema["x-kubernetes-list-type"].as_str();
    if let (Value::Array(items), Some("set" | "map")) = (value, kind) {
        let distinct: BTreeSet<_> = items.iter().map(identity).collect();
        refuse(distinct.len() < items.len(), "Duplicate value".to_owned());
    }
    found.extend(below(schema, value, path));
    found
}

fn below(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    match value {
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                found.extend(refusals(
                    &schema["items"],
                    item,
                    &format!("{path}[{number}]"),
                ));
            }
        }
        Value::Object(object) => {
            let inside = |name: &str| match path {
                "" => name.to_owned(),
                path => format!("{path}.{name}"),
            };
            for name in schema["required"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap_or_default();
                if !object.contains_key(name) {
                    found.push(format!("{}: Required value", inside(name)));
                }
            }
            for (name, value) in object {
                let property = schema["properties"].get(name);
                let schema = property.unwrap_or(&schema["additionalProperties"]);
                found.extend(refusals(schema, value, &inside(name)));
            }
        }
        _ => {}
    }
    found
}
