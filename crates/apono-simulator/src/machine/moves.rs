//! The moves of requests: those time makes, those commands make, and the caller's revoke.
//!
//! | state | time alone (auto mode) | command |
//! | --- | --- | --- |
//! | Initializing | after `route`: Pending | route, approve, grant, activate, reject, fail, revoke |
//! | Pending | after `approve` or `human`: Granting; `pending-timeout`: Rejected | approve, grant, activate, reject, revoke |
//! | `PendingMFA` | after `mfa`: on | pass-mfa, grant, activate, reject, revoke |
//! | Granting | after `grant`: Active or Failed, by fate | grant, activate, fail, revoke |
//! | Active | at the planned end: Revoking | expire, extend, revoke |
//! | Revoking | after `revoke`: Revoked or Failed, by fate | finish-revoke, fail |
//! | Revoked, Rejected, Failed | nothing | nothing |
//!
//! Every move goes through [`Status::may_become`]; no other file changes a status.

use jiff::{SignedDuration, Timestamp};

use super::{Change, Key, Machine, Mode};
use crate::catalogue::{Approval, GrantFate, RevokeFate};
use crate::clock::later;
use crate::request::{Actor, Request, Transition};
use crate::status::{EntitlementStatus, Status};
use crate::switches::{Leniency, MfaPosition, PartialGrant, RevokeEnded};

use super::Refusal;

/// A move that time makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Route,
    Approve,
    GiveUp,
    PassMfa,
    FinishGrant,
    Expire,
    FinishRevoke,
}

