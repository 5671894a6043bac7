//! The words for where a request and its entitlements stand, and which moves are legal.
//!
//! ```text
//! Initializing ─> Pending ─────> Granting ─> Active ─> Revoking ─> Revoked
//!       │          │  ▲  └> Rejected  │                    │
//!       │          ▼  │               ▼                    ▼
//!       │       PendingMFA         Failed               Failed
//!       └> Failed
//! ```
//! Every open state may also go to Revoking: somebody calls it off. It must not know when a move
//! happens or who makes it; that is the machine's.

use serde::{Deserialize, Serialize};

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Status {
    /// Created, not routed to its flow yet.
    Initializing,
    /// Waits for a decision.
    Pending,
    /// Waits for the user's second factor.
    #[serde(rename = "PendingMFA")]
    PendingMfa,
    /// Approved; the access is being set up.
    Granting,
    /// The access is live.
    Active,
    /// The access is being taken away.
    Revoking,
    /// The access is gone.
    Revoked,
    /// Refused by an approver.
    Rejected,
    /// Granting or revoking broke down.
    Failed,
}

impl Status {
    /// All nine, in the order a request meets them.
    pub const ALL: [Self; 9] = [
        Self::Initializing,
        Self::Pending,
        Self::PendingMfa,
        Self::Granting,
        Self::Active,
        Self::Revoking,
        Self::Revoked,
        Self::Rejected,
        Self::Failed,
    ];

    /// The word in Pascal case.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::Pending => "Pending",
            Self::PendingMfa => "PendingMFA",
            Self::Granting => "Granting",
            Self::Active => "Active",
            Self::Revoking => "Revoking",
            Self::Revoked => "Revoked",
            Self::Rejected => "Rejected",
            Self::Failed => "Failed",
        }
    }

    /// Nothing moves the request any more.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Revoked | Self::Rejected | Self::Failed)
    }

    /// Asked for and not live yet.
    pub const fn is_open(self) -> bool {
        matches!(
            self,
            Self::Initializing | Self::Pending | Self::PendingMfa | Self::Granting
        )
    }

    /// Whether a request may go from this state straight to `next`.
    ///
    /// `Failed` to `Revoking` is the one way out of a terminal state: taking back again what a
    /// first revoke could not, and only where the switch for it is set.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Initializing => matches!(next, Self::Pending | Self::Failed | Self::Revoking),
            Self::Pending => matches!(
                next,
                Self::PendingMfa | Self::Granting | Self::Rejected | Self::Revoking
            ),
            Self::PendingMfa => matches!(
                next,
                Self::Pending | Self::Granting | Self::Rejected | Self::Revoking
            ),
            Self::Granting => matches!(next, Self::Active | Self::Failed | Self::Revoking),
            Self::Revoking => matches!(next, Self::Revoked | Self::Failed),
            Self::Active | Self::Failed => matches!(next, Self::Revoking),
            Self::Revoked | Self::Rejected => false,
        }
    }
}

/// Where one entitlement of a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EntitlementStatus {
    /// Not decided or not set up yet.
    Pending,
    /// Live.
    Granted,
    /// Could not be set up.
    Failure,
    /// Taken away.
    Revoked,
}

impl EntitlementStatus {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Granted, Self::Failure, Self::Revoked];

    /// The word in Pascal case.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Granted => "Granted",
            Self::Failure => "Failure",
            Self::Revoked => "Revoked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serialized_word_is_the_shown_word() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.word());
        }
        for status in EntitlementStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.word());
        }
    }

    #[test]
    fn only_a_failed_revoke_leaves_a_terminal_state() {
        for from in Status::ALL
            .into_iter()
            .filter(|status| status.is_terminal())
        {
            let ways: Vec<_> = Status::ALL
                .into_iter()
                .filter(|to| from.may_become(*to))
                .collect();
            let expected = if from == Status::Failed {
                vec![Status::Revoking]
            } else {
                vec![]
            };
            assert_eq!(ways, expected, "{from:?}");
        }
    }
}
