//! The README names every setting, reason and phase there is, each as it is; the page of the metrics
//! is that of the code.

#![expect(
    clippy::expect_used,
    reason = "helpers of tests are not seen as tests by the lint"
)]

use std::{fs, path::Path};

use apono_operator::{
    crd::{self, ConnectionReason, OwedReason, Reason},
    metrics,
    settings::CommandLine,
};
use clap::CommandFactory as _;

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    fs::read_to_string(path).expect("a README")
}

/// The rows of all tables.
fn rows(readme: &str) -> Vec<&str> {
    readme
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect()
}

#[test]
fn every_setting_is_in_the_table_with_its_default() {
    let readme = readme();
    let command = CommandLine::command();
    let run = command.find_subcommand("run").expect("the command run");
    for argument in run.get_arguments() {
        let Some(flag) = argument.get_long().filter(|flag| *flag != "help") else {
            continue;
        };
        let variable = argument.get_env().expect("each has one").to_string_lossy();
        let start = format!("| `--{flag}` | `{variable}` | ");
        let rows = rows(&readme);
        let row = rows.iter().find(|row| row.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("no row begins with {start}"));
        for default in argument.get_default_values() {
            let default = format!("`{}`", default.to_string_lossy());
            assert!(row.contains(&default), "{default} is not in {row}");
        }
    }
}

#[test]
fn every_reason_is_explained_in_the_words_of_the_code() {
    let readme = readme();
    let rows = rows(&readme);
    for reason in Reason::ALL {
        let row = format!("| `{reason}` | {} |", reason.description());
        assert!(rows.contains(&row.as_str()), "no row {row}");
    }
    for reason in OwedReason::ALL {
        let start = format!("| `{reason}` | ");
        assert!(
            rows.iter().any(|row| row.starts_with(&start)),
            "no row begins with {start}"
        );
    }
    for reason in ConnectionReason::ALL {
        let start = format!("| `{reason}` | ");
        assert!(
            rows.iter().any(|row| row.starts_with(&start)),
            "no row begins with {start}"
        );
    }
}

#[test]
fn every_phase_is_in_the_table_of_states() {
    let readme = readme();
    let all = crd::all_crds();
    let all = serde_json::to_value(all).expect("plain data");
    let path = "/0/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/phase/enum";
    let phases = all.pointer(path).and_then(serde_json::Value::as_array);
    for phase in phases.expect("a closed list") {
        let cell = format!("| `{}` |", phase.as_str().expect("a word"));
        assert!(readme.contains(&cell), "no cell {cell}");
    }
}

#[test]
fn the_page_of_the_metrics_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = fs::read_to_string(path).expect("a page");
    let (_, page) = page.split_once('\n').expect("who made it, and the page");
    assert_eq!(page, metrics::reference().expect("the page"));
}
