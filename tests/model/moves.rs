//! What can happen next in a world, and what the world is then.
//!
//! # What is left out because it changes nothing
//! A pass works with what it has seen: what the remote does meanwhile is as if it had done it just
//! before, so it moves between passes only. A write of our own is shown by the watch at once, since no
//! pass begins before. Where nobody can touch the object any more, the next write of a pass comes at
//! once, unless it can go in more than one way.
//!
//! The passes of two resources meet nowhere but at the remote, which either sees only between passes:
//! in which order their writes come matters to a crash alone, which takes both. So one begins while
//! the other is under way only as long as a crash may still come.

use apono_client::State;
use apono_operator::controller::plan::Step;

use crate::{
    config::{Act, Config},
    operator::{self, Answer, Fate},
    people, replicas,
    view::observe,
    world::{Came, Desk, Object, Stage, World},
};

/// At which desk something happens, and what. What is shared happens at the first.
pub type Happens = (u8, Move);

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The watch shows the object as it stands.
    Watch,
    /// The poller reads everything.
    Sweep,
    /// A pass begins.
    Begin,
    /// The pass writes its mark, its latch, or what was dropped.
    Mark,
    /// The pass sends its POST.
    Send(Fate),
    /// The pass sends its revoke.
    Revoke(Answer),
    /// The pass takes the finalizer off.
    Release,
    /// The pass writes the status.
    Persist,
    /// The process dies and starts anew.
    Crash,
    /// Another replica takes over, which has seen all there is, or not the last change.
    TakeOver(Seen),
    /// What the replica before had under way lands.
    Land,
    /// The pass stands still for longer than a mark is valid.
    Stall,
    /// A POST whose answer was given up arrives.
    Arrive(usize),
    /// It never does.
    Vanish(usize),
    /// A remote request moves by itself.
    Remote(usize, Turn),
    /// A person acts on the object.
    Person(Act),
    /// The clock moves on to the next moment that matters.
    Tick,
}

/// What the watch has shown to whoever takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    All,
    NotTheLast,
}

/// How a remote request moves by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Approve,
    Reject,
    /// Granting fails, and nothing was granted.
    Fail,
    /// Granting fails, and some of it was granted.
    FailInPart,
    /// Its time is over.
    Expire,
    /// Somebody takes it back.
    Outside,
    /// What was asked to go is gone.
    Gone,
    /// What was asked to go did not.
    Stuck,
}

/// Everything that can happen next.
pub fn all(world: &World, config: &Config) -> Vec<Happens> {
    let desks: Vec<_> = world.desks().map(|desk| desk.number).collect();
    if let Some(forced) = world.desks().find_map(|desk| forced(world, desk)) {
        return vec![forced];
    }
    let mut all = Vec::new();
    for desk in desks {
        let focused = world.focused(desk);
        let mut moves = Vec::new();
        of_the_operator(&focused, config, &mut moves);
        let acts = people::possible(&focused, config).into_iter();
        moves.extend(acts.map(Move::Person));
        all.extend(moves.into_iter().map(|one| (desk, one)));
    }
    let shared = of_all(world).into_iter().map(|one| (0, one));
    all.extend(shared);
    all
}

/// What happens to both resources alike.
fn of_all(world: &World) -> Vec<Move> {
    let mut moves = Vec::new();
    let budget = &world.budget;
    let is_idle = world.is_idle();
    if budget.can(budget.takeovers) {
        moves.push(Move::TakeOver(Seen::All));
        if world.desks().any(|desk| desk.before.is_some()) {
            moves.push(Move::TakeOver(Seen::NotTheLast));
        }
    }
    // Before the first write of a pass, a crash is one before the pass.
    let has_written = |desk: &Desk| {
        let pass = desk.operator.pass.as_ref();
        let is_before =
            |stage: &Stage| matches!(stage, Stage::Planned | Stage::Done(_, Came::Nothing));
        pass.is_some_and(|pass| !is_before(&pass.stage))
    };
    if budget.can(budget.crashes) && (is_idle || world.desks().any(has_written)) {
        moves.push(Move::Crash);
    }
    if is_idle {
        moves.push(Move::Sweep);
        of_the_remote(world, &mut moves);
    }
    if budget.ticks > 0 && is_idle && next_moment(world).is_some() {
        moves.push(Move::Tick);
    }
    moves
}

/// The one write that comes next, where nothing can come between that would change it.
fn forced(world: &World, desk: &Desk) -> Option<Happens> {
    let pass = desk
        .operator
        .pass
        .as_ref()
        .filter(|_| is_undisturbed(world, desk))?;
    let forced = match (&pass.stage, &*pass.step) {
        (Stage::Done(_, Came::Nothing), _) => Some(Move::Persist),
        (Stage::Planned, Step::Release | Step::HandOver(_)) => Some(Move::Release),
        (
            Stage::Planned,
            Step::Create { .. } | Step::Again { .. } | Step::Latch(_) | Step::Restore(_),
        ) => Some(Move::Mark),
        _ => None,
    };
    forced.map(|one| (desk.number, one))
}

