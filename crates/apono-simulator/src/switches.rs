//! Every question about the remote that no public source answers, as a named setting.
//!
//! A switch says how the simulated service behaves where the real one is unknown; its default is
//! the plainest or the strictest reading. It decides nothing itself.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::Value;

mod list;
mod words;
mod words_v3;

pub use list::Switches;
pub use words::*;
pub use words_v3::*;

/// A switch as `--help` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it is when nobody sets it.
    pub default: String,
    /// What it can be.
    pub values: String,
    /// What it decides.
    pub about: String,
}

/// A type that a switch can have.
trait Setting {
    /// What can be written for it.
    fn values() -> String;
}

impl Setting for bool {
    fn values() -> String {
        "true | false".to_owned()
    }
}

impl Setting for u32 {
    fn values() -> String {
        "a number".to_owned()
    }
}

impl Setting for usize {
    fn values() -> String {
        u32::values()
    }
}

impl Setting for SignedDuration {
    fn values() -> String {
        "a duration like 90s".to_owned()
    }
}

impl<T: Setting> Setting for Option<T> {
    fn values() -> String {
        format!("null | {}", T::values())
    }
}

impl Setting for BTreeMap<String, String> {
    fn values() -> String {
        r#"words like {"Active": "LIVE"}"#.to_owned()
    }
}

/// A value as `--switch` would take it.
fn plain(value: Value) -> String {
    match value {
        Value::String(word) => word,
        other => other.to_string(),
    }
}

impl Switches {
    /// Sets one switch by name. The value is a plain word, or JSON where a word would not do.
    ///
    /// # Errors
    /// Says which names or values there are.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let literal = serde_json::from_str::<Value>(value).ok();
        let tries = literal.into_iter().chain([Value::String(value.to_owned())]);
        let mut last = String::new();
        for value in tries {
            match self.with(name, value) {
                Ok(changed) => {
                    *self = changed;
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sets the switches that `patch` names and leaves the others; nothing when one is refused.
    ///
    /// # Errors
    /// Says which names or values there are.
    pub fn patch(&mut self, patch: &serde_json::Map<String, Value>) -> Result<(), String> {
        let mut changed = self.clone();
        for (name, value) in patch {
            changed = changed.with(name, value.clone())?;
        }
        *self = changed;
        Ok(())
    }

    /// Every switch with its default, as `--switch` would take it.
    pub fn table() -> Vec<(String, String)> {
        let rows = Self::rows().into_iter();
        rows.map(|row| (row.name, row.default)).collect()
    }

    fn with(&self, name: &str, value: Value) -> Result<Self, String> {
        let Ok(Value::Object(mut fields)) = serde_json::to_value(self) else {
            return Err("the switches cannot be written as JSON".to_owned());
        };
        if !fields.contains_key(name) {
            let names: Vec<_> = fields.keys().map(String::as_str).collect();
            return Err(format!(
                "no switch `{name}`; there are: {}",
                names.join(", ")
            ));
        }
        fields.insert(name.to_owned(), value);
        serde_json::from_value(Value::Object(fields))
            .map_err(|error| format!("switch `{name}`: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_set_by_its_kebab_case_name() {
        let mut switches = Switches::default();
        switches.set("id-form", "ar-number").unwrap();
        switches.set("fractional-seconds", "true").unwrap();
        switches.set("max-limit", "7").unwrap();
        switches.set("pending-timeout", "90s").unwrap();
        switches
            .set("entitlement-words", r#"{"Granted":"LIVE"}"#)
            .unwrap();
        assert_eq!(switches.id_form, IdForm::ArNumber);
        assert!(switches.fractional_seconds);
        assert_eq!(switches.max_limit, 7);
        assert_eq!(
            switches.pending_timeout,
            Some(SignedDuration::from_secs(90))
        );
        assert_eq!(switches.entitlement_words["Granted"], "LIVE");
        switches.set("pending-timeout", "null").unwrap();
        assert_eq!(switches.pending_timeout, None);
    }

    #[test]
    fn an_unknown_switch_or_value_is_refused_with_what_there_is() {
        let mut switches = Switches::default();
        assert!(
            switches
                .set("id-from", "uuid")
                .unwrap_err()
                .contains("id-form")
        );
        assert!(
            switches
                .set("id-form", "guid")
                .unwrap_err()
                .contains("ar-number")
        );
        assert_eq!(switches, Switches::default());
    }
}
