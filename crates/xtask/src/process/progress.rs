//! Shows that a long program moves: one line that is rewritten on a terminal, else a plain line
//! every ten seconds, so that a log shows life without being flooded.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use super::spoken;

const REWRITE_INTERVAL: Duration = Duration::from_millis(200);
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// What is shown of one running program.
#[derive(Debug)]
pub(crate) struct Progress {
    label: String,
    started: Instant,
    shown: Instant,
    counts: Vec<(&'static str, usize)>,
    terminal: bool,
}

impl Progress {
    /// Starts the clock. `label` says what is being done.
    pub(crate) fn new(label: impl Into<String>) -> Self {
        let now = Instant::now();
        let terminal = std::io::stderr().is_terminal();
        Self {
            label: label.into(),
            started: now,
            shown: now,
            counts: Vec::new(),
            terminal,
        }
    }

    /// One more of `word`.
    pub(crate) fn count(&mut self, word: &'static str) {
        if let Some((_, count)) = self.counts.iter_mut().find(|(known, _)| *known == word) {
            *count += 1;
        } else {
            self.counts.push((word, 1));
        }
    }

    /// Shows the state, if it is time to.
    pub(crate) fn show(&mut self) {
        let interval = if self.terminal {
            REWRITE_INTERVAL
        } else {
            LINE_INTERVAL
        };
        if self.shown.elapsed() < interval {
            return;
        }
        self.shown = Instant::now();
        let line = self.line(self.started.elapsed());
        if self.terminal {
            eprint!("\r\x1b[2K{line}");
        } else {
            eprintln!("{line}");
        }
    }

    /// Takes the line back from the terminal.
    pub(crate) fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[2K");
        }
    }

    fn line(&self, elapsed: Duration) -> String {
        let mut line = format!("{}: {}", self.label, spoken(elapsed));
        for (word, count) in &self.counts {
            line = format!("{line}, {count} {word}");
        }
        line
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_holds_the_time_and_each_count() {
        let mut progress = Progress::new("building");
        for word in ["modules fetched", "packages compiled", "packages compiled"] {
            progress.count(word);
        }
        let line = progress.line(Duration::from_secs(70));
        assert_eq!(
            line,
            "building: 1 min 10 s, 1 modules fetched, 2 packages compiled"
        );
    }
}
