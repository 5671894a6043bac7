//! What a pass has to do for the credentials, before anything is read: nothing in most passes. Pure.
//!
//! | situation (first match) | due |
//! | --- | --- |
//! | being deleted, nothing is revoked in this pass | take them out of the Secret |
//! | the access has ended, or credentials are no longer asked for | the same, before the end is reported |
//! | nothing is live, or the connection may not be used | nothing |
//! | another name for the Secret | put the name down, then move it |
//! | every live request's session is delivered | restart the workloads, once, then nothing |
//! | otherwise | look at the sessions, in its pace |

use std::{collections::BTreeSet, time::Duration};

use apono_client::State;
use jiff::Timestamp;

use super::{
    next::{is_complete, is_settled},
    scene::{CredentialMemory, Target},
};
use crate::{
    controller::{
        observed::{ConnectionSight, Observed},
        picture::{Picture, is_live, state},
        plan::Intent,
    },
    crd::{AccessRequest, CredentialsState, CredentialsStatus, OnEnd, OwnedRequest, RemoteApi},
};

/// Deliveries that follow each other quickly make one restart.
pub const DEBOUNCE: Duration = Duration::from_secs(5);
/// A restart that failed is tried again after this time.
const RESTART_AGAIN: Duration = Duration::from_secs(30);

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing, ever, until something changes.
    Nothing,
    /// Something, then.
    Later(Timestamp),
    /// Take the credentials out of these Secrets.
    Remove {
        /// Their names.
        secrets: Vec<String>,
        /// How.
        on_end: OnEnd,
    },
    /// The Secret has another name now.
    Move {
        /// Every name under which there may be one, the one it has first.
        names: Vec<String>,
    },
    /// Put down the new name of the Secret: nothing is moved to a name that is not on record.
    PutDown,
    /// Look at the sessions of these.
    Look(Vec<Target>),
    /// Restart the workloads for this digest.
    Restart(String),
}

/// What this pass has to do.
pub fn due(
    resource: &AccessRequest,
    picture: &Picture,
    observed: &Observed,
    intent: Intent,
    reset_asked: bool,
    now: Timestamp,
) -> Due {
    let old = resource.status.as_ref();
    let old = old.and_then(|status| status.credentials.as_ref());
    let wanted = resource.spec.credentials.as_ref();
    let ended = intent == Intent::Release || wanted.is_none() || is_over(picture);
    if ended {
        return removal(resource, picture, old);
    }
    let targets = targets(picture);
    let (Some(wanted), false) = (wanted, targets.is_empty()) else {
        return Due::Nothing;
    };
    let memory = &observed.memory.credentials;
    let default = CredentialsStatus::default();
    let old = old.unwrap_or(&default);
    let names = names(old);
    let is_put_down = names.contains(&wanted.secret_name);
    let waits = |memory: &CredentialMemory| {
        let changed = memory.generation != resource.metadata.generation;
        memory.look_at.filter(|at| *at > now && !changed)
    };
    if names.iter().any(|name| *name != wanted.secret_name) {
        return match waits(memory) {
            Some(at) => Due::Later(at),
            None if is_put_down => Due::Move { names },
            None => Due::PutDown,
        };
    }
    if is_delivered(old, &targets) && !reset_asked {
        return restart(
            old,
            wanted.rollout_restart.iter().flatten().next().is_some(),
            memory,
            now,
        );
    }
    match &observed.connection {
        ConnectionSight::Usable { paused: None, .. } => {}
        ConnectionSight::Usable {
            paused: Some(pause),
            ..
        } => return Due::Later(now + *pause),
        // Whoever may not ask may not read either; the connection wakes its resources.
        _ => return Due::Nothing,
    }
    match waits(memory).filter(|_| !reset_asked) {
        Some(at) => Due::Later(at),
        None => Due::Look(targets),
    }
}

/// Nothing of it is live, or it is being taken back: what was delivered has to go.
fn is_over(picture: &Picture) -> bool {
    let mine = || picture.requests.iter().filter(|one| !picture.is_twin(one));
    let usable = |one: &OwnedRequest| matches!(state(one), State::Active | State::Unknown);
    mine().any(was_access) && !mine().any(usable)
}

fn was_access(request: &OwnedRequest) -> bool {
    request.active_at.is_some()
}

/// Whether something of it may stand in a Secret.
fn holds_something(old: &CredentialsStatus) -> bool {
    old.state != Some(CredentialsState::Removed)
}

/// Every name under which there may be a Secret of ours.
pub fn names(old: &CredentialsStatus) -> Vec<String> {
    let all = old.secret_name.iter().chain(&old.other_secret_names);
    all.filter(|_| holds_something(old)).cloned().collect()
}

