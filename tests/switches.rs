//! Every value of every switch of the simulated remote, lived through by the operator: asked for,
//! followed, ended or refused, deleted, gone.
//!
//! The list of switches comes from the simulator, so a new one is covered without being named here.
//! The promises are judged by what the remote holds and what the apiserver shows, whatever a switch
//! makes of the life: at most one live answer for each attempt; a resource comes to rest in a row of
//! the table; nothing is stuck; nothing is live after it has gone.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `cases.rs` | the switches with their values, and what makes a difference of them |
//! | `lives.rs` | the lives that are lived under each |
//! | `judge.rs` | where a life may come to rest, and what must be true then |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "switches/cases.rs"]
mod cases;
#[path = "switches/judge.rs"]
mod judge;
#[path = "switches/lives.rs"]
mod lives;
mod support;

use std::{collections::BTreeMap, panic::AssertUnwindSafe, time::Instant};

use apono_simulator::{Config, Simulator, Switches, User};
use futures::{FutureExt as _, StreamExt as _};

use cases::{Case, cases};
use judge::Eyes;
use lives::{Report, Trial};
use support::{Setup, World};

/// So many remotes are lived with at a time: enough to keep two cores busy.
const AT_ONCE: usize = 8;

/// Starts the remote of a case.
fn remote(case: &Case) -> Simulator {
    let mut config = Config::instant();
    let token = "switches-token";
    let user = if case.is_service() {
        User::service(apono_simulator::DEFAULT_USER, token)
    } else {
        User::new(apono_simulator::DEFAULT_USER, token)
    };
    config.users = vec![user];
    config.switches = case.switches();
    Simulator::start(&config).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_keeps_its_promises_under_every_value_of_every_switch() {
    let started = Instant::now();
    let (cases, same) = cases();
    let cases: Vec<_> = cases.into_iter().map(|it| (remote(&it), it)).collect();
    let endpoints: Vec<_> = cases.iter().map(|(remote, _)| remote.url()).collect();
    let setup = Setup::default()
        .setting("RUST_LOG", "info")
        .setting("ALLOWED_ENDPOINTS", &endpoints.join(","));
    let world = World::new(setup).await;
    let eyes = Eyes::new(&world);
    let count = cases.len();
    let trials = cases
        .into_iter()
        .enumerate()
        .map(|(number, (remote, case))| {
            let trial = Trial {
                world: &world,
                eyes: &eyes,
                remote,
                case,
                number,
            };
            // One that fails is told, and the others go on.
            AssertUnwindSafe(trial.run()).catch_unwind()
        });
    let all = futures::stream::iter(trials).buffer_unordered(AT_ONCE);
    let reports = tokio::select! {
        reports = all.collect::<Vec<_>>() => reports,
        () = eyes.watch() => unreachable!("it watches for ever"),
    };
    let failed = reports.iter().filter(|report| report.is_err()).count();
    let reports: Vec<Report> = reports.into_iter().filter_map(Result::ok).collect();
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for end in reports.iter().flat_map(|report| &report.ends) {
        *ends.entry(end).or_default() += 1;
    }
    let yielded: usize = reports.iter().map(|report| report.yielded).sum();
    let lives: usize = ends.values().sum();
    println!(
        "{} switches, {} values in {count} remotes, {lives} lives in {:?}: {ends:?}; {yielded} went \
         only when the remote gave in; {failed} remotes failed",
        Switches::rows().len(),
        count + same,
        started.elapsed()
    );
    assert_eq!(failed, 0, "see above");
    assert!(ends["Active"] > count, "most of it is access: {ends:?}");
    world.end().await;
}
