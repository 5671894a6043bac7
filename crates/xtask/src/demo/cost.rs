//! What a run has cost: the operator's writes to Kubernetes, from the audit log, and its calls of
//! Apono, from the simulator's counters. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::remote::Counters;

/// Who the operator is to the apiserver.
const OPERATOR: &str = "system:serviceaccount:apono-system:apono-operator";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Audited {
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: Object,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    resource: String,
    subresource: String,
}

/// The operator's writes as a table: how many of which kind.
pub(crate) fn writes(audit_log: &str) -> Vec<Vec<String>> {
    let mut counts = BTreeMap::<String, u64>::new();
    let entries = audit_log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    for Audited {
        verb,
        user,
        object_ref,
    } in entries
    {
        let reads = matches!(verb.as_str(), "get" | "list" | "watch");
        if reads || user.username != OPERATOR {
            continue;
        }
        let Object {
            resource,
            subresource,
        } = object_ref;
        let slash = if subresource.is_empty() { "" } else { "/" };
        *counts
            .entry(format!("{verb} {resource}{slash}{subresource}"))
            .or_default() += 1;
    }
    let rows = counts
        .into_iter()
        .map(|(what, count)| vec![count.to_string(), what]);
    with_header(["WRITES", "KIND"], rows)
}

/// The calls of Apono as a table: how many of which, and what was answered.
pub(crate) fn calls(counters: &Counters) -> Vec<Vec<String>> {
    let rows = counters.iter().flat_map(|(endpoint, answers)| {
        let row = move |(status, count): (&String, &u64)| {
            vec![count.to_string(), format!("{endpoint}, answered {status}")]
        };
        answers.iter().map(row)
    });
    with_header(["CALLS", "ENDPOINT"], rows)
}

fn with_header(header: [&str; 2], rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let header = header.map(str::to_owned).to_vec();
    std::iter::once(header).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_operators_own_writes_are_counted() {
        let line = |user: &str, verb: &str, object: &str| {
            format!(
                r#"{{"verb":"{verb}","user":{{"username":"{user}"}},"objectRef":{object}}}{}"#,
                "
"
            )
        };
        let status = r#"{"resource":"a","subresource":"status"}"#;
        let events = r#"{"resource":"events"}"#;
        let log = [
            line(OPERATOR, "patch", status),
            line(OPERATOR, "patch", status),
            line(OPERATOR, "create", events),
            line(OPERATOR, "get", events),
            line("admin", "delete", events),
            r#"{"verb":"patch","us"#.to_owned(),
        ];
        let table = writes(&log.concat());
        assert_eq!(
            table[1..],
            [["1", "create events"], ["2", "patch a/status"]]
        );
    }

    #[test]
    fn calls_are_told_by_endpoint_and_answer() {
        let answers = BTreeMap::from([("200".to_owned(), 3)]);
        let table = calls(&BTreeMap::from([("list".to_owned(), answers)]));
        assert_eq!(table[1], ["3", "list, answered 200"]);
    }
}
