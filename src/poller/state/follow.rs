//! Following ids: when a tier is due, what a sweep should have shown and did not, and what is
//! then read by itself. "Not on a page" is never "gone": it is a reason to ask for the id.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Knowledge;
use crate::crd::RemoteApi;
use crate::poller::ResourceKey;
use crate::poller::cadence::{BURST, CLOSE_WATCH, Stake, Tier, confirm_gap, missing_gap};
use crate::poller::record::{Group, Record};
use crate::poller::words::Words;

/// New ids are gathered for so long before they are read: after a restart they come in thousands.
const GATHER: Duration = Duration::from_millis(250);
/// An id that was hastened is expected on the short list this soon.
const SOON: Duration = Duration::from_millis(200);
/// A list may lag behind by so much: what changed since then says nothing about the filter.
const LIST_LAG: jiff::SignedDuration = jiff::SignedDuration::from_secs(15);
/// A request that nobody follows is kept for so long after it was last seen.
const LOOSE_KEPT: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

/// An id that something should have shown and did not.
#[derive(Clone, Debug)]
pub(in crate::poller) struct Suspect {
    /// When it may be read by itself.
    pub(in crate::poller) due: Instant,
    /// Whether everything was already swept for it.
    pub(in crate::poller) is_swept_for: bool,
    /// The sweep that did not show it.
    pub(in crate::poller) evidence: Option<Arc<Evidence>>,
}

/// What a sweep asked for and was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::poller) struct Evidence {
    pub(in crate::poller) api: RemoteApi,
    pub(in crate::poller) tiers: Vec<Tier>,
    pub(in crate::poller) began: Timestamp,
    /// The words asked for; none means all.
    pub(in crate::poller) filter: Vec<String>,
    /// The words that came.
    pub(in crate::poller) shown: BTreeSet<String>,
    /// Whether it came to the end of the list.
    pub(in crate::poller) is_complete: bool,
}

impl Knowledge {
    /// Something was just asked of this id.
    pub(in crate::poller) fn hasten(&mut self, id: &str, now: Instant) {
        self.hastened
            .retain(|_, since| now.duration_since(*since) < CLOSE_WATCH);
        let Some(record) = self.records.get_mut(id) else {
            return;
        };
        record.confirms = 0;
        if record.snapshot.is_some() && record.tier().is_none() {
            // No list of what moves shows what has ended, so that it moves again after all (a
            // revoke that failed and is repeated) is only seen by reading it.
            let suspect = Suspect {
                due: now + SOON,
                is_swept_for: true,
                evidence: None,
            };
            self.suspects.insert(id.to_owned(), suspect);
        }
        self.hastened.insert(id.to_owned(), now);
        let longest = BURST.last().copied().unwrap_or_default();
        self.bursts
            .retain(|asked| now.duration_since(*asked) <= longest);
        // Asks within one step of each other share their bursts.
        if self
            .bursts
            .back()
            .is_none_or(|last| now.duration_since(*last) >= BURST[0])
        {
            self.bursts.push_back(now);
        }
    }

    /// What decides when this tier of this list is due.
    pub(in crate::poller) fn stake(&self, api: RemoteApi, tier: Tier, now: Instant) -> Stake {
        let group = (api, Group::Tier(tier));
        let mut stake = Stake {
            is_tracked: self.groups.contains_key(&group),
            stirred: self.stirred.get(&group).copied(),
            bursts: Vec::new(),
        };
        if tier == Tier::Moving {
            let hastened = self.hastened.iter().filter(|(id, since)| {
                let is_here = self.records.get(*id).is_some_and(|record| {
                    record.route == api && !record.owners.is_empty() && record.tier().is_some()
                });
                is_here && now.duration_since(**since) < CLOSE_WATCH
            });
            if let Some(newest) = hastened.map(|(_, since)| *since).max() {
                stake.is_tracked = true;
                stake.stirred = stake.stirred.max(Some(newest));
                stake.bursts = self.bursts.iter().copied().collect();
            }
        }
        stake
    }

    /// Since when ids wait that were never read, on a list that was never swept.
    pub(in crate::poller) fn unread_since(&self, api: RemoteApi) -> Option<Instant> {
        let group = (api, Group::Unread);
        if self.swept.contains(&api) || !self.groups.contains_key(&group) {
            return None;
        }
        self.stirred.get(&group).map(|since| *since + GATHER)
    }

    /// An id that was never read is swept for, once; on a list that was swept it is read by id.
    pub(super) fn expect_unread(&mut self, id: &str, group: (RemoteApi, Group)) {
        if group.1 == Group::Unread && self.swept.contains(&group.0) {
            let suspect = Suspect {
                due: Instant::now() + GATHER,
                is_swept_for: false,
                evidence: None,
            };
            self.suspects.insert(id.to_owned(), suspect);
        }
    }

