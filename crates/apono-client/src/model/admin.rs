//! A request as the older API (v3) shows it and is asked for it: always for a named user, one
//! integration at a time, without dates.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::ask::{UnfitDuration, whole_seconds};
use crate::model::request::{AccessGroup, AccessRequest, AdminTarget, Identity, Named};
use crate::model::status::Status;
use crate::wire::{identifier, lenient, lenient_list};

/// An access request at Apono, as the older API shows it. It says neither when the request was made
/// nor when its access ends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AdminRequest {
    /// Opaque; never empty.
    #[serde(deserialize_with = "identifier")]
    pub request_id: String,
    /// The id that people see, such as `AR-123`; empty if the answer left it out.
    #[serde(default, deserialize_with = "lenient")]
    pub friendly_request_id: String,
    /// Whose access it is; empty if the answer left it out.
    #[serde(default, deserialize_with = "lenient")]
    pub user_id: String,
    /// Where it stands. This API's seven words are coarser than the newer one's: `PENDING` covers
    /// initialising and a second factor too, and `EXPIRED` is the end of access, whether it timed
    /// out or was taken back.
    pub status: Status,
    /// The integration; empty if the answer left it out.
    #[serde(default, deserialize_with = "lenient")]
    pub integration_id: String,
    /// The resources, by their ids.
    #[serde(default, deserialize_with = "lenient_list")]
    pub resource_ids: Vec<String>,
    /// The permissions, by their names.
    #[serde(default, deserialize_with = "lenient_list")]
    pub permissions: Vec<String>,
    /// The reason given; empty if the answer left it out.
    #[serde(default, deserialize_with = "lenient")]
    pub justification: String,
}

/// For who follows requests of either API. What the older one does not say stays absent: dates,
/// duration, who asked.
impl From<AdminRequest> for AccessRequest {
    fn from(request: AdminRequest) -> Self {
        let some = |text: String| (!text.is_empty()).then_some(text);
        let group = some(request.integration_id.clone()).map(|id| AccessGroup {
            integration: Named {
                id,
                name: String::new(),
            },
            resource_types: Vec::new(),
        });
        Self {
            id: request.request_id.into(),
            status: request.status,
            duration: None,
            justification: some(request.justification),
            creation_date: None,
            revocation_date: None,
            custom_fields: BTreeMap::new(),
            access_groups: group.into_iter().collect(),
            requestor: None,
            grantee: some(request.user_id).map(|id| {
                Arc::new(Identity {
                    id,
                    source_id: String::new(),
                })
            }),
            bundle: None,
            friendly_id: some(request.friendly_request_id).map(Into::into),
            target: Some(Arc::new(AdminTarget {
                integration_id: request.integration_id,
                resource_ids: request.resource_ids,
                permissions: request.permissions,
            })),
        }
    }
}

/// A request for access, for any user the token may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAdminRequest {
    /// For whom, by id.
    pub user_id: String,
    /// The integration the resources belong to.
    pub integration_id: String,
    /// The resources, by their ids.
    pub resource_ids: Vec<String>,
    /// The permissions, by their names.
    pub permissions: Vec<String>,
    /// Why. Required here.
    pub justification: String,
    /// How long, in whole seconds; absent means as long as the access flow allows.
    pub duration: Option<Duration>,
}

impl NewAdminRequest {
    /// The body to send.
    pub(crate) fn body(&self) -> Result<impl Serialize + '_, UnfitDuration> {
        Ok(Body {
            user_id: &self.user_id,
            integration_id: &self.integration_id,
            resource_ids: &self.resource_ids,
            permissions: &self.permissions,
            justification: &self.justification,
            duration_in_sec: self.duration.map(whole_seconds).transpose()?,
        })
    }
}

#[derive(Serialize)]
struct Body<'a> {
    user_id: &'a str,
    integration_id: &'a str,
    resource_ids: &'a [String],
    permissions: &'a [String],
    justification: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_in_sec: Option<i32>,
}

/// The body of a revoke of many.
#[derive(Serialize)]
pub(crate) struct Revocation<'a> {
    pub(crate) request_ids: &'a [&'a str],
}

/// There is no request to revoke, or one without an id. Not sent: nobody says what the API would
/// take it for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the list of ids is empty or holds an empty one")]
pub(crate) struct MissingIds;

impl<'a> Revocation<'a> {
    pub(crate) fn of(request_ids: &'a [&'a str]) -> Result<Self, MissingIds> {
        if request_ids.is_empty() || request_ids.contains(&"") {
            return Err(MissingIds);
        }
        Ok(Self { request_ids })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::status::State;

    fn read(value: Value) -> Result<AdminRequest, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn only_id_and_status_are_indispensable() {
        let bare = read(json!({"request_id": "7f", "status": "Snoozed"})).unwrap();
        assert_eq!(
            (bare.status.word(), bare.status.state()),
            ("Snoozed", State::Unknown)
        );
        assert_eq!((bare.user_id.as_str(), bare.resource_ids.len()), ("", 0));
        let odd = read(json!({
            "request_id": "7f", "status": "granted", "friendly_request_id": null, "user_id": 7,
            "resource_ids": ["r", 1], "permissions": "read", "justification": {}, "new": 1
        }))
        .unwrap();
        assert_eq!((odd.resource_ids.len(), odd.permissions.len()), (1, 0));
        for value in [
            json!({"status": "GRANTED"}),
            json!({"request_id": "", "status": "GRANTED"}),
            json!({"request_id": 7, "status": "GRANTED"}),
            json!({"request_id": "7f"}),
            json!({"request_id": "7f", "status": null}),
        ] {
            assert!(read(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn the_seven_words_mean_states_in_any_case() {
        for (word, state) in [
            ("PENDING", State::Pending),
            ("APPROVED", State::Granting),
            ("GRANTED", State::Active),
            ("REJECTED", State::Rejected),
            ("REVOKING", State::Revoking),
            ("EXPIRED", State::Revoked),
            ("FAILED", State::Failed),
        ] {
            for spelt in [word.to_owned(), word.to_lowercase()] {
                let request = read(json!({"request_id": "7f", "status": spelt})).unwrap();
                assert_eq!(request.status.word(), spelt);
                assert_eq!(request.status.state(), state);
            }
        }
    }
}