/// Whether nobody else can touch the object, now or later.
fn is_undisturbed(world: &World, desk: &Desk) -> bool {
    world.budget.acts == 0 && world.budget.takeovers == 0 && desk.sleeper.is_none()
}

fn of_the_operator(world: &World, config: &Config, moves: &mut Vec<Move>) {
    let budget = &world.budget;
    let version = |one: &Option<Object>| one.as_ref().map(|one| one.version);
    if !world.desk.is_watched() {
        moves.push(Move::Watch);
    }
    if world.desk.sleeper.is_some() {
        moves.push(Move::Land);
    }
    let Some(pass) = &world.desk.operator.pass else {
        let is_fresh = version(&world.desk.cache) >= Some(world.desk.operator.written);
        if is_fresh && (world.is_idle() || budget.can(budget.crashes)) {
            moves.push(Move::Begin);
        }
        return;
    };
    let can_lose = budget.can(budget.losses);
    match (&pass.stage, &*pass.step) {
        (Stage::Done(..), _) => moves.push(Move::Persist),
        (Stage::Marked(_), _) => {
            if operator::is_late(world, pass) {
                moves.push(Move::Send(Fate::NotSent));
                return;
            }
            if budget.can(budget.stalls) {
                moves.push(Move::Stall);
            }
            moves.extend(fates(world, config).into_iter().map(Move::Send));
        }
        (Stage::Planned, Step::Revoke { .. }) => {
            moves.push(Move::Revoke(Answer::Accepted));
            if can_lose {
                moves.push(Move::Revoke(Answer::Unheard));
                moves.push(Move::Revoke(Answer::Lost));
            }
        }
        (Stage::Planned, Step::Release | Step::HandOver(_)) => moves.push(Move::Release),
        (Stage::Planned, Step::Delete | Step::Wait) => {}
        (
            Stage::Planned,
            Step::Create { .. } | Step::Again { .. } | Step::Latch(_) | Step::Restore(_),
        ) => moves.push(Move::Mark),
    }
}

fn fates(world: &World, config: &Config) -> Vec<Fate> {
    let budget = &world.budget;
    let can_lose = budget.can(budget.losses);
    let mut fates = Vec::new();
    for size in 1..=config.array {
        fates.push(Fate::Made(size, false));
        if can_lose {
            fates.push(Fate::MadeUnheard(size, false));
            fates.push(Fate::MadeLater(size));
        }
        if budget.can(budget.lags) {
            fates.push(Fate::Made(size, true));
        }
        if can_lose && budget.lags > 0 && budget.faults > 1 {
            fates.push(Fate::MadeUnheard(size, true));
        }
    }
    if can_lose {
        fates.extend([Fate::NotMade, Fate::NotSent, Fate::Empty(0), Fate::Empty(1)]);
    }
    if budget.failures > 0 {
        fates.push(Fate::Refused);
    }
    fates
}

fn of_the_remote(world: &World, moves: &mut Vec<Move>) {
    let budget = &world.budget;
    for index in 0..world.flights.len() {
        moves.extend([Move::Arrive(index), Move::Vanish(index)]);
    }
    for (index, remote) in world.remotes.iter().enumerate() {
        if remote.post.is_none() {
            continue;
        }
        let mut can = |turn| moves.push(Move::Remote(index, turn));
        match remote.state {
            State::Pending => {
                can(Turn::Approve);
                if budget.failures > 0 {
                    can(Turn::Reject);
                    can(Turn::Fail);
                    can(Turn::FailInPart);
                }
            }
            State::Active => {
                if remote.ends <= world.now {
                    can(Turn::Expire);
                }
                if budget.outside > 0 {
                    can(Turn::Outside);
                }
            }
            State::Revoking => {
                can(Turn::Gone);
                if budget.failures > 0 {
                    can(Turn::Stuck);
                }
            }
            _ => {}
        }
    }
}

/// The next moment that matters, if the clock has one.
pub fn next_moment(world: &World) -> Option<i64> {
    if !world.flights.is_empty() {
        // It arrives or vanishes before it may not any more.
        return None;
    }
    let now = world.now;
    let shown = world.remotes.iter().map(|one| one.shown);
    let live = world
        .remotes
        .iter()
        .filter(|one| one.state == State::Active);
    let ends = live
        .map(|one| one.ends)
        .filter(|end| *end < operator::ENDLESS);
    // What is to come at once comes without the clock.
    let wakes = world.desks().filter_map(|desk| {
        let wake = operator::begin(&mut world.focused(desk.number));
        wake.map(|wait| now.saturating_add(wait))
    });
    let looks = world
        .desks()
        .filter_map(|desk| operator::conclusive_at(world, desk));
    let moments = shown.chain(ends).chain(wakes).chain(looks);
    let is_near = |moment: &i64| (now + 1..operator::ENDLESS / 2).contains(moment);
    moments.filter(is_near).min()
}

