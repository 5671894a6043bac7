//! When a tier is read next. Pure: times and counts in, a time out; no clock, no store.
//!
//! | tier | states | read |
//! | --- | --- | --- |
//! | moving | Initializing, Granting, Revoking, unknown words | 50, 100, 200, 400, 800 ms after something was asked, then every `fast`, decaying to 5 s |
//! | waiting | Pending, `PendingMFA` | every 5 s, decaying to `pending` |
//! | live | Active | every `active`; each planned end is an event of its own |
//!
//! # Why decay by age
//! The pause is a tenth of the time since the tier last gained a member: what just started is
//! watched closely, what hangs is not, and the cost of a thing grows with the logarithm of its
//! age.

use std::time::Duration;

use apono_client::State;
use tokio::time::Instant;

use super::Cadence;

/// When the short list is read after something was asked.
pub(super) const BURST: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];
/// How long an id is watched closely after something was asked of it.
pub(super) const CLOSE_WATCH: Duration = Duration::from_secs(30);
/// The slowest pace of what moves by itself.
const SLOWEST_MOVING: Duration = Duration::from_secs(5);
/// The quickest pace of what waits for people.
const QUICKEST_WAITING: Duration = Duration::from_secs(5);
/// A sweep of many pages is never more than one page for each of these.
const PAGE_PAUSE: Duration = Duration::from_millis(50);

/// What is at stake for a request, and so how often it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// It moves by itself.
    Moving,
    /// It waits for people.
    Waiting,
    /// It is granted.
    Live,
}

impl Tier {
    /// Every tier.
    pub(super) const ALL: [Self; 3] = [Self::Moving, Self::Waiting, Self::Live];

    /// The tier of a state; none when nothing will change any more.
    pub(super) fn of(state: State) -> Option<Self> {
        match state {
            State::Initializing | State::Granting | State::Revoking | State::Unknown => {
                Some(Self::Moving)
            }
            State::Pending | State::PendingMfa => Some(Self::Waiting),
            State::Active => Some(Self::Live),
            State::Revoked | State::Rejected | State::Failed => None,
        }
    }

    /// The states of the tier.
    pub(super) fn states(self) -> &'static [State] {
        match self {
            Self::Moving => &[
                State::Initializing,
                State::Granting,
                State::Revoking,
                State::Unknown,
            ],
            Self::Waiting => &[State::Pending, State::PendingMfa],
            Self::Live => &[State::Active],
        }
    }
}

/// What decides when one tier of one list is read next.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stake {
    /// Whether anything tracked is in the tier, or is expected to come into it.
    pub(super) is_tracked: bool,
    /// When the tier ceased to be empty.
    pub(super) opened: Option<Instant>,
    /// When the tier last gained a member, or something was last asked of one.
    pub(super) stirred: Option<Instant>,
    /// When something was asked, each within the last second or so.
    pub(super) bursts: Vec<Instant>,
}

/// When this tier is due, or never. `last` is when its last sweep began and how many pages it had.
pub(super) fn next(
    tier: Tier,
    cadence: &Cadence,
    stake: &Stake,
    last: Option<(Instant, u32)>,
    jitter: f64,
) -> Option<Instant> {
    if !stake.is_tracked {
        return None;
    }
    let (opened, stirred) = (stake.opened?, stake.stirred?);
    let began = last.map(|(began, _)| began);
    // Not from the newest member: a tier that always gains one would never be read.
    let from = began.map_or(opened, |began| began.max(opened));
    let routine = from + pause(tier, cadence, from.duration_since(stirred)).mul_f64(jitter);
    let burst = match tier {
        Tier::Moving => stake
            .bursts
            .iter()
            .filter_map(|asked| step(*asked, began))
            .min(),
        Tier::Waiting | Tier::Live => None,
    };
    let due = burst.map_or(routine, |burst| burst.min(routine));
    let floor = last.map(|(began, pages)| began + PAGE_PAUSE * pages);
    Some(floor.map_or(due, |floor| due.max(floor)))
}

/// The first step of a burst that no sweep has covered.
fn step(asked: Instant, last: Option<Instant>) -> Option<Instant> {
    let is_open = |at: &Instant| last.is_none_or(|last| *at > last);
    BURST.iter().map(|offset| asked + *offset).find(is_open)
}

fn pause(tier: Tier, cadence: &Cadence, age: Duration) -> Duration {
    let between =
        |quickest: Duration, slowest: Duration| (age / 10).min(slowest.max(quickest)).max(quickest);
    match tier {
        Tier::Moving => between(cadence.fast, SLOWEST_MOVING),
        Tier::Waiting => between(QUICKEST_WAITING.min(cadence.pending), cadence.pending),
        Tier::Live => cadence.active,
    }
}

