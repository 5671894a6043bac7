//! What is said of a delivery that waits: what, which session, what to do next. Pure.
//!
//! It stands in the status, so it names no durations from now and counts nothing.

use jiff::Timestamp;

use super::{
    next::PATIENCE,
    scene::{Scene, Seen},
};
use crate::{
    controller::bounds,
    crd::{RESET_CREDENTIALS_ANNOTATION, RemoteApi},
};

/// As much as the status may hold.
const MOST_CHARACTERS: usize = 1024;
/// As much of a name as a sentence bears.
const NAME_CHARACTERS: usize = 100;
/// As many sentences as a person reads.
const MOST_SENTENCES: usize = 3;

/// The last step is under way.
pub const READING: &str = "the credentials are being delivered";
/// A reset is on record and not sent.
pub const RESET_PUT_DOWN: &str = "asking Apono for new credentials";

/// No longer than the status may hold.
pub fn bounded(text: &str) -> String {
    bounds::cut(text, MOST_CHARACTERS)
}

/// All of these, or the first of them.
pub fn several(texts: &[String]) -> String {
    let mut all = texts.to_vec();
    all.dedup();
    all.truncate(MOST_SENTENCES);
    bounded(&all.join("; "))
}

/// Apono lists no session, or not for every request.
pub fn no_session(scene: &Scene, requests: &[String]) -> String {
    let first = requests.first().map(|id| bounds::cut(id, NAME_CHARACTERS));
    let of = first.map_or_else(String::new, |id| format!(" of request {id}"));
    if scene.now < scene.active_since + PATIENCE {
        return format!("waiting for Apono to open the session{of}");
    }
    format!(
        "Apono shows no session{of} yet, although the access is live; it is looked for further; if \
         it stays away, ask an Apono administrator, or remove spec.credentials"
    )
}

/// Others depend on it.
pub fn shared(scene: &Scene, seen: &Seen) -> String {
    let others = seen.requests.iter().filter(|id| !scene.owned.contains(*id));
    let others: Vec<_> = others
        .take(MOST_SENTENCES)
        .map(|id| bounds::cut(id, NAME_CHARACTERS))
        .collect();
    bounded(&format!(
        "session {} also serves request {}, which is not of this resource, so its credentials are \
         neither read nor reset; {}",
        name(seen),
        others.join(", "),
        how_to_reset(seen)
    ))
}

/// Somebody else has read them.
pub fn viewed_elsewhere(seen: &Seen) -> String {
    bounded(&format!(
        "the credentials of session {} were read by somebody else and are shown only once; {}",
        name(seen),
        how_to_reset(seen)
    ))
}

/// Our own read was interrupted, and there is no second one.
pub fn lost_for_good(seen: &Seen) -> String {
    bounded(&format!(
        "reading the credentials of session {} was interrupted, and Apono cannot reset them; ask \
         an Apono administrator, or create a new AccessRequest",
        name(seen)
    ))
}

/// Somebody else is resetting them.
pub fn reset_elsewhere(seen: &Seen) -> String {
    bounded(&format!(
        "Apono is making new credentials for session {}",
        name(seen)
    ))
}

/// A reset of ours is under way.
pub fn resetting(scene: &Scene, seen: &Seen, since: Timestamp) -> String {
    let refusal = scene.memory.resets.get(&seen.id);
    if let Some(refusal) = refusal.and_then(|tried| tried.refusal.as_ref()) {
        return bounded(&format!(
            "Apono did not reset the credentials of session {} ({refusal}); retrying, or reset \
             them in Apono",
            name(seen)
        ));
    }
    if scene.now < since + PATIENCE {
        return reset_elsewhere(seen);
    }
    bounded(&format!(
        "Apono has not made new credentials for session {} yet; waiting further; if it stays so, \
         ask an Apono administrator",
        name(seen)
    ))
}

