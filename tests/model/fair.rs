//! Liveness: from a state on nothing fails any more, everybody does his part, and an end has to
//! come. One fixed schedule, in which a pass comes only when something woke it: a change of the
//! object, of what the poller reads, or the time that the last plan asked for. So a wake that is
//! forgotten shows as a world that stands still before its end.

use std::collections::HashSet;

use apono_client::State;
use apono_operator::controller::{
    latch,
    picture::{Picture, is_live},
    plan::Step,
};

use crate::{
    config::Config,
    moves::{self, Move, Turn, is_blind, observed_now},
    operator::{self, Answer, Fate},
    properties,
    world::{Stage, World, moment},
};

/// No fair run may be longer.
const MOST_MOVES: usize = 1500;

/// Runs the fair schedule. `good` are states known to reach an end, and takes those of this run.
pub fn run(
    from: &World,
    config: &Config,
    good: &mut HashSet<u64>,
) -> Result<(), (String, Vec<Move>)> {
    let mut world = from.clone();
    let mut is_woken = true;
    let mut wake = None;
    let (mut path, mut seen) = (Vec::new(), Vec::new());
    for _ in 0..MOST_MOVES {
        if is_woken && world.operator.pass.is_none() {
            let digest = world.digest();
            if good.contains(&digest) {
                good.extend(seen);
                return Ok(());
            }
            seen.push(digest);
        }
        if let Some(text) = properties::broken(&world, config) {
            return Err((text, path));
        }
        let Some(next) = choose(&world, is_woken, wake) else {
            return match end(&world) {
                None => {
                    good.extend(seen);
                    Ok(())
                }
                Some(text) => Err((text, path)),
            };
        };
        path.push(next);
        match next {
            Move::Begin => {
                is_woken = false;
                let wait = operator::begin(&mut world);
                wake = wait.map(|wait| world.now.saturating_add(wait));
            }
            Move::Tick => {
                let to = next_moment(&world, wake);
                world.now = to.unwrap_or(world.now);
            }
            _ => {
                is_woken |=
                    matches!(next, Move::Watch | Move::Sweep) || world.operator.pass.is_some();
                world = moves::apply(&world, config, next);
            }
        }
    }
    Err(("no end after so many moves".to_owned(), path))
}

fn next_moment(world: &World, wake: Option<i64>) -> Option<i64> {
    let now = world.now;
    let shown = world.remotes.iter().map(|one| one.shown);
    let active = world
        .remotes
        .iter()
        .filter(|one| one.state == State::Active);
    let ends = active
        .map(|one| one.ends)
        .filter(|end| *end < operator::ENDLESS);
    let moments = shown
        .chain(ends)
        .chain(wake)
        .chain(operator::conclusive_at(world));
    moments.filter(|moment| *moment > now).min()
}

fn choose(world: &World, is_woken: bool, wake: Option<i64>) -> Option<Move> {
    if let Some(pass) = &world.operator.pass {
        return Some(match (&pass.stage, &*pass.step) {
            (Stage::Done(..), _) => Move::Persist,
            (Stage::Marked(_), _) if operator::is_late(world, pass) => Move::Send(Fate::NotSent),
            (Stage::Marked(_), _) => Move::Send(Fate::Made(1, false)),
            (Stage::Planned, Step::Revoke { .. }) => Move::Revoke(Answer::Accepted),
            (Stage::Planned, Step::Release | Step::HandOver(_)) => Move::Release,
            (Stage::Planned, _) => Move::Mark,
        });
    }
    let version = |one: &Option<crate::world::Object>| one.as_ref().map(|one| one.version);
    if version(&world.cache) != version(&world.object) {
        return Some(Move::Watch);
    }
    if is_blind(world) {
        return Some(Move::Sweep);
    }
    if is_woken || wake.is_some_and(|at| at <= world.now) {
        return Some(Move::Begin);
    }
    if !world.flights.is_empty() {
        return Some(Move::Arrive(0));
    }
    let turn = world
        .remotes
        .iter()
        .enumerate()
        .find_map(|(index, remote)| {
            let turn = match remote.state {
                State::Pending => Turn::Approve,
                State::Revoking => Turn::Gone,
                State::Active if remote.post.is_some() && remote.ends <= world.now => Turn::Expire,
                _ => return None,
            };
            Some(Move::Remote(index, turn))
        });
    turn.or_else(|| next_moment(world, wake).map(|_| Move::Tick))
}

/// What is missing for an end, in a world where nothing moves any more.
fn end(world: &World) -> Option<String> {
    if let Some(text) = properties::doubled(world, |_| true) {
        return Some(format!("at the end {text}"));
    }
    let Some(object) = &world.object else {
        return None;
    };
    if object.is_deleting() {
        return Some("it stands still, and the object is not gone".to_owned());
    }
    let observed = observed_now(world, object);
    let now = moment(world.now);
    let picture = Picture::of(&object.resource, &observed, now);
    if picture.searching().next().is_some() {
        return Some("it stands still, and an answer is still looked for".to_owned());
    }
    if let Some(one) = picture.live().find(|one| picture.is_twin(one)) {
        return Some(format!("it stands still, and the twin {} is live", one.id));
    }
    let latched = latch::standing(&object.resource, &picture, &observed);
    if let Some(one) = latched.iter().find(|one| is_live(one)) {
        return Some(format!("it stands still, and {} should have ended", one.id));
    }
    let is_asked = !world.posts.is_empty() || object.resource.spec.suspend == Some(true);
    (!is_asked).then(|| "it stands still, and nothing was ever asked".to_owned())
}
