//! One test for a row of the table, and the rules of who is who.

use std::time::Duration;

mod adopt;
mod ask;
mod release;
mod renew;
mod tokens;

use super::*;
use crate::{
    controller::{
        fixtures::{SETTLED, World, asked, remote, world},
        fold::{Outcome, Reply},
        observed::RevokeTry,
    },
    crd::{ATTEMPT_ANNOTATION, PostOutcome},
    poller::{Sight, Snapshot},
};

const SECOND: Duration = Duration::from_secs(1);

fn lost() -> (World, Nonce) {
    let mut world = world();
    let nonce = world.ask(|_| Reply::Lost);
    (world, nonce)
}

fn stray(world: &mut World, id: &str, byte: u8) {
    let nonce = Nonce::new("uid-1", [byte; crate::marker::RANDOM_BYTES]);
    come_across(world, id, &nonce);
}

/// A sweep comes across a live request that bears this nonce.
fn come_across(world: &mut World, id: &str, nonce: &Nonce) {
    let request = remote(id, "Active", nonce);
    let mark = crate::marker::Mark::parse(request.justification.as_deref().unwrap()).unwrap();
    let api = crate::crd::RemoteApi::UserV4;
    let snapshot = Snapshot::new(request.clone(), api, world.now);
    world.observed.view.strays.push((mark, snapshot.into()));
    world.see(request);
}
