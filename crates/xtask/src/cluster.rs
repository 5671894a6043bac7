//! `cargo xtask cluster`: a Kubernetes of one node on this machine that runs pods: control plane,
//! scheduler, kubelet, containerd, kube-proxy, `CoreDNS`. Everything is in mount, network and process
//! namespaces of its own and ends with their first process; nothing of the machine is changed but for
//! control groups of our own, which are removed. There is no way out of it, and no registry: images are
//! loaded.
//!
//! Needs Linux and root. It starts empty each time. A privileged pod could reach the machine: install
//! nothing in it but what is ours.

mod cgroups;
mod files;
mod inside;
mod load;
mod parts;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use rustix::process::{Pid, Signal, kill_process};

use self::parts::Parts;
use crate::process::supervised::own_executable;
use crate::process::{self, spoken, tail};
use crate::tools::go::GoTool;

/// The one node.
const NODE: &str = "node";
/// A loaded machine of two cores needs half a minute; more than this is a failure.
const START_DEADLINE: Duration = Duration::from_mins(3);
const STOP_DEADLINE: Duration = Duration::from_secs(30);
/// Written when everything but the node itself is up.
const READY: &str = "ready";
const LOG: &str = "cluster.log";

/// `cargo xtask cluster ...`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Which, where there are several: that of the demo is `demo`.
    #[arg(long, default_value = "own")]
    name: String,
    #[command(subcommand)]
    task: Task,
}

/// What to do with it.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Start an empty one and leave it running; what it is made of is built the first time.
    Up,
    /// Put images into it: archives as `cargo xtask image` writes them. Without any, build our own first.
    Load {
        /// The archives.
        archives: Vec<PathBuf>,
    },
    /// Run Helm against it.
    #[command(disable_help_flag = true)]
    Helm {
        /// What follows `helm`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run kubectl against it.
    #[command(disable_help_flag = true)]
    Kubectl {
        /// What follows `kubectl`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run any program inside, where the addresses of pods and Services are reached.
    #[command(disable_help_flag = true)]
    Exec {
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
    /// End it with everything in it.
    Down,
    /// Be the first process of it. Internal.
    #[command(hide = true)]
    Inside {
        /// The folder of the cluster.
        folder: PathBuf,
        /// End when standard input ends.
        #[arg(long)]
        attached: bool,
    },
}

/// Runs `cargo xtask cluster ...`.
pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let cluster = Cluster::named(&arguments.name);
    match arguments.task {
        Task::Up => {
            cluster.up()?;
            eprintln!(
                "cluster: up until `cargo xtask cluster down`; try `cargo xtask cluster kubectl get pods -A`"
            );
            Ok(ExitCode::SUCCESS)
        }
        Task::Load { archives } => load::run(&cluster, archives),
        Task::Helm { arguments } => cluster.hand_over(&GoTool::Helm4.find()?, &arguments),
        Task::Kubectl { arguments } => cluster.hand_over(Path::new("kubectl"), &arguments),
        Task::Exec { command } => match command.split_first() {
            Some((program, arguments)) => cluster.hand_over(Path::new(program), arguments),
            None => bail!("name a program"),
        },
        Task::Down => cluster.down().map(|()| ExitCode::SUCCESS),
        Task::Inside { folder, attached } => inside::run(&folder, attached),
    }
}

/// A cluster by its folder.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    folder: PathBuf,
}

/// One that ends with this value, and however else this process ends.
#[derive(Debug)]
pub(crate) struct Attached {
    cluster: Cluster,
    first: Child,
}

impl Attached {
    /// Starts one in a folder of its own.
    pub(crate) fn start(name: &str) -> Result<Self> {
        let cluster = Cluster::named(name);
        let first = cluster.start(true)?;
        let attached = Self { cluster, first };
        attached.cluster.wait_for_node()?;
        Ok(attached)
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Fails, with the end of its log, if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        let ended = self
            .first
            .try_wait()
            .context("could not look at the cluster")?;
        let Some(status) = ended else { return Ok(()) };
        let log = fs::read_to_string(self.cluster.folder.join(LOG)).unwrap_or_default();
        bail!("the cluster ended ({status}):\n{}", tail(&log));
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Err(error) = self.cluster.down() {
            eprintln!("cluster: {error:#}");
        }
        // Nothing to do about a failure: it means that it has been reaped.
        let _ = self.first.wait();
    }
}

impl Cluster {
    /// One of this checkout.
    fn named(name: &str) -> Self {
        let folder = crate::target().join("cluster").join(name);
        Self { folder }
    }

