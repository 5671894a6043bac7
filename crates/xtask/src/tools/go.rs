//! Programs written in Go, from the modules `tests/tools`, `tests/score`, `tests/flux` and `tests/node`, which pin
//! them: built once
//! into our own folder of tools. A test that needs one asks for it by `xtask tool NAME`, so that a part of the
//! tests never waits for what it does not use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde::Deserialize;

use crate::{go, process};

/// A program of the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GoTool {
    /// Helm, the line before.
    Helm3,
    /// Helm, the current line.
    Helm4,
    /// What GitOps tools make of an object: kstatus, Argo CD's Lua, Flux's CEL.
    Gitops,
    /// The controller of Flux that applies and prunes, and beside it the definitions it works with.
    Flux,
    /// What finds fault with manifests, and beside it the definitions of the Prometheus operator.
    KubeScore,
    /// Kubelet, scheduler and proxy in one.
    Node,
    /// `CoreDNS`.
    Dns,
    /// What holds the namespaces of a pod.
    Pause,
}

/// Definitions that are put beside a program: a module, and files of a folder of it.
struct Beside {
    module: &'static str,
    /// Absent where the module of the program requires it, or its API.
    version: Option<&'static str>,
    folder: &'static str,
    files: &'static [&'static str],
}

/// Where controllers keep their definitions.
const BASES: &str = "config/crd/bases";

/// Of Flux: what the controller watches. What serves the sources cannot be built here.
const DEFINITIONS: [Beside; 2] = [
    Beside {
        module: "github.com/fluxcd/kustomize-controller",
        version: None,
        folder: BASES,
        files: &["kustomize.toolkit.fluxcd.io_kustomizations.yaml"],
    },
    Beside {
        module: "github.com/fluxcd/source-controller",
        version: None,
        folder: BASES,
        files: &[
            "source.toolkit.fluxcd.io_buckets.yaml",
            "source.toolkit.fluxcd.io_externalartifacts.yaml",
            "source.toolkit.fluxcd.io_gitrepositories.yaml",
            "source.toolkit.fluxcd.io_ocirepositories.yaml",
        ],
    },
];

/// Of the Prometheus operator: what the chart makes of its kinds. Nothing of it is built, so that its
/// version is here; the newest that can be had.
const MONITORS: [Beside; 1] = [Beside {
    module: "github.com/prometheus-operator/prometheus-operator",
    version: Some("v0.94.1"),
    folder: "example/prometheus-operator-crd",
    files: &[
        "monitoring.coreos.com_podmonitors.yaml",
        "monitoring.coreos.com_prometheusrules.yaml",
        "monitoring.coreos.com_servicemonitors.yaml",
    ],
}];

