//! What no sweep showed: when it may be read by itself, and what the read proves of it and of the
//! sweep. "Not on a page" is never "gone": only 404 on every route is counted, and that is not
//! judged here either.

use std::collections::BTreeSet;
use std::sync::Arc;

use apono_client::{RequestId, State};
use jiff::Timestamp;
use tokio::time::Instant;

use super::follow::SETTLED;
use super::{Evidence, Knowledge};
use crate::crd::RemoteApi;
use crate::poller::ResourceKey;
use crate::poller::cadence::{confirm_gap, missing_gap};
use crate::poller::few::Few;
use crate::poller::record::{Group, Record};

/// A list may lag behind by so much: what changed since then says nothing about the filter.
const LIST_LAG: jiff::SignedDuration = jiff::SignedDuration::from_secs(15);

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

impl Knowledge {
    /// When the next suspect may be read.
    pub(in crate::poller) fn suspects_due(&self) -> Option<Instant> {
        self.suspects.values().map(|suspect| suspect.due).min()
    }

    /// The suspects that may be read now: their routes, and whether all was swept for them.
    pub(in crate::poller) fn due_suspects(
        &self,
        now: Instant,
    ) -> Vec<(RequestId, RemoteApi, bool)> {
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
    pub(in crate::poller) fn is_any_open(&self, ids: &[RequestId], began: Timestamp) -> bool {
        ids.iter()
            .filter_map(|id| self.records.get(id))
            .any(|record| record.checked_at() < Some(began))
    }

    /// Everything was swept for these; what is left is read by itself.
    pub(in crate::poller) fn swept_for(&mut self, ids: &[RequestId]) {
        for id in ids {
            if let Some(suspect) = self.suspects.get_mut(id) {
                suspect.is_swept_for = true;
            }
        }
    }

    /// Before a single read: what is suspected, to be judged by what the read says.
    pub(in crate::poller) fn open_suspect(
        &mut self,
        id: &RequestId,
    ) -> Option<(RemoteApi, Suspect)> {
        let route = self.records.get(id)?.route;
        Some((route, self.suspects.get(id)?.clone()))
    }

    /// Gives a taken id back that could not be read, unless it is missing: then it stays suspected.
    pub(in crate::poller) fn give_back_unless_missing(&mut self, id: &RequestId) {
        let record = self.records.get(id);
        if record.is_none_or(|record| record.absence.is_none()) {
            self.suspects.remove(id);
        }
    }

    /// After a single read that found it: whether the sweep that did not show it is to blame.
    pub(in crate::poller) fn judge(&mut self, id: &RequestId, suspect: &Suspect, now: Instant) {
        self.suspects.remove(id);
        let Some(record) = self.records.get_mut(id) else {
            return;
        };
        record.confirmed_at = Some(now);
        record.confirms = record.confirms.saturating_add(1);
        let snapshot = record.snapshot.as_ref();
        let has_failed = snapshot.is_some_and(|it| it.request.status.state() == State::Failed);
        let settled_at = self.hastened.get(id).map(|since| *since + SETTLED);
        if has_failed && let Some(due) = settled_at.filter(|due| *due > now) {
            let again = Suspect {
                due,
                is_swept_for: true,
                evidence: None,
            };
            self.suspects.insert(id.clone(), again);
        }
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
    pub(in crate::poller) fn postpone(&mut self, id: &RequestId, now: Instant) {
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
        id: &RequestId,
        asked_at: Timestamp,
        now: Instant,
    ) -> Few<ResourceKey> {
        let Some(record) = self.records.get_mut(id) else {
            return Few::default();
        };
        let counts = record.miss(asked_at);
        let times = record.absence.as_ref().map_or(0, |absence| absence.times);
        let concerned = if counts {
            record.owners.clone()
        } else {
            Few::default()
        };
        let due = now + missing_gap(times);
        self.hastened.remove(id);
        self.suspects.insert(
            id.clone(),
            Suspect {
                due,
                is_swept_for: true,
                evidence: None,
            },
        );
        self.settle(id);
        concerned
    }

    /// The ids that are missing and the token whose fault that might be is not known.
    pub(super) fn is_any_missing(&self) -> bool {
        self.groups
            .keys()
            // Of whose token it is, the admin API says nothing.
            .any(|(api, group)| *group == Group::Missing && *api != RemoteApi::AdminV3)
    }

    /// Another token: what was missing under the one before is unknown again.
    pub(super) fn drop_absences(&mut self, now: Instant) {
        let missing: BTreeSet<RequestId> = self
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
