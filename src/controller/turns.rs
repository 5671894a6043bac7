//! Who is next, when more passes are wanted than may run at once.
//!
//! The queue of kube hands out whichever it finds first: in a burst of ten thousand some wait for a
//! minute while others that came later go through. Here whoever came first is first, and no
//! namespace waits for the backlog of another: they take turns. What is new, changes or is to go
//! comes before what is only looked at again, which gets every eighth turn while others wait.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::crd::{AccessRequest, Phase};

/// So often what is at rest comes first.
const ROUTINE_EVERY: u32 = 8;

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
    free: usize,
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
pub struct Turn(Option<Arc<Turns>>);

impl fmt::Debug for Turns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = self.lock().free;
        formatter
            .debug_struct("Turns")
            .field("free", &free)
            .finish_non_exhaustive()
    }
}

impl Turns {
    /// So many at once.
    pub fn new(count: u16) -> Arc<Self> {
        let inner = Inner {
            free: usize::from(count.max(1)),
            ..Inner::default()
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
        })
    }

    /// Waits for a turn.
    pub async fn take(self: &Arc<Self>, namespace: &str, urgency: Urgency) -> Turn {
        loop {
            let called = {
                let mut inner = self.lock();
                if inner.free > 0 {
                    inner.free -= 1;
                    return Turn(Some(Arc::clone(self)));
                }
                inner.line(urgency).join(namespace)
            };
            // It is called as long as there are turns.
            if let Ok(turn) = called.await {
                return turn;
            }
        }
    }

    /// A turn is free: to the next that still waits for one.
    fn pass_on(self: &Arc<Self>) {
        loop {
            let Some(next) = self.lock().next() else {
                return;
            };
            match next.send(Turn(Some(Arc::clone(self)))) {
                Ok(()) => return,
                // It has gone away meanwhile.
                Err(mut turn) => turn.0 = None,
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

    /// Who is called; the turn is free where nobody waits.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        self.given = self.given.wrapping_add(1);
        let mut lines = [&mut self.now, &mut self.routine];
        if self.given.is_multiple_of(ROUTINE_EVERY) {
            lines.reverse();
        }
        let next = lines.into_iter().find_map(Line::call);
        if next.is_none() {
            self.free += 1;
        }
        next
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

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
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
        assert_eq!(turns.lock().free, 1);
    }
}
