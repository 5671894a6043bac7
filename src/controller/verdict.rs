//! What the resource says of itself: one row of the table of conditions. Pure.
//!
//! | situation | Ready | Reconciling | Stalled | Synced | Complete |
//! | --- | --- | --- | --- | --- | --- |
//! | being asked; an answer lost | False `Submitting`, `Recovering` | True | | Unknown | |
//! | waiting for people | False `PendingApproval`, `PendingMFA` | True | | True | |
//! | being set up | False `Granting` | True | | True | |
//! | live | True `Active` | | | True | |
//! | live, being renewed | True `Renewing` | | | True | |
//! | being ended from here | False `Revoking` | True | | True | |
//! | ended from here | | | | True | True `Revoked` |
//! | nobody approved in time | False `ApprovalTimedOut` | | True | True | |
//! | refused, rejected, failed | False `RequestRefused`, `Rejected`, `GrantFailed` | | True | True | |
//! | over as planned | | | | True | True `Expired` |
//! | taken back by somebody else | False `RevokedUpstream` | | until the planned end | True | |
//! | an owned id not found | Unknown `RemoteNotFound` | | True | True | |
//! | a status nobody knows | Unknown `UnknownStatus` | True | | True | |
//! | before asking: connection, policy | False `ConnectionNotFound`, .. | | True | False | |
//! | suspended before asking | False `Suspended` | | | True | |
//! | being deleted | as before | True `Revoking` | | | |
//! | the remote will not let go, or fails to three times | False `RevokeFailed`, `CancelRefused` | | True | True | |
//!
//! What is known of the connection is laid over the rows of what was already asked: Ready stays as
//! last known, Synced says why the rest may be old.

use apono_client::State;
use jiff::Timestamp;

mod latched;
mod renewing;

use super::{
    admin,
    conditions::{Truth, Verdict},
    failed::{is_undecided, was_never_access},
    latch, message,
    observed::{ConnectionSight, Observed, is_definite},
    picture::{CLOCKS_DIFFER, Picture, is_missing, state, was_access},
    plan::{Intent, has_ended, is_orphan},
    renewal,
    resolution::Resolution,
    rounds,
    rulings::{self, Ruling},
    tokens::Token,
};
use crate::crd::{AccessRequest, ConditionType, OwnedRequest, Phase, Reason, RemoteApi};
use renewing::Renewing;

/// This many revokes in a row failed, and it is no hiccup any more.
const FAILED_REVOKES: u32 = 3;
/// This many failed rounds in a row, and the remote counts as out of reach.
const FAILED_ROUNDS: u32 = 3;

/// The verdict on a resource.
pub fn verdict(
    resource: &AccessRequest,
    picture: &Picture,
    observed: &Observed,
    intent: Intent,
    now: Timestamp,
) -> Verdict {
    let mut verdict = match intent {
        Intent::Release => releasing(resource, picture, observed),
        Intent::Hold => {
            let mut verdict = holding(resource, picture, observed, now);
            if let Some(text) = token_to_come(resource, picture, now) {
                verdict.append(text);
            }
            verdict
        }
    };
    if let Some(text) = message::unkept(picture) {
        verdict.add(&text);
    }
    verdict
}

/// When the last known state counts as stale, if the remote is out of reach.
pub fn stale_at(observed: &Observed) -> Option<Timestamp> {
    observed
        .view
        .health
        .failing_since
        .map(|since| since + observed.stale_after)
}

fn holding(
    resource: &AccessRequest,
    picture: &Picture,
    observed: &Observed,
    now: Timestamp,
) -> Verdict {
    if latch::holds(picture) {
        return latched::latched(resource, picture, observed);
    }
    if picture.current().is_empty() {
        return before_asking(resource, picture, observed, now);
    }
    let mut verdict = asked(resource, picture, observed, now);
    overlay(&mut verdict, observed, now);
    verdict
}

/// A token that is acted on later.
fn token_to_come(
    resource: &AccessRequest,
    picture: &Picture,
    now: Timestamp,
) -> Option<&'static str> {
    match rulings::rule(Token::RequestAgain, resource, picture, now) {
        Ruling::Wait => Some(message::again::AGAIN_WAITS),
        Ruling::Act(_) => Some(message::again::AGAIN_BLOCKED),
        Ruling::Nothing | Ruling::Ignore(..) => None,
    }
}

/// What keeps anything from being asked, if something does.
fn connection_trouble_text(observed: &Observed) -> Option<&str> {
    match &observed.connection {
        ConnectionSight::NotReady { message, .. } => Some(message),
        other => trouble(other).map(|(_, text)| text),
    }
}

