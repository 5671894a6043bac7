//! Who is next, when more passes are wanted than may run at once.
//!
//! The queue of kube hands out whichever it finds first: in a burst of ten thousand some wait for a
//! minute while others that came later go through. Here whoever came first is first, and no
//! namespace waits for the backlog of another: they take turns. What is new, changes or is to go
//! comes before what is only looked at again, which gets every eighth turn while others wait.
//!
//! How many run at once goes by what the API server can take: one that answers late is given half as
//! many calls, and one more for every pass that went well. With all it may, a starved API server
//! lets calls run into their deadline, and each of them holds up its pass for seconds.
//!
//! # Who waits is no pass
//! kube asks every pass that has begun whether it has ended, each time one of them has: with ten
//! thousand that wait inside, that is half of all a start takes. So a pass that has to wait ends,
//! and its resource is called ([`Turns::calls`]) when the turn is there; until it comes, the turn is
//! its own.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{Stream, stream};
use tokio::sync::mpsc;

use super::context::ObjectKey;
use crate::crd::{AccessRequest, Phase};

/// So often what is at rest comes first.
const ROUTINE_EVERY: u32 = 8;

/// However late it answers, so many may still run at once.
const LEAST: usize = 4;

/// How a pass went, as far as the API server is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// All its calls were answered.
    InTime,
    /// One was not answered before its deadline, or told to come later.
    Late,
}

/// How much a pass matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for it.
    Now,
    /// It looks again at what is at rest.
    Routine,
}

impl Urgency {
    /// Of a pass over this resource.
    pub fn of(resource: &AccessRequest) -> Self {
        let status = resource.status.as_ref();
        let is_settled = status.is_some_and(|status| {
            let is_at_rest = matches!(
                status.phase,
                Some(
                    Phase::Active
                        | Phase::Ended
                        | Phase::Rejected
                        | Phase::Failed
                        | Phase::Suspended
                )
            );
            is_at_rest && status.observed_generation == resource.metadata.generation
        });
        if is_settled && resource.metadata.deletion_timestamp.is_none() {
            Self::Routine
        } else {
            Self::Now
        }
    }
}

/// The turns of all passes.
pub struct Turns {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// So many turns are given: to passes that run, and to resources that are called.
    running: usize,
    /// So many may be, and never more than the most.
    limit: usize,
    most: usize,
    /// Counts how often the limit was lowered: passes that began before say nothing of it any more.
    lowered: u64,
    now: Line,
    routine: Line,
    given: u32,
    /// Who waits, and in which line. Who is in a line and not here, or here in the other, has left it.
    waiting: HashMap<ObjectKey, Urgency>,
    /// Whose turn it is, and who has not come yet.
    called: HashSet<ObjectKey>,
    callers: Vec<Caller>,
}

/// Those that stand in a line, namespace after namespace.
#[derive(Default)]
struct Line {
    rotation: VecDeque<String>,
    names: HashMap<String, VecDeque<String>>,
}

/// Calls the resources of one namespace, or of all.
struct Caller {
    scope: Option<String>,
    calls: mpsc::UnboundedSender<ObjectKey>,
}

/// The right to run; given back when it is dropped.
pub struct Turn {
    turns: Arc<Turns>,
    /// How often the limit had been lowered when it began.
    lowered: u64,
    /// How the API server answered, where that is known.
    answered: Option<Answered>,
}

impl fmt::Debug for Turns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        formatter
            .debug_struct("Turns")
            .field("running", &inner.running)
            .field("limit", &inner.limit)
            .finish_non_exhaustive()
    }
}

