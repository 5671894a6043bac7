//! Which revokes go out together, and when. Pure: ids and times in, batches out.
//!
//! A batch leaves when nothing was added for a quarter of a second, or when its first id has waited
//! for four seconds. One that is not full waits a little longer the more there is in it: many
//! deletions come in spurts. A full one does not leave at once either: its answer would wake passes
//! that stand in the way of those that still have something to hand over. What was refused before
//! travels apart: it would have the whole batch refused again.
//!
//! On a busy machine deletions that were asked for together are handed over one by one, seconds
//! apart. So each batch that leaves although more was to come makes the next one twice as patient,
//! up to eight times and eight seconds; a lull of ten seconds ends that.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::poller::ResourceKey;

/// The most ids in one call.
pub(super) const MOST: usize = 100;
/// After the last arrival.
const QUIET: Duration = Duration::from_millis(250);
/// And so much more for each that waits.
const QUIET_EACH: Duration = Duration::from_millis(20);
/// After the first arrival: long enough for a busy operator to see to some hundred deletions.
const PATIENCE: Duration = Duration::from_secs(4);
/// However patient a batch is, its first id waits no longer: it may be access.
const MOST_PATIENCE: Duration = Duration::from_secs(8);
/// What arrives so long after a batch has left was not asked for together with it.
const LULL: Duration = Duration::from_secs(10);
/// How often patience doubles at most.
const MOST_DOUBLED: u32 = 3;

/// An id to be revoked, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handed {
    pub(super) id: String,
    pub(super) key: ResourceKey,
    /// Whether the remote refused it before.
    pub(super) was_refused: bool,
}

/// What waits, and what is under way.
#[derive(Debug, Default)]
pub(super) struct Batches {
    fresh: Queue,
    refused: Queue,
    /// Everything that waits or is under way.
    held: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(Instant, Handed)>,
    last: Option<Instant>,
    /// When the last batch left.
    left: Option<Instant>,
    /// How often patience has doubled.
    doubled: u32,
}

impl Queue {
    fn add(&mut self, handed: Handed, now: Instant) {
        if self.waiting.is_empty() {
            let soon = |left: Instant| now.duration_since(left) < LULL;
            self.doubled = match self.left {
                Some(left) if soon(left) => (self.doubled + 1).min(MOST_DOUBLED),
                Some(_) | None => 0,
            };
        }
        self.last = Some(now);
        self.waiting.push_back((now, handed));
    }

    fn due(&self) -> Option<Instant> {
        let (first, _) = self.waiting.front()?;
        let more = match u32::try_from(self.waiting.len()) {
            Ok(waiting) if self.waiting.len() < MOST => waiting.saturating_sub(1),
            _ => 0,
        };
        let factor = 2_u32.saturating_pow(self.doubled);
        let quiet = QUIET * factor + QUIET_EACH * more;
        let quiet = self.last.map_or(*first, |last| last + quiet);
        let patience = (PATIENCE * factor).min(MOST_PATIENCE);
        Some(quiet.min(*first + patience))
    }

    fn take(&mut self, now: Instant) -> Option<Vec<Handed>> {
        self.due().filter(|due| *due <= now)?;
        let count = self.waiting.len().min(MOST);
        self.left = Some(now);
        Some(self.waiting.drain(..count).map(|(_, one)| one).collect())
    }
}

impl Batches {
    /// Takes an id; false if it is held already.
    pub(super) fn add(&mut self, handed: Handed, now: Instant) -> bool {
        if !self.held.insert(handed.id.clone()) {
            return false;
        }
        let queue = if handed.was_refused {
            &mut self.refused
        } else {
            &mut self.fresh
        };
        queue.add(handed, now);
        true
    }

    /// Whether an id waits or is under way.
    pub(super) fn holds(&self, id: &str) -> bool {
        self.held.contains(id)
    }

