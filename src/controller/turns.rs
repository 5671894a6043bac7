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

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

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
    /// So many run.
    running: usize,
    /// So many may run, and never more than the most.
    limit: usize,
    most: usize,
    /// Counts how often the limit was lowered: passes that began before say nothing of it any more.
    lowered: u64,
    now: Line,
    routine: Line,
    given: u32,
}

/// Those that wait, namespace after namespace.
#[derive(Default)]
struct Line {
    rotation: VecDeque<String>,
    waiting: HashMap<String, VecDeque<oneshot::Sender<Turn>>>,
}

/// The right to run; given back when it is dropped.
pub struct Turn {
    turns: Option<Arc<Turns>>,
    /// How often the limit had been lowered when it was given.
    lowered: u64,
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

    /// Waits for a turn.
    pub async fn take(self: &Arc<Self>, namespace: &str, urgency: Urgency) -> Turn {
        loop {
            let called = {
                let mut inner = self.lock();
                if inner.running < inner.limit {
                    inner.running += 1;
                    return self.turn(inner.lowered);
                }
                inner.line(urgency).join(namespace)
            };
            // It is called as long as there are turns.
            if let Ok(turn) = called.await {
                return turn;
            }
        }
    }

    fn turn(self: &Arc<Self>, lowered: u64) -> Turn {
        Turn {
            turns: Some(Arc::clone(self)),
            lowered,
        }
    }

    /// A turn has ended: to those that still wait for one, as many as may run.
    fn pass_on(self: &Arc<Self>) {
        self.lock().running -= 1;
        loop {
            let (next, lowered) = {
                let mut inner = self.lock();
                let Some(next) = inner.next() else {
                    return;
                };
                (next, inner.lowered)
            };
            // One who has gone away meanwhile leaves it to the next.
            if let Err(mut turn) = next.send(self.turn(lowered)) {
                turn.turns = None;
                self.lock().running -= 1;
            }
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

    /// Who is called, and counts as running from now on.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        if self.running >= self.limit {
            return None;
        }
        self.given = self.given.wrapping_add(1);
        let mut lines = [&mut self.now, &mut self.routine];
        if self.given.is_multiple_of(ROUTINE_EVERY) {
            lines.reverse();
        }
        let next = lines.into_iter().find_map(Line::call)?;
        self.running += 1;
        Some(next)
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
    fn join(&mut self, namespace: &str) -> oneshot::Receiver<Turn> {
        let (call, called) = oneshot::channel();
        let queue = self.waiting.entry(namespace.to_owned()).or_default();
        if queue.is_empty() {
            self.rotation.push_back(namespace.to_owned());
        }
        queue.push_back(call);
        called
    }

    fn call(&mut self) -> Option<oneshot::Sender<Turn>> {
        let namespace = self.rotation.pop_front()?;
        let queue = self.waiting.get_mut(&namespace)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.rotation.push_back(namespace);
        }
        next
    }
}

impl Turn {
    /// Gives the turn back, and says how the API server answered.
    pub fn end(self, answered: Answered) {
        if let Some(turns) = &self.turns {
            turns.lock().learn(answered, self.lowered);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.turns.take() {
            turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    type Waiting = std::pin::Pin<Box<dyn Future<Output = Turn>>>;

    fn waits(turns: &Arc<Turns>, namespace: &'static str, urgency: Urgency) -> Waiting {
        let turns = Arc::clone(turns);
        let mut waiting: Waiting = Box::pin(async move { turns.take(namespace, urgency).await });
        assert!((&mut waiting).now_or_never().is_none());
        waiting
    }

    /// The order in which those that wait are called, one after the other.
    fn order(first: Turn, mut waiting: Vec<(&'static str, Waiting)>) -> Vec<&'static str> {
        drop(first);
        let mut order = Vec::new();
        while !waiting.is_empty() {
            let called = waiting
                .iter_mut()
                .position(|(name, one)| match one.now_or_never() {
                    None => false,
                    Some(turn) => {
                        order.push(*name);
                        drop(turn);
                        true
                    }
                });
            drop(waiting.remove(called.expect("somebody is called")));
        }
        order
    }

    fn first(turns: &Arc<Turns>) -> Turn {
        turns.take("a", Urgency::Now).now_or_never().unwrap()
    }

    #[test]
    fn namespaces_take_turns_and_within_one_whoever_came_first_is_first() {
        let turns = Turns::new(1);
        let turn = first(&turns);
        let now = |name: &'static str| (name, waits(&turns, &name[..1], Urgency::Now));
        let waiting = vec![now("a1"), now("a2"), now("a3"), now("b1"), now("b2")];
        assert_eq!(order(turn, waiting), ["a1", "b1", "a2", "b2", "a3"]);
    }

    #[test]
    fn what_is_at_rest_waits_for_what_is_not_and_is_not_forgotten() {
        let turns = Turns::new(1);
        let turn = first(&turns);
        let mut waiting = vec![("rest", waits(&turns, "a", Urgency::Routine))];
        waiting.extend((0..10).map(|_| ("now", waits(&turns, "a", Urgency::Now))));
        let order = order(turn, waiting);
        let place = order.iter().position(|one| *one == "rest").unwrap();
        assert_eq!(place, 7);
    }

    #[test]
    fn a_turn_that_was_given_to_somebody_who_went_away_is_not_lost() {
        let turns = Turns::new(1);
        let turn = first(&turns);
        let (gone, stays) = (
            waits(&turns, "a", Urgency::Now),
            waits(&turns, "a", Urgency::Now),
        );
        let late = waits(&turns, "a", Urgency::Now);
        drop(gone);
        drop(turn);
        // Called, and gone before it could run.
        drop(stays);
        drop(late.now_or_never().expect("it is called"));
        assert_eq!(turns.lock().running, 0);
    }

    #[test]
    fn an_apiserver_that_answers_late_is_given_half_as_many_once_for_all_that_ran_together() {
        let turns = Turns::new(64);
        let together: Vec<_> = (0..64).map(|_| first(&turns)).collect();
        let mut waiting = waits(&turns, "a", Urgency::Now);
        for turn in together {
            turn.end(Answered::Late);
        }
        assert_eq!(turns.allowed(), 32);
        let turn = (&mut waiting).now_or_never().expect("fewer than 32 run");
        turn.end(Answered::Late);
        assert_eq!(turns.allowed(), 16);
        for _ in 0..10 {
            first(&turns).end(Answered::Late);
        }
        assert_eq!(turns.allowed(), LEAST);
        for _ in 0..100 {
            first(&turns).end(Answered::InTime);
        }
        assert_eq!(turns.allowed(), 64);
    }

    #[test]
    fn those_that_wait_are_called_when_the_limit_rises() {
        let turns = Turns::new(8);
        (0..3).for_each(|_| first(&turns).end(Answered::Late));
        let running: Vec<_> = (0..LEAST).map(|_| first(&turns)).collect();
        let mut waiting: Vec<_> = (0..4).map(|_| waits(&turns, "a", Urgency::Now)).collect();
        let mut running = running.into_iter();
        running.next().unwrap().end(Answered::InTime);
        let called = waiting
            .iter_mut()
            .filter_map(futures::FutureExt::now_or_never);
        let called: Vec<_> = called.collect();
        assert_eq!(called.len(), 2, "its own place, and the one that was won");
    }
}