impl Turns {
    /// At most so many at once.
    pub fn new(count: u16) -> Arc<Self> {
        let most = usize::from(count.max(1));
        let inner = Inner {
            limit: most,
            most,
            ..Inner::default()
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
        })
    }

    /// How many may run at once now.
    pub fn allowed(&self) -> usize {
        self.lock().limit
    }

    /// Gives each resource of this namespace, or of all, when it has waited and its turn is there:
    /// a pass has to begin then, or [`Turns::leave`] be told. One for each controller, which reads it
    /// as long as it works: the turns of those that it is called for wait for it.
    pub fn calls(&self, scope: Option<&str>) -> impl Stream<Item = ObjectKey> + use<> {
        let (calls, called) = mpsc::unbounded_channel();
        let scope = scope.map(ToOwned::to_owned);
        self.lock().callers.push(Caller { scope, calls });
        stream::unfold(called, async |mut called| {
            called.recv().await.map(|key| (key, called))
        })
    }

    /// Takes a turn. None: it waits, and is called when there is one.
    pub fn take(self: &Arc<Self>, key: &ObjectKey, urgency: Urgency) -> Option<Turn> {
        let mut inner = self.lock();
        if !inner.called.remove(key) {
            if inner.running >= inner.limit {
                inner.wait(key, urgency);
                return None;
            }
            // So nobody waits: whoever does was called when there was room.
            inner.running += 1;
        }
        Some(Turn {
            turns: Arc::clone(self),
            lowered: inner.lowered,
            answered: None,
        })
    }

    /// The resource is gone: it waits no longer, and a turn that it was called for goes to the next.
    pub fn leave(&self, key: &ObjectKey) {
        let mut inner = self.lock();
        inner.waiting.remove(key);
        if inner.called.remove(key) {
            inner.pass_on();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn line(&mut self, urgency: Urgency) -> &mut Line {
        match urgency {
            Urgency::Now => &mut self.now,
            Urgency::Routine => &mut self.routine,
        }
    }

    /// One that has begun to matter since it came stands in the other line.
    fn wait(&mut self, key: &ObjectKey, urgency: Urgency) {
        let before = self.waiting.get(key);
        if before.is_none_or(|before| *before == Urgency::Routine && urgency == Urgency::Now) {
            self.waiting.insert(key.clone(), urgency);
            self.line(urgency).join(key);
        }
    }

    /// A turn has ended: to those that wait, as many as may run.
    fn pass_on(&mut self) {
        self.running -= 1;
        while let Some(key) = self.next() {
            let is_its = |caller: &&Caller| {
                let is_in_scope = caller.scope.as_ref().is_none_or(|it| *it == key.0);
                is_in_scope && !caller.calls.is_closed()
            };
            let caller = self.callers.iter().find(is_its);
            if caller.is_some_and(|caller| caller.calls.send(key.clone()).is_ok()) {
                self.called.insert(key);
            } else {
                // Nothing of its namespace runs any more.
                self.running -= 1;
            }
        }
    }

    /// Whose turn it is; it counts as running from now on.
    fn next(&mut self) -> Option<ObjectKey> {
        if self.running >= self.limit {
            return None;
        }
        self.given = self.given.wrapping_add(1);
        let mut order = [Urgency::Now, Urgency::Routine];
        if self.given.is_multiple_of(ROUTINE_EVERY) {
            order.reverse();
        }
        for urgency in order {
            while let Some(key) = self.line(urgency).call() {
                if self.waiting.get(&key) == Some(&urgency) {
                    self.waiting.remove(&key);
                    self.running += 1;
                    return Some(key);
                }
            }
        }
        None
    }

    fn learn(&mut self, answered: Answered, lowered: u64) {
        match answered {
            Answered::InTime => self.limit = (self.limit + 1).min(self.most),
            // Those that ran beside it were late for the same reason.
            Answered::Late if lowered == self.lowered => {
                self.limit = (self.limit / 2).max(LEAST.min(self.most));
                self.lowered += 1;
            }
            Answered::Late => {}
        }
    }
}

impl Line {
    fn join(&mut self, (namespace, name): &ObjectKey) {
        let names = self.names.entry(namespace.clone()).or_default();
        if names.is_empty() {
            self.rotation.push_back(namespace.clone());
        }
        names.push_back(name.clone());
    }

    fn call(&mut self) -> Option<ObjectKey> {
        let namespace = self.rotation.pop_front()?;
        let names = self.names.get_mut(&namespace)?;
        let name = names.pop_front()?;
        if names.is_empty() {
            self.names.remove(&namespace);
        } else {
            self.rotation.push_back(namespace.clone());
        }
        Some((namespace, name))
    }
}

impl Turn {
    /// Gives the turn back, and says how the API server answered.
    pub fn end(mut self, answered: Answered) {
        self.answered = Some(answered);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut inner = self.turns.lock();
        if let Some(answered) = self.answered {
            inner.learn(answered, self.lowered);
        }
        inner.pass_on();
    }
}

#[cfg(test)]
mod tests;
