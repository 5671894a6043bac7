//! The sentences of renewals, of asking again and of ends from here. Pure.

use apono_client::State;

use super::{bounded, ids};
use crate::{
    controller::picture::state,
    crd::{AccessRequest, OwnedRequest, REQUEST_AGAIN_ANNOTATION},
};

/// An answer was lost.
pub const LOST: &str =
    "the answer to the renewal was lost; looking for the request before asking again";
/// No renewal is coming.
pub const REFUSED: &str = "Apono refused the renewal, see the event RenewalRefused; the access is \
    asked for once more when it has ended";
/// There is nothing to count back from.
pub const ENDLESS: &str =
    "not renewed: Apono names no end of the access that spec.renewal could come before";
/// A person holds the renewal back.
pub const SUSPENDED: &str = "not renewed while spec.suspend is true";
/// Ended by the token.
pub const REVOKED: &str = "taken back by the annotation access.apono.io/revoke, as read back from \
    Apono; set access.apono.io/request-again to a new value to ask again";
/// A token waits.
pub const AGAIN_WAITS: &str = "it is asked for again when spec.suspend is false";
/// A token waits for the connection.
pub const AGAIN_BLOCKED: &str = "it is asked for again when the connection lets it";

/// A request that is to replace a live one.
pub fn coming(request: &OwnedRequest) -> String {
    let named = ids(&[request]);
    match state(request) {
        State::Pending => format!("renewing: {named} waits for an approver; approve it in Apono"),
        State::PendingMfa => {
            format!("renewing: {named} waits for a multi-factor check; pass it in Apono")
        }
        _ => format!("renewing: Apono is setting up {named}"),
    }
}

/// A renewal that was not sent, or came to nothing.
pub fn repeated(cause: Option<&str>) -> String {
    match cause {
        Some(cause) => format!("the renewal waits: {cause}"),
        None => "the renewal did not arrive at Apono; it is asked for again".to_owned(),
    }
}

/// A renewal that is due.
pub fn due(cause: Option<&str>) -> String {
    match cause {
        Some(cause) => format!("the renewal is due and waits: {cause}"),
        None => "asking Apono for the renewal".to_owned(),
    }
}

/// A renewal that came to nothing after it was taken.
pub fn ended_unused(request: &OwnedRequest) -> String {
    let named = ids(&[request]);
    match state(request) {
        State::Rejected => format!("not renewed: an approver rejected {named}"),
        State::Failed => format!("not renewed: Apono could not grant {named}"),
        _ => format!("not renewed: {named} was taken back at Apono"),
    }
}

/// No renewal is left.
pub fn used_up(most: i32) -> String {
    format!("the last one: renewal.maxRenewals is {most}")
}

/// Nobody approved.
pub fn timed_out(resource: &AccessRequest) -> String {
    let timeout = resource.spec.pending_timeout.as_ref();
    let timeout = timeout.map_or_else(String::new, |timeout| format!(" {timeout}"));
    format!(
        "nobody approved the request within pendingTimeout{timeout}, so it was cancelled; set the \
         annotation {REQUEST_AGAIN_ANNOTATION} to a new value to ask again"
    )
}

/// Taking back cannot go on.
pub fn latch_waits(cause: &str, standing: &[&OwnedRequest]) -> String {
    let what = if standing.is_empty() {
        "a request whose answer was lost".to_owned()
    } else {
        ids(standing)
    };
    bounded(&format!("taking back {what} waits: {cause}"))
}

/// Both the request-again and the create that were to renew live access were refused.
pub fn renewal_refused(answer: Option<&str>) -> String {
    let answer = answer.map_or_else(String::new, |answer| format!(": {answer}"));
    bounded(&format!(
        "Apono refused to renew the access{answer}; it stays until its end, then it is asked for once \
         more"
    ))
}

/// A time to live that is not kept.
pub fn ttl_ignored(owner: &str) -> String {
    format!(
        "ttlSecondsAfterFinished is disregarded: `{owner}` says that a GitOps tool owns the resource \
         and would create it again, which would ask again; remove it from the tool's source instead"
    )
}
