//! The decision: the fates of all sessions make one step and one report. Pure and total.
//!
//! Reading credentials consumes them, so they are read only after a write-ahead stands in the
//! Secret, and only where that cannot take them from anybody: `fate.rs` judges each session.
//!
//! | what any session calls for (first match) | step |
//! | --- | --- |
//! | nobody knows yet whether a read was ours | look into the Secret |
//! | new credentials | put the reset down; the status is written before it is sent |
//! | a reset that is on record | send it |
//! | a read, and no session is missing | write ahead, read, store |
//! | anything else | rest, and look again in its pace |

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    fate::{Fate, SECOND, SLOW, fate, is_spent},
    scene::{Scene, SecretSight, Seen},
    words,
};
use crate::{
    controller::{bounds, observed::doubled},
    crd::{CredentialsState, CredentialsStatus, SessionStatus},
};

/// As many sessions as the status may hold.
const MOST_SESSIONS: usize = 50;
/// As many requests of one session as the status may hold.
const MOST_REQUESTS: usize = 100;
/// For this long after the access became live, sessions that are missing are waited for.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// No session yet: looked for this often in the end.
const MOST_BETWEEN_LOOKS: Duration = Duration::from_secs(30);

/// The one thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum CredentialStep {
    /// Nothing but to report.
    Rest,
    /// Look into the Secret, then decide again.
    LookIntoSecret,
    /// Report that these will be reset; sent in the next pass, when that is on record.
    PutDownReset(Vec<String>),
    /// Send one reset.
    Reset(Seen),
    /// Write ahead, read these, write them into the Secret.
    Deliver(Vec<Seen>),
}

/// A decision, and what to report with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What to do.
    pub step: CredentialStep,
    /// The status as it is before the step.
    pub status: CredentialsStatus,
    /// How long to wait before the next look, if nothing is done.
    pub pause: Duration,
    /// Whether requests are without a session.
    pub is_short: bool,
    /// Whether nothing more is to be looked at. Not yet where the credentials of a request that was
    /// replaced are reported as delivered and those of the new one are on their way.
    pub is_done: bool,
    /// Sessions of requests that were replaced, whose credentials serve until those of the new ones
    /// are there.
    pub carried: Vec<String>,
    /// Sessions a person asks to reset that cannot be.
    pub not_resettable: Vec<String>,
}

impl Decision {
    /// The reset of this session that is on record.
    pub fn reset_of(&self, id: &str) -> Option<Timestamp> {
        let one = self.status.sessions.iter().find(|one| one.id == id)?;
        one.resetting_since.as_ref().map(|time| time.0)
    }
}

/// Decides what this pass does for the credentials.
pub fn next(scene: &Scene) -> Decision {
    let sessions = match scene.sessions {
        Ok(all) => relevant(scene, all),
        Err(error) => return unreadable(scene, error),
    };
    let judged: Vec<_> = sessions
        .iter()
        .map(|one| (*one, fate(scene, one)))
        .collect();
    let mut status = report(scene, &judged);
    let waits = missing(scene, &sessions);
    let all_of = |wanted: &Fate| -> Vec<Seen> {
        let fits = judged.iter().filter(|(_, fate)| fate == wanted);
        fits.map(|(seen, _)| (*seen).clone()).collect()
    };
    let put_down: Vec<_> = all_of(&Fate::PutDownReset);
    let readable = all_of(&Fate::Read);
    let step = if judged.iter().any(|(_, fate)| *fate == Fate::LookIntoSecret) {
        CredentialStep::LookIntoSecret
    } else if !put_down.is_empty() {
        let ids: Vec<_> = put_down.into_iter().map(|one| one.id).collect();
        mark_resetting(&mut status, &ids, scene.now);
        CredentialStep::PutDownReset(ids)
    } else if let Some(one) = all_of(&Fate::Reset).into_iter().next() {
        CredentialStep::Reset(one)
    } else if !readable.is_empty() && !waits.holds_back {
        CredentialStep::Deliver(readable)
    } else {
        CredentialStep::Rest
    };
    let not_resettable = judged
        .iter()
        .filter(|(one, _)| scene.reset_asked && !one.can_reset && is_spent(scene, one))
        .map(|(one, _)| one.id.clone())
        .collect();
    let is_short = judged.is_empty() || waits.holds_back || !waits.requests.is_empty();
    Decision {
        step,
        is_done: !is_short && is_complete(&status),
        status,
        pause: pause(scene, &judged, &waits),
        is_short,
        carried: carried(scene).map(|one| one.id.clone()).collect(),
        not_resettable,
    }
}

