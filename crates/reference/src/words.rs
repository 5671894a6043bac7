//! The pages of the closed lists of words: conditions with their reasons, and events.

use std::fmt::Write as _;

use apono_operator::crd::{self, ConditionType, ConnectionReason, OwedReason, Reason, told};

use crate::text::{anchor, cell, code, row};

/// The page that says what to do, beside the folder of the reference.
const NEXT: &str = "../troubleshooting.md";

/// A reason as a link to what to do about it.
fn link(prefix: &str, reason: &str) -> String {
    format!("[`{reason}`]({NEXT}#{prefix}{})", anchor(reason))
}

/// Conditions, phases, and all reasons there are.
pub(crate) fn reasons() -> String {
    let mut page = START.to_owned();
    for kind in ConditionType::ALL {
        page.push_str(&row(&[code(kind.as_str()), cell(kind.description())]));
    }
    page.push_str(REQUESTS);
    for reason in Reason::ALL {
        let word = link("", reason.as_str());
        page.push_str(&row(&[word, cell(reason.description())]));
    }
    page.push_str(CONNECTIONS);
    for reason in ConnectionReason::ALL {
        let word = link("connection-", reason.as_str());
        page.push_str(&row(&[word, cell(reason.description())]));
    }
    page.push_str(OWED);
    for reason in OwedReason::ALL {
        let because = format!("the access is owed because {}.", reason.because());
        page.push_str(&row(&[code(reason.as_str()), cell(&because)]));
    }
    page.push_str(STANDINGS);
    for (word, meaning) in told::STANDINGS {
        page.push_str(&row(&[link("owed-", word), cell(meaning)]));
    }
    page.push_str(PHASES);
    let words: Vec<_> = phases().iter().map(|word| code(word)).collect();
    let _ = writeln!(page, "{}.", words.join(", "));
    page
}

/// The phases, as the definition knows them.
fn phases() -> Vec<String> {
    let all = serde_json::json!(crd::all_crds());
    let path = "/0/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/phase/enum";
    let words = all.pointer(path).and_then(serde_json::Value::as_array);
    let words = words.into_iter().flatten();
    words
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect()
}

/// What events tell of.
pub(crate) fn events() -> String {
    let mut page = EVENTS.to_owned();
    for event in told::EVENTS {
        let kind = if event.is_warning {
            "Warning"
        } else {
            "Normal"
        };
        let kinds: Vec<_> = event.kind.split(", ").map(code).collect();
        page.push_str(&row(&[
            code(event.word),
            kinds.join(", "),
            kind.to_owned(),
            cell(event.description),
        ]));
    }
    page.push_str(CHANGES);
    for reason in Reason::ALL.iter().filter(|one| **one != Reason::Submitting) {
        let word = link("", reason.as_str());
        page.push_str(&row(&[word, cell(reason.description())]));
    }
    page
}

const START: &str = "\
# Conditions and reasons

Reasons are stable: scripts and policies may compare them. Messages are for people and may change. Each reason of an
`AccessRequest` or a connection leads to what to do about it.

## Conditions

A condition that is not listed in a resource is absent; `Reconciling` and `Stalled` are never both there.

| condition | where it is True |
| --- | --- |
";
const REQUESTS: &str = "
## Reasons of an AccessRequest

| reason | meaning |
| --- | --- |
";
const CONNECTIONS: &str = "
## Reasons of a connection

Of `AponoConnection` and `ClusterAponoConnection` alike.

| reason | meaning |
| --- | --- |
";
const OWED: &str = "
## Why access is owed

`spec.reason` of an `OwedRevocation`, written once.

| reason | meaning |
| --- | --- |
";
const STANDINGS: &str = "
## Where a debt stands

The reason of the conditions of an `OwedRevocation`.

| reason | meaning |
| --- | --- |
";
const PHASES: &str = "
## Phases

`status.phase` of an `AccessRequest` is one word for people and field selectors; no tool should decide by it:
";
const EVENTS: &str = "\
# Events

`kubectl describe` shows them. They are best effort and are forgotten after an hour: what must be known is in the status. The
metric `apono_operator_happenings_total` counts those of `AccessRequest`s by reason.

## What is no change of the leading reason

| event | on | type | what happened |
| --- | --- | --- | --- |
";
const CHANGES: &str = "
## Changes of the leading reason

Each change of `status.reason` is an event of that name on the `AccessRequest`, with the message as its note. It is a warning where
`Stalled` leads, or `Ready` that is not True, `Suspended` apart. `Revoked` is the event at the end of a deletion too. There is none for
`Submitting`: what comes of it a moment later tells of it.

| event | meaning |
| --- | --- |
";
