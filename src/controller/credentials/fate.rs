//! How one session is judged. Pure and total.
//!
//! | # | session (first match) | done |
//! | --- | --- | --- |
//! | 1 | has no credentials | `NotApplicable` |
//! | 2 | a person asks for new ones, and these are delivered, seen or shared | a reset is put down, then sent |
//! | 3 | delivered before, as the status says | nothing, not even a look |
//! | 4 | a reset is put down and not sent, or plainly not acted on | sent (again) |
//! | 5 | a reset is put down and done | read |
//! | 6 | serves a request of others | `Shared`: neither read nor reset |
//! | 7 | nobody has read it | read |
//! | 8 | read, and the Secret says delivered | delivered: only the status was lost |
//! | 9 | read, and the Secret says that we set out to reset it later | as 4 and 5: only the status was lost |
//! | 10 | read, and the Secret says that we set out to | ours was interrupted: a reset is put down |
//! | 11 | read otherwise | `ViewedElsewhere`: not reset |
//! | 12 | being reset by somebody; a word nobody knows | waited for |
//!
//! # Why a reset may be sent twice
//! What a reset replaces has been read by nobody, or its answer was lost; new credentials are read
//! only when the remote shows them after the last reset. It is sent again only when some seconds
//! have passed in which the remote showed no sign of the one before.
//!
//! # When a reset is given up
//! What the remote plainly refuses a few times is left to a person: what was delivered before counts
//! again if no reset can have been acted on, and else the session is as it was without the reset.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    scene::{Record, ResetTry, Scene, SecretSight, Seen, Word},
    words,
};
use crate::{controller::observed::doubled, crd::CredentialsState};

/// The least pause between looks.
pub const SECOND: Duration = Duration::from_secs(1);
/// What only a person can change is looked at this often.
pub const SLOW: Duration = Duration::from_mins(1);
/// A process that does not know whether a reset was sent waits this long before it sends one.
pub const RESET_UNSURE: Duration = Duration::from_secs(5);
/// A reset of which no sign is seen is sent again after this time, then ever later.
const RESET_AGAIN: Duration = Duration::from_secs(20);
/// Where nothing shows that a reset is done, it is taken to be after this time.
const RESET_DONE: Duration = Duration::from_secs(30);
/// A reset that was not taken is repeated after this time, then ever later.
const RESET_REFUSED: Duration = Duration::from_secs(2);
/// No reset waits longer.
const MOST_RESET_PAUSE: Duration = Duration::from_mins(10);

/// What others make is looked at this often in the end.
const MOST_OTHERS_PAUSE: Duration = Duration::from_secs(15);

/// How one session is judged.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// Nothing more is wanted of it.
    Settled(CredentialsState),
    /// Nor of this: what was delivered stays, since a reset was refused, and why.
    Kept(String),
    /// Read it.
    Read,
    /// Look into the Secret first.
    LookIntoSecret,
    /// Put down that new credentials are wanted.
    PutDownReset,
    /// Send the reset that is on record.
    Reset,
    /// Nothing can be done: its state, why, and when to look again.
    Wait(CredentialsState, String, Duration),
}

/// Whether reading would not, or not only for us, give what is asked for.
pub fn is_spent(scene: &Scene, seen: &Seen) -> bool {
    let delivered = scene
        .known(seen)
        .is_some_and(|one| one.state == Some(CredentialsState::Delivered));
    let has_some = seen.word != Word::NotApplicable;
    has_some && (delivered || scene.is_shared(seen) || seen.word == Word::Viewed)
}

/// Judges one session.
pub fn fate(scene: &Scene, seen: &Seen) -> Fate {
    use CredentialsState::{Delivered, NotApplicable, Pending, Resetting, Shared};
    let known = scene.known(seen);
    if seen.word == Word::NotApplicable {
        return Fate::Settled(NotApplicable);
    }
    if scene.reset_asked && seen.can_reset && is_spent(scene, seen) {
        return Fate::PutDownReset;
    }
    if known.is_some_and(|one| one.state == Some(Delivered)) {
        return Fate::Settled(Delivered);
    }
    let reset = known.filter(|one| one.state == Some(Resetting));
    if let Some(since) = reset.and_then(|one| one.resetting_since.as_ref()) {
        return after_reset(scene, seen, since.0);
    }
    if scene.is_shared(seen) {
        return Fate::Wait(Shared, words::shared(scene, seen), SLOW);
    }
    match &seen.word {
        Word::Available => Fate::Read,
        Word::Viewed | Word::Silent => by_the_secret(scene, seen),
        Word::Resetting => Fate::Wait(Pending, words::reset_elsewhere(seen), pace(scene)),
        Word::Unknown(word) => Fate::Wait(Pending, words::unknown(seen, word), SLOW),
        Word::NotApplicable => Fate::Settled(NotApplicable),
    }
}

