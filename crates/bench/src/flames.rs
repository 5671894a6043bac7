//! Where a program spends its time: `perf` samples it, and the samples become a flame graph.

use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};
use inferno::{
    collapse::{Collapse as _, perf::Folder},
    flamegraph::{self, Options},
};
use tokio::process::{Child, Command};

/// Samples a second: no multiple of what timers do.
const FREQUENCY: &str = "199";
/// Narrower ones are left out, in per cent of the whole.
const NARROWEST: f64 = 0.4;

/// A recording that runs.
pub struct Recording {
    perf: Child,
    data: PathBuf,
}

impl Recording {
    /// Begins to sample a process.
    pub fn begin(id: u32, data: &Path) -> Result<Self> {
        let id = id.to_string();
        let mut command = Command::new("perf");
        command
            .args(["record", "--quiet", "-F", FREQUENCY, "-g", "-p", &id, "-o"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let perf = command
            .spawn()
            .context("perf does not start: is it installed?")?;
        Ok(Self {
            perf,
            data: data.to_owned(),
        })
    }

    /// Ends it, and draws what was sampled.
    pub async fn end(mut self, title: &str, picture: &Path) -> Result<()> {
        let id = self.perf.id().context("perf has ended by itself")?;
        let mut signal = Command::new("kill");
        signal.args(["-INT", &id.to_string()]).status().await?;
        self.perf.wait().await?;
        let script = self.data.with_extension("script");
        let told = Command::new("perf")
            .args(["script", "-i"])
            .arg(&self.data)
            .stdout(File::create(&script)?)
            .stderr(Stdio::null())
            .status()
            .await?;
        if !told.success() {
            bail!("perf could not read what it recorded");
        }
        draw(&script, title, picture)
    }
}

fn draw(script: &Path, title: &str, picture: &Path) -> Result<()> {
    let mut folded = Vec::new();
    let samples = BufReader::new(File::open(script)?);
    Folder::default().collapse(samples, &mut folded)?;
    let folded = String::from_utf8(folded)?;
    let mut options = Options::default();
    title.clone_into(&mut options.title);
    options.min_width = NARROWEST;
    // The same every time, so that two pictures can be compared.
    options.hash = true;
    let file = File::create(picture).context("could not make the picture")?;
    flamegraph::from_lines(&mut options, folded.lines(), file)?;
    fs::write(picture.with_extension("txt"), largest(&folded))?;
    Ok(())
}

/// The functions in which the most samples are, with what they call, in per cent of all.
fn largest(folded: &str) -> String {
    let mut totals = std::collections::BTreeMap::<&str, u64>::new();
    let mut all = 0_u64;
    for line in folded.lines() {
        let Some((stack, count)) = line.rsplit_once(' ') else {
            continue;
        };
        let count: u64 = count.parse().unwrap_or_default();
        all += count;
        let frames: std::collections::BTreeSet<_> = stack.split(';').collect();
        for frame in frames {
            *totals.entry(frame).or_default() += count;
        }
    }
    let mut totals: Vec<_> = totals.into_iter().collect();
    totals.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let share = |count: u64| (count * 1000 / all.max(1)).to_string();
    let lines = totals.iter().take(400).map(|(frame, count)| {
        let share = format!("{:0>2}", share(*count));
        let (whole, tenth) = share.split_at(share.len() - 1);
        format!("{whole:>3}.{tenth} {frame}\n")
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_counts_with_what_it_calls_and_once_where_it_calls_itself() {
        let told = largest("a;b;b 3\na;c 1\n");
        assert_eq!(told, "100.0 a\n 75.0 b\n 25.0 c\n");
    }
}
