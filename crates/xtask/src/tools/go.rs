//! Programs written in Go, from the module `tests/tools`, which pins them: built once into our own
//! folder of tools. A test that needs one asks for it by `xtask tool NAME`, so that a part of the
//! tests never waits for what it does not use.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

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
}

impl GoTool {
    fn name(self) -> &'static str {
        match self {
            Self::Helm3 => "helm3",
            Self::Helm4 => "helm4",
            Self::Gitops => "gitops",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Helm3 => "helm.sh/helm/v3/cmd/helm",
            Self::Helm4 => "helm.sh/helm/v4/cmd/helm",
            Self::Gitops => "./gitops",
        }
    }

    /// The module whose version the program reports, where it is not told by its build.
    fn module(self) -> Option<&'static str> {
        match self {
            Self::Helm3 => Some("helm.sh/helm/v3"),
            Self::Helm4 => Some("helm.sh/helm/v4"),
            Self::Gitops => None,
        }
    }

    /// Its path, where it is built first if it is not there.
    pub(crate) fn find(self) -> Result<PathBuf> {
        let name = self.name();
        let module = crate::workspace().join("tests/tools");
        let sources = go::sources(&module)?;
        let tools = crate::target().join("tools");
        let folder = tools.join(format!("go-{}", go::short_hash(&sources)));
        let binary = folder.join(name);
        if binary.is_file() {
            return Ok(binary);
        }
        if !go::is_installed(&module) {
            bail!("{name} is built with Go, and there is none: install Go 1.26 or later");
        }
        fs::create_dir_all(&folder)
            .with_context(|| format!("could not create `{}`", folder.display()))?;
        let _lock = go::lock(&tools.join("go.lock"), name)?;
        // Another run, for which this one waited, may have built it.
        if !binary.is_file() {
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
            fs::rename(&draft, &binary).context("could not move the build into place")?;
            eprintln!("{name}: built in {}", process::spoken(started.elapsed()));
        }
        Ok(binary)
    }

    fn flags(self, sources: &go::Sources) -> Result<String> {
        let Some(module) = self.module() else {
            return Ok(String::new());
        };
        let requirements = sources.iter().find(|(name, _)| name == "go.mod");
        let requirements = requirements.map_or(&[][..], |(_, text)| text);
        let requirements = String::from_utf8_lossy(requirements);
        let version = |module: &str| {
            go::required(&requirements, module)
                .with_context(|| format!("tests/tools/go.mod requires no {module}"))
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
}