fn before_asking(
    resource: &AccessRequest,
    picture: &Picture,
    observed: &Observed,
    now: Timestamp,
) -> Verdict {
    if picture.searching().next().is_some() {
        let text = message::recovering(picture.searching(), observed);
        let mut verdict =
            Verdict::under_way(Phase::Submitting, Reason::Recovering, Truth::Unknown, &text);
        connection_trouble(&mut verdict, observed);
        return verdict;
    }
    if rounds::is_refused(picture) {
        let text = message::refused(resource);
        return Verdict::stuck(
            Phase::Failed,
            Truth::False,
            Reason::RequestRefused,
            Truth::True,
            &text,
        );
    }
    if resource.spec.suspend == Some(true) {
        let text = "not asked for; set spec.suspend to false to ask";
        return Verdict::new(Phase::Suspended)
            .say(ConditionType::Ready, Truth::False, Reason::Suspended, text)
            .say(ConditionType::Synced, Truth::True, Reason::Suspended, text);
    }
    if let Some((reason, text)) = trouble(&observed.connection) {
        return Verdict::stuck(Phase::Failed, Truth::False, reason, Truth::False, text);
    }
    if let Some((reason, text)) = unaskable(&observed.resolution) {
        return Verdict::stuck(Phase::Failed, Truth::False, reason, Truth::False, text);
    }
    let text = message::submitting(picture, observed, now);
    let mut verdict =
        Verdict::under_way(Phase::Submitting, Reason::Submitting, Truth::Unknown, &text);
    if let ConnectionSight::NotReady { message, .. } = &observed.connection {
        verdict.replace(
            ConditionType::Synced,
            Truth::False,
            Reason::ApiUnavailable,
            message,
        );
    }
    verdict
}

/// What the catalogue or the connection's rules on names say against asking.
fn unaskable(resolution: &Resolution) -> Option<(Reason, &str)> {
    match resolution {
        Resolution::NotAvailable { message, .. } => Some((Reason::NotAvailable, message)),
        Resolution::NotAllowed { message } => Some((Reason::NotAllowed, message)),
        Resolution::AsWritten | Resolution::Found(_) | Resolution::Unreadable { .. } => None,
    }
}

/// What keeps a connection from being used, with its reason.
fn trouble(connection: &ConnectionSight) -> Option<(Reason, &str)> {
    match connection {
        ConnectionSight::Missing { message } => Some((Reason::ConnectionNotFound, message)),
        ConnectionSight::Deleting { message, .. } => Some((Reason::ConnectionDeleting, message)),
        ConnectionSight::NotReady {
            message,
            unreachable: false,
            ..
        } => Some((Reason::ConnectionNotReady, message)),
        ConnectionSight::Unauthorized { message, .. } => Some((Reason::Unauthorized, message)),
        ConnectionSight::NotAllowed { message, .. } => Some((Reason::NotAllowed, message)),
        ConnectionSight::NotReady { .. }
        | ConnectionSight::Undecided { .. }
        | ConnectionSight::Usable { .. }
        | ConnectionSight::Verifying => None,
    }
}

/// The rows of what was asked, by precedence: the worst of the current requests decides.
fn asked(
    resource: &AccessRequest,
    picture: &Picture,
    observed: &Observed,
    now: Timestamp,
) -> Verdict {
    use ConditionType::{Complete, Ready, Reconciling, Stalled, Synced};
    let mut current = picture.current();
    // What is to replace live access says nothing of that access.
    current.retain(|one| renewal::replaces(picture, one).is_none());
    let states: Vec<_> = current
        .iter()
        .map(|one| (standing(one, observed, now), *one))
        .collect();
    let worst = states
        .iter()
        .map(|(standing, _)| *standing)
        .min()
        .unwrap_or(Standing::Expired);
    let of_worst: Vec<_> = states
        .iter()
        .filter(|(one, _)| *one == worst)
        .map(|(_, request)| *request)
        .collect();
    let text = message::standing(worst, &of_worst, &current, resource);
    let (phase, reason) = worst.row();
    match worst {
        Standing::Missing => Verdict::stuck(phase, Truth::Unknown, reason, Truth::True, &text),
        Standing::RevokeFailed | Standing::GrantFailed | Standing::Rejected => {
            Verdict::stuck(phase, Truth::False, reason, Truth::True, &text)
        }
        Standing::RevokedUpstream => Verdict::new(phase)
            .say(Stalled, Truth::True, reason, &text)
            .say(Ready, Truth::False, reason, &text)
            .say(Synced, Truth::True, reason, &text),
        Standing::Unknown => Verdict::new(phase)
            .say(Reconciling, Truth::True, reason, &text)
            .say(Ready, Truth::Unknown, reason, &text)
            .say(Synced, Truth::True, reason, &text),
        Standing::Initializing => Verdict::under_way(phase, reason, Truth::Unknown, &text),
        Standing::Revoking | Standing::Pending | Standing::PendingMfa | Standing::Granting => {
            Verdict::under_way(phase, reason, Truth::True, &text)
        }
        Standing::Active => active(&text, renewing::renewing(resource, picture, observed, now)),
        Standing::Expired => Verdict::new(phase)
            .say(Complete, Truth::True, reason, &text)
            .say(Synced, Truth::True, reason, &text),
    }
}

