//! What the keeper learns of the Leases, from its watch and from lists. No IO.

use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::watcher::Event;
use tokio::time::Instant;

use super::{Keeper, Known};
use crate::shards::lease::{self, MAP};

impl Keeper {
    /// Takes what the watch says.
    pub(super) fn heed(&mut self, event: Event<Lease>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(lease) => self.listed.push(lease),
            Event::InitDone => {
                let all = std::mem::take(&mut self.listed);
                self.replace(all);
            }
            Event::Apply(lease) => self.see(lease),
            Event::Delete(lease) => self.miss(&lease),
        }
    }

    /// Takes all the Leases there are.
    pub(super) fn replace(&mut self, all: Vec<Lease>) {
        let now = Instant::now();
        let is_map = |lease: &&Lease| lease.metadata.name.as_deref() == Some(MAP);
        let others = all.iter().filter(|one| !is_map(one)).map(lease::sighting);
        self.watched.replace(others.collect(), now);
        if !all.iter().any(|one| is_map(&one)) {
            self.miss_map(now);
        }
        let is_there = self.uid().is_none_or(|uid| {
            all.iter()
                .any(|one| one.metadata.uid.as_deref() == Some(uid))
        });
        if !is_there {
            self.lose();
        }
        for lease in all {
            self.see(lease);
        }
        self.is_synced = true;
    }

    /// Takes one Lease as it was at some time; an older one than is known changes nothing.
    fn see(&mut self, lease: Lease) {
        if lease.metadata.name.as_deref() == Some(MAP) {
            let is_newer = match &self.map {
                Known::Missing => true,
                Known::Read(known, _) => {
                    lease::version(&lease) > lease::version(known)
                        || lease.metadata.uid != known.metadata.uid
                }
            };
            if is_newer {
                let map = lease::map(&lease);
                self.map = Known::Read(Box::new(lease), map);
            }
            return;
        }
        self.watched.heed(lease::sighting(&lease), Instant::now());
        let is_own = self.me.is_some() && self.uid() == lease.metadata.uid.as_deref();
        if !is_own {
            return;
        }
        if lease::holder(&lease) != Some(&self.leases.holder) {
            tracing::error!(
                "another process has this one's name: give each pod its own in POD_NAME"
            );
            self.lose();
        } else if self
            .me
            .as_ref()
            .is_some_and(|known| lease::version(&lease) > lease::version(known))
        {
            self.me = Some(lease);
        }
    }

    fn miss(&mut self, lease: &Lease) {
        if lease.metadata.name.as_deref() == Some(MAP) {
            if matches!(&self.map, Known::Read(known, _) if known.metadata.uid == lease.metadata.uid)
            {
                self.miss_map(Instant::now());
            }
            return;
        }
        if let Some(uid) = &lease.metadata.uid {
            self.watched.forget(uid);
            if self.uid() == Some(uid.as_str()) {
                self.lose();
            }
        }
    }

    /// Somebody has deleted the map. Others may learn of it later, and work until then by what they
    /// know; so nothing is taken for as long as a Lease lasts.
    fn miss_map(&mut self, now: Instant) {
        if matches!(self.map, Known::Read(..)) {
            tracing::warn!("the map of shards is gone: it is made anew when a lease has passed");
            self.missing_since = Some(now);
        }
        self.map = Known::Missing;
    }

    /// The own Lease is gone, and with it everything: a new one starts with nothing.
    fn lose(&mut self) {
        tracing::warn!("the lease is lost: everything is held by others now");
        self.me = None;
        self.until = None;
        self.leaving.clear();
        self.taken.clear();
        self.renew_at = Instant::now();
        self.publish();
    }
}
