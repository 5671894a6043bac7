//! Faults as data: what goes wrong, at which call, how often.
//!
//! This file decides which faults strike a call. It makes nothing go wrong itself.

use jiff::SignedDuration;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::routes::Distortion;

/// Whether the call is done all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// The fault strikes first: nothing is done.
    #[default]
    Before,
    /// The call is done, then the fault strikes.
    After,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// This status instead of the real one.
    Answer {
        /// The status.
        status: u16,
        /// A `Retry-After` header.
        #[serde(default)]
        retry_after: Option<String>,
        /// The body; absent: one that fits the status.
        #[serde(default)]
        body: Option<String>,
        /// Whether the call is done.
        #[serde(default)]
        when: When,
    },
    /// The connection breaks before any answer.
    Drop {
        /// Whether the call is done.
        #[serde(default)]
        when: When,
    },
    /// There is never an answer.
    Hang {
        /// Whether the call is done.
        #[serde(default)]
        when: When,
    },
    /// The answer is late.
    Slow {
        /// By how much.
        by: SignedDuration,
        /// Whether the call is done before the wait or after it.
        #[serde(default)]
        when: When,
    },
    /// The call is done; the answer is 200 with a body that is not JSON.
    Garbage,
    /// The call is done; the body ends in the middle.
    Truncate {
        /// True: it looks complete and is half a document. False: the connection breaks in it.
        #[serde(default)]
        complete: bool,
    },
    /// The call is done; the answer says to be of another type.
    ContentType {
        /// The type.
        content_type: String,
    },
    /// A create answers `[]`.
    EmptyArray {
        /// Whether it is done.
        #[serde(default)]
        when: When,
    },
    /// The call is done; blanks make the body at least this long.
    Oversize {
        /// The length in bytes.
        bytes: usize,
    },
    /// The call is not done; the answer leads elsewhere.
    Redirect {
        /// Where to.
        location: String,
        /// The status; absent: 302.
        #[serde(default = "found")]
        status: u16,
    },
    /// Later pages start at another item than they should.
    PageDrift {
        /// How many items too late (skips) or, negative, too early (repeats).
        by: i64,
    },
    /// New requests are missing from lists for a while.
    ListLag {
        /// For how long.
        by: SignedDuration,
    },
    /// Lists show statuses of some time ago.
    StaleList {
        /// How long ago.
        by: SignedDuration,
    },
}

const fn found() -> u16 {
    302
}

impl Action {
    /// Whether it can strike this call at all.
    const fn fits(&self, endpoint: Endpoint) -> bool {
        match self {
            Self::PageDrift { .. } => endpoint.is_paged(),
            Self::ListLag { .. } | Self::StaleList { .. } => endpoint.is_request_list(),
            Self::EmptyArray { .. } => endpoint.creates(),
            _ => true,
        }
    }

    /// Whether it takes the place of the answer, so that one call can have only one of them.
    const fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::Slow { .. }
                | Self::PageDrift { .. }
                | Self::ListLag { .. }
                | Self::StaleList { .. }
        )
    }

    /// Whether the call is done although this strikes.
    pub(crate) const fn lets_execute(&self) -> bool {
        match self {
            Self::Answer { when, .. }
            | Self::Drop { when }
            | Self::Hang { when }
            | Self::EmptyArray { when } => matches!(when, When::After),
            Self::Redirect { .. } => false,
            _ => true,
        }
    }
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// At which call; absent: at any.
    #[serde(default)]
    pub endpoint: Option<Endpoint>,
    /// What goes wrong.
    pub action: Action,
    /// How often it strikes; absent: for ever.
    #[serde(default)]
    pub times: Option<u64>,
    /// How likely it strikes a call it could strike.
    #[serde(default = "always")]
    pub probability: f64,
    /// How many calls it lets pass first.
    #[serde(default)]
    pub only_after: u64,
}

const fn always() -> f64 {
    1.0
}

impl Fault {
    /// Strikes the next call to anything, and every one after it.
    pub const fn new(action: Action) -> Self {
        Self {
            endpoint: None,
            action,
            times: None,
            probability: 1.0,
            only_after: 0,
        }
    }

    /// Only at this call.
    pub const fn at(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Only so often.
    pub const fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Only once.
    pub const fn once(self) -> Self {
        self.times(1)
    }

    /// Only after so many calls.
    pub const fn only_after(mut self, calls: u64) -> Self {
        self.only_after = calls;
        self
    }

    /// Only with this probability.
    pub const fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }
}

