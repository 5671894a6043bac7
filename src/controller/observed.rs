//! What one pass knows of the world outside the resource. Values only: gathered by `observe.rs`,
//! read by the pure steps.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use apono_client::Entitlement;
use jiff::{SignedDuration, Timestamp};

use super::credentials::{Made, scene::CredentialMemory};
use super::resolution::{Consulted, Resolution};
use crate::{
    marker::{Nonce, Origin},
    poller::View,
};

/// What one pass knows.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The connection the resource names.
    pub connection: ConnectionSight,
    /// What the poller knows of the resource's remote requests.
    pub view: View,
    /// The entitlements of these requests, where they were read in this pass.
    pub entitlements: BTreeMap<String, Vec<Entitlement>>,
    /// What the spec means in Apono's catalogue, where this pass has to know.
    pub resolution: Resolution,
    /// What this process remembers of its own calls for the resource.
    pub memory: Memory,
    /// Where requests of this resource come from.
    pub origin: Origin,
    /// How long a look has to wait after a mark before absence means anything.
    pub settled_after: Duration,
    /// When the clock was set under this process, if it was.
    pub clock_set: Option<ClockSet>,
    /// How long a deletion waits for the access to end before what is left becomes owed.
    pub revocation_deadline: Duration,
    /// How long the remote may be out of reach before the status counts as stale.
    pub stale_after: Duration,
    /// Whether the resource asks for somebody else: then two lists have to be looked through.
    pub asks_for_another: bool,
    /// Whether the admin API is asked: then its list is looked through, and no other.
    pub asks_admin: bool,
    /// The id of the user whose token a create will be sent with, as far as that is known.
    pub user: Option<String>,
    /// What this pass made of the credentials; absent where it did nothing for them.
    pub credentials: Option<Made>,
    /// The token to read the remote now that this pass has acted on.
    pub hastened: Option<String>,
    /// The label or annotation that says that a GitOps tool owns the resource.
    pub gitops_owner: Option<String>,
    /// Randomness for one nonce.
    pub random: [u8; crate::marker::RANDOM_BYTES],
}

/// The connection, as far as it concerns one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionSight {
    /// There is none of that name.
    Missing {
        /// What was looked for and what to do.
        message: String,
    },
    /// It is being deleted: what was asked is followed and revoked, nothing new is asked.
    Deleting {
        /// What to do.
        message: String,
        /// Whether `deletionPolicy: Orphan` is allowed.
        orphan: bool,
    },
    /// Its token has not been tried yet, or no namespace has been read yet, as after a start:
    /// nothing is known of it, and nothing said.
    Verifying,
    /// It cannot be used yet.
    NotReady {
        /// Why, and what to do.
        message: String,
        /// Whether calls can be made all the same: what is live is still followed and revoked.
        callable: bool,
        /// Whether it is only that Apono does not answer, which heals by itself.
        unreachable: bool,
        /// Whether `deletionPolicy: Orphan` is allowed.
        orphan: bool,
    },
    /// The remote refuses its token.
    Unauthorized {
        /// Which Secret to change.
        message: String,
        /// Whether `deletionPolicy: Orphan` is allowed.
        orphan: bool,
    },
    /// It does not allow this resource.
    NotAllowed {
        /// What is not allowed.
        message: String,
        /// Whether `deletionPolicy: Orphan` is allowed.
        orphan: bool,
    },
    /// It can be used, but whether this namespace may ask through it depends on labels that have
    /// not been seen yet: nothing new is asked, and nothing else is different.
    Undecided {
        /// What is waited for.
        message: String,
        /// Whether `deletionPolicy: Orphan` is allowed.
        orphan: bool,
    },
    /// It can be used.
    Usable {
        /// Whether `deletionPolicy: Orphan` is allowed.
        orphan: bool,
        /// How long the remote asked everybody to wait.
        paused: Option<Duration>,
    },
}

impl ConnectionSight {
    /// Whether calls may be made: also where nothing new may be asked.
    pub fn is_callable(&self) -> bool {
        match self {
            Self::Usable { .. }
            | Self::Undecided { .. }
            | Self::NotAllowed { .. }
            | Self::Deleting { .. } => true,
            Self::NotReady { callable, .. } => *callable,
            Self::Missing { .. } | Self::Unauthorized { .. } | Self::Verifying => false,
        }
    }

    /// Whether access may be left behind on deletion: nothing is called for that.
    pub fn allows_orphan(&self) -> bool {
        match self {
            Self::Deleting { orphan, .. }
            | Self::NotReady { orphan, .. }
            | Self::Unauthorized { orphan, .. }
            | Self::NotAllowed { orphan, .. }
            | Self::Undecided { orphan, .. }
            | Self::Usable { orphan, .. } => *orphan,
            Self::Missing { .. } | Self::Verifying => false,
        }
    }

