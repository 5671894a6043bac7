//! Where the binaries of a control plane come from: `KUBEBUILDER_ASSETS`, `PATH`, our own cache, or
//! a build of `tests/control-plane` with Go into that cache. The first that has them all is taken.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::process::{self, interrupt, progress::Progress};

/// The roles, which are also the names of the binaries.
const ROLES: [&str; 4] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kubectl",
];

/// The oldest Kubernetes 1.x the operator supports.
const OLDEST_MINOR: u32 = 33;

/// The binaries of a control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    /// etcd.
    pub(crate) etcd: PathBuf,
    /// kube-apiserver.
    pub(crate) apiserver: PathBuf,
    /// kube-controller-manager.
    pub(crate) controller_manager: PathBuf,
    /// kubectl.
    pub(crate) kubectl: PathBuf,
}

impl Binaries {
    /// Finds them, or builds them; says on standard error which way it went.
    pub(crate) fn find() -> Result<Self> {
        if let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS").filter(|path| !path.is_empty())
        {
            if let Some(found) = usable("KUBEBUILDER_ASSETS", &[PathBuf::from(assets)]) {
                return Ok(found);
            }
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        if in_folders(&folders).is_ok() {
            if let Some(found) = usable("PATH", &folders) {
                return Ok(found);
            }
        }
        Self::from_cache()
    }

    /// Takes those in our own cache, building them first if they are not there.
    pub(crate) fn from_cache() -> Result<Self> {
        let module = Module::read(&crate::workspace().join("tests/control-plane"))?;
        let cache = crate::target().join("control-plane");
        let folder = cache.join(&module.key);
        if let Ok(found) = in_folders(std::slice::from_ref(&folder)) {
            eprintln!(
                "control plane: binaries from the cache, `{}`",
                folder.display()
            );
            return Ok(found);
        }
        let go = process::capture(
            Command::new("go")
                .arg("version")
                .current_dir(&module.folder),
        );
        interrupt::check()?;
        let Ok(go) = go else {
            bail!("{}", three_ways_out())
        };
        fs::create_dir_all(&cache)
            .with_context(|| format!("could not create `{}`", cache.display()))?;
        let _lock = lock(&cache.join("lock"))?;
        // Another run may have built it while we waited.
        if in_folders(std::slice::from_ref(&folder)).is_err() {
            eprintln!(
                "control plane: building Kubernetes {} ({})",
                module.version,
                go.trim()
            );
            module.build(&cache, &folder)?;
        }
        in_folders(std::slice::from_ref(&folder))
            .map_err(|missing| anyhow::anyhow!("the build left out {}", missing.join(", ")))
    }
}

/// The binaries in `folders`, the first folder that has one wins; or the names of those missing.
fn in_folders(folders: &[PathBuf]) -> Result<Binaries, Vec<&'static str>> {
    let find = |role: &str| {
        folders
            .iter()
            .map(|folder| folder.join(role))
            .find(|path| is_executable(path))
    };
    match ROLES.map(find) {
        [
            Some(etcd),
            Some(apiserver),
            Some(controller_manager),
            Some(kubectl),
        ] => Ok(Binaries {
            etcd,
            apiserver,
            controller_manager,
            kubectl,
        }),
        found => {
            let missing = ROLES
                .into_iter()
                .zip(&found)
                .filter(|(_, path)| path.is_none());
            Err(missing.map(|(role, _)| role).collect())
        }
    }
}

