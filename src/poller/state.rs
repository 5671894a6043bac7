//! What the store holds and how its indexes are kept: records by id, who wants what, and which
//! ids are followed how. No IO and no locks; the lanes ask it what is due, and tell it what they
//! read.

mod admin;
mod answers;
mod follow;
mod foresight;
mod index;
mod looking;
mod standing;
mod steps;
mod suspects;
#[cfg(test)]
mod tests;
mod texts;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use apono_client::RequestId;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::admin::Admin;
pub(super) use self::admin::Due;
pub(super) use self::answers::Source;
pub(super) use self::follow::Evidence;
use self::foresight::Foresight;
use self::index::remove;
pub(super) use self::looking::Want;
pub(super) use self::standing::Lane;
use self::standing::{Identity, LaneHealth, Tenure};
pub(super) use self::suspects::Suspect;
use super::commons::Commons;
use super::few::Few;
use super::record::{Group, Record};
use super::words::Words;
use super::{Interest, Look, ResourceKey, View};
use crate::clock::Steps;
use crate::crd::RemoteApi;
use crate::marker::{Nonce, Origin};

/// Everything the store knows.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    pub(super) cluster: String,
    /// Counts the tokens: what was asked under another proves nothing.
    pub(super) epoch: u64,
    resources: BTreeMap<ResourceKey, Arc<Interest>>,
    records: HashMap<RequestId, Box<Record>>,
    commons: Commons,

    /// Which ids bear or answered a nonce, and who wants it.
    by_nonce: BTreeMap<Nonce, Few<RequestId>>,
    wanted: BTreeMap<Nonce, Few<ResourceKey>>,
    /// The nonces our own POSTs were answered for, until all they named is tracked.
    answered: BTreeMap<ResourceKey, Few<Nonce>>,
    /// Which ids bear a mark of an origin, and who is of it.
    by_origin: BTreeMap<Origin, Few<RequestId>>,
    cut_origins: BTreeMap<Origin, Few<RequestId>>,
    residents: BTreeMap<Origin, Few<ResourceKey>>,
    /// Ids that nobody follows.
    loose: BTreeSet<RequestId>,

    groups: BTreeMap<(RemoteApi, Group), BTreeSet<RequestId>>,
    /// When a group last ceased to be empty.
    opened: BTreeMap<(RemoteApi, Group), Instant>,
    /// When a group last gained an id.
    stirred: BTreeMap<(RemoteApi, Group), Instant>,
    ends: BTreeSet<(Timestamp, RequestId)>,
    hastened: BTreeMap<RequestId, Instant>,
    bursts: VecDeque<Instant>,
    suspects: BTreeMap<RequestId, Suspect>,
    /// The lists that were swept of all that is not over.
    swept: BTreeSet<RemoteApi>,
    foresight: Option<Foresight>,
    words: BTreeMap<RemoteApi, Words>,

    wants: BTreeMap<(RemoteApi, ResourceKey, Nonce), Want>,
    looks: BTreeMap<RemoteApi, Look>,
    /// Why the last look at a list came to nothing.
    look_faults: BTreeMap<RemoteApi, String>,
    /// The lists whose pages were seen to go in circles.
    pub(super) circles: BTreeSet<RemoteApi>,
    admin: Admin,

    identity: Identity,
    /// Which tokens were in use, and since when.
    tokens: Vec<Tenure>,
    lanes: BTreeMap<Lane, LaneHealth>,
    last_good: Option<Timestamp>,
    is_refused: bool,
    paused_until: Option<Instant>,

    steps: Steps,
    wake: Option<mpsc::UnboundedSender<ResourceKey>>,
    unsent: BTreeSet<ResourceKey>,
}

