//! Every block of commands is run as it stands, in the order of the book, in a cluster of its own with Helm
//! and kubectl at hand; so is every YAML that an apiserver takes. What cannot be run says why, in a comment
//! above it.
//!
//! | above a block | means |
//! | --- | --- |
//! | `<!-- not run: why -->` | it is not run |
//! | `<!-- refused: words -->` | its last command fails, with these words |
//! | `<!-- cluster: name -->` | it is run in another cluster, which knows nothing of the book's |
//! | `<!-- first: command -->` | this is run before it |
//!
//! Apono is the simulator: its address stands in for `https://api.apono.io`, its token is in `token.txt`.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use apono_simulator::{Config, DEFAULT_TOKEN, Simulator};
use tempfile::TempDir;

use crate::{
    helm::{documents, said, tool},
    pages::{BOOK, Block, Mark, Page, all, root},
    plane::{NAMESPACE, Plane},
    shipped::Said,
};

/// How blocks of commands are marked.
const SHELLS: [&str; 2] = ["sh", "console"];
/// Where Apono is.
const APONO: &str = "https://api.apono.io";
/// Longer than any command of the book waits by itself.
const PATIENCE: &str = "180";

fn is_shell(block: &Block) -> bool {
    SHELLS.contains(&block.language.as_str())
}

/// What an apiserver could take: it names a kind.
fn is_object(block: &Block) -> bool {
    block.language == "yaml" && block.text.starts_with("apiVersion: ")
}

fn is_run(block: &Block) -> bool {
    let is_not = |mark: &Mark| matches!(mark, Mark::NotRun(_));
    !block.marks.iter().any(is_not) && (is_shell(block) || is_object(block))
}

/// In the order of the book, by cluster.
fn by_cluster() -> BTreeMap<String, Vec<Block>> {
    let mut clusters = BTreeMap::<String, Vec<Block>>::new();
    for block in all().iter().flat_map(Page::blocks).filter(is_run) {
        let named = block.marks.iter().find_map(|mark| match mark {
            Mark::Cluster(name) => Some(name.clone()),
            _ => None,
        });
        let own = if block.page.starts_with(BOOK) {
            String::new()
        } else {
            block.page.clone()
        };
        clusters
            .entry(named.unwrap_or(own))
            .or_default()
            .push(block);
    }
    clusters
}

#[test]
fn every_block_of_commands_is_run_or_says_why_not() {
    let (mut run, mut not_run) = (0, 0);
    for block in all().iter().flat_map(Page::blocks) {
        let place = format!("{}:{}", block.page, block.line);
        assert!(!block.language.is_empty(), "{place}: what language is it?");
        let why = block.marks.iter().find_map(|mark| match mark {
            Mark::NotRun(why) => Some(why),
            _ => None,
        });
        match why {
            Some(why) => {
                assert!(why.len() > 20, "{place}: {why} is no reason");
                not_run += 1;
            }
            None if is_run(&block) => run += 1,
            // A part of a file, or what somebody said.
            None => assert!(
                ["yaml", "text", "mermaid"].contains(&block.language.as_str()),
                "{place}"
            ),
        }
    }
    println!("{run} blocks are run, {not_run} are not");
    assert!(run > 25 && not_run < run, "{run} and {not_run}");
}

/// A cluster, and a folder with what a reader has at hand.
struct Desk {
    folder: TempDir,
    plane: Plane,
    simulator: Simulator,
}

impl Desk {
    fn new() -> Self {
        let simulator = Simulator::start(&Config::instant()).expect("a free port");
        let desk = Self {
            folder: tempfile::tempdir().expect("a folder"),
            plane: Plane::start(),
            simulator,
        };
        for name in ["deploy", "crds"] {
            symlink(root().join(name), desk.path().join(name)).expect("a link");
        }
        fs::write(desk.path().join("token.txt"), format!("{DEFAULT_TOKEN}\n")).expect("written");
        let programs = desk.path().join("bin");
        fs::create_dir(&programs).expect("a folder");
        let kubectl = desk.plane.file("APONO_TEST_KUBECTL");
        for (name, program) in [
            ("kubectl", Path::new(kubectl)),
            ("helm", &tool("helm4")),
            (
                "apono-operator",
                Path::new(env!("CARGO_BIN_EXE_apono-operator")),
            ),
        ] {
            let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", program.display());
            let path = programs.join(name);
            fs::write(&path, script).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
        }
        desk
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn shell(&self, script: &str) -> Said {
        let known = std::env::var("PATH").unwrap_or_default();
        let mut definitions = tool("kube-score");
        definitions.pop();
        let home = self.path().join("home");
        let mut command = Command::new("timeout");
        command
            .args([PATIENCE, "bash", "-euo", "pipefail", "-c", script])
            .current_dir(self.path())
            .env(
                "PATH",
                format!("{}:{known}", self.path().join("bin").display()),
            )
            .env("HOME", &home)
            .env("KUBECONFIG", self.plane.file("KUBECONFIG"))
            .env("MONITORING_DEFINITIONS", definitions)
            .stdin(Stdio::null());
        for name in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{name}_HOME"), home.join(name));
        }
        said(&mut command)
    }

    fn run(&self, block: &Block) {
        let place = format!("{}:{}", block.page, block.line);
        let started = Instant::now();
        let text = block
            .text
            .replace(APONO, self.simulator.url().trim_end_matches('/'));
        for mark in &block.marks {
            if let Mark::First(command) = mark {
                let said = self.shell(command);
                assert!(said.is_success, "{place}: before it: {}", said.errors);
            }
        }
        let refused = block.marks.iter().find_map(|mark| match mark {
            Mark::Refused(words) => Some(words),
            _ => None,
        });
        if is_object(block) {
            let objects: Vec<_> = documents(&text).iter().map(ToString::to_string).collect();
            let script = format!(
                "kubectl apply --server-side --dry-run=server -f - <<'EOF'\n{}\nEOF\n",
                objects.join("\n---\n")
            );
            let said = self.shell(&script);
            assert!(said.is_success, "{place}: {}", said.errors);
        } else {
            let said = self.shell(&text);
            let told = format!(
                "{place}\n{text}\n{}{}{}",
                said.output,
                said.errors,
                self.last_words()
            );
            match refused {
                Some(words) => {
                    assert!(!said.is_success, "{place} is let through");
                    assert!(said.errors.contains(words), "{told}");
                }
                None => assert!(said.is_success, "{told}"),
            }
        }
        println!("{place}: {:.1} s", started.elapsed().as_secs_f64());
    }

    /// What there is where a command failed.
    fn last_words(&self) -> String {
        let all = [
            "accreq,aponoconnections,clusteraponoconnections,owedrevocations,pods",
            "-A",
            "-o",
            "wide",
        ];
        self.plane
            .try_kubectl(&[&["get"], &all[..]].concat())
            .output
    }
}

/// One after the other, as a reader goes on.
fn walk(cluster: &str, blocks: &[Block]) {
    println!(
        "cluster `{cluster}`: {} blocks, operator in {NAMESPACE}",
        blocks.len()
    );
    let desk = Desk::new();
    for block in blocks {
        desk.run(block);
    }
}

#[test]
fn the_commands_of_the_book_do_what_it_says() {
    let mut clusters = by_cluster();
    let own = clusters.remove("").expect("commands");
    walk("", &own);
}

#[test]
fn what_is_told_of_other_clusters_works_there() {
    let clusters = by_cluster();
    let others = clusters.iter().filter(|(name, _)| !name.is_empty());
    for (name, blocks) in others {
        walk(name, blocks);
    }
}
