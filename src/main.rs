//! The program: reads the settings, starts the log, runs the operator, and says by its exit code
//! how it went. Nothing else.

use std::{io::Write as _, process::ExitCode};

use apono_operator::{
    app,
    check::{self, Standing},
    crd,
    drain::{self, Tell},
    metrics,
    settings::{
        Command, CommandLine, DrainArguments, RunArguments, Settings, Surroundings, drain_order,
    },
    telemetry::{self, Chain},
};
use clap::Parser as _;

/// Chosen by measurement (`docs/benchmarks/profile.md`): threads do not wait for each other when they
/// take memory and give it back, as they do with musl's own, and what is given back is not kept. How it
/// is set stands in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A setting is wrong; clap uses the same code.
const WRONG_SETTING: u8 = 2;

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Run(arguments) => run(&arguments),
        Command::Check(arguments) => check(&arguments),
        Command::Drain(arguments) => drain(&arguments),
        Command::Crd => print(&crd::crds_yaml()),
        Command::Metrics => print(&metrics::reference().unwrap_or_default()),
        Command::Version => print(concat!("apono-operator ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

fn run(arguments: &RunArguments) -> ExitCode {
    let settings = match Settings::new(arguments, &Surroundings::look()) {
        Ok(settings) => settings,
        Err(error) => return fail(WRONG_SETTING, &error),
    };
    let started = match telemetry::start(&settings) {
        Ok(started) => started,
        Err(error) => return fail(1, &error),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    if let Some(path) = settings.log_filter_file.clone() {
        runtime.spawn(started.levels.clone().follow(path));
    }
    let result = runtime.block_on(app::run(settings));
    // Whatever still runs has had its time.
    runtime.shutdown_background();
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %Chain(&error), "the operator cannot run");
            ExitCode::FAILURE
        }
    };
    started.finish();
    code
}

fn check(arguments: &RunArguments) -> ExitCode {
    let settings = match Settings::new(arguments, &Surroundings::look()) {
        Ok(settings) => settings,
        Err(error) => return fail(WRONG_SETTING, &error),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    let findings = runtime.block_on(check::check(&settings));
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    let _ = print(&format!("{}\n", lines.join("\n")));
    let is_wrong = findings.iter().any(|one| one.standing == Standing::Wrong);
    ExitCode::from(u8::from(is_wrong))
}

fn drain(arguments: &DrainArguments) -> ExitCode {
    let settings = Settings::new(&arguments.run, &Surroundings::look());
    let (settings, order) = match settings.and_then(|one| Ok((one, drain_order(arguments)?))) {
        Ok(both) => both,
        Err(error) => return fail(WRONG_SETTING, &error),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    let mut tell = Tell {
        said: std::io::stderr(),
        printed: std::io::stdout(),
    };
    match runtime.block_on(drain::drain(&settings, order, &mut tell)) {
        Ok(is_drained) => ExitCode::from(u8::from(!is_drained)),
        Err(error) => fail(1, &error),
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(code: u8, error: &(dyn std::error::Error + 'static)) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {}", Chain(error));
    ExitCode::from(code)
}
