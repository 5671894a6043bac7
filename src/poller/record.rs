//! What is known of one id, and which of two answers is the newer. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::cadence::Tier;
use super::few::Few;
use super::{Administered, Missing, ResourceKey, Sight, Snapshot};
use crate::crd::RemoteApi;
use crate::marker::{Mark, Nonce};

/// What is known of one id.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) absence: Option<Box<Absence>>,
    /// Who follows it.
    pub(super) owners: Few<ResourceKey>,
    /// Where it was found last, before that where it is expected.
    pub(super) route: RemoteApi,
    /// What the list of the admin API has to be asked with.
    pub(super) admin: Option<Arc<Administered>>,
    /// The POSTs whose answers named it.
    pub(super) answered: Few<Nonce>,
    /// Since when it is known to be in its state.
    pub(super) settled: Timestamp,
    /// Whether no list shows it although it can be read by id.
    pub(super) is_hidden: bool,
    /// How often in a row it was read by itself, and when last.
    pub(super) confirms: u32,
    pub(super) confirmed_at: Option<Instant>,
    /// The planned end that was acted on.
    pub(super) end_handled: Option<Timestamp>,
    /// Where the indexes hold it.
    pub(super) place: Place,
}

/// Where the indexes hold a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) group: Option<(RemoteApi, Group)>,
    pub(super) end: Option<Timestamp>,
}

/// How a tracked id is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// It was never read.
    Unread,
    /// By the sweeps of its tier.
    Tier(Tier),
    /// By id, until it is there again.
    Missing,
}

/// Every route answered 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Absence {
    pub(super) times: u32,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

impl Record {
    pub(super) fn new(route: RemoteApi) -> Self {
        Self {
            snapshot: None,
            absence: None,
            owners: Few::default(),
            route,
            admin: None,
            answered: Few::default(),
            settled: Timestamp::MIN,
            is_hidden: false,
            confirms: 0,
            confirmed_at: None,
            end_handled: None,
            place: Place::default(),
        }
    }

    /// The mark it bears.
    pub(super) fn mark(&self) -> Option<&Mark> {
        self.snapshot.as_ref()?.mark.as_ref()
    }

    /// The POSTs that it may be of: its own mark's, and those whose answers named it.
    pub(super) fn nonces(&self) -> impl Iterator<Item = &Nonce> {
        let marked = self.mark().map(|mark| &mark.nonce);
        self.answered.iter().chain(marked)
    }

    /// Where the indexes should hold it.
    pub(super) fn rightful_place(&self) -> Place {
        if self.owners.is_empty() {
            return Place::default();
        }
        let tier = self.tier();
        let group = if self.absence.is_some() {
            Some(Group::Missing)
        } else if self.snapshot.is_none() {
            Some(Group::Unread)
        } else {
            tier.map(Group::Tier)
        };
        let end = self
            .snapshot
            .as_ref()
            .filter(|_| tier == Some(Tier::Live))
            .and_then(|snapshot| {
                let reckoned = self.admin.as_ref().and_then(|admin| admin.ends_at);
                snapshot.request.revocation_date.or(reckoned)
            })
            .filter(|end| self.end_handled != Some(*end));
        Place {
            group: group.map(|group| (self.route, group)),
            end,
        }
    }

    /// The tier of its newest known state.
    pub(super) fn tier(&self) -> Option<Tier> {
        self.snapshot
            .as_ref()
            .and_then(|snapshot| Tier::of(snapshot.request.status.state()))
    }

    /// When the newest answer about it was asked for.
    pub(super) fn checked_at(&self) -> Option<Timestamp> {
        let seen = self.snapshot.as_ref().map(|snapshot| snapshot.asked_at);
        seen.max(self.absence.as_ref().map(|absence| absence.last))
    }

    /// What is known of it.
    pub(super) fn sight(&self) -> Sight {
        match (self.absence.as_deref().copied(), &self.snapshot) {
            (Some(Absence { times, first, last }), last_seen) => Sight::Missing(Missing {
                times,
                first,
                last,
                last_seen: last_seen.clone(),
            }),
            (None, Some(snapshot)) => Sight::Seen(Arc::clone(snapshot)),
            (None, None) => Sight::Unread,
        }
    }

    /// Takes an answer unless a newer one is known; says whether it told anything new.
    pub(super) fn see(&mut self, answer: Snapshot, now: Timestamp) -> Seen {
        if !self.is_news(&answer, now) {
            return Seen::Stale;
        }
        let was_absent = self.absence.take().is_some();
        self.route = answer.api;
        let old = self.snapshot.as_mut();
        let has_moved = |old: &Arc<Snapshot>| old.request.status != answer.request.status;
        if old.as_deref().is_none_or(has_moved) {
            self.settled = answer.asked_at;
            self.confirms = 0;
        }
        match old {
            // What is kept for hours stays where it is: every sweep shows it again.
            Some(old) if old.says_the_same(&answer) => {
                let old = Arc::make_mut(old);
                (old.api, old.asked_at) = (answer.api, answer.asked_at);
                if was_absent {
                    Seen::Changed
                } else {
                    Seen::Same
                }
            }
            _ => {
                self.snapshot = Some(Arc::new(answer));
                Seen::Changed
            }
        }
    }

