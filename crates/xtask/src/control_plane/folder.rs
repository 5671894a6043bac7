//! The temporary folder of one run. Removed when dropped; one whose owner was killed is removed by
//! the next run, which tells it by the lock that its owner no longer holds.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

const PREFIX: &str = "apono-control-plane-";
const OWNER: &str = "owner";

/// A folder that belongs to this process.
#[derive(Debug)]
pub(crate) struct RunFolder {
    folder: TempDir,
    _owner: File,
}

impl RunFolder {
    /// A new one in the system's temporary folder; removes those left behind there.
    pub(crate) fn create() -> Result<Self> {
        Self::create_in(&std::env::temp_dir())
    }

    fn create_in(parent: &Path) -> Result<Self> {
        remove_abandoned(parent);
        let create = || -> std::io::Result<Self> {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
            // Locked before it has its name, so that nobody ever sees it without its lock.
            let draft = folder.path().join("owner.draft");
            let owner = File::create(&draft)?;
            owner.lock()?;
            fs::rename(&draft, folder.path().join(OWNER))?;
            Ok(Self {
                folder,
                _owner: owner,
            })
        };
        create().context("could not create a temporary folder")
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let abandoned =
            File::open(entry.path().join(OWNER)).is_ok_and(|owner| owner.try_lock().is_ok());
        if abandoned {
            // Best effort: it may be another user's, or another run removes it at this moment.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abandoned_folder_goes_and_an_owned_one_stays() {
        let parent = tempfile::tempdir().expect("a folder");
        let abandoned = parent.path().join(format!("{PREFIX}dead"));
        fs::create_dir(&abandoned).expect("created");
        fs::write(abandoned.join(OWNER), "").expect("written");
        let stranger = parent.path().join("something-else");
        fs::create_dir(&stranger).expect("created");

        let first = RunFolder::create_in(parent.path()).expect("created");
        let second = RunFolder::create_in(parent.path()).expect("created");
        assert!(!abandoned.exists());
        assert!(stranger.exists() && first.path().exists() && second.path().exists());

        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists());
    }
}
