//! Which requests are whose and where they stand, so that lists read only what they show.
//!
//! Kept by the machine at every create and move. It holds places, no requests.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Bound;

use super::Key;
use crate::status::Status;
use crate::users::UserKey;

type ByStatus = BTreeMap<Status, BTreeSet<Key>>;

/// Whose requests are meant; an absent part means anybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Whose {
    /// Asked for by.
    pub requestor: Option<UserKey>,
    /// Asked for for.
    pub grantee: Option<UserKey>,
    /// Only those for somebody else than who asked.
    pub only_delegated: bool,
}

impl Whose {
    fn means(self, requestor: UserKey, grantee: UserKey) -> bool {
        self.requestor.is_none_or(|it| it == requestor)
            && self.grantee.is_none_or(|it| it == grantee)
            && !(self.only_delegated && requestor == grantee)
    }
}

/// The index.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_requestor: BTreeMap<UserKey, BTreeMap<UserKey, ByStatus>>,
}

impl Index {
    pub(super) fn add(&mut self, key: Key, who: (UserKey, UserKey), status: Status) {
        self.keys(who, status).insert(key);
    }

    pub(super) fn moved(&mut self, key: Key, who: (UserKey, UserKey), from: Status, to: Status) {
        self.keys(who, from).remove(&key);
        self.keys(who, to).insert(key);
    }

    pub(super) fn clear(&mut self) {
        self.by_requestor.clear();
    }

    fn keys(&mut self, (requestor, grantee): (UserKey, UserKey), at: Status) -> &mut BTreeSet<Key> {
        let grantees = self.by_requestor.entry(requestor).or_default();
        grantees.entry(grantee).or_default().entry(at).or_default()
    }

    /// The sets that hold the meant requests of these statuses; no status named: of all.
    fn sets<'a>(&'a self, whose: Whose, statuses: &[Status]) -> Vec<&'a BTreeSet<Key>> {
        let requestors = match whose.requestor {
            Some(one) => self.by_requestor.range(one..=one),
            None => self.by_requestor.range(..),
        };
        let mut sets = Vec::new();
        for (requestor, grantees) in requestors {
            let meant = match whose.grantee {
                Some(one) => grantees.range(one..=one),
                None => grantees.range(..),
            };
            for (_, by_status) in meant.filter(|(grantee, _)| whose.means(*requestor, **grantee)) {
                let wanted = by_status
                    .iter()
                    .filter(|(status, _)| statuses.is_empty() || statuses.contains(status));
                sets.extend(wanted.map(|(_, keys)| keys));
            }
        }
        sets
    }

    /// The meant requests after this one, oldest first.
    pub(super) fn oldest_first(
        &self,
        whose: Whose,
        statuses: &[Status],
        after: Option<Key>,
    ) -> impl Iterator<Item = Key> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let parts = self.sets(whose, statuses).into_iter();
        Merged::new(
            parts.map(move |keys| keys.range((start, Bound::Unbounded)).copied().map(Reverse)),
        )
        .map(|Reverse(key)| key)
    }

    /// The meant requests before this one, newest first.
    pub(super) fn newest_first(
        &self,
        whose: Whose,
        statuses: &[Status],
        before: Option<Key>,
    ) -> impl Iterator<Item = Key> {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let parts = self.sets(whose, statuses).into_iter();
        Merged::new(parts.map(move |keys| keys.range((Bound::Unbounded, end)).rev().copied()))
    }
}

/// Several descending runs as one.
struct Merged<I: Iterator> {
    runs: Vec<I>,
    heads: BinaryHeap<(I::Item, usize)>,
}

impl<I: Iterator<Item: Ord>> Merged<I> {
    fn new(runs: impl Iterator<Item = I>) -> Self {
        let mut runs: Vec<I> = runs.collect();
        let firsts = runs.iter_mut().enumerate();
        let heads = firsts.filter_map(|(place, run)| Some((run.next()?, place)));
        let heads = heads.collect();
        Self { runs, heads }
    }
}

impl<I: Iterator<Item: Ord>> Iterator for Merged<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let (item, place) = self.heads.pop()?;
        if let Some(next) = self.runs.get_mut(place).and_then(Iterator::next) {
            self.heads.push((next, place));
        }
        Some(item)
    }
}
