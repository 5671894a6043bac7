//! What only the chart has, as it is rendered with everything switched on. To renew the file after a
//! change that is meant: `APONO_WRITE_GOLDEN=1 cargo xtask test -- --test chart golden`.

use std::fs;

use serde_json::{Value, json};

use crate::{
    helm::{BOTH, documents},
    shipped::text,
};

/// Values that switch everything on.
pub const EVERYTHING: &str = "tests/chart/golden/everything.values.yaml";
/// Values for single namespaces.
pub const NAMESPACED: &str = "tests/chart/golden/namespaced.values.yaml";

/// Values that run the simulator.
pub const DEMO: &str = "tests/chart/golden/demo.values.yaml";

/// The dashboard is compared with its own file, in `monitors.rs`.
fn short(document: &Value) -> Value {
    let mut short = document.clone();
    if let Some(dashboard) = short.pointer_mut("/data/apono-operator.json") {
        *dashboard = json!("that of deploy/monitoring");
    }
    short
}

/// As a stream, the definitions apart: they are compared with `crds/`.
fn stream(rendered: &[Value]) -> String {
    let mut texts: Vec<_> = rendered
        .iter()
        .filter(|one| text(one, "/kind") != "CustomResourceDefinition")
        .map(|one| serde_saphyr::to_string(&short(one)).expect("YAML"))
        .collect();
    // Helm 3 and 4 order what is of one kind differently.
    texts.sort();
    texts.join("---\n")
}

#[test]
fn golden_renders_are_what_they_were() {
    for values in [EVERYTHING, NAMESPACED, DEMO] {
        let path = values.replace(".values.yaml", ".yaml");
        for helm in BOTH {
            let rendered = stream(&helm.render(&["--values", values]));
            if std::env::var_os("APONO_WRITE_GOLDEN").is_some() {
                fs::write(&path, &rendered).expect("written");
            }
            let golden = fs::read_to_string(&path).expect("a golden file");
            // As values, so that a difference is told by its object.
            let (found, wanted) = (documents(&rendered), documents(&golden));
            for (found, wanted) in found.iter().zip(&wanted) {
                assert_eq!(found, wanted, "{helm:?} {values}");
            }
            assert_eq!(found.len(), wanted.len(), "{helm:?} {values}");
        }
    }
}
