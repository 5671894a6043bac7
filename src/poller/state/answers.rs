//! Taking answers: what is kept of them, and whom they concern.

use std::sync::Arc;

use apono_client::{AccessRequest, RequestId};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Knowledge, remove};
use crate::crd::RemoteApi;
use crate::marker::{Mark, Nonce, Origin};
use crate::poller::cadence::Tier;
use crate::poller::few::Few;
use crate::poller::record::{Record, Seen};
use crate::poller::{Interest, ResourceKey, Snapshot, Tracked};

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::poller) enum Source {
    /// A page of a list.
    List,
    /// A read of the one id.
    Single,
}

impl Knowledge {
    /// Takes a request as answered; keeps it only if somebody wants to know. `now` tells answers
    /// that claim to come from the future. Returns whom it told anything new.
    #[must_use]
    pub(in crate::poller) fn take(
        &mut self,
        mut request: AccessRequest,
        api: RemoteApi,
        asked_at: Timestamp,
        now: Timestamp,
        source: Source,
    ) -> Few<ResourceKey> {
        self.words.entry(api).or_default().learn(&request.status);
        let known = self.known(&request.id);
        let is_kept = known.is_some() || self.is_worth_keeping(&request);
        if !is_kept || self.is_of_another_api(&request, api) {
            return Few::default();
        }
        let id = known.unwrap_or_else(|| request.id.clone());
        request.id = id.clone();
        self.commons.share(&mut request);
        // Asked for before the clock was set back: of then, whenever that was.
        let asked_at = Some(asked_at).filter(|asked_at| *asked_at <= now);
        let mut answer = Snapshot::new(request, api, asked_at.unwrap_or(Timestamp::MIN));
        if let Some(mark) = &mut answer.mark {
            self.share(&mut mark.origin);
        }
        let record = self
            .records
            .entry(id.clone())
            .or_insert_with(|| Box::new(Record::new(api)));
        let old_mark = record.mark().cloned();
        let seen = record.see(answer, now);
        if seen == Seen::Stale {
            return Few::default();
        }
        if source == Source::List {
            record.is_hidden = false;
            record.confirms = 0;
        }
        self.suspects.remove(&id);
        self.index_mark(&id, old_mark.as_ref());
        let concerned = if seen == Seen::Changed {
            self.concerned(&id)
        } else {
            Few::default()
        };
        self.settle(&id);
        concerned
    }

    /// Takes the answer to a resource's own POST.
    pub(in crate::poller) fn take_reply(
        &mut self,
        key: &ResourceKey,
        nonce: &Nonce,
        requests: Vec<AccessRequest>,
        api: RemoteApi,
        asked_at: Timestamp,
    ) {
        if requests.is_empty() {
            return;
        }
        self.answered
            .entry(key.clone())
            .or_default()
            .insert(nonce.clone());
        self.wanted
            .entry(nonce.clone())
            .or_default()
            .insert(key.clone());
        let mut concerned = Few::default();
        for request in requests {
            let id = self.known(&request.id);
            let id = id.unwrap_or_else(|| request.id.clone());
            // The admin API has one word for what moves by itself and for what waits for people, and
            // answers one request where it may have made several.
            let tier = Tier::of(request.status.state());
            let is_moving =
                tier == Some(Tier::Moving) || api == RemoteApi::AdminV3 && tier.is_some();
            let record = self
                .records
                .entry(id.clone())
                .or_insert_with(|| Box::new(Record::new(api)));
            record.answered.insert(nonce.clone());
            record.route = api;
            self.by_nonce
                .entry(nonce.clone())
                .or_default()
                .insert(id.clone());
            concerned.extend(self.take(request, api, asked_at, Timestamp::MAX, Source::Single));
            if is_moving {
                self.hasten(&id, Instant::now());
            }
        }
        // Who holds the answer in his hand need not be told of it.
        concerned.remove(key);
        self.wake_all(concerned);
    }

    /// Whether it is followed, or would be, through another API than this one, which may show it by
    /// another id and has other words for its states.
    fn is_of_another_api(&self, request: &AccessRequest, api: RemoteApi) -> bool {
        let is_admin = api == RemoteApi::AdminV3;
        let record = self.records.get(&request.id);
        let record_of_reply = record.filter(|record| !record.answered.is_empty());
        if let Some(record) = record.filter(|record| !record.owners.is_empty()) {
            return record.admin.is_some() != is_admin;
        }
        // The answer to our own POST says where it lives, before anybody follows it and whatever the
        // remote leaves of the mark.
        if let Some(record) = record_of_reply {
            return (record.route == RemoteApi::AdminV3) != is_admin;
        }
        let mark = request.justification.as_deref().and_then(Mark::parse);
        let residents = mark.and_then(|mark| self.residents.get(&mark.origin));
        let mut interests = residents
            .into_iter()
            .flatten()
            .filter_map(|key| self.resources.get(key))
            .peekable();
        interests.peek().is_some() && interests.all(|interest| interest.asks_admin != is_admin)
    }

