//! What must hold in every state. Judged by what truly is at the remote, never by the operator's
//! own word.
//!
//! | property | where |
//! | --- | --- |
//! | one question never has two live creates; beyond the settle window the second is on its way out | every state; the end of every fair run |
//! | our finalizer is off: nothing of the resource is live, or may yet arrive | every state |
//! | a POST leaves only where its mark and our finalizer stand; of one that overslept the window nothing but that a second is taken back | every POST |
//! | what was asked for before a latched end has ended | the end of every fair run |
//! | a revoke goes only to what is deleted, latched or a twin, and is of the name that sends it | every revoke |
//! | a status names only what was asked for by a resource of its own name | every state |

use std::collections::{BTreeMap, BTreeSet};

use apono_client::State;
use apono_operator::crd::{ATTEMPT_ANNOTATION, AccessRequest, FINALIZER};
use kube::ResourceExt;

use crate::{
    config::Config,
    view::known,
    world::{Object, Pass, Remote, World, id},
};

/// Whether a debt names this remote request, or the POST that made it: then it is not forgotten.
fn is_owed(world: &World, index: usize) -> bool {
    let post = world.remotes[index].post;
    world.owed.contains(&id(index)) || post.is_some_and(|post| is_searched_for(world, post))
}

/// Whether a debt looks for what this POST makes.
fn is_searched_for(world: &World, post: usize) -> bool {
    world.owed.contains(world.posts[post].nonce.as_str())
}

/// What is wrong in this state, if something is.
pub fn broken(world: &World, config: &Config) -> Option<String> {
    if let Some(violation) = &world.violation {
        return Some(violation.clone());
    }
    if !config.is_beyond_the_window()
        && let Some(text) = doubled(world, |one| {
            one.state != State::Revoking && !is_late(world, one)
        })
    {
        return Some(text);
    }
    outlived(world, config).or_else(|| mixed_up(world))
}

/// Whether it was made by a POST that left when nobody waited for it any more.
fn is_late(world: &World, remote: &Remote) -> bool {
    remote.post.is_some_and(|post| world.late.contains(&post))
}

/// Something that a status names, and that was asked for under another name or by somebody else.
fn mixed_up(world: &World) -> Option<String> {
    world.desks().find_map(|desk| {
        let object = desk.object.as_ref()?;
        let is_own = |index: &usize| {
            let post = world.remotes[*index].post;
            post.is_some_and(|post| world.posts[post].desk == desk.number)
        };
        let stranger = known(&object.resource)
            .into_iter()
            .find(|one| !is_own(one))?;
        let uid = object.uid();
        Some(format!(
            "{uid} names {}, which is not its own",
            id(stranger)
        ))
    })
}

/// Two creates of one question that are both live. What a debt names is on its way out, whatever
/// is asked for under the name meanwhile; who pays debts is not modelled.
pub fn doubled(world: &World, counts: impl Fn(&Remote) -> bool) -> Option<String> {
    let mut live: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
    let all = world.remotes.iter().enumerate();
    let all = all.filter(|(index, one)| one.is_live() && counts(one) && !is_owed(world, *index));
    for (_, remote) in all {
        if let Some(post) = remote.post {
            let question = &world.posts[post];
            let question = (question.line, question.n, &question.of);
            live.entry(question).or_default().insert(post);
        }
    }
    let (question, posts) = live.into_iter().find(|(_, posts)| posts.len() > 1)?;
    Some(format!(
        "asked for twice: {question:?} by the POSTs {posts:?}"
    ))
}

/// Something of a resource that we let go of.
fn outlived(world: &World, config: &Config) -> Option<String> {
    let is_released = |post: usize| {
        let uid = &world.posts[post].uid;
        world.released.contains(uid) && !world.tampered.contains(uid)
    };
    let mut remotes = world.remotes.iter().enumerate();
    let live = remotes.find(|(index, remote)| {
        remote.is_live()
            && remote.post.is_some_and(is_released)
            && !is_owed(world, *index)
            // Nobody is there any more to take it back; the poller counts what belongs to nobody.
            && !is_late(world, remote)
    });
    if let Some((index, remote)) = live
        && !config.is_beyond_the_window()
    {
        let state = remote.state.as_str();
        return Some(format!("{} is {state} and its resource is gone", id(index)));
    }
    let mut flights = world.flights.iter();
    let flight = flights.find(|one| is_released(one.post) && !is_searched_for(world, one.post))?;
    Some(format!(
        "POST {} may still arrive and its resource is gone",
        flight.post
    ))
}

/// A POST is about to leave.
pub fn may_ask(world: &mut World, pass: &Pass, post: usize) {
    let uid = pass.object.uid();
    if world.tampered.contains(&uid) {
        return;
    }
    let Some(object) = world
        .desk
        .object
        .as_ref()
        .filter(|object| object.uid() == uid)
    else {
        world.violation = Some(format!("POST {post} leaves, and no object stands for it"));
        return;
    };
    let nonce = world.posts[post].nonce.to_string();
    let record = record(&object.resource);
    if !record.contains(&nonce)
        || !object
            .resource
            .finalizers()
            .iter()
            .any(|one| one == FINALIZER)
    {
        world.violation = Some(format!("POST {post} leaves without its mark"));
    }
}

/// A revoke is about to leave.
pub fn may_revoke(world: &mut World, pass: &Pass, index: usize) {
    let Some(post) = world.remotes[index].post else {
        world.violation = Some(format!("{} is revoked and is not ours", id(index)));
        return;
    };
    let is_wanted_gone = pass.object.is_deleting() || is_latched(&pass.object, world.posts[post].n);
    if world.posts[post].desk != world.desk.number {
        world.violation = Some(format!("{} is revoked under another name", id(index)));
    } else if world.posts[post].uid != pass.object.uid()
        && !record(&pass.object.resource).contains(world.posts[post].nonce.as_str())
    {
        world.violation = Some(format!("{} is revoked and is of another", id(index)));
    } else if !is_wanted_gone && !is_twin(world, post) {
        world.violation = Some(format!("{} is revoked and was to stay", id(index)));
    }
}

/// What was asked for before an end was latched, and is still live.
pub fn unended(world: &World, object: &Object) -> Option<String> {
    let uid = object.uid();
    let is_to_end = |post: usize| {
        let post = &world.posts[post];
        post.uid == uid && is_latched(object, post.n)
    };
    let mut remotes = world.remotes.iter();
    let at = remotes.position(|one| one.is_live() && one.post.is_some_and(is_to_end))?;
    Some(id(at))
}

fn is_twin(world: &World, post: usize) -> bool {
    let question = &world.posts[post];
    let question = (question.line, question.n, &question.of);
    let made = world.remotes.iter().filter_map(|one| one.post);
    let mut others = made.filter(|other| *other != post);
    others.any(|other| {
        let other = &world.posts[other];
        question == (other.line, other.n, &other.of)
    })
}

fn record(resource: &AccessRequest) -> String {
    let record = resource.annotations().get(ATTEMPT_ANNOTATION);
    record.cloned().unwrap_or_default()
}

fn is_latched(object: &Object, n: i64) -> bool {
    let record: serde_json::Value =
        serde_json::from_str(&record(&object.resource)).unwrap_or_default();
    let end = record.pointer("/end/n").and_then(serde_json::Value::as_i64);
    let status = object.resource.status.as_ref();
    let mirrored = status.and_then(|status| status.attempt.as_ref()?.end.as_ref()?.n);
    end.max(mirrored).is_some_and(|end| n <= end)
}
