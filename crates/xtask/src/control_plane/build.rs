//! Builds the control plane of `tests/control-plane` with Go into our own cache. What is in place
//! there is complete: it is built elsewhere and renamed, under a lock that a second run waits for.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use super::binaries::ROLES;
use crate::process::{self, interrupt, progress::Progress};

/// The Go module that is built.
#[derive(Debug)]
pub(crate) struct Module {
    folder: PathBuf,
    /// Of Kubernetes, `v1.36.3`.
    version: String,
    /// The name of its folder in the cache: other sources, other folder.
    key: String,
}

impl Module {
    /// The one of this repository.
    pub(crate) fn ours() -> Result<Self> {
        Self::read(&crate::workspace().join("tests/control-plane"))
    }

    /// The folder of its binaries, built or not.
    pub(crate) fn binaries(&self) -> PathBuf {
        cache().join(&self.key)
    }

    /// Whether there is a Go to build it with.
    pub(crate) fn has_compiler(&self) -> bool {
        let mut go = Command::new("go");
        process::capture(go.arg("version").current_dir(&self.folder)).is_ok()
    }

    /// Builds it, unless another run, for which this one waited, has made it `complete`.
    pub(crate) fn build(&self, complete: impl Fn() -> bool) -> Result<()> {
        let cache = cache();
        fs::create_dir_all(&cache)
            .with_context(|| format!("could not create `{}`", cache.display()))?;
        let _lock = lock(&cache.join("lock"))?;
        if complete() {
            return Ok(());
        }
        let started = Instant::now();
        let version = &self.version;
        eprintln!("control plane: building Kubernetes {version}; ten minutes the first time");
        let draft = cache.join("draft");
        if draft.exists() {
            fs::remove_dir_all(&draft).context("could not remove an unfinished build")?;
        }
        fs::create_dir_all(&draft).context("could not create the folder of the build")?;
        self.compile(&draft.join("control-plane"))?;
        for role in ROLES {
            std::os::unix::fs::symlink("control-plane", draft.join(role))
                .with_context(|| format!("could not link `{role}`"))?;
        }
        let target = self.binaries();
        // A folder that is there without all four binaries was tampered with, and is in the way.
        if target.exists() {
            fs::remove_dir_all(&target).context("could not remove an incomplete build")?;
        }
        fs::rename(&draft, &target).context("could not move the build into place")?;
        let time = process::spoken(started.elapsed());
        eprintln!("control plane: built in {time}");
        Ok(())
    }

    fn read(folder: &Path) -> Result<Self> {
        let read = || -> std::io::Result<Vec<(String, Vec<u8>)>> {
            let mut sources = Vec::new();
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let is_code = path.extension().is_some_and(|extension| extension == "go");
                if is_code || name == "go.mod" || name == "go.sum" {
                    sources.push((name, fs::read(&path)?));
                }
            }
            sources.sort();
            Ok(sources)
        };
        let sources = read().with_context(|| format!("could not read `{}`", folder.display()))?;
        let requirements = sources.iter().find(|(name, _)| name == "go.mod");
        let version = requirements
            .and_then(|(_, text)| kubernetes_version(&String::from_utf8_lossy(text)))
            .with_context(|| format!("`{}/go.mod` requires no Kubernetes", folder.display()))?;
        let key = format!("{version}-{}", short_hash(&sources));
        Ok(Self {
            folder: folder.to_owned(),
            version,
            key,
        })
    }

    fn compile(&self, binary: &Path) -> Result<()> {
        let mut command = Command::new("go");
        command
            .args(["build", "-v", "-trimpath", "-buildvcs=false", "-ldflags"])
            .arg(self.linker_flags())
            .arg("-o")
            .arg(binary)
            .arg(".")
            .env("CGO_ENABLED", "0")
            .current_dir(&self.folder);
        let built = process::watch(&command, Progress::new("control plane: building"), counted)?;
        if built.status.success() {
            return Ok(());
        }
        let complaints: Vec<&str> = built
            .output
            .lines()
            .filter(|line| counted(line).is_none())
            .collect();
        let folder = self.folder.display();
        bail!(
            "`go build` of `{folder}` failed:\n{}",
            complaints.join("\n")
        )
    }

    /// Without symbols, and with the version that kubectl and the apiserver report.
    fn linker_flags(&self) -> String {
        let mut numbers = self.version.trim_start_matches('v').split('.');
        let (major, minor) = (numbers.next().unwrap_or("1"), numbers.next().unwrap_or("0"));
        let variable = "-X k8s.io/component-base/version";
        format!(
            "-s -w {variable}.gitVersion={} {variable}.gitMajor={major} {variable}.gitMinor={minor}",
            self.version
        )
    }
}