    /// Of two answers the one asked for later counts; of two asked for at once the one that says
    /// it has ended. What claims to come from the future (the clock was set back) stands against
    /// nothing.
    fn is_news(&self, answer: &Snapshot, now: Timestamp) -> bool {
        if self
            .absence
            .as_ref()
            .is_some_and(|absence| answer.asked_at < absence.last && absence.last <= now)
        {
            return false;
        }
        let Some(known) = &self.snapshot else {
            return true;
        };
        if known.asked_at == answer.asked_at {
            let has_ended = known.request.status.state().is_terminal();
            return !has_ended || answer.request.status.state().is_terminal();
        }
        answer.asked_at > known.asked_at || known.asked_at > now
    }

    /// Takes that every route answered 404; says whether it counts.
    pub(super) fn miss(&mut self, asked_at: Timestamp) -> bool {
        if self.checked_at().is_some_and(|checked| checked >= asked_at) {
            return false;
        }
        let absence = self.absence.get_or_insert_with(|| {
            Box::new(Absence {
                times: 0,
                first: asked_at,
                last: asked_at,
            })
        });
        absence.times = absence.times.saturating_add(1);
        absence.last = asked_at;
        true
    }
}

/// What an answer told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is older than what is known.
    Stale,
    /// What is known still holds.
    Same,
    /// Something else than what was known.
    Changed,
}

#[cfg(test)]
mod tests {
    use apono_client::{AccessRequest, State};
    use proptest::prelude::*;

    use super::*;

    const STATES: [State; 4] = [
        State::Pending,
        State::Active,
        State::Revoking,
        State::Revoked,
    ];

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn answer(state: State, second: i64) -> Snapshot {
        let request: AccessRequest =
            serde_json::from_value(serde_json::json!({"id": "a", "status": state.as_str()}))
                .unwrap();
        Snapshot::new(request, RemoteApi::UserV4, at(second))
    }

    fn state(record: &Record) -> State {
        record.snapshot.as_ref().unwrap().request.status.state()
    }

    #[test]
    fn of_two_answers_at_once_the_end_stands() {
        let mut record = Record::new(RemoteApi::UserV4);
        record.see(answer(State::Revoked, 1), Timestamp::MAX);
        assert_eq!(
            record.see(answer(State::Active, 1), Timestamp::MAX),
            Seen::Stale
        );
        assert_eq!(
            record.see(answer(State::Active, 2), Timestamp::MAX),
            Seen::Changed
        );
    }

    #[test]
    fn what_is_said_again_stays_where_it_is_and_is_as_new_as_the_answer() {
        let mut record = Record::new(RemoteApi::UserV4);
        record.see(answer(State::Active, 1), Timestamp::MAX);
        let place = record.snapshot.as_ref().map(Arc::as_ptr);
        assert_eq!(
            record.see(answer(State::Active, 2), Timestamp::MAX),
            Seen::Same
        );
        let snapshot = record.snapshot.as_ref();
        assert_eq!(snapshot.map(Arc::as_ptr), place);
        assert_eq!(snapshot.unwrap().asked_at, at(2));
    }

    #[test]
    fn a_clock_set_back_does_not_blind_us() {
        let mut record = Record::new(RemoteApi::UserV4);
        record.see(answer(State::Active, 3_600), at(3_600));
        assert_eq!(
            record.see(answer(State::Revoked, 10), at(10)),
            Seen::Changed
        );
    }

    #[test]
    fn an_absence_ends_with_a_newer_sight_only() {
        let mut record = Record::new(RemoteApi::UserV4);
        record.see(answer(State::Active, 1), Timestamp::MAX);
        assert!(!record.miss(at(1)));
        assert!(record.miss(at(5)));
        assert!(!record.miss(at(5)));
        assert!(record.miss(at(20)));
        assert_eq!(
            record.see(answer(State::Active, 19), Timestamp::MAX),
            Seen::Stale
        );
        let Sight::Missing(missing) = record.sight() else {
            panic!()
        };
        assert_eq!(
            (missing.times, missing.first, missing.last),
            (2, at(5), at(20))
        );
        assert!(missing.last_seen.is_some());
        assert_eq!(
            record.see(answer(State::Active, 21), Timestamp::MAX),
            Seen::Changed
        );
        assert!(matches!(record.sight(), Sight::Seen(_)));
    }

    proptest! {
        #[test]
        fn an_older_answer_never_replaces_a_newer_one(
            answers in proptest::collection::vec((0..STATES.len(), 0_i64..10), 1..20),
        ) {
            let mut record = Record::new(RemoteApi::UserV4);
            for (state, second) in &answers {
                record.see(answer(STATES[*state], *second), Timestamp::MAX);
            }
            let newest = answers.iter().map(|(_, second)| *second).max().unwrap();
            let known = record.snapshot.as_ref().unwrap();
            prop_assert_eq!(known.asked_at, at(newest));
            let mut of_newest = answers.iter().filter(|(_, second)| *second == newest);
            let has_ended = of_newest.any(|(state, _)| STATES[*state].is_terminal());
            prop_assert_eq!(state(&record).is_terminal(), has_ended);
        }
    }
}
