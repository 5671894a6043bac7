//! Follows the requests of the admin API. Its list knows no filter and no second page, so it is
//! asked user by user, as far back as the oldest request that is followed; a few ids of a user are
//! read one by one instead, once they are some time old. It never concludes that anything is gone.
//!
//! # Why user by user
//! What the list holds without a user is not documented: everybody's, the caller's own, or a
//! refusal.

use std::collections::{BTreeMap, VecDeque};

use apono_client::{AdminQuery, RequestId};
use futures::StreamExt as _;
use futures::stream;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::ReadError;
use super::cadence::{self, Tier};
use super::confirm::{AT_ONCE, Confirmed, MANY, READ_PAUSE, confirm};
use super::drive::{HasRead, Round, Tools};
use super::state::{Due, Lane};
use super::walk::Leaf;
use crate::crd::RemoteApi;

const API: RemoteApi = RemoteApi::AdminV3;
/// So many ids of one user cost less read one by one than as a list of everything of theirs.
const FEW: usize = 3;
/// A request may be a little older than its mark: clocks differ.
const MARGIN: SignedDuration = SignedDuration::from_hours(1);
/// What was asked for so short a time ago is looked for in the list: one create may have made more
/// than it answered, and only the list shows that.
const FRESH: SignedDuration = SignedDuration::from_mins(1);
const SECONDS_A_DAY: i64 = 86_400;

/// The sweeps of the admin API.
#[derive(Default)]
pub(super) struct AdminSweep {
    /// When each tier was last read, and with how many calls.
    last: BTreeMap<Tier, (Instant, u32)>,
    /// The same as it was before the round under way: what failed is due again.
    before: BTreeMap<Tier, (Instant, u32)>,
    /// What is still to be read one by one.
    queue: VecDeque<RequestId>,
    not_before: Option<Instant>,
    jitter: Option<f64>,
}

impl AdminSweep {
    fn next(&self, tier: Tier, tools: &Tools, now: Instant) -> Option<Instant> {
        let stake = tools.ask(|knowledge| knowledge.stake(API, tier, now));
        let last = self.last.get(&tier).copied();
        cadence::next(
            tier,
            &tools.cadence,
            &stake,
            last,
            self.jitter.unwrap_or(1.0),
        )
    }

    async fn round(&mut self, tools: &Tools) -> Result<HasRead, ReadError> {
        let mut has_read = HasRead(false);
        if self.queue.is_empty() {
            has_read = self.read_lists(tools).await?;
        }
        if self.queue.is_empty() {
            return Ok(has_read);
        }
        let HasRead(more) = self.read_some(tools).await?;
        Ok(HasRead(has_read.0 || more))
    }

    /// Reads the lists that are due; what they are no good for is queued.
    async fn read_lists(&mut self, tools: &Tools) -> Result<HasRead, ReadError> {
        let now = Instant::now();
        self.before.clone_from(&self.last);
        let is_due = |tier: &Tier| self.next(*tier, tools, now).is_some_and(|due| due <= now);
        let tiers: Vec<_> = Tier::ALL.into_iter().filter(is_due).collect();
        let due = tools.ask(|knowledge| knowledge.admin_due(&tiers, now));
        let (mut calls, mut has_read, mut failure) = (0, false, None);
        for (user, ids) in due {
            let since = user.and_then(|user| {
                let is_listable = || tools.ask(|one| one.is_admin_listable(&user, now));
                let is_better = ids.len() > FEW || is_any_fresh(&ids, tools.clock.now());
                let since = oldest(&ids).filter(|_| is_better && is_listable())?;
                Some((user, since))
            });
            let Some((user, since)) = since else {
                self.queue.extend(ids.into_iter().map(|due| due.id));
                continue;
            };
            calls += 1;
            match list(&user, since, &ids, tools).await {
                Ok(()) => has_read = true,
                Err(ReadError::Refused(_) | ReadError::NotFound) => {
                    tools.ask(|knowledge| knowledge.refuse_admin_list(&user, now));
                    self.queue.extend(ids.into_iter().map(|due| due.id));
                }
                Err(error @ ReadError::Failed(_)) => failure = Some(error),
                Err(error @ (ReadError::Unauthorized | ReadError::Paused(_))) => return Err(error),
            }
        }
        for tier in tiers {
            self.last.insert(tier, (now, calls));
        }
        self.jitter = Some(tools.jitter());
        match failure {
            Some(error) if !has_read => Err(error),
            _ => Ok(HasRead(has_read)),
        }
    }

