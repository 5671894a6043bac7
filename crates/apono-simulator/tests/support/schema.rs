//! Judges answers by the vendor's public contract.
//!
//! The contract is written in the dialect of `OpenAPI` 3.0; it is translated to JSON Schema and made
//! stricter on the way: a property the contract does not name is an error, and so is a word of the
//! dialect that the translation does not know, so that nothing passes unseen.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// The public contract.
pub(crate) struct Contract {
    components: Value,
    /// By method and path.
    answers: BTreeMap<(String, String), Validator>,
}

impl Contract {
    pub(crate) fn read() -> Self {
        let text = include_str!("../../../../docs/apono-openapi.json");
        let document: Value = serde_json::from_str(text).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let schemas: Map<String, Value> = schemas
            .iter()
            .map(|(name, schema)| (name.clone(), translated(schema)))
            .collect();
        let components = json!({"schemas": schemas});
        let mut answers = BTreeMap::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let answer = &operation["responses"]["200"]["content"]["application/json"];
                let schema = translated(&answer["schema"]);
                let validator = compiled(schema, &components);
                answers.insert((method.clone(), path.clone()), validator);
            }
        }
        Self {
            components,
            answers,
        }
    }

    /// Every call the contract knows, by method and path.
    pub(crate) fn operations(&self) -> BTreeSet<(String, String)> {
        self.answers.keys().cloned().collect()
    }

    /// Checks the body of a 200 answer of this call.
    #[track_caller]
    pub(crate) fn check(&self, method: &str, path: &str, body: &Value) {
        let known = self.answers.get(&(method.to_owned(), path.to_owned()));
        let validator = known.unwrap_or_else(|| panic!("no {method} {path} in the contract"));
        if let Err(error) = judged(validator, body) {
            panic!("{method} {path}: {error} in {body:#}");
        }
    }

    /// Checks a value against a schema of the contract by name.
    pub(crate) fn judge_as(&self, name: &str, value: &Value) -> Result<(), String> {
        let schema = json!({"$ref": format!("#/components/schemas/{name}")});
        judged(&compiled(schema, &self.components), value)
    }
}

fn compiled(mut schema: Value, components: &Value) -> Validator {
    schema["components"] = components.clone();
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&schema).unwrap()
}

fn judged(validator: &Validator, value: &Value) -> Result<(), String> {
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("; "))
    }
}

/// A schema of the contract as JSON Schema.
fn translated(schema: &Value) -> Value {
    let mut result = Map::new();
    let mut nullable = false;
    for (word, argument) in schema.as_object().unwrap() {
        match word.as_str() {
            "type" | "required" | "enum" | "$ref" => {
                result.insert(word.clone(), argument.clone());
            }
            "format" => match argument.as_str().unwrap() {
                "int32" => {
                    result.insert("minimum".to_owned(), json!(i32::MIN));
                    result.insert("maximum".to_owned(), json!(i32::MAX));
                }
                "date-time" => {
                    result.insert(word.clone(), argument.clone());
                }
                unknown => panic!("format `{unknown}` is not understood"),
            },
            "allOf" => {
                let parts = argument.as_array().unwrap().iter().map(translated);
                result.insert(word.clone(), parts.collect());
            }
            "items" | "additionalProperties" => {
                result.insert(word.clone(), translated(argument));
            }
            "properties" => {
                let properties = argument.as_object().unwrap().iter();
                let properties: Map<_, _> = properties
                    .map(|(name, schema)| (name.clone(), translated(schema)))
                    .collect();
                result.insert(word.clone(), Value::Object(properties));
                result
                    .entry("additionalProperties")
                    .or_insert(Value::Bool(false));
            }
            "nullable" => nullable = argument == &Value::Bool(true),
            "description" | "default" | "example" => {}
            unknown => panic!("`{unknown}` is not understood"),
        }
    }
    let result = Value::Object(result);
    if nullable {
        json!({"anyOf": [result, {"type": "null"}]})
    } else {
        result
    }
}
