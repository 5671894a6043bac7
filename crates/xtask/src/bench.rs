//! `cargo xtask bench`: operators under load, each turn on a control plane of its own.
//!
//! What is done in a turn, and how it is judged and measured, is the matter of `crates/bench`. Here it
//! is only built and given its surroundings, turn after turn, and the results are kept.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::control_plane::ControlPlane;
use crate::process::{self, spoken};
use crate::test::{FEATURES, cargo};

/// What is built, with the profile that is shipped but for a quick turn: counts do not depend on it,
/// and the tests have built the other already.
const PACKAGES: [&str; 3] = ["apono-operator", "apono-simulator", "apono-bench"];
/// Ours.
const SUBJECT: &str = "crates/bench/subjects/apono-operator.yaml";
/// Ours, following requests one by one: what the pages of the poller save.
const ABLATION: &str = "apono-operator, one by one";
/// Where results are kept.
const RESULTS: &str = "docs/benchmarks";

/// Which turns.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(crate) struct Arguments {
    /// One small turn, judged by counts alone: nothing is written, and time fails nothing.
    #[arg(long)]
    quick: bool,
    /// How many objects; may be given again.
    #[arg(long = "size", default_values_t = [100, 1_000, 3_000, 10_000])]
    sizes: Vec<usize>,
    /// How many turns of each size.
    #[arg(long, default_value_t = 1)]
    turns: u32,
    /// How the remote answers and decides: instant, slow, limited, late-approval or no-approval.
    #[arg(long, default_value = "instant")]
    profile: String,
    /// How long each is watched at rest, in seconds.
    #[arg(long, default_value_t = 60)]
    steady: u64,
    /// A file that describes a peer, to be run in turns with ours; see `crates/bench/src/subject.rs`.
    #[arg(long = "peer", value_name = "FILE")]
    peers: Vec<PathBuf>,
    /// Run our own operator beside it, following requests one by one, as operators commonly do.
    #[arg(long)]
    ablation: bool,
    /// Draw flame graphs of a burst, of the time after it and of a restart, of the first size, and
    /// measure nothing; needs `perf`.
    #[arg(long)]
    flames: bool,
    /// Add to the results there are instead of starting anew.
    #[arg(long)]
    add: bool,
}

/// One turn to run.
#[derive(Clone)]
struct Turn<'a> {
    subject: &'a str,
    /// What it is called, if not as its file says.
    called: Option<&'a str>,
    /// Under the folder of what is built.
    operator: &'a str,
    /// Where the other programs are, likewise.
    others: &'a str,
    size: usize,
    steady: u64,
    idle: usize,
    profile: &'a str,
    /// Whether to draw flame graphs.
    flames: bool,
}

/// Small, and judged by its counts alone.
const QUICK: Turn<'static> = Turn {
    subject: SUBJECT,
    called: None,
    operator: "debug/apono-operator",
    others: "debug",
    flames: false,
    size: 200,
    steady: 20,
    idle: 5,
    profile: "instant",
};

/// The shipped profile.
const RELEASE: &str = "release/apono-operator";

/// Builds everything, and runs the turns.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.quick {
        let build = ["build", "--workspace", "--bins"];
        let built = process::run(cargo().args(build).args(FEATURES))?;
        if !built.success() {
            bail!("the build failed");
        }
        return Ok(quick(&turn(&QUICK)?));
    }
    let built = process::run(
        cargo()
            .args(["build", "--release"])
            .args(PACKAGES.iter().flat_map(|package| ["--package", package])),
    )?;
    if !built.success() {
        bail!("the build failed");
    }
    if arguments.ablation {
        build_apart("ablation", &["--features", "ablation"], "")?;
    }
    if arguments.flames {
        return draw(arguments);
    }
    measure(arguments)
}

