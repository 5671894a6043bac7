//! A small set in one piece of memory. There are several for every request that is followed, nearly
//! all of them of one member, and a tree would take a node of eleven places for each.

use std::borrow::Borrow;

/// Members in order, each once. Meant for a handful: adding one moves those after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Few<T>(Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Ord> Few<T> {
    /// Adds a member; says whether it is new.
    pub(super) fn insert(&mut self, member: T) -> bool {
        let Err(place) = self.0.binary_search(&member) else {
            return false;
        };
        // Not the room for four that a vector begins with.
        self.0.reserve_exact(1);
        self.0.insert(place, member);
        true
    }

    /// Removes a member; says whether it was there.
    pub(super) fn remove<Q>(&mut self, member: &Q) -> bool
    where
        T: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let place = self.0.binary_search_by(|one| one.borrow().cmp(member));
        place.map(|place| self.0.remove(place)).is_ok()
    }

    pub(super) fn contains(&self, member: &T) -> bool {
        self.0.binary_search(member).is_ok()
    }
}

impl<T> Few<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn first(&self) -> Option<&T> {
        self.0.first()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T: Ord> Extend<T> for Few<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, members: I) {
        for member in members {
            self.insert(member);
        }
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_there_once_and_in_order() {
        let mut few = Few::default();
        assert!(["b", "c", "a"].into_iter().all(|one| few.insert(one)));
        assert!(!few.insert("b") && few.contains(&"b"));
        assert_eq!(few.iter().copied().collect::<String>(), "abc");
        assert!(few.remove("b") && !few.remove("b"));
        assert_eq!(few.first(), Some(&"a"));
        assert_eq!(few.into_iter().collect::<String>(), "ac");
    }
}
