//! The rules as they are shipped: promtool's verdict, and that nothing about an alert is missing.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde::Deserialize;

use crate::prometheus;

/// What may page: each is about access that outlives its reason, or goes missing.
const PAGES: [&str; 9] = [
    "AponoOperatorOwedRevocationOld",
    "AponoOperatorRevokesFailing",
    "AponoOperatorTokenRefused",
    "AponoOperatorConnectionDown",
    "AponoOperatorNotProgressing",
    "AponoOperatorAbsent",
    "AponoOperatorUnownedAccess",
    "AponoOperatorWatchStale",
    "AponoOperatorRenewalsFailing",
];
/// What a word of a query that is a metric starts with.
const PREFIXES: [&str; 4] = [
    "apono_operator_",
    "controller_runtime_",
    "rest_client_",
    "process_",
];

#[derive(Debug, Deserialize)]
struct File {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    alert: String,
    expr: String,
    labels: Labels,
    annotations: Annotations,
}

#[derive(Debug, Deserialize)]
struct Labels {
    severity: String,
}

#[derive(Debug, Deserialize)]
struct Annotations {
    summary: String,
    description: String,
    runbook_url: String,
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rules() -> Vec<Rule> {
    let file: File =
        serde_saphyr::from_str(&read("deploy/monitoring/rules.yaml")).expect("the rules");
    file.groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect()
}

/// Every metric that an alert names.
pub fn metrics() -> Vec<String> {
    let is_metric = |word: &&str| PREFIXES.iter().any(|prefix| word.starts_with(prefix));
    rules()
        .iter()
        .flat_map(|rule| {
            let words = rule
                .expr
                .split(|one: char| !one.is_ascii_alphanumeric() && one != '_');
            words
                .filter(is_metric)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

fn promtool(arguments: &[&str]) -> String {
    let mut command = Command::new("promtool");
    command
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let ended = prometheus::start(&mut command)
        .wait_with_output()
        .expect("promtool ends");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
    assert!(ended.status.success(), "{said}");
    said
}

#[test]
fn promtool_finds_every_rule_sound() {
    let said = promtool(&["check", "rules", "rules.yaml"]);
    assert!(
        said.contains(&format!("{} rules found", rules().len())),
        "{said}"
    );
}

#[test]
fn every_alert_fires_when_it_should_and_is_silent_when_it_should_be() {
    promtool(&["test", "rules", "rules.test.yaml"]);
    let tests = read("deploy/monitoring/rules.test.yaml");
    for rule in rules() {
        for what in ["fires", "keeps silent"] {
            let test = format!("- name: {} {what}\n", rule.alert);
            assert_eq!(tests.matches(&test).count(), 1, "{test}");
        }
        let expected = format!("alertname: {}\n        exp_alerts:\n", rule.alert);
        assert!(tests.contains(&expected), "{} fires nowhere", rule.alert);
        let silent = format!("alertname: {}\n        exp_alerts: []\n", rule.alert);
        assert!(tests.contains(&silent), "{} is silent nowhere", rule.alert);
    }
}

#[test]
fn every_alert_leads_to_its_chapter_and_pages_only_where_it_matters() {
    let book = read("docs/runbooks.md");
    let mut paging = BTreeSet::new();
    for rule in rules() {
        let (name, said) = (&rule.alert, &rule.annotations);
        let url = format!("docs/runbooks.md#{}", name.to_lowercase());
        assert_eq!(said.runbook_url, url);
        let chapter = book
            .split("\n## ")
            .find(|one| one.starts_with(&format!("{name}\n")));
        let chapter = chapter.unwrap_or_else(|| panic!("{name} has no chapter"));
        for part in ["**Meaning.**", "**Look at**", "**Do**"] {
            assert!(chapter.contains(part), "{name} has no {part}");
        }
        assert!(
            said.summary.ends_with('.') && said.description.ends_with('.'),
            "{said:?}"
        );
        match rule.labels.severity.as_str() {
            "critical" => drop(paging.insert(name.clone())),
            "warning" | "info" => {}
            other => panic!("{name}: `{other}` is no severity"),
        }
    }
    assert_eq!(paging, PAGES.map(str::to_owned).into());
}

#[test]
fn the_chapters_are_of_alerts_that_there_are() {
    let book = read("docs/runbooks.md");
    let chapters: BTreeSet<_> = book
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let rules = rules();
    let alerts: BTreeSet<_> = rules.iter().map(|rule| rule.alert.as_str()).collect();
    assert_eq!(chapters, alerts);
}
