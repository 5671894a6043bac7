//! Everything that runs: control plane, simulator, operator, and how to reach them. It all ends when
//! this is dropped.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::cluster::{Cluster, Watch};
use super::page::{self, Page};
use super::programs::{self, Program};
use super::remote::Remote;
use super::{NAMESPACE, OPERATOR_NAMESPACE};
use crate::control_plane::ControlPlane;

const SAMPLES: &str = "deploy/kustomize/samples";

/// The token that the simulator takes, made up for the demo.
const TOKEN: &str = "demo-token";

/// The line of the sample that says where Apono is, and is replaced.
const ENDPOINT: &str = "# endpoint: https://api.apono.io";

/// What is applied, in this order: by a bundle, by a bundle that needs a person, by names with
/// credentials, and renewed.
pub(crate) const REQUESTS: [&str; 4] = [
    "request-bundle.yaml",
    "request-approval.yaml",
    "request-entitlements.yaml",
    "request-renewal.yaml",
];

/// Nobody watches for eight hours: in the demo an hour is a minute, so that a renewal comes.
const SHORTENED: [(&str, &str); 3] = [
    ("duration: 8h\n  # Asked", "duration: 1m\n  # Asked"),
    ("before: 15m", "before: 52s"),
    ("maxRenewals: 3", "maxRenewals: 1"),
];

/// What runs. Fields are dropped in this order: who uses something goes before it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) watch: Watch,
    /// Ours to watch only where it is a process beside the control plane.
    pub(crate) operator: Option<Program>,
    /// The simulator, or what leads to its pod.
    pub(crate) simulator: Program,
    pub(crate) plane: ControlPlane,
    pub(crate) cluster: Cluster,
    pub(crate) remote: Remote,
}

impl Stage {
    /// Builds and starts everything and installs the operator, telling each step. No access is
    /// asked for yet.
    pub(crate) fn set_up(page: Page, logs: &Path) -> Result<Self> {
        let built = programs::build()?;
        // Never a cluster that others use: the operator serves all of its namespaces.
        let plane = ControlPlane::start()?;
        let cluster = Cluster::new(&plane);
        let (simulator, url) = Program::simulator(&built, TOKEN, logs)?;
        page.heading("1. Install");
        install(page, &cluster)?;
        let account = plane.operator_kubeconfig();
        let account = account.context("the control plane has no account for the operator")?;
        let operator = Program::operator(&built, &account, logs)?;
        page::say("No node runs the pod here: the same program runs beside, as the pod's account.");
        page::say(&format!("Its log: {}", shown(operator.log())));
        connect(page, &cluster, &url, TOKEN, logs)?;
        Ok(Self {
            watch: cluster.watch(NAMESPACE)?,
            operator: Some(operator),
            simulator,
            plane,
            cluster,
            remote: Remote::new(url),
        })
    }

    /// Fails if anything that should run has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.operator.as_mut().map_or(Ok(()), Program::check)?;
        self.simulator.check()?;
        self.plane.check()
    }

    /// Shows the samples and applies each.
    pub(crate) fn ask(&self, page: Page, logs: &Path) -> Result<()> {
        for file in REQUESTS {
            let mut file = format!("{SAMPLES}/{file}");
            let sample = read(&file)?;
            let manifest = shortened(&sample);
            if manifest != sample {
                let shorter = logs.join("request-renewal.yaml");
                write(&shorter, &manifest)?;
                file = shown(&shorter);
            }
            page.command(&format!("cat {file}"));
            page.quote(&without_comments(&manifest));
            self.cluster.show(page, &["apply", "-f", &file])?;
        }
        Ok(())
    }
}

/// The sample with a renewal, in the time of the demo; any other as it is.
fn shortened(sample: &str) -> String {
    let mut manifest = sample.to_owned();
    for (written, shorter) in SHORTENED {
        manifest = manifest.replace(written, shorter);
    }
    manifest
}

