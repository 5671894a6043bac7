//! Keeps this replica's Lease and its part of the shards, for as long as the process runs. IO.
//!
//! ```text
//! join      the own Lease: made, or taken over from the predecessor in this pod; the first step
//! renew     every third of its duration; a conflict means: read again
//! bury      the Leases of others that have run out
//! share     the map: take what is free, give back what is too much, once no pass runs over it
//! retire    the own Lease says so: others take what no pass runs over any more
//! leave     the own Lease goes; what was held is free
//! ```
//!
//! What is due is decided in `share.rs` and `watched.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Client,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use tokio::time::Instant;

use super::{
    Holding, Shard, Shards,
    lease::{self, Leases},
    share::{Map, Replicas, next},
    watched::Watched,
};
use crate::{
    admin::Gate,
    clock::{Clock, Moment},
    kubernetes,
    metrics::Metrics,
    telemetry::Chain,
};

mod knowing;

/// A replica leaves within this or is buried later.
const FAREWELL: Duration = Duration::from_secs(2);
/// After something failed.
const MOST_PAUSE: Duration = Duration::from_secs(1);
const LEAST_PAUSE: Duration = Duration::from_millis(50);

/// What the replicas agree on, and who this one is.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The operator's namespace.
    pub namespace: String,
    /// How long a Lease lasts.
    pub lasts: Duration,
    /// The deadline of a Kubernetes call.
    pub kube_timeout: Duration,
    /// How often the Leases are listed anew.
    pub relist: Duration,
    /// The name of the pod; absent: one that nobody has had before.
    pub pod: Option<String>,
}

fn say_left(has_left: bool) {
    let how = if has_left {
        "others may take over at once"
    } else {
        "not in time: others take over when the lease has run out"
    };
    tracing::info!(how, "leaving the replicas");
}

/// What is known of the map.
enum Known {
    /// There is none.
    Missing,
    /// As it was last seen or written; nothing where this version cannot read it.
    Read(Box<Lease>, Option<Map>),
}

/// Keeps Lease and shards of this replica.
pub struct Keeper {
    shards: Shards,
    leases: Leases,
    relist: Duration,
    clock: Arc<dyn Clock>,
    gate: Gate,
    watched: Watched,
    /// What a new list has brought so far.
    listed: Vec<Lease>,
    is_synced: bool,
    map: Known,
    me: Option<Lease>,
    /// Whether a Lease of the own name is the predecessor's.
    may_inherit: bool,
    leaving: BTreeSet<Shard>,
    is_retiring: bool,
    /// Since when what was not inherited is held.
    taken: BTreeMap<Shard, Timestamp>,
    until: Option<Moment>,
    /// Since when the map that there was is missing.
    missing_since: Option<Instant>,
    renew_at: Instant,
    retry_at: Option<Instant>,
    bury_from: Instant,
}

impl Keeper {
    /// Not running yet. `gate` opens when the replica has joined.
    pub fn new(
        shards: &Shards,
        client: Client,
        terms: Terms,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        gate: Gate,
    ) -> Self {
        let random = format!("{:016x}", rand::random::<u64>());
        let pod = terms.pod.as_deref();
        let leases = Leases {
            client,
            namespace: terms.namespace,
            metrics,
            lasts: terms.lasts,
            limits: (
                terms.kube_timeout.min(terms.lasts / 4),
                terms.kube_timeout.min(terms.lasts / 3),
            ),
            name: lease::name(pod.unwrap_or(&random)),
            holder: format!("{}_{random}", pod.unwrap_or("operator")),
        };
        let now = Instant::now();
        shards.inner.left.send_replace(false);
        Self {
            shards: shards.clone(),
            leases,
            relist: terms.relist,
            clock,
            gate,
            watched: Watched::default(),
            listed: Vec::new(),
            is_synced: false,
            map: Known::Missing,
            me: None,
            may_inherit: pod.is_some(),
            leaving: BTreeSet::new(),
            is_retiring: false,
            taken: BTreeMap::new(),
            until: None,
            missing_since: None,
            renew_at: now,
            retry_at: None,
            bury_from: now,
        }
    }

