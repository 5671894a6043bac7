//! The licence texts of everything that is linked, in one file: each text once, with whom it is of. A crate
//! without any text, and under a licence that we have no text for, fails the build: nothing is left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::crates::Linked;

/// How files with licences and notices begin.
const NAMES: [&str; 6] = [
    "licen",
    "copying",
    "copyright",
    "notice",
    "unlicense",
    "patents",
];

/// What a crate says that names MIT and brings no text.
const MIT: &str = include_str!("mit.txt");

/// A text, and who it is of.
type Texts = BTreeMap<String, Vec<String>>;

/// The file; `musl` is the text of the C library.
pub(crate) fn file(linked: &[Linked], musl: &str) -> Result<String> {
    let mut texts = Texts::new();
    let mut table = "  musl: MIT\n".to_owned();
    let apache = fs::read_to_string(crate::workspace().join("LICENSE"))
        .context("could not read our own licence")?;
    for one in linked.iter().filter(|one| one.is_foreign()) {
        let whose = format!("{} {}", one.name, one.version);
        writeln!(table, "  {whose}: {}", one.licence)?;
        let mut found = texts_in(&one.folder)?;
        if found.is_empty() {
            found = standard(one, &apache)?;
        }
        for text in found {
            texts.entry(text).or_default().push(whose.clone());
        }
    }
    texts
        .entry(musl.trim().to_owned())
        .or_default()
        .push("musl".to_owned());
    Ok(laid_out(&table, texts))
}

fn laid_out(table: &str, texts: Texts) -> String {
    let rule = "=".repeat(80);
    let mut file = format!(
        "What this program is linked with, beside the standard library of Rust, and under which licence;\n\
         the texts follow, each once, under the names of those that it came with.\n\n{table}"
    );
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|one, other| one.1.cmp(&other.1));
    for (text, owners) in texts {
        let owners = owners.join(", ");
        let _ = write!(file, "\n{rule}\n{owners}\n{rule}\n\n{text}\n");
    }
    file
}

/// The texts at the top of a crate's folder, sorted by the name of their file.
fn texts_in(folder: &Path) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("could not read `{}`", folder.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let is_text = |path: &&std::path::PathBuf| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        path.is_file() && NAMES.iter().any(|start| name.starts_with(start))
    };
    let read = |path: &std::path::PathBuf| {
        let text =
            fs::read(path).with_context(|| format!("could not read `{}`", path.display()))?;
        let text = String::from_utf8_lossy(&text).replace('\r', "");
        Ok(text.trim().to_owned())
    };
    files.iter().filter(is_text).map(read).collect()
}

/// The text that the name of a licence stands for.
fn standard(one: &Linked, apache: &str) -> Result<Vec<String>> {
    let mut names = one.licence.split(" OR ");
    if names.clone().any(|name| name == "Apache-2.0") {
        return Ok(vec![apache.trim().to_owned()]);
    }
    if names.any(|name| name == "MIT") {
        let holder = format!("Copyright (c) the authors of {}", one.name);
        return Ok(vec![format!("{holder}\n\n{}", MIT.trim())]);
    }
    bail!(
        "{} {} brings no licence text, and there is none of ours for `{}`",
        one.name,
        one.version,
        one.licence
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, licence: &str, folder: &Path) -> Linked {
        Linked {
            name: name.to_owned(),
            version: "1".to_owned(),
            licence: licence.to_owned(),
            repository: None,
            folder: folder.to_owned(),
            checksum: Some("ab".to_owned()),
            needs: std::collections::BTreeSet::default(),
        }
    }

    #[test]
    fn a_text_that_two_share_is_there_once_and_named_after_both() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(
            folder.path().join("LICENSE-MIT"),
            "to whom it may concern\r\n",
        )
        .expect("written");
        fs::write(folder.path().join("README"), "no licence").expect("written");
        let all = [
            one("a", "MIT", folder.path()),
            one("b", "MIT", folder.path()),
        ];
        let file = file(&all, "of musl").expect("texts");
        assert_eq!(file.matches("to whom it may concern").count(), 1);
        assert!(file.contains("\na 1, b 1\n"), "{file}");
        assert!(file.contains("musl: MIT") && !file.contains("no licence"));
    }

    #[test]
    fn a_crate_without_a_text_has_that_of_its_licence_or_fails() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = |licence: &str| file(&[one("bare", licence, folder.path())], "of musl");
        assert!(text("MIT").expect("one").contains("the authors of bare"));
        assert!(text("Apache-2.0").expect("one").contains("Apache License"));
        let error = text("Odd-1.0").expect_err("none").to_string();
        assert!(
            error.contains("bare 1") && error.contains("Odd-1.0"),
            "{error}"
        );
    }

    #[test]
    fn ours_are_not_third_parties() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut own = one("own", "Odd-1.0", folder.path());
        own.checksum = None;
        assert!(!file(&[own], "of musl").expect("texts").contains("own 1"));
    }
}
