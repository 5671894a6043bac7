//! What bodies are accepted.
//!
//! It parses; whether what a body says can be done is not decided here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::catalogue::Pair;
use crate::http::Call;
use crate::machine::{Refusal, Wanted};
use crate::switches::{Strange, Strictness, Switches};

/// A body with the properties that the contract gives it.
pub(crate) trait Body: DeserializeOwned {
    /// Their names.
    const PROPERTIES: &'static [&'static str];
    /// The switch for other properties.
    fn strange(switches: &Switches) -> Strange;
}

macro_rules! body {
    ($name:ident, $switch:ident: $($property:ident),+) => {
        impl Body for $name {
            const PROPERTIES: &'static [&'static str] = &[$(stringify!($property)),+];

            fn strange(switches: &Switches) -> Strange {
                switches.$switch
            }
        }
    };
}

body!(CreateBody, unknown_property: bundle_reference, entitlements, justification,
    duration_in_sec, custom_fields, grantee);
body!(AgainBody, unknown_property: justification, custom_fields);
body!(V3CreateBody, v3_unknown_property: user_id, integration_id, resource_ids, permissions,
    justification, duration_in_sec);
body!(BulkBody, v3_unknown_property: request_ids);

/// The body of a create.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateBody {
    #[serde(default)]
    pub(crate) bundle_reference: Option<String>,
    #[serde(default)]
    pub(crate) entitlements: Option<Vec<Map<String, Value>>>,
    #[serde(default)]
    pub(crate) justification: Option<String>,
    #[serde(default)]
    pub(crate) duration_in_sec: Option<i32>,
    #[serde(default)]
    pub(crate) custom_fields: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(crate) grantee: Option<String>,
}

/// An entitlement in a create.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PairBody {
    resource_id: String,
    permission_id: String,
}

/// The body of a request-again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgainBody {
    #[serde(default)]
    pub(crate) justification: Option<String>,
    #[serde(default)]
    pub(crate) custom_fields: Option<BTreeMap<String, String>>,
}

/// The body of a v3 create.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct V3CreateBody {
    pub(crate) user_id: String,
    pub(crate) integration_id: String,
    pub(crate) resource_ids: Vec<String>,
    pub(crate) permissions: Vec<String>,
    pub(crate) justification: String,
    #[serde(default)]
    pub(crate) duration_in_sec: Option<i32>,
}

/// The body of a bulk revoke.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkBody {
    pub(crate) request_ids: Vec<String>,
}

/// Reads an object. Derived readers also take an array of the fields in order, which JSON callers
/// never mean; hence the way over a map.
fn object<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Refusal> {
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| Refusal::bad("BAD_REQUEST", error.to_string()))
}

/// Reads a body.
pub(crate) fn body<T: Body>(call: &Call, switches: &Switches) -> Result<T, Refusal> {
    let mut fields: Map<String, Value> = serde_json::from_slice(call.json_body()?)
        .map_err(|error| Refusal::bad("BAD_REQUEST", error.to_string()))?;
    if T::strange(switches) == Strange::Ignore {
        fields.retain(|name, _| T::PROPERTIES.contains(&name.as_str()));
    }
    object(fields)
}

/// The custom fields, which every body must have.
pub(crate) fn custom_fields(
    given: Option<BTreeMap<String, String>>,
    switches: &Switches,
) -> Result<BTreeMap<String, String>, Refusal> {
    match (given, switches.missing_custom_fields) {
        (Some(fields), _) => Ok(fields),
        (None, Strictness::Accept) => Ok(BTreeMap::new()),
        (None, Strictness::Refuse) => {
            Err(Refusal::bad("FIELD_MISSING", "custom_fields is required"))
        }
    }
}

impl CreateBody {
    /// What the create is about: exactly one of the two ways to say it.
    pub(crate) fn wanted(&mut self, switches: &Switches) -> Result<Wanted, Refusal> {
        let pairs = self.entitlements.take().filter(|pairs| !pairs.is_empty());
        match (self.bundle_reference.take(), pairs) {
            (Some(_), Some(_)) if switches.both_targets == Strictness::Refuse => Err(Refusal::bad(
                "BAD_REQUEST",
                "bundle_reference and entitlements exclude each other",
            )),
            (Some(bundle), _) => Ok(Wanted::Bundle(bundle)),
            (None, Some(pairs)) => {
                let pairs = pairs.into_iter().map(|fields| {
                    let PairBody {
                        resource_id,
                        permission_id,
                    } = object(fields)?;
                    Ok(Pair {
                        resource: resource_id,
                        permission: permission_id,
                    })
                });
                Ok(Wanted::Entitlements(pairs.collect::<Result<_, Refusal>>()?))
            }
            (None, None) => Err(Refusal::bad(
                "FIELD_MISSING",
                "either bundle_reference or entitlements is required",
            )),
        }
    }
}
