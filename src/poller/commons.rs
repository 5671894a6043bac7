//! What thousands of requests have in common, held once: who asked, for whom, and for what. Every
//! answer brings its own copy of all of it.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use apono_client::{AccessGroup, AccessRequest, AdminTarget, Identity, Named};

/// So many are held before it is first looked what nobody uses any more.
const FIRST_TIDY: usize = 64;

/// The parts that requests share.
#[derive(Debug, Default)]
pub(super) struct Commons {
    groups: Pool<[AccessGroup]>,
    users: Pool<Identity>,
    bundles: Pool<Named>,
    targets: Pool<AdminTarget>,
}

impl Commons {
    /// Replaces the parts of a request by equal ones that are held already.
    pub(super) fn share(&mut self, request: &mut AccessRequest) {
        self.groups.share(&mut request.access_groups);
        let users = [&mut request.requestor, &mut request.grantee];
        for user in users.into_iter().flatten() {
            self.users.share(user);
        }
        if let Some(bundle) = &mut request.bundle {
            self.bundles.share(bundle);
        }
        if let Some(target) = &mut request.target {
            self.targets.share(target);
        }
    }
}

/// Equal values, each once. It is tidied when it has grown to twice of what was in use when it was
/// tidied last, so it holds no more than twice the most that ever were.
#[derive(Debug)]
struct Pool<T: ?Sized> {
    held: HashSet<Arc<T>>,
    tidy_at: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self {
            held: HashSet::new(),
            tidy_at: FIRST_TIDY,
        }
    }
}

impl<T: Hash + Eq + ?Sized> Pool<T> {
    fn share(&mut self, value: &mut Arc<T>) {
        if let Some(held) = self.held.get(&**value) {
            *value = Arc::clone(held);
            return;
        }
        if self.held.len() >= self.tidy_at {
            self.held.retain(|held| Arc::strong_count(held) > 1);
            self.held.shrink_to_fit();
            self.tidy_at = FIRST_TIDY.max(self.held.len() * 2);
        }
        self.held.insert(Arc::clone(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(pool: &mut Pool<str>, text: &str) -> Arc<str> {
        let mut value = text.into();
        pool.share(&mut value);
        value
    }

    #[test]
    fn equal_values_are_held_once() {
        let mut pool = Pool::default();
        let (first, second) = (share(&mut pool, "a"), share(&mut pool, "a"));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &share(&mut pool, "b")));
    }

    #[test]
    fn what_nobody_uses_is_let_go_and_what_is_used_stays() {
        let mut pool = Pool::default();
        let used: Vec<_> = (0..100)
            .map(|n| share(&mut pool, &format!("used {n}")))
            .collect();
        for n in 0..10_000 {
            share(&mut pool, &n.to_string());
            assert!(pool.held.len() <= 2 * used.len());
        }
        for (n, used) in used.iter().enumerate() {
            assert!(Arc::ptr_eq(used, &share(&mut pool, &format!("used {n}"))));
        }
    }
}