/// Builds the operator in another way, in a folder of its own.
fn build_apart(folder: &str, arguments: &[&str], flags: &str) -> Result<()> {
    let built = process::run(
        cargo()
            .args(["build", "--release", "--package", "apono-operator"])
            .args(arguments)
            .arg("--target-dir")
            .arg(crate::target().join(folder))
            .env("RUSTFLAGS", flags),
    )?;
    if !built.success() {
        bail!("the build of the {folder} failed");
    }
    Ok(())
}

/// A turn for its flame graphs alone: sampling costs time.
fn draw(arguments: &Arguments) -> Result<ExitCode> {
    build_apart("flames", &[], "-C force-frame-pointers=yes")?;
    fs::create_dir_all(crate::workspace().join(RESULTS))?;
    let size = arguments.sizes.first().copied().unwrap_or(QUICK.size);
    turn(&Turn {
        operator: "flames/release/apono-operator",
        others: "release",
        size,
        steady: arguments.steady,
        idle: 0,
        flames: true,
        ..QUICK
    })?;
    Ok(ExitCode::SUCCESS)
}

/// All turns, and the page of what they gave.
fn measure(arguments: &Arguments) -> Result<ExitCode> {
    let folder = crate::workspace().join(RESULTS);
    fs::create_dir_all(&folder)?;
    let file = folder.join("results.json");
    let mut results: Vec<Value> = match fs::read_to_string(&file) {
        Ok(text) if arguments.add => serde_json::from_str(&text)?,
        _ => Vec::new(),
    };
    let mut subjects = vec![(SUBJECT.to_owned(), None, RELEASE)];
    if arguments.ablation {
        let built = "ablation/release/apono-operator";
        subjects.push((SUBJECT.to_owned(), Some(ABLATION), built));
    }
    let peers = arguments
        .peers
        .iter()
        .map(|peer| peer.display().to_string());
    subjects.extend(peers.map(|peer| (peer, None, RELEASE)));
    for size in &arguments.sizes {
        // In turns, so that what else the machine does meets all alike.
        for _ in 0..arguments.turns {
            for (subject, called, operator) in &subjects {
                let result = turn(&Turn {
                    subject,
                    called: *called,
                    operator,
                    others: "release",
                    flames: false,
                    size: *size,
                    steady: arguments.steady,
                    idle: idle(*size, &arguments.profile),
                    profile: &arguments.profile,
                })?;
                results.push(result);
                fs::write(&file, serde_json::to_string_pretty(&results)? + "\n")?;
            }
        }
    }
    let reported = process::run(
        Command::new(binary("release", "apono-bench"))
            .arg("report")
            .arg(&folder),
    )?;
    if !reported.success() {
        bail!("the report failed");
    }
    println!("results: {}", folder.display());
    let is_wrong = |result: &Value| !wrong(result).is_empty();
    Ok(if results.iter().any(is_wrong) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// How many are made one at a time before the burst: as many as do not take longer than it.
fn idle(size: usize, profile: &str) -> usize {
    if size <= 1_000 && profile != "late-approval" {
        100
    } else {
        0
    }
}

fn turn(turn: &Turn<'_>) -> Result<Value> {
    let started = Instant::now();
    let Turn {
        subject,
        size,
        profile,
        ..
    } = turn;
    println!("bench: {subject}, {size} objects, remote: {profile}");
    let plane = ControlPlane::start()?;
    let logs = crate::target().join("bench");
    fs::create_dir_all(&logs)?;
    let mut command = Command::new(binary(turn.others, "apono-bench"));
    command
        .current_dir(crate::workspace())
        .arg("turn")
        .arg("--operator")
        .arg(crate::target().join(turn.operator))
        .arg("--simulator")
        .arg(binary(turn.others, "apono-simulator"))
        .arg("--logs")
        .arg(&logs)
        .args(["--subject", subject, "--profile", profile])
        .args(["--size", &size.to_string()])
        .args(["--steady", &turn.steady.to_string()])
        .args(["--idle", &turn.idle.to_string()])
        .args(turn.called.iter().flat_map(|name| ["--called", name]))
        .envs(plane.environment())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if turn.flames {
        command
            .arg("--flames")
            .arg(crate::workspace().join(RESULTS));
    }
    let output = command.output().context("could not start the turn")?;
    if !output.status.success() {
        bail!("the turn failed; logs in `{}`", logs.display());
    }
    let result: Value =
        serde_json::from_slice(&output.stdout).context("the turn gave no result")?;
    for wrong in wrong(&result) {
        println!("bench: WRONG: {wrong}");
    }
    println!(
        "bench: done in {}: {}",
        spoken(started.elapsed()),
        summary(&result)
    );
    Ok(result)
}

fn wrong(result: &Value) -> Vec<String> {
    let all = result.get("wrong").and_then(Value::as_array);
    let texts = all.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// Some figures in a line.
fn summary(result: &Value) -> String {
    let told = [
        ("all ready", "/burst/allReadyS", " s"),
        ("p99", "/burst/times/p99", " ms"),
        ("one more p99", "/oneMore/p99", " ms"),
        ("calls/min", "/steady/callsAMinute", ""),
        ("writes/min", "/steady/writesAMinute", ""),
        ("cpu", "/steady/cpuPercent/0", " %"),
        ("memory", "/steady/rssMib", " MiB"),
        ("verified", "/restart/verifiedS", " s"),
        ("revoked", "/revokeS", " s"),
    ];
    let part = |(name, pointer, unit): (&str, &str, &str)| {
        let value = result.pointer(pointer)?.as_f64()?;
        Some(format!("{name} {value:.1}{unit}"))
    };
    told.into_iter()
        .filter_map(part)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The verdict of a quick turn: counts only.
fn quick(result: &Value) -> ExitCode {
    let number = |pointer: &str| result.pointer(pointer).and_then(Value::as_f64);
    let sum = |pointer: &str, is_it: &dyn Fn(&str) -> bool| {
        let counts = result.pointer(pointer).and_then(Value::as_object);
        let counts = counts.into_iter().flatten().filter(|(name, _)| is_it(name));
        counts.filter_map(|(_, count)| count.as_f64()).sum::<f64>()
    };
    let is_event = |name: &str| name.ends_with("events");
    let checks = [
        (
            "kube writes of a life",
            sum("/life/writes", &|name| !is_event(name)),
            6.0,
        ),
        ("events of a life", sum("/life/writes", &is_event), 5.0),
        (
            "remote calls of a life, without lists of all",
            sum("/life/calls", &|_| true),
            5.0,
        ),
        (
            "requests for each object",
            number("/burst/createsPerObject").unwrap_or(f64::MAX),
            1.0,
        ),
        (
            "writes at rest",
            number("/steady/writesAMinute").unwrap_or(f64::MAX),
            0.0,
        ),
        (
            "writes after a restart",
            number("/restart/writes").unwrap_or(f64::MAX),
            0.0,
        ),
    ];
    if let Some(life) = result.get("life") {
        println!("one life: {life}");
    }
    let mut is_good = wrong(result).is_empty();
    for (name, found, most) in checks {
        let is_kept = found <= most;
        is_good &= is_kept;
        println!(
            "{} {name}: {found:.1}, at most {most}",
            if is_kept { "ok    " } else { "FAILED" }
        );
    }
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn binary(profile: &str, name: &str) -> PathBuf {
    crate::target().join(profile).join(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_quick_turn_is_judged_by_its_counts() {
        let good = json!({
            "wrong": [],
            "life": {"writes": {"patch a": 5.0, "create events": 3.0}, "calls": {"create": 1.0}},
            "burst": {"createsPerObject": 1.0, "allReadyS": 100_000.0},
            "steady": {"writesAMinute": 0.0}, "restart": {"writes": 0}
        });
        assert_eq!(quick(&good), ExitCode::SUCCESS);
        for (pointer, value) in [
            ("/wrong", json!(["stuck"])),
            ("/life/writes/patch a", json!(7.0)),
            ("/burst/createsPerObject", json!(1.01)),
            ("/restart/writes", json!(1)),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            assert_eq!(quick(&bad), ExitCode::FAILURE, "{pointer}");
        }
    }
}