/// Read by somebody, or nobody says: what the Secret holds decides whether it was us.
fn by_the_secret(scene: &Scene, seen: &Seen) -> Fate {
    use CredentialsState::{Pending, ViewedElsewhere};
    let record = match scene.secret {
        SecretSight::Unread => return Fate::LookIntoSecret,
        SecretSight::Trouble(text) => return Fate::Wait(Pending, text.clone(), SLOW),
        SecretSight::Absent | SecretSight::Foreign => &Record::default(),
        SecretSight::Ours(record) => record,
    };
    let reset = scene
        .known(seen)
        .and_then(|one| one.resetting_since.as_ref())
        .map(|time| time.0);
    let ahead = record.resetting.get(&seen.id).copied();
    let delivered = record.delivered.get(&seen.id).and_then(|one| one.reset);
    if let Some(since) = ahead.filter(|_| ahead > delivered && ahead > reset) {
        // A reset of ours that the status does not know.
        return after_reset(scene, seen, since);
    }
    if is_in(record, &seen.id, reset) {
        return Fate::Settled(CredentialsState::Delivered);
    }
    let tried = scene.memory.resets.get(&seen.id);
    if let Some(refusal) = tried.and_then(ResetTry::given_up) {
        return Fate::Wait(ViewedElsewhere, words::reset_refused(seen, refusal), SLOW);
    }
    let began = record.reading.contains_key(&seen.id);
    match (began, seen.can_reset, &seen.word) {
        (false, _, Word::Silent) => Fate::Read,
        (true, true, _) => Fate::PutDownReset,
        (true, false, _) => Fate::Wait(ViewedElsewhere, words::lost_for_good(seen), SLOW),
        (false, _, _) => Fate::Wait(ViewedElsewhere, words::viewed_elsewhere(seen), SLOW),
    }
}

/// Whether the Secret holds what was read after this reset, or after a later one, of which the status
/// was lost.
fn is_in(record: &Record, id: &str, reset: Option<Timestamp>) -> bool {
    let delivered = record.delivered.get(id);
    delivered.is_some_and(|one| one.reset >= reset)
}

/// A reset is on record. It was sent or not, and done or not.
fn after_reset(scene: &Scene, seen: &Seen, since: Timestamp) -> Fate {
    let wait = |pause| {
        let text = words::resetting(scene, seen, since);
        Fate::Wait(CredentialsState::Resetting, text, pause)
    };
    let at = |due: Timestamp, then: Fate| {
        if scene.now >= due {
            then
        } else {
            wait(until(scene.now, due).min(SECOND))
        }
    };
    let tried = scene.memory.resets.get(&seen.id);
    if let Some((tried, refusal)) = tried.and_then(|one| Some((one, one.given_up()?))) {
        return without_reset(scene, seen, tried, refusal);
    }
    match (&seen.word, tried) {
        (Word::Resetting, _) => wait(resetting_pace(scene.now, since)),
        (Word::Unknown(_) | Word::NotApplicable, _) => wait(SLOW),
        (Word::Viewed | Word::Silent | Word::Available, Some(tried)) => {
            after_try(scene, seen, tried, &at)
        }
        // Another process put it down: it may have sent it, and may even have delivered since.
        (Word::Viewed | Word::Silent, None) => match scene.secret {
            SecretSight::Unread => Fate::LookIntoSecret,
            SecretSight::Ours(record) if is_in(record, &seen.id, Some(since)) => {
                Fate::Settled(CredentialsState::Delivered)
            }
            _ => at(since + RESET_UNSURE, Fate::Reset),
        },
        (Word::Available, None) => at(since + RESET_UNSURE, Fate::Read),
    }
}

/// A reset that was refused for good: judged as if there were none.
fn without_reset(scene: &Scene, seen: &Seen, tried: &ResetTry, refusal: &str) -> Fate {
    use CredentialsState::{Resetting, Shared, ViewedElsewhere};
    let text = words::reset_refused(seen, refusal);
    match (&seen.word, scene.secret) {
        (Word::NotApplicable, _) => Fate::Settled(CredentialsState::NotApplicable),
        (Word::Resetting, _) => Fate::Wait(Resetting, words::reset_elsewhere(seen), pace(scene)),
        (Word::Unknown(word), _) => Fate::Wait(Resetting, words::unknown(seen, word), SLOW),
        (Word::Available, _) if !scene.is_shared(seen) => Fate::Read,
        (_, SecretSight::Unread) => Fate::LookIntoSecret,
        (_, SecretSight::Trouble(trouble)) => Fate::Wait(Resetting, trouble.clone(), SLOW),
        (_, SecretSight::Ours(record)) if still_works(record, seen, tried) => {
            Fate::Kept(words::kept(seen, refusal))
        }
        _ if scene.is_shared(seen) => Fate::Wait(Shared, text, SLOW),
        _ => Fate::Wait(ViewedElsewhere, text, SLOW),
    }
}

/// Whether what the Secret holds is what was read last, and no reset can have replaced it.
fn still_works(record: &Record, seen: &Seen, tried: &ResetTry) -> bool {
    let is_there = record.delivered.contains_key(&seen.id);
    is_there && !record.reading.contains_key(&seen.id) && !tried.may_be_done
}

fn after_try(
    scene: &Scene,
    seen: &Seen,
    tried: &ResetTry,
    at: &impl Fn(Timestamp, Fate) -> Fate,
) -> Fate {
    let Some(sent) = tried.sent else {
        return Fate::Reset;
    };
    if tried.refusal.is_some() {
        let pause = doubled(RESET_REFUSED, tried.count, MOST_RESET_PAUSE);
        return at(sent + pause, Fate::Reset);
    }
    let is_new = tried.from_viewed || tried.seen_resetting;
    match seen.word {
        Word::Available if is_new => Fate::Read,
        Word::Available | Word::Silent => at(sent + RESET_DONE, Fate::Read),
        _ => {
            let pause = doubled(RESET_AGAIN, tried.count, MOST_RESET_PAUSE);
            let due = sent + pause;
            if scene.now >= due {
                Fate::Reset
            } else {
                at(due, Fate::Reset)
            }
        }
    }
}

/// Quick at first: a reset takes some seconds as a rule.
fn resetting_pace(now: Timestamp, since: Timestamp) -> Duration {
    let passed = until(since, now);
    (passed / 4).clamp(SECOND, Duration::from_secs(5))
}

/// What others do is looked at ever later.
fn pace(scene: &Scene) -> Duration {
    doubled(SECOND, scene.memory.looks + 1, MOST_OTHERS_PAUSE)
}

fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}