impl Knowledge {
    pub(super) fn new(cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            ..Self::default()
        }
    }

    /// Replaces what a resource wants to know; says whether that is anything else than before.
    pub(super) fn declare(&mut self, key: &ResourceKey, mut interest: Interest) -> bool {
        if self
            .resources
            .get(key)
            .is_some_and(|known| **known == interest)
        {
            return false;
        }
        self.slim(&mut interest);
        self.end_foresight(Instant::now());
        self.drop_foreign(&interest);
        let interest = Arc::new(interest);
        // Every pass names the resource anew.
        let held = self.resources.get_key_value(key);
        let held = held.map(|(held, _)| held.clone());
        let key = held.as_ref().unwrap_or(key);
        let old = self.resources.insert(key.clone(), Arc::clone(&interest));
        self.residents
            .entry(interest.origin.clone())
            .or_default()
            .insert(key.clone());
        for tracked in &interest.ids {
            let record = self
                .records
                .entry(tracked.id.clone())
                .or_insert_with(|| Box::new(Record::new(tracked.api)));
            record.owners.insert(key.clone());
            if tracked.admin.is_some() {
                record.admin.clone_from(&tracked.admin);
            }
            if record.snapshot.is_none() {
                record.route = tracked.api;
            }
            self.settle(&tracked.id);
        }
        for want in &interest.looks {
            self.want(key, want);
        }
        self.drop_known_answers(key, &interest);
        if let Some(old) = old {
            self.release(key, &old, Some(&interest));
        }
        true
    }

    /// Forgets a resource; says whether it was known.
    pub(super) fn withdraw(&mut self, key: &ResourceKey) -> bool {
        for nonce in self.answered.remove(key).unwrap_or_default() {
            self.unwant(key, &nonce);
        }
        let Some(old) = self.resources.remove(key) else {
            return false;
        };
        self.release(key, &old, None);
        true
    }

    /// Lets go of what was declared and is not any more.
    fn release(&mut self, key: &ResourceKey, old: &Interest, new: Option<&Interest>) {
        if new.is_none_or(|new| new.origin != old.origin) {
            remove(&mut self.residents, &old.origin, key);
        }
        for tracked in &old.ids {
            if new.is_some_and(|new| new.ids.iter().any(|kept| kept.id == tracked.id)) {
                continue;
            }
            if let Some(record) = self.records.get_mut(&tracked.id) {
                record.owners.remove(key);
                self.settle(&tracked.id);
            }
        }
        for want in &old.looks {
            let is_kept = |kept: &super::Wanted| kept.nonce == want.nonce && kept.api == want.api;
            if new.is_some_and(|new| new.looks.iter().any(is_kept)) {
                continue;
            }
            self.wants
                .remove(&(want.api, key.clone(), want.nonce.clone()));
            self.unwant(key, &want.nonce);
        }
    }

    /// The answers to our own POSTs are held until the resource tracks all they named.
    fn drop_known_answers(&mut self, key: &ResourceKey, interest: &Interest) {
        let Some(answered) = self.answered.get(key) else {
            return;
        };
        let is_tracked = |id: &RequestId| interest.ids.iter().any(|tracked| &tracked.id == id);
        let known: Vec<_> = answered
            .iter()
            .filter(|nonce| {
                self.by_nonce
                    .get(nonce)
                    .is_none_or(|ids| ids.iter().all(is_tracked))
            })
            .cloned()
            .collect();
        for nonce in known {
            remove(&mut self.answered, key, &nonce);
            self.unwant(key, &nonce);
        }
    }

    /// Nobody of this key wants the nonce any more, unless another of its reasons still holds.
    fn unwant(&mut self, key: &ResourceKey, nonce: &Nonce) {
        let is_answered = self
            .answered
            .get(key)
            .is_some_and(|nonces| nonces.contains(nonce));
        let is_declared = self
            .resources
            .get(key)
            .is_some_and(|interest| interest.looks.iter().any(|want| &want.nonce == nonce));
        if is_answered || is_declared {
            return;
        }
        remove(&mut self.wanted, nonce, key);
        for id in self.by_nonce.get(nonce).cloned().unwrap_or_default() {
            self.settle(&id);
        }
    }

    /// Puts a record where the indexes should hold it, or forgets it.
    fn settle(&mut self, id: &RequestId) {
        let Some(record) = self.records.get_mut(id) else {
            return;
        };
        let (old, new) = (record.place, record.rightful_place());
        record.place = new;
        if record.owners.is_empty() {
            self.loose.insert(id.clone());
        } else {
            self.loose.remove(id);
        }
        if old.end != new.end {
            if let Some(end) = old.end {
                self.ends.remove(&(end, id.clone()));
            }
            if let Some(end) = new.end {
                self.ends.insert((end, id.clone()));
            }
        }
        if old.group != new.group {
            if let Some(group) = old.group {
                remove(&mut self.groups, &group, id);
            }
            if let Some(group) = new.group {
                let members = self.groups.entry(group).or_default();
                members.insert(id.clone());
                let now = Instant::now();
                self.stirred.insert(group, now);
                if members.len() == 1 {
                    self.opened.insert(group, now);
                }
                self.expect_unread(id, group);
            }
        }
        if !self.is_kept(id) {
            self.forget(id);
        }
    }

    /// Whether somebody wants to know, or would have to.
    fn is_kept(&self, id: &RequestId) -> bool {
        let Some(record) = self.records.get(id) else {
            return false;
        };
        let is_ours = record.mark().is_some_and(|mark| {
            mark.origin.is_of_cluster(&self.cluster)
                || mark.is_cut && self.cluster.starts_with(mark.origin.as_str())
        });
        !record.owners.is_empty()
            || record.nonces().any(|nonce| self.wanted.contains_key(nonce))
            || is_ours && record.tier().is_some()
    }

    fn forget(&mut self, id: &RequestId) {
        let Some(record) = self.records.remove(id) else {
            return;
        };
        for nonce in record.nonces() {
            remove(&mut self.by_nonce, nonce, id);
        }
        if let Some(mark) = record.mark() {
            remove(&mut self.by_origin, &mark.origin, id);
            remove(&mut self.cut_origins, &mark.origin, id);
        }
        if let Some(group) = record.place.group {
            remove(&mut self.groups, &group, id);
        }
        if let Some(end) = record.place.end {
            self.ends.remove(&(end, id.clone()));
        }
        self.loose.remove(id);
        self.suspects.remove(id);
        self.hastened.remove(id);
    }

    /// What is known of what the resource declared.
    pub(super) fn view(&self, key: &ResourceKey) -> View {
        let mut view = View {
            look: self.looks.clone(),
            look_faults: self.look_faults.clone(),
            identity: self.identity.known(),
            is_shared: self.identity == Identity::Mixed,
            reigns: self.reigns(),
            health: self.health(),
            ..View::default()
        };
        let answered = self.answered.get(key).into_iter().flatten();
        let interest = self.resources.get(key);
        let looks = interest.into_iter().flat_map(|interest| &interest.looks);
        let by_user = looks.clone().find(|want| want.user.is_some());
        if let Some(user) = by_user.map(|want| want.user.as_ref()) {
            let look = self.admin_look(user).copied();
            view.look
                .extend(look.map(|look| (RemoteApi::AdminV3, look)));
            view.look_trouble = self.admin_trouble(user);
        }
        for nonce in answered.chain(looks.map(|want| &want.nonce)) {
            let ids = self.by_nonce.get(nonce).into_iter().flatten();
            let found = ids
                .filter_map(|id| self.records.get(id)?.snapshot.clone())
                .collect();
            view.by_nonce.insert(nonce.clone(), found);
        }
        let Some(interest) = interest else {
            return view;
        };
        for tracked in &interest.ids {
            if let Some(record) = self.records.get(&tracked.id) {
                view.sights.insert(tracked.id.to_string(), record.sight());
            }
        }
        view.strays = self.strays(key, &interest.origin);
        view
    }

    /// Which resource follows the id.
    pub(super) fn owner_of(&self, id: &str) -> Option<ResourceKey> {
        self.records.get(id)?.owners.first().cloned()
    }

    /// The size of everything that grows with what is read, for the tests of what is forgotten.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.records.len()
            + self.by_nonce.len()
            + self.wanted.len()
            + self.answered.len()
            + self.by_origin.len()
            + self.cut_origins.len()
            + self.residents.len()
            + self.loose.len()
            + self.groups.len()
            + self.ends.len()
            + self.hastened.len()
            + self.suspects.len()
            + self.wants.len()
    }

    pub(super) fn wake_through(&mut self, wake: mpsc::UnboundedSender<ResourceKey>) {
        self.wake = Some(wake);
        let unsent = std::mem::take(&mut self.unsent);
        self.wake_all(unsent);
    }

    pub(super) fn wake_all(&mut self, keys: impl IntoIterator<Item = ResourceKey>) {
        for key in keys {
            match &self.wake {
                // Whoever closed the channel wants to hear nothing more.
                Some(wake) => drop(wake.send(key)),
                None => drop(self.unsent.insert(key)),
            }
        }
    }
}
