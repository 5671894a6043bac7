//! `cargo xtask prove`: the long proofs, each one invocation of `cargo test` with its bounds in the
//! environment. What a proof counts it prints in lines that begin with `proved: `; they are shown
//! again at the end, together.
//!
//! `--sample` runs the model in fixed, smaller bounds, which are printed: of the other proofs
//! `cargo xtask test` runs a sample already, or all there is of them: the suites have no bounds, and
//! are here so that everything that is proven is proven by one command. `prove mutations` breaks the code on purpose, see
//! `prove/mutations.rs`.

mod cluster;
mod mutations;

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::control_plane::{ControlPlane, Which};
use crate::process::{self, progress::Progress, spoken};
use crate::test::{AT_ONCE, THREADS, cargo};
use crate::tools;

/// What every line of counts begins with.
const COUNTED: &str = "proved: ";
/// What the crash proof says of each life, see `tests/crash.rs`.
const LIVED: &str = "well: ";
const LOST: &str = "FAILED: ";

/// Which proofs.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    only: Option<Only>,
    /// Fixed, smaller bounds: some minutes in place of an hour. Of the model; of the other proofs
    /// `cargo xtask test` runs a sample.
    #[arg(long)]
    sample: bool,
    #[command(flatten)]
    which: Which,
}

#[derive(Clone, Debug, Subcommand)]
enum Only {
    /// Only the model of `plan` and `fold`.
    Model,
    /// Only the crashes: the operator dies at every IO it makes, one life for each.
    Crash,
    /// Only the pauses: a replica stands still until another has its lease, and then goes on.
    Pauses,
    /// Only bad objects: all that are made out of the definitions.
    Objects,
    /// Only the suites: networks, faults, restarts, debts, leaks, deputies, switches.
    Suites,
    /// Only bad inputs: what others send, changed many times.
    Inputs,
    /// Only Flux: its own kustomize-controller, built once, drives requests out of a repository.
    Flux,
    /// Only the dashboard, and draw its pictures in `docs/monitoring` anew.
    Dashboard,
    /// Only a real install: the chart in a Kubernetes of one node, started for it. Needs Linux and root,
    /// which is why neither `cargo xtask test` nor CI runs it; minutes, the first time a quarter of an hour.
    Cluster,
    /// Only the images: unpacked, and started by runc against an apiserver. Needs Linux and root.
    Image,
    /// Only the mutations: the code is broken on purpose, and each time a proof has to fail.
    Mutations {
        /// Only those whose name contains this.
        #[arg(default_value = "")]
        name: String,
    },
}

/// One proof: what it is called, what runs it, and its bounds.
#[derive(Clone, Copy)]
struct Proof {
    name: &'static str,
    arguments: &'static [&'static str],
    full: &'static [(&'static str, &'static str)],
    /// Absent where `cargo xtask test` runs the sample, or there is none.
    sample: Option<&'static [(&'static str, &'static str)]>,
    /// Packages that are worth optimizing when it runs in full.
    optimized: &'static [&'static str],
    /// What it needs to run.
    ground: Ground,
}

/// What a proof needs to run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// Nothing.
    Bare,
    /// An apiserver.
    ControlPlane,
    /// A node that runs pods.
    Cluster,
    /// An apiserver, images, and what starts one.
    Images,
}

const MODEL: Proof = Proof {
    name: "model",
    arguments: &["--package", "apono-operator", "--test", "model"],
    full: &[("MODEL", "full")],
    sample: Some(&[("MODEL", "sample")]),
    optimized: &["apono-operator"],
    ground: Ground::Bare,
};

const CRASH: Proof = Proof {
    name: "crash",
    arguments: &["--package", "apono-operator", "--test", "crash"],
    full: &[("APONO_PROVE", "full")],
    sample: None,
    optimized: &[],
    ground: Ground::ControlPlane,
};

const PAUSES: Proof = Proof {
    name: "pauses",
    arguments: &["--package", "apono-operator", "--test", "shards"],
    full: &[("APONO_PAUSES", "200")],
    sample: None,
    optimized: &[],
    ground: Ground::ControlPlane,
};

const OBJECTS: Proof = Proof {
    name: "objects",
    arguments: &["--package", "apono-operator", "--test", "mutations"],
    full: &[("APONO_TEST_ALL_MUTANTS", "1")],
    sample: None,
    optimized: &[],
    ground: Ground::ControlPlane,
};

