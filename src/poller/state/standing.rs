//! How the poller stands with the remote: who the token is, and which rounds fail since when.

use std::time::Duration;

use apono_client::RequestId;
use jiff::Timestamp;
use tokio::time::Instant;

use super::Knowledge;
use crate::crd::RemoteApi;
use crate::poller::cadence::Tier;
use crate::poller::{Health, Reign, ResourceKey};

/// So many failed rounds in a row are told to those who wait; fewer pass by unnoticed.
const ALARM: u32 = 3;

/// As many changes of the token are remembered.
const MOST_TOKENS: usize = 100;

/// One of the loops that read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::poller) enum Lane {
    /// The sweeps of a tier.
    Sweep(RemoteApi, Tier),
    /// The looks at a list.
    Look(RemoteApi),
    /// The sweeps of the admin API.
    Admin,
    /// The reads by id.
    Confirm,
}

/// How one lane fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::poller) struct LaneHealth {
    pub(super) since: Timestamp,
    rounds: u32,
    error: String,
}

/// A token that was in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tenure {
    since: Timestamp,
    fingerprint: u64,
    /// Who it was, where its own list said so before it was replaced.
    user: Option<String>,
}

impl Tenure {
    fn new(since: Timestamp, fingerprint: u64) -> Self {
        Self {
            since,
            fingerprint,
            user: None,
        }
    }
}

/// Who the token is, as far as its own list tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nothing was read that says so.
    #[default]
    Unknown,
    /// Every own request read names this requestor.
    Known(String),
    /// They do not agree: the list is not only the token's own.
    Mixed,
}

impl Identity {
    pub(super) fn known(&self) -> Option<String> {
        match self {
            Self::Known(id) => Some(id.clone()),
            Self::Unknown | Self::Mixed => None,
        }
    }
}

impl Knowledge {
    /// Takes the requestor of an item of the own list.
    pub(in crate::poller) fn meet(&mut self, requestor: &str) {
        let met = match &self.identity {
            Identity::Unknown => Identity::Known(requestor.to_owned()),
            Identity::Known(known) if known != requestor => Identity::Mixed,
            Identity::Known(_) | Identity::Mixed => return,
        };
        self.identity = met;
        let owners = self.owners_of_missing();
        self.wake_all(owners);
    }

    /// Whether something is missing and nobody knows whether the token is another one's.
    pub(in crate::poller) fn needs_identity(&self) -> bool {
        self.identity == Identity::Unknown && self.is_any_missing()
    }

    /// Which token reads from now on; says whether it is another one than before.
    pub(in crate::poller) fn use_token(
        &mut self,
        fingerprint: u64,
        now: Timestamp,
        instant: Instant,
    ) -> bool {
        let user = self.identity.known();
        let Some(last) = self.tokens.last_mut() else {
            // Before it, as far as this process can know, there was none.
            self.tokens.push(Tenure::new(Timestamp::MIN, fingerprint));
            return false;
        };
        if last.fingerprint == fingerprint {
            return false;
        }
        last.user = user;
        self.tokens.push(Tenure::new(now, fingerprint));
        if self.tokens.len() > MOST_TOKENS {
            self.tokens.remove(0);
        }
        self.change_token(instant);
        true
    }

    /// When the present token was in use, or another one of the same user; oldest first.
    pub(super) fn reigns(&self) -> Vec<Reign> {
        let Some(present) = self.tokens.last() else {
            return vec![Reign {
                from: Timestamp::MIN,
                until: Timestamp::MAX,
            }];
        };
        let user = self.identity.known();
        let is_its = |tenure: &Tenure| {
            tenure.fingerprint == present.fingerprint || user.is_some() && tenure.user == user
        };
        let ends = self.tokens.iter().skip(1).map(|next| next.since);
        let all = self.tokens.iter().zip(ends.chain([Timestamp::MAX]));
        all.filter(|(tenure, _)| is_its(tenure))
            .map(|(tenure, until)| Reign {
                from: tenure.since,
                until,
            })
            .collect()
    }

