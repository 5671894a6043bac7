//! What is to be asked next: the first time, once more because it came to nothing, again because it
//! has ended, or anew because it is about to end. Pure.
//!
//! An attempt is a round of questions: one create, or one request-again for each id of the attempt
//! before. A question is settled by an answer or by a refusal; what certainly was not done is
//! asked once more, later and later. Only where every request-again of a round was definitely
//! refused, one create asks for everything.
//!
//! | question | asked when |
//! | --- | --- |
//! | the create of attempt 1 | nothing was ever asked |
//! | one that came to nothing | its pause is over |
//! | again, for each id of what has ended | the token `request-again` says so; or a renewal was refused and the access has ended, once |
//! | again, for one id that is about to end | see `renewal.rs` |
//! | the create of a later attempt | every request-again of it was refused, or there is no id |

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use super::{
    attempt::{Entry, Question, With},
    observed::{ROUNDED_UP, doubled},
    picture::{MOST_ENDED, Picture, attempt, is_live},
    renewal,
    rulings::{self, Ruling},
    tokens::Token,
};
use crate::crd::{AccessRequest, OwnedRequest, PostOutcome};

/// Repeats of a POST that was lost wait at least this long, doubled each time.
const REPEAT_AFTER_LOSS: Duration = Duration::from_secs(30);
/// Repeats of a POST that certainly was not done may come sooner.
pub const REPEAT_AFTER_NOT_SENT: Duration = Duration::from_secs(5);
/// No repeat waits longer.
const REPEAT_CAP: Duration = Duration::from_mins(10);

/// What is to be asked next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Nothing,
    /// This, now.
    Ask(Question),
    /// Something, then.
    At(Timestamp),
}

/// What became of one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was never asked.
    Unasked,
    /// Nobody knows yet.
    Open,
    /// It made requests.
    Made,
    /// It was declined.
    Refused,
    /// It came to nothing, and is asked once more then.
    Repeat(Timestamp),
}

/// What became of one question.
pub fn fate(picture: &Picture, n: i64, of: &str) -> Fate {
    let made = |request: &OwnedRequest| {
        let is_its = |entry: &Entry| entry.of == of;
        attempt(request) == n && picture.entry(request).is_none_or(is_its)
    };
    if picture.requests.iter().any(made) {
        return Fate::Made;
    }
    let all = || picture.ledger.asking(n, of);
    let any = |outcome| all().any(|entry| entry.outcome == outcome);
    let Some(last) = all().next_back() else {
        return Fate::Unasked;
    };
    if any(PostOutcome::Answered) {
        return Fate::Made;
    }
    if any(PostOutcome::Open) {
        return Fate::Open;
    }
    if any(PostOutcome::Refused) {
        return Fate::Refused;
    }
    let first = match last.outcome {
        PostOutcome::NotSent => REPEAT_AFTER_NOT_SENT,
        _ => REPEAT_AFTER_LOSS,
    };
    let tries = u32::try_from(all().count()).unwrap_or(u32::MAX);
    Fate::Repeat(last.time + doubled(first, tries, REPEAT_CAP))
}

/// What is to be asked next, if the connection lets it.
pub fn next(resource: &AccessRequest, picture: &Picture, now: Timestamp) -> Next {
    if resource.spec.suspend == Some(true) {
        return Next::Nothing;
    }
    let mut all = unfinished(resource, picture, now);
    all.extend(renewal::question(resource, picture, now));
    if all.is_empty() {
        all.extend(anew(resource, picture, now));
    }
    let ready = all.iter().find(|(at, _)| *at <= now);
    if let Some((_, question)) = ready {
        return Next::Ask(question.clone());
    }
    match all.iter().map(|(at, _)| *at).min() {
        Some(at) => Next::At(at),
        None => Next::Nothing,
    }
}

/// Whether something is asked when suspension or the connection lets it, if not now.
pub fn is_anything_left(resource: &AccessRequest, picture: &Picture, now: Timestamp) -> bool {
    let token = rulings::rule(Token::RequestAgain, resource, picture, now);
    matches!(token, Ruling::Act(_) | Ruling::Wait)
        || is_due_after_the_end(resource, picture, now)
        || !is_settled(resource, picture, now)
}

/// Whether every round that was begun has been settled, as far as asking can.
pub fn is_settled(resource: &AccessRequest, picture: &Picture, now: Timestamp) -> bool {
    unfinished(resource, picture, now).is_empty()
}

