//! The code, broken on purpose: each mutation is applied to a copy of the workspace, and the proof
//! that it names has to fail there. One that nobody notices, or whose text is not there any more, is
//! an error: so the list cannot rot.
//!
//! # Why text and a copy
//! What is judged is the code as it is shipped. A switch inside it would be code of its own, and
//! decisions broken at the model's border would prove nothing of the real ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::process::{self, spoken};
use crate::test::cargo;

/// One way to break the code.
pub(super) struct Mutation {
    /// What is wrong then.
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// What has to notice.
    caught_by: Proof,
}

/// What has to notice a mutation.
#[derive(Clone, Copy)]
enum Proof {
    /// This test of the model.
    Model(&'static str),
    /// This unit test.
    Unit(&'static str),
}

const LOST: Proof = Proof::Model("a_lost_answer_and_a_crash_never_ask_twice");
const REMOTE: Proof = Proof::Model("what_fails_or_is_revoked_by_others_comes_to_an_end");
const PEOPLE: Proof = Proof::Model("what_people_ask_for_is_done_once");
const SECOND: Proof =
    Proof::Model("an_object_applied_again_takes_over_what_is_live_and_nothing_of_others");
const PAIR: Proof = Proof::Model("two_resources_never_touch_what_is_of_the_other");
const COPIED: Proof = Proof::Model("a_resource_copied_under_another_name_takes_nothing_over");
const BEYOND: Proof = Proof::Model("beyond_the_settle_window_the_second_create_is_taken_back");

const NOT_FOUND: Proof = Proof::Unit(
    "owed::plan::tests::not_found_is_an_end_only_for_the_user_who_made_it_and_only_if_said_often",
);

/// The list.
pub(super) const MUTATIONS: [Mutation; 27] = [
    Mutation {
        name: "who asks may say who asked",
        file: "src/connection/policy/requester.rs",
        from: "fields.retain(|name, _| !same(name, field));",
        to: "",
        caught_by: Proof::Unit(
            "connection::policy::requester::tests::who_asks_does_not_say_who_asked",
        ),
    },
    Mutation {
        name: "absence is concluded from a look that was asked for too early",
        file: "src/controller/picture.rs",
        from: "let judged = |look: &Look| look.asked_at >= settled && look.since",
        to: "let judged = |look: &Look| look.asked_at <= settled.max(look.asked_at) && look.since",
        caught_by: LOST,
    },
    Mutation {
        name: "a lost answer is taken for a POST that was not sent",
        file: "src/controller/fold.rs",
        from: "        Reply::NotSent => Some(PostOutcome::NotSent),
        Reply::Empty | Reply::Lost => None,",
        to: "        Reply::NotSent | Reply::Lost => Some(PostOutcome::NotSent),
        Reply::Empty => None,",
        caught_by: LOST,
    },
    Mutation {
        name: "an open POST is ignored on release",
        file: "src/controller/plan.rs",
        from: "if !searching && standing().next().is_none() {",
        to: "if standing().next().is_none() {",
        caught_by: LOST,
    },
    Mutation {
        name: "the finalizer goes before the revoke is read back",
        file: "src/controller/plan.rs",
        from: "State::Rejected | State::Revoked => true,",
        to: "State::Rejected | State::Revoked | State::Revoking => true,",
        caught_by: LOST,
    },
    Mutation {
        name: "what is live when the object is deleted is not revoked",
        file: "src/controller/plan.rs",
        from: "let revocable = || standing().filter(|request| state(request) != State::Revoking);",
        to: "let revocable = || standing().filter(|request| state(request) == State::Unknown);",
        caught_by: LOST,
    },
    Mutation {
        name: "a failed request counts as ended although something of it is granted",
        file: "src/controller/failed.rs",
        from: "Word::Granted | Word::Unknown => false,",
        to: "Word::Granted | Word::Unknown => true,",
        caught_by: REMOTE,
    },
    Mutation {
        name: "the latch is ignored for what is found late",
        file: "src/controller/latch.rs",
        from: "all.filter(|one| picture.ledger.is_ended(attempt(one)))",
        to: "all.filter(|one| picture.ledger.is_ended(attempt(one)) && one.adopted.is_none())",
        caught_by: PEOPLE,
    },
    Mutation {
        name: "a request of somebody else that names the object is taken for ours",
        file: "src/controller/picture.rs",
        from: "None if mark.nonce.is_of(&uid) => Entry {",
        to: "None if mark.nonce.is_of(&uid) || !uid.is_empty() => Entry {",
        caught_by: SECOND,
    },
    Mutation {
        name: "a dropped finalizer is not restored",
        file: "src/controller/picture.rs",
        from: "matters && (!has_finalizer || record_lost)",
        to: "matters && record_lost && has_finalizer",
        caught_by: Proof::Unit("a_dropped_finalizer_and_record_are_put_back_first"),
    },
    Mutation {
        name: "a twin stays",
        file: "src/controller/picture.rs",
        from: "first.is_some_and(|first| first.nonce != request.nonce)",
        to: "first.is_some_and(|first| first.nonce != request.nonce && first.id == request.id)",
        caught_by: BEYOND,
    },
    Mutation {
        name: "the record of an earlier resource counts as this one's own",
        file: "src/controller/attempt.rs",
        from: "Some(record) if record.uid == uid => ledger.merge(&record),",
        to: "Some(record) if record.uid == uid || !uid.is_empty() => ledger.merge(&record),",
        caught_by: Proof::Unit("a_reapplied_resource_whose_requests_have_ended_starts_anew"),
    },
    Mutation {
        name: "the record of another object is taken over with its annotations",
        file: "src/controller/attempt.rs",
        from: "Record::of(resource).filter(|record| record.object == object(resource));",
        to: "Record::of(resource).filter(|record| !record.object.is_empty());",
        caught_by: COPIED,
    },
    Mutation {
        name: "a nonce tells only the last part of the uid",
        file: "src/marker.rs",
        from: "let digest = Sha256::digest(uid.as_bytes());",
        to: "let digest = Sha256::digest(uid.rsplit('-').next().unwrap_or_default());",
        caught_by: PAIR,
    },
    Mutation {
        name: "at the deadline the finalizer goes, and no debt is named",
        file: "src/controller/plan.rs",
        from: "return at_once(Step::HandOver(owed::debt(resource, picture, observed)));",
        to: "return at_once(Step::Release);",
        caught_by: LOST,
    },
    Mutation {
        name: "a debt leaves out the POSTs whose answer is not known",
        file: "src/controller/owed.rs",
        from: "        .searching()
        .take(MOST_MARKS)",
        to: "        .searching()
        .take(MOST_MARKS.min(0))",
        caught_by: LOST,
    },
    Mutation {
        name: "a replica goes on when its lease has run out",
        file: "src/shards.rs",
        from: "until.is_some_and(|until| until.is_ahead_of(Moment::now()))",
        to: "until.is_some_and(|until| until.is_ahead_of(Moment::now()) || !self.has_left)",
        caught_by: Proof::Unit("nothing_starts_and_nothing_goes_on_past_the_end_of_the_lease"),
    },
    Mutation {
        name: "a call to Apono leaves for a shard that was lost",
        file: "src/remote.rs",
        from: "if !self.inner.fence.is_held() {",
        to: "if !self.inner.fence.is_held() && endpoint.as_str().is_empty() {",
        caught_by: Proof::Unit("a_call_for_a_shard_that_was_lost_never_leaves"),
    },
    Mutation {
        name: "a pass writes to the apiserver for a shard that was lost",
        file: "src/kubernetes.rs",
        from: "if !shards::may_go_on() {",
        to: "if !shards::may_go_on() && doing.is_empty() {",
        caught_by: Proof::Unit("nothing_is_called_by_a_pass_whose_shard_was_lost"),
    },
    Mutation {
        name: "a replica writes over the shards of others that live",
        file: "src/shards/share.rs",
        from: "let is_free = !new.holders.contains_key(&shard);",
        to: "let is_free = new.holders.get(&shard).is_none_or(|holder| holder != me);",
        caught_by: Proof::Unit("a_second_replica_gets_half_and_only_after_it_was_given_back"),
    },
    Mutation {
        name: "a debt is paid by one 404",
        file: "src/owed/plan.rs",
        from: "missing.times >= MISSING_TIMES && span >= MISSING_SPAN_SECONDS",
        to: "missing.times >= MISSING_TIMES.min(1) && span >= MISSING_SPAN_SECONDS.min(0)",
        caught_by: NOT_FOUND,
    },
    Mutation {
        name: "a debt is paid by what another user cannot find",
        file: "src/owed/plan.rs",
        from: "user.is_some() && known.request.requestor_id.as_ref() == user",
        to: "user.is_some() && known.request.requestor_id.is_some()",
        caught_by: NOT_FOUND,
    },
    Mutation {
        name: "a debt is paid before its revoke is read back",
        file: "src/owed/plan.rs",
        from: "        State::Rejected | State::Revoked => true,",
        to: "        State::Rejected | State::Revoked | State::Revoking => true,",
        caught_by: Proof::Unit("what_is_live_is_taken_back_and_read_back_until_it_has_ended"),
    },
    Mutation {
        name: "a debt takes a failed request for ended although it was access",
        file: "src/owed/plan.rs",
        from: "    if known.request.was_access == Some(true) {
        return false;",
        to: "    if known.request.was_access == Some(true) {
        return known.granted == Some(false);",
        caught_by: Proof::Unit("failed_is_an_end_only_for_what_never_was_access"),
    },
    Mutation {
        name: "the search of a debt ends with its first whole look",
        file: "src/owed/plan.rs",
        from: ".is_some_and(|began| began >= until(mark, progress));",
        to: ".is_some_and(|began| began <= until(mark, progress).max(began));",
        caught_by: Proof::Unit("a_mark_is_looked_for_until_a_whole_look_began_after_its_time"),
    },
    Mutation {
        name: "a look with the token of another user counts for a debt",
        file: "src/owed/plan.rs",
        from: "mark.asker_id.is_some() && !searches.is_shared && by != mark.asker_id",
        to: "mark.asker_id.is_some() && !searches.is_shared && by.is_none()",
        caught_by: Proof::Unit("a_look_with_the_token_of_somebody_else_proves_nothing"),
    },
    Mutation {
        name: "a debt that has changed since it was paid ends",
        file: "src/owed/status.rs",
        from: "        && status.observed_generation == debt.metadata.generation",
        to: "        && status.observed_generation <= debt.metadata.generation",
        caught_by: Proof::Unit("a_paid_debt_is_paid_of_the_generation_it_was_said_of_and_no_other"),
    },
];

/// Applies each mutation whose name contains this to a copy, and demands that its proof fails.
pub(super) fn run(name: &str) -> Result<ExitCode> {
    let named = MUTATIONS.iter().filter(|one| one.name.contains(name));
    let named: Vec<_> = named.collect();
    if named.is_empty() {
        bail!("no mutation's name contains `{name}`; they stand in prove/mutations.rs");
    }
    let folder = crate::target().join("mutations");
    let copy = folder.join("workspace");
    println!("mutations: in a copy, {}", copy.display());
    renew(&copy)?;
    let mut missed = Vec::new();
    for mutation in &named {
        let started = Instant::now();
        let file = copy.join(mutation.file);
        let text = read(&file)?;
        fs::write(&file, mutated(mutation, &text)?)?;
        let outcome = is_caught(mutation, &copy, &folder.join("target"));
        fs::write(&file, text)?;
        let time = spoken(started.elapsed());
        if outcome? {
            println!("caught  {} ({time})", mutation.name);
        } else {
            println!("MISSED  {} ({time})", mutation.name);
            missed.push(mutation.name);
        }
    }
    let caught = named.len() - missed.len();
    println!("mutations: {caught} of {} are caught", named.len());
    Ok(if missed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whether the proof fails with this mutation: built, run, and found wrong.
fn is_caught(mutation: &Mutation, copy: &Path, target: &Path) -> Result<bool> {
    let (kind, test): (&[&str], _) = match mutation.caught_by {
        Proof::Model(test) => (&["--test", "model"], test),
        Proof::Unit(test) => (&["--lib"], test),
    };
    let mut command = cargo();
    command
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", target)
        // One line differs from one build to the next.
        .env("CARGO_INCREMENTAL", "1")
        .env("MODEL", "sample")
        .args(["test", "--package", "apono-operator"])
        .args(kind)
        .arg(test);
    let watched = super::tested(command, mutation.name)?;
    if watched.output.contains("running 0 tests") || !watched.output.contains("running 1 test") {
        bail!(
            "`{}` did not run:\n{}",
            mutation.name,
            process::tail(&watched.output)
        );
    }
    Ok(!watched.status.success())
}

/// The text of the file with the mutation in it.
fn mutated(mutation: &Mutation, text: &str) -> Result<String> {
    let times = text.matches(mutation.from).count();
    if times != 1 {
        bail!(
            "the mutation `{}` names a text that occurs {times} times in {}; mend the list in \
             prove/mutations.rs",
            mutation.name,
            mutation.file
        );
    }
    Ok(text.replace(mutation.from, mutation.to))
}

/// Brings the copy in line with the workspace. What is the same keeps its time, so that Cargo builds
/// it once.
fn renew(copy: &Path) -> Result<()> {
    let listed = process::capture(
        std::process::Command::new("git")
            .current_dir(crate::workspace())
            .args(["ls-files", "--cached", "--others", "--exclude-standard"]),
    )?;
    for name in listed.lines() {
        let (from, to) = (crate::workspace().join(name), copy.join(name));
        let Ok(wanted) = fs::read(&from) else {
            // Deleted and not yet committed.
            continue;
        };
        if fs::read(&to).is_ok_and(|present| present == wanted) {
            continue;
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&to, wanted).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

fn read(file: &PathBuf) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mutation_names_a_text_that_occurs_once_and_a_test_that_is_there() {
        let root = crate::workspace();
        let model = read(&root.join("tests/model.rs")).unwrap();
        for mutation in &MUTATIONS {
            let text = read(&root.join(mutation.file)).unwrap();
            let changed = mutated(mutation, &text).unwrap();
            assert_ne!(changed, text, "{}", mutation.name);
            if let Proof::Model(test) = mutation.caught_by {
                assert!(model.contains(&format!("fn {test}()")), "{test}");
            }
        }
    }

    #[test]
    fn a_text_that_is_gone_is_an_error() {
        let error = mutated(&MUTATIONS[0], "something else").unwrap_err();
        assert!(error.to_string().contains("occurs 0 times"), "{error}");
    }
}
