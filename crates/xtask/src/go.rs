//! Go modules of this repository: their sources, what names a build of them, and how they are built.
//! What is built from other sources has another name, so that a cache never holds what is old.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::process::{self, interrupt, progress::Progress};

/// The files that decide what is built: path below the module's folder, and text.
pub(crate) type Sources = Vec<(String, Vec<u8>)>;

/// Whether there is a Go to build with.
pub(crate) fn is_installed(folder: &Path) -> bool {
    let mut go = Command::new("go");
    process::capture(go.arg("version").current_dir(folder)).is_ok()
}

/// The sources of the module in `folder`.
pub(crate) fn sources(folder: &Path) -> Result<Sources> {
    let mut sources = Sources::new();
    collect(folder, "", &mut sources)
        .with_context(|| format!("could not read `{}`", folder.display()))?;
    sources.sort();
    Ok(sources)
}

fn collect(folder: &Path, below: &str, sources: &mut Sources) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{below}{name}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), sources)?;
            continue;
        }
        let is_code = path.extension().is_some_and(|extension| extension == "go");
        if is_code || name == "go.mod" || name == "go.sum" {
            sources.push((name, fs::read(&path)?));
        }
    }
    Ok(())
}

/// Twelve hex digits that change with any of the sources.
pub(crate) fn short_hash(sources: &Sources) -> String {
    let mut hash = Sha256::new();
    for (name, text) in sources {
        hash.update(format!("{name} {}\n", text.len()));
        hash.update(text);
    }
    let digest = hash.finalize();
    let (short, _) = digest.split_at(6);
    data_encoding::HEXLOWER.encode(short)
}

/// The version of `module` that a `go.mod` requires.
pub(crate) fn required(requirements: &str, module: &str) -> Option<String> {
    requirements.lines().find_map(|line| {
        let mut words = line
            .trim()
            .trim_start_matches("require ")
            .split_whitespace();
        (words.next() == Some(module)).then(|| words.next().map(str::to_owned))?
    })
}

/// What makes Kubernetes' own programs, built from its modules, report `version`: `v1.36.3`.
pub(crate) fn kubernetes_flags(version: &str) -> String {
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or("1"), numbers.next().unwrap_or("0"));
    let variable = "-X k8s.io/component-base/version";
    format!(
        "{variable}.gitVersion={version} {variable}.gitMajor={major} {variable}.gitMinor={minor}"
    )
}

/// Builds one package of the module in `folder`: static, without symbols and without a path of this
/// machine in it. `label` is said while it lasts; `flags` are more for the linker.
pub(crate) fn build(
    folder: &Path,
    package: &str,
    binary: &Path,
    flags: &str,
    label: &str,
) -> Result<()> {
    let mut command = Command::new("go");
    command
        .args(["build", "-v", "-trimpath", "-buildvcs=false", "-ldflags"])
        .arg(OsString::from(format!("-s -w {flags}").trim_end()))
        .arg("-o")
        .arg(binary)
        .arg(package)
        .env("CGO_ENABLED", "0")
        .current_dir(folder);
    let built = process::watch(&command, Progress::new(label), counted)?;
    if built.status.success() {
        return Ok(());
    }
    let complaints: Vec<&str> = built
        .output
        .lines()
        .filter(|line| counted(line).is_none())
        .collect();
    let folder = folder.display();
    bail!(
        "`go build {package}` in `{folder}` failed:\n{}",
        complaints.join("\n")
    )
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

/// An exclusive lock on `path`, held until the file is dropped, or the process ends.
pub(crate) fn lock(path: &Path, what: &str) -> Result<File> {
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
            eprintln!("{what}: another run is building it; waiting");
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
        let version = |text: &str| required(text, "k8s.io/kubernetes");
        assert_eq!(version(text).as_deref(), Some("v1.36.3"));
        let single = "require k8s.io/kubernetes v1.36.3 // indirect";
        assert_eq!(version(single).as_deref(), Some("v1.36.3"));
        assert_eq!(version("require k8s.io/api v0.1.0"), None);
    }

    #[test]
    fn a_version_is_handed_on_whole_and_in_parts() {
        let flags = kubernetes_flags("v1.36.3");
        for part in [".gitVersion=v1.36.3", ".gitMajor=1 ", ".gitMinor=36"] {
            assert!(flags.contains(part), "{flags}");
        }
    }

    #[test]
    fn another_source_is_another_key() {
        let one = short_hash(&vec![("a.go".into(), b"x".to_vec())]);
        assert_ne!(one, short_hash(&vec![("a.go".into(), b"y".to_vec())]));
        assert_ne!(one, short_hash(&vec![("b.go".into(), b"x".to_vec())]));
        assert_eq!(one.len(), 12);
    }

    #[test]
    fn sources_below_the_folder_count_and_other_files_do_not() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("part")).expect("created");
        for name in ["go.mod", "part/main.go", "README.md", "part/go.sum"] {
            fs::write(folder.path().join(name), name).expect("written");
        }
        let found = sources(folder.path()).expect("readable");
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["go.mod", "part/main.go"]);
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
