//! How many calls a second the API takes, as its 429s tell. Pure: it is told the time.
//!
//! A 429 by itself is answered by the gate's pause alone. After a second one calls leave one by one,
//! at a part of the rate that was taken lately; the rate grows quickly to just below what was too
//! much, then so slowly that about one call in a hundred is refused, and quickly again after a minute
//! without a 429. What was learned is forgotten when nothing was refused for ten minutes, and when
//! calls are refused again and again although they became fewer: then it is not their number.
//!
//! Where calls wait, those go first that ask for access or take it back, then those of a pass, then
//! the reads of the poller; every fourth place is for a read of the poller, so that what is live does
//! not go unseen.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// After a 429 the rate becomes so much of what it was.
const DECREASE: f64 = 0.7;
/// No rate is less than this, in calls a second.
const LEAST: f64 = 0.5;
/// Below so much of what was too much the rate grows quickly.
const NEAR: f64 = 0.9;
/// What was refused so soon was too much by this, at least.
const SOONER: f64 = 0.85;
/// How the rate grows far below what was too much, and near it.
const QUICK: Growth = Growth {
    a_call: 0.04,
    a_second: 0.2,
};
const SLOW: Growth = Growth {
    a_call: 0.001,
    a_second: 0.003_5,
};
/// How it grows after so long, and so many calls, without a 429.
const CALM_GROWTH: Growth = Growth {
    a_call: 0.05,
    a_second: 0.7,
};
const CALM: Duration = Duration::from_mins(1);
const CALM_CALLS: u32 = 200;
/// After so long without a 429 nothing is held back any more.
const FORGET: Duration = Duration::from_mins(10);
/// APIs count calls by the second at least: what is refused within one is refused once.
const WINDOW: Duration = Duration::from_secs(1);
/// The rate that was taken is measured over this.
const LATELY: Duration = Duration::from_secs(10);
/// A 429 so long after the one before is one by itself.
const APART: Duration = Duration::from_secs(30);
/// After so many refusals, each with fewer than `MANY` calls taken before it, the rate is not the cause.
const MOST_UNEXPLAINED: u32 = 5;
/// A limit that was found is met again after more calls than this.
const MANY: u32 = 50;
/// Then the rate is left as it is for so long.
const FREE: Duration = Duration::from_mins(1);
/// So many calls are remembered for it.
const MOST_REMEMBERED: usize = 4096;
/// So many calls may overtake the poller.
const OVERTAKING: u32 = 3;
/// Whoever lets others go first looks again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How fast a rate grows: by no more than this with each call, and in each second.
struct Growth {
    a_call: f64,
    a_second: f64,
}

impl Growth {
    fn of(&self, rate: f64) -> f64 {
        1.0 + self.a_call.min(self.a_second / rate)
    }
}

/// Who goes first where calls wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// It asks for access or takes it back.
    Urgent,
    /// A pass waits for it.
    Pass,
    /// A read of the poller.
    Routine,
}

/// The state.
#[derive(Clone, Debug)]
pub(super) struct Throttle {
    /// Calls a second. None: as many as come.
    rate: Option<f64>,
    /// The rate that was too much last.
    too_much: f64,
    refused_at: Option<Instant>,
    /// How many calls were taken since.
    taken_since: u32,
    /// How many refusals in a row came sooner than a limit explains.
    unexplained: u32,
    /// Until when the rate is not held back, because it was found not to be the cause.
    free_until: Option<Instant>,
    /// When the next call may leave.
    next: Option<Instant>,
    /// When calls were taken, of late.
    taken: VecDeque<Instant>,
    waiting: [u32; 3],
    /// How many calls have overtaken the poller.
    overtaken: u32,
}

impl Throttle {
    pub(super) const fn new() -> Self {
        Self {
            rate: None,
            too_much: 0.0,
            refused_at: None,
            taken_since: 0,
            unexplained: 0,
            free_until: None,
            next: None,
            taken: VecDeque::new(),
            waiting: [0; 3],
            overtaken: 0,
        }
    }

    /// Lets a call leave, or says when it may ask again.
    pub(super) fn admit(&mut self, class: Class, now: Instant) -> Result<(), Instant> {
        if self.refused_at.is_none_or(|at| now - at >= FORGET) {
            self.rate = None;
        }
        let Some(rate) = self.rate else {
            return Ok(());
        };
        let next = self.next.unwrap_or(now);
        if next > now {
            return Err(next);
        }
        if self.lets_others_first(class) {
            return Err(now + LOOK_AGAIN);
        }
        self.overtaken = match class {
            Class::Routine => 0,
            Class::Urgent | Class::Pass => self.overtaken.saturating_add(1),
        };
        self.next = Some(now + Duration::from_secs_f64(1.0 / rate));
        Ok(())
    }