const INPUTS: Proof = Proof {
    name: "inputs",
    arguments: &["--package", "apono-operator", "--test", "fuzz"],
    full: &[("APONO_PROVE", "full")],
    sample: None,
    optimized: &[],
    ground: Ground::Bare,
};

/// Of a sample there is nothing: the controller alone takes minutes to build.
const FLUX: Proof = Proof {
    name: "flux",
    arguments: &["--package", "apono-operator", "--test", "flux"],
    full: &[],
    sample: None,
    optimized: &[],
    ground: Ground::ControlPlane,
};

/// Apart from the others: it writes pictures.
const DASHBOARD: Proof = Proof {
    name: "dashboard",
    arguments: &["--package", "apono-operator", "--test", "monitoring"],
    full: &[("APONO_WRITE_PICTURES", "1")],
    sample: None,
    optimized: &[],
    ground: Ground::ControlPlane,
};

/// A real install. One test at a time: the operator serves the whole cluster.
const CLUSTER: Proof = Proof {
    name: "cluster",
    arguments: &["--package", "apono-operator", "--test", "cluster"],
    full: &[(THREADS, "1"), ("RUST_BACKTRACE", "0")],
    sample: None,
    optimized: &[],
    ground: Ground::Cluster,
};

/// The images without a node around them.
const IMAGE: Proof = Proof {
    name: "image",
    arguments: &["--package", "apono-operator", "--test", "image"],
    full: &[],
    sample: None,
    optimized: &[],
    ground: Ground::Images,
};

const PROOFS: [Proof; 8] = [MODEL, CRASH, PAUSES, OBJECTS, INPUTS, FLUX, IMAGE, CLUSTER];

/// A test suite without bounds: what `cargo xtask test` runs of it is all there is.
const fn suite(name: &'static str, arguments: &'static [&'static str]) -> Proof {
    Proof {
        name,
        arguments,
        full: &[(THREADS, AT_ONCE)],
        sample: None,
        optimized: &[],
        ground: Ground::ControlPlane,
    }
}

const SUITES: [Proof; 7] = [
    suite(
        "network",
        &["--package", "apono-operator", "--test", "network"],
    ),
    suite(
        "faults",
        &["--package", "apono-operator", "--test", "faults"],
    ),
    suite(
        "restarts",
        &["--package", "apono-operator", "--test", "restarts"],
    ),
    suite("owed", &["--package", "apono-operator", "--test", "owed"]),
    suite("leaks", &["--package", "apono-operator", "--test", "leaks"]),
    suite(
        "deputy",
        &["--package", "apono-operator", "--test", "deputy"],
    ),
    suite(
        "switches",
        &["--package", "apono-operator", "--test", "switches"],
    ),
];

/// Runs the proofs.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let proofs = match &arguments.only {
        Some(Only::Mutations { name }) => return mutations::run(name),
        Some(Only::Model) => vec![MODEL],
        Some(Only::Crash) => vec![CRASH],
        Some(Only::Pauses) => vec![PAUSES],
        Some(Only::Objects) => vec![OBJECTS],
        Some(Only::Inputs) => vec![INPUTS],
        Some(Only::Flux) => vec![FLUX],
        Some(Only::Cluster) => vec![CLUSTER],
        Some(Only::Image) => vec![IMAGE],
        Some(Only::Suites) => SUITES.to_vec(),
        Some(Only::Dashboard) => vec![DASHBOARD],
        None => possible(everything()),
    };
    let proven = run_all(&chosen(&proofs, arguments.sample), &arguments.which)?;
    if arguments.sample || arguments.only.is_some() {
        return Ok(proven);
    }
    let caught = mutations::run("")?;
    Ok(if proven == ExitCode::SUCCESS {
        caught
    } else {
        proven
    })
}

/// Every proof but the mutations.
fn everything() -> Vec<Proof> {
    PROOFS.into_iter().chain(SUITES).collect()
}

/// Those that can run here; says which cannot.
fn possible(mut proofs: Vec<Proof>) -> Vec<Proof> {
    if let Err(reason) = crate::cluster::is_possible() {
        println!("{}, {}: left out: {reason:#}", IMAGE.name, CLUSTER.name);
        proofs.retain(|one| ![Ground::Cluster, Ground::Images].contains(&one.ground));
    }
    proofs
}

/// A proof with the bounds it runs in.
struct Bounded {
    proof: Proof,
    bounds: &'static [(&'static str, &'static str)],
    is_full: bool,
}

