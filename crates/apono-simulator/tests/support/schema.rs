//! Judges answers by the vendor's public contract, in the dialect the contract is written in.
//!
//! Stricter than the dialect: a property the contract does not name is an error, and so is a word
//! of the dialect that this file does not know, so that nothing passes unseen.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// The public contract.
pub(crate) struct Contract(Value);

impl Contract {
    pub(crate) fn read() -> Self {
        let text = include_str!("../../../../tests/apono-openapi.json");
        Self(serde_json::from_str(text).unwrap())
    }

    /// Checks the body of a 200 answer of this call.
    #[track_caller]
    pub(crate) fn check(&self, method: &str, path: &str, body: &Value) {
        let schema = &self.0["paths"][path][method]["responses"]["200"]["content"]["application/json"]
            ["schema"];
        assert!(
            schema.is_object(),
            "the contract has no answer for {method} {path}"
        );
        if let Err(error) = self.judge(schema, body, "$") {
            panic!("{method} {path}: {error} in {body:#}");
        }
    }

    /// Checks a value against a schema of the contract by name.
    pub(crate) fn judge_as(&self, name: &str, value: &Value) -> Result<(), String> {
        self.judge(&self.0["components"]["schemas"][name], value, "$")
    }

    fn judge(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.0.pointer(reference.trim_start_matches('#'));
            return self.judge(target.expect(reference), value, at);
        }
        let schema = schema.as_object().unwrap();
        if value.is_null() {
            let nullable = schema.get("nullable") == Some(&Value::Bool(true));
            return if nullable {
                Ok(())
            } else {
                Err(format!("{at} is null"))
            };
        }
        for (word, argument) in schema {
            match word.as_str() {
                "type" => is_of_type(argument.as_str().unwrap(), value, at)?,
                "format" => is_of_format(argument.as_str().unwrap(), value, at)?,
                "allOf" => {
                    for part in argument.as_array().unwrap() {
                        self.judge(part, value, at)?;
                    }
                }
                "items" => {
                    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.judge(argument, item, &format!("{at}[{place}]"))?;
                    }
                }
                "required" => {
                    for name in argument.as_array().unwrap() {
                        let present = value.get(name.as_str().unwrap()).is_some();
                        if !present {
                            return Err(format!("{at} lacks {name}"));
                        }
                    }
                }
                "properties" => self.properties(schema, argument, value, at)?,
                "additionalProperties" if argument.is_object() => {
                    for (name, item) in value.as_object().into_iter().flatten() {
                        self.judge(argument, item, &format!("{at}.{name}"))?;
                    }
                }
                "description" | "nullable" | "default" | "example" => {}
                unknown => panic!("`{unknown}` at {at} is not understood"),
            }
        }
        Ok(())
    }

    fn properties(
        &self,
        schema: &Map<String, Value>,
        known: &Value,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        for (name, item) in value.as_object().into_iter().flatten() {
            match known.get(name) {
                Some(property) => self.judge(property, item, &format!("{at}.{name}"))?,
                None if schema.contains_key("additionalProperties") => {}
                None => return Err(format!("{at} has `{name}`, which the contract does not")),
            }
        }
        Ok(())
    }
}

fn is_of_type(wanted: &str, value: &Value, at: &str) -> Result<(), String> {
    let fits = match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        unknown => panic!("type `{unknown}` is not understood"),
    };
    if fits {
        Ok(())
    } else {
        Err(format!("{at} is not of type {wanted}"))
    }
}

fn is_of_format(wanted: &str, value: &Value, at: &str) -> Result<(), String> {
    let fits = match wanted {
        "int32" => value
            .as_i64()
            .is_some_and(|number| i32::try_from(number).is_ok()),
        "date-time" => value
            .as_str()
            .is_some_and(|text| text.parse::<Timestamp>().is_ok()),
        unknown => panic!("format `{unknown}` is not understood"),
    };
    if fits {
        Ok(())
    } else {
        Err(format!("{at} is not of format {wanted}"))
    }
}