fn install(page: Page, cluster: &Cluster) -> Result<()> {
    // The operator, and what it needs to deliver credentials.
    for folder in ["deploy/kustomize/base", "deploy/kustomize/credentials"] {
        cluster.show(page, &["apply", "--server-side", "-k", folder])?;
    }
    cluster.show(page, &["create", "namespace", NAMESPACE])
}

/// The connection of the samples, with the simulator in the place of the real Apono.
pub(crate) fn connect(
    page: Page,
    cluster: &Cluster,
    url: &str,
    token: &str,
    logs: &Path,
) -> Result<()> {
    page.heading("2. Say where Apono is, with which token, and who may use it");
    let literal = format!("--from-literal=token={token}");
    let secret = [
        "create",
        "secret",
        "generic",
        "apono-token",
        "-n",
        OPERATOR_NAMESPACE,
    ];
    cluster.show(page, &[&secret[..], &[&literal]].concat())?;
    let sample = format!("{SAMPLES}/connection.yaml");
    let manifest = connection(&read(&sample)?, url)
        .with_context(|| format!("`{sample}` has no line `{ENDPOINT}` to replace"))?;
    let file = logs.join("connection.yaml");
    write(&file, &manifest)?;
    let file = shown(&file);
    page.command(&format!("cat {file}"));
    page.quote(&without_comments(&manifest));
    cluster.show(page, &["apply", "-f", &file])?;
    let connection = "clusteraponoconnection/default";
    cluster.show(
        page,
        &["wait", connection, "--for=condition=Ready", "--timeout=60s"],
    )
}

fn connection(sample: &str, url: &str) -> Option<String> {
    // Plain HTTP leaves the machine only where somebody says so.
    let insecure = if url.starts_with("http://127.0.0.1:") {
        ""
    } else {
        "\n  insecure: true"
    };
    let endpoint = format!("endpoint: {url}{insecure}");
    sample
        .contains(ENDPOINT)
        .then(|| sample.replacen(ENDPOINT, &endpoint, 1))
}

/// A path as it is typed in the root of the workspace.
fn shown(path: &Path) -> String {
    let inside = path.strip_prefix(crate::workspace());
    inside.unwrap_or(path).display().to_string()
}

fn read(file: &str) -> Result<String> {
    let path = crate::workspace().join(file);
    std::fs::read_to_string(path).with_context(|| format!("could not read `{file}`"))
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("could not write `{}`", file.display()))
}

/// A manifest as an account shows it.
fn without_comments(manifest: &str) -> String {
    let lines = manifest
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_connection_is_sent_to_the_simulator() {
        let sample = read(&format!("{SAMPLES}/connection.yaml")).unwrap();
        let manifest = connection(&sample, "http://127.0.0.1:4").unwrap();
        assert!(
            manifest.contains("\n  endpoint: http://127.0.0.1:4\n"),
            "{manifest}"
        );
        assert!(!manifest.contains(ENDPOINT) && !manifest.contains("insecure"));
        let manifest = connection(&sample, "http://simulator.svc:8080").unwrap();
        assert!(manifest.contains("\n  insecure: true\n"), "{manifest}");
    }

    #[test]
    fn only_the_renewed_sample_is_shortened_and_in_every_respect() {
        for file in REQUESTS {
            let sample = read(&format!("{SAMPLES}/{file}")).unwrap();
            let hits = SHORTENED.iter().filter(|(it, _)| sample.contains(it));
            let expected = if file == "request-renewal.yaml" {
                SHORTENED.len()
            } else {
                0
            };
            assert_eq!(hits.count(), expected, "{file}");
        }
    }

    #[test]
    fn the_samples_are_in_the_namespace_that_is_watched() {
        for file in REQUESTS {
            let sample = read(&format!("{SAMPLES}/{file}")).unwrap();
            assert!(
                sample.contains(&format!("namespace: {NAMESPACE}\n")),
                "{file}"
            );
        }
    }

    #[test]
    fn a_manifest_is_shown_without_its_comments() {
        assert_eq!(without_comments("a: 1\n  # why\nb: 2\n"), "a: 1\nb: 2");
    }
}
