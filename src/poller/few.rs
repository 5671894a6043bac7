//! A small set that takes no memory of its own. There are several for every request that is followed,
//! nearly all of them of one member, and a tree would take a node of eleven places for each.

use std::borrow::Borrow;

/// Members in order, each once. Meant for a handful: adding one moves those after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Few<T> {
    #[default]
    None,
    One(T),
    // Boxed: the room for a vector's three words would be taken by those without one too.
    #[expect(
        clippy::box_collection,
        reason = "the set has to be small, not fast, when it is large"
    )]
    Many(Box<Vec<T>>),
}

impl<T: Ord> Few<T> {
    /// Adds a member; says whether it is new.
    pub(super) fn insert(&mut self, member: T) -> bool {
        let Err(place) = self.as_slice().binary_search(&member) else {
            return false;
        };
        *self = match std::mem::take(self) {
            Self::None => Self::One(member),
            Self::One(first) => {
                let mut both = vec![first];
                both.insert(place, member);
                Self::Many(Box::new(both))
            }
            Self::Many(mut members) => {
                members.insert(place, member);
                Self::Many(members)
            }
        };
        true
    }

    /// Removes a member; says whether it was there.
    pub(super) fn remove<Q>(&mut self, member: &Q) -> bool
    where
        T: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let slice = self.as_slice();
        let Ok(place) = slice.binary_search_by(|one| one.borrow().cmp(member)) else {
            return false;
        };
        let last = match self {
            Self::None | Self::One(_) => None,
            Self::Many(members) => {
                members.remove(place);
                if members.len() > 1 {
                    return true;
                }
                members.pop()
            }
        };
        *self = last.map_or(Self::None, Self::One);
        true
    }

    pub(super) fn contains(&self, member: &T) -> bool {
        self.as_slice().binary_search(member).is_ok()
    }
}

impl<T> Few<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(member) => std::slice::from_ref(member),
            Self::Many(members) => members,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    pub(super) fn first(&self) -> Option<&T> {
        self.as_slice().first()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.as_slice().iter()
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
        let members = match self {
            Self::None => Vec::new(),
            Self::One(member) => vec![member],
            Self::Many(members) => *members,
        };
        members.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
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
