//! The operator's binary as a child process, in namespaced mode.

use std::{
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use serde_json::Value;

use super::wait::{PATIENCE, eventually};

/// As many log lines as a failed wait shows.
const LINES_SHOWN: usize = 40;
/// They say little and much of it.
const LIBRARIES: [&str; 7] = [
    "reqwest::",
    "kube_client::",
    "kube_runtime::",
    "hyper",
    "rustls::",
    "tower::",
    "h2::",
];

/// The operator; ended when dropped. The log is kept over restarts.
#[derive(Debug)]
pub struct Operator {
    environment: Vec<(String, String)>,
    running: Option<(Child, SocketAddr)>,
    log: Log,
}

/// What it wrote. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// All of it.
    pub fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.join("\n")
    }

    /// The last lines of it that are the operator's own, not those of its libraries.
    pub fn last(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = lines.iter().rev().filter(|line| {
            !LIBRARIES
                .iter()
                .any(|one| line.contains(&format!("\"target\":\"{one}")))
        });
        let mut own: Vec<_> = own.take(LINES_SHOWN).map(String::as_str).collect();
        own.reverse();
        own.join("\n")
    }

    fn keep(&self, stream: impl Read + Send + 'static, found: mpsc::Sender<SocketAddr>) {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let said: Value = serde_json::from_str(&line).unwrap_or_default();
                let address = said["address"].as_str().and_then(|text| text.parse().ok());
                log.0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
                if let Some(address) = address {
                    let _ = found.send(address);
                }
            }
        });
    }
}

impl Operator {
    /// Not yet started.
    pub fn new(environment: Vec<(String, String)>) -> Self {
        Self {
            environment,
            running: None,
            log: Log::default(),
        }
    }

    /// Starts it; its admin port is open when this returns.
    pub fn start(&mut self) {
        assert!(self.running.is_none(), "the operator runs already");
        let mut child = Command::new(env!("CARGO_BIN_EXE_apono-operator"))
            .arg("run")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the operator starts");
        let (found, address) = mpsc::channel();
        self.log
            .keep(child.stdout.take().expect("piped"), found.clone());
        self.log.keep(child.stderr.take().expect("piped"), found);
        let address = address.recv_timeout(PATIENCE);
        let log = self.log.clone();
        // Kept first, so that it is ended if it did not come up.
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        self.running = Some((child, address.unwrap_or(unknown)));
        assert!(
            address.is_ok(),
            "the operator did not open its admin port:\n{}",
            log.last()
        );
    }

    /// Another replica, in a pod of its own; not yet started.
    pub fn another(&self, pod: &str) -> Self {
        let mut other = Self::new(self.environment.clone());
        other.set("POD_NAME", pod);
        other
    }

    /// Another command of the binary with the same settings, as it ends.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apono-operator"));
        command
            .args(arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Sends it a signal, and waits for nothing.
    pub fn signal(&self, name: &str) {
        let (child, _) = self.running.as_ref().expect("the operator runs");
        let signal = format!("-{name}");
        let sent = Command::new("kill")
            .args([&signal, &child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "kill runs");
    }

    /// Whether it stands still, by a signal or at a point of its own.
    pub fn is_stopped(&self) -> bool {
        let (child, _) = self.running.as_ref().expect("the operator runs");
        let status = std::fs::read_to_string(format!("/proc/{}/stat", child.id()));
        // After the name, which ends with a parenthesis.
        let state = status.as_deref().map(|text| text.rsplit(") ").next());
        state.is_ok_and(|rest| rest.is_some_and(|rest| rest.starts_with('T')))
    }

    /// Adds a setting for its next lives; the last of a name counts.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The signal that ended it, if it has ended by itself; then it can be started again.
    pub fn ended(&mut self) -> Option<i32> {
        let (child, _) = self.running.as_mut()?;
        let status = child.try_wait().expect("a child of ours")?;
        self.running = None;
        Some(status.signal().unwrap_or_default())
    }

    /// What it wrote, in all its lives.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end, as the kubelet does, and waits; gives its exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        let (child, _) = self.running.as_mut().expect("the operator runs");
        let asked = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        assert!(asked.is_ok_and(|status| status.success()), "kill runs");
        let log = self.log.clone();
        let status = eventually("the operator ends", async || {
            let ended = child.try_wait().expect("a child of ours");
            ended.ok_or_else(|| log.last())
        })
        .await;
        self.running = None;
        status.code()
    }

    /// Where its admin port is.
    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().expect("the operator runs").1
    }

    /// What the admin port answers.
    pub async fn admin(&self, path: &str) -> (u16, String) {
        let (_, address) = self.running.as_ref().expect("the operator runs");
        let answer = reqwest::get(format!("http://{address}{path}"))
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.log.last()));
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("a text"))
    }

    /// The metrics as they are scraped.
    pub async fn metrics(&self) -> String {
        self.admin("/metrics").await.1
    }

    /// The value of one metric, named with its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let metrics = self.metrics().await;
        let value = metrics.lines().find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(' ')?;
            value.parse().ok()
        });
        value.unwrap_or_else(|| panic!("no `{name}` in\n{metrics}"))
    }

    /// Waits until it is ready.
    pub async fn ready(&self) {
        eventually("the operator is ready", async || {
            match self.admin("/readyz").await {
                (200, _) => Ok(()),
                (_, missing) => Err(format!("{missing}\n{}", self.log.last())),
            }
        })
        .await;
    }

    /// Waits until its metrics hold this line.
    pub async fn shows(&self, wanted: &str) {
        eventually("a line of metrics", async || {
            let metrics = self.metrics().await;
            let shown = metrics.lines().any(|line| line == wanted);
            shown
                .then_some(())
                .ok_or_else(|| format!("no `{wanted}` in\n{metrics}"))
        })
        .await;
    }

    /// How many passes a controller (`connection`, `access_request`) has made.
    pub async fn passes(&self, controller: &str) -> f64 {
        let name =
            format!("apono_operator_passes_total{{controller=\"{controller}\",outcome=\"done\"}}");
        self.metric(&name).await
    }

    /// Waits until a controller has made this many more passes.
    pub async fn more_passes(&self, controller: &str, count: u32) {
        let wanted = self.passes(controller).await + f64::from(count);
        self.wait_passes(controller, wanted).await;
    }

    /// Waits until a controller has made this many passes.
    pub async fn wait_passes(&self, controller: &str, wanted: f64) {
        eventually("more passes", async || {
            let made = self.passes(controller).await;
            (made >= wanted)
                .then_some(())
                .ok_or_else(|| format!("{made} passes of {wanted}"))
        })
        .await;
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.kill();
    }
}