    /// Runs until the shards are to be left.
    pub async fn run(mut self) {
        let mut leave = self.shards.inner.leave.subscribe();
        let mut retire = self.shards.inner.retire.subscribe();
        let watched = self.leases.watch(self.relist);
        let mut events = watched.default_backoff().boxed();
        loop {
            tokio::select! {
                biased;
                _ = leave.wait_for(|leave| *leave) => break,
                _ = retire.wait_for(|retire| *retire), if !self.is_retiring => self.retire(),
                () = self.turn(&mut events) => {}
            }
        }
        // Whatever was under way is dropped: the Lease goes however it has changed.
        if let Some(own) = self.me.take() {
            let left = tokio::time::timeout(FAREWELL, self.leases.leave(&own)).await;
            say_left(left.is_ok_and(|left| left.is_ok()));
        }
        self.shards.inner.left.send_replace(true);
    }

    /// Others may take what no pass runs over, if there are others: they are told at once.
    fn retire(&mut self) {
        self.is_retiring = true;
        if self.me.is_some() && self.living().len() > 1 {
            self.renew_at = Instant::now();
        }
    }

    /// Waits for what comes next, and does what is due.
    async fn turn(&mut self, events: &mut BoxStream<'static, watcher::Result<Event<Lease>>>) {
        let wake = self.wake();
        let shards = self.shards.clone();
        tokio::select! {
            () = tokio::time::sleep_until(wake) => {}
            () = shards.inner.drained.notified() => {}
            Some(event) = events.next() => match event {
                Ok(event) => self.heed(event),
                Err(error) => self.say(&error, "could not watch the leases"),
            }
        }
        if self.is_synced {
            self.step().await;
        }
    }

    /// When something is due if nothing happens.
    fn wake(&self) -> Instant {
        if !self.is_synced {
            return Instant::now() + self.leases.lasts;
        }
        let end = self.watched.next_end(self.uid());
        let due = end.map(|end| end.max(self.bury_from));
        let due = due.into_iter().chain(self.retry_at);
        due.chain([self.renew_at]).min().unwrap_or(self.renew_at)
    }

    fn uid(&self) -> Option<&str> {
        self.me.as_ref()?.metadata.uid.as_deref()
    }

    fn pause(&self) -> Duration {
        (self.leases.lasts / 15).clamp(LEAST_PAUSE, MOST_PAUSE)
    }

    /// Does what is due.
    async fn step(&mut self) {
        let now = Instant::now();
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
        if now >= self.renew_at {
            match self.me.clone() {
                None => self.join().await,
                Some(own) => self.renew(&own).await,
            }
        }
        if self.me.is_some() {
            self.bury().await;
            self.share().await;
        } else {
            // Another process of this name that does not run any more is in the way.
            self.bury().await;
        }
        self.publish();
        if self.me.is_some() {
            self.shards.inner.joined.send_replace(true);
        }
    }

    async fn join(&mut self) {
        let before = self.watched.named(&self.leases.name).cloned();
        if before.is_some() && !self.may_inherit {
            self.renew_at = Instant::now() + self.pause();
            return;
        }
        let sent = Moment::now();
        match self.leases.join(before.as_ref(), self.clock.now()).await {
            Ok(lease) => {
                self.may_inherit = false;
                let is_inherited = before.is_some();
                tracing::info!(name = self.leases.name, is_inherited, "joined the replicas");
                self.renewed(lease, sent);
                self.gate.open();
            }
            Err(error) => self.failed(&error, "could not join the replicas").await,
        }
    }

    async fn renew(&mut self, own: &Lease) {
        let sent = Moment::now();
        let renewal = self.leases.renew(own, self.is_retiring, self.clock.now());
        match renewal.await {
            Ok(lease) => self.renewed(lease, sent),
            Err(error) => self.failed(&error, "could not renew the lease").await,
        }
    }

    fn renewed(&mut self, lease: Lease, sent: Moment) {
        let lasts = self.leases.lasts;
        self.watched.heed(lease::sighting(&lease), Instant::now());
        self.me = Some(lease);
        self.until = Some(sent.after(lasts * 4 / 5));
        self.renew_at = sent.steady() + lasts / 3;
    }

    /// The own Lease could not be written: read again, and tried again soon.
    async fn failed(&mut self, error: &kubernetes::Error, what: &'static str) {
        self.renew_at = Instant::now() + self.pause();
        if error.is_conflict() || error.is_not_found() || error.is_already_exists() {
            self.look().await;
        } else {
            self.say(error, what);
        }
    }

    /// Reads all Leases: something has changed that was not seen yet.
    async fn look(&mut self) {
        match self.leases.list().await {
            Ok(all) => self.replace(all),
            Err(error) => self.say(&error, "could not list the leases"),
        }
    }