fn cache() -> PathBuf {
    crate::target().join("control-plane")
}

/// What a line of `go build -v` counts as: it names each module it fetches and each package it
/// compiles.
fn counted(line: &str) -> Option<&'static str> {
    if line.starts_with("go: downloading ") {
        return Some("modules fetched");
    }
    let is_path = !line.is_empty() && !line.contains([' ', ':', '#', '\t']);
    is_path.then_some("packages compiled")
}

/// The version of `k8s.io/kubernetes` that a `go.mod` requires.
fn kubernetes_version(requirements: &str) -> Option<String> {
    requirements.lines().find_map(|line| {
        let mut words = line
            .trim()
            .trim_start_matches("require ")
            .split_whitespace();
        (words.next() == Some("k8s.io/kubernetes")).then(|| words.next().map(str::to_owned))?
    })
}

fn short_hash(sources: &[(String, Vec<u8>)]) -> String {
    let mut hash = Sha256::new();
    for (name, text) in sources {
        hash.update(format!("{name} {}\n", text.len()));
        hash.update(text);
    }
    let digest = hash.finalize();
    let (short, _) = digest.split_at(6);
    data_encoding::HEXLOWER.encode(short)
}

/// An exclusive lock on `path`, held until the file is dropped, or the process ends.
fn lock(path: &Path) -> Result<File> {
    let open = || {
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
    };
    let file = open().with_context(|| format!("could not open `{}`", path.display()))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("could not lock `{}`", path.display()));
            }
        }
        if !told {
            eprintln!("control plane: another run is building it; waiting");
            told = true;
        }
        interrupt::check()?;
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_what_the_module_requires_and_not_what_it_replaces() {
        let text = "module x\nreplace (\n\tk8s.io/api => k8s.io/api v0.36.3\n)\n\
                    require (\n\tk8s.io/kubectl v0.0.0\n\tk8s.io/kubernetes v1.36.3\n)\n";
        assert_eq!(kubernetes_version(text).as_deref(), Some("v1.36.3"));
        let single = "require k8s.io/kubernetes v1.36.3 // indirect";
        assert_eq!(kubernetes_version(single).as_deref(), Some("v1.36.3"));
        assert_eq!(kubernetes_version("require k8s.io/api v0.1.0"), None);
    }

    #[test]
    fn our_own_module_has_a_version_and_a_stable_key() {
        let module = Module::ours().expect("it is there");
        assert!(
            module.key.starts_with(&format!("{}-", module.version)),
            "{}",
            module.key
        );
        assert_eq!(module.key, Module::ours().expect("it is there").key);
        assert!(
            module.linker_flags().contains("gitMajor=1 "),
            "{}",
            module.linker_flags()
        );
    }

    #[test]
    fn another_source_is_another_key() {
        let one = short_hash(&[("a.go".into(), b"x".to_vec())]);
        assert_ne!(one, short_hash(&[("a.go".into(), b"y".to_vec())]));
        assert_ne!(one, short_hash(&[("b.go".into(), b"x".to_vec())]));
        assert_eq!(one.len(), 12);
    }

    #[test]
    fn lines_of_the_build_are_told_from_its_complaints() {
        assert_eq!(counted("k8s.io/api/core/v1"), Some("packages compiled"));
        assert_eq!(
            counted("go: downloading k8s.io/api v0.36.3"),
            Some("modules fetched")
        );
        assert_eq!(counted("./main.go:12:2: undefined: x"), None);
        assert_eq!(counted("# control-plane"), None);
    }
}
