//! One request with everything the service knows of it, more than it tells callers.
//!
//! A request records its own moves; it does not decide them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalogue::{GrantFate, Pair, RevokeFate};
use crate::status::{EntitlementStatus, Status};
use crate::users::UserKey;

/// Who made something happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// A caller of the API, by email.
    User(String),
    /// Time that passed.
    Clock,
    /// The control channel: approvers, admins, the portal.
    Control,
}

/// Where a request was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// On v4.
    #[default]
    V4,
    /// On v3.
    V3,
    /// In the portal, by the control channel.
    Portal,
}

/// A move of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// Where to.
    pub status: Status,
    /// Who made it.
    pub by: Actor,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How a request's grant and revoke turn out when their time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fate {
    /// The grant.
    #[serde(default)]
    pub grant: GrantFate,
    /// The revoke.
    #[serde(default)]
    pub revoke: RevokeFate,
}

/// An entitlement of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlement {
    /// What it is.
    #[serde(flatten)]
    pub pair: Pair,
    /// Where it stands.
    pub status: EntitlementStatus,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// The id callers of v4 see: one of the next two, as the switch for it was at the create.
    pub id: String,
    /// The UUID, which v3 calls `request_id`.
    pub uuid: String,
    /// The friendly id.
    pub friendly_id: String,
    /// Where it was made.
    pub via: Via,
    /// Its place in the order of creation, from 1.
    pub number: u64,
    /// The create call it came from; siblings of one answer share it.
    pub batch: u64,
    /// Who asked, by email.
    pub requestor: String,
    /// For whom, by email.
    pub grantee: String,
    #[serde(skip)]
    pub(crate) requestor_key: UserKey,
    #[serde(skip)]
    pub(crate) grantee_key: UserKey,
    /// The name of the flow that decides.
    pub flow: String,
    #[serde(skip)]
    pub(crate) flow_place: usize,
    /// The id of the bundle it was asked by.
    pub bundle: Option<String>,
    /// The reason given.
    pub justification: Option<String>,
    /// The custom fields given.
    pub custom_fields: BTreeMap<String, String>,
    /// The duration asked for.
    pub duration_in_sec: Option<i32>,
    /// Where it stands.
    pub status: Status,
    /// What it gives.
    pub entitlements: Vec<Entitlement>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the access became live.
    pub active_at: Option<Timestamp>,
    /// When the access is to end.
    pub planned_end: Option<Timestamp>,
    /// When it reached a terminal state.
    pub ended_at: Option<Timestamp>,
    /// Whether the second factor was shown.
    pub mfa_passed: bool,
    /// Whether it was approved.
    pub approved: bool,
    /// How grant and revoke turn out.
    pub fate: Fate,
    /// The id of the request it repeats.
    pub again_of: Option<String>,
    /// Every move, the create first.
    pub timeline: Vec<Transition>,
    /// When time will move it next.
    pub due: Option<Timestamp>,
}

impl Request {
    /// Made for somebody else than who asked.
    pub fn is_delegated(&self) -> bool {
        self.requestor_key != self.grantee_key
    }

    /// Who asked, and for whom.
    pub(crate) const fn who(&self) -> (UserKey, UserKey) {
        (self.requestor_key, self.grantee_key)
    }

    /// When it entered the state it is in.
    pub fn entered_at(&self) -> Timestamp {
        self.timeline.last().map_or(self.created_at, |last| last.at)
    }

    /// Where it stood at some time; nothing before it was created.
    pub fn status_at(&self, at: Timestamp) -> Option<Status> {
        self.timeline
            .iter()
            .rev()
            .find(|step| step.at <= at)
            .map(|step| step.status)
    }

    /// Whether it was ever live.
    pub const fn was_active(&self) -> bool {
        self.active_at.is_some()
    }

    /// Whether any of its entitlements is live.
    pub fn has_access(&self) -> bool {
        self.entitlements
            .iter()
            .any(|it| it.status == EntitlementStatus::Granted)
    }

    /// Puts every entitlement into a state, by its place and the state it is in.
    pub(crate) fn set_entitlements(
        &mut self,
        status: impl Fn(usize, EntitlementStatus) -> EntitlementStatus,
    ) {
        for (place, entitlement) in self.entitlements.iter_mut().enumerate() {
            entitlement.status = status(place, entitlement.status);
        }
    }
}
