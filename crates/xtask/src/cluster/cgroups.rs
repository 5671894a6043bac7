//! The control groups below which the kubelet puts pods: one folder in each hierarchy, named after the
//! folder of the cluster, so that two clusters do not meet.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::image::archive::sha256;
use crate::process;

const ROOT: &str = "/sys/fs/cgroup";
/// Of the second version, which has one hierarchy.
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];
/// The kernel lets go of the last processes a moment after they have ended.
const REMOVE_DEADLINE: Duration = Duration::from_secs(15);

/// The name of the group of the cluster in `folder`.
pub(crate) fn name(folder: &Path) -> String {
    let digest = sha256(folder.as_os_str().as_encoded_bytes());
    format!("apono-cluster-{}", digest.get(..12).unwrap_or(&digest))
}

/// Makes them.
pub(crate) fn create(folder: &Path) -> Result<()> {
    let root = Path::new(ROOT);
    let unified = root.join("cgroup.controllers").is_file();
    for hierarchy in hierarchies()? {
        let group = hierarchy.join(name(folder));
        fs::create_dir_all(&group)
            .with_context(|| format!("could not create `{}`", group.display()))?;
        // In the first version a cpuset is born empty, and an empty one takes no process.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let parent = hierarchy.join(file);
            if !unified && group.join(file).is_file() {
                let all = fs::read_to_string(&parent).context("could not read a cpuset")?;
                fs::write(group.join(file), all).context("could not fill a cpuset")?;
            }
        }
    }
    if unified {
        for controller in CONTROLLERS {
            // Those that are not there are none that the kubelet insists on.
            let _ = fs::write(
                root.join("cgroup.subtree_control"),
                format!("+{controller}"),
            );
        }
    }
    Ok(())
}

/// Removes them with what is left in them.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    let groups = || -> Result<Vec<PathBuf>> {
        let hierarchies = hierarchies()?.into_iter();
        let groups = hierarchies.map(|it| it.join(name(folder)));
        Ok(groups.filter(|group| group.is_dir()).collect())
    };
    let missing = || "control groups are left below /sys/fs/cgroup".to_owned();
    process::wait_until(REMOVE_DEADLINE, missing, || {
        let left = groups()?;
        for group in &left {
            remove_tree(group);
        }
        Ok(groups()?.is_empty())
    })
}

/// Folders only: the files in them are the kernel's. What is busy stays for the next time.
fn remove_tree(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

/// The folders in which groups are made.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").is_file() {
        return Ok(vec![root.to_owned()]);
    }
    let entries = fs::read_dir(root).with_context(|| format!("could not read `{ROOT}`"))?;
    let folders = entries.flatten().map(|entry| entry.path());
    // Names of several controllers are links to the folder of them all.
    Ok(folders
        .filter(|path| path.is_dir() && !path.is_symlink())
        .collect())
}
