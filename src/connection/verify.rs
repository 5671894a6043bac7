//! The call that proves a token, and what its answers say of the connection.
//!
//! | answer | the connection |
//! | --- | --- |
//! | 2xx | Ready |
//! | 401 | Unauthorized, and the circuit opens |
//! | 403 | `ApiUnavailable`: a token that nobody's requests belong to, as that of a service account |
//! | 404 | `ApiUnavailable`: something else answers at the endpoint |
//! | anything else, none | `ApiUnavailable` |

use std::time::Duration;

use apono_client::{Endpoint, ListQuery};

use super::{ConnectionState, supervised::Supervised, token::TokenPlace};
use crate::{crd::ConnectionReason, remote::RemoteError, telemetry::Chain};

/// For this long all calls must have failed before the API counts as unavailable: a restart of it
/// is no news.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tries the token where that would say something new: once, and while the API does not answer.
/// An open circuit answers without a call.
pub(super) async fn verify(supervised: &mut Supervised, place: &TokenPlace) -> ConnectionState {
    let health = supervised.connection.remote.health();
    let is_failing = health.failing_for.is_some_and(|time| time >= PATIENCE);
    if supervised.is_verified && !is_failing && !health.circuit_open {
        return ConnectionState::Ready;
    }
    let query = ListQuery {
        limit: Some(1),
        ..ListQuery::default()
    };
    let remote = supervised.connection.remote.clone();
    let tried = remote
        .call(Endpoint::ListAccessRequests, |client| async move {
            client.access_requests_page(&query, None).await
        })
        .await;
    match tried {
        Ok(page) => {
            supervised.note(&page);
            supervised.is_verified = true;
            ConnectionState::Ready
        }
        Err(error) if error.is_unauthorized() => {
            supervised.is_verified = false;
            place.unauthorized()
        }
        Err(RemoteError::Paused(_)) if supervised.is_verified => ConnectionState::Ready,
        Err(RemoteError::Paused(_)) => ConnectionState::not_ready(
            ConnectionReason::Verifying,
            "the API asked for a pause before it could verify the token: tried again after it",
        ),
        Err(error) => {
            let endpoint = &supervised.connection.settings.endpoint;
            let why = unusable(error.status(), &Chain(&error).to_string(), endpoint, place);
            ConnectionState::not_ready(ConnectionReason::ApiUnavailable, why)
        }
    }
}

/// What an answer that proves nothing means, and what to do about it.
fn unusable(status: Option<u16>, error: &str, endpoint: &str, place: &TokenPlace) -> String {
    match status {
        Some(403) => format!(
            "the API answers 403 to the list of the token's own requests: its user may not use the \
             user API; put the personal API token of a user into {place} (the token of a service \
             account is no user's), and ask Apono to switch personal tokens on if that user is \
             refused too; tried again by itself"
        ),
        Some(404) => format!(
            "the API answers 404 to the list of the token's own requests: `{endpoint}` is not where \
             the Apono API is; spec.endpoint cannot be changed, so create the connection anew with \
             the right one, for example `https://api.apono.io`; tried again by itself"
        ),
        _ => format!("{error}: check spec.endpoint and the network; tried again by itself"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{connection::ConnectionKey, crd::SecretKeyRef};

    fn said(status: Option<u16>) -> String {
        let secret = SecretKeyRef {
            name: "apono-token".into(),
            key: "token".into(),
        };
        let place = TokenPlace::of(&ConnectionKey::cluster("default"), &secret, "apono-system");
        unusable(status, "no such host", "https://other.example", &place)
    }

    #[test]
    fn a_user_who_may_not_use_the_user_api_is_told_which_token_to_put_where() {
        let said = said(Some(403));
        for word in [
            "403",
            "may not use the user API",
            "personal API token",
            "key `token` of Secret `apono-system/apono-token`",
        ] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }

    #[test]
    fn a_wrong_endpoint_is_named_with_what_to_write() {
        let said = said(Some(404));
        for word in ["404", "spec.endpoint", "`https://other.example`", "anew"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }

    #[test]
    fn whatever_else_fails_is_said_as_it_is() {
        for status in [None, Some(500), Some(302)] {
            let said = said(status);
            assert!(said.starts_with("no such host: "), "{said}");
        }
    }
}
