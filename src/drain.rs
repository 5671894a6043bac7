//! `apono-operator drain`: ends everything, or hands it over, before the operator is removed.
//!
//! It takes nothing back itself: it deletes what people made, the operator at work does the rest, and
//! it waits until nothing is left: no `AccessRequest`, no debt, no connection that is held. It ends
//! with 0 then and only then. Run it as an administrator, or as the operator's own account, which
//! holds every right it needs.
//!
//! | | each `AccessRequest` | its access |
//! | --- | --- | --- |
//! | `drain` | is deleted | is taken back; stays where its own `deletionPolicy: Orphan` is allowed |
//! | `drain --hand-over` | is printed, then deleted as an orphan | stays, for the operator of another cluster to adopt by what was printed |
//!
//! # Why the manifest is printed before the deletion
//! What was printed is all that another operator knows the access by. The patch that makes an orphan of
//! the resource also suspends it, and whatever marks a POST carries the version before: so nothing is
//! asked after it, and its answer holds every mark there is.
//!
//! # Why what is made meanwhile is left alone
//! A tool that makes it again would make it for ever, and every time people would be asked to approve.

pub mod choice;
mod cluster;
pub mod left;

use std::{
    collections::BTreeSet,
    io::Write,
    time::{Duration, Instant},
};

use futures::future::join_all;
use thiserror::Error;

use crate::{kubernetes, settings::Settings, telemetry::Chain};
use choice::{Choice, Connections, Mode, Request, choose, manifest};
use cluster::Cluster;
use left::Left;

/// As many resources as are deleted at once.
const AT_ONCE: usize = 16;
/// Between two looks at what is left.
const PAUSE: Duration = Duration::from_secs(1);
/// Looks at many objects cost the apiserver more than looks at few.
const PAUSE_OF_MANY: Duration = Duration::from_secs(5);
/// These are many.
const MANY: usize = 500;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// What becomes of the access.
    pub mode: Mode,
    /// Whether it is only said.
    pub is_dry: bool,
    /// How long to wait for it.
    pub timeout: Duration,
}

/// It could not be found out what is there.
#[derive(Debug, Error)]
#[error("could not drain")]
pub struct Error(#[source] kubernetes::Error);

/// How it is told: `said` is for people, `printed` for what takes the access over.
#[derive(Debug)]
pub struct Tell<S, P> {
    /// Where what is done is said.
    pub said: S,
    /// Where manifests go.
    pub printed: P,
}

impl<S: Write, P: Write> Tell<S, P> {
    /// Who does not listen is no reason to stop half way.
    fn say(&mut self, line: &str) {
        let _ = writeln!(self.said, "{line}");
    }
}

/// Drains what these settings serve. Gives whether nothing is left, or whether the order can be
/// carried out where it is only said.
pub async fn drain(
    settings: &Settings,
    order: Order,
    tell: &mut Tell<impl Write, impl Write>,
) -> Result<bool, Error> {
    let cluster = Cluster::connect(settings).await.map_err(Error)?;
    let requests = cluster.requests().await.map_err(Error)?;
    let connections = Connections::new(&cluster.connections().await.map_err(Error)?);
    let choices: Vec<Choice> = requests
        .into_iter()
        .map(|request| choose(request, order.mode, &connections))
        .collect();
    for choice in &choices {
        tell.say(&choice.to_string());
    }
    let refused = choices.iter().filter(|one| one.is_refused()).count();
    if refused > 0 {
        let all = choices.len();
        tell.say(&format!(
            "{refused} of {all} cannot be handed over: nothing was done"
        ));
        return Ok(false);
    }
    if order.is_dry {
        let left = cluster.left(&BTreeSet::new()).await.map_err(Error)?;
        tell.say(&format!("{}; nothing was done", left.summary()));
        return Ok(true);
    }
    let known: BTreeSet<String> = choices.iter().map(|one| one.request.uid.clone()).collect();
    let until = Instant::now() + order.timeout;
    let is_let_go = let_go(&cluster, &choices, (order.mode, until), tell).await;
    let left = wait(&cluster, &known, until, tell).await.map_err(Error)?;
    if left.is_nothing() && is_let_go {
        tell.say("nothing is left: remove the operator, then the definitions");
        return Ok(true);
    }
    for line in left.lines(&cluster.debts_namespace) {
        tell.say(&line);
    }
    Ok(false)
}

/// Deletes all that is not being deleted already. Gives whether all of it went well.
async fn let_go(
    cluster: &Cluster,
    choices: &[Choice],
    (mode, until): (Mode, Instant),
    tell: &mut Tell<impl Write, impl Write>,
) -> bool {
    let standing = choices.iter().filter(|one| !one.request.is_going);
    let standing: Vec<_> = standing.collect();
    let mut is_let_go = true;
    for some in standing.chunks(AT_ONCE) {
        if Instant::now() >= until {
            tell.say("the time is over before everything was deleted; run drain again");
            return false;
        }
        let mut ready = some.to_vec();
        if mode == Mode::HandOver {
            ready = orphaned(cluster, some, tell).await;
            is_let_go &= ready.len() == some.len();
        }
        let deletions = ready.iter().map(|one| cluster.delete(&one.request));
        for (choice, deleted) in ready.iter().zip(join_all(deletions).await) {
            if let Err(error) = deleted {
                is_let_go = false;
                say_failed(choice, &error, tell);
            }
        }
    }
    is_let_go
}

/// Makes orphans of these and prints them; gives those that can be deleted. Deleted without its
/// manifest, the access of one would be nobody's.
async fn orphaned<'a>(
    cluster: &Cluster,
    some: &[&'a Choice],
    tell: &mut Tell<impl Write, impl Write>,
) -> Vec<&'a Choice> {
    let orphans = some.iter().map(|one| cluster.orphan(&one.request));
    let mut ready = Vec::new();
    for (choice, orphan) in some.iter().zip(join_all(orphans).await) {
        match orphan {
            // Somebody else has deleted it, with what its policy was.
            Ok(None) => ready.push(*choice),
            Ok(Some(current)) if hand_out(choice, &current, tell) => ready.push(*choice),
            Ok(Some(_)) => {}
            Err(error) => say_failed(choice, &error, tell),
        }
    }
    ready
}