/// A fault that lies in wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Armed {
    /// Its number, for taking it back.
    pub id: u64,
    /// The fault.
    pub fault: Fault,
    /// How many calls it could have struck.
    pub seen: u64,
    /// How many it struck.
    pub struck: u64,
}

/// The faults that strike one call.
#[derive(Debug, Clone, Default)]
pub struct Strike {
    /// Takes the place of the answer.
    pub(crate) last: Option<Action>,
    /// How long to wait before the call is done.
    pub(crate) before: SignedDuration,
    /// How long to wait after it.
    pub(crate) after: SignedDuration,
    pub(crate) distortion: Distortion,
}

impl Strike {
    fn add(&mut self, action: &Action) {
        match action {
            Action::Slow {
                by,
                when: When::Before,
            } => self.before = self.before.saturating_add(*by),
            Action::Slow {
                by,
                when: When::After,
            } => self.after = self.after.saturating_add(*by),
            Action::PageDrift { by } => self.distortion.drift = *by,
            Action::ListLag { by } => self.distortion.lag = *by,
            Action::StaleList { by } => self.distortion.behind = *by,
            last => self.last = Some(last.clone()),
        }
    }
}

/// All faults that lie in wait.
#[derive(Debug)]
pub struct Faults {
    armed: Vec<Armed>,
    made: u64,
    rng: StdRng,
}

impl Faults {
    /// None, with this seed for the probabilities.
    pub fn new(seed: u64) -> Self {
        Self {
            armed: Vec::new(),
            made: 0,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Arms a fault and says its number.
    pub fn arm(&mut self, fault: Fault) -> u64 {
        self.made += 1;
        self.armed.push(Armed {
            id: self.made,
            fault,
            seen: 0,
            struck: 0,
        });
        self.made
    }

    /// All of them, spent ones included.
    pub fn all(&self) -> &[Armed] {
        &self.armed
    }

    /// Takes one back; false when there is none of this number.
    pub fn disarm(&mut self, id: u64) -> bool {
        let before = self.armed.len();
        self.armed.retain(|armed| armed.id != id);
        self.armed.len() < before
    }

    /// Takes all back.
    pub fn clear(&mut self) {
        self.armed.clear();
    }

    /// Which faults strike this call. Of those that replace the answer the earliest armed strikes.
    pub fn strike(&mut self, endpoint: Endpoint) -> Strike {
        let mut strike = Strike::default();
        for armed in &mut self.armed {
            let fault = &armed.fault;
            if fault.endpoint.is_some_and(|it| it != endpoint) || !fault.action.fits(endpoint) {
                continue;
            }
            armed.seen += 1;
            let taken = fault.action.is_final() && strike.last.is_some();
            let spent = fault.times.is_some_and(|times| armed.struck >= times);
            if armed.seen <= fault.only_after || spent || taken {
                continue;
            }
            if fault.probability >= 1.0 || self.rng.random::<f64>() < fault.probability {
                armed.struck += 1;
                strike.add(&fault.action);
            }
        }
        strike
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(faults: &mut Faults, endpoint: Endpoint, calls: usize) -> Vec<Option<u16>> {
        let mut strike = || match faults.strike(endpoint).last {
            Some(Action::Answer { status, .. }) => Some(status),
            _ => None,
        };
        (0..calls).map(|_| strike()).collect()
    }

    fn answer(status: u16) -> Fault {
        let when = When::Before;
        Fault::new(Action::Answer {
            status,
            retry_after: None,
            body: None,
            when,
        })
    }

    #[test]
    fn a_fault_lets_calls_pass_and_then_strikes_so_often() {
        let mut faults = Faults::new(1);
        faults.arm(answer(503).at(Endpoint::Get).only_after(1).times(2));
        assert_eq!(statuses(&mut faults, Endpoint::List, 1), [None]);
        let expected = [None, Some(503), Some(503), None];
        assert_eq!(statuses(&mut faults, Endpoint::Get, 4), expected);
    }

    #[test]
    fn of_two_final_faults_the_earlier_strikes_and_the_later_is_kept() {
        let mut faults = Faults::new(1);
        faults.arm(answer(500).once());
        faults.arm(answer(429).once());
        assert_eq!(
            statuses(&mut faults, Endpoint::Get, 3),
            [Some(500), Some(429), None]
        );
    }

    #[test]
    fn a_probability_gives_the_same_calls_for_the_same_seed() {
        let run = || {
            let mut faults = Faults::new(7);
            faults.arm(answer(500).probability(0.5));
            statuses(&mut faults, Endpoint::Get, 50)
        };
        assert_eq!(run(), run());
        assert!(run().contains(&None) && run().contains(&Some(500)));
    }
}
