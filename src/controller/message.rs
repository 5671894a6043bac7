//! The sentences people read in conditions and events: what is, which value, what to do next. Pure.
//!
//! A message is part of the status, so it may not change while nothing changes: it names times,
//! never durations from now, and counts only the tries to take something back.

use jiff::Timestamp;

use super::{
    attempt::{Entry, MOST_POSTS},
    bounds,
    observed::{ConnectionSight, Observed, Refusal, RevokeTry},
    owed::Debt,
    picture::{Picture, is_live, is_looked_for_in_vain},
    resolution::Resolution,
    target,
    verdict::Standing,
};
use crate::{
    connection::{ConnectionKey, escrow::EscrowError},
    crd::{AccessRequest, OwnedRequest, PostOutcome},
};

pub mod again;

/// The longest message; the API server would take more, a person would not.
const MOST_CHARACTERS: usize = 1000;
/// An answer was lost, and only the user who asked can find what was made.
const LOST_BY_ANOTHER: &str = "the answer to the create was lost, and the connection's token is \
    another user's now or cannot be told; give the connection the token that asked, to look for the \
    request";
/// As much of an id as a sentence bears.
const ID_CHARACTERS: usize = 100;
/// How a person asks again.
const AGAIN: &str = "set the annotation access.apono.io/request-again to a new value to ask again";
/// As many ids as a sentence bears.
const MOST_IDS: usize = 5;

/// `2026-11-23 18:00Z`.
pub fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%MZ").to_string()
}

/// `2026-11-23 18:00:05Z`.
fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// No longer than a message may be.
pub fn bounded(text: &str) -> String {
    bounds::cut(text, MOST_CHARACTERS)
}

/// An answer was lost.
pub fn recovering<'a>(
    open: impl Iterator<Item = &'a Entry> + Clone,
    observed: &Observed,
) -> String {
    if open
        .clone()
        .any(|entry| is_looked_for_in_vain(entry, observed))
    {
        return LOST_BY_ANOTHER.to_owned();
    }
    if let Some(trouble) = &observed.view.look_trouble {
        return bounded(&format!(
            "the answer to the create was lost, and Apono does not let the request be looked for \
             ({trouble}); nothing is asked again before it was: let the connection's token list \
             the requests of the grantee"
        ));
    }
    let until = open.map(|entry| observed.settled_at(entry.time)).max();
    let until = until.map_or_else(String::new, |until| {
        format!(", which takes until {} at least", second(until))
    });
    format!(
        "the answer to the create was lost; looking for the request before asking again{until}{}",
        look_fault(observed)
    )
}

/// Why it is still being looked for, where the list could not be read to its end.
fn look_fault(observed: &Observed) -> String {
    let fault = observed.view.look_faults.values().next();
    fault.map_or_else(String::new, |fault| {
        format!("; Apono's list could not be read to its end, tried again every minute: {fault}")
    })
}

/// Nothing is there yet.
pub fn submitting(picture: &Picture, observed: &Observed, now: Timestamp) -> String {
    if let Some(until) = picture.is_full_until(now) {
        let next = if until < Timestamp::MAX {
            format!("the next one follows at {}", second(until))
        } else {
            "create a new AccessRequest with another name".to_owned()
        };
        return format!(
            "{MOST_POSTS} calls came to nothing, as many as are kept on record; {next}"
        );
    }
    if observed.connection.paused().is_some() {
        return "Apono asked everybody to wait; the request follows".to_owned();
    }
    if observed.connection.is_unreachable() {
        return "Apono does not answer; the request follows when it does".to_owned();
    }
    if let ConnectionSight::Undecided { message, .. } = &observed.connection {
        return message.clone();
    }
    if let Resolution::Unreadable { message } = &observed.resolution {
        return bounded(message);
    }
    match picture
        .ledger
        .creates()
        .next_back()
        .map(|entry| entry.outcome)
    {
        Some(PostOutcome::NotSent) => {
            "Apono did not take the request; it is sent again, see the connection's status"
                .to_owned()
        }
        Some(PostOutcome::Absent) => {
            "the request did not arrive at Apono; it is sent again".to_owned()
        }
        _ => "asking Apono".to_owned(),
    }
}

/// The remote refused the create. What it said was kept when it said it.
pub fn refused(resource: &AccessRequest) -> String {
    let kept = resource.status.as_ref().filter(|status| {
        status.reason.as_deref() == Some(crate::crd::Reason::RequestRefused.as_str())
    });
    kept.and_then(|status| status.message.clone())
        .unwrap_or_else(|| refusal_of_create("no reason"))
}