impl Machine {
    /// Makes every move that is due, in the order and at the time it fell due.
    pub fn settle(&mut self) {
        let now = self.now();
        while let Some((at, key)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, key));
            let Some((_, step)) = self.get(key).and_then(|request| self.next(request)) else {
                continue;
            };
            self.step(key, step, at);
        }
    }

    /// Takes a request back for a caller of the API.
    ///
    /// # Errors
    /// The refusal; then nothing changed.
    pub fn revoke(&mut self, key: Key, by: &Actor) -> Result<(), Refusal> {
        self.settle();
        self.may_revoke(key)?;
        let now = self.now();
        if self.get(key).is_some_and(|request| {
            let ended = request.status.is_terminal() && !self.may_retry(request);
            request.status != Status::Revoking && !ended
        }) {
            self.go(key, Status::Revoking, now, by, None);
            self.settle();
        }
        Ok(())
    }

    /// Whether a failed request's access may be taken back once more.
    pub(crate) fn may_retry(&self, request: &Request) -> bool {
        request.status == Status::Failed && request.has_access() && self.switches.revoke_retry
    }

    /// Whether a caller's revoke is answered with 200, be there something to do or not.
    ///
    /// # Errors
    /// The refusal.
    pub fn may_revoke(&self, key: Key) -> Result<(), Refusal> {
        let missing = || Refusal::new(404, "NOT_FOUND", "there is no such access request");
        let request = self.get(key).ok_or_else(missing)?;
        match request.status {
            Status::Revoking => Ok(()),
            status if status.is_terminal() && !self.may_retry(request) => {
                match self.switches.revoke_ended {
                    RevokeEnded::Ok => Ok(()),
                    RevokeEnded::BadRequest => Err(Refusal::bad(
                        "ALREADY_ENDED",
                        "the access request has already ended",
                    )),
                    RevokeEnded::NotFound => Err(missing()),
                }
            }
            status if status.is_open() && self.switches.revoke_open != Leniency::Accept => {
                let message = "the access request is not active yet";
                Refusal::unless(self.switches.revoke_open, "NOT_ACTIVE", message)
            }
            _ => Ok(()),
        }
    }

    /// When time will move a request, and how.
    fn next(&self, request: &Request) -> Option<(Timestamp, Step)> {
        if self.mode == Mode::Explicit {
            return None;
        }
        let after = |delay: SignedDuration| later(request.entered_at(), delay);
        let delays = &self.delays;
        match request.status {
            Status::Initializing => Some((after(delays.route), Step::Route)),
            Status::Pending => {
                let wait = match self.flow(request).map(|flow| flow.approval) {
                    Some(Approval::Human) => delays.human,
                    Some(Approval::Webhook) => delays.webhook,
                    Some(Approval::Auto) | None => Some(delays.approve),
                };
                let approved = wait.map(|wait| (after(wait), Step::Approve));
                let limit = self.switches.pending_timeout;
                let given_up = limit.map(|wait| (after(wait), Step::GiveUp));
                approved
                    .into_iter()
                    .chain(given_up)
                    .min_by_key(|(at, _)| *at)
            }
            Status::PendingMfa => delays.mfa.map(|wait| (after(wait), Step::PassMfa)),
            Status::Granting if request.fate.grant == GrantFate::Stick => None,
            Status::Granting => Some((after(delays.grant), Step::FinishGrant)),
            Status::Active => request.planned_end.map(|end| (end, Step::Expire)),
            Status::Revoking if request.fate.revoke == RevokeFate::Stick => None,
            Status::Revoking => Some((after(delays.revoke), Step::FinishRevoke)),
            Status::Revoked | Status::Rejected | Status::Failed => None,
        }
    }

    fn step(&mut self, key: Key, step: Step, at: Timestamp) {
        let by = Actor::Clock;
        match step {
            Step::Route => self.route(key, at, &by),
            Step::Approve => self.approve(key, at, &by),
            Step::GiveUp => self.reject(key, at, &by, Some("nobody decided in time".into())),
            Step::PassMfa => self.pass_mfa(key, at, &by),
            Step::FinishGrant => self.finish_grant(key, at, &by),
            Step::Expire => self.go(key, Status::Revoking, at, &by, Some("time is up".into())),
            Step::FinishRevoke => match self.get(key).map(|request| request.fate.revoke) {
                Some(RevokeFate::Fail) => self.fail(key, at, &by, 0),
                _ => self.finish_revoke(key, at, &by),
            },
        }
    }

    pub(super) fn route(&mut self, key: Key, at: Timestamp, by: &Actor) {
        self.go(key, Status::Pending, at, by, None);
        if self.switches.mfa_position == MfaPosition::BeforeApproval && self.lacks_mfa(key) {
            self.go(key, Status::PendingMfa, at, by, None);
        }
    }

    fn lacks_mfa(&self, key: Key) -> bool {
        self.get(key).is_some_and(|request| {
            !request.mfa_passed && self.flow(request).is_some_and(|flow| flow.mfa)
        })
    }

    pub(super) fn approve(&mut self, key: Key, at: Timestamp, by: &Actor) {
        if self
            .get(key)
            .is_some_and(|request| request.status == Status::Initializing)
        {
            self.route(key, at, by);
        }
        self.edit(key, |request| request.approved = true);
        let next = if self.lacks_mfa(key) {
            Status::PendingMfa
        } else {
            Status::Granting
        };
        if self.get(key).is_some_and(|request| request.status != next) {
            self.go(key, next, at, by, None);
        }
    }

    pub(super) fn pass_mfa(&mut self, key: Key, at: Timestamp, by: &Actor) {
        self.edit(key, |request| request.mfa_passed = true);
        let approved = self.get(key).is_some_and(|request| request.approved);
        let next = if approved {
            Status::Granting
        } else {
            Status::Pending
        };
        self.go(key, next, at, by, None);
    }

    pub(super) fn reject(&mut self, key: Key, at: Timestamp, by: &Actor, reason: Option<String>) {
        if self
            .get(key)
            .is_some_and(|request| request.status == Status::Initializing)
        {
            self.go(key, Status::Pending, at, by, None);
        }
        self.go(key, Status::Rejected, at, by, reason);
    }

    /// To Granting past everything it waits for.
    pub(super) fn grant(&mut self, key: Key, at: Timestamp, by: &Actor) {
        self.edit(key, |request| {
            request.approved = true;
            request.mfa_passed = true;
        });
        if self
            .get(key)
            .is_some_and(|request| request.status == Status::Initializing)
        {
            self.go(key, Status::Pending, at, by, None);
        }
        if self
            .get(key)
            .is_some_and(|request| request.status != Status::Granting)
        {
            self.go(key, Status::Granting, at, by, None);
        }
    }

    fn finish_grant(&mut self, key: Key, at: Timestamp, by: &Actor) {
        match self.get(key).map(|request| request.fate.grant) {
            Some(GrantFate::Fail) => self.fail(key, at, by, 0),
            Some(GrantFate::Partly) => self.fail(key, at, by, 1),
            _ => self.activate(key, at, by, usize::MAX),
        }
    }

    /// Live, with the first `granted` entitlements set up and the others not.
    pub(super) fn activate(&mut self, key: Key, at: Timestamp, by: &Actor, granted: usize) {
        let period = self.get(key).and_then(|request| {
            let own = self
                .flow(request)
                .and_then(|flow| flow.grant_duration_in_sec);
            request.duration_in_sec.or(own)
        });
        self.edit(key, |request| {
            request.active_at = Some(at);
            request.planned_end =
                period.map(|sec| later(at, SignedDuration::from_secs(sec.into())));
            request.set_entitlements(|place, _| granted_or_failed(place, granted));
        });
        self.go(key, Status::Active, at, by, None);
    }

    pub(super) fn fail(&mut self, key: Key, at: Timestamp, by: &Actor, granted: usize) {
        let Some(request) = self.get(key) else { return };
        if request.status == Status::Revoking {
            // What could not be taken away is still there: the entitlements stay as they are.
            return self.go(
                key,
                Status::Failed,
                at,
                by,
                Some("the revoke failed".into()),
            );
        }
        let granted = if request.status == Status::Granting {
            granted
        } else {
            0
        };
        if granted > 0 && self.switches.partial_grant == PartialGrant::Active {
            return self.activate(key, at, by, granted);
        }
        self.edit(key, |request| {
            request.set_entitlements(|place, _| granted_or_failed(place, granted));
        });
        self.go(key, Status::Failed, at, by, Some("the grant failed".into()));
    }

    pub(super) fn finish_revoke(&mut self, key: Key, at: Timestamp, by: &Actor) {
        self.edit(key, |request| {
            request.set_entitlements(|_, status| match status {
                EntitlementStatus::Failure => EntitlementStatus::Failure,
                _ => EntitlementStatus::Revoked,
            });
        });
        self.go(key, Status::Revoked, at, by, None);
    }

    pub(super) fn edit(&mut self, key: Key, change: impl FnOnce(&mut Request)) {
        if let Some(request) = self.requests.get_mut(key.0) {
            change(request);
        }
    }

    /// The one place where a status changes.
    pub(super) fn go(
        &mut self,
        key: Key,
        to: Status,
        at: Timestamp,
        by: &Actor,
        note: Option<String>,
    ) {
        let Some(request) = self.requests.get_mut(key.0) else {
            return;
        };
        let (from, who) = (request.status, request.who());
        debug_assert!(from.may_become(to), "{from:?} to {to:?}");
        if !from.may_become(to) {
            return;
        }
        request.status = to;
        request.ended_at = to.is_terminal().then_some(at);
        request.timeline.push(Transition {
            at,
            status: to,
            by: by.clone(),
            note: note.clone(),
        });
        let change = Change {
            at,
            id: request.id.clone(),
            from: Some(from),
            to,
            by: by.clone(),
            note,
        };
        self.changes.push(change);
        self.index.moved(key, who, from, to);
        self.reschedule(key, None);
    }

    /// Works out anew when time will move a request, not earlier than `floor`.
    pub(super) fn reschedule(&mut self, key: Key, floor: Option<Timestamp>) {
        let Some(request) = self.requests.get(key.0) else {
            return;
        };
        let old = request.due;
        let next = self
            .next(request)
            .map(|(at, _)| floor.map_or(at, |floor| at.max(floor)));
        if let Some(at) = old {
            self.due.remove(&(at, key));
        }
        if let Some(at) = next {
            self.due.insert((at, key));
        }
        self.edit(key, |request| request.due = next);
    }

    pub(super) fn reschedule_all(&mut self) {
        let now = self.now();
        for place in 0..self.requests.len() {
            self.reschedule(Key(place), Some(now));
        }
        self.settle();
    }
}

const fn granted_or_failed(place: usize, granted: usize) -> EntitlementStatus {
    if place < granted {
        EntitlementStatus::Granted
    } else {
        EntitlementStatus::Failure
    }
}
