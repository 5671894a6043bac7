//! Runs other programs: none outlives this one, and the long ones are seen to move.

pub(crate) mod interrupt;
pub(crate) mod progress;
pub(crate) mod supervised;

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use self::progress::Progress;
use self::supervised::Supervised;

/// How a watched program ended, and everything it wrote.
#[derive(Debug)]
pub(crate) struct Watched {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Its standard output and error, line by line as they came.
    pub(crate) output: String,
}

/// Runs `command` with our own outputs and returns how it ended.
pub(crate) fn run(command: &Command) -> Result<ExitStatus> {
    Supervised::spawn(command, Stdio::inherit(), Stdio::inherit())?.wait()
}

/// Runs a short `command` and returns its standard output; fails if it fails, with what it said.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not start `{name}`"))?;
    interrupt::check()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{name}` failed ({}): {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a long `command` quietly: shows `progress` while `count` sorts its lines into the words
/// under which they are counted, and keeps the lines for the case that it fails.
pub(crate) fn watch(
    command: &Command,
    mut progress: Progress,
    count: impl Fn(&str) -> Option<&'static str>,
) -> Result<Watched> {
    let mut program = Supervised::spawn(command, Stdio::piped(), Stdio::piped())?;
    let (sender, lines) = mpsc::channel();
    let (stdout, stderr) = program.outputs();
    if let Some(stdout) = stdout {
        forward(stdout, sender.clone());
    }
    if let Some(stderr) = stderr {
        forward(stderr, sender.clone());
    }
    drop(sender);
    let mut output = String::new();
    loop {
        match lines.recv_timeout(Duration::from_millis(200)) {
            Ok(line) => {
                if let Some(word) = count(&line) {
                    progress.count(word);
                }
                output.push_str(&line);
                output.push('\n');
            }
            Err(RecvTimeoutError::Timeout) => interrupt::check()?,
            Err(RecvTimeoutError::Disconnected) => break,
        }
        progress.show();
    }
    let status = program.wait()?;
    progress.clear();
    Ok(Watched { status, output })
}

fn forward(source: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(source).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line)
                .trim_end_matches('\r')
                .to_owned();
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}

/// A time as a person says it: `0.4 s`, `48 s`, `5 min 03 s`.
pub(crate) fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 60 {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    } else if seconds >= 10 {
        format!("{seconds} s")
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// Looks every 100 ms until `holds`; fails at the deadline with `missing`, or on a signal to us.
pub(crate) fn wait_until(
    deadline: Duration,
    missing: impl Fn() -> String,
    mut holds: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let started = Instant::now();
    while !holds()? {
        interrupt::check()?;
        if started.elapsed() > deadline {
            bail!("after {}: {}", spoken(deadline), missing());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// The last lines of a log.
pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let (_, last) = lines.split_at(lines.len().saturating_sub(15));
    last.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spoken_in_the_unit_that_fits() {
        assert_eq!(spoken(Duration::from_millis(440)), "0.4 s");
        assert_eq!(spoken(Duration::from_millis(48_900)), "48 s");
        assert_eq!(spoken(Duration::from_secs(303)), "5 min 03 s");
    }

    #[test]
    fn a_failed_program_is_told_with_what_it_said() {
        let error = capture(Command::new("sh").args(["-c", "echo no such luck >&2; exit 3"]));
        let text = format!("{:#}", error.expect_err("it exits with 3"));
        assert!(text.contains("no such luck"), "{text}");
    }

    #[test]
    fn a_condition_that_never_holds_says_what_was_missing() {
        let waited = wait_until(Duration::ZERO, || "the moon".to_owned(), || Ok(false));
        assert!(
            waited
                .expect_err("it never holds")
                .to_string()
                .contains("the moon")
        );
    }

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let log = (0..40)
            .map(|n| format!("line {n}"))
            .collect::<Vec<_>>()
            .join("\n");
        assert!(tail(&log).starts_with("line 25\n") && tail(&log).ends_with("line 39"));
        assert_eq!(tail("one"), "one");
    }
}
