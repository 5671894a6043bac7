//! `cargo xtask prove`: the long proofs, each one invocation of `cargo test` with its bounds in the
//! environment. What a proof counts it prints in lines that begin with `proved: `; they are shown
//! again at the end, together.
//!
//! `--sample` runs the same proofs in fixed, smaller bounds, which are printed; `prove mutations`
//! breaks the code on purpose, see `prove/mutations.rs`.

mod mutations;

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::process::{self, progress::Progress, spoken};
use crate::test::cargo;

/// What every line of counts begins with.
const COUNTED: &str = "proved: ";

/// Which proofs.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    only: Option<Only>,
    /// Fixed, smaller bounds: some minutes in place of an hour.
    #[arg(long)]
    sample: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum Only {
    /// Only the model of `plan` and `fold`.
    Model,
    /// Only the mutations: the code is broken on purpose, and each time a proof has to fail.
    Mutations {
        /// Only those whose name contains this.
        #[arg(default_value = "")]
        name: String,
    },
}

/// One proof: what it is called, what runs it, and its bounds.
struct Proof {
    name: &'static str,
    arguments: &'static [&'static str],
    full: &'static [(&'static str, &'static str)],
    sample: &'static [(&'static str, &'static str)],
    /// Packages that are worth optimizing when it runs in full.
    optimized: &'static [&'static str],
}

const MODEL: Proof = Proof {
    name: "model",
    arguments: &["--package", "apono-operator", "--test", "model"],
    full: &[("MODEL", "full")],
    sample: &[("MODEL", "sample")],
    optimized: &["apono-operator"],
};

const PROOFS: [Proof; 1] = [MODEL];

/// Runs the proofs.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.only {
        Some(Only::Mutations { name }) => mutations::run(name),
        Some(Only::Model) => run_all(&[MODEL], arguments.sample),
        None => {
            let proven = run_all(&PROOFS, arguments.sample)?;
            if arguments.sample {
                return Ok(proven);
            }
            let caught = mutations::run("")?;
            Ok(if proven == ExitCode::SUCCESS {
                caught
            } else {
                proven
            })
        }
    }
}

fn run_all(proofs: &[Proof], is_sample: bool) -> Result<ExitCode> {
    let (mut counts, mut failed) = (Vec::new(), Vec::new());
    for proof in proofs {
        let bounds = if is_sample { proof.sample } else { proof.full };
        let said: Vec<_> = bounds
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        println!(
            "{}: {} cargo test {}",
            proof.name,
            said.join(" "),
            proof.arguments.join(" ")
        );
        let started = Instant::now();
        let mut command = cargo();
        command
            .arg("test")
            .args(proof.arguments)
            .envs(bounds.iter().copied());
        for package in proof.optimized.iter().filter(|_| !is_sample) {
            let profile = format!("profile.dev.package.{package}.opt-level=2");
            command.args(["--config", &profile]);
        }
        command.args(["--", "--nocapture"]);
        let watched = process::watch(&command, Progress::new(proof.name), |line| {
            line.starts_with(COUNTED).then_some("parts")
        })?;
        process::interrupt::check()?;
        counts.extend(counted(&watched.output));
        let time = spoken(started.elapsed());
        if watched.status.success() {
            println!("ok      {} ({time})", proof.name);
        } else {
            println!("{}FAILED  {} ({time})", watched.output, proof.name);
            failed.push(proof.name);
        }
    }
    for line in &counts {
        println!("{line}");
    }
    if failed.is_empty() {
        println!("all {} proofs hold", proofs.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!("failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// The lines of counts, sorted: tests end in any order.
fn counted(output: &str) -> Vec<String> {
    let lines = output.lines().filter_map(|line| line.strip_prefix(COUNTED));
    let mut lines: Vec<_> = lines.map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A `cargo test` in another folder, whose output is kept.
fn tested(mut command: Command, label: &str) -> Result<process::Watched> {
    command.args(["--", "--nocapture"]);
    let watched = process::watch(&command, Progress::new(label), |_| None)?;
    process::interrupt::check()?;
    Ok(watched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_picked_out_of_the_output_in_order() {
        let output = "running 2 tests\nproved: b: 2 states\nproved: a: 1 state\nok\n";
        assert_eq!(counted(output), ["a: 1 state", "b: 2 states"]);
    }
}