    /// The words to filter these tiers of a list by.
    pub(in crate::poller) fn filter(&self, api: RemoteApi, tiers: &[Tier]) -> Vec<String> {
        self.words
            .get(&api)
            .cloned()
            .unwrap_or_default()
            .filter(tiers)
    }

    /// What is known of the words of a list.
    pub(in crate::poller) fn words(&mut self, api: RemoteApi) -> &mut Words {
        self.words.entry(api).or_default()
    }

    /// Whether a sweep that began then has shown everything tracked in these tiers.
    pub(in crate::poller) fn has_all(
        &self,
        api: RemoteApi,
        tiers: &[Tier],
        began: Timestamp,
    ) -> bool {
        let unread = (tiers.len() == Tier::ALL.len()).then_some(Group::Unread);
        let groups = tiers.iter().map(|tier| Group::Tier(*tier)).chain(unread);
        groups
            .filter_map(|group| self.groups.get(&(api, group)))
            .flatten()
            .filter_map(|id| self.records.get(id))
            .all(|record| record.is_hidden || record.checked_at() >= Some(began))
    }

    /// A sweep ended: what it should have shown and did not is to be read by itself.
    pub(in crate::poller) fn end_sweep(&mut self, evidence: Evidence, now: Instant) {
        let (api, began) = (evidence.api, evidence.began);
        let is_first = evidence.tiers.len() == Tier::ALL.len();
        let mut expected: BTreeSet<String> = BTreeSet::new();
        for tier in &evidence.tiers {
            expected.extend(
                self.groups
                    .get(&(api, Group::Tier(*tier)))
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
        }
        if is_first {
            self.swept.insert(api);
            expected.extend(
                self.groups
                    .get(&(api, Group::Unread))
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
        }
        if evidence.tiers.contains(&Tier::Moving) {
            let soon = self
                .hastened
                .iter()
                .filter(|(_, since)| now.duration_since(**since) >= SOON);
            expected.extend(soon.map(|(id, _)| id.clone()));
        }
        if evidence.is_complete {
            self.forget_loose(&evidence);
        }
        let evidence = Arc::new(evidence);
        for id in expected {
            self.suspect(&id, began, &evidence, now);
        }
    }

    fn suspect(&mut self, id: &str, began: Timestamp, evidence: &Arc<Evidence>, now: Instant) {
        let Some(record) = self.records.get(id) else {
            return;
        };
        let is_over = record.snapshot.is_some() && record.tier().is_none();
        if is_over || record.absence.is_some() || record.checked_at() >= Some(began) {
            return;
        }
        let rested = record
            .confirmed_at
            .map(|at| at + confirm_gap(record.confirms));
        let due = rested.map_or(now, |rested| rested.max(now));
        let is_swept_for = record.is_hidden || evidence.filter.is_empty();
        let fresh = Suspect {
            due,
            is_swept_for,
            evidence: None,
        };
        let suspect = self.suspects.entry(id.to_owned()).or_insert(fresh);
        suspect.evidence = Some(Arc::clone(evidence));
    }

    /// What nobody follows and no sweep shows any more is not kept.
    fn forget_loose(&mut self, evidence: &Evidence) {
        let gone: Vec<_> = self
            .loose
            .iter()
            .filter(|id| {
                let Some(record) = self.records.get(*id) else {
                    return true;
                };
                let Some(checked) = record.checked_at() else {
                    return true;
                };
                let is_wanted = record
                    .answered
                    .iter()
                    .chain(record.mark.as_ref().map(|mark| &mark.nonce))
                    .any(|nonce| self.wanted.contains_key(nonce));
                let was_expected = record.route == evidence.api
                    && record
                        .tier()
                        .is_some_and(|tier| evidence.tiers.contains(&tier));
                let is_old = checked + LOOSE_KEPT < evidence.began;
                !is_wanted && checked < evidence.began && (was_expected || is_old)
            })
            .cloned()
            .collect();
        for id in gone {
            self.forget(&id);
        }
    }

    /// When the next suspect may be read.
    pub(in crate::poller) fn suspects_due(&self) -> Option<Instant> {
        self.suspects.values().map(|suspect| suspect.due).min()
    }

    /// The suspects that may be read now: their routes, and whether all was swept for them.
    pub(in crate::poller) fn due_suspects(&self, now: Instant) -> Vec<(String, RemoteApi, bool)> {
        let due = self
            .suspects
            .iter()
            .filter(|(_, suspect)| suspect.due <= now);
        due.filter_map(|(id, suspect)| {
            Some((
                id.clone(),
                self.records.get(id)?.route,
                suspect.is_swept_for,
            ))
        })
        .collect()
    }

    /// Whether one of these is still to be shown by a sweep that began then.
    pub(in crate::poller) fn is_any_open(&self, ids: &[String], began: Timestamp) -> bool {
        ids.iter()
            .filter_map(|id| self.records.get(id))
            .any(|record| record.checked_at() < Some(began))
    }

    /// Everything was swept for these; what is left is read by itself.
    pub(in crate::poller) fn swept_for(&mut self, ids: &[String]) {
        for id in ids {
            if let Some(suspect) = self.suspects.get_mut(id) {
                suspect.is_swept_for = true;
            }
        }
    }

    /// Before a single read: what is suspected, to be judged by what the read says.
    pub(in crate::poller) fn open_suspect(&mut self, id: &str) -> Option<(RemoteApi, Suspect)> {
        let route = self.records.get(id)?.route;
        Some((route, self.suspects.get(id)?.clone()))
    }

    /// After a single read that found it: whether the sweep that did not show it is to blame.
    pub(in crate::poller) fn judge(&mut self, id: &str, suspect: &Suspect, now: Instant) {
        self.suspects.remove(id);
        let Some(record) = self.records.get_mut(id) else {
            return;
        };
        record.confirmed_at = Some(now);
        record.confirms = record.confirms.saturating_add(1);
        let Some(evidence) = &suspect.evidence else {
            return;
        };
        if !is_hidden_from(record, evidence) {
            return;
        }
        let words = self.words.entry(evidence.api).or_default();
        if !evidence.filter.is_empty() {
            if !record.is_hidden {
                words.strike(id);
            }
        } else if evidence.is_complete {
            record.is_hidden = true;
            words.acquit(id);
        }
    }

    /// A single read failed for its own reasons.
    pub(in crate::poller) fn postpone(&mut self, id: &str, now: Instant) {
        if let Some(record) = self.records.get_mut(id) {
            record.confirmed_at = Some(now);
            record.confirms = record.confirms.saturating_add(1);
            let due = now + confirm_gap(record.confirms);
            if let Some(suspect) = self.suspects.get_mut(id) {
                suspect.due = due;
            }
        }
    }

    /// Every route answered 404 to this id. Returns whom that concerns.
    pub(in crate::poller) fn miss(
        &mut self,
        id: &str,
        asked_at: Timestamp,
        now: Instant,
    ) -> BTreeSet<ResourceKey> {
        let Some(record) = self.records.get_mut(id) else {
            return BTreeSet::new();
        };
        let counts = record.miss(asked_at);
        let times = record.absence.map_or(0, |absence| absence.times);
        let concerned = if counts {
            record.owners.clone()
        } else {
            BTreeSet::new()
        };
        let due = now + missing_gap(times);
        self.hastened.remove(id);
        self.suspects.insert(
            id.to_owned(),
            Suspect {
                due,
                is_swept_for: true,
                evidence: None,
            },
        );
        self.settle(id);
        concerned
    }

    /// The next planned end.
    pub(in crate::poller) fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Acts on the planned ends that have come: the owners hear of it, the ids are watched.
    pub(in crate::poller) fn reach_ends(&mut self, wall: Timestamp, now: Instant) {
        while let Some((end, id)) = self.ends.first().cloned() {
            if end > wall {
                return;
            }
            self.ends.pop_first();
            if let Some(record) = self.records.get_mut(&id) {
                record.end_handled = Some(end);
                record.place.end = None;
                let owners = record.owners.clone();
                self.wake_all(owners);
            }
            self.hasten(&id, now);
        }
    }

    /// The ids that are missing and the token whose fault that might be is not known.
    pub(super) fn is_any_missing(&self) -> bool {
        self.groups
            .keys()
            .any(|(_, group)| *group == Group::Missing)
    }

    /// Another token: what was missing under the one before is unknown again.
    pub(super) fn drop_absences(&mut self, now: Instant) {
        let missing: BTreeSet<String> = self
            .groups
            .iter()
            .filter(|((_, group), _)| *group == Group::Missing)
            .flat_map(|(_, ids)| ids.iter().cloned())
            .collect();
        for id in missing {
            if let Some(record) = self.records.get_mut(&id) {
                record.absence = None;
                record.confirms = 0;
                let owners = record.owners.clone();
                self.wake_all(owners);
            }
            self.settle(&id);
            let suspect = Suspect {
                due: now,
                is_swept_for: false,
                evidence: None,
            };
            self.suspects.insert(id, suspect);
        }
    }
}

/// Whether the sweep should have shown the record as it is now: it was in that state long before,
/// and the sweep asked for its word and was given not one request of that word.
fn is_hidden_from(record: &Record, evidence: &Evidence) -> bool {
    let Some(snapshot) = &record.snapshot else {
        return false;
    };
    let word = snapshot.request.status.word();
    let was_asked = evidence.filter.is_empty() || evidence.filter.iter().any(|asked| asked == word);
    let is_shown = !evidence.filter.is_empty() && evidence.shown.contains(word);
    let is_settled = record.settled + LIST_LAG <= evidence.began;
    record.tier().is_some() && was_asked && is_settled && !is_shown
}