    /// Forgets what was kept for its mark before its resource said that it asks through another API,
    /// as [`Self::is_of_another_api`] would have had it.
    pub(super) fn drop_foreign(&mut self, interest: &Interest) {
        let residents = self.residents.get(&interest.origin).into_iter().flatten();
        let mut others = residents.filter_map(|key| self.resources.get(key));
        let is_shared = others.any(|other| other.asks_admin != interest.asks_admin);
        // What a cut mark names is not certain; who else it may be of is read for anew.
        let marked = self.marked_for(&interest.origin).filter(|_| !is_shared);
        let is_of_api = |tracked: &&Tracked| tracked.admin.is_some() == interest.asks_admin;
        let named = interest.ids.iter().filter(is_of_api);
        let named = named.map(|tracked| &tracked.id);
        let is_foreign = |id: &&RequestId| {
            self.records.get(*id).is_some_and(|record| {
                let is_of_admin = record.route == RemoteApi::AdminV3;
                let is_followed = !record.owners.is_empty() || !record.answered.is_empty();
                !is_followed && is_of_admin != interest.asks_admin
            })
        };
        let foreign: Vec<_> = marked.chain(named).filter(is_foreign).cloned().collect();
        for id in foreign {
            self.forget(&id);
        }
    }

    fn is_worth_keeping(&self, request: &AccessRequest) -> bool {
        let Some(mark) = request.justification.as_deref().and_then(Mark::parse) else {
            return false;
        };
        self.wanted.contains_key(&mark.nonce)
            || Tier::of(request.status.state()).is_some()
                && (mark.origin.is_of_cluster(&self.cluster)
                    || mark.is_cut && self.cluster.starts_with(mark.origin.as_str()))
    }

    fn index_mark(&mut self, id: &RequestId, old: Option<&Mark>) {
        let Some(record) = self.records.get(id) else {
            return;
        };
        if record.mark() == old {
            return;
        }
        if let Some(old) = old {
            if !record.answered.contains(&old.nonce) {
                remove(&mut self.by_nonce, &old.nonce, id);
            }
            remove(&mut self.by_origin, &old.origin, id);
            remove(&mut self.cut_origins, &old.origin, id);
        }
        if let Some(mark) = record.mark() {
            let origins = if mark.is_cut {
                &mut self.cut_origins
            } else {
                &mut self.by_origin
            };
            origins
                .entry(mark.origin.clone())
                .or_default()
                .insert(id.clone());
            self.by_nonce
                .entry(mark.nonce.clone())
                .or_default()
                .insert(id.clone());
        }
    }

    /// Everybody whose view shows this record.
    fn concerned(&self, id: &RequestId) -> Few<ResourceKey> {
        let Some(record) = self.records.get(id) else {
            return Few::default();
        };
        let mut keys = record.owners.clone();
        for nonce in record.nonces() {
            keys.extend(self.wanted.get(nonce).into_iter().flatten().cloned());
        }
        if let Some(mark) = record.mark() {
            // A cut mark names many origins; only its nonce says whom it concerns.
            if !mark.is_cut {
                keys.extend(
                    self.residents
                        .get(&mark.origin)
                        .into_iter()
                        .flatten()
                        .cloned(),
                );
            }
        }
        keys
    }

    /// The ids whose mark names the origin, or may when it is whole.
    fn marked_for(&self, origin: &Origin) -> impl Iterator<Item = &RequestId> {
        let cut = self.cut_origins.iter();
        let cut = cut.filter(|(cut, _)| origin.as_str().starts_with(cut.as_str()));
        let whole = self.by_origin.get(origin).into_iter();
        whole.chain(cut.map(|(_, ids)| ids)).flatten()
    }

    /// Requests whose mark names the origin and that the resource does not follow.
    pub(super) fn strays(&self, key: &ResourceKey, origin: &Origin) -> Vec<(Mark, Arc<Snapshot>)> {
        self.marked_for(origin)
            .filter_map(|id| self.records.get(id))
            .filter(|record| !record.owners.contains(key))
            .filter_map(|record| Some((record.mark().cloned()?, record.snapshot.clone()?)))
            .collect()
    }

    /// Live requests that bear a mark of this cluster and that nobody follows.
    pub(in crate::poller) fn unowned(&self) -> Vec<(Mark, Arc<Snapshot>)> {
        self.loose
            .iter()
            .filter_map(|id| self.records.get(id))
            .filter(|record| record.tier().is_some())
            .filter_map(|record| Some((record.mark().cloned()?, record.snapshot.clone()?)))
            .filter(|(mark, _)| mark.origin.is_of_cluster(&self.cluster))
            .collect()
    }
}
