//! The real `plan` and `fold`, through everything that can happen in small worlds.
//!
//! # What is real and what is modelled
//! Every decision is taken by the functions the operator runs: `plan`, `fold`, and what they are
//! made of. Modelled is what surrounds them: the writes of a pass one by one (`operator.rs`), what
//! the poller hands over (`view.rs`), the API server with its versions, its finalizers and a watch
//! that lags, the remote, and people. Not modelled: ids that are not found, other users' tokens, the
//! admin API and requests for somebody else; these have tests of their own.
//!
//! # Why a search of our own
//! stratright would ask for states that are compared and hashed as they are. Ours hold a Kubernetes
//! object and the code's own types, which are neither, and what the code observes is derived from
//! the world in each state. And it proves "in the end" along the paths it happens to walk first,
//! which misses ends that lie behind a state that is known already; here a fair schedule is run from
//! each state, to its end. What is left to write is a breadth first search.
//!
//! # Bounds
//! `MODEL=small` (the default), `sample` or `full`. Each configuration bounds how often each thing
//! happens in one trace; within that the search is exhaustive unless it says that it was cut.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "model/config.rs"]
mod config;
#[path = "model/fair.rs"]
mod fair;
#[path = "model/moves.rs"]
mod moves;
#[path = "model/operator.rs"]
mod operator;
#[path = "model/properties.rs"]
mod properties;
#[path = "model/search.rs"]
mod search;
#[path = "model/view.rs"]
mod view;
#[path = "model/world.rs"]
mod world;

use config::{Act, Budget, Config};
use search::{Limits, search};

const BASE: Config = Config {
    name: "one",
    array: 1,
    lag: 15,
    acts: &[Act::Delete],
    renewal: false,
    pending_timeout: false,
    foreign: false,
    budget: Budget {
        crashes: 1,
        losses: 1,
        lags: 1,
        acts: 1,
        failures: 0,
        outside: 0,
        stalls: 0,
        ticks: 3,
    },
};

fn holds(config: &Config) {
    let limits = Limits {
        states: std::env::var("MODEL_STATES").ok().and_then(|one| one.parse().ok()).unwrap_or(20_000),
        every: 1,
    };
    let started = std::time::Instant::now();
    match search(config, limits) {
        Ok(report) => println!(
            "model {}: {} states, {} moves, depth {}, {} fair runs, {}, {:.1?}",
            config.name,
            report.states,
            report.moves,
            report.depth,
            report.fair_runs,
            if report.is_whole { "whole" } else { "cut" },
            started.elapsed(),
        ),
        Err(violation) => panic!("{}", violation.0),
    }
}

#[test]
fn a_lost_answer_and_a_crash_never_ask_twice() {
    holds(&BASE);
}
