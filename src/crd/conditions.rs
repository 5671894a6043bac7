//! Condition types and reasons: one closed list, used by the code, the documentation and the tests.

use std::fmt;

use schemars::{Schema, SchemaGenerator, json_schema};

/// The condition types an `AccessRequest` or a connection may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConditionType {
    /// The access can be used now.
    Ready,
    /// The operator is working towards the next state; removed when it is not.
    Reconciling,
    /// Nothing more will happen without a person; removed when not true.
    Stalled,
    /// The status is what Apono said last.
    Synced,
    /// The access was granted and has ended as planned or as asked here.
    Complete,
}

/// Writes the one list of reasons as an enum, its words and their explanations.
macro_rules! reasons {
    ($($(#[doc = $text:literal])+ $variant:ident = $word:literal,)+) => {
        /// Why a condition has its status. Stable: part of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[doc = $text])+ $variant,)+
        }

        impl Reason {
            /// All reasons there are.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in the condition.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
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
    /// The request is being made at Apono.
    Submitting = "Submitting",
    /// An answer of Apono was lost; the request is being looked for.
    Recovering = "Recovering",
    /// An approver has to decide.
    PendingApproval = "PendingApproval",
    /// The requester has to pass a multi-factor check.
    PendingMfa = "PendingMFA",
    /// Approved; the access is being set up.
    Granting = "Granting",
    /// The access is live.
    Active = "Active",
    /// The access is live and is being asked for again before it ends.
    Renewing = "Renewing",
    /// The access is live and its credentials are not in their Secret yet.
    DeliveringCredentials = "DeliveringCredentials",
    /// Nobody decided within pendingTimeout; the request was cancelled.
    ApprovalTimedOut = "ApprovalTimedOut",
    /// Apono refused the request when it was made.
    RequestRefused = "RequestRefused",
    /// An approver rejected the request.
    Rejected = "Rejected",
    /// Apono could not set the access up.
    GrantFailed = "GrantFailed",
    /// The access ended at its planned end.
    Expired = "Expired",
    /// The access was taken back from here.
    Revoked = "Revoked",
    /// The access was taken back by somebody else before its planned end.
    RevokedUpstream = "RevokedUpstream",
    /// An owned remote request is no longer found.
    RemoteNotFound = "RemoteNotFound",
    /// Apono reports a status this version does not know.
    UnknownStatus = "UnknownStatus",
    /// Apono cannot be reached.
    ApiUnavailable = "ApiUnavailable",
    /// Apono has not been read for too long.
    StatusStale = "StatusStale",
    /// Apono refused the token.
    Unauthorized = "Unauthorized",
    /// The connection does not exist.
    ConnectionNotFound = "ConnectionNotFound",
    /// The connection is being deleted.
    ConnectionDeleting = "ConnectionDeleting",
    /// The connection exists but cannot be used: its message says why.
    ConnectionNotReady = "ConnectionNotReady",
    /// The connection's policy does not allow this request.
    NotAllowed = "NotAllowed",
    /// What is asked for is not offered under this name, or not to this user.
    NotAvailable = "NotAvailable",
    /// Suspended before asking.
    Suspended = "Suspended",
    /// The access is being taken back.
    Revoking = "Revoking",
    /// Apono could not take the access back, or failed to three times in a row; retried.
    RevokeFailed = "RevokeFailed",
    /// Apono refused to cancel a pending request; retried.
    CancelRefused = "CancelRefused",
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl ConditionType {
    /// All condition types there are.
    pub const ALL: &[Self] = &[
        Self::Ready,
        Self::Reconciling,
        Self::Stalled,
        Self::Synced,
        Self::Complete,
    ];

    /// The word in the condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Synced => "Synced",
            Self::Complete => "Complete",
        }
    }

    /// What it says where it is True.
    pub fn description(self) -> &'static str {
        match self {
            Self::Ready => "The access, or the connection, can be used now.",
            Self::Reconciling => {
                "The operator works towards the next state, or waits for somebody else. Absent when it does not."
            }
            Self::Stalled => "Nothing more happens without a person. Absent when not true.",
            Self::Synced => "The status is what Apono said last.",
            Self::Complete => "The access was granted and has ended, as planned or as asked here.",
        }
    }
}

/// The list of conditions, with bounds and without required properties other than the key: a status
/// that another version wrote must be readable.
pub(super) fn list_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type"],
            "properties": {
                "type": {
                    "description": "What the condition is about, for example \"Ready\".",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 316
                },
                "status": {
                    "description": "Whether the condition holds: True, False or Unknown.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"]
                },
                "reason": {
                    "description": "Why, as one word of a fixed list, for example \
                                    \"PendingApproval\".",
                    "type": "string",
                    "maxLength": 1024
                },
                "message": {
                    "description": "What is going on and what to do about it, for people.",
                    "type": "string",
                    "maxLength": 32768
                },
                "lastTransitionTime": {
                    "description": "When the status of the condition changed last.",
                    "type": "string",
                    "format": "date-time"
                },
                "observedGeneration": {
                    "description": "The generation of the resource that the condition speaks of.",
                    "type": "integer",
                    "format": "int64"
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_is_one_word_and_explained() {
        let words: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let word = reason.as_str();
            assert!(
                word.chars()
                    .all(|character| character.is_ascii_alphabetic()),
                "{word}"
            );
            assert!(
                word.starts_with(|first: char| first.is_ascii_uppercase()),
                "{word}"
            );
            let description = reason.description();
            assert!(
                description.len() > 10 && description.ends_with('.'),
                "{word}: {description}"
            );
        }
    }
}