impl GoTool {
    fn name(self) -> &'static str {
        match self {
            Self::Helm3 => "helm3",
            Self::Helm4 => "helm4",
            Self::Gitops => "gitops",
            Self::Flux => "kustomize-controller",
            Self::KubeScore => "kube-score",
            Self::Node => "node",
            Self::Dns => "coredns",
            Self::Pause => "pause",
        }
    }

    /// What is put beside it.
    fn beside(self) -> &'static [Beside] {
        match self {
            Self::Flux => &DEFINITIONS,
            Self::KubeScore => &MONITORS,
            _ => &[],
        }
    }

    /// The module that pins it.
    fn folder(self) -> PathBuf {
        crate::workspace().join(match self {
            Self::Flux => "tests/flux",
            Self::KubeScore => "tests/score",
            Self::Node | Self::Dns | Self::Pause => "tests/node",
            _ => "tests/tools",
        })
    }

    fn package(self) -> &'static str {
        match self {
            Self::Helm3 => "helm.sh/helm/v3/cmd/helm",
            Self::Helm4 => "helm.sh/helm/v4/cmd/helm",
            Self::Gitops => "./gitops",
            Self::Flux => "github.com/fluxcd/kustomize-controller",
            Self::KubeScore => "github.com/zegl/kube-score/cmd/kube-score",
            Self::Node => ".",
            Self::Dns => "./dns",
            Self::Pause => "./pause",
        }
    }

    /// The module whose version the program reports, where it is not told by its build.
    fn module(self) -> Option<&'static str> {
        match self {
            Self::Helm3 => Some("helm.sh/helm/v3"),
            Self::Helm4 => Some("helm.sh/helm/v4"),
            _ => None,
        }
    }

    /// Its path, where it is built first if it is not there.
    pub(crate) fn find(self) -> Result<PathBuf> {
        let name = self.name();
        let module = self.folder();
        let sources = go::sources(&module)?;
        let tools = crate::target().join("tools");
        let folder = tools.join(format!("go-{}", go::short_hash(&sources)));
        let binary = folder.join(name);
        let is_complete = || {
            let mut beside = self.beside().iter().flat_map(|beside| beside.files);
            binary.is_file() && beside.all(|file| folder.join(file).is_file())
        };
        if is_complete() {
            return Ok(binary);
        }
        if !go::is_installed(&module) {
            bail!("{name} is built with Go, and there is none: install Go 1.26 or later");
        }
        fs::create_dir_all(&folder)
            .with_context(|| format!("could not create `{}`", folder.display()))?;
        let _lock = go::lock(&tools.join("go.lock"), name)?;
        // Another run, for which this one waited, may have built it.
        if !is_complete() {
            let started = Instant::now();
            let draft = folder.join(format!("{name}.draft"));
            let label = format!("building {name}");
            go::build(
                &module,
                self.package(),
                &draft,
                &self.flags(&sources)?,
                &label,
            )?;
            put_beside(self.beside(), &module, &sources, &folder)?;
            fs::rename(&draft, &binary).context("could not move the build into place")?;
            eprintln!("{name}: built in {}", process::spoken(started.elapsed()));
        }
        Ok(binary)
    }

    fn flags(self, sources: &go::Sources) -> Result<String> {
        let requirements = sources.iter().find(|(name, _)| name == "go.mod");
        let requirements = requirements.map_or(&[][..], |(_, text)| text);
        let requirements = String::from_utf8_lossy(requirements);
        let version = |module: &str| {
            go::required(&requirements, module)
                .with_context(|| format!("{}/go.mod requires no {module}", self.folder().display()))
        };
        if self == Self::Node {
            return Ok(go::kubernetes_flags(&version("k8s.io/kubernetes")?));
        }
        let Some(module) = self.module() else {
            return Ok(String::new());
        };
        let mut flags = format!("-X {module}/internal/version.version={}", version(module)?);
        if self == Self::Helm3 {
            // As its own release build does. Without it the `kubeVersion` of a chart is compared
            // with 1.20; Helm 4 looks at what it was built of.
            let client = version("k8s.io/client-go")?;
            let minor = client.split('.').nth(1).unwrap_or_default().to_owned();
            for package in ["pkg/chartutil", "pkg/lint/rules"] {
                flags = format!(
                    "{flags} -X {module}/{package}.k8sVersionMajor=1 \
                     -X {module}/{package}.k8sVersionMinor={minor}"
                );
            }
        }
        Ok(flags)
    }
}

/// Copies the definitions out of the modules that hold them.
fn put_beside(all: &[Beside], module: &Path, sources: &go::Sources, folder: &Path) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Downloaded {
        dir: PathBuf,
    }
    let requirements = sources.iter().find(|(name, _)| name == "go.mod");
    let requirements = requirements.map_or(&[][..], |(_, text)| text);
    let requirements = String::from_utf8_lossy(requirements);
    for beside in all {
        let from = beside.module;
        let required = |name: &str| go::required(&requirements, name);
        // Of some only the API is required, in the version that belongs to it.
        let version = beside
            .version
            .map(str::to_owned)
            .or_else(|| required(from))
            .or_else(|| required(&format!("{from}/api")))
            .with_context(|| format!("`{}` requires no {from}", module.display()))?;
        let mut download = Command::new("go");
        download
            .args(["mod", "download", "-json"])
            .arg(format!("{from}@{version}"))
            .current_dir(module);
        let said = process::capture(&mut download)?;
        let found: Downloaded = serde_json::from_str(&said).context("Go named no folder")?;
        for file in beside.files {
            let path = found.dir.join(beside.folder).join(file);
            // Read and written, since a copy would be as read-only as the module is.
            let text =
                fs::read(&path).with_context(|| format!("could not read `{}`", path.display()))?;
            fs::write(folder.join(file), text)
                .with_context(|| format!("could not write `{file}`"))?;
        }
    }
    Ok(())
}

/// Prints the path of one.
pub(crate) fn run(tool: GoTool) -> Result<ExitCode> {
    println!("{}", tool.find()?.display());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helm_reports_the_version_that_is_required() {
        let sources = go::sources(&crate::workspace().join("tests/tools")).expect("a module");
        for (tool, start) in [(GoTool::Helm3, "=v3."), (GoTool::Helm4, "=v4.")] {
            let flags = tool.flags(&sources).expect("it is required");
            assert!(flags.contains(start), "{flags}");
            let is_told = flags.contains("k8sVersionMinor=3");
            assert_eq!(is_told, tool == GoTool::Helm3, "{flags}");
        }
        assert_eq!(GoTool::Gitops.flags(&sources).expect("none"), "");
    }

    #[test]
    fn the_node_is_of_the_version_of_the_control_plane() {
        let version = |folder: &str| {
            let sources = go::sources(&crate::workspace().join(folder)).expect("a module");
            GoTool::Node.flags(&sources).expect("it is required")
        };
        assert_eq!(version("tests/node"), version("tests/control-plane"));
    }
}
