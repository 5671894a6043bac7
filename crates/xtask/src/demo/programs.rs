//! The two programs of the demo: built, started, waited for until they serve, and their logs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::cluster::Cluster;
use super::remote::Http;
use crate::process::progress::Progress;
use crate::process::supervised::Supervised;
use crate::process::{self, spoken, tail};
use crate::test::cargo;

const SIMULATOR: &str = "apono-simulator";
const OPERATOR: &str = "apono-operator";

/// Both start within a second; a loaded machine may need longer.
const START_DEADLINE: Duration = Duration::from_mins(1);

/// The paths of the two binaries.
#[derive(Debug)]
pub(crate) struct Built {
    simulator: PathBuf,
    operator: PathBuf,
}

/// Builds both, showing that it moves.
pub(crate) fn build() -> Result<Built> {
    let started = Instant::now();
    let mut command = cargo();
    command.args([
        "build",
        "--bins",
        "--package",
        SIMULATOR,
        "--package",
        OPERATOR,
    ]);
    // Cargo names what it built, wherever its settings put it.
    command.arg("--message-format=json-render-diagnostics");
    let built = process::watch(&command, Progress::new("building"), |line| {
        line.trim_start()
            .starts_with("Compiling ")
            .then_some("crates compiled")
    })?;
    let is_message = |line: &&str| line.starts_with('{');
    if !built.status.success() {
        let said: Vec<&str> = built
            .output
            .lines()
            .filter(|line| !is_message(line))
            .collect();
        bail!("the build failed:\n{}", said.join("\n"));
    }
    eprintln!("built in {}", spoken(started.elapsed()));
    let messages: Vec<&str> = built.output.lines().filter(is_message).collect();
    let find = |name| {
        let mut found = messages.iter().filter_map(|line| executable(line, name));
        found
            .next()
            .with_context(|| format!("the build made no `{name}`"))
    };
    Ok(Built {
        simulator: find(SIMULATOR)?,
        operator: find(OPERATOR)?,
    })
}

/// The path of the binary `name`, if this message of Cargo's tells it.
fn executable(message: &str, name: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_it = message.pointer("/target/name")?.as_str()? == name;
    let path = message.get("executable")?.as_str()?;
    is_it.then(|| PathBuf::from(path))
}

/// A running program with its log. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    log: PathBuf,
    process: Supervised,
}

impl Program {
    /// Starts the simulator and returns the address of its API.
    pub(crate) fn simulator(built: &Built, token: &str, logs: &Path) -> Result<(Self, String)> {
        let mut command = Command::new(&built.simulator);
        command.args(["--listen", "127.0.0.1:0", "--token", token]);
        // Long enough to be seen, short enough to be watched. Only the demo approves for a person.
        command.args(["--route-delay", "300ms", "--approve-delay", "700ms"]);
        command.args(["--grant-delay", "2s", "--revoke-delay", "2s"]);
        let mut simulator = Self::start(SIMULATOR, &command, logs)?;
        let url = simulator.wait_for_word("its address", |line| {
            line.strip_prefix("listening on ").map(str::to_owned)
        })?;
        Ok((simulator, url))
    }

    /// Starts the operator for the cluster of `kubeconfig` and waits until it is ready.
    pub(crate) fn operator(built: &Built, kubeconfig: &Path, logs: &Path) -> Result<Self> {
        let mut command = Command::new(&built.operator);
        command.arg("run").env("KUBECONFIG", kubeconfig);
        for (name, value) in [
            ("CLUSTER_NAME", "demo"),
            ("OPERATOR_NAMESPACE", super::OPERATOR_NAMESPACE),
            ("ADMIN_LISTEN", "127.0.0.1:0"),
            ("LOG_FORMAT", "json"),
            // Whatever the shell has set for another operator.
            ("WATCH_NAMESPACES", ""),
            ("RUST_LOG", "info"),
        ] {
            command.env(name, value);
        }
        let mut operator = Self::start(OPERATOR, &command, logs)?;
        let address = operator.wait_for_word("the address of its admin port", admin_address)?;
        operator.wait_until_ready(&format!("http://{address}/readyz"))?;
        Ok(operator)
    }

    /// Leads a port of this machine to one of a deployment's pod, and returns its address.
    pub(crate) fn forward(
        cluster: &Cluster,
        deployment: &str,
        logs: &Path,
    ) -> Result<(Self, String)> {
        let target = format!("deployment/{deployment}");
        let words = [
            "port-forward",
            "-n",
            super::OPERATOR_NAMESPACE,
            &target,
            ":8080",
        ];
        let mut forward = Self::start("port-forward", &cluster.command(&words), logs)?;
        let url = forward.wait_for_word("its address", |line| {
            let rest = line.strip_prefix("Forwarding from ")?;
            let (address, _) = rest.split_once(' ')?;
            Some(format!("http://{address}"))
        })?;
        Ok((forward, url))
    }

    fn start(name: &'static str, command: &Command, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let create = || format!("could not create `{}`", log.display());
        let file = File::create(&log).with_context(create)?;
        let errors = file.try_clone().with_context(create)?;
        let process = Supervised::spawn(command, Stdio::from(file), Stdio::from(errors))?;
        Ok(Self { name, log, process })
    }

    /// Where it writes what it does.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Fails, with the end of its log, if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(status) = self.process.exited()? else {
            return Ok(());
        };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        bail!(
            "{} ended ({status}); the end of its log:\n{}",
            self.name,
            tail(&log)
        );
    }

    /// What `find` finds in a line of its log.
    fn wait_for_word(
        &mut self,
        what: &str,
        find: impl Fn(&str) -> Option<String>,
    ) -> Result<String> {
        let (name, log) = (self.name, self.log.clone());
        let missing = || format!("{name} has not said {what}, see `{}`", log.display());
        let mut found = None;
        process::wait_until(START_DEADLINE, missing, || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            found = text.lines().find_map(&find);
            self.check()?;
            Ok(found.is_some())
        })?;
        found.with_context(missing)
    }

    fn wait_until_ready(&mut self, url: &str) -> Result<()> {
        let http = Http::new();
        let said = std::cell::RefCell::new(String::from("no answer"));
        let missing = || format!("{OPERATOR} is not ready, `{url}` says: {}", said.borrow());
        process::wait_until(START_DEADLINE, missing, || {
            self.check()?;
            let (status, body) = http.get(url)?;
            said.replace(body.trim().to_owned());
            Ok(status == 200)
        })
    }
}

/// The address in the operator's line about its admin port.
fn admin_address(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let is_it = line.get("message")? == "the admin port is open";
    let address = line.get("address")?.as_str()?;
    is_it.then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_address_is_taken_from_its_own_line_only() {
        let line = r#"{"message":"the admin port is open","address":"127.0.0.1:4"}"#;
        assert_eq!(admin_address(line).as_deref(), Some("127.0.0.1:4"));
        let other = r#"{"message":"the operator starts","address":"127.0.0.1:4"}"#;
        assert_eq!(admin_address(other), None);
        assert_eq!(admin_address("no JSON"), None);
    }

    #[test]
    fn a_binary_is_found_by_its_name_among_what_cargo_built() {
        let message = r#"{"target":{"name":"a"},"executable":"/t/a"}"#;
        assert_eq!(executable(message, "a"), Some(PathBuf::from("/t/a")));
        assert_eq!(executable(message, "b"), None);
        assert_eq!(
            executable(r#"{"target":{"name":"a"},"executable":null}"#, "a"),
            None
        );
    }
}