    /// Reads a few of the queued ids. It fails if none of them can be read: then there is nothing
    /// else that would say that the remote is out of reach.
    async fn read_some(&mut self, tools: &Tools) -> Result<HasRead, ReadError> {
        let started = Instant::now();
        let count = self.queue.len().min(MANY);
        let mut ids: Vec<_> = self.queue.drain(..count).collect();
        tools.ask(|knowledge| ids.retain(|id| knowledge.lease(id, started)));
        self.not_before = Some(started + READ_PAUSE * u32::try_from(ids.len()).unwrap_or(u32::MAX));
        let reads = stream::iter(ids).map(|id| async move {
            let result = confirm(&id, tools).await;
            if !matches!(result, Ok(Confirmed::Read)) {
                tools.ask(|knowledge| knowledge.give_back_unless_missing(&id));
            }
            result
        });
        let results: Vec<_> = reads.buffer_unordered(AT_ONCE).collect().await;
        let (mut has_read, mut failure) = (false, None);
        for result in results {
            match result? {
                Confirmed::Read => has_read = true,
                Confirmed::Skipped => {}
                Confirmed::Failed(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if !has_read => Err(ReadError::Failed(error)),
            _ => Ok(HasRead(has_read)),
        }
    }
}

impl Round for AdminSweep {
    fn lane(&self) -> Lane {
        Lane::Admin
    }

    fn due(&mut self, tools: &Tools, now: Instant) -> Option<Instant> {
        if !self.queue.is_empty() {
            return Some(self.not_before.unwrap_or(now));
        }
        let unread = tools.ask(|knowledge| knowledge.admin_unread_since());
        let tiers = Tier::ALL.into_iter();
        let routine = tiers.filter_map(|tier| self.next(tier, tools, now));
        routine.chain(unread).min()
    }

    async fn read(&mut self, tools: &Tools) -> Result<HasRead, ReadError> {
        let result = self.round(tools).await;
        if result.is_err() {
            self.queue.clear();
            self.last.clone_from(&self.before);
        }
        result
    }
}

/// When the oldest of these was asked for, if that is known of each.
fn oldest(ids: &[Due]) -> Option<Timestamp> {
    let mut oldest = Timestamp::MAX;
    for due in ids {
        oldest = oldest.min(due.asked_at?);
    }
    Some(oldest)
}

fn is_any_fresh(ids: &[Due], now: Timestamp) -> bool {
    let is_fresh = |asked_at: Timestamp| now.duration_since(asked_at) < FRESH;
    ids.iter().any(|due| due.asked_at.is_some_and(is_fresh))
}

/// How many days a list has to look back to hold what was made since this moment.
pub(super) fn days_back(since: Timestamp, now: Timestamp) -> u32 {
    let age = now.duration_since(since).saturating_add(MARGIN).as_secs();
    u32::try_from(age.max(0) / SECONDS_A_DAY + 1).unwrap_or(u32::MAX)
}

/// Reads the list of one user, which should show these.
async fn list(user: &str, since: Timestamp, ids: &[Due], tools: &Tools) -> Result<(), ReadError> {
    let epoch = tools.ask(|knowledge| knowledge.epoch);
    let asked_at = tools.clock.now();
    let query = AdminQuery {
        user_id: Some(user.to_owned()),
        days_offset: Some(days_back(since, asked_at)),
    };
    let list = tools.reads.admin_requests(&query).await?;
    let items = list.items;
    tools.take(API, epoch, Leaf { items, asked_at });
    let proof = (asked_at, list.is_complete);
    tools.ask(|knowledge| knowledge.end_admin_list(ids, proof, Instant::now()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_looks_back_over_the_day_of_the_oldest() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let ago = |hours| now - SignedDuration::from_hours(hours);
        let days: Vec<_> = [0, 22, 23, 24, 47, 240]
            .map(|hours| days_back(ago(hours), now))
            .into();
        assert_eq!(days, [1, 1, 2, 2, 3, 11]);
        assert_eq!(days_back(now + SignedDuration::from_hours(5), now), 1);
    }
}
