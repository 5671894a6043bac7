//! `cargo xtask test`: every test of the workspace, against a control plane of its own.

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::control_plane::{ControlPlane, Which};
use crate::process;
use crate::rights::Audited;
use crate::tools;

/// What is built in beside the defaults, so that its tests are among the others.
pub(crate) const FEATURES: [&str; 2] = ["--features", "apono-operator/opentelemetry"];
/// How many tests of a binary run at once: libtest's own variable.
pub(crate) const THREADS: &str = "RUST_TEST_THREADS";
/// Most of a test is waiting, so that two cores are busy with twice as many.
pub(crate) const AT_ONCE: &str = "4";

/// What to run, and against what.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Compare the shipped roles with the calls made, after a part of the tests too.
    #[arg(long, hide = true)]
    rights: bool,
    /// Handed to `cargo test --workspace`, for example `-- --test lifecycle -- --nocapture`.
    #[arg(last = true)]
    to_cargo: Vec<String>,
}

/// Builds the binaries that tests start, then runs the tests and ends as they end. After all of them
/// what the operator called is compared with what its roles grant.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let is_about = |word: &str| arguments.to_cargo.iter().any(|one| one == word);
    let monitoring = if arguments.to_cargo.is_empty() || is_about("monitoring") {
        tools::monitoring()?
    } else {
        None
    };
    // First, since the control plane would wait for the compiler.
    let build = ["build", "--workspace", "--bins"];
    let built = process::run(cargo().args(build).args(FEATURES))?;
    if !built.success() {
        return Ok(code(built));
    }
    let mut plane = ControlPlane::obtain(&arguments.which)?;
    let audited = Audited::begin(&plane)?;
    let mut tests = cargo();
    tests
        .args(["test", "--workspace"])
        .args(FEATURES)
        .args(&arguments.to_cargo)
        .envs(plane.environment());
    if let Some(path) = monitoring {
        tests.env("PATH", path);
    }
    if std::env::var_os(THREADS).is_none() {
        tests.env(THREADS, AT_ONCE);
    }
    let status = process::run(&tests)?;
    // Tests that failed because it went away must not be searched for a fault of their own.
    plane.check()?;
    let is_whole = arguments.to_cargo.is_empty();
    if !status.success() || !(is_whole || arguments.rights) {
        return Ok(code(status));
    }
    // Only now: what a part of the tests does not use is not unused.
    let even = audited.judge()?;
    if even != ExitCode::SUCCESS || !is_whole {
        return Ok(even);
    }
    process::run(&contract()?).map(code)
}

/// The simulator against calls that schemathesis makes up from the vendor's `OpenAPI` file. Apart from
/// the other tests, which need nothing of another language.
fn contract() -> Result<Command> {
    let mut command = cargo();
    command
        .args([
            "test",
            "--package",
            "apono-simulator",
            "--test",
            "schemathesis",
        ])
        .args(["--", "--ignored", "--nocapture"])
        .env("SCHEMATHESIS", tools::SCHEMATHESIS.find()?);
    Ok(command)
}

/// The Cargo that runs us, or the one on PATH.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::workspace());
    command
}

fn code(status: std::process::ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