/// The sessions that serve what is wanted, in an order of their own.
fn relevant<'a>(scene: &Scene, all: &'a [Seen]) -> Vec<&'a Seen> {
    let wanted = |seen: &&Seen| {
        let serves = scene.targets.iter().any(|target| seen.serves(&target.id));
        serves && bounds::is_storable(&seen.id)
    };
    let mut sessions: Vec<_> = all.iter().filter(wanted).collect();
    sessions.sort_by(|a, b| a.id.cmp(&b.id));
    sessions.dedup_by(|a, b| a.id == b.id);
    sessions.truncate(MOST_SESSIONS);
    sessions
}

/// What of the sessions is not there yet.
struct Missing {
    /// The requests that have none.
    requests: Vec<String>,
    /// Whether nothing is read before they are there: the names of the keys depend on how many.
    holds_back: bool,
}

fn missing(scene: &Scene, sessions: &[&Seen]) -> Missing {
    let has_none = |id: &String| !sessions.iter().any(|one| one.serves(id));
    let requests: Vec<_> = scene
        .targets
        .iter()
        .map(|target| target.id.clone())
        .filter(has_none)
        .collect();
    let patient = scene.now < scene.active_since + PATIENCE;
    let few = sessions.len() < scene.integrations;
    Missing {
        holds_back: patient && (few || !requests.is_empty()),
        requests,
    }
}

/// When to look next, as far as the sessions say.
fn pause(scene: &Scene, judged: &[(&Seen, Fate)], missing: &Missing) -> Duration {
    let waits = judged.iter().filter_map(|(_, fate)| match fate {
        Fate::Wait(_, _, pause) => Some(*pause),
        _ => None,
    });
    let absent = judged.is_empty() || missing.holds_back || !missing.requests.is_empty();
    let absent = absent.then(|| doubled(SECOND, scene.memory.looks + 1, MOST_BETWEEN_LOOKS));
    waits.chain(absent).min().unwrap_or(SLOW)
}

/// Everything the status says after this look.
fn report(scene: &Scene, judged: &[(&Seen, Fate)]) -> CredentialsStatus {
    let sessions: Vec<_> = judged
        .iter()
        .map(|(seen, fate)| session(scene, seen, fate))
        .collect();
    let absent = missing(
        scene,
        &judged.iter().map(|(seen, _)| *seen).collect::<Vec<_>>(),
    );
    let texts: Vec<_> = judged
        .iter()
        .filter_map(|(_, fate)| match fate {
            Fate::Wait(_, text, _) | Fate::Kept(text) => Some(text.clone()),
            _ => None,
        })
        .collect();
    let mut new = CredentialsStatus {
        secret_name: Some(scene.secret_name.to_owned()),
        ..scene.old.clone()
    };
    let is_short = judged.is_empty() || absent.holds_back || !absent.requests.is_empty();
    let state = overall(&sessions, is_short);
    new.message = if is_settled(state) {
        (!texts.is_empty()).then(|| words::several(&texts))
    } else if texts.is_empty() && is_short {
        Some(words::no_session(scene, &absent.requests))
    } else if texts.is_empty() {
        Some(words::READING.to_owned())
    } else {
        Some(words::several(&texts))
    };
    new.state = Some(state);
    take_from_secret(scene, &sessions, &mut new);
    new.sessions = sessions;
    if state == CredentialsState::Pending && carried(scene).next().is_some() {
        // What was delivered still works while that of its successor is on its way.
        new.state = Some(CredentialsState::Delivered);
        new.message = None;
        let is_new = |one: &&SessionStatus| !new.sessions.iter().any(|it| it.id == one.id);
        let kept: Vec<_> = carried(scene).filter(is_new).cloned().collect();
        new.sessions.extend(kept);
        new.sessions.truncate(MOST_SESSIONS);
    }
    new
}

/// What was delivered and not reported.
fn take_from_secret(scene: &Scene, sessions: &[SessionStatus], new: &mut CredentialsStatus) {
    let newly = |one: &&SessionStatus| {
        let known = scene.old.sessions.iter().find(|old| old.id == one.id);
        let was = known.and_then(|old| old.state);
        one.state == Some(CredentialsState::Delivered) && was != one.state
    };
    if let (SecretSight::Ours(record), Some(_)) = (scene.secret, sessions.iter().find(newly)) {
        let times = record.delivered.values().filter_map(|one| one.at);
        new.digest.clone_from(&record.digest);
        new.delivered_at = times.max().map(whole).or(new.delivered_at.take());
    }
}

