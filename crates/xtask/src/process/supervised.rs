//! Programs that cannot outlive us, however we end: return, panic, signal or SIGKILL.
//!
//! Why a supervisor: the kernel tells nobody that a parent was killed, except by closing its files.
//! So each program runs under a second `xtask` that holds one end of a pipe, the lifeline. When the
//! other end closes, which needs no help from us, it kills the program with all its descendants and
//! ends. `PR_SET_PDEATHSIG` would need `unsafe` between fork and exec, and exists on Linux only.
//!
//! Supervisor and program each lead a process group of their own: Ctrl-C reaches neither, only us,
//! and we decide what ends first; killing the program's group leaves its supervisor alive to reap.
//! SIGKILL is enough for what we run: no state of theirs is kept.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::interrupt;

/// Set to 1, it makes the control plane's binary end when its standard input closes. That covers
/// the one gap left: a supervisor killed together with us, as by `pkill -9 xtask`.
pub(crate) const EXIT_WITH_PARENT: &str = "EXIT_WITH_PARENT";

const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A running program. It is killed, and has ended, when this is dropped.
#[derive(Debug)]
pub(crate) struct Supervised {
    supervisor: Child,
    lifeline: Option<ChildStdin>,
}

impl Supervised {
    /// Starts `command` (its program, arguments, environment and folder) with these outputs.
    pub(crate) fn spawn(command: &Command, stdout: Stdio, stderr: Stdio) -> Result<Self> {
        let name = command.get_program().display().to_string();
        let mut supervisor = Command::new(own_executable()?);
        // Named, since the path of the executable says nothing in a list of processes.
        supervisor.arg0("xtask");
        supervisor
            .args(["supervise", "--"])
            .arg(command.get_program())
            .args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => supervisor.env(key, value),
                None => supervisor.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            supervisor.current_dir(folder);
        }
        let mut supervisor = supervisor
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .with_context(|| format!("could not start a supervisor for `{name}`"))?;
        let lifeline = supervisor.stdin.take();
        Ok(Self {
            supervisor,
            lifeline,
        })
    }

    /// The supervisor's ends of piped outputs.
    pub(crate) fn outputs(
        &mut self,
    ) -> (
        Option<std::process::ChildStdout>,
        Option<std::process::ChildStderr>,
    ) {
        (self.supervisor.stdout.take(), self.supervisor.stderr.take())
    }

    /// How it ended, if it has.
    pub(crate) fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.supervisor
            .try_wait()
            .context("could not ask whether a program has ended")
    }

    /// Waits for its end, or for a signal to us.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            interrupt::check()?;
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Cuts the lifeline without waiting, so that several can end at the same time.
    pub(crate) fn cut(&mut self) {
        self.lifeline = None;
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.cut();
        // Nothing to do about a failure here: it means the supervisor has been reaped already.
        let _ = self.supervisor.wait();
    }
}

/// The path by which others start this very program, as long as we run.
pub(crate) fn executable_for_others() -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from(format!("/proc/{}/exe", std::process::id())));
    }
    own_executable()
}

/// The path of this very program, also after a build has put another in its place.
pub(crate) fn own_executable() -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe().context("could not find the path of this program")
}

/// The supervisor's own work: runs `command`, kills its group when standard input closes, and ends
/// as it ended.
pub(crate) fn supervise(command: &[OsString]) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else {
        return ExitCode::from(2);
    };
    match run_until_cut(program, arguments) {
        Ok(status) => {
            // As a shell does, since a code is all that can be handed on.
            let code = status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(127)
        }
    }
}

fn run_until_cut(program: &OsString, arguments: &[OsString]) -> Result<ExitStatus> {
    let watches = std::env::var_os(EXIT_WITH_PARENT).is_some_and(|value| value == "1");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(if watches {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .process_group(0)
        .spawn()
        .with_context(|| format!("could not start `{}`", program.display()))?;
    // Held, never written to, until the program has ended.
    let lifeline = child.stdin.take();
    let group = Pid::from_child(&child);
    std::thread::spawn(move || {
        // Both the end of the file and an error mean that nobody holds the other end.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = kill_process_group(group, Signal::KILL);
    });
    // Not reaped yet, so the group's number cannot have passed to a stranger when we kill what the
    // program left behind.
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(error) = waitid(WaitId::Pid(group), ended) {
        if error != rustix::io::Errno::INTR {
            return Err(anyhow!(error).context("could not wait for a program"));
        }
    }
    let _ = kill_process_group(group, Signal::KILL);
    let status = child.wait().context("could not wait for a program")?;
    drop(lifeline);
    Ok(status)
}