    /// Whether it is only that Apono does not answer.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::NotReady {
                unreachable: true,
                ..
            }
        )
    }

    /// How long the remote asked everybody to wait.
    pub fn paused(&self) -> Option<Duration> {
        match self {
            Self::Usable { paused, .. } => *paused,
            _ => None,
        }
    }
}

/// The clock was set while this process ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSet {
    /// What it showed just after it was set last.
    pub at: Timestamp,
    /// What it shows now.
    pub now: Timestamp,
}

/// More than by which a mark is dated ahead: it is rounded up to a whole second.
pub const ROUNDED_UP: SignedDuration = SignedDuration::from_secs(2);

impl Observed {
    /// From when on a look that does not find a POST of this mark proves that it made nothing. A POST
    /// from before the clock was set counts as of that moment: how long ago it was sent is not to be
    /// told from the two times.
    pub fn settled_at(&self, marked: Timestamp) -> Timestamp {
        let from = match self.clock_set {
            None => marked,
            Some(ClockSet { at, now }) if marked > now + ROUNDED_UP => at,
            Some(ClockSet { at, .. }) => marked.max(at),
        };
        from + self.settled_after
    }
}

/// What this process remembers of its own calls. Lost in a crash, and nothing depends on it but
/// the pace of repeats: after an empty answer and a crash, one create is sent once more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The revokes that were sent.
    pub revokes: BTreeMap<String, RevokeTry>,
    /// POSTs that were answered with an empty array.
    pub empty_answers: BTreeSet<Nonce>,
    /// Requests that the status cannot hold, to be followed as long as the process lives.
    pub unkept: BTreeSet<String>,
    /// The looks at sessions, and the resets.
    pub credentials: CredentialMemory,
    /// What was handed to the bulk revoke and not answered yet.
    pub handed_over: BTreeSet<String>,
    /// What the remote said when it declined to revoke one of these by itself.
    pub declined: BTreeMap<String, Refusal>,
    /// The requests whose entitlements the remote does not show, and when it last said so.
    pub undescribed: BTreeMap<String, Timestamp>,
    /// When entitlements were last asked for in vain.
    pub entitlements_failed: Option<Timestamp>,
    /// When entitlements were last read.
    pub entitlements_read: Option<Timestamp>,
    /// What the catalogue said that keeps the resource from being asked for.
    pub consulted: Option<Consulted>,
    /// When this process began to work on the deletion.
    pub releasing_since: Option<Timestamp>,
    /// When the clock was set last before anything of this was noted.
    pub clock_set: Option<Timestamp>,
}

impl Memory {
    /// Forgets what was dated by the clock before it was set: what is due is due now, and what was
    /// read is read anew. As after a restart, nothing but the pace depends on it.
    pub fn forget_times(&mut self, clock_set: Timestamp) {
        for tried in self.revokes.values_mut() {
            tried.last = Timestamp::UNIX_EPOCH;
        }
        let credentials = &mut self.credentials;
        for reset in credentials.resets.values_mut() {
            reset.sent = reset.sent.map(|_| Timestamp::UNIX_EPOCH);
        }
        credentials.look_at = None;
        credentials.remove_at = None;
        credentials.restart_failed = None;
        self.undescribed.clear();
        self.entitlements_failed = None;
        self.entitlements_read = None;
        self.consulted = None;
        self.releasing_since = None;
        self.clock_set = Some(clock_set);
    }
}

/// The revokes of one remote request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeTry {
    /// How many were sent.
    pub count: u32,
    /// How many of the last ones failed in a row, as the remote's fault or for want of an answer.
    pub failures: u32,
    /// When the last one was sent.
    pub last: Timestamp,
    /// What the remote said if it did not accept the last one.
    pub refusal: Option<Refusal>,
}

/// A revoke that the remote did not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of its answer, if there was one.
    pub status: Option<u16>,
    /// The error, for people.
    pub message: String,
}

/// A 4xx is the remote's word on the request; what else fails may pass.
pub fn is_definite(status: Option<u16>) -> bool {
    status.is_some_and(|status| (400..500).contains(&status) && ![401, 408, 429].contains(&status))
}

impl RevokeTry {
    /// When the next revoke may be sent: soon after a failure, and after an accepted one only when
    /// the remote has plainly not acted on it.
    pub fn next(&self) -> Timestamp {
        let (first, cap) = match self.refusal {
            Some(_) => (2, 300),
            None => (30, 600),
        };
        self.last
            + doubled(
                Duration::from_secs(first),
                self.count,
                Duration::from_secs(cap),
            )
    }
}

/// `first`, doubled with every try after the first, at most `cap`.
pub fn doubled(first: Duration, tries: u32, cap: Duration) -> Duration {
    let factor = 2_u32.saturating_pow(tries.saturating_sub(1).min(16));
    first.saturating_mul(factor).min(cap)
}
