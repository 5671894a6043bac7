//! Which words a list is filtered by. The API fixes neither its words nor their case, so they are
//! learned verbatim from its answers; and a filter that hides what it should show is not used
//! again. Pure; one per list.

use std::collections::{BTreeMap, BTreeSet};

use apono_client::{State, Status};

use super::cadence::Tier;

/// So many spellings of one state are no spellings: the filter would be longer than the list.
const MANY_SPELLINGS: usize = 16;
/// So many sweeps that hid something are no accident.
const STRIKES: u32 = 2;

/// What is known of the words of one list.
#[derive(Clone, Debug)]
pub(super) struct Words {
    seen: BTreeMap<State, BTreeSet<String>>,
    may_guess: bool,
    is_trusted: bool,
    strikes: u32,
    blamed: Option<String>,
}

impl Default for Words {
    fn default() -> Self {
        Self {
            seen: BTreeMap::new(),
            may_guess: true,
            is_trusted: true,
            strikes: 0,
            blamed: None,
        }
    }
}

impl Words {
    /// Takes a word as an answer spells it.
    pub(super) fn learn(&mut self, status: &Status) {
        if status.state().is_terminal() {
            return;
        }
        let spellings = self.seen.entry(status.state()).or_default();
        if spellings.len() <= MANY_SPELLINGS && !spellings.contains(status.word()) {
            spellings.insert(status.word().to_owned());
        }
    }

    /// The filter for these tiers; empty means that the list is read without one.
    pub(super) fn filter(&self, tiers: &[Tier]) -> Vec<String> {
        if !self.is_trusted {
            return Vec::new();
        }
        let mut words = BTreeSet::new();
        for state in tiers.iter().flat_map(|tier| tier.states()) {
            let spellings = self.seen.get(state);
            if spellings.is_some_and(|spellings| spellings.len() > MANY_SPELLINGS) {
                return Vec::new();
            }
            words.extend(spellings.into_iter().flatten().cloned());
            if self.may_guess && *state != State::Unknown {
                words.insert(state.as_str().to_owned());
            }
        }
        words.into_iter().collect()
    }

    /// The list refuses the filter and can be read without: it wants no words that it never used
    /// itself, or if there were none of these no filter at all.
    pub(super) fn refuse(&mut self) {
        self.is_trusted &= self.may_guess;
        self.may_guess = false;
    }

    /// A filtered sweep hid this request although it asked for its word.
    pub(super) fn strike(&mut self, id: &str) {
        self.strikes += 1;
        if self.strikes >= STRIKES && self.is_trusted {
            self.is_trusted = false;
            self.blamed = Some(id.to_owned());
        }
    }

    /// The list hides this request even without a filter: that was not the filter's fault.
    pub(super) fn acquit(&mut self, id: &str) {
        if self.blamed.as_deref() == Some(id) {
            self.is_trusted = true;
            self.strikes = 0;
            self.blamed = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_filter_is_a_guess_and_every_spelling_is_added() {
        let mut words = Words::default();
        assert_eq!(words.filter(&[Tier::Waiting]), ["Pending", "PendingMFA"]);
        words.learn(&"PENDING".into());
        words.learn(&"Revoked".into());
        assert_eq!(
            words.filter(&[Tier::Waiting]),
            ["PENDING", "Pending", "PendingMFA"]
        );
        words.refuse();
        assert_eq!(words.filter(&[Tier::Waiting]), ["PENDING"]);
        assert!(words.filter(&[Tier::Live]).is_empty());
        words.refuse();
        assert!(words.filter(&[Tier::Waiting]).is_empty());
    }

    #[test]
    fn words_without_end_end_the_filter_of_their_tier_only() {
        let mut words = Words::default();
        for word in 0..100 {
            words.learn(&format!("Strange{word}").as_str().into());
        }
        assert!(words.filter(&[Tier::Moving]).is_empty());
        assert_eq!(words.filter(&[Tier::Live]), ["Active"]);
    }

    #[test]
    fn a_filter_is_dropped_at_the_second_strike_and_may_be_acquitted() {
        let mut words = Words::default();
        words.strike("a");
        assert!(!words.filter(&[Tier::Live]).is_empty());
        words.strike("a");
        assert!(words.filter(&[Tier::Live]).is_empty());
        words.acquit("b");
        assert!(words.filter(&[Tier::Live]).is_empty());
        words.acquit("a");
        assert!(!words.filter(&[Tier::Live]).is_empty());
    }
}