/// The world after a move.
pub fn apply(world: &World, config: &Config, (desk, one): Happens) -> World {
    let mut world = world.focused(desk);
    match one {
        Move::Watch => operator::watch(&mut world),
        Move::Sweep => operator::sweep(&mut world),
        Move::Begin => drop(operator::begin(&mut world)),
        Move::Mark => operator::mark(&mut world),
        Move::Send(fate) => {
            spend(&mut world, fate);
            operator::send(&mut world, fate, config.lag);
        }
        Move::Revoke(answer) => {
            if answer != Answer::Accepted {
                world.budget.losses -= 1;
                world.budget.faults -= 1;
            }
            operator::revoke(&mut world, answer);
        }
        Move::Release => operator::release(&mut world),
        Move::Persist => operator::persist(&mut world),
        Move::Crash => {
            world.budget.crashes -= 1;
            world.budget.faults -= 1;
            operator::crash(&mut world);
        }
        Move::TakeOver(seen) => {
            world.budget.takeovers -= 1;
            world.budget.faults -= 1;
            replicas::take_over(&mut world, config, seen);
        }
        Move::Land => replicas::land(&mut world),
        Move::Stall => {
            world.budget.stalls -= 1;
            world.budget.faults -= 1;
            world.now += 6;
        }
        Move::Arrive(index) => {
            let flight = world.flights.remove(index);
            operator::make(&mut world, flight.post, flight.size, 0);
        }
        Move::Vanish(index) => drop(world.flights.remove(index)),
        Move::Remote(index, turn) => remote(&mut world, index, turn),
        Move::Person(act) => {
            world.budget.acts -= 1;
            people::act(&mut world, config, act);
        }
        Move::Tick => {
            world.budget.ticks = world.budget.ticks.saturating_sub(1);
            world.now = next_moment(&world).unwrap_or(world.now);
        }
    }
    world.focus(0);
    world
}

fn spend(world: &mut World, fate: Fate) {
    let is_late = world.desk.operator.pass.as_ref();
    let is_late = is_late.is_some_and(|pass| operator::is_late(world, pass));
    let budget = &mut world.budget;
    let (losses, lags) = match fate {
        Fate::Made(_, is_lagging) => (0, u8::from(is_lagging)),
        Fate::MadeUnheard(_, is_lagging) => (1, u8::from(is_lagging)),
        Fate::MadeLater(_) | Fate::NotMade | Fate::Empty(_) => (1, 0),
        // Where the mark has become too old, nothing else can be.
        Fate::NotSent => (u8::from(!is_late), 0),
        Fate::Refused => {
            budget.failures -= 1;
            (0, 0)
        }
    };
    budget.losses = budget.losses.saturating_sub(losses);
    budget.lags = budget.lags.saturating_sub(lags);
    budget.faults = budget.faults.saturating_sub(losses + lags);
}

fn remote(world: &mut World, index: usize, turn: Turn) {
    let remote = &mut world.remotes[index];
    let budget = &mut world.budget;
    (remote.state, remote.access) = match turn {
        Turn::Approve => (State::Active, true),
        Turn::Reject => (State::Rejected, false),
        Turn::Expire | Turn::Gone | Turn::Outside => (State::Revoked, false),
        Turn::Fail => (State::Failed, false),
        Turn::FailInPart | Turn::Stuck => (State::Failed, true),
    };
    match turn {
        Turn::Reject | Turn::Fail | Turn::FailInPart | Turn::Stuck => budget.failures -= 1,
        Turn::Outside => budget.outside -= 1,
        Turn::Approve | Turn::Expire | Turn::Gone => {}
    }
}

/// Whether the operator would see anything new by looking once more.
pub fn is_blind(world: &World) -> bool {
    let mut seen = world.clone();
    operator::sweep(&mut seen);
    let is_due = |desk: &Desk| {
        let look = desk.operator.knowledge.look;
        operator::conclusive_at(world, desk)
            .is_some_and(|at| at <= world.now && look.is_none_or(|look| look < at))
    };
    let mut pairs = world.desks().zip(seen.desks());
    pairs.any(|(desk, seen)| {
        let (before, after) = (&desk.operator.knowledge, &seen.operator.knowledge);
        is_due(desk) || before.readings != after.readings
    })
}

/// What the operator would observe now of an object.
pub fn observed_now(
    world: &World,
    desk: &Desk,
    object: &Object,
) -> apono_operator::controller::observed::Observed {
    let operator = &desk.operator;
    observe(
        world,
        object,
        &operator.knowledge,
        &operator.memory,
        world.now,
    )
}
