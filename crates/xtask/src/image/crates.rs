//! Which crates are linked into a program, as Cargo resolves them for the target: no build scripts, no
//! procedural macros, no tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::program::TARGET;
use crate::process;
use crate::test::cargo;

/// A crate that is linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Linked {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// What it says of its licence, as an expression.
    pub(crate) licence: String,
    /// Where it is kept.
    pub(crate) repository: Option<String>,
    /// The folder of its sources.
    pub(crate) folder: PathBuf,
    /// Of its archive; none of our own crates.
    pub(crate) checksum: Option<String>,
    /// What it is linked with: names and versions.
    pub(crate) needs: BTreeSet<(String, String)>,
}

impl Linked {
    /// Whether somebody else wrote it.
    pub(crate) fn is_foreign(&self) -> bool {
        self.checksum.is_some()
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

/// The crates in the program of `package`, itself among them, by name and version.
pub(crate) fn linked(package: &str) -> Result<Vec<Linked>> {
    let mut tree = cargo();
    tree.args(["tree", "--locked", "--package", package, "--target", TARGET])
        .args(["--edges", "normal,no-proc-macro", "--prefix", "none"])
        .args(["--format", "{p}"]);
    let tree = process::capture(&mut tree)?;
    let wanted: BTreeSet<_> = tree.lines().filter_map(named).collect();
    let mut metadata = cargo();
    metadata.args(["metadata", "--locked", "--format-version", "1"]);
    metadata.args(["--filter-platform", TARGET]);
    let metadata: Metadata = serde_json::from_str(&process::capture(&mut metadata)?)
        .context("could not read what Cargo knows of the crates")?;
    let lock = std::fs::read_to_string(crate::workspace().join("Cargo.lock"))
        .context("could not read Cargo.lock")?;
    let checksums = checksums(&lock);
    let names: BTreeMap<&str, (String, String)> = metadata
        .packages
        .iter()
        .map(|it| (it.id.as_str(), (it.name.clone(), it.version.clone())))
        .collect();
    let mut all = Vec::new();
    for found in &metadata.packages {
        let key = (found.name.clone(), found.version.clone());
        if !wanted.contains(&key) {
            continue;
        }
        let mut nodes = metadata.resolve.nodes.iter();
        let node = nodes.find(|node| node.id == found.id);
        let needs = node.map(|node| node.dependencies.as_slice());
        let needs = needs.unwrap_or_default().iter();
        let licence = found.license.as_deref();
        let licence = licence.with_context(|| format!("`{}` names no licence", found.name))?;
        all.push(Linked {
            // The slash is how it was written once.
            licence: licence.replace(" / ", " OR ").replace('/', " OR "),
            repository: found.repository.clone(),
            folder: found
                .manifest_path
                .parent()
                .map(Into::into)
                .unwrap_or_default(),
            checksum: checksums.get(&key).cloned(),
            needs: needs
                .filter_map(|id| names.get(id.as_str()).cloned())
                .filter(|key| wanted.contains(key))
                .collect(),
            name: key.0,
            version: key.1,
        });
    }
    all.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    Ok(all)
}

/// Name and version in a line of `cargo tree`: `name v1.2.3 (path)`.
fn named(line: &str) -> Option<(String, String)> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    Some((name.to_owned(), version.to_owned()))
}

/// What a `Cargo.lock` knows of the archives of crates.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let blocks = lock.split("[[package]]");
    let of_block = |block: &str| {
        let value = |name: &str| {
            let start = format!("{name} = \"");
            let mut lines = block.lines();
            let found = lines.find_map(|line| line.strip_prefix(&start))?;
            Some(found.trim_end_matches('"').to_owned())
        };
        Some(((value("name")?, value("version")?), value("checksum")?))
    };
    blocks.filter_map(of_block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_tree_names_a_crate() {
        let key = Some(("kube".to_owned(), "5.0.0".to_owned()));
        assert_eq!(named("kube v5.0.0"), key);
        assert_eq!(named("kube v5.0.0 (*)"), key);
        assert_eq!(named(""), None);
    }

    #[test]
    fn checksums_are_those_of_the_lock_and_ours_has_none() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1\"\nchecksum = \"ab\"\n\n\
                    [[package]]\nname = \"own\"\nversion = \"2\"\n";
        let found = checksums(lock);
        assert_eq!(found.len(), 1);
        assert_eq!(found[&("a".to_owned(), "1".to_owned())], "ab");
    }

    #[test]
    fn the_operator_is_linked_with_its_client_and_with_tls_but_with_no_macro() {
        let all = linked("apono-operator").expect("Cargo knows");
        let has = |name: &str| all.iter().any(|it| it.name == name);
        assert!(has("apono-client") && has("aws-lc-sys") && has("kube"));
        assert!(!has("serde_derive") && !has("proptest") && !has("apono-simulator"));
    }
}
