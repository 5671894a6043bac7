//! One turn of the benchmark: a fresh cluster, a simulated remote, one operator, load from outside.
//!
//! Judged before it is measured: a turn with a duplicate, something left live or something stuck
//! has no figures that count. Everything is counted by others than the operator: calls by the
//! remote, writes by the apiserver's audit log, memory and processor time by the process table.
//!
//! `cargo xtask bench` builds all of it, gives each turn a fresh control plane, and keeps the
//! results; this program alone needs `KUBECONFIG` and `APONO_TEST_AUDIT_LOG` of one.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `turn.rs` | what is done in a turn, in order |
//! | `load.rs` | the writers, and the watch that sees what becomes of their objects |
//! | `subject.rs` | the operator under test, as a file describes it: a peer is another file |
//! | `remote.rs` | the simulated remote |
//! | `programs.rs` | programs: start, end, what the process table says of them |
//! | `flames.rs` | where the operator spends its time |
//! | `audit.rs` | the apiserver's audit log |
//! | `results.rs` | what a turn gives |
//! | `report.rs`, `chart.rs` | the page and the pictures of many turns |

mod audit;
mod bare;
mod chart;
mod flames;
mod load;
mod programs;
mod remote;
mod report;
mod results;
mod subject;
mod turn;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::turn::Plan;

#[derive(Parser)]
#[command(version, about)]
struct Command {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run one turn and print its result as JSON.
    Turn(Plan),
    /// Write the page and the pictures of the results in a folder.
    Report {
        /// The folder with `results.json`.
        folder: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Command::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("apono-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command.task {
        Task::Turn(plan) => {
            let result = turn::run(&plan).await?;
            println!("{}", serde_json::to_string(&result)?);
            Ok(())
        }
        Task::Report { folder } => report::write(&folder),
    }
}
