//! The tasks of this repository. One file per task; this one only parses the command line.

mod bench;
mod book;
mod check;
mod cluster;
mod control_plane;
mod demo;
mod generate;
mod go;
mod image;
mod process;
mod prove;
mod rights;
mod test;
mod tools;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::process::interrupt::{self, Interrupted};

/// The tasks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Command {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Show the operator at work: a control plane, a simulated Apono, three requests, their end.
    Demo(demo::Arguments),
    /// Measure the operator under load, and judge it first.
    Bench(bench::Arguments),
    /// Run every test, against a Kubernetes control plane of their own.
    Test(test::Arguments),
    /// Run the long proofs: the model of the decisions, and mutations of the code.
    Prove(prove::Arguments),
    /// Check format, lints, generated files, docs and dependencies.
    Check,
    /// Write the generated files.
    Generate {
        /// Write nothing; fail and name the files that differ.
        #[arg(long)]
        check: bool,
    },
    /// Build the book of `docs/`, or serve it.
    Book(book::Arguments),
    /// Build the images of the operator and of the simulator.
    Image(image::Arguments),
    /// Build or run etcd, kube-apiserver and kube-controller-manager on this machine.
    #[command(subcommand)]
    ControlPlane(control_plane::Task),
    /// Run a Kubernetes with a node on this machine, and install into it. Needs Linux and root.
    Cluster(cluster::Arguments),
    /// Print the path of a program that tests use, and build it first if need be. Internal.
    #[command(hide = true)]
    Tool {
        /// Which.
        name: tools::go::GoTool,
    },
    /// Run a program that ends when standard input closes. Internal, see `process/supervised.rs`.
    #[command(hide = true)]
    Supervise {
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let Command { task } = Command::parse();
    let outcome = match task {
        Task::Supervise { command } => return process::supervised::supervise(&command),
        task => interrupt::listen().and_then(|()| run(task)),
    };
    outcome.unwrap_or_else(|error| {
        if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
            eprintln!("xtask: stopped by {interrupted}");
            return interrupted.exit_code();
        }
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(task: Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Prove(arguments) => prove::run(&arguments),
        Task::Check => check::run(),
        Task::Generate { check: false } => generate::write(),
        Task::Generate { check: true } => generate::check(),
        Task::Book(arguments) => book::run(&arguments),
        Task::Image(arguments) => image::run(&arguments),
        Task::ControlPlane(task) => control_plane::run(task),
        Task::Cluster(arguments) => cluster::run(arguments),
        Task::Tool { name } => tools::go::run(name),
        // Handled before signals are listened to: a supervisor ends with its pipe, not by a signal.
        Task::Supervise { command } => Ok(process::supervised::supervise(&command)),
    }
}

/// The root of the workspace.
fn workspace() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package
        .ancestors()
        .nth(2)
        .map_or_else(|| package.clone(), Into::into)
}

/// Where Cargo builds, and where our own caches live.
fn target() -> PathBuf {
    let root = workspace();
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |given| root.join(given))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Command;

    #[test]
    fn the_command_line_holds_together() {
        Command::command().debug_assert();
    }
}
