//! Every switch, both ways, as a caller sees it. Those only the machine shows are in `machine`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test, in helpers as well"
)]

#[path = "../support/mod.rs"]
mod support;

mod creates;
mod lists;
mod requests;
mod sessions;
mod v3;

use apono_simulator::{Simulator, Switches};
use serde_json::Value;
use support::{Api, OWN};

/// Sets a switch by the name and value a command line would give.
pub(crate) fn set(simulator: &Simulator, name: &str, value: &str) {
    simulator.set_switches(|switches| switches.set(name, value).unwrap());
}

pub(crate) async fn shown(api: &Api, id: &str) -> Value {
    api.get(&format!("{OWN}/{id}")).await.ok()
}

#[test]
fn every_switch_has_a_test_here_or_in_the_machine() {
    let tests = [
        include_str!("creates.rs"),
        include_str!("lists.rs"),
        include_str!("requests.rs"),
        include_str!("sessions.rs"),
        include_str!("v3.rs"),
        include_str!("../machine/moves.rs"),
        include_str!("../machine/ends.rs"),
    ]
    .concat();
    let untested: Vec<_> = Switches::rows()
        .into_iter()
        .map(|row| row.name)
        .filter(|name| {
            let field = format!("{}:", name.replace('-', "_"));
            let changed = field.replace(':', " =");
            !(tests.contains(&format!("\"{name}\""))
                || tests.contains(&field)
                || tests.contains(&changed))
        })
        .collect();
    assert!(untested.is_empty(), "no test for {untested:?}");
}