    fn say<E: std::error::Error + 'static>(&self, error: &E, what: &'static str) {
        let error = Chain(error);
        tracing::warn!(%error, "{what}");
        if self.me.is_none() {
            self.gate.close(format!(
                "{what}: {error}; deploy/kustomize/operator grants what is needed"
            ));
        }
    }

    /// Removes the Leases that have run out.
    async fn bury(&mut self) {
        let now = Instant::now();
        if now < self.bury_from {
            return;
        }
        for gone in self.watched.expired(self.uid(), now) {
            self.bury_from = Instant::now() + self.pause();
            match self.leases.bury(&gone).await {
                Ok(()) => {
                    tracing::warn!(name = gone.name, "a replica is gone: its lease has run out");
                    self.watched.forget(&gone.uid);
                }
                // It lives, as the list says.
                Err(error) if error.is_conflict() => self.look().await,
                Err(error) => self.say(&error, "could not remove the lease of a replica"),
            }
        }
    }

    fn living(&self) -> BTreeSet<String> {
        let mut living = self.watched.uids();
        living.extend(self.uid().map(str::to_owned));
        living
    }

    /// Those that stay, as far as is known here.
    fn staying(&self) -> BTreeSet<String> {
        let mut staying = self.watched.staying();
        let Some(uid) = self.uid() else {
            return staying;
        };
        if self.is_retiring {
            staying.remove(uid);
        } else {
            staying.insert(uid.to_owned());
        }
        staying
    }

    /// Brings the map in line with who lives.
    async fn share(&mut self) {
        let now = Moment::now();
        let is_valid = self.until.is_some_and(|until| until.is_ahead_of(now));
        let Some(uid) = self.uid().map(str::to_owned).filter(|_| is_valid) else {
            return;
        };
        let living = self.living();
        let again_at = self.missing_since.map(|since| since + self.leases.lasts);
        if let Some(at) = again_at.filter(|at| living.len() > 1 && now.steady() < *at) {
            self.retry_at = Some(at);
            return;
        }
        let (before, map) = match &self.map {
            Known::Missing => (None, Map::default()),
            Known::Read(lease, Some(map)) => (Some(lease.clone()), map.clone()),
            // Of a version that counts otherwise, and nobody of it is left.
            Known::Read(lease, None) if living.len() == 1 => (Some(lease.clone()), Map::default()),
            Known::Read(_, None) => return,
        };
        let staying = self.staying();
        if staying.is_empty() {
            // Nobody would take what is given back.
            return;
        }
        let replicas = Replicas {
            living: &living,
            staying: &staying,
        };
        let none = BTreeSet::new();
        self.leaving = next(&map, &uid, replicas, &self.leaving, &none).leaving;
        // From here on no pass starts over what is given back.
        self.publish();
        let drained = self.shards.drained(&self.leaving);
        let wish = next(&map, &uid, replicas, &self.leaving, &drained);
        let Some(map) = wish.map else {
            return;
        };
        match self.leases.share(&map, before.as_deref()).await {
            Ok(lease) => {
                let count = map.of(&uid).len();
                let own_before = own(&self.map, &uid);
                let now = self.clock.now();
                let new = map.of(&uid);
                self.taken.retain(|shard, _| new.contains(shard));
                let gained = new.difference(&own_before);
                self.taken.extend(gained.map(|shard| (*shard, now)));
                self.missing_since = None;
                tracing::info!(count, replicas = living.len(), "the shards of this replica");
                self.map = Known::Read(Box::new(lease), Some(map));
                self.leaving.retain(|shard| !drained.contains(shard));
            }
            Err(error) => {
                self.retry_at = Some(Instant::now() + self.pause());
                if error.is_conflict() || error.is_not_found() || error.is_already_exists() {
                    self.look().await;
                } else {
                    self.say(&error, "could not share the shards");
                }
            }
        }
    }

    /// Says what is held.
    fn publish(&self) {
        let own = self
            .uid()
            .map(|uid| own(&self.map, uid))
            .unwrap_or_default();
        let held = own.difference(&self.leaving).copied().collect();
        let living = self.living().len();
        self.shards.publish(Holding {
            held,
            leaving: self.leaving.clone(),
            until: self.until,
            replicas: living,
            taken: self.taken.clone(),
        });
    }
}

fn own(map: &Known, uid: &str) -> BTreeSet<Shard> {
    match map {
        Known::Read(_, Some(map)) => map.of(uid),
        Known::Read(_, None) | Known::Missing => BTreeSet::new(),
    }
}