/// How long to wait after so many failures in a row: 1 s doubling to 16 s. No longer, since a remote
/// that fails every second call makes long series of failures, and what is read here ages; one call
/// in 16 s is no burden even for a remote that is down.
pub(super) fn back_off(failures: u32, jitter: f64) -> Duration {
    let exponent = failures.saturating_sub(1).min(4);
    Duration::from_secs(1 << exponent).mul_f64(jitter)
}

/// How long to leave an id alone after it was read so often by itself, still being there.
pub(super) fn confirm_gap(confirms: u32) -> Duration {
    match confirms {
        0 => Duration::ZERO,
        _ => Duration::from_secs(1 << (confirms - 1).min(5)).min(Duration::from_secs(30)),
    }
}

/// How long to leave an id alone after it was missing so often. Three times span 30 s; after four
/// it is known well enough to be asked less and less.
pub(super) fn missing_gap(times: u32) -> Duration {
    match times {
        0..=3 => Duration::from_secs(15),
        _ => Duration::from_secs(15 << (times - 3).min(5)).min(Duration::from_mins(5)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CADENCE: Cadence = Cadence {
        fast: Duration::from_secs(1),
        pending: Duration::from_secs(30),
        active: Duration::from_mins(1),
    };

    fn due_after(tier: Tier, stirred: u64, last: u64) -> Duration {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let stake = Stake {
            is_tracked: true,
            opened: Some(start),
            stirred: Some(at(stirred)),
            bursts: vec![],
        };
        next(tier, &CADENCE, &stake, Some((at(last), 1)), 1.0).unwrap() - at(last)
    }

    #[test]
    fn nothing_tracked_is_never_due() {
        let stake = Stake {
            stirred: Some(Instant::now()),
            ..Stake::default()
        };
        for tier in Tier::ALL {
            assert_eq!(next(tier, &CADENCE, &stake, None, 1.0), None);
        }
    }

    #[test]
    fn a_tier_that_always_gains_a_member_is_read_all_the_same() {
        for (tier, limit) in [
            (Tier::Moving, 1_000),
            (Tier::Waiting, 5_000),
            (Tier::Live, 60_000),
        ] {
            assert!(due_after(tier, limit - 1, 10) <= Duration::from_millis(limit));
        }
    }

    #[test]
    fn every_live_state_has_exactly_one_tier() {
        for tier in Tier::ALL {
            for state in tier.states() {
                assert_eq!(Tier::of(*state), Some(tier));
            }
        }
        assert_eq!(Tier::of(State::Failed), None);
    }

    #[test]
    fn a_burst_is_read_at_its_steps_and_then_at_the_fast_pace() {
        let start = Instant::now();
        let stake = Stake {
            is_tracked: true,
            opened: Some(start),
            stirred: Some(start),
            bursts: vec![start],
        };
        let mut last = None;
        let mut offsets = Vec::new();
        for _ in 0..7 {
            let due = next(Tier::Moving, &CADENCE, &stake, last, 1.0).unwrap();
            offsets.push((due - start).as_millis());
            last = Some((due, 1));
        }
        assert_eq!(offsets, [50, 100, 200, 400, 800, 1800, 2800]);
    }

    #[test]
    fn a_stream_of_asks_costs_no_more_than_a_page_each_fifty_milliseconds() {
        let start = Instant::now();
        let bursts = (0..20)
            .map(|step| start + Duration::from_millis(step * 7))
            .collect();
        let stake = Stake {
            is_tracked: true,
            opened: Some(start),
            stirred: Some(start),
            bursts,
        };
        let due = next(Tier::Moving, &CADENCE, &stake, Some((start, 4)), 1.0).unwrap();
        assert_eq!(due - start, Duration::from_millis(200));
    }

    #[test]
    fn what_hangs_is_read_less_and_less() {
        assert_eq!(due_after(Tier::Moving, 0, 1_000), Duration::from_secs(1));
        assert_eq!(due_after(Tier::Moving, 0, 30_000), Duration::from_secs(3));
        assert_eq!(
            due_after(Tier::Moving, 0, 3_600_000),
            Duration::from_secs(5)
        );
        assert_eq!(due_after(Tier::Waiting, 0, 1_000), Duration::from_secs(5));
        assert_eq!(
            due_after(Tier::Waiting, 0, 3_600_000),
            Duration::from_secs(30)
        );
        assert_eq!(due_after(Tier::Live, 0, 3_600_000), Duration::from_mins(1));
    }

    #[test]
    fn pauses_double_to_their_limits() {
        let seconds: Vec<_> = (1..9).map(|n| back_off(n, 1.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 16, 16, 16]);
        let seconds: Vec<_> = (0..8).map(|n| confirm_gap(n).as_secs()).collect();
        assert_eq!(seconds, [0, 1, 2, 4, 8, 16, 30, 30]);
        let seconds: Vec<_> = (1..9).map(|n| missing_gap(n).as_secs()).collect();
        assert_eq!(seconds, [15, 15, 15, 30, 60, 120, 240, 300]);
    }
}
