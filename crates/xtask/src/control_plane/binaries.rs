//! Where the binaries of a control plane come from: `KUBEBUILDER_ASSETS`, `PATH`, our own cache, or
//! a build of `tests/control-plane` with Go into that cache. The first that has them all is taken.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, anyhow, bail};

use super::build::Module;
use crate::process::{self, interrupt};

/// The roles, which are also the names of the binaries.
pub(crate) const ROLES: [&str; 4] = [
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
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").filter(|path| !path.is_empty());
        if let Some(assets) = assets
            && let Some(found) = usable("KUBEBUILDER_ASSETS", &[PathBuf::from(assets)])
        {
            return Ok(found);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        // Silent when some are missing, as on most machines: a kubectl alone is no control plane.
        if in_folders(&folders).is_ok()
            && let Some(found) = usable("PATH", &folders)
        {
            return Ok(found);
        }
        Self::from_cache()
    }

    /// Takes those in our own cache, building them first if they are not there.
    pub(crate) fn from_cache() -> Result<Self> {
        let module = Module::ours()?;
        let folder = module.binaries();
        let find = || in_folders(std::slice::from_ref(&folder));
        if find().is_err() {
            if !module.has_compiler() {
                interrupt::check()?;
                bail!("{}", three_ways_out());
            }
            module.build(|| find().is_ok())?;
        }
        eprintln!("control plane: our own binaries, `{}`", folder.display());
        find().map_err(|missing| anyhow!("the build left out {}", missing.join(", ")))
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

fn three_ways_out() -> String {
    format!(
        "no control plane found, and no Go to build one. Three ways out:\n  \
         1. install Go 1.26 or later; the binaries are then built once (ten minutes)\n  \
         2. put {} of Kubernetes 1.{OLDEST_MINOR} or later on PATH, or in the folder that \
         KUBEBUILDER_ASSETS names\n  \
         3. use a cluster of yours: set KUBECONFIG and pass --use-current-cluster",
        ROLES.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

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
}