/// The remote refused the create with this answer.
pub fn refusal_of_create(answer: &str) -> String {
    bounded(&format!(
        "Apono refused the request: {answer}; correct it and create a new AccessRequest with \
         another name, or {AGAIN}"
    ))
}

/// The row of what was asked.
pub fn standing(
    worst: Standing,
    of_worst: &[&OwnedRequest],
    all: &[&OwnedRequest],
    resource: &AccessRequest,
) -> String {
    let named = ids(of_worst);
    let text = match worst {
        Standing::Missing => {
            format!("{named} cannot be found at Apono; check whose token the connection uses")
        }
        Standing::RevokeFailed => format!(
            "Apono failed to take back {named}: the access may still be live; ask an Apono \
             administrator"
        ),
        Standing::GrantFailed => {
            format!("Apono could not grant {named}; ask an Apono administrator, then {AGAIN}")
        }
        Standing::Rejected => format!("an approver rejected {named}; talk to them, then {AGAIN}"),
        Standing::RevokedUpstream => format!(
            "{named} was taken back at Apono before its end; nothing is asked again by itself: {AGAIN}"
        ),
        Standing::Unknown => format!(
            "Apono reports {named} as `{}`, which this version does not know; watching, \
             update the operator if it stays so",
            words(of_worst)
        ),
        Standing::Revoking => format!("Apono is taking back {named}"),
        Standing::Pending => format!("{named} waits for an approver; approve it in Apono"),
        Standing::PendingMfa => {
            format!("{named} waits for a multi-factor check; pass it in Apono")
        }
        Standing::Initializing => format!("Apono is preparing {named}"),
        Standing::Granting => format!("approved; Apono is setting up {named}"),
        Standing::Active => active(all),
        Standing::Expired => {
            let resolved = resource
                .status
                .as_ref()
                .and_then(|status| status.resolved.as_ref());
            format!("{} ended as planned", target::shown(resource, resolved))
        }
    };
    bounded(&(text + &live_rest(worst, of_worst, all)))
}

fn active(all: &[&OwnedRequest]) -> String {
    let ends = all
        .iter()
        .filter(|one| is_live(one))
        .filter(|one| one.ends_at.is_some())
        .min_by_key(|one| one.ends_at.as_ref().map(|end| end.0));
    ends.map_or_else(
        || "until it is revoked".to_owned(),
        |one| {
            let about = if one.ends_at_estimated == Some(true) {
                "about "
            } else {
                ""
            };
            let end = one.ends_at.as_ref().map(|end| minute(end.0));
            format!("until {about}{}", end.unwrap_or_default())
        },
    )
}

/// The live rest of a mix stays live, and the message names each.
fn live_rest(worst: Standing, of_worst: &[&OwnedRequest], all: &[&OwnedRequest]) -> String {
    let is_worst = |one: &OwnedRequest| of_worst.iter().any(|other| other.id == one.id);
    let rest: Vec<_> = all
        .iter()
        .copied()
        .filter(|one| is_live(one) && !is_worst(one))
        .collect();
    if rest.is_empty() || worst == Standing::Active {
        return String::new();
    }
    let each = rest.iter().map(|one| {
        format!(
            "{} is {}",
            one.id,
            one.status.as_deref().unwrap_or("not yet read")
        )
    });
    format!("; {}", each.collect::<Vec<_>>().join(", "))
}

/// What belongs to the resource and has no place in its status.
pub fn unkept(picture: &Picture) -> Option<String> {
    let live: Vec<_> = picture.unkept.iter().filter(|one| is_live(one)).collect();
    (!live.is_empty()).then(|| {
        format!(
            "{} belongs to this resource too and cannot be kept in its status: the id is longer than \
             1024 characters, or there are more than {} requests; delete the resource to take it back",
            ids(&live),
            bounds::MOST_REQUESTS
        )
    })
}

/// An id that no route knows.
pub fn not_found(request: &OwnedRequest) -> String {
    format!(
        "Apono has no request {}, and nothing shows that the token is still its owner's; \
         give the connection the token that made it, or revoke it in Apono",
        request.id
    )
}

/// The remote will not take it back.
pub fn revoke_failed(request: &OwnedRequest, refusal: Option<&Refusal>) -> String {
    let said = refusal.map_or_else(String::new, |refusal| format!(" ({})", refusal.message));
    bounded(&format!(
        "Apono failed to take back {}{said}: the access may still be live; retrying, ask an \
         Apono administrator",
        request.id
    ))
}

/// Taking it back has failed again and again. It counts tries, which are seconds to minutes apart.
pub fn revoke_fails(request: &OwnedRequest, tried: &RevokeTry, refusal: &Refusal) -> String {
    bounded(&format!(
        "taking back {} failed {} times in a row, the access may still be live; tried again at {}: {}",
        bounds::cut(&request.id, ID_CHARACTERS),
        tried.failures,
        second(tried.next()),
        refusal.message
    ))
}