/// The binaries in `folders` if they will do; if not, says why and that the search goes on.
fn usable(source: &str, folders: &[PathBuf]) -> Option<Binaries> {
    let refused = match in_folders(folders) {
        Err(missing) => format!("has no {}", missing.join(", ")),
        Ok(found) => match process::capture(Command::new(&found.apiserver).arg("--version")) {
            Ok(version) if minor(&version).is_some_and(|minor| minor >= OLDEST_MINOR) => {
                eprintln!("control plane: binaries from {source}, {}", version.trim());
                return Some(found);
            }
            Ok(version) => {
                format!("is `{}`, older than 1.{OLDEST_MINOR}", version.trim())
            }
            Err(error) => format!("does not run: {error:#}"),
        },
    };
    eprintln!("control plane: {source} {refused}; looking further");
    None
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// The minor of `Kubernetes v1.36.3`, if that is what `version` says.
fn minor(version: &str) -> Option<u32> {
    let digits = version.trim().strip_prefix("Kubernetes v1.")?;
    digits.split('.').next()?.parse().ok()
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
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

fn three_ways_out() -> String {
    format!(
        "no control plane found, and no Go to build one. Three ways out:\n  \
         1. install Go 1.26 or later; the binaries are then built once (five to ten minutes)\n  \
         2. put {} of Kubernetes 1.{OLDEST_MINOR} or later on PATH, or in the folder that \
         KUBEBUILDER_ASSETS names\n  \
         3. use a cluster of yours: set KUBECONFIG and pass --use-current-cluster",
        ROLES.join(", ")
    )
}

/// The Go module that is built.
#[derive(Debug)]
struct Module {
    folder: PathBuf,
    /// Of Kubernetes, `v1.36.3`.
    version: String,
    /// The name of its folder in the cache: other sources, other folder.
    key: String,
}

impl Module {
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
                if name == "go.mod" || name == "go.sum" || name.ends_with(".go") {
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

    /// Builds into a folder next to `target`, then renames it: what is in place is complete.
    fn build(&self, cache: &Path, target: &Path) -> Result<()> {
        let started = Instant::now();
        let draft = cache.join("draft");
        if draft.exists() {
            fs::remove_dir_all(&draft).context("could not remove an unfinished build")?;
        }
        fs::create_dir_all(&draft).context("could not create the folder of the build")?;
        let binary = draft.join("control-plane");
        let mut command = Command::new("go");
        command
            .args(["build", "-v", "-trimpath", "-buildvcs=false", "-ldflags"])
            .arg(self.linker_flags())
            .arg("-o")
            .arg(&binary)
            .arg(".")
            .env("CGO_ENABLED", "0")
            .current_dir(&self.folder);
        let progress = Progress::new("control plane: building, five to ten minutes the first time");
        let built = process::watch(&command, progress, counted)?;
        if !built.status.success() {
            let told: Vec<&str> = built
                .output
                .lines()
                .filter(|line| counted(line).is_none())
                .collect();
            bail!(
                "`go build` of `{}` failed:\n{}",
                self.folder.display(),
                told.join("\n")
            );
        }
        for role in ROLES {
            std::os::unix::fs::symlink("control-plane", draft.join(role))
                .with_context(|| format!("could not link `{role}`"))?;
        }
        // A folder that is there without all four binaries was tampered with, and is in the way.
        if target.exists() {
            fs::remove_dir_all(target).context("could not remove an incomplete build")?;
        }
        fs::rename(&draft, target).context("could not move the build into place")?;
        eprintln!(
            "control plane: built in {}",
            process::spoken(started.elapsed())
        );
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn executable(path: &Path) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::write(path, "#!/bin/sh\necho Kubernetes v1.32.9\n").expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("made executable");
    }

    #[test]
    fn the_minor_is_read_from_what_the_apiserver_says() {
        assert_eq!(minor("Kubernetes v1.36.3\n"), Some(36));
        assert_eq!(minor("Kubernetes v1.33.0-rc.1+abc"), Some(33));
        assert_eq!(minor("Kubernetes v2.0.0"), None);
        assert_eq!(minor("etcd Version: 3.6.8"), None);
    }

    #[test]
    fn what_is_missing_is_named_and_a_plain_file_does_not_count() {
        let folder = tempfile::tempdir().expect("a folder");
        for role in ["etcd", "kubectl"] {
            executable(&folder.path().join(role));
        }
        fs::write(folder.path().join("kube-apiserver"), "").expect("written");
        let missing = in_folders(&[folder.path().to_owned()]).expect_err("two are missing");
        assert_eq!(missing, ["kube-apiserver", "kube-controller-manager"]);
    }

    #[test]
    fn too_old_an_apiserver_is_not_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        for role in ROLES {
            executable(&folder.path().join(role));
        }
        let folders = [folder.path().to_owned()];
        in_folders(&folders).expect("all are there");
        assert_eq!(usable("a test", &folders), None);
    }

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
        let folder = crate::workspace().join("tests/control-plane");
        let module = Module::read(&folder).expect("it is there");
        assert!(
            module.key.starts_with(&format!("{}-", module.version)),
            "{}",
            module.key
        );
        assert_eq!(module.key, Module::read(&folder).expect("it is there").key);
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
