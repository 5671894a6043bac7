//! Following ids by sweeps: when a tier is due, what a sweep should have shown and did not, and the
//! planned ends. What was not shown is suspected; it is never taken for gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use apono_client::RequestId;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Knowledge, Suspect};
use crate::crd::RemoteApi;
use crate::poller::cadence::{BURST, CLOSE_WATCH, Stake, Tier, confirm_gap};
use crate::poller::record::Group;
use crate::poller::words::Words;

/// New ids are gathered for so long before they are read: after a restart they come in thousands.
pub(super) const GATHER: Duration = Duration::from_millis(250);
/// Where they keep coming, as after a start with thousands, this long: what is declared while the
/// sweep is under way was kept by it for its mark, and is there already.
const GATHER_AT_MOST: Duration = Duration::from_secs(1);
/// An id that was hastened is expected on the short list this soon.
const SOON: Duration = Duration::from_millis(200);
/// What has failed and was asked to move is read twice: soon, and once more when a remote that acts
/// late has had its time.
pub(super) const SETTLED: Duration = Duration::from_secs(20);
/// A request that nobody follows is kept for so long after it was last seen.
const LOOSE_KEPT: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

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
        let Some(id) = self.known(id) else {
            return;
        };
        let Some(record) = self.records.get_mut(&id) else {
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
            self.suspects.insert(id.clone(), suspect);
        }
        self.hastened.insert(id, now);
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
            opened: self.opened.get(&group).copied(),
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
                stake.opened = stake.opened.or(Some(newest));
                stake.bursts = self.bursts.iter().copied().collect();
            }
        }
        stake
    }

    /// From when on a list that was never swept is to be: at once if it is to be swept ahead, else when
    /// the ids that were never read have gathered.
    pub(in crate::poller) fn first_sweep_due(
        &self,
        api: RemoteApi,
        now: Instant,
    ) -> Option<Instant> {
        if self.is_to_sweep_ahead(api) {
            return Some(now);
        }
        let group = (api, Group::Unread);
        if self.swept.contains(&api) || !self.groups.contains_key(&group) {
            return None;
        }
        let quiet = self.stirred.get(&group).map(|since| *since + GATHER);
        let full = self.opened.get(&group).map(|since| *since + GATHER_AT_MOST);
        quiet.into_iter().chain(full).min()
    }

    /// A list was swept of all that is not over; says whether what it did not show is to be read by
    /// itself.
    fn end_first_sweep(&mut self, evidence: &Evidence) -> bool {
        let is_proof = !self.is_to_sweep_ahead(evidence.api) || self.end_sweep_ahead(evidence);
        if is_proof {
            self.swept.insert(evidence.api);
        }
        is_proof
    }

    /// An id that was never read is swept for, once; on a list that was swept it is read by id.
    pub(super) fn expect_unread(&mut self, id: &RequestId, group: (RemoteApi, Group)) {
        if group.1 == Group::Unread && self.swept.contains(&group.0) {
            let suspect = Suspect {
                due: Instant::now() + GATHER,
                is_swept_for: false,
                evidence: None,
            };
            self.suspects.insert(id.clone(), suspect);
        }
    }

    /// The ids that are followed and stand in one of these words.
    #[cfg(feature = "ablation")]
    pub(in crate::poller) fn ids_in(&self, words: &[String]) -> Vec<String> {
        let stands_in = |record: &crate::poller::record::Record| {
            let snapshot = record.snapshot.as_ref();
            let word = snapshot.map(|it| it.request.status.word());
            word.is_some_and(|word| words.iter().any(|one| one == word))
        };
        let followed = self.records.iter();
        let followed = followed.filter(|(_, it)| !it.owners.is_empty() && stands_in(it));
        followed.map(|(id, _)| id.to_string()).collect()
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
        let mut expected: BTreeSet<RequestId> = BTreeSet::new();
        for tier in &evidence.tiers {
            expected.extend(
                self.groups
                    .get(&(api, Group::Tier(*tier)))
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
        }
        if is_first && self.end_first_sweep(&evidence) {
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

    pub(super) fn suspect(
        &mut self,
        id: &RequestId,
        began: Timestamp,
        evidence: &Arc<Evidence>,
        now: Instant,
    ) {
        let Some(record) = self.records.get(id) else {
            return;
        };
        let is_over = record.snapshot.is_some() && record.tier().is_none();
        let is_elsewhere = record.route != evidence.api || record.owners.is_empty();
        if is_over || is_elsewhere || record.absence.is_some() || record.checked_at() >= Some(began)
        {
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
        let suspect = self.suspects.entry(id.clone()).or_insert(fresh);
        suspect.evidence = Some(Arc::clone(evidence));
    }

    /// What nobody follows and no sweep shows any more is not kept.
    pub(super) fn forget_loose(&mut self, evidence: &Evidence) {
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
                let is_wanted = record.nonces().any(|nonce| self.wanted.contains_key(nonce));
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

    /// The next planned end.
    pub(in crate::poller) fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Acts on the planned ends that have come: the owners hear of it, the ids are watched.
    /// Says whether there were any.
    pub(in crate::poller) fn reach_ends(&mut self, wall: Timestamp, now: Instant) -> bool {
        let mut has_ended = false;
        while let Some((end, id)) = self.ends.first().cloned() {
            if end > wall {
                break;
            }
            has_ended = true;
            self.ends.pop_first();
            if let Some(record) = self.records.get_mut(&id) {
                record.end_handled = Some(end);
                record.place.end = None;
                let owners = record.owners.clone();
                self.wake_all(owners);
            }
            self.hasten(&id, now);
        }
        has_ended
    }
}
