//! What is particular to the requests of the admin API: they are listed user by user, without a
//! second page, and a list that is refused or cut short proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use apono_client::RequestId;
use jiff::Timestamp;
use tokio::time::Instant;

use super::follow::GATHER;
use super::looking::answers;
use super::{Evidence, Knowledge, Suspect};
use crate::crd::RemoteApi;
use crate::poller::cadence::{CLOSE_WATCH, Tier};
use crate::poller::record::Group;
use crate::poller::{Look, ResourceKey};

const API: RemoteApi = RemoteApi::AdminV3;
/// A list that was refused is asked for again after this long; until then ids are read one by one.
const REFUSED_REST: Duration = Duration::from_mins(10);
/// Who reads an id by himself keeps others from it for so long: longer than a call may take.
const LEASE: Duration = Duration::from_secs(15);

/// What is particular to the admin API.
#[derive(Debug, Default)]
pub(super) struct Admin {
    /// The newest complete look at the list of each user.
    looks: BTreeMap<String, Look>,
    /// Why the list of a user cannot be looked at.
    troubles: BTreeMap<String, String>,
    /// Since when the list of a user is refused.
    refused: BTreeMap<String, Instant>,
}

/// An id that is due to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::poller) struct Due {
    pub(in crate::poller) id: RequestId,
    /// When it was asked for at the latest, if that is known.
    pub(in crate::poller) asked_at: Option<Timestamp>,
}

impl Knowledge {
    /// Since when ids wait that were never read and that nobody is about to read.
    pub(in crate::poller) fn admin_unread_since(&self) -> Option<Instant> {
        let group = (API, Group::Unread);
        let mut unread = self.groups.get(&group)?.iter();
        let is_waiting = unread.any(|id| !self.suspects.contains_key(id));
        let since = self.stirred.get(&group).filter(|_| is_waiting)?;
        Some(*since + GATHER)
    }

    /// What is to be read now in these tiers, by the user whose it is.
    pub(in crate::poller) fn admin_due(
        &self,
        tiers: &[Tier],
        now: Instant,
    ) -> BTreeMap<Option<String>, Vec<Due>> {
        let groups = tiers.iter().map(|tier| Group::Tier(*tier));
        let grouped = groups
            .chain([Group::Unread])
            .filter_map(|group| self.groups.get(&(API, group)))
            .flatten();
        // What something was just asked of moves, wherever it was.
        let is_close = tiers.contains(&Tier::Moving);
        let hastened = self
            .hastened
            .iter()
            .filter(|(_, since)| is_close && now.duration_since(**since) < CLOSE_WATCH)
            .map(|(id, _)| id);
        let ids: BTreeSet<&RequestId> = grouped.chain(hastened).collect();
        let mut due: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for id in ids {
            let Some(record) = self.records.get(id) else {
                continue;
            };
            let is_over = record.snapshot.is_some() && record.tier().is_none();
            let is_ours = record.route == API && !record.owners.is_empty();
            if !is_ours || is_over || self.suspects.contains_key(id) {
                continue;
            }
            let admin = record.admin.as_ref();
            due.entry(admin.map(|admin| admin.user.clone()))
                .or_default()
                .push(Due {
                    id: id.clone(),
                    asked_at: admin.and_then(|admin| admin.asked_at),
                });
        }
        due
    }

    /// The list of a user was asked for and should have shown these.
    pub(in crate::poller) fn end_admin_list(
        &mut self,
        ids: &[Due],
        (began, is_complete): (Timestamp, bool),
        now: Instant,
    ) {
        let evidence = Arc::new(Evidence {
            api: API,
            // What nobody follows is forgotten by age alone: the lists of other users say nothing
            // of it.
            tiers: Vec::new(),
            began,
            filter: Vec::new(),
            shown: BTreeSet::new(),
            is_complete,
        });
        self.forget_loose(&evidence);
        for due in ids {
            self.suspect(&due.id, began, &evidence, now);
        }
    }

