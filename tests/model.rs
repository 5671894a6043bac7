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
//! stateright would ask for states that are compared and hashed as they are. Ours hold a Kubernetes
//! object and the code's own types, which are neither, and what the code observes is derived from
//! the world in each state. And it proves "in the end" along the paths it happens to walk first,
//! which misses ends that lie behind a state that is known already; here a fair schedule is run from
//! each state, to its end. What is left to write is a breadth first search.
//!
//! # Two resources
//! Some worlds hold two resources of different names. They share the remote, the process and the
//! clock, and their names are so long that their marks differ in nothing but the nonce: what is whose
//! has to be told by that alone.
//!
//! # Two replicas
//! In some worlds another replica takes over at any time of a pass, with what its own watch has shown
//! so far. What the one before had sent, a write to the API server too, may land at any time after, or
//! never; past the fence it begins nothing. In the worst of them its POST leaves when it wakes.
//!
//! # Bounds
//! `MODEL=small` (the default), `sample` or `full`. Each configuration bounds how often each thing
//! happens in one trace; within that the search is exhaustive unless it says that it was cut. What
//! each is for stands in `configurations.rs`. With its counts each says which steps its passes took:
//! what is not among them was not put to the test there.

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
#[path = "model/configurations.rs"]
mod configurations;
#[path = "model/credentials.rs"]
mod credentials;
#[path = "model/fair.rs"]
mod fair;
#[path = "model/moves.rs"]
mod moves;
#[path = "model/operator.rs"]
mod operator;
#[path = "model/people.rs"]
mod people;
#[path = "model/properties.rs"]
mod properties;
#[path = "model/replicas.rs"]
mod replicas;
#[path = "model/search.rs"]
mod search;
#[path = "model/telling.rs"]
mod telling;
#[path = "model/view.rs"]
mod view;
#[path = "model/world.rs"]
mod world;

use std::time::Instant;

use config::{Config, Sleep};
use configurations::{
    ARRAYS, BASE, BEYOND, COPIED, COPIED_LIVE, OVERSLEPT, PAIR, PAIR_LIVE, PAIR_PEOPLE, PEOPLE,
    PEOPLE_CRASH, REMOTE, RENEWAL, SECOND, STALLED, TAKEN_OVER, TAKEN_OVER_LIVE, TIMEOUT,
};
use search::{Limits, Report, search};

fn holds(config: &Config) {
    let (faults, limits) = bounds();
    let mut config = *config;
    // A create that is live twice takes an answer that is lost and a list that is late.
    let faults = faults.max(if config.is_beyond_the_window() { 2 } else { 0 });
    config.budget.faults = config.budget.faults.min(faults);
    let started = Instant::now();
    match search(&config, limits) {
        Ok(report) => {
            println!("{}", line(&config, &report, started));
            let is_tested = report.late > 0 || config.sleep == Sleep::OnTheWire;
            assert!(is_tested, "no POST was late: nothing was put to the test");
        }
        Err(violation) => panic!("{}", violation.0),
    }
}

/// How far this run goes: how many faults a trace may have, and how many states are looked at.
fn bounds() -> (u8, Limits) {
    let bound = std::env::var("MODEL").unwrap_or_default();
    let (faults, states) = match bound.as_str() {
        "" | "small" => (1, 2_500),
        "sample" => (1, 10_000),
        "full" => (3, 250_000),
        other => panic!("MODEL is small, sample or full, not `{other}`"),
    };
    let states = std::env::var("MODEL_STATES").map_or(states, |one| one.parse().unwrap());
    (faults, Limits { states, every: 1 })
}

/// What `cargo xtask prove` shows: one line for each configuration.
fn line(config: &Config, report: &Report, started: Instant) -> String {
    let extent = if report.is_whole { "whole" } else { "cut" };
    let steps: Vec<_> = report.steps.iter().copied().collect();
    format!(
        "proved: model: {}: {} states, {} moves, {} deep, {} fair runs, {extent}, {:.0?} ({})",
        config.name,
        report.states,
        report.moves,
        report.depth,
        report.fair_runs,
        started.elapsed(),
        steps.join(", "),
    )
}

#[test]
fn a_lost_answer_and_a_crash_never_ask_twice() {
    holds(&BASE);
}

#[test]
fn all_of_an_array_are_adopted_and_taken_back() {
    holds(&ARRAYS);
}

#[test]
fn what_fails_or_is_revoked_by_others_comes_to_an_end() {
    holds(&REMOTE);
}

#[test]
fn what_people_ask_for_is_done_once() {
    holds(&PEOPLE);
}

#[test]
fn an_object_applied_again_takes_over_what_is_live_and_nothing_of_others() {
    holds(&SECOND);
}

#[test]
fn a_renewal_is_asked_for_once() {
    holds(&RENEWAL);
}

#[test]
fn what_nobody_approves_in_time_is_cancelled() {
    holds(&TIMEOUT);
}

#[test]
fn beyond_the_settle_window_the_second_create_is_taken_back() {
    holds(&BEYOND);
}

#[test]
fn a_mark_that_became_too_old_sends_nothing() {
    holds(&STALLED);
}

#[test]
fn two_resources_never_touch_what_is_of_the_other() {
    holds(&PAIR);
    holds(&PAIR_LIVE);
}

#[test]
fn what_is_done_to_one_of_two_resources_leaves_the_other() {
    holds(&PAIR_PEOPLE);
}

#[test]
fn what_people_ask_for_survives_faults() {
    holds(&PEOPLE_CRASH);
}

#[test]
fn a_resource_copied_under_another_name_takes_nothing_over() {
    holds(&COPIED);
    holds(&COPIED_LIVE);
}

#[test]
fn a_replica_that_takes_over_finds_what_the_one_before_had_under_way() {
    holds(&TAKEN_OVER);
    holds(&TAKEN_OVER_LIVE);
}

#[test]
fn what_a_replica_sends_after_its_sleep_is_taken_back() {
    holds(&OVERSLEPT);
}

#[test]
fn credentials_are_consumed_once_for_each_reset() {
    let (faults, _) = bounds();
    let started = Instant::now();
    let bounds = |crashes, losses, others, persons| credentials::Bounds {
        crashes,
        losses,
        others,
        persons,
        ticks: 2,
    };
    let all = if faults > 1 {
        vec![bounds(1, 1, 1, 1)]
    } else {
        vec![
            bounds(1, 0, 1, 0),
            bounds(1, 0, 0, 1),
            bounds(0, 1, 1, 0),
            bounds(0, 1, 0, 1),
        ]
    };
    for bounds in all {
        match credentials::search(bounds) {
            Ok((states, moves)) => println!(
                "proved: model: credentials, {bounds:?}: {states} states, {moves} moves, \
                 {states} fair runs, whole, {:.0?}",
                started.elapsed(),
            ),
            Err(violation) => panic!("{violation}"),
        }
    }
}