/// A reset was refused for good, and there is nothing else to be had.
pub fn reset_refused(seen: &Seen, refusal: &str) -> String {
    bounded(&format!(
        "Apono refuses to reset the credentials of session {} ({refusal}); reset them in Apono, or \
         set the annotation {RESET_CREDENTIALS_ANNOTATION} to another value to try again",
        name(seen)
    ))
}

/// A reset was refused for good, and what was delivered before works.
pub fn kept(seen: &Seen, refusal: &str) -> String {
    bounded(&format!(
        "Apono refuses to reset the credentials of session {} ({refusal}), so those delivered \
         before stay; set the annotation {RESET_CREDENTIALS_ANNOTATION} to another value to try \
         again",
        name(seen)
    ))
}

/// A word nobody knows.
pub fn unknown(seen: &Seen, word: &str) -> String {
    bounded(&format!(
        "Apono reports the credentials of session {} as `{}`, which this version does not know, so \
         they are not read; watching, update the operator if it stays so",
        name(seen),
        bounds::cut(word, NAME_CHARACTERS)
    ))
}

/// The list of sessions was not answered.
pub fn unreadable(error: &str) -> String {
    bounded(&format!(
        "the sessions of the access cannot be read: {error}; retrying"
    ))
}

/// There is a Secret of that name which somebody else made.
pub fn foreign(secret: &str) -> String {
    format!(
        "Secret `{secret}` exists and is not ours: delete it, or change \
         spec.credentials.secretName; nothing was read"
    )
}

/// The API server does not let the Secret be written.
pub fn forbidden(secret: &str, namespace: &str, error: &str) -> String {
    bounded(&format!(
        "Secret `{secret}` cannot be written in namespace `{namespace}`: {error}; let the operator \
         get, create, patch and delete secrets there (deploy/kustomize/credentials), and look for \
         quotas; nothing was read"
    ))
}

/// The Secret could not be written for now.
pub fn unwritten(secret: &str, error: &str) -> String {
    bounded(&format!(
        "Secret `{secret}` cannot be written: {error}; retrying"
    ))
}

/// The details were not answered.
pub fn unread(seen: &Seen, error: &str) -> String {
    bounded(&format!(
        "the credentials of session {} could not be read: {error}; retrying",
        name(seen)
    ))
}

/// The details are an empty text.
pub fn blank(seen: &Seen) -> String {
    bounded(&format!(
        "Apono gives no access details for session {} yet; retrying; if it stays so, ask an Apono \
         administrator, or remove spec.credentials",
        name(seen)
    ))
}

/// Nothing else changes what it holds.
pub fn made_anew(secret: &str) -> String {
    format!(
        "Secret `{secret}` was marked immutable, so it was deleted and made anew; leave \
         `immutable` unset on it"
    )
}

/// Nothing else takes the credentials out of it.
pub fn deleted_instead(secret: &str) -> String {
    format!(
        "Secret `{secret}` was marked immutable and could not be emptied, so it was deleted; leave \
         `immutable` unset on such a Secret"
    )
}

/// More names than can be kept track of.
pub fn too_many_names(secret: &str, names: &[String]) -> String {
    bounded(&format!(
        "the credentials cannot be moved to Secret `{secret}`, since moving them before was not \
         finished: set spec.credentials.secretName to one of {} and wait until it is `Delivered`",
        names.join(", ")
    ))
}

/// The credentials are there, said once.
pub fn delivered(secret: &str, sessions: usize) -> String {
    let plural = if sessions == 1 { "" } else { "s" };
    format!("the credentials of {sessions} session{plural} are in Secret `{secret}`")
}

fn how_to_reset(seen: &Seen) -> String {
    if seen.can_reset {
        return format!("set the annotation {RESET_CREDENTIALS_ANNOTATION} to get new ones");
    }
    "Apono cannot reset them; ask an Apono administrator, or create a new AccessRequest".to_owned()
}

fn name(seen: &Seen) -> String {
    let id = bounds::cut(&seen.id, NAME_CHARACTERS);
    match seen.api {
        RemoteApi::AdminV3 => format!("of request {id}"),
        RemoteApi::UserV4 | RemoteApi::Delegated => id,
    }
}
