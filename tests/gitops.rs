//! What GitOps tools make of access requests, by their own libraries (`tests/tools/gitops`), over objects
//! that the operator really produced, in every state of the table of conditions.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `judge.rs` | kstatus, Argo CD's Lua and Flux's expressions, asked at once |
//! | `states.rs` | every state, and what each tool has to make of it |
//! | `drive.rs` | how each state is reached |
//! | `argocd.rs` | the scripts in upstream's layout, the actions, and the snippet to paste |
//! | `diff.rs` | nobody who applies a file again and again ever finds a difference |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "gitops/argocd.rs"]
mod argocd;
#[path = "gitops/diff.rs"]
mod diff;
#[path = "gitops/drive.rs"]
mod drive;
#[path = "gitops/judge.rs"]
mod judge;
#[path = "gitops/states.rs"]
mod states;
mod support;

use std::collections::BTreeSet;

use judge::{Question, Verdict};
use states::{STATES, State};

/// One line that shows every word of a verdict.
fn line(verdict: &Verdict) -> String {
    let health = verdict.health.as_ref().unwrap();
    let actions: Vec<_> = verdict
        .actions
        .iter()
        .filter(|(_, is_enabled)| **is_enabled)
        .map(|(name, _)| name.as_str())
        .collect();
    format!(
        "{} | {} | {} | {} | {}",
        verdict.kstatus,
        health.status,
        verdict.expressions["gate"],
        verdict.expressions["fire-and-forget"],
        actions.join(" ")
    )
}

fn wanted(state: &State) -> String {
    format!(
        "{} | {} | {} | {} | {}",
        state.kstatus,
        state.argocd,
        state.gate,
        state.forget,
        state.actions.join(" ")
    )
}

#[tokio::test]
async fn every_state_is_what_the_table_says_to_every_tool() {
    let driven = Box::pin(drive::all()).await;
    let names: BTreeSet<_> = driven.iter().map(|(name, _)| *name).collect();
    let listed: BTreeSet<_> = STATES.iter().map(|state| state.name).collect();
    assert_eq!(names, listed, "every state is driven, and none twice");
    assert_eq!(driven.len(), STATES.len());

    let objects: Vec<_> = driven.iter().map(|(_, object)| object.clone()).collect();
    argocd::keep_as_testdata(&driven);
    let verdicts = judge::judge(&Question::of("AccessRequest", objects));
    let mut wrong = Vec::new();
    for ((name, object), verdict) in driven.iter().zip(&verdicts) {
        let state = STATES.iter().find(|state| state.name == *name).unwrap();
        let (found, wanted) = (line(verdict), wanted(state));
        println!(
            "{name}: {found} | {}",
            verdict.health.as_ref().unwrap().message
        );
        if found != wanted {
            wrong.push(format!("{name}: {found}, wanted {wanted}\n{object:#}"));
        }
        // What people read in the tool: something, and never what they must not.
        let message = &verdict.health.as_ref().unwrap().message;
        assert!(!message.is_empty(), "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!(
        "{} states, judged by kstatus, Lua and two sets of expressions",
        STATES.len()
    );
}
