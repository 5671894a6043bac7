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
    /// The status is what the remote said last.
    Synced,
    /// The access was granted and has ended as planned or as asked here.
    Complete,
}

/// Why a condition has its status. Stable: part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request is being made at the remote.
    Submitting,
    /// An answer of the remote was lost; the request is being looked for.
    Recovering,
    /// An approver has to decide.
    PendingApproval,
    /// The requester has to pass a multi-factor check.
    PendingMfa,
    /// Approved; the access is being set up.
    Granting,
    /// The access is live.
    Active,
    /// The remote refused the request when it was made.
    RequestRefused,
    /// An approver rejected the request.
    Rejected,
    /// The remote could not set the access up.
    GrantFailed,
    /// The access ended at its planned end.
    Expired,
    /// The access was taken back from here.
    Revoked,
    /// The access was taken back by somebody else before its planned end.
    RevokedUpstream,
    /// An owned remote request is no longer found.
    RemoteNotFound,
    /// The remote reports a status this version does not know.
    UnknownStatus,
    /// The remote cannot be reached.
    ApiUnavailable,
    /// The remote has not been read for too long.
    StatusStale,
    /// The remote refused the token.
    Unauthorized,
    /// The connection does not exist.
    ConnectionNotFound,
    /// The connection is being deleted.
    ConnectionDeleting,
    /// The connection exists but cannot be used: its message says why.
    ConnectionNotReady,
    /// The connection's policy does not allow this request.
    NotAllowed,
    /// Suspended before asking.
    Suspended,
    /// The access is being taken back.
    Revoking,
    /// The remote could not take the access back; retried.
    RevokeFailed,
    /// The remote refused to cancel a pending request; retried.
    CancelRefused,
}

impl Reason {
    /// The word in the condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitting => "Submitting",
            Self::Recovering => "Recovering",
            Self::PendingApproval => "PendingApproval",
            Self::PendingMfa => "PendingMFA",
            Self::Granting => "Granting",
            Self::Active => "Active",
            Self::RequestRefused => "RequestRefused",
            Self::Rejected => "Rejected",
            Self::GrantFailed => "GrantFailed",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
            Self::RevokedUpstream => "RevokedUpstream",
            Self::RemoteNotFound => "RemoteNotFound",
            Self::UnknownStatus => "UnknownStatus",
            Self::ApiUnavailable => "ApiUnavailable",
            Self::StatusStale => "StatusStale",
            Self::Unauthorized => "Unauthorized",
            Self::ConnectionNotFound => "ConnectionNotFound",
            Self::ConnectionDeleting => "ConnectionDeleting",
            Self::ConnectionNotReady => "ConnectionNotReady",
            Self::NotAllowed => "NotAllowed",
            Self::Suspended => "Suspended",
            Self::Revoking => "Revoking",
            Self::RevokeFailed => "RevokeFailed",
            Self::CancelRefused => "CancelRefused",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl ConditionType {
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