    /// A kubeconfig of an administrator; its address is reached inside only.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join(files::ADMIN)
    }

    /// Where its files and logs are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of one of its programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        parts::programs(&self.folder).join(name)
    }

    /// Starts it and waits for its node.
    fn up(&self) -> Result<()> {
        // It has a session of its own and is found again by its folder.
        drop(self.start(false)?);
        self.wait_for_node()
    }

    /// Starts it anew and waits until everything but the node is up.
    fn start(&self, attached: bool) -> Result<Child> {
        is_possible()?;
        check_folder(&self.folder)?;
        let parts = Parts::find()?;
        let started = Instant::now();
        self.down()?;
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)
                .context("could not remove what an earlier one left")?;
        }
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("could not create `{}`", self.folder.display()))?;
        files::write(&self.folder, &parts)?;
        cgroups::create(&self.folder)?;
        let mut first = self.spawn(attached)?;
        let log = self.folder.join(LOG);
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let missing = || format!("the cluster does not start:\n{}", tail(&said()));
        process::wait_until(START_DEADLINE, missing, || {
            if let Some(status) = first.try_wait().context("could not look at the cluster")? {
                bail!("the cluster ended ({status}):\n{}", tail(&said()));
            }
            Ok(self.folder.join(READY).is_file())
        })?;
        eprintln!("cluster: started in {}", spoken(started.elapsed()));
        Ok(first)
    }

    fn spawn(&self, attached: bool) -> Result<Child> {
        let log = self.folder.join(LOG);
        let file =
            File::create(&log).with_context(|| format!("could not create `{}`", log.display()))?;
        // A copy: a build may put another in the place of ours, and in its own list of processes
        // `/proc` does not lead to us.
        let own = self.folder.join("xtask");
        fs::copy(own_executable()?, &own).context("could not copy this program")?;
        let mut command = Command::new("unshare");
        command
            // Its first process gets SIGKILL when this one ends, and with it goes everything inside.
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--mount-proc",
                "--kill-child",
            ])
            .arg(&own)
            .args(["cluster", "inside"])
            .arg(&self.folder);
        if attached {
            // The other end closes however we end.
            command.arg("--attached").stdin(Stdio::piped());
        } else {
            command.stdin(Stdio::null());
        }
        command
            .stdout(file.try_clone().context("could not share a log file")?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .context("could not start `unshare` (Debian: util-linux)")
    }

    fn wait_for_node(&self) -> Result<()> {
        let started = Instant::now();
        let node = format!("node/{NODE}");
        let missing = || {
            let log = fs::read_to_string(self.folder.join("kubelet.log")).unwrap_or_default();
            format!(
                "the node is not ready; the end of the kubelet's log:\n{}",
                tail(&log)
            )
        };
        process::wait_until(START_DEADLINE, missing, || {
            let wait = ["wait", "--for=condition=Ready", &node, "--timeout=1s"];
            let mut command = self.enter("kubectl")?;
            Ok(process::capture(command.args(wait)).is_ok())
        })?;
        // Pods are refused until their account is there.
        let missing = || "no account `default/default`".to_owned();
        process::wait_until(START_DEADLINE, missing, || {
            let account = ["get", "serviceaccount", "default", "-n", "default"];
            let mut command = self.enter("kubectl")?;
            Ok(process::capture(command.args(account)).is_ok())
        })?;
        eprintln!(
            "cluster: its node is ready after {} more",
            spoken(started.elapsed())
        );
        Ok(())
    }

    /// Ends it, if it runs, and removes its control groups.
    pub(crate) fn down(&self) -> Result<()> {
        if let Some(first) = self.first_process() {
            let missing = || "the cluster does not end".to_owned();
            // An error means that it has ended by itself.
            let _ = kill_process(first, Signal::KILL);
            process::wait_until(STOP_DEADLINE, missing, || {
                Ok(self.first_process().is_none())
            })?;
        }
        cgroups::remove(&self.folder)
    }

    /// A command that runs `program` inside, in the same folder.
    pub(crate) fn enter(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let mut command = self.namespaces(&["--mount", "--net", "--pid"])?;
        command
            .arg("--wd=.")
            .arg("--")
            .arg(program)
            .env("KUBECONFIG", self.kubeconfig())
            .env("PATH", parts::path(&self.folder));
        Ok(command)
    }

    /// What runs the program named after it in these namespaces of the cluster.
    pub(crate) fn namespaces(&self, which: &[&str]) -> Result<Command> {
        let first = self
            .first_process()
            .context("no cluster runs here: start one with `cargo xtask cluster up`")?;
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &first.as_raw_nonzero().to_string()])
            .args(which);
        Ok(command)
    }

    /// Runs `program` inside with our own input and outputs, and ends as it ends.
    fn hand_over(&self, program: &Path, arguments: &[OsString]) -> Result<ExitCode> {
        let status = self
            .enter(program)?
            .args(arguments)
            .status()
            .context("could not start `nsenter` (Debian: util-linux)")?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
    }

    /// The first process inside, by what it was started as: a number alone may be another's by now.
    fn first_process(&self) -> Option<Pid> {
        let tail = ["cluster", "inside", self.folder.to_str()?];
        let processes = fs::read_dir("/proc").ok()?.flatten();
        processes
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let words: Vec<_> = line.split(|byte| *byte == 0).collect();
                // `unshare`, its parent, bears the same words later in its line.
                words.get(1..4).is_some_and(|words| {
                    words
                        .iter()
                        .zip(tail)
                        .all(|(word, wanted)| *word == wanted.as_bytes())
                })
            })
            .find_map(Pid::from_raw)
    }
}

/// What starts containers in a cluster, for whoever needs no more.
pub(crate) fn runtime() -> Result<PathBuf> {
    Ok(parts::debian()?.join("usr/sbin/runc"))
}

/// Fails where it cannot work, and says why.
pub(crate) fn is_possible() -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("a cluster runs on Linux only");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("a cluster needs root: namespaces, mounts and control groups are made");
    }
    Ok(())
}

/// Fails where this folder cannot hold one.
fn check_folder(folder: &Path) -> Result<()> {
    for hidden in inside::HIDDEN {
        if folder.starts_with(hidden) {
            bail!("a cluster cannot live in `{hidden}`, which it has for itself");
        }
    }
    Ok(())
}
