//! Drives a lane: waits until it is due, lets it read one round, backs off when that failed. The
//! one loop of the poller; what a round reads is decided by the lane.
//!
//! # Why lanes
//! A sweep of ten thousand live requests takes seconds, and the short list is due in fifty
//! milliseconds. Every tier of every list, the looks and the reads by id have a loop each, so none
//! waits for another, and one that fails backs off alone.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep_until};

use super::cadence::back_off;
use super::state::{Knowledge, Lane, Source};
use super::walk::Leaf;
use super::{Cadence, ReadError, Reads, Store};
use crate::clock::Clock;
use crate::crd::RemoteApi;

/// No lane reads two rounds closer together than this.
const BREATH: Duration = Duration::from_millis(20);
/// Nobody sleeps longer than this: wall clocks are set, and planned ends are of the wall clock.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// A pause is at least this long, so that a pause of nothing is no hot loop.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// What every lane needs.
pub(super) struct Tools {
    pub(super) reads: Arc<dyn Reads>,
    pub(super) store: Arc<Store>,
    pub(super) cadence: Cadence,
    pub(super) clock: Arc<dyn Clock>,
    random: Mutex<StdRng>,
}

impl Tools {
    pub(super) fn new(
        reads: Arc<dyn Reads>,
        store: Arc<Store>,
        cadence: Cadence,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Self {
        Self {
            reads,
            store,
            cadence,
            clock,
            random: Mutex::new(StdRng::seed_from_u64(seed)),
        }
    }

    /// A factor around one.
    pub(super) fn jitter(&self) -> f64 {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        random.random_range(0.9..1.1)
    }

    /// When this moment of the wall clock comes.
    pub(super) fn instant(&self, moment: Timestamp, now: Instant) -> Instant {
        let wait = moment.duration_since(self.clock.now());
        let wait = Duration::try_from(wait).unwrap_or_default();
        now + wait.min(LONGEST_SLEEP)
    }

    /// Takes a page, if the token it was read with is still the present one.
    pub(super) fn take(&self, api: RemoteApi, epoch: u64, leaf: Leaf) {
        let now = self.clock.now();
        let mut knowledge = self.store.heeding(now);
        let is_own = api == RemoteApi::UserV4 && epoch == knowledge.epoch;
        for item in leaf.items {
            if let Some(requestor) = item.requestor.as_ref().filter(|_| is_own)
                && !requestor.id.is_empty()
            {
                knowledge.meet(&requestor.id);
            }
            let concerned = knowledge.take(item, api, leaf.asked_at, now, Source::List);
            knowledge.wake_all(concerned);
        }
    }

    /// Says once that a list has no end.
    pub(super) fn note_circle(&self, api: RemoteApi) {
        if self.store.lock().circles.insert(api) {
            tracing::warn!(
                list = ?api,
                "the pages of a list go in circles: it is read as far as it goes, and proves nothing"
            );
        }
    }

    /// Looks something up in what is known.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&mut Knowledge) -> T) -> T {
        question(&mut self.store.heeding(self.clock.now()))
    }
}

/// Whether a round that did not fail was answered anything: only then the remote can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HasRead(pub(super) bool);

/// One of the loops that read.
pub(super) trait Round: Send {
    /// Which one.
    fn lane(&self) -> Lane;

    /// When its next round is due; none when there is nothing to read.
    fn due(&mut self, tools: &Tools, now: Instant) -> Option<Instant>;

    /// Reads one round.
    fn read(&mut self, tools: &Tools) -> impl Future<Output = Result<HasRead, ReadError>> + Send;
}

/// How a lane gets on.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    epoch: u64,
    failures: u32,
    resume_at: Option<Instant>,
}

/// Drives a lane for ever.
pub(super) async fn drive(mut round: impl Round, tools: &Tools) {
    let mut changes = tools.store.subscribe();
    let mut pace = Pace::default();
    loop {
        changes.mark_unchanged();
        let now = Instant::now();
        let due = next(&mut round, tools, &mut pace, now);
        if due.is_some_and(|due| due <= now) {
            let result = round.read(tools).await;
            note(round.lane(), result, tools, &mut pace);
            tools.store.announce();
            continue;
        }
        let latest = now + LONGEST_SLEEP;
        tokio::select! {
            () = sleep_until(due.map_or(latest, |due| due.min(latest))) => {}
            // The store lives as long as the tools do.
            _ = changes.changed() => {}
        }
    }
}

fn next(round: &mut impl Round, tools: &Tools, pace: &mut Pace, now: Instant) -> Option<Instant> {
    let due = round.due(tools, now);
    tools.ask(|knowledge| {
        if due.is_none() {
            knowledge.note_idle(round.lane());
            pace.failures = 0;
        }
        if knowledge.epoch != pace.epoch {
            *pace = Pace {
                epoch: knowledge.epoch,
                ..Pace::default()
            };
        }
        let open = knowledge.open_from(now)?;
        Some(due?.max(open).max(pace.resume_at.unwrap_or(now)))
    })
}

fn note(lane: Lane, result: Result<HasRead, ReadError>, tools: &Tools, pace: &mut Pace) {
    let (now, wall) = (Instant::now(), tools.clock.now());
    let jitter = tools.jitter();
    let error = match result {
        Ok(HasRead(has_read)) => {
            pace.failures = 0;
            pace.resume_at = Some(now + BREATH);
            if has_read {
                tools.ask(|knowledge| knowledge.note_good(lane, wall));
            }
            return;
        }
        Err(error) => error,
    };
    tracing::debug!(?lane, %error, "could not read the remote");
    match error {
        ReadError::Paused(pause) => {
            tools.ask(|knowledge| knowledge.pause(now, pause.max(LEAST_PAUSE)));
        }
        ReadError::Unauthorized
        | ReadError::NotFound
        | ReadError::Refused(_)
        | ReadError::Failed(_) => {
            pace.failures = pace.failures.saturating_add(1);
            pace.resume_at = Some(now + back_off(pace.failures, jitter));
            let epoch = pace.epoch;
            tools.ask(|knowledge| {
                knowledge.note_bad(lane, wall, error.to_string());
                if error == ReadError::Unauthorized {
                    knowledge.refuse(epoch);
                }
            });
        }
    }
}

impl Debug for Tools {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tools").finish_non_exhaustive()
    }
}
