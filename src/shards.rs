//! Shards: which replica works for which connections, and the fence around whoever does not.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `share.rs` | pure: the map of shards, who may take what, who gives what back |
//! | `watched.rs` | pure: the replicas' Leases as seen here, and when one has run out |
//! | `lease.rs` | the objects as they are written |
//! | `keeper.rs` | io: renews, buries, claims, gives back, leaves |
//! | `fence.rs` | the check before every call |
//!
//! # How
//! Every replica has a Lease that it renews every third of its duration: all there is to write at
//! rest. One more Lease holds a map from shards to the **uid** of their replica's Lease. What is
//! mapped to a uid is that replica's for as long as a Lease of that uid exists; nobody else changes
//! it. A replica whose Lease has not changed for its duration, by the steady clock of whoever looks,
//! is buried: its Lease is deleted, with its resourceVersion as precondition, so that either the
//! renewal or the deletion is done. Only then are its shards free. One that wakes up after that finds
//! its uid gone, and starts anew with nothing. No clock of another machine is trusted.
//!
//! A connection's shard is a hash of its kind, namespace and name. Its requests and debts name it by
//! these, also when it does not exist, so exactly one replica speaks for each of them.
//!
//! # The fence
//! A replica may act until a fifth before its Lease would run out, counted from the moment its last
//! renewal was *sent*, by the steady clock and by the one that goes on while the machine is suspended.
//! That is checked before every call to Apono, and before every call of a pass to the apiserver: a
//! process that was stopped past its Lease sends nothing that was not on its way.
//!
//! # What was on its way
//! A POST may have left just before. It bears its mark, so whoever has the shard now looks for it, and
//! asks again only when it could not have arrived unseen: the wait for that begins anew when a shard is
//! taken from another replica, since what that one has dated is of another machine's clock.
//!
//! # After a crash
//! The Lease is named by the pod. A container that is started again in its pod takes the Lease of its
//! predecessor, which cannot run any more, and with it the uid and every shard: no waiting, no other
//! write. That is done at the start only. Without a pod's name the Lease's name is random, and what
//! a crash leaves has to run out.
//!
//! # Why not
//! - A Lease for each shard: as many renewals as shards, where the goal at rest is 12 writes a minute.
//! - The uid of the connection: a request would change its replica when its connection is made anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};

use crate::{clock::Moment, connection::ConnectionKey};

mod fence;
mod keeper;
mod lease;
mod share;
mod watched;

pub use fence::Fence;
pub(crate) use fence::{may_go_on, within};
pub use keeper::{Keeper, Terms};

/// How many there are. Every replica has to agree: one that finds another number takes none.
pub const SHARDS: u8 = 32;

/// The steady clock of a test that never ends.
const EVER: Duration = Duration::from_hours(24 * 365);

/// A part of the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(u8);

impl Shard {
    /// That of a connection, and so of all that names it.
    pub fn of(key: &ConnectionKey) -> Self {
        let digest = Sha256::digest(key.to_string());
        Self(digest.first().copied().unwrap_or_default() % SHARDS)
    }

    /// Every shard.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// Whether a pass may start.
#[derive(Debug)]
pub enum Entry {
    /// Yes; the shard is not given back before this is dropped.
    Held(Pass),
    /// The shard is this replica's, but its Lease could not be renewed: everything is woken when it is.
    NotNow,
    /// Another replica's, or nobody's yet: everything is woken when it becomes this one's.
    Elsewhere,
}

/// What this replica holds. Clones share it.
#[derive(Clone)]
pub struct Shards {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    /// A pass over a shard that is being given back has ended.
    drained: Notify,
    /// Whether the replica has joined; is to give back what no pass runs over; is to leave; has left.
    joined: watch::Sender<bool>,
    retire: watch::Sender<bool>,
    leave: watch::Sender<bool>,
    left: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    holding: Holding,
    passes: BTreeMap<Shard, usize>,
    has_left: bool,
}

/// What the keeper has found out.
#[derive(Clone, Debug, Default)]
struct Holding {
    held: BTreeSet<Shard>,
    /// Being given back: passes under way end, none starts.
    leaving: BTreeSet<Shard>,
    until: Option<Moment>,
    replicas: usize,
    /// Since when, by the clock here, what came from another replica is this one's.
    taken: BTreeMap<Shard, Timestamp>,
}

/// What is held, at a scrape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The shards that this replica may work for now.
    pub held: BTreeSet<u8>,
    /// How many replicas there are.
    pub replicas: usize,
}

