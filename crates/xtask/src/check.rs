//! `cargo xtask check`: every rule that a machine can hold. All steps run, whatever fails; what
//! failed is shown in full, with what to do about it, and named again at the end.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::process::{self, progress::Progress, spoken};
use crate::test::cargo;

/// The tools that do not come with the toolchain. Pinned, so that a check fails for a change of
/// ours and never for one of theirs.
const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};
const MACHETE: Tool = Tool {
    name: "cargo-machete",
    version: "0.9.2",
};

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
    command.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
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
        .env("RUSTDOCFLAGS", "-D warnings");
    Ok(command)
}

fn dependencies() -> Result<Command> {
    let mut command = Command::new(DENY.find()?);
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
    let mut command = Command::new(MACHETE.find()?);
    command
        .arg("--skip-target-dir")
        .current_dir(crate::workspace());
    Ok(command)
}

struct Tool {
    name: &'static str,
    version: &'static str,
}

impl Tool {
    /// Its path in our own folder of tools, where it is installed first if it is not there.
    fn find(&self) -> Result<PathBuf> {
        let folder = crate::target()
            .join("tools")
            .join(format!("{}-{}", self.name, self.version));
        let binary = folder.join("bin").join(self.name);
        if !binary.is_file() {
            self.install(&folder)?;
        }
        Ok(binary)
    }

    fn install(&self, folder: &Path) -> Result<()> {
        let label = format!("installing {} {}, once", self.name, self.version);
        eprintln!("{label}");
        let mut command = cargo();
        command
            .args(["install", "--locked", "--version", self.version, "--root"])
            .arg(folder)
            .arg(self.name);
        let watched = process::watch(&command, Progress::new(label), |line| {
            line.trim_start()
                .starts_with("Compiling ")
                .then_some("crates")
        })?;
        if !watched.status.success() {
            bail!("could not install {}:\n{}", self.name, watched.output);
        }
        Ok(())
    }
}
