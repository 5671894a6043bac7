//! The page of one custom resource: every property with type, limits and description, and every rule that
//! the apiserver holds it to. It reads the schema and adds nothing of its own.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps,
    JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use crate::text::{cell, code, row};

/// The page.
pub(crate) fn page(definition: &CustomResourceDefinition) -> String {
    let spec = &definition.spec;
    let names = &spec.names;
    let mut page = format!("# {}\n\n", names.kind);
    for version in &spec.versions {
        let schema = version.schema.as_ref();
        let Some(schema) = schema.and_then(|one| one.open_api_v3_schema.as_ref()) else {
            continue;
        };
        let about = schema.description.clone().unwrap_or_default();
        let short = names.short_names.iter().flatten();
        let short: Vec<_> = short.map(|name| code(name)).collect();
        let short = match short.as_slice() {
            [] => String::new(),
            some => format!(", short {}", some.join(", ")),
        };
        let scope = if spec.scope == "Namespaced" {
            "in a namespace"
        } else {
            "of the whole cluster"
        };
        let _ = write!(
            page,
            "{}\n\n`apiVersion: {}/{}`, `kind: {}`{short}; {scope}. \"Required\" holds where what it is \
             a part of is there.\n",
            cell(&about),
            spec.group,
            version.name,
            names.kind
        );
        page.push_str(&columns(version));
        let mut walk = Walk::default();
        for part in ["spec", "status"] {
            let all = schema.properties.iter().flatten();
            for (_, schema) in all.filter(|(name, _)| *name == part) {
                walk.property(part, schema, false);
                let _ = write!(page, "\n## {part}\n\n{HEAD}{}", walk.take());
            }
        }
        if !walk.rules.is_empty() {
            let rules: String = walk.rules.drain(..).collect();
            let _ = write!(page, "\n## Rules\n\n{RULES}{rules}");
        }
    }
    page
}

const HEAD: &str = "| property | type | limits | what it is |\n| --- | --- | --- | --- |\n";
const RULES: &str = "What the apiserver refuses, with these words, beside the limits above. `self` is the value, `oldSelf` the one \
                     before.\n\n| of | refused unless | message |\n| --- | --- | --- |\n";

/// What `kubectl get` shows.
fn columns(version: &CustomResourceDefinitionVersion) -> String {
    let columns = version.additional_printer_columns.iter().flatten();
    let mut table = String::new();
    for column in columns {
        let wide = if column.priority.unwrap_or_default() > 0 {
            "with `-o wide`"
        } else {
            ""
        };
        let about = column.description.clone().unwrap_or_default();
        let name = column.name.to_uppercase();
        table.push_str(&row(&[code(&name), wide.to_owned(), cell(&about)]));
    }
    let selectable = version.selectable_fields.iter().flatten();
    let fields: Vec<_> = selectable
        .map(|field| code(field.json_path.trim_start_matches('.')))
        .collect();
    let mut text = String::new();
    if !table.is_empty() {
        let _ = write!(
            text,
            "\n## Columns\n\n| column | | what it shows |\n| --- | --- | --- |\n{table}"
        );
    }
    if !fields.is_empty() {
        let _ = writeln!(
            text,
            "\n`kubectl get --field-selector` knows {}.",
            fields.join(", ")
        );
    }
    text
}

/// The rows found so far.
#[derive(Default)]
struct Walk {
    properties: String,
    rules: Vec<String>,
}

impl Walk {
    fn take(&mut self) -> String {
        std::mem::take(&mut self.properties)
    }

    fn property(&mut self, path: &str, schema: &JSONSchemaProps, is_required: bool) {
        let about = schema.description.clone().unwrap_or_default();
        self.properties.push_str(&row(&[
            code(path),
            kind(schema),
            limits(schema, is_required),
            cell(&about),
        ]));
        self.inside(path, schema);
    }

