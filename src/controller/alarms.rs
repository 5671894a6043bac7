//! When resources are to be looked at again that have long to wait.
//!
//! # Why
//! kube's scheduler keeps the reference of a resource twice for each that waits, 1.2 KiB, and nearly
//! every one at rest waits: for its planned end, or for the time at which what is known of it gets
//! old. Here that time is one number beside what is kept of the resource anyway
//! ([`Context::alarm`](super::Context::alarm)); those that are due within the next half minute are
//! taken out and waited for one by one.

use std::{collections::BTreeSet, time::Duration};

use futures::{Stream, stream};
use tokio::time::{Instant, sleep_until};

/// All are looked through this often.
const LOOK_THROUGH: Duration = Duration::from_secs(30);
/// What waits shorter than this is left to kube's scheduler: an alarm has to be set before the look
/// through that finds it.
pub const FAR: Duration = Duration::from_mins(1);

/// Gives each when its time has come. `take` takes out all whose time comes before the given one;
/// it is asked every half minute.
pub fn ringing<K: Ord>(take: impl FnMut(Instant) -> Vec<(Instant, K)>) -> impl Stream<Item = K> {
    let start = (BTreeSet::new(), Instant::now(), take);
    stream::unfold(start, async |(mut near, mut look_at, mut take)| {
        loop {
            let next: Option<&(Instant, K)> = near.first();
            let at = next.map_or(look_at, |(at, _)| look_at.min(*at));
            sleep_until(at).await;
            if look_at <= at {
                look_at = at + LOOK_THROUGH;
                near.extend(take(look_at));
            } else if let Some((_, key)) = near.pop_first() {
                return Some((key, (near, look_at, take)));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::StreamExt as _;

    use super::*;

    type Set = Arc<Mutex<Vec<(Instant, &'static str)>>>;

    fn ringing_of(set: &Set) -> impl Stream<Item = &'static str> + use<> {
        let set = Arc::clone(set);
        ringing(move |until| {
            let mut set = set.lock().unwrap();
            set.extract_if(.., |(at, _)| *at < until).collect()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn each_rings_at_its_time_whenever_it_was_set() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let set = Set::default();
        set.lock().unwrap().extend([(at(90), "b"), (at(61), "a")]);
        let mut ringing = Box::pin(ringing_of(&set));
        assert_eq!(ringing.next().await, Some("a"));
        assert_eq!(start.elapsed().as_secs(), 61);
        // As near as may be: found by the last look through before it is due.
        let near = Instant::now() + FAR;
        set.lock().unwrap().push((near, "c"));
        assert_eq!(ringing.next().await, Some("b"));
        assert_eq!(start.elapsed().as_secs(), 90);
        assert_eq!(ringing.next().await, Some("c"));
        assert_eq!(Instant::now().duration_since(near).as_millis(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_overdue_rings_at_the_next_look() {
        let set = Set::default();
        let mut ringing = Box::pin(ringing_of(&set));
        let waited = tokio::time::timeout(Duration::from_mins(5), ringing.next());
        waited.await.expect_err("nothing is set");
        let overdue = Instant::now() - Duration::from_secs(10);
        set.lock().unwrap().push((overdue, "late"));
        let since = Instant::now();
        assert_eq!(ringing.next().await, Some("late"));
        assert!(since.elapsed() <= LOOK_THROUGH);
    }
}
