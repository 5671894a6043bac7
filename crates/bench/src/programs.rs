//! Programs: how they start and end, and what the process table says of them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

/// A tick of the process table, as the kernel is built everywhere.
const TICKS_A_SECOND: f64 = 100.0;
/// The longest a program may take to say a word, or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// A program that runs. It is killed when this is dropped.
pub struct Program {
    child: Child,
    /// Where it writes.
    pub log: PathBuf,
}

impl Program {
    /// Starts it; what it writes goes to the file.
    pub fn start(command: &[String], environment: &[(String, String)], log: &Path) -> Result<Self> {
        let (program, arguments) = command.split_first().context("no program is named")?;
        let file = File::create(log).context("could not make a log file")?;
        let errors = file.try_clone()?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .kill_on_drop(true);
        let child = command.spawn();
        let child = child.with_context(|| format!("could not start `{program}`"))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// Its number.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("it has ended")
    }

    /// What `find` finds in a line that it writes.
    pub async fn wait_for<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let started = Instant::now();
        loop {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(found) = text.lines().find_map(&find) {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended ({status}) before it said {what}:\n{text}");
            }
            if started.elapsed() > PATIENCE {
                bail!("it has not said {what}, see `{}`", self.log.display());
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it as the kubelet does.
    pub async fn end(mut self) -> Result<()> {
        let id = self.id()?.to_string();
        let signal = Command::new("kill").args(["-TERM", &id]).status().await?;
        if !signal.success() {
            bail!("could not signal process {id}");
        }
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.context("it does not end")??;
        Ok(())
    }
}

/// What the process table says of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Processor time so far, in seconds.
    pub cpu_s: f64,
    /// Memory now, in MiB.
    pub rss_mib: f64,
    /// The most memory there was, in MiB.
    pub peak_mib: f64,
    /// Open files and sockets.
    pub open_files: usize,
}

impl Figures {
    /// Of this process.
    pub fn of(id: u32) -> Result<Self> {
        let folder = PathBuf::from(format!("/proc/{id}"));
        let stat = fs::read_to_string(folder.join("stat"))?;
        let status = fs::read_to_string(folder.join("status"))?;
        // The name, in brackets, may hold spaces.
        let (_, rest) = stat.rsplit_once(')').context("an odd process table")?;
        let fields: Vec<_> = rest.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
        let cpu = ticks(11).zip(ticks(12)).context("an odd process table")?;
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kib / 1024.0)
        };
        Ok(Self {
            cpu_s: (cpu.0 + cpu.1) / TICKS_A_SECOND,
            rss_mib: mib("VmRSS:").unwrap_or_default(),
            peak_mib: mib("VmHWM:").unwrap_or_default(),
            open_files: fs::read_dir(folder.join("fd"))?.count(),
        })
    }
}

/// The process of this name that works in the folder.
pub fn find(name: &str, folder: &Path) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?;
    processes.flatten().find_map(|entry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let program = command.split(|byte| *byte == 0).next()?;
        let is_it = String::from_utf8_lossy(program).ends_with(&format!("/{name}"));
        let is_there = fs::read_link(entry.path().join("cwd")).ok()? == folder;
        (is_it && is_there).then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_table_knows_this_process() {
        let figures = Figures::of(std::process::id()).unwrap();
        assert!(figures.rss_mib > 0.5 && figures.peak_mib >= figures.rss_mib);
        assert!(figures.open_files > 2);
    }
}
