//! Why a connection can or cannot be used: the closed list of reasons of its conditions.

use std::fmt;

/// Writes the one list of reasons as an enum, its words and their explanations.
macro_rules! reasons {
    ($($(#[doc = $text:literal])+ $variant:ident,)+) => {
        /// Why a connection has its condition Ready. Stable: part of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ConnectionReason {
            $($(#[doc = $text])+ $variant,)+
        }

        impl ConnectionReason {
            /// Every reason once.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in the condition.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)+
                }
            }

            /// What the reason means, in one line.
            pub fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($text),+).trim_ascii_start(),)+
                }
            }
        }
    };
}

reasons! {
    /// The API accepted the token.
    Ready,
    /// The token has not been tried yet.
    Verifying,
    /// The API does not answer, or not as it should.
    ApiUnavailable,
    /// The API refused the token.
    Unauthorized,
    /// The Secret of the token does not exist.
    SecretNotFound,
    /// The operator may not read the Secret of the token.
    SecretForbidden,
    /// The apiserver does not give the Secret of the token.
    SecretUnavailable,
    /// The Secret has no such key.
    TokenKeyMissing,
    /// The key of the Secret holds nothing.
    TokenEmpty,
    /// The key of the Secret holds what cannot be a token.
    TokenInvalid,
    /// The endpoint cannot be used.
    InvalidEndpoint,
    /// The endpoint may not be named by this kind of connection.
    EndpointNotAllowed,
    /// The CA bundle cannot be read.
    InvalidCaBundle,
    /// This version cannot read the connection.
    InvalidSpec,
}

impl ConnectionReason {
    /// Whether the operator gets on by itself, without a person.
    pub fn heals_by_itself(self) -> bool {
        matches!(
            self,
            Self::Verifying | Self::ApiUnavailable | Self::SecretUnavailable
        )
    }
}

impl fmt::Display for ConnectionReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
