//! What this process has learned of one debt. Data only; a restart forgets it all, and learns it
//! again from the remote.

use std::collections::BTreeMap;

use apono_client::{State, Status};
use jiff::Timestamp;

use crate::crd::{OwedRequest, OwedRevocation};

/// What keeps a debt from being paid that is not a matter of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There is no connection to pay through.
    NoConnection(String),
    /// The endpoint may not be used.
    Endpoint(String),
    /// There is no token.
    NoToken(String),
    /// The API refuses the token.
    Refused(String),
    /// The API does not answer, or not as it should.
    Unreachable(String),
}

/// What is known of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// What is owed.
    pub(super) request: OwedRequest,
    /// Its status as last read.
    pub(super) word: Option<String>,
    /// When it was last read, also in vain.
    pub(super) read_at: Option<Timestamp>,
    /// How often it was read since something last changed or was sent.
    pub(super) reads: u32,
    /// Every route said that it is not there.
    pub(super) missing: Option<Missing>,
    /// Whether an entitlement was granted when they were read, after it had failed.
    pub(super) granted: Option<bool>,
    /// Whether the remote does not show its entitlements.
    pub(super) is_undescribed: bool,
    /// The revokes that were sent.
    pub(super) tried: Option<Tried>,
    /// Whether the user API declined to revoke it: then the bulk revoke is tried.
    pub(super) is_declined: bool,
    /// The reads in a row that failed, of this request alone or not.
    pub(super) unreadable: Option<Unreadable>,
}

/// Reads that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) times: u32,
    pub(super) last: Timestamp,
}

/// Every route answered 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) times: u32,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

/// The revokes of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) count: u32,
    pub(super) last: Timestamp,
    /// What the remote said if it did not accept the last one.
    pub(super) refusal: Option<Refusal>,
}

/// A revoke that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Whether it was the remote's word on the request, and not a failure that may pass.
    pub(super) is_definite: bool,
    pub(super) message: String,
}

/// The looks for what lost answers made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Searches {
    pub(super) count: u32,
    pub(super) last: Option<Timestamp>,
    /// When the last one that saw everything began.
    pub(super) complete: Option<Timestamp>,
    /// With whose token that was, and whether the list is that of several users: then it does not
    /// tell, and holds what each of them made.
    pub(super) by: Option<String>,
    pub(super) is_shared: bool,
}

/// What this process has learned of one debt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) ids: BTreeMap<String, Known>,
    /// The user whose token it is, and when that was asked.
    pub(super) identity: Option<String>,
    pub(super) identity_asked: Option<Timestamp>,
    /// Whether the own list names several users.
    pub(super) is_shared: bool,
    pub(super) searches: Searches,
    pub(super) trouble: Option<Trouble>,
    /// How many passes in a row came to nothing for want of the API.
    pub(super) failures: u32,
    pub(super) failed_at: Option<Timestamp>,
    /// How often it was tried, earlier processes included.
    pub(super) attempts: i64,
    pub(super) last_answer: Option<String>,
    /// What the clock showed when it was set last, if that was while this was learned.
    pub(super) clock_set: Option<Timestamp>,
}

impl Progress {
    /// Forgets what was dated before the clock was set: what is due is due now, and what proved an
    /// absence proves nothing.
    pub(super) fn forget_times(&mut self, clock_set: Timestamp) {
        for known in self.ids.values_mut() {
            known.read_at = None;
            known.missing = None;
            known.unreadable = None;
            if let Some(tried) = &mut known.tried {
                tried.last = Timestamp::UNIX_EPOCH;
            }
        }
        self.identity_asked = None;
        self.searches = Searches::default();
        self.failed_at = None;
        self.clock_set = Some(clock_set);
    }

    /// A read of this request failed.
    pub(super) fn fail_to_read(&mut self, id: &str, now: Timestamp) {
        if let Some(known) = self.ids.get_mut(id) {
            let times = known.unreadable.map_or(0, |one| one.times);
            known.unreadable = Some(Unreadable {
                times: times.saturating_add(1),
                last: now,
            });
        }
    }

    /// Nothing learned yet.
    pub(super) fn of(debt: &OwedRevocation) -> Self {
        let status = debt.status.as_ref();
        let mut progress = Self {
            attempts: status
                .and_then(|status| status.attempts)
                .unwrap_or_default(),
            last_answer: status.and_then(|status| status.last_answer.clone()),
            ..Self::default()
        };
        progress.take(debt);
        progress
    }

    /// Takes what the debt names.
    pub(super) fn take(&mut self, debt: &OwedRevocation) {
        for request in &debt.spec.requests {
            let known = self.ids.entry(request.id.clone()).or_default();
            let was_access = known.request.was_access.or(request.was_access);
            let requestor = known.request.requestor_id.take();
            known.request = OwedRequest {
                was_access,
                requestor_id: requestor.or(request.requestor_id.clone()),
                ..request.clone()
            };
        }
    }

    /// Takes an answer about one request.
    pub(super) fn see(&mut self, id: &str, request: &apono_client::AccessRequest, now: Timestamp) {
        let known = self.ids.entry(id.to_owned()).or_default();
        id.clone_into(&mut known.request.id);
        let word = request.status.word().to_owned();
        let is_news = known.word.as_deref() != Some(&word) || known.missing.is_some();
        known.reads = if is_news {
            1
        } else {
            known.reads.saturating_add(1)
        };
        if is_news {
            // What it held before it moved says nothing any more.
            known.granted = None;
        }
        if matches!(request.status.state(), State::Active | State::Revoking) {
            known.request.was_access = Some(true);
        }
        if known.request.requestor_id.is_none() {
            let requestor = request.requestor.as_ref().map(|user| user.id.clone());
            known.request.requestor_id = requestor.filter(|id| !id.is_empty());
        }
        known.word = Some(word);
        known.missing = None;
        known.unreadable = None;
        known.read_at = Some(now);
    }

    /// Every route said that there is no such request.
    pub(super) fn miss(&mut self, id: &str, now: Timestamp) {
        let Some(known) = self.ids.get_mut(id) else {
            return;
        };
        known.read_at = Some(now);
        known.unreadable = None;
        known.reads = known.reads.saturating_add(1);
        let before = known.missing.unwrap_or(Missing {
            times: 0,
            first: now,
            last: now,
        });
        known.missing = Some(Missing {
            times: before.times.saturating_add(1),
            first: before.first,
            last: now,
        });
    }
}

impl Known {
    /// The state as last read.
    pub(super) fn state(&self) -> State {
        let word = self.word.as_deref();
        word.map_or(State::Unknown, |word| Status::from(word).state())
    }
}
