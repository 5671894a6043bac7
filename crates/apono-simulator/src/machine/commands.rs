//! What the control channel can do to a request, and in which states it can.
//!
//! A command is checked here and made of the moves in `moves.rs`.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Key, Machine};
use crate::clock::later;
use crate::request::{Actor, Fate};
use crate::status::Status;

/// What the control channel can do to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// Lets it leave Initializing.
    Route,
    /// Approves it.
    Approve,
    /// Refuses it.
    Reject {
        /// What the approver says.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Shows the second factor.
    PassMfa,
    /// Brings it to Granting, whatever it waits for.
    Grant,
    /// Brings it to Active, whatever it waits for.
    Activate,
    /// Breaks what is under way: the grant or the revoke.
    Fail {
        /// How many entitlements were granted before the grant broke.
        #[serde(default)]
        granted: usize,
    },
    /// Takes it back, as an admin or in the portal would.
    Revoke,
    /// Ends a revoke that is under way.
    FinishRevoke,
    /// Lets its time be up now.
    Expire,
    /// Moves its planned end; a negative duration brings it nearer.
    Extend {
        /// By how much.
        by: SignedDuration,
    },
    /// Decides how its grant and revoke will turn out.
    Fate {
        /// How.
        fate: Fate,
    },
}

/// A command that does not fit the state the request is in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPossible {
    /// There is no such request.
    #[error("there is no request `{0}`; GET /_control/requests lists them")]
    Unknown(String),
    /// It is in the wrong state.
    #[error("a request that is {} cannot {what}; {hint}", status.word())]
    State {
        /// The state it is in.
        status: Status,
        /// What was wanted.
        what: &'static str,
        /// What would work.
        hint: &'static str,
    },
}

impl Machine {
    /// Does what the control channel wants.
    ///
    /// # Errors
    /// Says why not, and what would work.
    pub fn command(&mut self, id: &str, command: &Command) -> Result<Key, NotPossible> {
        self.settle();
        let key = self
            .find(id)
            .ok_or_else(|| NotPossible::Unknown(id.to_owned()))?;
        let now = self.now();
        let by = Actor::Control;
        match command {
            Command::Route => self.want(key, &[Status::Initializing], "be routed", ROUTE)?,
            Command::Approve => self.want(key, &WAITING, "be approved", APPROVE)?,
            Command::Reject { .. } => self.want(key, &UNDECIDED, "be rejected", APPROVE)?,
            Command::PassMfa => self.want(key, &[Status::PendingMfa], "pass MFA", MFA)?,
            Command::Grant => self.want(key, &UNDECIDED, "be granted", APPROVE)?,
            Command::Activate => self.want(key, &OPEN, "become active", APPROVE)?,
            Command::Fail { .. } => self.want(key, &BREAKABLE, "fail", FAIL)?,
            Command::Revoke => self.want(key, &LIVE_OR_OPEN, "be revoked", "it has ended")?,
            Command::FinishRevoke => self.want(key, &[Status::Revoking], "end its revoke", END)?,
            Command::Expire => self.want(key, &[Status::Active], "expire", "activate it first")?,
            Command::Extend { .. } => self.want(key, &EXTENDABLE, "be extended", "it has ended")?,
            Command::Fate { .. } => {}
        }
        match command {
            Command::Route => self.route(key, now, &by),
            Command::Approve => self.approve(key, now, &by),
            Command::Reject { reason } => self.reject(key, now, &by, reason.clone()),
            Command::PassMfa => self.pass_mfa(key, now, &by),
            Command::Grant => self.grant(key, now, &by),
            Command::Activate => {
                self.grant(key, now, &by);
                self.activate(key, now, &by, usize::MAX);
            }
            Command::Fail { granted } => self.fail(key, now, &by, *granted),
            Command::Revoke => self.go(key, Status::Revoking, now, &by, None),
            Command::FinishRevoke => self.finish_revoke(key, now, &by),
            Command::Expire => self.go(key, Status::Revoking, now, &by, Some("time is up".into())),
            Command::Extend { by } => self.edit(key, |request| {
                request.planned_end = request.planned_end.map(|end| later(end, *by));
            }),
            Command::Fate { fate } => self.edit(key, |request| request.fate = *fate),
        }
        self.reschedule(key, Some(now));
        self.settle();
        Ok(key)
    }

    fn want(
        &self,
        key: Key,
        allowed: &[Status],
        what: &'static str,
        hint: &'static str,
    ) -> Result<(), NotPossible> {
        let status = self
            .get(key)
            .map_or(Status::Failed, |request| request.status);
        if allowed.contains(&status) {
            Ok(())
        } else {
            Err(NotPossible::State { status, what, hint })
        }
    }
}

const WAITING: [Status; 2] = [Status::Initializing, Status::Pending];
const UNDECIDED: [Status; 3] = [Status::Initializing, Status::Pending, Status::PendingMfa];
const OPEN: [Status; 4] = [
    Status::Initializing,
    Status::Pending,
    Status::PendingMfa,
    Status::Granting,
];
const BREAKABLE: [Status; 3] = [Status::Initializing, Status::Granting, Status::Revoking];
const EXTENDABLE: [Status; 5] = [
    Status::Initializing,
    Status::Pending,
    Status::PendingMfa,
    Status::Granting,
    Status::Active,
];
const LIVE_OR_OPEN: [Status; 5] = EXTENDABLE;
const ROUTE: &str = "only a request that is Initializing waits for that";
const APPROVE: &str = "that only fits a request that is not live yet (`pass-mfa` for PendingMFA)";
const MFA: &str = "only a request that is PendingMFA waits for that";
const FAIL: &str = "bring it to Granting or Revoking first, or set its `fate` beforehand";
const END: &str = "revoke it first";
