//! The operator under test, as a file describes it. A peer is another file.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

/// What is put in the place of `{name}` in all texts of a subject.
pub type Places<'a> = [(&'a str, &'a str)];

/// An operator under test.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subject {
    /// What it is called in the results.
    pub name: String,
    /// Its program and arguments.
    pub command: Vec<String>,
    /// Its environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// What its calls of the apiserver begin with in the header `User-Agent`.
    pub user_agent: String,
    /// The folder with its custom resource definitions, from the root of the repository.
    pub definitions: String,
    /// What is applied once: YAML documents.
    pub objects: String,
    /// One object of the load: a YAML document with `{name}` and `{namespace}`.
    pub template: String,
    /// When an object of the load is ready.
    pub ready: Rule,
    /// When one waits for its approval: takes the place of `ready` where nothing is approved.
    pub waiting: Option<Rule>,
    /// How many objects one read of the remote covers, when it looks at all of them anew.
    pub objects_per_read: usize,
    /// Where it counts its passes, if it does: after a restart each object has to have had one.
    pub passes: Option<Series>,
}

/// A series of the metrics of an operator.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Where they are served; `{metrics}` is the free address that its environment is told of.
    pub url: String,
    /// What the lines of the series begin with.
    pub series: String,
}

/// A value at a place.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A JSON pointer.
    pub pointer: String,
    /// What must stand there.
    pub value: String,
}

impl Rule {
    /// Whether it is so.
    pub fn holds(&self, object: &Value) -> bool {
        object.pointer(&self.pointer).and_then(Value::as_str) == Some(&self.value)
    }
}

impl Subject {
    /// The subject of a file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("could not read `{}`", path.display()))?;
        let subject = serde_saphyr::from_str(&text);
        subject.with_context(|| format!("`{}` is no subject of a benchmark", path.display()))
    }

    /// One object of the load.
    pub fn object(&self, namespace: &str, name: &str) -> Result<Value> {
        let places = [("namespace", namespace), ("name", name)];
        serde_saphyr::from_str(&filled(&self.template, &places)).context("the template is no YAML")
    }
}

/// The text with every `{name}` replaced.
pub fn filled(text: &str, places: &Places<'_>) -> String {
    let replace =
        |text: String, (name, value): &(&str, &str)| text.replace(&format!("{{{name}}}"), value);
    places.iter().fold(text.to_owned(), replace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_braces_are_replaced_and_other_braces_stay() {
        let places = [("name", "a"), ("namespace", "b")];
        assert_eq!(
            filled("{namespace}/{name} {other} {}", &places),
            "b/a {other} {}"
        );
    }

    #[test]
    fn a_rule_compares_what_stands_at_its_pointer() {
        let rule = Rule {
            pointer: "/status/reason".to_owned(),
            value: "Active".to_owned(),
        };
        assert!(rule.holds(&serde_json::json!({"status": {"reason": "Active"}})));
        assert!(!rule.holds(&serde_json::json!({"status": {"reason": "Granting"}})));
        assert!(!rule.holds(&serde_json::json!({})));
    }
}
