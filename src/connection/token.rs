//! Reads the token of a connection: one GET of one Secret by its name.
//!
//! Secrets are never listed and never watched: RBAC cannot grant their metadata alone. The token is
//! held as [`Token`] only, which cannot be printed.

use std::{fmt, time::Duration};

use apono_client::{InvalidToken, Token};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client};

use super::{ConnectionKey, ConnectionState, escrow};
use crate::{
    crd::{ConnectionReason, SecretKeyRef},
    kubernetes::{self, deadline},
    telemetry::Chain,
};

/// Where a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenPlace {
    pub(super) namespace: String,
    pub(super) secret: SecretKeyRef,
}

/// Why there is no token.
#[derive(Debug)]
pub(super) enum NoToken {
    /// A person has to act.
    NotReady(ConnectionState),
    /// It could not be found out.
    Unknown(kubernetes::Error),
}

/// Reads the token in this key of a Secret; or says for people why there is none.
pub(crate) async fn read_token(
    client: &Client,
    namespace: &str,
    secret: &SecretKeyRef,
    limit: Duration,
) -> Result<Token, String> {
    let place = TokenPlace {
        namespace: namespace.to_owned(),
        secret: secret.clone(),
    };
    match place.read(client, limit).await {
        Ok((token, _)) => Ok(token),
        Err(NoToken::NotReady(state)) => Err(state.message().to_owned()),
        Err(NoToken::Unknown(error)) => Err(place.unavailable(&error).message().to_owned()),
    }
}

impl TokenPlace {
    /// Where the token of a connection is. The cluster kind's is in the operator's namespace: those
    /// who may create cluster connections must not reach Secrets of tenants through the operator.
    pub(super) fn of(key: &ConnectionKey, secret: &SecretKeyRef, operator_namespace: &str) -> Self {
        let namespace = key
            .namespace
            .as_deref()
            .unwrap_or(operator_namespace)
            .to_owned();
        Self {
            namespace,
            secret: secret.clone(),
        }
    }

    /// Where the copy of a namespaced connection's token is.
    pub(super) fn copy(uid: &str, operator_namespace: &str) -> Self {
        Self {
            namespace: operator_namespace.to_owned(),
            secret: escrow::place(uid),
        }
    }

    /// Reads it, and the value it was made from.
    pub(super) async fn read(
        &self,
        client: &Client,
        limit: Duration,
    ) -> Result<(Token, ByteString), NoToken> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &self.namespace);
        let read = deadline(
            "read the token's Secret",
            limit,
            secrets.get(&self.secret.name),
        );
        match read.await {
            Ok(secret) => {
                let value = secret
                    .data
                    .as_ref()
                    .and_then(|data| data.get(&self.secret.key));
                let token = self.token(value).map_err(NoToken::NotReady)?;
                Ok((token, value.cloned().unwrap_or_default()))
            }
            Err(error) if error.is_not_found() => {
                Err(NoToken::NotReady(ConnectionState::not_ready(
                    ConnectionReason::SecretNotFound,
                    format!(
                        "Secret `{}` does not exist: create it with key `{}`",
                        self.path(),
                        self.secret.key
                    ),
                )))
            }
            Err(error) if error.is_forbidden() => {
                Err(NoToken::NotReady(ConnectionState::not_ready(
                    ConnectionReason::SecretForbidden,
                    format!(
                        "the operator may not read Secret `{}`: grant its service account get on \
                         secrets in namespace `{}`",
                        self.path(),
                        self.namespace
                    ),
                )))
            }
            Err(error) => Err(NoToken::Unknown(error)),
        }
    }

    /// What a person has to change when the API refuses the token.
    pub(super) fn unauthorized(&self) -> ConnectionState {
        ConnectionState::Unauthorized {
            message: format!("the API refused the token: put a valid one into {self}"),
        }
    }

    /// What is said where the apiserver has failed to give the Secret more than once. The same
    /// failure is said in the same words.
    pub(super) fn unavailable(&self, error: &kubernetes::Error) -> ConnectionState {
        let why = match error.status() {
            Some(status) => format!("the apiserver answers {}", status.code),
            None => Chain(error).to_string(),
        };
        ConnectionState::not_ready(
            ConnectionReason::SecretUnavailable,
            format!(
                "Secret `{}` cannot be read, {why}: tried again every few seconds; if it stays so, \
                 look at the apiserver",
                self.path()
            ),
        )
    }

    fn token(&self, value: Option<&ByteString>) -> Result<Token, ConnectionState> {
        let Some(ByteString(bytes)) = value else {
            return Err(ConnectionState::not_ready(
                ConnectionReason::TokenKeyMissing,
                format!(
                    "Secret `{}` has no key `{}`: add it, or name another key in \
                         spec.tokenSecretRef.key",
                    self.path(),
                    self.secret.key
                ),
            ));
        };
        let text = std::str::from_utf8(bytes).map_err(|error| self.invalid(error.valid_up_to()))?;
        Token::new(text).map_err(|error| match error {
            InvalidToken::Character { position } => self.invalid(position),
            // Non-exhaustive: whatever else is wrong, a new token is the way out.
            _ => ConnectionState::not_ready(
                ConnectionReason::TokenEmpty,
                format!("{self} is empty: put the token there"),
            ),
        })
    }

    fn invalid(&self, position: usize) -> ConnectionState {
        ConnectionState::not_ready(
            ConnectionReason::TokenInvalid,
            format!(
                "{self} holds a blank, a line break or another character that no token has, at \
                     byte {position}: store the token alone, for example with \
                     kubectl create secret generic --from-literal"
            ),
        )
    }

    fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.secret.name)
    }
}

impl fmt::Display for TokenPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "key `{}` of Secret `{}`",
            self.secret.key,
            self.path()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &ConnectionKey) -> TokenPlace {
        let secret = SecretKeyRef {
            name: "apono-token".into(),
            key: "token".into(),
        };
        TokenPlace::of(key, &secret, "apono-system")
    }

    #[test]
    fn a_cluster_connection_has_its_token_with_the_operator_and_a_namespaced_one_at_home() {
        assert_eq!(
            place(&ConnectionKey::cluster("a")).namespace,
            "apono-system"
        );
        assert_eq!(
            place(&ConnectionKey::namespaced("team", "a")).namespace,
            "team"
        );
    }

    #[test]
    fn what_is_wrong_with_a_token_is_said_without_it() {
        let place = place(&ConnectionKey::cluster("a"));
        for (value, reason) in [
            (None, ConnectionReason::TokenKeyMissing),
            (Some(&b""[..]), ConnectionReason::TokenEmpty),
            (Some(b"hunter2\n"), ConnectionReason::TokenInvalid),
            (Some(b"hunter2\xff"), ConnectionReason::TokenInvalid),
        ] {
            let value = value.map(|bytes| ByteString(bytes.to_vec()));
            let state = place.token(value.as_ref()).unwrap_err();
            assert_eq!(state.reason(), reason);
            assert!(
                state.message().contains("apono-system/apono-token"),
                "{state:?}"
            );
            assert!(!state.message().contains("hunter2"), "{state:?}");
        }
        assert!(place.token(Some(&ByteString(b"aup_1".to_vec()))).is_ok());
    }

    #[test]
    fn a_refused_token_names_the_secret_and_the_key() {
        let message = place(&ConnectionKey::cluster("a"))
            .unauthorized()
            .message()
            .to_owned();
        assert!(
            message.contains("key `token` of Secret `apono-system/apono-token`"),
            "{message}"
        );
    }
}
