//! `deploy/chart`, by Helm 3 and Helm 4 alike: it lints, refuses what it does not know, renders what
//! `deploy/kustomize` holds, and lives a whole life in a real apiserver.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `helm.rs` | both Helms, built once by `xtask tool` |
//! | `refused.rs` | values that are refused, and with which words |
//! | `same.rs` | the chart and the kustomize folders, compared |
//! | `golden.rs` | what only the chart has, as it is rendered |
//! | `monitors.rs` | monitors, alerts and dashboard: as they are beside the chart, and taken by an apiserver that knows them |
//! | `score.rs` | what kube-score finds, and what is meant to be so |
//! | `life.rs` | install, test, upgrade, roll back, uninstall, install again |
//! | `plane.rs` | the cluster of that life: no node, so somebody drives the pods |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "chart/golden.rs"]
mod golden;
#[path = "chart/helm.rs"]
mod helm;
#[path = "chart/life.rs"]
mod life;
#[path = "chart/monitors.rs"]
mod monitors;
#[path = "chart/plane.rs"]
mod plane;
#[path = "chart/refused.rs"]
mod refused;
#[path = "chart/same.rs"]
mod same;
#[path = "chart/score.rs"]
mod score;
mod shipped;

use std::fs;

use helm::{BOTH, CHART, Helm};

#[test]
fn the_chart_is_of_the_version_of_the_operator() {
    let text = fs::read_to_string(format!("{CHART}/Chart.yaml")).unwrap();
    let chart: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    for key in ["version", "appVersion"] {
        assert_eq!(chart[key], env!("CARGO_PKG_VERSION"), "{key}");
    }
    let definitions = chart["annotations"]["artifacthub.io/crds"]
        .as_str()
        .unwrap();
    for crd in apono_operator::crd::all_crds() {
        let kind = crd.spec.names.kind;
        assert!(definitions.contains(&format!("kind: {kind}\n")), "{kind}");
    }
}

#[test]
fn both_helms_are_the_versions_that_are_named() {
    let readme = fs::read_to_string(format!("{CHART}/README.md")).unwrap();
    for helm in BOTH {
        let said = helm.run(&["version", "--short"]).output;
        let version = said.trim_start_matches('v').split('+').next().unwrap();
        let line = version.rsplit_once('.').expect("three numbers").0;
        println!("{helm:?}: {}", said.trim());
        assert!(readme.contains(line), "{line}");
        assert!(said.starts_with(helm.start()), "{said}");
    }
}

#[test]
fn lint_finds_nothing_with_any_of_the_tried_values() {
    for helm in BOTH {
        for values in [
            None,
            Some(golden::EVERYTHING),
            Some(golden::NAMESPACED),
            Some(golden::DEMO),
            Some(score::HARDENED),
        ] {
            let mut arguments = vec!["lint", "--strict", CHART];
            if let Some(values) = values {
                arguments.extend(["--values", values]);
            }
            let said = helm.run(&arguments);
            assert!(!said.output.contains("[WARNING]"), "{}", said.output);
        }
    }
}

#[test]
fn the_notes_say_what_comes_next() {
    let cases: [(&[&str], &[&str]); 4] = [
        (
            &[],
            &["create secret generic apono-token", "set aggregatedRoles"],
        ),
        (
            &["demo.enabled=true"],
            &["simulated Apono", "kind: ClusterAponoConnection"],
        ),
        (
            &["watchNamespaces={payments}", "clusterName=one"],
            &["kubectl -n payments create secret", "kind: AponoConnection"],
        ),
        (
            &["connection.create=true", "connection.token.secretName=mine"],
            &["apono-system/mine, key token", "Say who may"],
        ),
    ];
    // Only an install renders notes, and only without a cluster does it change none.
    for (set, wanted) in cases {
        let helm = Helm::Four;
        let mut arguments = vec!["install", "apono-operator", CHART, "-n", "apono-system"];
        arguments.extend(["--dry-run=client", "--hide-secret"]);
        for one in set {
            arguments.extend(["--set", one]);
        }
        let said = helm.run(&arguments).output;
        let notes = said.split_once("NOTES:").expect("notes").1;
        for words in wanted.iter().chain(&["Before you uninstall"]) {
            assert!(notes.contains(words), "{words} is not in\n{notes}");
        }
    }
}
