//! The rules as the Prometheus operator takes them, made from the plain file that promtool tests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::HEADER;

/// What is written by hand, and tested.
const RULES: &str = "deploy/monitoring/rules.yaml";
/// What is made of it.
const MANIFEST: &str = "deploy/monitoring/prometheus-rule.yaml";

const HEAD: &str = "\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: apono-operator
  labels:
    app.kubernetes.io/name: apono-operator
spec:
";

/// The files made from the rules.
pub(super) fn files(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let rules = fs::read_to_string(root.join(RULES))
        .with_context(|| format!("could not read `{RULES}`"))?;
    Ok(vec![(MANIFEST.into(), manifest(&rules))])
}

/// The rules two places further in, without their comments at the top.
fn manifest(rules: &str) -> String {
    let lines = rules.lines().skip_while(|line| line.starts_with('#'));
    let mut text = format!("{HEADER}\n{HEAD}");
    for line in lines {
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
        let text = manifest("# told\ngroups:\n  - name: a\n\n    rules: []\n");
        let wanted = format!("{HEADER}\n{HEAD}  groups:\n    - name: a\n\n      rules: []\n");
        assert_eq!(text, wanted);
    }
}
