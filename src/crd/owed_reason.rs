//! Why access became owed: the closed list of reasons of an `OwedRevocation`.

use std::fmt;

/// Why access could not be taken back before its resource had to go. Stable: part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwedReason {
    /// The connection was gone.
    ConnectionNotFound,
    /// The API refused the token.
    Unauthorized,
    /// The connection could not be used within the deadline.
    ConnectionNotReady,
    /// The API did not answer within the deadline.
    ApiUnavailable,
    /// The API failed to take the access back within the deadline.
    RevokeFailed,
    /// The API refused to cancel a pending request within the deadline.
    CancelRefused,
    /// The request was no longer found, and nothing proved that it had ended.
    RemoteNotFound,
    /// What a lost answer had made was not found out within the deadline.
    Recovering,
    /// The access did not end within the deadline.
    Revoking,
    /// Somebody took the finalizer off the resource while it was being deleted.
    FinalizerRemoved,
}

impl OwedReason {
    /// Every reason once.
    pub const ALL: [Self; 10] = [
        Self::ConnectionNotFound,
        Self::Unauthorized,
        Self::ConnectionNotReady,
        Self::ApiUnavailable,
        Self::RevokeFailed,
        Self::CancelRefused,
        Self::RemoteNotFound,
        Self::Recovering,
        Self::Revoking,
        Self::FinalizerRemoved,
    ];

    /// The word in the resource.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionNotFound => "ConnectionNotFound",
            Self::Unauthorized => "Unauthorized",
            Self::ConnectionNotReady => "ConnectionNotReady",
            Self::ApiUnavailable => "ApiUnavailable",
            Self::RevokeFailed => "RevokeFailed",
            Self::CancelRefused => "CancelRefused",
            Self::RemoteNotFound => "RemoteNotFound",
            Self::Recovering => "Recovering",
            Self::Revoking => "Revoking",
            Self::FinalizerRemoved => "FinalizerRemoved",
        }
    }

    /// What happened, as the end of "because ...".
    pub fn because(self) -> &'static str {
        match self {
            Self::ConnectionNotFound => "its connection is gone",
            Self::Unauthorized => "Apono refuses the token of its connection",
            Self::ConnectionNotReady => "its connection could not be used in time",
            Self::ApiUnavailable => "Apono did not answer in time",
            Self::RevokeFailed => "Apono failed to take the access back in time",
            Self::CancelRefused => "Apono refused to cancel the request in time",
            Self::RemoteNotFound => "the request is no longer found, and nothing proves its end",
            Self::Recovering => "it was not found out in time what a lost answer had made",
            Self::Revoking => "the access did not end in time",
            Self::FinalizerRemoved => "its finalizer was removed by hand",
        }
    }
}

impl fmt::Display for OwedReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
