//! A session: the place in which live access is used. How it is used is `details.rs`.

use serde::Deserialize;

use crate::model::credential::CredentialStatus;
use crate::model::request::Named;
use crate::wire::{identifier, lenient, lenient_list};

/// A session of live access. Requests share sessions: one may outlive a request of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AccessSession {
    /// Opaque; never empty.
    #[serde(deserialize_with = "identifier")]
    pub id: String,
    /// For people; empty if the answer left it out.
    #[serde(default, deserialize_with = "lenient")]
    pub name: String,
    /// The requests it serves.
    #[serde(default, deserialize_with = "lenient_list")]
    pub request_ids: Vec<String>,
    /// The integration it belongs to.
    #[serde(default, deserialize_with = "lenient")]
    pub integration: Named,
    /// Where its credentials stand; absent if the answer does not say.
    #[serde(default, deserialize_with = "lenient")]
    pub credentials_status: Option<CredentialStatus>,
    /// Whether its credentials can be replaced; false if the answer does not say.
    #[serde(default, deserialize_with = "lenient")]
    pub can_reset_credentials: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::credential::CredentialState;

    #[test]
    fn only_the_id_is_indispensable() {
        let bare: AccessSession = serde_json::from_value(json!({"id": "s"})).unwrap();
        assert_eq!(
            (bare.credentials_status, bare.can_reset_credentials),
            (None, false)
        );
        let odd =
            json!({"id": "s", "request_ids": ["a", 1], "credentials_status": null, "name": 7});
        let odd: AccessSession = serde_json::from_value(odd).unwrap();
        assert_eq!((odd.request_ids.len(), odd.credentials_status), (1, None));
        for value in [json!({"name": "s"}), json!({"id": ""}), json!({"id": null})] {
            assert!(serde_json::from_value::<AccessSession>(value).is_err());
        }
    }

    #[test]
    fn an_unknown_word_for_its_credentials_is_kept() {
        let value = json!({"id": "s", "credentials_status": "Rotated"});
        let session: AccessSession = serde_json::from_value(value).unwrap();
        let status = session.credentials_status.unwrap();
        assert_eq!(
            (status.word(), status.state()),
            ("Rotated", CredentialState::Unknown)
        );
    }
}
