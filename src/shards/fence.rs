//! The check before every call: is the shard still this replica's?
//!
//! # Why a value of the task
//! A pass calls the apiserver in some forty places, and each of them has to be checked as late as can
//! be. All go through [`crate::kubernetes::deadline`], so it is checked there, against the fence that
//! was put around the pass; a place that forgets it cannot be written. Calls to Apono have the fence
//! of their connection, since some are made outside passes.

use std::fmt;

use super::{Shard, Shards};

tokio::task_local! {
    static AROUND: Fence;
}

/// Lets calls pass while the shard is held. Clones share it.
#[derive(Clone)]
pub struct Fence {
    of: Option<(Shards, Shard)>,
}

impl fmt::Debug for Fence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Fence").finish_non_exhaustive()
    }
}

impl Fence {
    /// Lets everything pass: for what belongs to no shard.
    pub const fn open() -> Self {
        Self { of: None }
    }

    pub(super) const fn of(shards: Shards, shard: Shard) -> Self {
        Self {
            of: Some((shards, shard)),
        }
    }

    /// Whether a call may leave now.
    pub fn is_held(&self) -> bool {
        let of = self.of.as_ref();
        of.is_none_or(|(shards, shard)| shards.is_fenced_in(*shard))
    }
}

/// Runs a pass within this fence.
pub(crate) async fn within<T>(fence: Fence, pass: impl Future<Output = T>) -> T {
    AROUND.scope(fence, pass).await
}

/// Whether the pass that asks may make another call. Always true outside of passes.
pub(crate) fn may_go_on() -> bool {
    AROUND.try_with(Fence::is_held).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::ConnectionKey;

    #[tokio::test]
    async fn a_pass_is_checked_against_its_own_fence() {
        let shard = Shard::of(&ConnectionKey::cluster("default"));
        assert!(may_go_on());
        let lost = Shards::none().fence(shard);
        assert!(!within(lost, async { may_go_on() }).await);
        let held = Shards::all().fence(shard);
        assert!(within(held, async { may_go_on() }).await);
    }
}