fn say_failed(choice: &Choice, error: &kubernetes::Error, tell: &mut Tell<impl Write, impl Write>) {
    let (place, error) = (choice.request.place(), Chain(error));
    tell.say(&format!("{place}: {error}; run drain again"));
}

/// Prints what another operator adopts the access by; gives whether it was taken.
fn hand_out(choice: &Choice, current: &Request, tell: &mut Tell<impl Write, impl Write>) -> bool {
    let text = manifest(&current.body, &choice.request.body);
    let printed = writeln!(tell.printed, "---\n{text}").and_then(|()| tell.printed.flush());
    if let Err(error) = printed {
        let place = choice.request.place();
        tell.say(&format!(
            "{place}: its manifest could not be written ({error}), so it stays, suspended"
        ));
        return false;
    }
    true
}

/// Waits until nothing is left, or the time is over; gives what is left then.
async fn wait(
    cluster: &Cluster,
    known: &BTreeSet<String>,
    until: Instant,
    tell: &mut Tell<impl Write, impl Write>,
) -> Result<Left, kubernetes::Error> {
    let (mut told, mut seen) = (String::new(), None);
    loop {
        let looked = cluster.left(known).await;
        let is_over = Instant::now() >= until;
        let left = match (looked, seen.take()) {
            (Ok(left), _) if is_over || left.is_nothing() => return Ok(left),
            (Ok(left), _) => left,
            (Err(error), None) if is_over => return Err(error),
            (Err(error), before) => {
                tell.say(&Chain(&error).to_string());
                if let (Some(left), true) = (before.clone(), is_over) {
                    tell.say("what follows is what was seen last");
                    return Ok(left);
                }
                // The next look may be answered.
                seen = before;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let summary = left.summary();
        if summary != told {
            tell.say(&summary);
            told = summary;
        }
        let rest = until.saturating_duration_since(Instant::now());
        let pause = if left.count() > MANY {
            PAUSE_OF_MANY
        } else {
            PAUSE
        };
        seen = Some(left);
        tokio::time::sleep(pause.min(rest)).await;
    }
}
