//! What the book says of reasons and events is what the code says.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use apono_operator::crd::{ConnectionReason, Reason, told};

use crate::pages::{Page, root};

/// The text under a heading, up to the next.
fn section(page: &Page, heading: &str) -> String {
    let start = format!("\n### {heading}\n\n");
    let (_, rest) = page
        .text
        .split_once(&start)
        .unwrap_or_else(|| panic!("{} has no section `### {heading}`", page.path));
    rest.split("\n#").next().unwrap().to_owned()
}

#[test]
fn every_reason_has_a_section_that_says_what_to_do() {
    let page = Page::read("docs/troubleshooting.md");
    let requests = Reason::ALL
        .iter()
        .map(|one| (one.as_str().to_owned(), one.description()));
    let connections = ConnectionReason::ALL
        .iter()
        .map(|one| (format!("Connection: {one}"), one.description()));
    let debts = told::STANDINGS
        .iter()
        .map(|(word, meaning)| (format!("Owed: {word}"), *meaning));
    let wanted: Vec<_> = requests.chain(connections).chain(debts).collect();
    for (heading, meaning) in &wanted {
        let text = section(&page, heading);
        let mut parts = text.trim().split("\n\n");
        assert_eq!(parts.next(), Some(*meaning), "{heading}");
        let next = parts.next().unwrap_or_default();
        assert!(next.ends_with('.'), "{heading}: {next}");
    }
    let headings = page.prose();
    let headings = headings.iter().filter(|line| line.starts_with("### "));
    assert_eq!(headings.count(), wanted.len(), "a section of no reason");
}

/// The code of the operator without its tests.
fn code(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(code(&path));
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if ["tests.rs", "fixtures.rs", "told.rs"].contains(&name.as_str()) || name.contains("test")
        {
            continue;
        }
        let text = fs::read_to_string(&path).expect("text");
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        // As one line, so that it does not matter where it is broken.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        all.push((path, text));
    }
    all
}

/// The words that stand in quotes right after one of these.
fn quoted(text: &str, before: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for start in before {
        for part in text.split(start).skip(1) {
            if let Some((word, _)) = part
                .trim_start()
                .strip_prefix('"')
                .and_then(|it| it.split_once('"'))
            {
                found.push(word.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_event_of_the_code_is_listed_and_every_listed_one_is_in_the_code() {
    let reasons: BTreeSet<_> = Reason::ALL.iter().map(|one| one.as_str()).collect();
    let listed: BTreeSet<_> = told::EVENTS.iter().map(|one| one.word).collect();
    let all = code(&root().join("src"));
    let starts = [
        "reason:",
        "let reason =",
        "self.say( true,",
        "self.say(true,",
        "self.say( false,",
        "self.say(false,",
    ];
    for (path, text) in &all {
        let is_told = ["Happening", "EventType", "fn say", "self.say("];
        if !is_told.iter().any(|word| text.contains(word)) {
            continue;
        }
        for word in quoted(text, &starts) {
            assert!(
                listed.contains(word.as_str()) || reasons.contains(word.as_str()),
                "{}: the event {word} is not in src/crd/told.rs",
                path.display()
            );
        }
    }
    for word in &listed {
        let literal = format!("\"{word}\"");
        let is_there = all.iter().any(|(_, text)| text.contains(&literal));
        assert!(is_there, "nothing makes the event {word}");
    }
}

#[test]
fn where_a_debt_stands_is_said_in_the_words_that_are_listed() {
    let listed: BTreeSet<_> = told::STANDINGS
        .iter()
        .map(|(word, _)| (*word).to_owned())
        .collect();
    let all = code(&root().join("src/owed"));
    let (_, text) = all
        .iter()
        .find(|(path, _)| path.ends_with("status.rs"))
        .expect("the file");
    let mut found: BTreeSet<_> = quoted(text, &["say("]).into_iter().collect();
    found.extend(quoted(text, &["PAID: &str ="]));
    assert_eq!(found, listed);
}

/// What stands in the page is what is shipped.
#[test]
fn the_expressions_in_the_page_of_flux_are_those_of_the_file() {
    let page = Page::read("docs/flux.md");
    let blocks = page.blocks();
    let block = blocks
        .iter()
        .find(|block| block.language == "yaml")
        .unwrap();
    let shown: serde_json::Value = serde_saphyr::from_str(&block.text).unwrap();
    let file = fs::read_to_string(root().join("deploy/flux/gate.yaml")).unwrap();
    let shipped: serde_json::Value = serde_saphyr::from_str(&file).unwrap();
    assert_eq!(shown["spec"]["healthCheckExprs"], shipped);
}

/// The table of the alerts is that of the rules.
#[test]
fn every_alert_is_in_the_table_with_its_severity() {
    let page = Page::read("docs/alerts.md");
    let rules = fs::read_to_string(root().join("deploy/monitoring/rules.yaml")).unwrap();
    let rules: serde_json::Value = serde_saphyr::from_str(&rules).unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap().clone();
    for rule in &rules {
        let (alert, severity) = (rule["alert"].as_str(), rule["labels"]["severity"].as_str());
        let start = format!("| `{}` | {} | ", alert.unwrap(), severity.unwrap());
        assert!(page.text.contains(&start), "no row {start}");
    }
    let rows = page
        .text
        .lines()
        .filter(|line| line.starts_with("| `Apono"));
    assert_eq!(rows.count(), rules.len());
    assert!(page.text.contains("has twelve alerts") && rules.len() == 12);
}