/// The row of live access, and of its renewal.
fn active(text: &str, renewing: Option<Renewing>) -> Verdict {
    use ConditionType::{Ready, Synced};
    let (phase, reason) = match &renewing {
        Some(renewing) if renewing.is_under_way => (Phase::Renewing, Reason::Renewing),
        Some(_) | None => Standing::Active.row(),
    };
    let text = match renewing {
        Some(renewing) => message::bounded(&format!("{text}; {}", renewing.text)),
        None => text.to_owned(),
    };
    Verdict::new(phase)
        .say(Ready, Truth::True, reason, &text)
        .say(Synced, Truth::True, reason, &text)
}

/// How one request stands, worst first: the order is the precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Every route says there is no such request.
    Missing,
    /// It was access, and the remote failed to take it back.
    RevokeFailed,
    /// It never became access.
    GrantFailed,
    /// An approver said no.
    Rejected,
    /// Taken back before its planned end, not from here.
    RevokedUpstream,
    /// The remote uses a word nobody knows.
    Unknown,
    /// Being taken back.
    Revoking,
    /// Waiting for an approver.
    Pending,
    /// Waiting for a multi-factor check.
    PendingMfa,
    /// Just made.
    Initializing,
    /// Being set up.
    Granting,
    /// Live.
    Active,
    /// Over as planned.
    Expired,
}

impl Standing {
    fn row(self) -> (Phase, Reason) {
        match self {
            Self::Missing => (Phase::Unknown, Reason::RemoteNotFound),
            Self::RevokeFailed => (Phase::Failed, Reason::RevokeFailed),
            Self::GrantFailed => (Phase::Failed, Reason::GrantFailed),
            Self::Rejected => (Phase::Rejected, Reason::Rejected),
            Self::RevokedUpstream => (Phase::Ended, Reason::RevokedUpstream),
            Self::Unknown => (Phase::Unknown, Reason::UnknownStatus),
            Self::Revoking => (Phase::Revoking, Reason::Revoking),
            Self::Pending => (Phase::Pending, Reason::PendingApproval),
            Self::PendingMfa => (Phase::PendingMfa, Reason::PendingMfa),
            Self::Initializing => (Phase::Submitting, Reason::Submitting),
            Self::Granting => (Phase::Granting, Reason::Granting),
            Self::Active => (Phase::Active, Reason::Active),
            Self::Expired => (Phase::Ended, Reason::Expired),
        }
    }
}

fn has_reached_end(request: &OwnedRequest, now: Timestamp) -> bool {
    if request.api == Some(RemoteApi::AdminV3) {
        return admin::has_ended_as_planned(request, now);
    }
    let end = request.ends_at.as_ref();
    end.is_some_and(|end| end.0 <= now + CLOCKS_DIFFER)
}

fn standing(request: &OwnedRequest, observed: &Observed, now: Timestamp) -> Standing {
    match state(request) {
        State::Failed if was_access(request) => Standing::RevokeFailed,
        State::Failed => Standing::GrantFailed,
        State::Rejected => Standing::Rejected,
        State::Revoked if has_reached_end(request, now) => Standing::Expired,
        State::Revoked => Standing::RevokedUpstream,
        _ if is_missing(request, observed) => Standing::Missing,
        State::Unknown => Standing::Unknown,
        State::Revoking => Standing::Revoking,
        State::Pending => Standing::Pending,
        State::PendingMfa => Standing::PendingMfa,
        State::Initializing => Standing::Initializing,
        State::Granting => Standing::Granting,
        State::Active => Standing::Active,
    }
}

/// Lays what is known of the connection over a resource that has been asked for.
fn overlay(verdict: &mut Verdict, observed: &Observed, now: Timestamp) {
    use ConditionType::{Complete, Ready, Reconciling, Stalled, Synced};
    let over = verdict.holds(Complete) || verdict.phase == Phase::Rejected;
    if over || verdict.holds(Stalled) {
        return;
    }
    if connection_trouble(verdict, observed) || !is_out_of_reach(observed) {
        return;
    }
    let text = message::out_of_reach(observed);
    verdict.replace(Synced, Truth::False, Reason::ApiUnavailable, &text);
    if stale_at(observed).is_some_and(|at| at <= now) {
        verdict.replace(Ready, Truth::Unknown, Reason::StatusStale, &text);
        verdict.replace(Reconciling, Truth::True, Reason::StatusStale, &text);
        verdict.phase = Phase::Unknown;
    }
}