impl fmt::Debug for Shards {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shards").finish_non_exhaustive()
    }
}

impl Default for Shards {
    fn default() -> Self {
        Self::none()
    }
}

impl Shards {
    /// Nothing is held yet.
    pub fn none() -> Self {
        let inner = Inner {
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            drained: Notify::new(),
            joined: watch::Sender::new(false),
            retire: watch::Sender::new(false),
            leave: watch::Sender::new(false),
            left: watch::Sender::new(true),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Everything is held, for ever: for what works without other replicas.
    pub fn all() -> Self {
        let shards = Self::none();
        let mut state = shards.lock();
        state.holding = Holding {
            held: Shard::all().collect(),
            until: Some(Moment::now().after(EVER)),
            replicas: 1,
            ..Holding::default()
        };
        drop(state);
        shards
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a pass over something of this shard may start.
    pub fn enter(&self, shard: Shard) -> Entry {
        let mut state = self.lock();
        if !state.holding.held.contains(&shard) {
            return Entry::Elsewhere;
        }
        if !state.is_valid() {
            return Entry::NotNow;
        }
        *state.passes.entry(shard).or_default() += 1;
        drop(state);
        let shards = self.clone();
        Entry::Held(Pass { shards, shard })
    }

    /// What every call for this shard has to pass.
    pub fn fence(&self, shard: Shard) -> Fence {
        Fence::of(self.clone(), shard)
    }

    fn is_fenced_in(&self, shard: Shard) -> bool {
        let state = self.lock();
        let Holding { held, leaving, .. } = &state.holding;
        state.is_valid() && (held.contains(&shard) || leaving.contains(&shard))
    }

    /// Whether the connection is this replica's to count.
    pub fn has(&self, key: &ConnectionKey) -> bool {
        self.lock().holding.held.contains(&Shard::of(key))
    }

    /// Since when the connection is this replica's, where another one had it before. What that one has
    /// dated is of another machine's clock, and may have left just before; so it counts as of now.
    /// Nothing once the clock was set back to before it.
    pub fn taken_at(&self, key: &ConnectionKey, now: Timestamp) -> Option<Timestamp> {
        let taken = self.lock().holding.taken.get(&Shard::of(key)).copied();
        taken.filter(|at| *at <= now)
    }

    /// Something is held that was not, or no longer, or again: everything has to be looked at.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + Sync + use<> {
        let mut receiver = self.inner.changed.subscribe();
        receiver.mark_unchanged();
        futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.changed().await.ok()?;
            Some(((), receiver))
        })
        .map(drop)
    }

    /// Resolves when this replica has joined and had its first turn at the shards.
    pub async fn joined(&self) {
        let mut changed = self.inner.joined.subscribe();
        let _ = changed.wait_for(|joined| *joined).await;
    }

    /// What is held.
    pub fn figures(&self) -> Figures {
        let state = self.lock();
        let held = state.holding.held.iter().filter(|_| state.is_valid());
        Figures {
            held: held.map(|shard| shard.number()).collect(),
            replicas: state.holding.replicas,
        }
    }

    /// Lets others take over, shard by shard, as the passes under way end; none may start any more.
    pub fn retire(&self) {
        self.inner.retire.send_replace(true);
    }

    /// Gives everything back, when no pass runs any more: others may take it at once. Returns when
    /// that is done, or could not be.
    pub async fn leave(&self) {
        self.publish(Holding::default());
        self.lock().has_left = true;
        self.inner.leave.send_replace(true);
        let mut left = self.inner.left.subscribe();
        let _ = left.wait_for(|left| *left).await;
    }

    /// Takes what the keeper has found out.
    fn publish(&self, holding: Holding) {
        let mut state = self.lock();
        if state.has_left {
            return;
        }
        let was_valid = state.is_valid();
        let is_news = state.holding.held != holding.held;
        state.holding = holding;
        let is_again = !was_valid && state.is_valid();
        drop(state);
        if is_news || is_again {
            self.inner.changed.send_modify(|count| *count += 1);
        }
    }

