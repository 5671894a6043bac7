//! How the account is laid out on standard output: at most a hundred columns, and colours only where
//! a person looks at them. It decides nothing about what is told.

use std::io::{IsTerminal as _, Write as _};

/// No line is longer, so that an account pasted anywhere keeps its shape.
pub(crate) const WIDTH: usize = 100;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// Where the account is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    colour: bool,
}

impl Page {
    /// Standard output, with colours on a terminal unless `NO_COLOR` is set.
    pub(crate) fn new() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: std::io::stdout().is_terminal() && !refused,
        }
    }

    /// The title of a part.
    pub(crate) fn heading(self, text: &str) {
        write("");
        write(&self.painted(BOLD, text));
    }

    /// A command as it would be typed.
    pub(crate) fn command(self, text: &str) {
        for line in wrap("  $ ", "      ", text) {
            write(&self.painted(GREEN, &line));
        }
    }

    /// What a command said, or a file holds; long lines are cut.
    pub(crate) fn quote(self, text: &str) {
        for line in text.lines() {
            write(&self.painted(DIM, &cut(&format!("    {line}"), WIDTH)));
        }
    }

    /// Something that happened to `name`, `seconds` after the start.
    pub(crate) fn moment(self, seconds: f64, name: &str, word: &str, text: &str) {
        for line in moment(seconds, name, word, text) {
            write(&line.replacen(word, &self.painted(BOLD, word), 1));
        }
    }

    fn painted(self, colour: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("{colour}{text}{PLAIN}")
        } else {
            text.to_owned()
        }
    }
}

/// A sentence, wrapped.
pub(crate) fn say(text: &str) {
    for line in wrap("  ", "  ", text) {
        write(&line);
    }
}

/// Rows of which the first is the header; the last column is wrapped.
pub(crate) fn show_table(rows: &[Vec<String>]) {
    for line in table(rows) {
        write(&line);
    }
}

/// A line as it is.
pub(crate) fn write(line: &str) {
    // A reader that went away, such as `head`, does not make the demo fail.
    let _ = writeln!(std::io::stdout().lock(), "{}", line.trim_end());
}

/// Time, name and word in columns of their own, the text wrapped beside them.
fn moment(seconds: f64, name: &str, word: &str, text: &str) -> Vec<String> {
    let front = format!("  {seconds:>5.1} s  {name:<19}{word:<17}");
    let indent = " ".repeat(front.chars().count());
    wrap(&front, &indent, text)
}

/// `text` in lines of at most [`WIDTH`]; a word that is longer has a line of its own.
pub(crate) fn wrap(first: &str, indent: &str, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut is_fresh = true;
    for word in text.split_whitespace() {
        if !is_fresh && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, indent.to_owned()));
            is_fresh = true;
        }
        if !is_fresh {
            line.push(' ');
        }
        line.push_str(word);
        is_fresh = false;
    }
    lines.push(line);
    lines
}

/// At most `width` characters; what is missing is shown to be missing.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Columns as wide as their widest cell, the last one wrapped.
fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut lines = Vec::new();
    for row in rows {
        let Some((last, others)) = row.split_last() else {
            continue;
        };
        let mut front = "    ".to_owned();
        for (cell, width) in others.iter().zip(&widths) {
            front = format!("{front}{cell:<width$}  ");
        }
        let indent = " ".repeat(front.chars().count());
        lines.extend(wrap(&front, &indent, last));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|&cell| cell.to_owned()).collect()
    }

    #[test]
    fn a_long_text_goes_on_under_its_own_column() {
        let lines = wrap("  name  ", "        ", &"word ".repeat(40));
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(
            lines
                .iter()
                .skip(1)
                .all(|line| line.starts_with("        word"))
        );
    }

    #[test]
    fn a_text_that_is_cut_says_so_and_keeps_its_width() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("ünwieldy", 4), "ünw…");
    }

    #[test]
    fn moments_stand_below_each_other() {
        let first = moment(0.31, "prod-read", "PendingApproval", "text");
        let second = moment(12.0, "orders-last-night", "Active", "text");
        assert_eq!(
            first,
            ["    0.3 s  prod-read          PendingApproval  text"]
        );
        assert_eq!(
            second,
            ["   12.0 s  orders-last-night  Active           text"]
        );
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = table(&[row(&["A", "B"]), row(&["longer", "x"])]);
        assert_eq!(lines, ["    A       B", "    longer  x"]);
    }

    #[test]
    fn a_wide_table_stays_within_the_page() {
        let lines = table(&[
            row(&["TYPE", "MESSAGE"]),
            row(&["Ready", &"word ".repeat(60)]),
        ]);
        assert!(lines.len() > 3);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
    }
}
