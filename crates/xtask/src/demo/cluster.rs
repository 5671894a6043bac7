//! kubectl, as a person types it: what is shown is what is run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::page::Page;
use super::snapshot::Seen;
use crate::control_plane::ControlPlane;
use crate::process::supervised::Supervised;
use crate::process::{self, interrupt};

/// kubectl for the demo's control plane.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
}

impl Cluster {
    /// The one of `plane`.
    pub(crate) fn new(plane: &ControlPlane) -> Self {
        Self {
            kubectl: plane.kubectl().to_owned(),
            kubeconfig: plane.kubeconfig().to_owned(),
        }
    }

    /// Where kubectl is.
    pub(crate) fn kubectl(&self) -> &Path {
        &self.kubectl
    }

    /// Shows the command, runs it, and shows what it said.
    pub(crate) fn show(&self, page: Page, arguments: &[&str]) -> Result<()> {
        page.command(&format!("kubectl {}", arguments.join(" ")));
        page.quote(&self.run(arguments)?);
        Ok(())
    }

    /// Runs a command in the root of the workspace and returns what it said.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        process::capture(&mut self.command(arguments))
    }

    /// kubectl with these arguments, in the root of the workspace.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .current_dir(crate::workspace())
            .args(arguments);
        command
    }

    /// Follows the access requests of a namespace.
    pub(crate) fn watch(&self, namespace: &str) -> Result<Watch> {
        let arguments = ["get", "accreq", "-n", namespace, "-o", "json"];
        let mut command = self.command(&arguments);
        command.args(["--watch", "--output-watch-events"]);
        // Its errors go where ours go: there are none unless the apiserver goes away.
        let mut process = Supervised::spawn(&command, Stdio::piped(), Stdio::inherit())?;
        let (stdout, _) = process.outputs();
        let stdout = stdout.context("kubectl has no output to read")?;
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            let stream = serde_json::Deserializer::from_reader(std::io::BufReader::new(stdout));
            for event in stream.into_iter::<Value>().map_while(Result::ok) {
                if sender.send((Instant::now(), event)).is_err() {
                    return;
                }
            }
        });
        Ok(Watch {
            events,
            _process: process,
        })
    }
}

/// A running `kubectl get --watch`.
#[derive(Debug)]
pub(crate) struct Watch {
    events: Receiver<(Instant, Value)>,
    _process: Supervised,
}

/// What a watch has to say.
#[derive(Debug)]
pub(crate) enum Next {
    /// Something happened, at this time.
    Seen(Instant, Seen),
    /// Nothing for a moment.
    Nothing,
    /// It has ended, as watches do after half an hour or more.
    Ended,
}

impl Watch {
    /// The next of it.
    pub(crate) fn next(&self) -> Result<Next> {
        interrupt::check()?;
        Ok(match self.events.recv_timeout(Duration::from_millis(100)) {
            Ok((at, event)) => Seen::read(&event).map_or(Next::Nothing, |it| Next::Seen(at, it)),
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::Ended,
        })
    }
}
