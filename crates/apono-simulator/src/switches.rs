//! Every question about the remote that no public source answers, as a named setting.
//!
//! A switch says how the simulated service behaves where the real one is unknown; its default is
//! the plainest or the strictest reading. It decides nothing itself.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod choices;

pub use choices::*;

/// All switches. Names in JSON and on the command line are in kebab case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Switches {
    /// The form of new ids.
    pub id_form: IdForm,
    /// From when on `revocation_date` is shown.
    pub end_shown: EndShown,
    /// What `revocation_date` shows after an early revoke.
    pub end_after_revoke: EndAfterRevoke,
    /// What `duration_in_sec` shows when none was asked for.
    pub duration_echo: DurationEcho,
    /// The shape of error bodies; the documented 401 keeps its own.
    pub error_shape: ErrorShape,
    /// How the last page is marked.
    pub page_end: PageEnd,
    /// What a page token remembers.
    pub page_position: PagePosition,
    /// How long a page token works; null: for ever.
    pub page_token_life: Option<SignedDuration>,
    /// The largest `limit`.
    pub max_limit: u32,
    /// What a larger one gets.
    pub over_limit: OverLimit,
    /// The order of lists.
    pub list_order: ListOrder,
    /// What an unknown word in a status filter gets.
    pub unknown_status: UnknownStatus,
    /// Letter case of status words.
    pub word_case: WordCase,
    /// Other words for a request's statuses, by the Pascal word.
    pub request_words: BTreeMap<String, String>,
    /// Other words for an entitlement's statuses, by the Pascal word.
    pub entitlement_words: BTreeMap<String, String>,
    /// GET of a delegated id among the caller's own requests.
    pub delegated_get: Visibility,
    /// Entitlements of a delegated id.
    pub delegated_entitlements: Visibility,
    /// Revoke of a delegated id.
    pub delegated_revoke: Visibility,
    /// Request-again of a delegated id.
    pub delegated_again: Visibility,
    /// Revoke of an ended request.
    pub revoke_ended: RevokeEnded,
    /// Revoke of a request that is not live yet.
    pub revoke_open: Leniency,
    /// A revoke of a failed request with access left: done, or as for any ended request.
    pub revoke_retry: bool,
    /// How the caller appears in his own requests.
    pub own_identity: OwnIdentity,
    /// Milliseconds in dates.
    pub fractional_seconds: bool,
    /// What happens to justifications.
    pub justification: Justification,
    /// The length in characters that `cut` and `refused` go by.
    pub justification_length: usize,
    /// A create that repeats one not ended.
    pub duplicate: Leniency,
    /// Where a partly set-up request ends up.
    pub partial_grant: PartialGrant,
    /// How long a request waits before it is rejected by itself; null: for ever.
    pub pending_timeout: Option<SignedDuration>,
    /// What a service account gets.
    pub service_token: ServiceToken,
    /// A create without `custom_fields`.
    pub missing_custom_fields: Strictness,
    /// A custom field that the catalogue does not list.
    pub unknown_custom_field: Leniency,
    /// A create with bundle and entitlements; accepted: the bundle counts.
    pub both_targets: Strictness,
    /// The most entitlements in one create; null: any number.
    pub entitlement_cap: Option<usize>,
    /// One flow refuses, another accepts.
    pub flow_refusal: FlowRefusal,
    /// Request-again of a request not ended.
    pub again_unended: Leniency,
    /// Request-again without a justification.
    pub again_justification: AgainJustification,
    /// When the second factor is asked for.
    pub mfa_position: MfaPosition,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            id_form: IdForm::default(),
            end_shown: EndShown::default(),
            end_after_revoke: EndAfterRevoke::default(),
            duration_echo: DurationEcho::default(),
            error_shape: ErrorShape::default(),
            page_end: PageEnd::default(),
            page_position: PagePosition::default(),
            page_token_life: None,
            // The documented default is 100; nothing says that more is possible.
            max_limit: 100,
            over_limit: OverLimit::default(),
            list_order: ListOrder::default(),
            unknown_status: UnknownStatus::default(),
            word_case: WordCase::default(),
            request_words: BTreeMap::new(),
            entitlement_words: BTreeMap::new(),
            delegated_get: Visibility::Hidden,
            // No other path reads, revokes or repeats a delegated request.
            delegated_entitlements: Visibility::Visible,
            delegated_revoke: Visibility::Visible,
            delegated_again: Visibility::Visible,
            revoke_ended: RevokeEnded::default(),
            revoke_open: Leniency::default(),
            revoke_retry: false,
            own_identity: OwnIdentity::default(),
            fractional_seconds: false,
            justification: Justification::default(),
            justification_length: 500,
            duplicate: Leniency::default(),
            partial_grant: PartialGrant::default(),
            pending_timeout: None,
            service_token: ServiceToken::default(),
            missing_custom_fields: Strictness::default(),
            unknown_custom_field: Leniency::default(),
            both_targets: Strictness::default(),
            entitlement_cap: None,
            flow_refusal: FlowRefusal::default(),
            again_unended: Leniency::default(),
            again_justification: AgainJustification::default(),
            mfa_position: MfaPosition::default(),
        }
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
        let Ok(Value::Object(fields)) = serde_json::to_value(Self::default()) else {
            return Vec::new();
        };
        let plain = |value: Value| match value {
            Value::String(word) => word,
            other => other.to_string(),
        };
        fields
            .into_iter()
            .map(|(name, value)| (name, plain(value)))
            .collect()
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
