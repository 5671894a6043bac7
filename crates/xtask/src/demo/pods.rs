//! The demo in pods: a cluster of one node is started, the images are loaded, and Helm installs them. The
//! show itself runs once more as a process in the network of the cluster, where everything is reached.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use super::cluster::Cluster;
use super::page::{self, Page};
use super::programs::Program;
use super::remote::Remote;
use super::stage::{self, Stage};
use super::{NAMESPACE, OPERATOR_NAMESPACE};
use crate::cluster::Attached;
use crate::control_plane::{ControlPlane, Which};
use crate::image::{self, Profile};
use crate::process::supervised::executable_for_others;
use crate::process::{self, interrupt::Interrupted};
use crate::tools::go::GoTool;

const RELEASE: &str = "apono-operator";
const SIMULATOR: &str = "apono-operator-simulator";
/// What the chart gives the simulator.
const TOKEN: &str = "demo";
const PREFIX: &str = "localhost/";

/// Starts the cluster and shows everything in it.
pub(super) fn run(keep: bool) -> Result<ExitCode> {
    crate::cluster::is_possible()?;
    let images = image::build(Profile::Dev, PREFIX, None, &image::folder().join("demo"))?;
    // Built before, so that it does not stand in the middle of the show.
    GoTool::Helm4.find()?;
    let attached = Attached::start("demo")?;
    let cluster = attached.cluster();
    for built in &images {
        cluster.load(&built.path)?;
    }
    let mut show = cluster.namespaces(&["--net"])?;
    show.arg("--")
        .arg(executable_for_others()?)
        .args(["demo", "--cluster", "--inside"])
        .arg(cluster.folder())
        .env("APONO_TEST_KUBECTL", cluster.program("kubectl"));
    if keep {
        show.arg("--keep");
    }
    match process::run(&show) {
        // A signal is how this is meant to end.
        Err(error) if keep && error.is::<Interrupted>() => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
        Ok(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
        }
    }
}

/// Installs everything into the cluster of `folder`, telling each step.
pub(super) fn set_up(page: Page, folder: &Path, logs: &Path) -> Result<Stage> {
    let plane = ControlPlane::obtain(&Which {
        use_current_cluster: false,
        kubeconfig: Some(folder.join("admin.kubeconfig")),
    })?;
    let cluster = Cluster::new(&plane);
    page.heading("1. Install");
    cluster.show(page, &["get", "nodes"])?;
    cluster.show(page, &["create", "namespace", OPERATOR_NAMESPACE])?;
    let restricted = "pod-security.kubernetes.io/enforce=restricted";
    cluster.show(
        page,
        &["label", "namespace", OPERATOR_NAMESPACE, restricted],
    )?;
    install(page, &plane)?;
    cluster.show(page, &["get", "pods", "-n", OPERATOR_NAMESPACE])?;
    cluster.show(page, &["create", "namespace", NAMESPACE])?;
    let url = format!("http://{SIMULATOR}.{OPERATOR_NAMESPACE}.svc:8080");
    stage::connect(page, &cluster, &url, TOKEN, logs)?;
    let (simulator, url) = Program::forward(&cluster, SIMULATOR, logs)?;
    Ok(Stage {
        watch: cluster.watch(NAMESPACE)?,
        operator: None,
        simulator,
        plane,
        cluster,
        remote: Remote::new(url),
    })
}

fn install(page: Page, plane: &ControlPlane) -> Result<()> {
    let values = format!(
        "image.repository={PREFIX}apono-operator,demo.image.repository={PREFIX}apono-simulator,\
         demo.enabled=true,credentials=true,replicas=2"
    );
    let words = [
        "install",
        RELEASE,
        "deploy/chart",
        "-n",
        OPERATOR_NAMESPACE,
        "--set",
        &values,
        "--wait",
    ];
    page.command(&format!("helm {}", words.join(" ")));
    let mut helm = Command::new(GoTool::Helm4.find()?);
    helm.args(words)
        .env("KUBECONFIG", plane.kubeconfig())
        .current_dir(crate::workspace());
    let said = process::capture(&mut helm).context("could not install the chart")?;
    // Up to the notes, which tell what is done here anyway.
    let (start, _) = said.split_once("NOTES:").unwrap_or((&said, ""));
    page.quote(start.trim_end());
    Ok(())
}

/// Says how to play with it.
pub(super) fn invite(page: Page) {
    page.heading("Everything stays up until Ctrl-C. In another terminal:");
    page::write("  alias kubectl='cargo xtask cluster --name demo kubectl'");
    for command in [
        &format!("kubectl get accreq -n {NAMESPACE}") as &str,
        &format!("kubectl get pods,leases -n {OPERATOR_NAMESPACE}"),
        &format!("kubectl delete pod -n {OPERATOR_NAMESPACE} -l app.kubernetes.io/name={RELEASE}"),
    ] {
        page::write(&format!("  {command}"));
    }
    page::say("What happens is told here:");
}
