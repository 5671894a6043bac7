//! The snippet for Argo CD's `ConfigMap`, made of the scripts that lie in upstream's layout beside it.
//! Pure: it is handed the scripts.

use std::fmt::Write as _;

/// The snippet, and where the scripts are.
pub(crate) const SNIPPET: &str = "deploy/argocd/argocd-cm.yaml";
pub(crate) const SCRIPTS: &str = "deploy/argocd/access.apono.io";

/// Kinds with a health script.
pub(crate) const KINDS: [&str; 3] = ["AccessRequest", "AponoConnection", "ClusterAponoConnection"];
/// What can be done with an `AccessRequest`.
pub(crate) const ACTIONS: [&str; 3] = ["refresh", "request-again", "revoke"];

const START: &str = "\
# Add this to the ConfigMap of your Argo CD, for example as a patch of its Kustomize folder:
#   patches: [{path: argocd-cm.yaml}]
# The scripts are those of the folder beside it; there they are in the layout of Argo CD's own.
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
data:
";

/// The snippet; `script` gives the text of a file below [`SCRIPTS`].
pub(crate) fn snippet<E>(script: impl Fn(&str) -> Result<String, E>) -> Result<String, E> {
    let mut text = START.to_owned();
    for kind in KINDS {
        let health = script(&format!("{kind}/health.lua"))?;
        let key = format!("resource.customizations.health.access.apono.io_{kind}");
        push(&mut text, 2, &key, &health);
    }
    let mut actions = String::new();
    let folder = "AccessRequest/actions";
    push(
        &mut actions,
        0,
        "discovery.lua",
        &script(&format!("{folder}/discovery.lua"))?,
    );
    actions.push_str("definitions:\n");
    for action in ACTIONS {
        let _ = writeln!(actions, "  - name: {action}");
        push(
            &mut actions,
            4,
            "action.lua",
            &script(&format!("{folder}/{action}/action.lua"))?,
        );
    }
    let key = "resource.customizations.actions.access.apono.io_AccessRequest";
    push(&mut text, 2, key, &actions);
    Ok(text)
}

/// A key with a text of several lines.
fn push(text: &mut String, depth: usize, key: &str, value: &str) {
    let _ = writeln!(text, "{:depth$}{key}: |", "");
    for line in value.lines() {
        if line.is_empty() {
            text.push('\n');
        } else {
            let _ = writeln!(text, "{:depth$}  {line}", "");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::Value;

    use super::*;

    #[test]
    fn every_script_comes_back_as_it_was() {
        let script = |path: &str| Ok::<_, Infallible>(format!("-- {path}\n\nreturn {{}}\n"));
        let Ok(text) = snippet(script);
        let read: Value = serde_saphyr::from_str(&text).expect("YAML");
        let data = read["data"].as_object().expect("texts");
        assert_eq!(data.len(), 4);
        let health = "resource.customizations.health.access.apono.io_AponoConnection";
        let Ok(wanted) = script("AponoConnection/health.lua");
        assert_eq!(data[health], wanted);
        let actions = &data["resource.customizations.actions.access.apono.io_AccessRequest"];
        let actions: Value = serde_saphyr::from_str(actions.as_str().expect("text")).expect("YAML");
        let Ok(wanted) = script("AccessRequest/actions/revoke/action.lua");
        assert_eq!(actions["definitions"][2]["action.lua"], wanted);
    }
}