/// The sessions delivered before that serve requests which have been replaced and still live.
fn carried<'a>(scene: &'a Scene) -> impl Iterator<Item = &'a SessionStatus> {
    let usable = |one: &&SessionStatus| {
        let lives = one.requests.iter().any(|id| scene.others_live.contains(id));
        one.state == Some(CredentialsState::Delivered) && lives
    };
    let is_delivered = scene.old.state == Some(CredentialsState::Delivered);
    scene
        .old
        .sessions
        .iter()
        .filter(usable)
        .filter(move |_| is_delivered)
}

/// The API keeps whole seconds.
pub fn whole(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

fn session(scene: &Scene, seen: &Seen, fate: &Fate) -> SessionStatus {
    let known = scene.known(seen);
    let was = known.and_then(|one| one.state);
    let state = match fate {
        Fate::Settled(state) | Fate::Wait(state, _, _) => *state,
        Fate::Kept(_) => CredentialsState::Delivered,
        Fate::Reset => CredentialsState::Resetting,
        Fate::Read if was == Some(CredentialsState::Resetting) => CredentialsState::Resetting,
        Fate::Read => CredentialsState::Pending,
        Fate::LookIntoSecret | Fate::PutDownReset => was.unwrap_or(CredentialsState::Pending),
    };
    let serves = scene
        .targets
        .iter()
        .map(|target| &target.id)
        .filter(|id| seen.serves(id));
    SessionStatus {
        id: seen.id.clone(),
        integration: (!seen.integration.is_empty()).then(|| bounds::word(&seen.integration)),
        state: Some(state),
        requests: serves.take(MOST_REQUESTS).cloned().collect(),
        resetting_since: last_reset(scene, seen),
    }
}

/// The last reset that the status or the Secret knows.
fn last_reset(scene: &Scene, seen: &Seen) -> Option<Time> {
    let known = scene
        .known(seen)
        .and_then(|one| one.resetting_since.clone());
    let SecretSight::Ours(record) = scene.secret else {
        return known;
    };
    let delivered = record.delivered.get(&seen.id).and_then(|one| one.reset);
    let ahead = record.resetting.get(&seen.id).copied().max(delivered);
    known.max(ahead.map(Time))
}

/// The one that is furthest behind decides.
pub fn overall(sessions: &[SessionStatus], is_short: bool) -> CredentialsState {
    use CredentialsState::{
        Delivered, NotApplicable, Pending, Removed, Resetting, Shared, ViewedElsewhere,
    };
    let worst = [Shared, ViewedElsewhere, Resetting, Pending, Removed];
    let has = |state| sessions.iter().any(|one| one.state == Some(state));
    match worst.into_iter().find(|state| has(*state)) {
        Some(Removed) => Pending,
        Some(state) => state,
        None if is_short => Pending,
        None if has(Delivered) => Delivered,
        None if has(NotApplicable) => NotApplicable,
        None => Pending,
    }
}

/// Whether nothing more is to be delivered.
pub fn is_settled(state: CredentialsState) -> bool {
    matches!(
        state,
        CredentialsState::Delivered | CredentialsState::NotApplicable
    )
}

/// Whether that holds of every session, and not of the whole alone.
pub fn is_complete(status: &CredentialsStatus) -> bool {
    let settled = |state: Option<CredentialsState>| state.is_some_and(is_settled);
    settled(status.state) && status.sessions.iter().all(|one| settled(one.state))
}

/// Puts a reset down. Its time tells it from every reset before.
fn mark_resetting(status: &mut CredentialsStatus, ids: &[String], now: Timestamp) {
    let wanted = status
        .sessions
        .iter_mut()
        .filter(|one| ids.contains(&one.id));
    for one in wanted {
        let whole = whole(now);
        let before = one
            .resetting_since
            .as_ref()
            .map(|time| Time(time.0 + SECOND));
        one.state = Some(CredentialsState::Resetting);
        one.resetting_since = Some(before.map_or(whole.clone(), |before| before.max(whole)));
    }
    status.state = Some(overall(&status.sessions, false));
    status.message = Some(words::RESET_PUT_DOWN.to_owned());
}

/// The sessions could not be read: what was known stays.
fn unreadable(scene: &Scene, error: &str) -> Decision {
    let mut status = scene.old.clone();
    let settled = status.state.is_some_and(is_settled);
    status.secret_name = Some(scene.secret_name.to_owned());
    if !settled {
        status.state = Some(status.state.unwrap_or(CredentialsState::Pending));
        status.message = Some(words::unreadable(error));
    }
    Decision {
        step: CredentialStep::Rest,
        status,
        pause: doubled(SECOND, scene.memory.looks + 1, MOST_BETWEEN_LOOKS),
        is_short: true,
        is_done: false,
        carried: Vec::new(),
        not_resettable: Vec::new(),
    }
}

#[cfg(test)]
#[path = "next_tests.rs"]
mod tests;