/// What is still to be asked in the rounds that were begun, the first of all included.
fn unfinished(
    resource: &AccessRequest,
    picture: &Picture,
    now: Timestamp,
) -> Vec<(Timestamp, Question)> {
    let ledger = &picture.ledger;
    let question = |n, of: &str| Question {
        n,
        of: of.to_owned(),
        with: With::Nothing,
    };
    let is_first = picture.requests.is_empty() && ledger.is_empty();
    if is_first && ledger.is_ended(ledger.number.max(1)) {
        return Vec::new();
    }
    if is_first {
        return vec![(now, question(ledger.number.max(1), ""))];
    }
    let mut all = Vec::new();
    let rounds: BTreeSet<_> = ledger.entries.iter().map(|entry| entry.n).collect();
    for n in rounds.into_iter().filter(|n| !ledger.is_ended(*n)) {
        let asked = questions(picture, n);
        for of in &asked {
            if let Fate::Repeat(at) = fate(picture, n, of)
                && is_wanted(picture, n, of, now)
            {
                // No pause is that long: the mark is of a clock that was set back since.
                let at = if at > now + REPEAT_CAP + ROUNDED_UP {
                    now
                } else {
                    at
                };
                all.push((at, question(n, of)));
            }
        }
        let rest = missing(resource, picture, n, &asked);
        all.extend(rest.iter().map(|of| (now, question(n, of))));
        let refused = |of: &&str| fate(picture, n, of) == Fate::Refused;
        let by_id = asked.iter().copied().filter(|of| !of.is_empty());
        let all_refused = n > 1
            && !asked.contains("")
            && rest.is_empty()
            && by_id.clone().all(|of| refused(&of))
            && by_id.clone().any(|of| is_wanted(picture, n, of, now));
        if all_refused && renewal::waiting(resource, picture, n) == 0 {
            all.push((now, question(n, "")));
        }
    }
    all
}

/// What was asked in a round.
fn questions(picture: &Picture, n: i64) -> BTreeSet<&str> {
    let of_round = picture.ledger.entries.iter().filter(|entry| entry.n == n);
    of_round.map(|entry| entry.of.as_str()).collect()
}

/// What a round that asks again for all that has ended has not asked yet.
fn missing(
    resource: &AccessRequest,
    picture: &Picture,
    n: i64,
    asked: &BTreeSet<&str>,
) -> Vec<String> {
    if picture.ledger.again != Some(n) || asked.contains("") {
        return Vec::new();
    }
    let mut bases = bases(resource, picture, n);
    bases.retain(|id| !asked.contains(id.as_str()));
    bases
}

/// The ids that round `n` asks again: those of the newest attempt before it that has any. The
/// admin API cannot be asked again by id.
fn bases(resource: &AccessRequest, picture: &Picture, n: i64) -> Vec<String> {
    if resource.spec.access.integration.is_some() {
        return Vec::new();
    }
    let before = || {
        let own = |one: &&OwnedRequest| attempt(one) < n && !picture.is_twin(one);
        picture.requests.iter().filter(own)
    };
    let newest = before().map(attempt).max();
    let of_newest = before().filter(|one| Some(attempt(one)) == newest);
    let all: Vec<_> = of_newest.map(|one| one.id.clone()).collect();
    if all.len() >= MOST_ENDED && picture.ledger.again != Some(n) {
        // More may have been forgotten: a create asks for everything.
        return Vec::new();
    }
    all
}

/// Whether an ended request is still to be asked again in a round that was begun.
pub fn is_to_be_asked(picture: &Picture, request: &OwnedRequest) -> bool {
    let ledger = &picture.ledger;
    let Some(n) = ledger.again.filter(|n| *n == ledger.number) else {
        return false;
    };
    let before = picture.requests.iter().map(attempt).filter(|of| *of < n);
    let mut asked = ledger.entries.iter().filter(|entry| entry.n == n);
    before.max() == Some(attempt(request))
        && !asked.any(|entry| entry.of.is_empty() || entry.of == request.id)
}

/// Whether what a round was to prolong is still wanted: somebody who takes access back early ends
/// what was to follow it too.
fn is_wanted(picture: &Picture, n: i64, of: &str, now: Timestamp) -> bool {
    if n == 1 || picture.ledger.again == Some(n) {
        return true;
    }
    let stands = |one: &OwnedRequest| {
        let end = one.ends_at.as_ref().map(|end| end.0);
        let has_run_out = one.ended_early != Some(true) && end.is_some_and(|end| end <= now);
        is_live(one) || has_run_out
    };
    let mut before = picture
        .requests
        .iter()
        .filter(|one| attempt(one) < n && (of.is_empty() || one.id == of))
        .peekable();
    before.peek().is_none() || before.any(stands)
}

/// The first question of a round that asks again for all that has ended.
fn anew(
    resource: &AccessRequest,
    picture: &Picture,
    now: Timestamp,
) -> Option<(Timestamp, Question)> {
    let token = match rulings::rule(Token::RequestAgain, resource, picture, now) {
        Ruling::Act(token) => Some(token),
        Ruling::Nothing | Ruling::Wait | Ruling::Ignore(..) => None,
    };
    if token.is_none() && !is_due_after_the_end(resource, picture, now) {
        return None;
    }
    let n = picture.ledger.number.saturating_add(1);
    let of = bases(resource, picture, n).into_iter().next();
    let question = Question {
        n,
        of: of.unwrap_or_default(),
        with: With::Again(token),
    };
    Some((now, question))
}

/// Whether a renewal was refused for good and the access has ended meanwhile. A round that asks
/// again for that is not one of these itself, so it comes once.
pub fn is_due_after_the_end(resource: &AccessRequest, picture: &Picture, now: Timestamp) -> bool {
    let n = picture.ledger.number;
    resource.spec.renewal.is_some()
        && n > 1
        && !picture.ledger.is_ended(n)
        && picture.ledger.again != Some(n)
        && is_refused(picture)
        && picture.live().next().is_none()
        && picture.searching().next().is_none()
        && is_wanted(picture, n, "", now)
}

/// Whether the newest attempt was refused as a whole.
pub fn is_refused(picture: &Picture) -> bool {
    fate(picture, picture.ledger.number, "") == Fate::Refused
}
