//! What the status and the conditions say of credentials. Pure.

use crate::{
    controller::{
        conditions::{Truth, Verdict},
        observed::Observed,
        tokens::{Token, remembered},
    },
    crd::{
        AccessRequest, AccessRequestStatus, ConditionType, CredentialsState, CredentialsStatus,
        Reason,
    },
};

/// Nothing is known yet.
const WAITING: &str = "waiting for Apono to open the session";
/// There is nothing to deliver.
const NONE: &str = "this access has no credentials to deliver";

/// What a pass made of the credentials.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Made {
    /// How far the delivery is.
    pub status: CredentialsStatus,
    /// The token that was acted on, or need not be.
    pub handled: Option<String>,
}

/// Writes what the pass made of it into the new status.
pub fn report(status: &mut AccessRequestStatus, resource: &AccessRequest, observed: &Observed) {
    let Some(made) = &observed.credentials else {
        return;
    };
    if made.status != CredentialsStatus::default() {
        status.credentials = Some(made.status.clone());
    }
    if let Some(handled) = &made.handled {
        let mut all = status
            .last_handled
            .take()
            .unwrap_or_else(|| remembered(resource));
        *Token::ResetCredentials.slot(&mut all) = Some(handled.clone());
        status.last_handled = Some(all);
    }
}

/// Access that is live is not ready before its credentials are where they are wanted.
pub fn lay_over(verdict: &mut Verdict, resource: &AccessRequest, observed: &Observed) {
    use ConditionType::{Ready, Reconciling, Stalled};
    if resource.spec.credentials.is_none() || !verdict.holds(Ready) {
        return;
    }
    let made = observed.credentials.as_ref().map(|made| &made.status);
    let stored = resource.status.as_ref();
    let stored = stored.and_then(|status| status.credentials.as_ref());
    let made = made.filter(|made| **made != CredentialsStatus::default());
    let known = made.or(stored);
    match known.and_then(|known| known.state) {
        Some(CredentialsState::Delivered) => {}
        Some(CredentialsState::NotApplicable) => {
            for saying in verdict.sayings.iter_mut().filter(|one| one.kind == Ready) {
                saying.message = format!("{}; {NONE}", saying.message);
            }
        }
        _ => {
            let text = known.and_then(|known| known.message.as_deref());
            let text = text.unwrap_or(WAITING);
            let reason = Reason::DeliveringCredentials;
            verdict.replace(Ready, Truth::False, reason, text);
            // Who is stuck, by a token that is refused say, delivers nothing meanwhile.
            if !verdict.holds(Stalled) {
                verdict.replace(Reconciling, Truth::True, reason, text);
            }
        }
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