    /// What is below a property, and the rules on it.
    fn inside(&mut self, path: &str, schema: &JSONSchemaProps) {
        for rule in schema.x_kubernetes_validations.iter().flatten() {
            let message = match (&rule.message, &rule.message_expression) {
                (Some(message), _) => cell(message),
                (None, Some(expression)) => format!("made by `{}`", one_line(expression)),
                (None, None) => String::new(),
            };
            let condition = one_line(&rule.rule).replace('|', "\\|");
            self.rules
                .push(row(&[code(path), format!("`{condition}`"), message]));
        }
        let required = schema.required.clone().unwrap_or_default();
        for (name, below) in schema.properties.iter().flatten() {
            self.property(&format!("{path}.{name}"), below, required.contains(name));
        }
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
            self.inside(&format!("{path}[]"), items);
        }
        if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
            self.inside(&format!("{path}.*"), values);
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn kind(schema: &JSONSchemaProps) -> String {
    let of = |schema: &JSONSchemaProps| schema.type_.clone().unwrap_or_else(|| "any".to_owned());
    if schema.x_kubernetes_int_or_string == Some(true) {
        return "integer or string".to_owned();
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        return format!("list of {}", of(items));
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        return format!("map of {}", of(values));
    }
    match schema.format.as_deref() {
        Some("date-time") => "time".to_owned(),
        Some("byte") => "base64".to_owned(),
        _ => of(schema),
    }
}

/// What of the schema bounds a value.
fn limits(schema: &JSONSchemaProps, is_required: bool) -> String {
    let mut all = Vec::new();
    if is_required {
        all.push("**required**".to_owned());
    }
    if let Some(default) = &schema.default {
        all.push(format!("default `{}`", default.0));
    }
    bounds(schema, "", &mut all);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        bounds(items, "each ", &mut all);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        bounds(values, "each ", &mut all);
    }
    all.join("; ")
}

fn bounds(schema: &JSONSchemaProps, whose: &str, all: &mut Vec<String>) {
    if let Some(words) = &schema.enum_ {
        let words: Vec<_> = words
            .iter()
            .map(|word| code(word.0.as_str().unwrap_or(&word.0.to_string())))
            .collect();
        all.push(format!("{whose}{}", words.join(", ")));
    }
    let number = |value: f64| format!("{value}");
    let count = |value: i64| format!("{value}");
    let pairs = [
        (schema.minimum.map(number), schema.maximum.map(number), ""),
        (
            schema.min_length.map(count),
            schema.max_length.map(count),
            " characters",
        ),
        (
            schema.min_items.map(count),
            schema.max_items.map(count),
            " items",
        ),
        (
            schema.min_properties.map(count),
            schema.max_properties.map(count),
            " keys",
        ),
    ];
    for (least, most, of) in pairs {
        let range = match (least, most) {
            (None, None) => continue,
            (Some(least), Some(most)) if least == most => format!("exactly {least}{of}"),
            (Some(least), Some(most)) => format!("{least} to {most}{of}"),
            (Some(least), None) => format!("at least {least}{of}"),
            (None, Some(most)) => format!("at most {most}{of}"),
        };
        all.push(format!("{whose}{range}"));
    }
    if let Some(pattern) = &schema.pattern {
        all.push(format!("{whose}`{}`", pattern.replace('|', "\\|")));
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;

    use super::*;

    #[test]
    fn type_limits_and_rules_are_told_with_their_path() {
        let text = JSONSchemaProps {
            type_: Some("string".to_owned()),
            max_length: Some(8),
            ..JSONSchemaProps::default()
        };
        let list = JSONSchemaProps {
            type_: Some("array".to_owned()),
            description: Some("Some | words.".to_owned()),
            min_items: Some(1),
            items: Some(JSONSchemaPropsOrArray::Schema(Box::new(text))),
            x_kubernetes_validations: Some(vec![ValidationRule {
                rule: "a ||\n b".to_owned(),
                message: Some("write a".to_owned()),
                ..ValidationRule::default()
            }]),
            ..JSONSchemaProps::default()
        };
        let mut walk = Walk::default();
        walk.property("spec.words", &list, true);
        assert_eq!(
            walk.take(),
            "| `spec.words` | list of string | **required**; at least 1 items; each at most 8 characters | \
             Some \\| words. |\n"
        );
        assert_eq!(walk.rules, ["| `spec.words` | `a \\|\\| b` | write a |\n"]);
    }
}