    /// Another token reads from now on.
    pub(in crate::poller) fn change_token(&mut self, now: Instant) {
        let was_alarming = self.is_alarming();
        self.epoch += 1;
        self.identity = Identity::Unknown;
        self.is_refused = false;
        self.paused_until = None;
        self.drop_looks();
        self.drop_absences(now);
        self.tell_if(was_alarming != self.is_alarming());
    }

    /// The token was refused; said of the token of that epoch.
    pub(in crate::poller) fn refuse(&mut self, epoch: u64) {
        let was_alarming = self.is_alarming();
        self.is_refused |= epoch == self.epoch;
        self.tell_if(was_alarming != self.is_alarming());
    }

    /// Reads are held back.
    pub(in crate::poller) fn pause(&mut self, now: Instant, pause: Duration) {
        self.paused_until = self.paused_until.max(Some(now + pause));
    }

    /// From when on anything may be read; none until the token changes.
    pub(in crate::poller) fn open_from(&self, now: Instant) -> Option<Instant> {
        (!self.is_refused).then(|| self.paused_until.map_or(now, |until| until.max(now)))
    }

    /// A round of a lane succeeded.
    pub(in crate::poller) fn note_good(&mut self, lane: Lane, now: Timestamp) {
        self.last_good = self.last_good.max(Some(now));
        let was_alarming = self.is_alarming();
        self.lanes.remove(&lane);
        self.tell_if(was_alarming != self.is_alarming());
    }

    /// A round of a lane failed.
    pub(in crate::poller) fn note_bad(&mut self, lane: Lane, now: Timestamp, error: String) {
        let was_alarming = self.is_alarming();
        let health = self.lanes.entry(lane).or_insert_with(|| LaneHealth {
            since: now,
            rounds: 0,
            error: String::new(),
        });
        health.rounds = health.rounds.saturating_add(1);
        health.error = error;
        self.tell_if(was_alarming != self.is_alarming());
    }

    /// A lane has nothing to read any more, and so does not fail any more.
    pub(in crate::poller) fn note_idle(&mut self, lane: Lane) {
        if self.lanes.contains_key(&lane) {
            let was_alarming = self.is_alarming();
            self.lanes.remove(&lane);
            self.tell_if(was_alarming != self.is_alarming());
        }
    }

    pub(super) fn health(&self) -> Health {
        let worst = self.lanes.values().max_by_key(|lane| lane.rounds);
        Health {
            last_good: self.last_good,
            failing_since: self.lanes.values().map(|lane| lane.since).min(),
            failed_rounds: worst.map_or(0, |lane| lane.rounds),
            error: worst.map(|lane| lane.error.clone()),
        }
    }

    /// How long what is followed has gone unread: since the last good round, or since there was
    /// something to read, where that is later.
    pub(in crate::poller) fn staleness(
        &self,
        now: Timestamp,
        instant: Instant,
    ) -> Option<Duration> {
        let followed = self.groups.iter().filter(|(_, ids)| !ids.is_empty());
        let opened = followed.filter_map(|(place, _)| self.opened.get(place));
        let followed = instant.saturating_duration_since(*opened.min()?);
        let unread = self.last_good.map(|good| now.duration_since(good));
        let unread = unread.map(|time| Duration::try_from(time).unwrap_or_default());
        Some(unread.map_or(followed, |unread| unread.min(followed)))
    }

    fn is_alarming(&self) -> bool {
        self.is_refused || self.lanes.values().any(|lane| lane.rounds >= ALARM)
    }

    /// Tells everybody who waits for the remote that its readability has changed.
    fn tell_if(&mut self, has_changed: bool) {
        if !has_changed {
            return;
        }
        let waiting: Vec<ResourceKey> = self
            .resources
            .iter()
            .filter(|(_, interest)| {
                let is_open = |id: &RequestId| {
                    self.records
                        .get(id)
                        .is_some_and(|record| record.place.group.is_some())
                };
                !interest.looks.is_empty()
                    || interest.ids.iter().any(|tracked| is_open(&tracked.id))
            })
            .map(|(key, _)| key.clone())
            .collect();
        self.wake_all(waiting);
    }

    fn owners_of_missing(&self) -> Vec<ResourceKey> {
        self.records
            .values()
            .filter(|record| record.absence.is_some())
            .flat_map(|record| record.owners.iter().cloned())
            .collect()
    }
}
