//! Liveness: from a state on nothing fails any more, everybody does his part, and an end has to
//! come. One fixed schedule, in which a pass comes only when something woke it: a change of the
//! object, of what the poller reads, or the time that the last plan asked for. So a wake that is
//! forgotten shows as a world that stands still before its end. And where a deletion had no trouble,
//! nothing of it may be left to a debt.

use std::collections::HashSet;

use apono_client::State;
use apono_operator::controller::{picture::Picture, plan::Step};

use crate::{
    config::Config,
    moves::{self, Happens, Move, Turn, is_blind, observed_now},
    operator::{self, Answer, Fate},
    properties,
    world::{Desk, Pass, Stage, World, moment, second},
};

/// Where nothing fails so soon after a deletion, its deadline is never reached, in seconds.
const SOON: i64 = 30;
/// No fair run may be longer.
const MOST_MOVES: usize = 1500;

/// What wakes the passes of one resource.
#[derive(Clone, Copy, Debug)]
struct Alarm {
    /// Something has changed since the last pass.
    is_woken: bool,
    /// The time that the last plan asked for.
    at: Option<i64>,
}

/// Of both resources, by number.
type Alarms = [Alarm; 2];

/// Runs the fair schedule. `good` are states known to reach an end, and takes those of this run.
pub fn run(
    from: &World,
    config: &Config,
    good: &mut HashSet<u64>,
) -> Result<(), (String, Vec<Happens>)> {
    let mut world = from.clone();
    let mut alarms = [Alarm {
        is_woken: true,
        at: None,
    }; 2];
    let (mut path, mut seen) = (Vec::new(), Vec::new());
    for _ in 0..MOST_MOVES {
        if is_all_woken(&world, &alarms) && world.is_idle() {
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
        let Some(next) = choose(&world, &alarms) else {
            return match end(&world) {
                None => {
                    good.extend(seen);
                    Ok(())
                }
                Some(text) => Err((text, path)),
            };
        };
        if let Some(uid) = given_up(from, &world, next) {
            return Err((format!("{uid} is handed over, and nothing fails"), path));
        }
        path.push(next);
        world = step(world, config, next, &mut alarms);
    }
    Err(("no end after so many moves".to_owned(), path))
}

/// The resource that is handed over, although nothing failed since shortly after its deletion.
fn given_up(from: &World, world: &World, (desk, one): Happens) -> Option<String> {
    let mut desks = world.desks();
    let desk = desks.find(|it| it.number == desk)?;
    let pass = desk
        .operator
        .pass
        .as_ref()
        .filter(|_| one == Move::Release)?;
    let object = matches!(&*pass.step, Step::HandOver(_)).then_some(&pass.object)?;
    let deleted = object.resource.metadata.deletion_timestamp.as_ref()?;
    let is_early = from.now < second(deleted.0) + SOON;
    is_early.then(|| object.uid())
}

/// The world when nothing moves in it any more.
pub fn settled(mut world: World, config: &Config) -> World {
    let mut alarms = [Alarm {
        is_woken: true,
        at: None,
    }; 2];
    for _ in 0..MOST_MOVES {
        let Some(next) = choose(&world, &alarms) else {
            break;
        };
        world = step(world, config, next, &mut alarms);
    }
    world
}

fn is_all_woken(world: &World, alarms: &Alarms) -> bool {
    let mut desks = world.desks();
    desks.all(|desk| alarms[usize::from(desk.number)].is_woken)
}

/// The world after a move, and what it wakes.
fn step(mut world: World, config: &Config, next: Happens, alarms: &mut Alarms) -> World {
    let (desk, one) = next;
    let alarm = &mut alarms[usize::from(desk)];
    match one {
        Move::Begin => {
            world.focus(desk);
            let wait = operator::begin(&mut world);
            world.focus(0);
            *alarm = Alarm {
                is_woken: false,
                at: wait.map(|wait| world.now.saturating_add(wait)),
            };
            world
        }
        Move::Tick => {
            let to = next_moment(&world, alarms);
            world.now = to.unwrap_or(world.now);
            world
        }
        Move::Sweep => {
            for alarm in alarms {
                alarm.is_woken = true;
            }
            moves::apply(&world, config, next)
        }
        _ => {
            let mut desks = world.desks();
            let has_pass = |it: &Desk| it.number == desk && it.operator.pass.is_some();
            alarm.is_woken |= one == Move::Watch || desks.any(has_pass);
            moves::apply(&world, config, next)
        }
    }
}

fn next_moment(world: &World, alarms: &Alarms) -> Option<i64> {
    let now = world.now;
    let shown = world.remotes.iter().map(|one| one.shown);
    let active = world
        .remotes
        .iter()
        .filter(|one| one.state == State::Active);
    let ends = active
        .map(|one| one.ends)
        .filter(|end| *end < operator::ENDLESS);
    let looks = world
        .desks()
        .filter_map(|desk| operator::conclusive_at(world, desk));
    let wakes = alarms.iter().filter_map(|alarm| alarm.at);
    let moments = shown.chain(ends).chain(wakes).chain(looks);
    // What never ends is over only by then, which would hide what should have ended before.
    let is_near = |moment: &i64| (now + 1..operator::ENDLESS / 2).contains(moment);
    moments.filter(is_near).min()
}

/// The next move of a pass.
fn of_pass(world: &World, pass: &Pass) -> Move {
    match (&pass.stage, &*pass.step) {
        (Stage::Done(..), _) => Move::Persist,
        (Stage::Marked(_), _) if operator::is_late(world, pass) => Move::Send(Fate::NotSent),
        (Stage::Marked(_), _) => Move::Send(Fate::Made(1, false)),
        (Stage::Planned, Step::Revoke { .. }) => Move::Revoke(Answer::Accepted),
        (Stage::Planned, Step::Release | Step::HandOver(_)) => Move::Release,
        (Stage::Planned, _) => Move::Mark,
    }
}

fn choose(world: &World, alarms: &Alarms) -> Option<Happens> {
    let at_a_desk = |find: &dyn Fn(&Desk) -> Option<Move>| {
        let mut desks = world.desks();
        desks.find_map(|desk| find(desk).map(|one| (desk.number, one)))
    };
    let of_pass = |desk: &Desk| desk.operator.pass.as_ref().map(|pass| of_pass(world, pass));
    let watch = |desk: &Desk| (!desk.is_watched()).then_some(Move::Watch);
    if let Some(one) = at_a_desk(&of_pass).or_else(|| at_a_desk(&watch)) {
        return Some(one);
    }
    if is_blind(world) {
        return Some((0, Move::Sweep));
    }
    let begin = |desk: &Desk| {
        let alarm = alarms[usize::from(desk.number)];
        let is_due = alarm.is_woken || alarm.at.is_some_and(|at| at <= world.now);
        is_due.then_some(Move::Begin)
    };
    at_a_desk(&begin).or_else(|| Some((0, of_the_rest(world, alarms)?)))
}

/// What comes when the operator is at rest.
fn of_the_rest(world: &World, alarms: &Alarms) -> Option<Move> {
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
    turn.or_else(|| next_moment(world, alarms).map(|_| Move::Tick))
}

/// What is missing for an end, in a world where nothing moves any more.
fn end(world: &World) -> Option<String> {
    if let Some(text) = properties::doubled(world, |_| true) {
        return Some(format!("at the end {text}"));
    }
    world.desks().find_map(|desk| end_of(world, desk))
}

/// What is missing for an end of one resource.
fn end_of(world: &World, desk: &Desk) -> Option<String> {
    let object = desk.object.as_ref()?;
    let uid = object.uid();
    if object.is_deleting() {
        return Some(format!("it stands still, and {uid} is not gone"));
    }
    let observed = observed_now(world, desk, object);
    let now = moment(world.now);
    let picture = Picture::of(&object.resource, &observed, now);
    if picture.searching().next().is_some() {
        return Some(format!(
            "it stands still, and {uid} still looks for an answer"
        ));
    }
    if let Some(one) = picture.live().find(|one| picture.is_twin(one)) {
        return Some(format!("it stands still, and the twin {} is live", one.id));
    }
    if let Some(id) = properties::unended(world, object) {
        return Some(format!("it stands still, and {id} should have ended"));
    }
    let mut posts = world.posts.iter();
    let is_asked = posts.any(|post| post.desk == desk.number);
    let is_asked = is_asked || object.resource.spec.suspend == Some(true);
    (!is_asked).then(|| format!("it stands still, and {uid} never asked"))
}
