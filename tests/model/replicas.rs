//! Two replicas: one loses its lease, at any time of a pass, and another takes over. In place of
//! `shards/fence.rs`: what the one before had under way may land, and after that it does nothing.

use apono_operator::{controller::plan::Step, crd::AccessRequest};

use crate::{
    config::{Config, Sleep},
    moves::Seen,
    operator::{self, Answer, Fate, folded, is_unchanged},
    view::SETTLED,
    world::{Desk, Flight, Operator, Pass, Stage, World},
};

/// Another replica has the lease now. It knows of the object what its watch has shown.
pub fn take_over(world: &mut World, config: &Config, seen: Seen) {
    let now = world.now;
    let mut flights = Vec::new();
    let others = world.other.as_deref_mut();
    for desk in std::iter::once(&mut world.desk).chain(others) {
        let before = std::mem::take(&mut desk.operator);
        desk.sleeper = before.pass;
        if config.sleep == Sleep::OnTheWire {
            flights.extend(put_on_the_wire(desk, now, &world.posts));
        }
        desk.cache = match seen {
            Seen::All => desk.object.clone(),
            Seen::NotTheLast => desk.before.clone().or_else(|| desk.object.clone()),
        };
        desk.operator = Operator::default();
    }
    for flight in &flights {
        world.posts[flight.post].is_sent = true;
    }
    world.flights.extend(flights);
}

/// A POST that has left, if its mark was still valid, arrives within the deadline of its call.
fn put_on_the_wire(desk: &mut Desk, now: i64, posts: &[crate::world::Post]) -> Option<Flight> {
    let pass = desk.sleeper.as_ref()?;
    let Stage::Marked(post) = pass.stage else {
        return None;
    };
    let is_valid = now - pass.at <= operator::MARK_VALID;
    desk.sleeper = None;
    is_valid.then(|| Flight {
        post,
        size: 1,
        by: posts[post].marked + operator::ARRIVES,
    })
}

/// What the replica before had under way lands; the fence lets nothing follow it.
pub fn land(world: &mut World) {
    let Some(pass) = world.desk.sleeper.take() else {
        return;
    };
    match (&pass.stage, &*pass.step) {
        (Stage::Planned, Step::Revoke { .. }) => revoke(world, pass),
        (Stage::Planned, _) => write(world, &pass),
        (Stage::Marked(post), _) => post_late(world, &pass, *post),
        (Stage::Done(..), _) => report(world, &pass),
    }
}

/// By the pass of whoever sleeps, as if it were that of who is at work.
fn in_place<T>(world: &mut World, pass: Pass, act: impl FnOnce(&mut World) -> T) -> T {
    let mut sleeping = Operator {
        uid: pass.object.uid(),
        memory: (*pass.memory).clone(),
        pass: Some(pass),
        ..Operator::default()
    };
    std::mem::swap(&mut world.desk.operator, &mut sleeping);
    let came = act(world);
    world.desk.operator = sleeping;
    came
}

fn revoke(world: &mut World, pass: Pass) {
    in_place(world, pass, |world| {
        operator::revoke(world, Answer::Unheard);
    });
}

/// A POST leaves after all. Within the window it is one like any other.
fn post_late(world: &mut World, pass: &Pass, post: usize) {
    if world.now >= world.posts[post].marked + SETTLED {
        world.late.insert(post);
        world.posts[post].is_sent = true;
        operator::make(world, post, 1, 0);
        return;
    }
    in_place(world, pass.clone(), |world| {
        operator::send(world, Fate::MadeUnheard(1, false), 0);
    });
}

/// A mark, a latch, or the end of the finalizer: on the object as it was, or nowhere. The watch of
/// whoever is at work shows it in its own time.
fn write(world: &mut World, pass: &Pass) {
    if !is_unchanged(world, pass) {
        return;
    }
    let cache = world.desk.cache.clone();
    in_place(world, pass.clone(), |world| match &*pass.step {
        Step::Release | Step::HandOver(_) => operator::release(world),
        _ => operator::mark(world),
    });
    world.desk.cache = cache;
}

/// The status, on the object as it was, or nowhere: it is not read again behind the fence.
fn report(world: &mut World, pass: &Pass) {
    if !is_unchanged(world, pass) {
        return;
    }
    if let Some(status) = folded(world, pass, &pass.object) {
        let mut resource: AccessRequest = (*pass.object.resource).clone();
        resource.status = Some(status);
        world.store(resource);
    }
}
