//! What a token means for a resource as it stands: to be acted on, to wait, or nothing. Pure.
//!
//! | token | applies |
//! | --- | --- |
//! | reconcile | while a request is live |
//! | request-again | when all that was asked has ended, or was rejected, failed or refused; waits for the end of suspension |
//! | revoke | while a request is live, an answer is open, or something is still to be asked |
//!
//! One that is there when the object is first seen, or that does not apply, is remembered and not
//! acted on: a manifest that is applied again must not end or ask anything.

use apono_client::State;
use jiff::Timestamp;

use super::{
    fold::Happening,
    observed::Observed,
    picture::{Picture, is_live, state},
    rounds,
    tokens::{Token, fresh, given, is_first_seen, remembered},
};
use crate::crd::{AccessRequest, LastHandled};

/// What a token means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// There is none, or it was dealt with.
    Nothing,
    /// It is acted on; this is its digest.
    Act(String),
    /// It is acted on later.
    Wait,
    /// It is remembered and not acted on, for this reason.
    Ignore(String, &'static str),
}

/// What a token means for a resource as it stands.
pub fn rule(token: Token, resource: &AccessRequest, picture: &Picture, now: Timestamp) -> Ruling {
    let Some(digest) = fresh(resource, token) else {
        return Ruling::Nothing;
    };
    let handled = &picture.ledger.handled;
    let marked = match token {
        Token::RequestAgain => handled.request_again.as_ref(),
        Token::Revoke => handled.revoke.as_ref(),
        Token::Reconcile | Token::ResetCredentials => None,
    };
    if marked == Some(&digest) {
        return Ruling::Nothing;
    }
    if is_first_seen(resource) {
        return Ruling::Ignore(digest, "it was there when the resource was first seen");
    }
    let is_asked = picture.ledger.number > 0 || !picture.requests.is_empty();
    let is_live = picture.owned().any(is_live);
    let is_open = picture.searching().next().is_some();
    match token {
        Token::Reconcile if is_live => Ruling::Act(digest),
        Token::Reconcile => Ruling::Ignore(digest, "there is nothing live at Apono to be read"),
        Token::RequestAgain if !is_asked => {
            Ruling::Ignore(digest, "nothing was asked for yet, which comes by itself")
        }
        Token::RequestAgain if is_live || is_open => {
            Ruling::Ignore(digest, "what was asked for has not ended")
        }
        Token::RequestAgain if !rounds::is_settled(resource, picture, now) => {
            Ruling::Ignore(digest, "the access is being asked for already")
        }
        Token::RequestAgain if resource.spec.suspend == Some(true) => Ruling::Wait,
        Token::RequestAgain => Ruling::Act(digest),
        Token::Revoke if !is_asked => Ruling::Ignore(digest, "nothing was asked for yet"),
        Token::Revoke
            if is_live
                || is_open
                || may_stand(picture)
                || !rounds::is_settled(resource, picture, now) =>
        {
            Ruling::Act(digest)
        }
        Token::Revoke => Ruling::Ignore(digest, "there is nothing left to take back"),
        // Dealt with where the credentials are.
        Token::ResetCredentials => Ruling::Nothing,
    }
}

/// Whether something failed to be taken back.
fn may_stand(picture: &Picture) -> bool {
    picture.owned().any(|one| {
        state(one) == State::Failed && (one.active_at.is_some() || one.revoking_seen == Some(true))
    })
}

/// What the status remembers after a pass, and the events for what was not acted on.
pub fn handled(
    resource: &AccessRequest,
    picture: &Picture,
    observed: &Observed,
    now: Timestamp,
) -> (Option<LastHandled>, Vec<Happening>) {
    let mut handled = remembered(resource);
    let mut happenings = Vec::new();
    for token in Token::ALL {
        match rule(token, resource, picture, now) {
            Ruling::Ignore(digest, why) => {
                happenings.push(Happening {
                    is_warning: false,
                    reason: "TokenIgnored",
                    note: format!(
                        "the annotation {} is not acted on: {why}; set another value when it shall be",
                        token.annotation()
                    ),
                });
                *token.slot(&mut handled) = Some(digest);
            }
            Ruling::Act(digest) if observed.hastened.as_ref() == Some(&digest) => {
                handled.reconcile = Some(digest);
            }
            Ruling::Nothing => {
                let marked = match token {
                    Token::RequestAgain => &picture.ledger.handled.request_again,
                    Token::Revoke => &picture.ledger.handled.revoke,
                    Token::Reconcile | Token::ResetCredentials => &None,
                };
                if marked.is_some() && *marked == given(resource, token) {
                    token.slot(&mut handled).clone_from(marked);
                }
            }
            Ruling::Act(_) | Ruling::Wait => {}
        }
    }
    let is_any = handled != LastHandled::default();
    (is_any.then_some(handled), happenings)
}