    /// Those of these shards over which no pass runs.
    fn drained(&self, shards: &BTreeSet<Shard>) -> BTreeSet<Shard> {
        let state = self.lock();
        let is_drained = |shard: &&Shard| !state.passes.contains_key(shard);
        shards.iter().filter(is_drained).copied().collect()
    }
}

impl State {
    fn is_valid(&self) -> bool {
        let until = self.holding.until;
        until.is_some_and(|until| until.is_ahead_of(Moment::now()))
    }
}

/// A pass that has started.
pub struct Pass {
    shards: Shards,
    shard: Shard,
}

impl fmt::Debug for Pass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Pass");
        shown.field("shard", &self.shard).finish_non_exhaustive()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.shards.lock();
        if let Some(count) = state.passes.get_mut(&self.shard) {
            *count -= 1;
            if *count == 0 {
                state.passes.remove(&self.shard);
            }
        }
        let is_awaited = state.holding.leaving.contains(&self.shard);
        drop(state);
        if is_awaited {
            self.shards.inner.drained.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard() -> Shard {
        Shard::of(&ConnectionKey::cluster("default"))
    }

    fn holding(held: BTreeSet<Shard>, seconds: u64) -> Holding {
        Holding {
            held,
            until: Some(Moment::now().after(Duration::from_secs(seconds))),
            replicas: 1,
            ..Holding::default()
        }
    }

    #[test]
    fn what_was_taken_from_another_counts_from_then_on_unless_the_clock_was_set_back() {
        let shards = Shards::all();
        let key = ConnectionKey::cluster("default");
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let later = at + Duration::from_mins(1);
        assert_eq!(shards.taken_at(&key, later), None);
        shards.publish(Holding {
            taken: [(shard(), at)].into(),
            ..holding([shard()].into(), 12)
        });
        assert_eq!(shards.taken_at(&key, later), Some(at));
        assert_eq!(shards.taken_at(&key, at - Duration::from_secs(1)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_starts_and_nothing_goes_on_past_the_end_of_the_lease() {
        let shards = Shards::none();
        let fence = shards.fence(shard());
        assert!(matches!(shards.enter(shard()), Entry::Elsewhere));
        assert!(!fence.is_held());
        shards.publish(holding([shard()].into(), 12));
        let Entry::Held(_pass) = shards.enter(shard()) else {
            panic!("held")
        };
        assert!(fence.is_held());
        tokio::time::advance(Duration::from_secs(12)).await;
        assert!(matches!(shards.enter(shard()), Entry::NotNow));
        assert!(!fence.is_held());
        assert!(shards.figures().held.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_that_is_given_back_waits_for_its_passes_and_starts_none() {
        let shards = Shards::all();
        let fence = shards.fence(shard());
        let Entry::Held(pass) = shards.enter(shard()) else {
            panic!("held")
        };
        let held = Shard::all().filter(|one| *one != shard()).collect();
        let leaving = BTreeSet::from([shard()]);
        shards.publish(Holding {
            leaving: leaving.clone(),
            ..holding(held, 12)
        });
        assert!(matches!(shards.enter(shard()), Entry::Elsewhere));
        assert!(fence.is_held(), "the pass under way may end");
        assert!(shards.drained(&leaving).is_empty());
        drop(pass);
        shards.inner.drained.notified().await;
        assert_eq!(shards.drained(&leaving), leaving);
    }

    #[tokio::test(start_paused = true)]
    async fn everything_is_woken_when_a_lease_holds_again_and_not_when_it_is_renewed() {
        let shards = Shards::none();
        let mut changes = Box::pin(shards.changes());
        let mut woken = async || {
            let next = tokio::time::timeout(Duration::ZERO, changes.next());
            next.await.is_ok()
        };
        let hold = |seconds| shards.publish(holding([shard()].into(), seconds));
        assert!(!woken().await);
        hold(10);
        assert!(woken().await);
        hold(11);
        assert!(!woken().await);
        tokio::time::advance(Duration::from_secs(20)).await;
        hold(10);
        assert!(woken().await);
    }
}