/// Says what is wrong with the connection; Ready stays as last known. True if something is.
fn connection_trouble(verdict: &mut Verdict, observed: &Observed) -> bool {
    use ConditionType::{Reconciling, Stalled, Synced};
    let Some((reason, text)) = trouble(&observed.connection) else {
        return false;
    };
    verdict.replace(Synced, Truth::False, reason, text);
    if reason == Reason::Unauthorized {
        verdict.remove(Reconciling);
        verdict.replace(Stalled, Truth::True, reason, text);
        if !verdict.holds(ConditionType::Ready) {
            verdict.replace(ConditionType::Ready, Truth::False, reason, text);
            verdict.phase = Phase::Failed;
        }
    }
    true
}

fn is_out_of_reach(observed: &Observed) -> bool {
    observed.connection.is_unreachable() || observed.view.health.failed_rounds >= FAILED_ROUNDS
}

/// The rows of a resource that is being deleted.
fn releasing(resource: &AccessRequest, picture: &Picture, observed: &Observed) -> Verdict {
    use ConditionType::{Ready, Reconciling, Stalled, Synced};
    let mut verdict = Verdict::new(Phase::Revoking);
    verdict.keeps_ready = true;
    let standing = picture
        .owned()
        .filter(|request| !has_ended(request, observed));
    let standing: Vec<_> = standing.collect();
    let stuck = standing
        .iter()
        .find_map(|request| refusal(request, observed));
    if let Some((reason, text)) = stuck {
        let truth = if reason == Reason::RemoteNotFound {
            Truth::Unknown
        } else {
            Truth::False
        };
        verdict.keeps_ready = false;
        let verdict = verdict
            .say(Stalled, Truth::True, reason, &text)
            .say(Ready, truth, reason, &text);
        if is_out_of_reach(observed) {
            let text = message::out_of_reach(observed);
            return verdict.say(Synced, Truth::False, Reason::ApiUnavailable, &text);
        }
        return verdict.say(Synced, Truth::True, reason, &text);
    }
    if let Some((reason, cause)) =
        trouble(&observed.connection).filter(|_| !observed.connection.is_callable())
    {
        let text = message::release_waits(cause, &standing);
        return verdict.say(Stalled, Truth::True, reason, &text).say(
            Synced,
            Truth::False,
            reason,
            &text,
        );
    }
    let ignored = is_orphan(resource) && !observed.connection.allows_orphan();
    let text = message::releasing(&standing, picture.searching(), observed, ignored);
    verdict = verdict.say(Reconciling, Truth::True, Reason::Revoking, &text);
    if is_out_of_reach(observed) {
        let text = message::out_of_reach(observed);
        return verdict.say(Synced, Truth::False, Reason::ApiUnavailable, &text);
    }
    verdict.say(Synced, Truth::True, Reason::Revoking, &text)
}

/// Why one request cannot be let go of, if the remote keeps it from going.
fn refusal(request: &OwnedRequest, observed: &Observed) -> Option<(Reason, String)> {
    if is_missing(request, observed) {
        return Some((Reason::RemoteNotFound, message::not_found(request)));
    }
    let tried = observed.memory.revokes.get(&request.id);
    let refusal = tried.and_then(|tried| tried.refusal.as_ref());
    match (state(request), refusal) {
        (State::Failed, _) if is_undecided(request, observed) => None,
        (State::Failed, _) if !was_never_access(request, observed) => Some((
            Reason::RevokeFailed,
            message::revoke_failed(request, refusal),
        )),
        (State::Pending | State::PendingMfa | State::Initializing, Some(refusal))
            if is_definite(refusal.status) =>
        {
            Some((
                Reason::CancelRefused,
                message::cancel_refused(request, refusal),
            ))
        }
        (_, Some(refusal)) if is_definite(refusal.status) => Some((
            Reason::RevokeFailed,
            message::revoke_failed(request, Some(refusal)),
        )),
        (State::Revoking, _) => None,
        (_, Some(refusal)) if observed.connection.is_callable() => {
            let tried = tried.filter(|tried| tried.failures >= FAILED_REVOKES)?;
            let text = message::revoke_fails(request, tried, refusal);
            Some((Reason::RevokeFailed, text))
        }
        _ => None,
    }
}
