//! What a cluster is made of: the control plane of the tests, kubelet, scheduler, proxy and `CoreDNS` built
//! from `tests/node`, and containerd, runc, the network plugins and nft out of packages of Debian.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::control_plane::binaries::{Binaries, ROLES};
use crate::process;
use crate::tools::{self, go::GoTool};

/// The names under which the one program of `tests/node` runs.
const NODE_ROLES: [&str; 3] = ["kubelet", "kube-scheduler", "kube-proxy"];

/// With the libraries of nft that a bare machine lacks.
const PACKAGES: [&str; 14] = [
    "containerd",
    "containernetworking-plugins",
    "libbsd0",
    "libedit2",
    "libgmp10",
    "libjansson4",
    "libmd0",
    "libmnl0",
    "libnftables1",
    "libnftnl11",
    "libseccomp2",
    "libxtables12",
    "nftables",
    "runc",
];

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Parts {
    control_plane: PathBuf,
    node: PathBuf,
    dns: PathBuf,
    pub(crate) pause: PathBuf,
    /// The folder of the unpacked packages.
    pub(crate) debian: PathBuf,
}

impl Parts {
    /// Finds them, building and fetching what is not there.
    pub(crate) fn find() -> Result<Self> {
        let said = Command::new("ip").arg("-V").output();
        said.context("`ip` is needed (Debian: iproute2)")?;
        // Not those that are on PATH: their versions are what the kubelet's must fit.
        let control_plane = Binaries::from_cache()?.etcd;
        Ok(Self {
            control_plane: fs::canonicalize(control_plane)?,
            node: GoTool::Node.find()?,
            dns: GoTool::Dns.find()?,
            pause: GoTool::Pause.find()?,
            debian: debian()?,
        })
    }

    /// Puts links to all of them into the folder of a cluster, under the names that they run by.
    pub(crate) fn link(&self, folder: &Path) -> Result<()> {
        let programs = programs(folder);
        fs::create_dir_all(&programs).context("could not make the folder of the programs")?;
        let link = |target: &Path, name: &str| {
            symlink(target, programs.join(name)).with_context(|| format!("could not link `{name}`"))
        };
        for role in ROLES {
            link(&self.control_plane, role)?;
        }
        for role in NODE_ROLES {
            link(&self.node, role)?;
        }
        link(&self.dns, "coredns")?;
        for name in [
            "bin/containerd",
            "bin/containerd-shim-runc-v2",
            "bin/ctr",
            "sbin/runc",
            "sbin/nft",
        ] {
            let (_, short) = name.split_once('/').unwrap_or_default();
            link(&self.debian.join("usr").join(name), short)?;
        }
        symlink(self.libraries(), folder.join(LIBRARIES)).context("could not link the libraries")
    }

    fn libraries(&self) -> PathBuf {
        self.debian.join("usr/lib/x86_64-linux-gnu")
    }
}

/// The folder of the packages of Debian.
pub(crate) fn debian() -> Result<PathBuf> {
    let files = [
        "usr/bin/containerd",
        "usr/sbin/runc",
        "usr/sbin/nft",
        "usr/lib/cni/ptp",
    ];
    let is_complete = |folder: &Path| files.iter().all(|file| folder.join(file).is_file());
    tools::debian("node", &PACKAGES, is_complete)
        .context("containerd, runc and nft are taken from packages of Debian 12")
}

/// What nft is linked with, in the folder of a cluster.
pub(crate) const LIBRARIES: &str = "libraries";

/// The folder of its programs, in the folder of a cluster.
pub(crate) fn programs(folder: &Path) -> PathBuf {
    folder.join("bin")
}

/// The PATH inside: its programs first.
pub(crate) fn path(folder: &Path) -> OsString {
    let known = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(programs(folder)).chain(std::env::split_paths(&known));
    // Only a folder with a colon in its name could not be joined.
    std::env::join_paths(all).unwrap_or(known)
}

/// The version of the kubelet, which is that of the cluster.
pub(crate) fn version(folder: &Path) -> Result<String> {
    let mut command = Command::new(programs(folder).join("kubelet"));
    process::capture(command.arg("--version")).map(|said| said.trim().to_owned())
}