/// What is to run; of a sample what has one.
fn chosen(proofs: &[Proof], is_sample: bool) -> Vec<Bounded> {
    let bounded = |proof: &Proof| {
        let bounds = if is_sample {
            proof.sample
        } else {
            Some(proof.full)
        };
        bounds.map(|bounds| Bounded {
            proof: *proof,
            bounds,
            is_full: !is_sample,
        })
    };
    proofs.iter().filter_map(bounded).collect()
}

fn run_all(proofs: &[Bounded], which: &Which) -> Result<ExitCode> {
    let (mut plane, mut cluster) = (None, None);
    let (mut counts, mut failed) = (Vec::new(), Vec::new());
    for one in proofs {
        let name = one.proof.name;
        let mut command = one.command();
        if name == DASHBOARD.name
            && let Some(path) = tools::monitoring()?
        {
            command.env("PATH", path);
        }
        match one.proof.ground {
            Ground::Bare => {}
            Ground::ControlPlane | Ground::Images => {
                let running = match plane.take() {
                    Some(running) => running,
                    None => ControlPlane::obtain(which)?,
                };
                command.envs(running.environment());
                plane = Some(running);
                if one.proof.ground == Ground::Images {
                    command.envs(cluster::images()?);
                }
            }
            Ground::Cluster => {
                let running = cluster::Ground::prepare()?;
                command.envs(running.environment());
                cluster = Some(running);
            }
        }
        let started = Instant::now();
        let watched = process::watch(&command, Progress::new(name), |line| {
            let words = [(COUNTED, "parts"), (LIVED, "lives"), (LOST, "failures")];
            let mut words = words.into_iter();
            words.find_map(|(start, word)| line.starts_with(start).then_some(word))
        })?;
        process::interrupt::check()?;
        // A proof that failed because it went away must not be searched for a fault of its own.
        plane.as_mut().map_or(Ok(()), ControlPlane::check)?;
        // Gone before the next proof: it needs what the machine has.
        let ground = cluster.take();
        if let Some(mut ground) = ground {
            ground.check()?;
            if !watched.status.success() {
                println!(
                    "the logs of the cluster are in `{}`",
                    ground.logs().display()
                );
            }
        }
        counts.extend(counted(&watched.output));
        let time = spoken(started.elapsed());
        if watched.status.success() {
            println!("ok      {name} ({time})");
        } else {
            println!("{}FAILED  {name} ({time})", watched.output);
            failed.push(name);
        }
    }
    Ok(conclude(&counts, &failed, proofs.len()))
}

/// Says what was counted and what failed.
fn conclude(counts: &[String], failed: &[&str], all: usize) -> ExitCode {
    for line in counts {
        println!("{line}");
    }
    if failed.is_empty() {
        println!("all {all} proofs hold");
        return ExitCode::SUCCESS;
    }
    println!("failed: {}", failed.join(", "));
    ExitCode::FAILURE
}

impl Bounded {
    /// What runs it; says so.
    fn command(&self) -> Command {
        let Self {
            proof,
            bounds,
            is_full,
        } = self;
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
        let mut command = cargo();
        command
            .arg("test")
            .args(proof.arguments)
            .envs(bounds.iter().copied());
        for package in proof.optimized.iter().filter(|_| *is_full) {
            let profile = format!("profile.dev.package.{package}.opt-level=2");
            command.args(["--config", &profile]);
        }
        // What is too dear for every run is ignored there.
        command.args(["--", "--nocapture", "--include-ignored"]);
        command
    }
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
    fn a_sample_is_of_the_model_alone_and_everything_is_of_all() {
        let names = |is_sample| {
            let chosen = chosen(&everything(), is_sample).into_iter();
            chosen.map(|one| one.proof.name).collect::<Vec<_>>()
        };
        assert_eq!(names(true), ["model"]);
        let all = [
            "model", "crash", "pauses", "objects", "inputs", "flux", "image", "cluster", "network",
            "faults", "restarts", "owed", "leaks", "deputy", "switches",
        ];
        assert_eq!(names(false), all);
    }

    #[test]
    fn the_counts_are_picked_out_of_the_output_in_order() {
        let output = "running 2 tests\nproved: b: 2 states\nproved: a: 1 state\nok\n";
        assert_eq!(counted(output), ["a: 1 state", "b: 2 states"]);
    }
}