/// The remote will not cancel it while it is pending.
pub fn cancel_refused(request: &OwnedRequest, refusal: &Refusal) -> String {
    bounded(&format!(
        "Apono does not cancel {} while it is pending ({}); retrying, or decide it in Apono",
        request.id, refusal.message
    ))
}

/// Deletion under way.
pub fn releasing<'a>(
    standing: &[&OwnedRequest],
    open: impl Iterator<Item = &'a Entry> + Clone,
    observed: &Observed,
    orphan_ignored: bool,
) -> String {
    let of_another = open
        .clone()
        .any(|entry| is_looked_for_in_vain(entry, observed));
    let text = match (standing.is_empty(), open.count()) {
        (true, 0) => "everything is taken back".to_owned(),
        (true, _) if of_another => LOST_BY_ANOTHER.to_owned(),
        (true, _) => format!(
            "looking for a request whose answer was lost, to take it back{}",
            look_fault(observed)
        ),
        (false, _) => format!("taking back {}", ids(standing)),
    };
    if orphan_ignored {
        return text + "; deletionPolicy Orphan is not allowed by the connection (allow.orphan)";
    }
    text
}

/// Deletion that cannot go on.
pub fn release_waits(cause: &str, standing: &[&OwnedRequest]) -> String {
    let what = if standing.is_empty() {
        "a lost answer".to_owned()
    } else {
        ids(standing)
    };
    bounded(&format!("deletion waits to take back {what}: {cause}"))
}

/// The remote cannot be reached.
pub fn out_of_reach(observed: &Observed) -> String {
    let health = &observed.view.health;
    let since = health
        .failing_since
        .map(|at| format!(" since {}", minute(at)))
        .unwrap_or_default();
    let error = health.error.as_deref().unwrap_or("no answer");
    bounded(&format!(
        "Apono cannot be read{since}: {error}; the state shown is the last known; see the \
         connection's status"
    ))
}

/// The access has been taken back, said as the resource goes.
pub fn released(requests: &[OwnedRequest]) -> String {
    let all: Vec<_> = requests.iter().collect();
    if all.is_empty() {
        return "nothing was asked for, nothing had to be taken back".to_owned();
    }
    bounded(&format!("{} ended, as read back from Apono", ids(&all)))
}

/// What cannot be taken back now is owed from here on.
pub fn owed(debt: &Debt, name: &str) -> String {
    let because = debt.reason.because();
    let ids: Vec<_> = debt.requests.iter().map(|one| one.id.as_str()).collect();
    let what = match (ids.as_slice(), debt.marks.len()) {
        ([], lost) => format!("what {lost} lost answers made"),
        (ids, _) => some_of(ids),
    };
    bounded(&format!(
        "{what} is not taken back yet, because {because}: OwedRevocation {name} in the operator's \
         namespace goes on with it"
    ))
}

/// The copy of the token, without which nothing is asked, cannot be made.
pub fn no_escrow(connection: &ConnectionKey, error: &EscrowError, namespace: &str) -> String {
    let why = match error {
        EscrowError::NotOurs(_) => error.to_string(),
        EscrowError::Kubernetes(_) => format!(
            "grant the operator create, get, patch and delete on secrets in namespace \
             `{namespace}`, as deploy/kustomize/escrow does"
        ),
    };
    bounded(&format!(
        "{connection} cannot be used yet, because no copy of its token can be kept, with which \
         access is taken back when the connection is gone: {why}"
    ))
}

/// The access is left where it is.
pub fn orphaned(requests: &[OwnedRequest]) -> String {
    let live: Vec<_> = requests.iter().filter(|one| is_live(one)).collect();
    bounded(&format!(
        "{} stays at Apono: deletionPolicy Orphan",
        ids(&live)
    ))
}

fn ids(requests: &[&OwnedRequest]) -> String {
    let all: Vec<_> = requests.iter().map(|one| one.id.as_str()).collect();
    some_of(&all)
}

fn some_of(ids: &[&str]) -> String {
    let shown: Vec<_> = ids
        .iter()
        .take(MOST_IDS)
        .map(|id| bounds::cut(id, ID_CHARACTERS))
        .collect();
    let more = ids.len().saturating_sub(MOST_IDS);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("request {}{rest}", shown.join(", "))
}

fn words(requests: &[&OwnedRequest]) -> String {
    let words = requests.iter().filter_map(|one| one.status.as_deref());
    words.take(MOST_IDS).collect::<Vec<_>>().join(", ")
}