    fn lets_others_first(&self, class: Class) -> bool {
        let [urgent, pass, routine] = self.waiting;
        let is_pollers_turn = self.overtaken >= OVERTAKING && routine > 0;
        match class {
            Class::Routine => !is_pollers_turn && urgent + pass > 0,
            Class::Urgent => is_pollers_turn,
            Class::Pass => is_pollers_turn || urgent > 0,
        }
    }

    /// A call waits.
    pub(super) fn begin_waiting(&mut self, class: Class) {
        let waiting = self.waiting(class);
        *waiting = waiting.saturating_add(1);
    }

    /// A call waits no longer.
    pub(super) fn end_waiting(&mut self, class: Class) {
        let waiting = self.waiting(class);
        *waiting = waiting.saturating_sub(1);
    }

    /// How many calls of this class wait.
    const fn waiting(&mut self, class: Class) -> &mut u32 {
        let [urgent, pass, routine] = &mut self.waiting;
        match class {
            Class::Urgent => urgent,
            Class::Pass => pass,
            Class::Routine => routine,
        }
    }

    /// How long an urgent call would wait now.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let Some(rate) = self.rate else {
            return Duration::ZERO;
        };
        let first = self
            .next
            .map_or(Duration::ZERO, |next| next.saturating_duration_since(now));
        let [urgent, ..] = self.waiting;
        first + Duration::from_secs_f64(f64::from(urgent) / rate)
    }

    /// A call was answered with something else than 429.
    pub(super) fn taken(&mut self, now: Instant) {
        while self.taken.front().is_some_and(|at| now - *at > LATELY)
            || self.taken.len() >= MOST_REMEMBERED
        {
            self.taken.pop_front();
        }
        self.taken.push_back(now);
        let Some(rate) = &mut self.rate else {
            return;
        };
        self.taken_since = self.taken_since.saturating_add(1);
        let is_calm = self.refused_at.is_none_or(|at| now - at >= CALM);
        let is_calm = is_calm && self.taken_since >= CALM_CALLS;
        let growth = if is_calm {
            CALM_GROWTH
        } else if *rate < self.too_much * NEAR {
            QUICK
        } else {
            SLOW
        };
        *rate *= growth.of(*rate);
    }

    /// A call that left then was answered with 429. What had left by then, or within a second after
    /// it, says nothing new.
    pub(super) fn refused(&mut self, left: Instant, now: Instant) {
        let last = self.refused_at;
        if last.is_some_and(|at| left < at + WINDOW) {
            return;
        }
        self.refused_at = Some(now);
        let taken_since = std::mem::take(&mut self.taken_since);
        let rate = match self.rate {
            None if last.is_none_or(|at| now - at > APART) => return,
            None if self.free_until.is_some_and(|until| now < until) => return,
            None => {
                self.too_much = self.peak(now).max(LEAST);
                self.unexplained = 0;
                self.lately(now)
            }
            // A limit is met once in a hundred calls or so, see `SLOW`.
            Some(rate) => {
                self.unexplained = if taken_since < MANY {
                    self.unexplained + 1
                } else {
                    0
                };
                if self.unexplained >= MOST_UNEXPLAINED {
                    self.rate = None;
                    self.free_until = Some(now + FREE);
                    return;
                }
                let is_soon = self.unexplained > 0;
                self.too_much = if is_soon { rate * SOONER } else { rate };
                rate
            }
        };
        let rate = (rate * DECREASE).max(LEAST);
        self.rate = Some(rate);
        self.next = Some(now + Duration::from_secs_f64(1.0 / rate));
    }

    /// How many calls a second were taken lately.
    fn lately(&self, now: Instant) -> f64 {
        let first = self.taken.iter().find(|at| now - **at <= LATELY);
        let time = first.map_or(WINDOW, |first| (now - *first).max(WINDOW));
        let count = self.taken.iter().filter(|at| now - **at <= LATELY).count();
        f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / time.as_secs_f64()
    }

    /// How many calls were taken in the best second of late.
    fn peak(&self, now: Instant) -> f64 {
        let mut second: VecDeque<Instant> = VecDeque::new();
        let mut most = 0;
        for at in self.taken.iter().filter(|at| now - **at <= LATELY) {
            while second.front().is_some_and(|first| *at - *first > WINDOW) {
                second.pop_front();
            }
            second.push_back(*at);
            most = most.max(second.len());
        }
        f64::from(u32::try_from(most).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An API that takes so many calls in each second of its clock.
    #[derive(Default)]
    struct Api {
        most: u32,
        second: u64,
        calls: u32,
    }

    impl Api {
        fn takes(&mut self, passed: Duration) -> bool {
            let second = passed.as_secs();
            if second != self.second {
                (self.second, self.calls) = (second, 0);
            }
            self.calls += 1;
            self.calls <= self.most
        }
    }

    /// At the least rate there is.
    fn throttled() -> (Throttle, Instant) {
        let (mut throttle, start) = (Throttle::new(), Instant::now());
        let now = start + Duration::from_secs(2);
        throttle.refused(start, start);
        throttle.refused(now, now);
        assert_eq!(throttle.rate, Some(LEAST));
        (throttle, now)
    }

    /// Calls for so long, always with another waiting; gives how many were taken and refused after
    /// the first ten seconds.
    fn run(time: Duration, mut takes: impl FnMut(Duration) -> bool) -> (u32, u32) {
        let start = Instant::now();
        let (mut throttle, mut now) = (Throttle::new(), start);
        let (mut taken, mut refused) = (0, 0);
        while now - start < time {
            if let Err(next) = throttle.admit(Class::Pass, now) {
                now = next;
                continue;
            }
            let counts = now - start >= Duration::from_secs(10);
            if takes(now - start) {
                throttle.taken(now);
                taken += u32::from(counts);
            } else {
                throttle.refused(now, now);
                refused += u32::from(counts);
                // The gate's own pause.
                now += Duration::from_secs(1);
            }
            now += Duration::from_millis(1);
        }
        (taken, refused)
    }

    #[test]
    fn few_calls_are_refused_and_most_of_what_may_be_is_made() {
        for most in [1, 10, 100] {
            let mut api = Api {
                most,
                ..Api::default()
            };
            let (taken, refused) = run(Duration::from_secs(1210), |passed| api.takes(passed));
            let possible = f64::from(most) * 1200.0;
            let used = f64::from(taken) / possible;
            let share = f64::from(refused) / f64::from(taken + refused);
            assert!(used > 0.7, "{most} a second: {used:.2} of what may be");
            assert!(share < 0.015, "{most} a second: {share:.4} refused");
        }
    }

    #[test]
    fn refusals_that_have_nothing_to_do_with_the_rate_do_not_slow_us_down_for_long() {
        let mut calls = 0;
        let (taken, refused) = run(Duration::from_mins(5), |_| {
            calls += 1;
            calls % 10 != 0
        });
        // Each costs the gate's pause of a second, whatever is done here.
        let share = f64::from(refused) / f64::from(taken + refused);
        assert!((share - 0.1).abs() < 0.02, "{share}");
        assert!(taken > 5 * 290, "{taken} in 290 s");
    }

    #[test]
    fn nothing_is_held_back_before_a_refusal_and_long_after() {
        let now = Instant::now();
        let mut throttle = Throttle::new();
        for _ in 0..1000 {
            assert_eq!(throttle.admit(Class::Routine, now), Ok(()));
        }
        throttle.refused(now, now);
        assert_eq!(throttle.admit(Class::Routine, now), Ok(()), "one by itself");
        let now = now + Duration::from_secs(5);
        throttle.refused(now, now);
        let next = throttle.admit(Class::Routine, now).unwrap_err();
        assert_eq!(throttle.admit(Class::Routine, next), Ok(()));
        assert!(throttle.admit(Class::Routine, next).is_err());
        for _ in 0..2 {
            let later = now + FORGET;
            assert_eq!(throttle.admit(Class::Routine, later), Ok(()));
        }
    }

    #[test]
    fn a_volley_that_is_refused_counts_once() {
        let now = Instant::now();
        let mut throttle = Throttle::new();
        throttle.refused(now, now);
        let later = now + Duration::from_secs(2);
        for _ in 0..100 {
            throttle.taken(later);
        }
        for _ in 0..50 {
            throttle.refused(later, later);
        }
        assert_eq!(throttle.rate, Some(100.0 * DECREASE));
    }

    #[test]
    fn who_takes_back_goes_first_and_the_poller_is_not_forgotten() {
        use Class::{Routine, Urgent};
        let (mut throttle, now) = throttled();
        for class in [Class::Routine, Class::Pass, Class::Urgent] {
            throttle.begin_waiting(class);
        }
        let (mut at, mut order) = (now, Vec::new());
        while order.len() < 8 {
            at += Duration::from_secs(2);
            for class in [Class::Routine, Class::Pass, Class::Urgent] {
                if throttle.admit(class, at).is_ok() {
                    order.push(class);
                }
            }
        }
        let expected = [
            Urgent, Urgent, Urgent, Routine, Urgent, Urgent, Urgent, Routine,
        ];
        assert_eq!(order, expected);
        throttle.end_waiting(Class::Urgent);
        assert_eq!(
            throttle.admit(Class::Pass, at + Duration::from_secs(2)),
            Ok(())
        );
    }

    #[test]
    fn how_long_an_urgent_call_would_wait_is_told() {
        assert_eq!(Throttle::new().wait(Instant::now()), Duration::ZERO);
        let (mut throttle, now) = throttled();
        for _ in 0..5 {
            throttle.begin_waiting(Class::Urgent);
        }
        assert_eq!(throttle.wait(now), Duration::from_secs(2 + 10));
    }
}
