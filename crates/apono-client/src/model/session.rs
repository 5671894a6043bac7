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