    /// When the next batch leaves; none when nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.fresh.due().into_iter().chain(self.refused.due()).min()
    }

    /// A batch that is due. It is held until it is done.
    pub(super) fn take(&mut self, now: Instant) -> Option<Vec<Handed>> {
        self.fresh.take(now).or_else(|| self.refused.take(now))
    }

    /// Everything that waits; it waits no more.
    pub(super) fn clear(&mut self) -> Vec<Handed> {
        let fresh = self.fresh.waiting.drain(..);
        let refused = self.refused.waiting.drain(..);
        fresh.chain(refused).map(|(_, one)| one).collect()
    }

    /// What became of these is known.
    pub(super) fn done(&mut self, id: &str) {
        self.held.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(id: usize, was_refused: bool) -> Handed {
        let text = id.to_string();
        let key = ResourceKey::new("n".to_owned(), text.clone(), text.clone());
        Handed {
            id: text,
            key,
            was_refused,
        }
    }

    fn ids(batch: Option<Vec<Handed>>) -> Vec<String> {
        batch
            .unwrap_or_default()
            .into_iter()
            .map(|one| one.id)
            .collect()
    }

    #[test]
    fn what_falls_together_leaves_a_quarter_of_a_second_after_the_last() {
        let (mut batches, start) = (Batches::default(), Instant::now());
        assert_eq!(batches.due(), None);
        assert!(batches.add(handed(1, false), start));
        assert!(batches.add(handed(2, false), start + QUIET / 2));
        assert_eq!(batches.due(), Some(start + QUIET / 2 + QUIET + QUIET_EACH));
        assert_eq!(batches.take(start + QUIET), None);
        assert_eq!(ids(batches.take(start + QUIET * 2)), ["1", "2"]);
        assert_eq!(batches.due(), None);
    }

    #[test]
    fn a_trickle_leaves_four_seconds_after_the_first() {
        let (mut batches, start) = (Batches::default(), Instant::now());
        for n in 0..40_u32 {
            batches.add(handed(n as usize, false), start + QUIET / 2 * n);
        }
        assert_eq!(batches.due(), Some(start + PATIENCE));
    }

    #[test]
    fn three_hundred_at_once_are_three_full_batches() {
        let (mut batches, start) = (Batches::default(), Instant::now());
        for n in 0..300 {
            batches.add(handed(n, false), start);
        }
        assert_eq!(batches.take(start), None);
        let sizes: Vec<_> = std::iter::from_fn(|| batches.take(start + QUIET))
            .map(|batch| batch.len())
            .collect();
        assert_eq!(sizes, [MOST, MOST, MOST]);
    }

    /// How many batches so many make that arrive so far apart, and the longest any had to wait.
    fn trickle(count: usize, apart: Duration) -> (usize, Duration) {
        let (mut batches, start) = (Batches::default(), Instant::now());
        let (mut calls, mut longest) = (0, Duration::ZERO);
        let mut arrived = Vec::new();
        for n in 0..=count {
            let now = start + apart * u32::try_from(n).unwrap();
            while let Some(due) = batches.due().filter(|due| *due <= now || n == count) {
                let batch = ids(batches.take(due));
                let first: usize = batch[0].parse().unwrap();
                longest = longest.max(due.duration_since(arrived[first]));
                calls += 1;
            }
            arrived.push(now);
            if n < count {
                batches.add(handed(n, false), now);
            }
        }
        (calls, longest)
    }

    #[test]
    fn three_hundred_that_come_slowly_are_few_batches_and_none_waits_long() {
        for (apart, most) in [(10, 4), (50, 4), (100, 6), (300, 18)] {
            let (calls, longest) = trickle(300, Duration::from_millis(apart));
            assert!(calls <= most, "{apart} ms apart: {calls}");
            assert!(longest <= MOST_PATIENCE, "{apart} ms apart: {longest:?}");
        }
    }

    #[test]
    fn after_a_lull_one_leaves_as_soon_as_the_first() {
        let (mut batches, start) = (Batches::default(), Instant::now());
        batches.add(handed(1, false), start);
        assert_eq!(ids(batches.take(start + QUIET)), ["1"]);
        let soon = start + QUIET * 3;
        batches.add(handed(2, false), soon);
        assert_eq!(batches.due(), Some(soon + QUIET * 2));
        assert_eq!(ids(batches.take(soon + QUIET * 2)), ["2"]);
        let later = soon + QUIET * 2 + LULL;
        batches.add(handed(3, false), later);
        assert_eq!(batches.due(), Some(later + QUIET));
    }

    #[test]
    fn an_id_is_held_once_until_it_is_done() {
        let (mut batches, start) = (Batches::default(), Instant::now());
        assert!(batches.add(handed(1, false), start));
        assert!(!batches.add(handed(1, false), start));
        assert_eq!(ids(batches.take(start + QUIET)), ["1"]);
        assert!(batches.holds("1") && !batches.add(handed(1, true), start));
        batches.done("1");
        assert!(!batches.holds("1") && batches.add(handed(1, true), start));
    }

    #[test]
    fn what_was_refused_travels_apart() {
        let (mut batches, start) = (Batches::default(), Instant::now());
        batches.add(handed(1, false), start);
        batches.add(handed(2, true), start);
        let later = start + QUIET;
        assert_eq!(ids(batches.take(later)), ["1"]);
        assert_eq!(ids(batches.take(later)), ["2"]);
        assert_eq!(batches.take(later), None);
    }
}