fn removal(resource: &AccessRequest, picture: &Picture, old: Option<&CredentialsStatus>) -> Due {
    let wanted = resource.spec.credentials.as_ref();
    let secrets = match old {
        Some(old) => names(old),
        // A status that was lost says nothing of a Secret that was made.
        None if picture.requests.iter().any(was_access) => wanted
            .map(|one| one.secret_name.clone())
            .into_iter()
            .collect(),
        None => Vec::new(),
    };
    let on_end = wanted.and_then(|wanted| wanted.on_end).unwrap_or_default();
    if secrets.is_empty() {
        return Due::Nothing;
    }
    Due::Remove { secrets, on_end }
}

/// The live requests whose credentials are wanted: of those that were asked again, the new ones.
pub fn targets(picture: &Picture) -> Vec<Target> {
    let is_wanted = |one: &&OwnedRequest| is_active(one, picture) && !is_replaced(one, picture);
    let wanted = picture.requests.iter().filter(is_wanted);
    wanted
        .map(|one| Target {
            id: one.id.clone(),
            api: one.api.unwrap_or(RemoteApi::UserV4),
        })
        .collect()
}

/// Requests that were replaced and still live.
pub fn others_live(picture: &Picture) -> BTreeSet<String> {
    let replaced = |one: &&OwnedRequest| is_active(one, picture) && is_replaced(one, picture);
    let all = picture.requests.iter().filter(replaced);
    all.map(|one| one.id.clone()).collect()
}

fn is_active(one: &OwnedRequest, picture: &Picture) -> bool {
    is_live(one) && state(one) == State::Active && !picture.is_twin(one)
}

/// Whether another live request was made in place of this one: by asking it again, or by asking for
/// everything anew.
fn is_replaced(one: &OwnedRequest, picture: &Picture) -> bool {
    picture.requests.iter().any(|other| {
        let entry = other
            .nonce
            .as_deref()
            .and_then(|it| picture.ledger.entry(it));
        let anew = entry.is_some_and(|it| it.of.is_empty()) && other.attempt > one.attempt;
        let again = entry.is_some_and(|it| it.of == one.id);
        other.id != one.id && is_active(other, picture) && (anew || again)
    })
}

/// Whether every target has a session of which nothing more is wanted.
fn is_delivered(old: &CredentialsStatus, targets: &[Target]) -> bool {
    let settled = |state: Option<CredentialsState>| state.is_some_and(is_settled);
    let covered = |target: &Target| {
        let serves = |one: &&crate::crd::SessionStatus| one.requests.contains(&target.id);
        old.sessions
            .iter()
            .any(|one| serves(&one) && settled(one.state))
    };
    is_complete(old) && targets.iter().all(covered)
}

