//! The rows of a resource that is ended from here and stays. Pure.

use super::{is_out_of_reach, message, refusal, trouble};
use crate::{
    controller::{
        attempt::End,
        conditions::{Truth, Verdict},
        latch,
        observed::Observed,
        picture::Picture,
    },
    crd::{
        AccessRequest,
        ConditionType::{Complete, Ready, Stalled, Synced},
        Phase, Reason,
    },
};

/// The verdict on a resource whose newest attempt is latched to end.
pub(super) fn latched(resource: &AccessRequest, picture: &Picture, observed: &Observed) -> Verdict {
    let standing = latch::standing(resource, picture, observed);
    if !standing.is_empty() || picture.searching().next().is_some() {
        return taking_back(resource, picture, observed);
    }
    let is_timeout = picture.ledger.end.as_ref().is_some_and(End::is_timeout);
    if is_timeout {
        let text = message::again::timed_out(resource);
        let reason = Reason::ApprovalTimedOut;
        return Verdict::stuck(Phase::Failed, Truth::False, reason, Truth::True, &text);
    }
    let text = message::again::REVOKED;
    Verdict::new(Phase::Ended)
        .say(Complete, Truth::True, Reason::Revoked, text)
        .say(Synced, Truth::True, Reason::Revoked, text)
}

fn taking_back(resource: &AccessRequest, picture: &Picture, observed: &Observed) -> Verdict {
    let standing = latch::standing(resource, picture, observed);
    let stuck = standing.iter().find_map(|one| refusal(one, observed));
    if let Some((reason, text)) = stuck {
        let ready = if reason == Reason::RemoteNotFound {
            Truth::Unknown
        } else {
            Truth::False
        };
        return Verdict::stuck(Phase::Revoking, ready, reason, Truth::True, &text);
    }
    let callable = observed.connection.is_callable();
    if let Some((reason, cause)) = trouble(&observed.connection).filter(|_| !callable) {
        let text = message::again::latch_waits(cause, &standing);
        return Verdict::new(Phase::Revoking)
            .say(Stalled, Truth::True, reason, &text)
            .say(Ready, Truth::False, reason, &text)
            .say(Synced, Truth::False, reason, &text);
    }
    let text = message::releasing(&standing, picture.searching(), observed, false);
    let mut verdict = Verdict::under_way(Phase::Revoking, Reason::Revoking, Truth::True, &text);
    if is_out_of_reach(observed) {
        let text = message::out_of_reach(observed);
        verdict.replace(Synced, Truth::False, Reason::ApiUnavailable, &text);
    }
    verdict
}
