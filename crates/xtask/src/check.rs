//! `cargo xtask check`: every rule that a machine can hold. All steps run, whatever fails; what
//! failed is shown in full, with what to do about it, and named again at the end.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;

use crate::process::{self, progress::Progress, spoken};
use crate::test::{FEATURES, cargo};
use crate::tools;

struct Step {
    name: &'static str,
    /// What to do when it fails.
    remedy: &'static str,
    command: fn() -> Result<Command>,
}

const STEPS: [Step; 6] = [
    Step {
        name: "format",
        remedy: "run `cargo fmt --all`",
        command: format,
    },
    Step {
        name: "lints",
        remedy: "see the first error; it names the rule",
        command: lints,
    },
    Step {
        name: "generated files",
        remedy: "run `cargo xtask generate`",
        command: generated,
    },
    Step {
        name: "docs",
        remedy: "see the first error; often a link to nothing",
        command: docs,
    },
    Step {
        name: "dependencies",
        remedy: "each exception in .deny.toml carries its reason; add one or drop the dependency",
        command: dependencies,
    },
    Step {
        name: "unused dependencies",
        remedy: "drop them, or list them with the reason under [package.metadata.cargo-machete]",
        command: unused_dependencies,
    },
];

/// Runs all steps.
pub(crate) fn run() -> Result<ExitCode> {
    let mut failed = Vec::new();
    for step in &STEPS {
        let started = Instant::now();
        let outcome = (step.command)().and_then(|command| watch(step.name, &command));
        // A signal is not a failed check.
        process::interrupt::check()?;
        let time = spoken(started.elapsed());
        let failure = match outcome {
            Ok(watched) if watched.status.success() => None,
            Ok(watched) => Some(watched.output),
            Err(error) => Some(format!("{error:#}\n")),
        };
        let Some(failure) = failure else {
            println!("ok      {} ({time})", step.name);
            continue;
        };
        println!("{failure}FAILED  {} ({time}): {}", step.name, step.remedy);
        failed.push(step.name);
    }
    if failed.is_empty() {
        println!("all {} checks passed", STEPS.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{} of {} checks failed: {}",
        failed.len(),
        STEPS.len(),
        failed.join(", ")
    );
    Ok(ExitCode::FAILURE)
}

fn watch(name: &str, command: &Command) -> Result<process::Watched> {
    process::watch(command, Progress::new(name), |line| {
        let word = line.trim_start().split(' ').next()?;
        ["Checking", "Compiling", "Documenting"]
            .contains(&word)
            .then_some("crates")
    })
}

#[expect(clippy::unnecessary_wraps, reason = "the steps share one signature")]
fn format() -> Result<Command> {
    let mut command = cargo();
    command.args(["fmt", "--all", "--check"]);
    Ok(command)
}

#[expect(clippy::unnecessary_wraps, reason = "the steps share one signature")]
fn lints() -> Result<Command> {
    let mut command = cargo();
    command
        .args(["clippy", "--workspace", "--all-targets"])
        .args(FEATURES)
        .args(["--", "-D", "warnings"]);
    Ok(command)
}

fn generated() -> Result<Command> {
    let mut command = Command::new(process::supervised::own_executable()?);
    command.args(["generate", "--check"]);
    Ok(command)
}

#[expect(clippy::unnecessary_wraps, reason = "the steps share one signature")]
fn docs() -> Result<Command> {
    let mut command = cargo();
    command
        .args([
            "doc",
            "--no-deps",
            "--workspace",
            "--document-private-items",
        ])
        .args(FEATURES)
        .env("RUSTDOCFLAGS", "-D warnings");
    Ok(command)
}

fn dependencies() -> Result<Command> {
    let mut command = Command::new(tools::DENY.find()?);
    // Not advisories: they need a database from elsewhere, and fail without a change of ours.
    command
        .args([
            "--workspace",
            "--config",
            ".deny.toml",
            "check",
            "bans",
            "licenses",
            "sources",
        ])
        .current_dir(crate::workspace());
    Ok(command)
}

fn unused_dependencies() -> Result<Command> {
    let mut command = Command::new(tools::MACHETE.find()?);
    command
        .arg("--skip-target-dir")
        .current_dir(crate::workspace());
    Ok(command)
}