    /// Whether the list of this user may be asked for.
    pub(in crate::poller) fn is_admin_listable(&self, user: &str, now: Instant) -> bool {
        let refused = self.admin.refused.get(user);
        refused.is_none_or(|since| now.duration_since(*since) >= REFUSED_REST)
    }

    /// The remote does not give the list of this user.
    pub(in crate::poller) fn refuse_admin_list(&mut self, user: &str, now: Instant) {
        let rest = |since: &Instant| now.duration_since(*since) < REFUSED_REST;
        self.admin.refused.retain(|_, since| rest(since));
        self.admin.refused.insert(user.to_owned(), now);
    }

    /// Takes an id to read it; false if somebody else is about to.
    pub(in crate::poller) fn lease(&mut self, id: &RequestId, now: Instant) -> bool {
        if self.suspects.contains_key(id) || !self.records.contains_key(id) {
            return false;
        }
        let suspect = Suspect {
            due: now + LEASE,
            is_swept_for: true,
            evidence: None,
        };
        self.suspects.insert(id.clone(), suspect);
        true
    }

    /// The users whose lists are to be looked at, and how far back each look must go.
    ///
    /// As far as for everything that is wanted of a user, answered or not: a look replaces the one
    /// before, and must not answer less.
    pub(in crate::poller) fn admin_horizons(&self) -> BTreeMap<String, Timestamp> {
        let open: BTreeSet<_> = self
            .open_wants(API)
            .filter_map(|want| want.user.clone())
            .collect();
        let mut horizons: BTreeMap<String, Timestamp> = BTreeMap::new();
        for ((api, _, _), want) in &self.wants {
            let Some(user) = want.user.as_ref().filter(|user| open.contains(*user)) else {
                continue;
            };
            if *api != API {
                continue;
            }
            let horizon = horizons.entry(user.clone()).or_insert(want.back_to);
            *horizon = want.back_to.min(*horizon);
        }
        horizons
    }

    /// The list of a user was looked at completely.
    pub(in crate::poller) fn end_admin_look(&mut self, user: &str, look: Look) {
        self.admin.looks.insert(user.to_owned(), look);
        let was_in_trouble = self.admin.troubles.remove(user).is_some();
        let mut told = BTreeSet::new();
        for ((api, key, _), want) in &mut self.wants {
            if *api != API || want.user.as_deref() != Some(user) {
                continue;
            }
            if !want.is_answered && answers(&look, want) {
                want.is_answered = true;
                told.insert(key.clone());
            } else if was_in_trouble {
                told.insert(key.clone());
            }
        }
        self.wake_all(told);
    }

    /// The list of a user cannot be looked at, or not completely: that proves nothing.
    pub(in crate::poller) fn fail_admin_look(&mut self, user: &str, why: &str) {
        let known = self.admin.troubles.insert(user.to_owned(), why.to_owned());
        if known.as_deref() == Some(why) {
            return;
        }
        let of_user: BTreeSet<ResourceKey> = self
            .wants
            .iter()
            .filter(|((api, _, _), want)| *api == API && want.user.as_deref() == Some(user))
            .map(|((_, key, _), _)| key.clone())
            .collect();
        self.wake_all(of_user);
    }

    /// What was looked at for nobody any more is forgotten.
    pub(in crate::poller) fn tidy_admin_looks(&mut self) {
        let wanted: BTreeSet<&String> = self
            .wants
            .iter()
            .filter(|((api, _, _), _)| *api == API)
            .filter_map(|(_, want)| want.user.as_ref())
            .collect();
        self.admin.looks.retain(|user, _| wanted.contains(user));
        self.admin.troubles.retain(|user, _| wanted.contains(user));
    }

    /// The newest look at the list of a user.
    pub(super) fn admin_look(&self, user: Option<&String>) -> Option<&Look> {
        self.admin.looks.get(user?)
    }

    /// Why the list of a user cannot be looked at.
    pub(super) fn admin_trouble(&self, user: Option<&String>) -> Option<String> {
        self.admin.troubles.get(user?).cloned()
    }

    /// What was seen under another token proves nothing under this one.
    pub(super) fn drop_admin(&mut self) {
        self.admin = Admin::default();
    }
}
