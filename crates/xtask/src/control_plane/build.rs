//! Builds the control plane of `tests/control-plane` with Go into our own cache. What is in place
//! there is complete: it is built elsewhere and renamed, under a lock that a second run waits for.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::binaries::ROLES;
use crate::{go, process};

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
        go::is_installed(&self.folder)
    }

    /// Builds it, unless another run, for which this one waited, has made it `complete`.
    pub(crate) fn build(&self, complete: impl Fn() -> bool) -> Result<()> {
        let cache = cache();
        fs::create_dir_all(&cache)
            .with_context(|| format!("could not create `{}`", cache.display()))?;
        let _lock = go::lock(&cache.join("lock"), "control plane")?;
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
        go::build(
            &self.folder,
            ".",
            &draft.join("control-plane"),
            &go::kubernetes_flags(version),
            "control plane: building",
        )?;
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
        let sources = go::sources(folder)?;
        let requirements = sources.iter().find(|(name, _)| name == "go.mod");
        let version = requirements
            .and_then(|(_, text)| go::required(&String::from_utf8_lossy(text), "k8s.io/kubernetes"))
            .with_context(|| format!("`{}/go.mod` requires no Kubernetes", folder.display()))?;
        let key = format!("{version}-{}", go::short_hash(&sources));
        Ok(Self {
            folder: folder.to_owned(),
            version,
            key,
        })
    }
}

fn cache() -> PathBuf {
    crate::target().join("control-plane")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_module_has_a_version_and_a_stable_key() {
        let module = Module::ours().expect("it is there");
        assert!(
            module.key.starts_with(&format!("{}-", module.version)),
            "{}",
            module.key
        );
        assert_eq!(module.key, Module::ours().expect("it is there").key);
    }
}
