//! The rules as the Prometheus operator takes them, made from the plain file that promtool tests; and what
//! the chart ships of rules and dashboard, since Helm reads no file outside of a chart.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::HEADER;

/// What is written by hand, and tested.
const RULES: &str = "deploy/monitoring/rules.yaml";
/// What is made of it.
const MANIFEST: &str = "deploy/monitoring/prometheus-rule.yaml";

/// The same for Helm, which puts them into a manifest of its own.
const CHART_RULES: &str = "deploy/chart/files/rules.yaml";

/// The dashboard, and its copy in the chart.
const DASHBOARD: &str = "deploy/monitoring/dashboard.json";
const CHART_DASHBOARD: &str = "deploy/chart/files/dashboard.json";

const HEAD: &str = "\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: apono-operator
  labels:
    app.kubernetes.io/name: apono-operator
spec:
";

/// The files made from rules and dashboard.
pub(super) fn files(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let read = |path: &str| {
        fs::read_to_string(root.join(path)).with_context(|| format!("could not read `{path}`"))
    };
    let rules = read(RULES)?;
    Ok(vec![
        (MANIFEST.into(), manifest(&rules)),
        (CHART_RULES.into(), format!("{HEADER}\n{}", body(&rules))),
        (CHART_DASHBOARD.into(), read(DASHBOARD)?),
    ])
}

/// The rules without their comments at the top.
fn body(rules: &str) -> &str {
    let start = rules.find("\ngroups:").map_or(0, |newline| newline + 1);
    rules.get(start..).unwrap_or_default()
}

/// The rules two places further in.
fn manifest(rules: &str) -> String {
    let mut text = format!("{HEADER}\n{HEAD}");
    for line in body(rules).lines() {
        if !line.is_empty() {
            text.push_str("  ");
            text.push_str(line);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_stand_in_the_spec_of_the_manifest() {
        let text = manifest("# the groups\ngroups:\n  - name: a\n\n    rules: []\n");
        let wanted = format!("{HEADER}\n{HEAD}  groups:\n    - name: a\n\n      rules: []\n");
        assert_eq!(text, wanted);
    }
}
