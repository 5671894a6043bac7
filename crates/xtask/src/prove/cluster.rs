//! The grounds of the proofs `cluster` and `image`. Of the first: a Kubernetes that runs pods, with our images
//! in it; the tests run in its network, as if on its node, and everywhere else on this machine.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::cluster::{Attached, is_possible, runtime};
use crate::control_plane::AUDIT_LOG;
use crate::image::{self, Profile};
use crate::tools::go::GoTool;

/// Two images of the same operator, so that there is something to upgrade to.
const TAGS: [&str; 2] = ["one", "two"];
const PREFIX: &str = "localhost/";

/// Ends with this value.
pub(super) struct Ground {
    cluster: Attached,
    environment: Vec<(&'static str, OsString)>,
}

impl Ground {
    /// Builds the images, starts the cluster and loads them.
    pub(super) fn prepare() -> Result<Self> {
        is_possible()?;
        let folder = image::folder().join("prove");
        let mut archives = Vec::new();
        for tag in TAGS {
            archives.extend(image::build(Profile::Dev, PREFIX, Some(tag), &folder)?);
        }
        let helm = GoTool::Helm4.find()?;
        let attached = Attached::start("prove")?;
        let cluster = attached.cluster();
        let mut environment = vec![
            ("APONO_CLUSTER_HELM", helm.into_os_string()),
            ("KUBECONFIG", cluster.kubeconfig().into_os_string()),
            (
                "APONO_CLUSTER_KUBECTL",
                cluster.program("kubectl").into_os_string(),
            ),
            (
                "APONO_CLUSTER_AUDIT_LOG",
                cluster.folder().join(AUDIT_LOG).into_os_string(),
            ),
            (RUNNER, runner(attached.cluster())?),
        ];
        // The simulator of the second tag is not needed: it keeps its state in memory, and stays.
        let names = [
            "APONO_CLUSTER_OPERATOR",
            "APONO_CLUSTER_SIMULATOR",
            "APONO_CLUSTER_NEXT",
        ];
        for (built, name) in archives.iter().zip(names) {
            cluster.load(&built.path)?;
            let reference = format!("{}@{}", built.name, built.written.digest);
            environment.push((name, reference.into()));
        }
        Ok(Self {
            cluster: attached,
            environment,
        })
    }

    /// What the tests read.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        self.environment.clone()
    }

    /// Fails if the cluster has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        self.cluster.check()
    }

    /// Keeps the logs of its processes for whoever looks for the cause of a failure.
    pub(super) fn logs(&self) -> PathBuf {
        self.cluster.cluster().folder().to_owned()
    }
}

/// What the proof `image` reads: the archives, and the runc of a cluster.
pub(super) fn images() -> Result<Vec<(&'static str, OsString)>> {
    is_possible()?;
    let folder = image::folder().join("prove");
    let built = image::build(Profile::Dev, PREFIX, None, &folder)?;
    let names = ["APONO_IMAGE_OPERATOR", "APONO_IMAGE_SIMULATOR"].into_iter();
    let archives = built.into_iter().map(|it| it.path.into_os_string());
    let runtime = ("APONO_IMAGE_RUNC", runtime()?.into_os_string());
    Ok(names.zip(archives).chain([runtime]).collect())
}

/// What Cargo runs a test with, on the only platform that images are built for.
const RUNNER: &str = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER";

fn runner(cluster: &crate::cluster::Cluster) -> Result<OsString> {
    let command = cluster
        .namespaces(&["--net"])
        .context("the cluster is gone")?;
    let mut words = vec![command.get_program().to_owned()];
    words.extend(command.get_args().map(ToOwned::to_owned));
    words.push("--".into());
    Ok(words.join(&OsString::from(" ")))
}
