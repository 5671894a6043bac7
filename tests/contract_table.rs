//! The page of the contract names every operation once; it and the page of the promises name only
//! tests that exist.

#![expect(
    clippy::expect_used,
    reason = "helpers of tests are not seen as tests by the lint"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The methods of HTTP that a path of the contract can hold; what else stands there is no operation.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("docs/contract.md")).expect("the page")
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The operations of the contract, each as `GET /path`.
fn operations() -> Vec<String> {
    let text = fs::read_to_string(root().join("docs/apono-openapi.json")).expect("the contract");
    let contract: Value = serde_json::from_str(&text).expect("JSON");
    let paths = contract.get("paths").and_then(Value::as_object);
    let paths = paths.expect("paths");
    let mut all = Vec::new();
    for (path, item) in paths {
        let item = item.as_object().expect("operations");
        let methods = item.keys().filter(|key| METHODS.contains(&key.as_str()));
        all.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    all
}

/// Every source file: tests also stand beside the code.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = ["tests", "crates", "src"]
        .map(|name| root().join(name))
        .to_vec();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = fs::read_to_string(&path).expect("text");
                let path = path.strip_prefix(root()).expect("below the root");
                found.push((path.to_owned(), text));
            }
        }
    }
    found
}

/// Whether it reads like the name of a test: a sentence in small letters.
fn is_test_name(text: &str) -> bool {
    let fits = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_';
    text.contains('_') && text.chars().all(fits)
}

/// The test that each invariant of the page of the promises names, at least one each.
#[test]
fn every_invariant_names_tests_that_exist() {
    let path = root().join("docs/reliability.md");
    let page = fs::read_to_string(path).expect("the page");
    let sources = sources();
    let is_there = |name: &str| sources.iter().any(|(_, text)| is_function_of(text, name));
    let (mut invariants, mut named) = (0, 0);
    for line in page.lines() {
        let names: Vec<_> = quoted(line).filter(|word| is_test_name(word)).collect();
        for name in &names {
            assert!(is_there(name), "no test {name}: {line}");
        }
        let number = line
            .strip_prefix("| ")
            .and_then(|rest| rest.split(' ').next());
        if number.is_some_and(|number| number.parse::<u32>().is_ok()) {
            invariants += 1;
            assert!(!names.is_empty(), "no test in {line}");
        }
        named += names.len();
    }
    assert!(
        invariants >= 10 && named > invariants,
        "{invariants}, {named}"
    );
}

fn is_function_of(text: &str, name: &str) -> bool {
    text.contains(&format!("fn {name}("))
}

#[test]
fn every_operation_has_one_row() {
    let (page, operations) = (page(), operations());
    let rows = |operation: &str| {
        let start = format!("| `{operation}` | ");
        page.lines().filter(|line| line.starts_with(&start)).count()
    };
    for operation in &operations {
        assert_eq!(rows(operation), 1, "rows of {operation}");
    }
    // Nor a row of something that is no operation.
    let starts = METHODS.map(|method| format!("| `{} /", method.to_uppercase()));
    let is_row = |line: &&str| starts.iter().any(|start| line.starts_with(start));
    let count = page.lines().filter(is_row).count();
    assert_eq!(count, operations.len(), "rows of operations");
    let counted = format!("{} operations", operations.len());
    assert!(page.contains(&counted), "the page says {counted:?}");
}

#[test]
fn every_row_of_an_operation_names_a_test() {
    let page = page();
    for operation in operations() {
        let start = format!("| `{operation}` | ");
        let row = page.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("no row begins with {start}"));
        assert!(quoted(row).any(is_test_name), "no test in {row}");
    }
}

#[test]
fn every_test_that_is_named_exists_where_it_is_said_to_be() {
    let (page, sources) = (page(), sources());
    let mut names = BTreeSet::new();
    for line in page.lines() {
        // In the table of operations a name follows its file: those of `tests/lifecycle`.
        let mut file: Option<&str> = None;
        for word in quoted(line) {
            if Path::new(word).extension().is_some_and(|kind| kind == "rs") {
                file = Some(word);
                let is_it = |path: &Path| path.ends_with(word);
                assert!(
                    sources.iter().any(|(path, _)| is_it(path)),
                    "no file {word}: {line}"
                );
            } else if is_test_name(word) {
                let in_file = |path: &Path| file.is_none_or(|file| path.ends_with(file));
                let mut places = sources.iter().filter(|(path, _)| in_file(path));
                assert!(
                    places.any(|(_, text)| is_function_of(text, word)),
                    "no test {word} in {}: {line}",
                    file.unwrap_or("tests or crates")
                );
                names.insert(word);
            }
        }
    }
    assert!(names.len() > 20, "{names:?}");
}
