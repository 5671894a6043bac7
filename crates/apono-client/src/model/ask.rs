//! What is asked for: new requests, and the exact JSON they become. List filters are `query.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// A request for access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccessRequest {
    /// What for.
    pub target: Target,
    /// Why. Some access flows insist on one.
    pub justification: Option<String>,
    /// How long, in whole seconds; absent means as long as the access flow allows.
    pub duration: Option<Duration>,
    /// The account's own fields, by their ids.
    pub custom_fields: BTreeMap<String, String>,
    /// For whom, an id or e-mail address; absent means the token's user.
    pub grantee: Option<String>,
}

/// What access is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A bundle, by id or display name.
    Bundle(String),
    /// Single permissions on single resources.
    Entitlements(Vec<EntitlementRef>),
}

/// A permission on a resource, by their ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct EntitlementRef {
    /// Apono's id of the resource.
    pub resource_id: String,
    /// Apono's id of the permission.
    pub permission_id: String,
}

/// Asking once more for what an earlier request asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RequestAgain {
    /// Why, this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// The account's own fields, by their ids. The contract requires them, so an empty map is sent
    /// too.
    pub custom_fields: BTreeMap<String, String>,
}

impl NewAccessRequest {
    /// A request for this target and nothing more said about it.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            justification: None,
            duration: None,
            custom_fields: BTreeMap::new(),
            grantee: None,
        }
    }

    /// The body to send.
    pub(crate) fn body(&self) -> Result<impl Serialize + '_, UnfitDuration> {
        let (bundle_reference, entitlements) = match &self.target {
            Target::Bundle(reference) => (Some(reference.as_str()), None),
            Target::Entitlements(entitlements) => (None, Some(entitlements.as_slice())),
        };
        Ok(Body {
            bundle_reference,
            entitlements,
            justification: self.justification.as_deref(),
            duration_in_sec: self.duration.map(whole_seconds).transpose()?,
            custom_fields: &self.custom_fields,
            grantee: self.grantee.as_deref(),
        })
    }
}

/// The duration has no form on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the duration is shorter than a second or longer than {} seconds",
    i32::MAX
)]
pub(crate) struct UnfitDuration;

/// The contract's field is a 32-bit integer. A part of a second is cut off: never longer than asked
/// for.
pub(crate) fn whole_seconds(duration: Duration) -> Result<i32, UnfitDuration> {
    match i32::try_from(duration.as_secs()) {
        Ok(seconds) if seconds > 0 => Ok(seconds),
        _ => Err(UnfitDuration),
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle_reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entitlements: Option<&'a [EntitlementRef]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    justification: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_in_sec: Option<i32>,
    /// The one property the contract requires: sent even when empty.
    custom_fields: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grantee: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn wire(request: &NewAccessRequest) -> Value {
        serde_json::to_value(request.body().unwrap()).unwrap()
    }

    #[test]
    fn absent_options_are_left_out_and_custom_fields_are_always_sent() {
        let request = NewAccessRequest::new(Target::Bundle("b".into()));
        assert_eq!(
            wire(&request),
            json!({"bundle_reference": "b", "custom_fields": {}})
        );
        let again = serde_json::to_value(RequestAgain::default()).unwrap();
        assert_eq!(again, json!({"custom_fields": {}}));
    }

    #[test]
    fn everything_said_is_sent() {
        let entitlement = EntitlementRef {
            resource_id: "r".into(),
            permission_id: "p".into(),
        };
        let request = NewAccessRequest {
            justification: Some("why".into()),
            duration: Some(Duration::from_millis(90_900)),
            custom_fields: [("ticket".into(), "T-1".into())].into(),
            grantee: Some("g@example.com".into()),
            ..NewAccessRequest::new(Target::Entitlements(vec![entitlement]))
        };
        let expected = json!({
            "entitlements": [{"resource_id": "r", "permission_id": "p"}],
            "justification": "why", "duration_in_sec": 90,
            "custom_fields": {"ticket": "T-1"}, "grantee": "g@example.com"
        });
        assert_eq!(wire(&request), expected);
    }

    #[test]
    fn a_duration_the_wire_cannot_carry_is_refused() {
        let mut request = NewAccessRequest::new(Target::Bundle("b".into()));
        for duration in [
            Duration::ZERO,
            Duration::from_millis(999),
            Duration::from_secs(1 << 31),
        ] {
            request.duration = Some(duration);
            assert_eq!(request.body().err(), Some(UnfitDuration));
        }
    }
}