fn restart(
    old: &CredentialsStatus,
    has_workloads: bool,
    memory: &CredentialMemory,
    now: Timestamp,
) -> Due {
    let Some(digest) = old.digest.as_ref().filter(|_| has_workloads) else {
        return Due::Nothing;
    };
    if old.restarted_for.as_ref() == Some(digest) {
        return Due::Nothing;
    }
    let settled = old.delivered_at.as_ref().map(|at| at.0 + DEBOUNCE);
    let after_failure = memory.restart_failed.map(|at| at + RESTART_AGAIN);
    match settled.max(after_failure).filter(|at| *at > now) {
        Some(at) => Due::Later(at),
        None => Due::Restart(digest.clone()),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::{
        controller::fixtures::{World, asked, remote},
        crd::{Credentials, SessionStatus, Workload},
    };

    /// A live request whose credentials are wanted.
    fn live() -> World {
        let (mut world, _) = asked("Active");
        world.resource.spec.credentials = Some(Credentials {
            secret_name: "orders-db".to_owned(),
            ..Credentials::default()
        });
        world
    }

    fn delivered() -> World {
        let mut world = live();
        let session = SessionStatus {
            id: "s1".to_owned(),
            state: Some(CredentialsState::Delivered),
            requests: vec!["r1".to_owned()],
            ..SessionStatus::default()
        };
        let credentials = CredentialsStatus {
            secret_name: Some("orders-db".to_owned()),
            state: Some(CredentialsState::Delivered),
            digest: Some("abc".to_owned()),
            delivered_at: Some(Time(world.now)),
            sessions: vec![session],
            ..CredentialsStatus::default()
        };
        world.resource.status.as_mut().unwrap().credentials = Some(credentials);
        world
    }

    fn of(world: &World) -> Due {
        of_asked(world, false)
    }

    fn of_asked(world: &World, reset_asked: bool) -> Due {
        let picture = Picture::of(&world.resource, &world.observed, world.now);
        let (resource, observed) = (&world.resource, &world.observed);
        due(
            resource,
            &picture,
            observed,
            world.intent,
            reset_asked,
            world.now,
        )
    }

    fn looks(due: &Due) -> bool {
        matches!(due, Due::Look(_))
    }

    fn removes(due: &Due) -> bool {
        matches!(due, Due::Remove { .. })
    }

    #[test]
    fn live_access_is_looked_at_in_its_pace() {
        let mut world = live();
        assert!(looks(&of(&world)));
        let memory = &mut world.observed.memory.credentials;
        memory.look_again(world.now + Duration::from_secs(30), Some(1));
        assert!(matches!(of(&world), Due::Later(_)));
        assert!(looks(&of_asked(&world, true)), "a person does not wait");
        world.resource.metadata.generation = Some(2);
        assert!(looks(&of(&world)), "nor does a change");
    }

    #[test]
    fn what_is_delivered_needs_no_look_ever() {
        let world = delivered().after(Duration::from_hours(1));
        assert_eq!(of(&world), Due::Nothing);
        assert!(looks(&of_asked(&world, true)));
    }

    #[test]
    fn nothing_is_read_over_a_connection_that_may_not_be_used() {
        let mut world = live();
        world.observed.connection = ConnectionSight::NotAllowed {
            message: String::new(),
            orphan: false,
        };
        assert_eq!(of(&world), Due::Nothing);
        world.observed.connection = ConnectionSight::Usable {
            orphan: false,
            paused: Some(Duration::from_secs(7)),
        };
        assert!(matches!(of(&world), Due::Later(_)));
    }

    #[test]
    fn a_request_that_was_never_access_needs_nothing() {
        for word in ["Pending", "Rejected", "Failed", "Granting"] {
            let (mut world, _) = asked(word);
            world.resource.spec.credentials = live().resource.spec.credentials;
            assert_eq!(of(&world), Due::Nothing, "{word}");
            assert_eq!(of(&world.deleted()), Due::Nothing, "{word}");
        }
    }

    #[test]
    fn the_end_of_the_access_empties_the_secret_once() {
        for word in ["Revoking", "Revoked", "Failed"] {
            let mut world = delivered();
            let nonce = world.resource.status.as_ref().unwrap().requests[0]
                .nonce
                .clone();
            let nonce = crate::marker::Nonce::parse(&nonce.unwrap()).unwrap();
            world.see(remote("r1", word, &nonce));
            assert!(removes(&of(&world)), "{word}");
            let status = world.resource.status.as_mut().unwrap();
            status.credentials.as_mut().unwrap().state = Some(CredentialsState::Removed);
            assert_eq!(of(&world), Due::Nothing, "{word}");
        }
        assert!(removes(&of(&delivered().deleted())));
        let mut unwanted = delivered();
        unwanted.resource.spec.credentials = None;
        assert!(removes(&of(&unwanted)));
    }

    #[test]
    fn a_secret_of_which_the_status_knows_nothing_is_removed_too() {
        assert!(removes(&of(&live().deleted())));
    }

    #[test]
    fn a_word_nobody_knows_is_no_end() {
        let mut world = delivered();
        let nonce = world.resource.status.as_ref().unwrap().requests[0]
            .nonce
            .clone();
        let nonce = crate::marker::Nonce::parse(&nonce.unwrap()).unwrap();
        world.see(remote("r1", "Humming", &nonce));
        assert_eq!(of(&world), Due::Nothing);
    }

    #[test]
    fn no_secret_is_moved_before_the_new_name_is_on_record() {
        let mut world = delivered();
        rename(&mut world, "other");
        assert_eq!(of(&world), Due::PutDown);
        others(&mut world, &["other"]);
        let both = || vec!["orders-db".to_owned(), "other".to_owned()];
        assert_eq!(of(&world), Due::Move { names: both() });
        // Interrupted, and named a third time, or back.
        rename(&mut world, "third");
        assert_eq!(of(&world), Due::PutDown);
        rename(&mut world, "orders-db");
        assert_eq!(of(&world), Due::Move { names: both() });
    }

    #[test]
    fn at_the_end_every_secret_is_emptied_that_may_have_been_made() {
        let mut world = delivered();
        rename(&mut world, "other");
        others(&mut world, &["other", "third"]);
        let Due::Remove { secrets, .. } = of(&world.deleted()) else {
            panic!("nothing is removed")
        };
        assert_eq!(secrets, ["orders-db", "other", "third"]);
    }

    fn rename(world: &mut World, name: &str) {
        let credentials = world.resource.spec.credentials.as_mut().unwrap();
        credentials.secret_name = name.to_owned();
    }

    fn others(world: &mut World, names: &[&str]) {
        let status = world.resource.status.as_mut().unwrap();
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        status.credentials.as_mut().unwrap().other_secret_names = names;
    }

    #[test]
    fn workloads_are_restarted_once_for_each_digest_when_it_has_come_to_rest() {
        let mut world = delivered();
        let workloads = vec![Workload::default()];
        world
            .resource
            .spec
            .credentials
            .as_mut()
            .unwrap()
            .rollout_restart = Some(workloads);
        assert!(matches!(of(&world), Due::Later(_)));
        let mut world = world.after(DEBOUNCE);
        assert_eq!(of(&world), Due::Restart("abc".to_owned()));
        let status = world.resource.status.as_mut().unwrap();
        let credentials = status.credentials.as_mut().unwrap();
        credentials.restarted_for = Some("abc".to_owned());
        assert_eq!(of(&world), Due::Nothing);
    }
}
