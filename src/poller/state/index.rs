//! Indexes: maps of sets. None of them keeps a set that is empty.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use crate::poller::few::Few;

/// What [`remove`] removes from.
pub(super) trait Set<Q: ?Sized> {
    /// Removes a member; says whether nothing is left.
    fn take_out(&mut self, member: &Q) -> bool;
}

impl<V: Ord + Borrow<Q>, Q: Ord + ?Sized> Set<Q> for BTreeSet<V> {
    fn take_out(&mut self, member: &Q) -> bool {
        self.remove(member);
        self.is_empty()
    }
}

impl<V: Ord + Borrow<Q>, Q: Ord + ?Sized> Set<Q> for Few<V> {
    fn take_out(&mut self, member: &Q) -> bool {
        self.remove(member);
        self.is_empty()
    }
}

/// Removes one member of a set in a map of sets, and the set when it is empty.
pub(super) fn remove<K: Ord, S: Set<Q>, Q: ?Sized>(map: &mut BTreeMap<K, S>, key: &K, member: &Q) {
    if map.get_mut(key).is_some_and(|set| set.take_out(member)) {
        map.remove(key);
    }
}
