//! What can happen next in a world, and what the world is then.
//!
//! # What is left out because it changes nothing
//! A pass works with what it has seen: what the remote does meanwhile is as if it had done it just
//! before, so it moves between passes only. A write of our own is shown by the watch at once, since no
//! pass begins before. Where nobody can touch the object any more, the next write of a pass comes at
//! once, unless it can go in more than one way.

use apono_client::State;
use apono_operator::{
    controller::plan::Step,
    crd::{
        ATTEMPT_ANNOTATION, Access, AccessRequest, AccessRequestSpec, DurationText, FINALIZER,
        REQUEST_AGAIN_ANNOTATION, REVOKE_ANNOTATION, Renewal,
    },
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::{
    config::{Act, Config},
    operator::{self, Answer, Fate},
    view::observe,
    world::{Came, Object, Remote, Stage, World, id, moment},
};

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

/// A fresh world: the object was just applied.
pub fn start(config: &Config) -> World {
    let mut world = World {
        now: 0,
        object: None,
        cache: None,
        versions: 0,
        resources: 0,
        exported: None,
        released: std::collections::BTreeSet::default(),
        owed: std::collections::BTreeSet::default(),
        tampered: std::collections::BTreeSet::default(),
        line: 0,
        is_endless: !config.renewal,
        posts: Vec::new(),
        remotes: Vec::new(),
        flights: Vec::new(),
        operator: crate::world::Operator::default(),
        budget: config.budget,
        violation: None,
    };
    if config.foreign {
        world.remotes.push(Remote {
            post: None,
            state: State::Active,
            access: true,
            shown: 0,
            ends: operator::ENDLESS,
        });
    }
    apply_manifest(&mut world, config, None);
    world
}

fn apply_manifest(world: &mut World, config: &Config, record: Option<String>) {
    let spec = AccessRequestSpec {
        access: Access {
            bundle: Some("prod-read".to_owned()),
            ..Access::default()
        },
        renewal: config.renewal.then(|| Renewal {
            before: DurationText("2m".to_owned()),
            max_renewals: 1,
            justification: None,
        }),
        pending_timeout: config
            .pending_timeout
            .then(|| DurationText("1m".to_owned())),
        ..AccessRequestSpec::default()
    };
    let mut resource = AccessRequest::new("orders-read", spec);
    world.resources += 1;
    resource.metadata.namespace = Some("payments".to_owned());
    resource.metadata.uid = Some(format!("uid-{}", world.resources));
    resource.metadata.generation = Some(1);
    if let Some(record) = record {
        resource
            .annotations_mut()
            .insert(ATTEMPT_ANNOTATION.to_owned(), record);
    } else {
        world.line = world.resources;
    }
    world.store(resource);
}

/// Everything that can happen next.
pub fn all(world: &World, config: &Config) -> Vec<Move> {
    let mut moves = Vec::new();
    if let Some(forced) = forced(world) {
        return vec![forced];
    }
    of_the_operator(world, config, &mut moves);
    if world.operator.pass.is_none() {
        of_the_remote(world, &mut moves);
    }
    of_people(world, config, &mut moves);
    let budget = &world.budget;
    let is_idle = world.operator.pass.is_none();
    if budget.ticks > 0 && is_idle && next_moment(world).is_some() {
        moves.push(Move::Tick);
    }
    moves
}

/// The one write that comes next, where nothing can come between that would change it.
fn forced(world: &World) -> Option<Move> {
    let pass = world
        .operator
        .pass
        .as_ref()
        .filter(|_| world.budget.acts == 0)?;
    match (&pass.stage, &*pass.step) {
        (Stage::Done(_, Came::Nothing), _) => Some(Move::Persist),
        (Stage::Planned, Step::Release | Step::HandOver(_)) => Some(Move::Release),
        (
            Stage::Planned,
            Step::Create { .. } | Step::Again { .. } | Step::Latch(_) | Step::Restore(_),
        ) => Some(Move::Mark),
        _ => None,
    }
}

fn of_the_operator(world: &World, config: &Config, moves: &mut Vec<Move>) {
    let budget = &world.budget;
    let version = |one: &Option<Object>| one.as_ref().map(|one| one.version);
    if version(&world.cache) != version(&world.object) {
        moves.push(Move::Watch);
    }
    let Some(pass) = &world.operator.pass else {
        moves.push(Move::Sweep);
        if version(&world.cache) >= Some(world.operator.written) {
            moves.push(Move::Begin);
        }
        if budget.can(budget.crashes) {
            moves.push(Move::Crash);
        }
        return;
    };
    // Before the first write of a pass, a crash is one before the pass.
    let has_written = !matches!(pass.stage, Stage::Planned | Stage::Done(_, Came::Nothing));
    if has_written && budget.can(budget.crashes) {
        moves.push(Move::Crash);
    }
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

fn of_people(world: &World, config: &Config, moves: &mut Vec<Move>) {
    if world.budget.acts == 0 {
        return;
    }
    for act in config.acts {
        let object = world.object.as_ref();
        let annotation =
            |name: &str| object.is_some_and(|o| o.resource.annotations().contains_key(name));
        let is_held = object.is_some_and(|o| !o.resource.finalizers().is_empty());
        let is_possible = match act {
            Act::Delete => object.is_some_and(|one| !one.is_deleting()),
            Act::Revoke => object.is_some() && !annotation(REVOKE_ANNOTATION),
            Act::Again => object.is_some() && !annotation(REQUEST_AGAIN_ANNOTATION),
            Act::Suspend => object.is_some(),
            Act::DropRecord => annotation(ATTEMPT_ANNOTATION),
            Act::Strip => is_held,
            Act::Reapply => object.is_none() && world.resources < 2,
            Act::Restore => object.is_none() && world.resources < 2 && world.exported.is_some(),
        };
        if is_possible {
            moves.push(Move::Person(*act));
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
    let mut copy = world.clone();
    let wake = operator::begin(&mut copy);
    // What is to come at once comes without the clock.
    let wake = wake.map(|wait| now.saturating_add(wait));
    let moments = shown
        .chain(ends)
        .chain(wake)
        .chain(operator::conclusive_at(world));
    let is_near = |moment: &i64| (now + 1..operator::ENDLESS / 2).contains(moment);
    moments.filter(is_near).min()
}

/// The world after a move.
pub fn apply(world: &World, config: &Config, one: Move) -> World {
    let mut world = world.clone();
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
            person(&mut world, config, act);
        }
        Move::Tick => {
            world.budget.ticks = world.budget.ticks.saturating_sub(1);
            world.now = next_moment(&world).unwrap_or(world.now);
        }
    }
    world
}

fn spend(world: &mut World, fate: Fate) {
    let is_late = world.operator.pass.as_ref();
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

fn person(world: &mut World, config: &Config, act: Act) {
    match act {
        Act::Reapply => return apply_manifest(world, config, None),
        Act::Restore => {
            let record = world.exported.take();
            return apply_manifest(world, config, record);
        }
        _ => {}
    }
    let Some(object) = world.object.clone() else {
        return;
    };
    let mut resource = (*object.resource).clone();
    let record = resource.annotations().get(ATTEMPT_ANNOTATION).cloned();
    match act {
        Act::Delete => {
            resource.metadata.deletion_timestamp = Some(Time(moment(world.now)));
            world.exported = record.filter(|_| config.acts.contains(&Act::Restore));
        }
        Act::Revoke => set(&mut resource, REVOKE_ANNOTATION),
        Act::Again => set(&mut resource, REQUEST_AGAIN_ANNOTATION),
        Act::Suspend => {
            let is_suspended = resource.spec.suspend == Some(true);
            resource.spec.suspend = (!is_suspended).then_some(true);
            resource.metadata.generation = resource.metadata.generation.map(|one| one + 1);
        }
        Act::DropRecord => {
            resource.annotations_mut().remove(ATTEMPT_ANNOTATION);
            world.tampered.insert(object.uid());
        }
        Act::Strip => {
            let finalizers = resource.metadata.finalizers.get_or_insert_default();
            finalizers.retain(|name| name != FINALIZER);
            world.tampered.insert(object.uid());
        }
        Act::Reapply | Act::Restore => {}
    }
    world.store(resource);
}

fn set(resource: &mut AccessRequest, annotation: &str) {
    resource
        .annotations_mut()
        .insert(annotation.to_owned(), "now".to_owned());
}

/// A line of a trace: what happens, and what the world is then.
pub fn describe(one: Move, world: &World) -> String {
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
    let object = match &world.object {
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
    let pass = world.operator.pass.as_ref();
    let pass = pass.map_or(String::new(), |pass| match (&pass.stage, &*pass.step) {
        (Stage::Planned, Step::Create { .. }) => " | pass: create planned".to_owned(),
        (Stage::Planned, Step::Again { of, .. }) => format!(" | pass: again of {of} planned"),
        (Stage::Planned, Step::Latch(_)) => " | pass: latch planned".to_owned(),
        (Stage::Planned, Step::Restore(_)) => " | pass: restore planned".to_owned(),
        (Stage::Planned, step) => format!(" | pass: {step:?} planned"),
        (Stage::Marked(post), _) => format!(" | pass: POST {post} marked"),
        (Stage::Done(_, Came::Nothing), _) => " | pass: to report".to_owned(),
        (Stage::Done(_, came), _) => format!(" | pass: {came:?}, to report"),
    });
    let what = format!("{one:?}");
    format!(
        "{:>5} s  {what:<28} {object} | {}{pass}",
        world.now,
        remotes.join(" ")
    )
}

/// Whether the operator would see anything new by looking once more.
pub fn is_blind(world: &World) -> bool {
    let mut seen = world.clone();
    operator::sweep(&mut seen);
    let states = |world: &World| -> Vec<_> {
        let readings = world.operator.knowledge.readings.iter();
        readings.map(|(index, state)| (*index, *state)).collect()
    };
    let due = operator::conclusive_at(world).is_some_and(|at| {
        at <= world.now && world.operator.knowledge.look.is_none_or(|look| look < at)
    });
    due || states(&seen) != states(world)
}

/// What the operator would observe now.
pub fn observed_now(
    world: &World,
    object: &Object,
) -> apono_operator::controller::observed::Observed {
    let operator = &world.operator;
    observe(
        world,
        object,
        &operator.knowledge,
        &operator.memory,
        world.now,
    )
}
