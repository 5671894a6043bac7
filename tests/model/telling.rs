//! How a trace is told.

use apono_operator::controller::plan::Step;

use crate::{
    moves::{Happens, Move},
    world::{Came, Desk, Stage, World, id},
};

/// A line of a trace: what happens, and what the world is then.
pub fn line(one: Happens, world: &World) -> String {
    let remotes: Vec<_> = world
        .remotes
        .iter()
        .enumerate()
        .map(|(index, remote)| {
            let post = remote.post.map_or("?".to_owned(), |post| post.to_string());
            let state = remote.state.as_str();
            format!("{}={state}/post {post}", id(index))
        })
        .collect();
    let desks: Vec<_> = world.desks().map(of_desk).collect();
    format!(
        "{:>5} s  {:<28} {} | {}",
        world.now,
        name(one, world),
        desks.join(" | "),
        remotes.join(" ")
    )
}

/// What happens, and to which of two.
pub fn name((desk, one): Happens, world: &World) -> String {
    let is_shared = matches!(
        one,
        Move::Sweep
            | Move::Crash
            | Move::TakeOver(_)
            | Move::Arrive(_)
            | Move::Vanish(_)
            | Move::Remote(..)
            | Move::Tick
    );
    match world.other {
        Some(_) if !is_shared => format!("{}: {one:?}", if desk == 0 { "a" } else { "b" }),
        _ => format!("{one:?}"),
    }
}

/// The steps of the passes under way.
pub fn planned(world: &World) -> impl Iterator<Item = &'static str> {
    let passes = world.desks().filter_map(|desk| desk.operator.pass.as_ref());
    passes.filter_map(|pass| match &*pass.step {
        Step::Wait | Step::Delete => None,
        Step::Restore(_) => Some("restore"),
        Step::Create { .. } => Some("create"),
        Step::Again { .. } => Some("again"),
        Step::Latch(_) => Some("latch"),
        Step::Revoke { .. } => Some("revoke"),
        Step::HandOver(_) => Some("hand over"),
        Step::Release => Some("release"),
    })
}

fn of_desk(desk: &Desk) -> String {
    let object = match &desk.object {
        None => "no object".to_owned(),
        Some(object) => {
            let status = object.resource.status.clone().unwrap_or_default();
            let deleting = if object.is_deleting() {
                " deleting"
            } else {
                ""
            };
            let reason = status.reason.unwrap_or_default();
            let known: Vec<_> = status.requests.iter().map(|one| one.id.clone()).collect();
            format!("{}{deleting} {reason} {known:?}", object.uid())
        }
    };
    let pass = desk.operator.pass.as_ref();
    let pass = pass.map_or(String::new(), |pass| match (&pass.stage, &*pass.step) {
        (Stage::Planned, Step::Create { .. }) => ", create planned".to_owned(),
        (Stage::Planned, Step::Again { of, .. }) => format!(", again of {of} planned"),
        (Stage::Planned, Step::Latch(_)) => ", latch planned".to_owned(),
        (Stage::Planned, Step::Restore(_)) => ", restore planned".to_owned(),
        (Stage::Planned, step) => format!(", {step:?} planned"),
        (Stage::Marked(post), _) => format!(", POST {post} marked"),
        (Stage::Done(_, Came::Nothing), _) => ", to report".to_owned(),
        (Stage::Done(_, came), _) => format!(", {came:?}, to report"),
    });
    object + &pass
}
