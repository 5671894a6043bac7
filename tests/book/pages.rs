//! Pages of Markdown, read as far as the tests need: headings, links, and fenced blocks with the mark
//! above them. Pure but for reading the files.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the book is.
pub const BOOK: &str = "docs";
/// Pages outside of the book that people read all the same.
pub const BESIDE: [&str; 2] = ["README.md", "deploy/chart/README.md"];

/// One page.
pub struct Page {
    /// From the root of the repository.
    pub path: String,
    pub text: String,
}

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    pub page: String,
    /// Of its first line of text.
    pub line: usize,
    /// The word after the fence.
    pub language: String,
    pub text: String,
    /// What the comments right above it say.
    pub marks: Vec<Mark>,
}

/// What a comment above a block says of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is not run, and why.
    NotRun(String),
    /// It fails, with these words.
    Refused(String),
    /// It is run in a cluster of this name, in place of the book's own.
    Cluster(String),
    /// This is run before it.
    First(String),
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

impl Page {
    pub fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path));
        Self {
            text: text.unwrap_or_else(|error| panic!("{path}: {error}")),
            path: path.to_owned(),
        }
    }

    /// The lines outside of fenced blocks, with those of blocks left empty.
    pub fn prose(&self) -> Vec<&str> {
        let mut is_fenced = false;
        let line = |line| {
            let line: &str = line;
            if line.trim_start().starts_with("```") {
                is_fenced = !is_fenced;
                return "";
            }
            if is_fenced { "" } else { line }
        };
        self.text.lines().map(line).collect()
    }

    /// What can be linked to on it.
    pub fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let headings = prose.iter().filter(|line| line.starts_with('#'));
        headings
            .map(|line| anchor(line.trim_start_matches('#').trim()))
            .collect()
    }

    /// Targets of links and pictures.
    pub fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for line in self.prose() {
            // What is in code is shown, not meant.
            let outside: Vec<_> = line.split('`').step_by(2).collect();
            for part in outside.join(" ").split("](").skip(1) {
                if let Some((target, _)) = part.split_once(')') {
                    links.push(target.to_owned());
                }
            }
        }
        links
    }

    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        let mut marks = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, Some(language)) => {
                    open = Some(Block {
                        page: self.path.clone(),
                        line: number + 2,
                        language: language.trim().to_owned(),
                        text: String::new(),
                        marks: std::mem::take(&mut marks),
                    });
                }
                (None, None) => match mark(line) {
                    Some(mark) => marks.push(mark),
                    None => marks.clear(),
                },
            }
        }
        assert!(open.is_none(), "{}: a block does not end", self.path);
        blocks
    }
}

fn mark(line: &str) -> Option<Mark> {
    let comment = line.trim().strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    let (word, rest) = comment.split_once(": ")?;
    let rest = rest.to_owned();
    match word {
        "not run" => Some(Mark::NotRun(rest)),
        "refused" => Some(Mark::Refused(rest)),
        "cluster" => Some(Mark::Cluster(rest)),
        "first" => Some(Mark::First(rest)),
        _ => None,
    }
}

/// The name of a heading, as both GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ if letter.is_alphanumeric() => Some(letter.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// The targets of the table of contents, in its order.
pub fn contents() -> Vec<String> {
    let summary = Page::read(&format!("{BOOK}/SUMMARY.md"));
    summary.links()
}

/// The pages of the book in its order, then those beside it.
pub fn all() -> Vec<Page> {
    let book = contents().into_iter().map(|path| format!("{BOOK}/{path}"));
    let beside = BESIDE.into_iter().map(str::to_owned);
    book.chain(beside).map(|path| Page::read(&path)).collect()
}

/// Every file of Markdown below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|end| end == "md") {
            files.push(path);
        }
    }
    files
}
