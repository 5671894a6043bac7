//! Sessions: opened some time after a grant, closed with their last request.
//!
//! In [`Mode::Explicit`] a session opens with its request and only a command ends a reset. Ids and
//! passwords depend on the seed and on the order of opening alone, never on the time. Reading and
//! resetting are `credentials.rs`'s.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::credentials::password;
use super::{Key, Machine, Mode};
use crate::catalogue::Integration;
use crate::clock::later;
use crate::request::Actor;
use crate::session::{Credentials, Session, SessionChange, SessionMove};
use crate::status::{EntitlementStatus, Status};
use crate::switches::SessionSharing;
use crate::users::UserKey;

/// Marks a session inside the machine: its place in the order of opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(pub(crate) usize);

/// What time does to sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Open(Key),
    Renew(SessionKey),
}

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    pub(super) all: Vec<Session>,
    ids: HashMap<String, SessionKey>,
    open_of: HashMap<UserKey, BTreeSet<SessionKey>>,
    /// The open ones by those who asked for them, whosever they are.
    open_by_asker: HashMap<UserKey, BTreeSet<SessionKey>>,
    of_request: HashMap<Key, Vec<SessionKey>>,
    /// Live requests whose sessions have not opened, and since when they are live.
    waiting: BTreeMap<Key, Timestamp>,
    due: BTreeSet<(Timestamp, Due)>,
    changes: Vec<SessionChange>,
}

impl Sessions {
    /// Takes back what time would do to a reset.
    pub(super) fn forget_renewal(&mut self, key: SessionKey) {
        self.due.retain(|(_, due)| *due != Due::Renew(key));
    }

    /// When time does something next.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn edit(&mut self, key: SessionKey, change: impl FnOnce(&mut Session)) {
        if let Some(session) = self.all.get_mut(key.0) {
            change(session);
        }
    }

    pub(super) fn note(&mut self, key: SessionKey, at: Timestamp, what: SessionMove, by: &Actor) {
        if let Some(session) = self.all.get(key.0) {
            self.changes.push(SessionChange {
                at,
                session: session.id.clone(),
                requests: session.requests.clone(),
                what,
                by: by.clone(),
            });
        }
    }
}

impl Machine {
    /// All sessions in the order of opening, closed ones too, as they are now.
    pub fn sessions(&mut self) -> &[Session] {
        self.settle();
        &self.sessions.all
    }

    /// The place of an open session.
    pub fn find_session(&self, id: &str) -> Option<SessionKey> {
        let key = self.sessions.ids.get(id).copied()?;
        self.session(key)?.is_open().then_some(key)
    }

    /// The session at this place.
    pub fn session(&self, key: SessionKey) -> Option<&Session> {
        self.sessions.all.get(key.0)
    }

    /// The open sessions of a request.
    pub fn sessions_of(&self, key: Key) -> Vec<SessionKey> {
        let all = self.sessions.of_request.get(&key).into_iter().flatten();
        all.copied()
            .filter(|key| self.session(*key).is_some_and(Session::is_open))
            .collect()
    }

    /// The open sessions of a user; where wanted, those too that he asked for somebody else.
    pub fn open_sessions(&self, user: UserKey, asked_too: bool) -> BTreeSet<SessionKey> {
        let own = self.sessions.open_of.get(&user);
        let asked = self.sessions.open_by_asker.get(&user).filter(|_| asked_too);
        own.into_iter().chain(asked).flatten().copied().collect()
    }

    /// Takes what happened to sessions since the last call.
    pub fn take_session_changes(&mut self) -> Vec<SessionChange> {
        std::mem::take(&mut self.sessions.changes)
    }

    /// Follows a request into a state.
    pub(super) fn sessions_follow(&mut self, key: Key, to: Status, at: Timestamp) {
        match to {
            Status::Active => {
                self.sessions.waiting.insert(key, at);
                self.schedule_opening(key, at, at);
            }
            Status::Revoking => {
                self.sessions.waiting.remove(&key);
            }
            Status::Revoked | Status::Failed | Status::Rejected => {
                // A revoke that failed has left the access where it was.
                if !self
                    .get(key)
                    .is_some_and(crate::request::Request::has_access)
                {
                    self.leave_sessions(key, at);
                }
            }
            Status::Initializing | Status::Pending | Status::PendingMfa | Status::Granting => {}
        }
    }

    fn schedule_opening(&mut self, key: Key, since: Timestamp, floor: Timestamp) {
        let delay = match self.mode {
            Mode::Auto => self.delays.session,
            Mode::Explicit => SignedDuration::ZERO,
        };
        let due = (later(since, delay).max(floor), Due::Open(key));
        self.sessions.due.insert(due);
    }

    pub(super) fn schedule_renewal(&mut self, key: SessionKey, since: Timestamp, floor: Timestamp) {
        let delay = self.delays.reset.filter(|_| self.mode == Mode::Auto);
        if let Some(delay) = delay {
            let due = (later(since, delay).max(floor), Due::Renew(key));
            self.sessions.due.insert(due);
        }
    }

    /// Works out anew what time does to sessions.
    pub(super) fn reschedule_sessions(&mut self) {
        let now = self.now();
        self.sessions.due.clear();
        for (key, since) in self.sessions.waiting.clone() {
            self.schedule_opening(key, since, now);
        }
        let resetting = self.sessions.all.iter().filter_map(|session| {
            let place = usize::try_from(session.number).ok()?.checked_sub(1)?;
            Some((
                SessionKey(place),
                session.reset_at.filter(|_| session.is_open())?,
            ))
        });
        for (key, since) in resetting.collect::<Vec<_>>() {
            self.schedule_renewal(key, since, now);
        }
    }

    /// Does the next thing that is due.
    pub(super) fn step_sessions(&mut self) {
        match self.sessions.due.pop_first() {
            Some((at, Due::Open(key))) => self.open_sessions_of(key, at),
            Some((at, Due::Renew(key))) => self.renew(key, at, &Actor::Clock),
            None => {}
        }
    }

    fn open_sessions_of(&mut self, key: Key, at: Timestamp) {
        if self.sessions.waiting.remove(&key).is_none() {
            return;
        }
        let Some(request) = self.get(key) else { return };
        let (user, asker) = (request.grantee_key, request.requestor_key);
        let mut integrations: Vec<(usize, String)> = Vec::new();
        for entitlement in &request.entitlements {
            let place = self.places.get(&entitlement.pair.resource).map(|it| it.0);
            let kind = self.describe(&entitlement.pair);
            let granted = entitlement.status == EntitlementStatus::Granted;
            if let (Some(place), Some(kind), true) = (place, kind, granted)
                && integrations.iter().all(|(known, _)| *known != place)
            {
                integrations.push((place, kind.resource_type.id.clone()));
            }
        }
        for (integration, kind) in integrations {
            let open = match self.shared_session(user, integration) {
                Some(open) => open,
                None => self.new_session(user, integration, &kind, at),
            };
            let id = self.get(key).map(|it| it.id.clone()).unwrap_or_default();
            let joined = self.session(open).is_some_and(|it| !it.keys.is_empty());
            let what = if joined {
                SessionMove::Joined
            } else {
                SessionMove::Opened
            };
            self.sessions.edit(open, |session| {
                session.keys.insert(key);
                session.requests.push(id);
            });
            self.sessions.of_request.entry(key).or_default().push(open);
            let asked = self.sessions.open_by_asker.entry(asker);
            asked.or_default().insert(open);
            self.sessions.note(open, at, what, &Actor::Clock);
        }
    }

    /// The session that a further request of this user joins.
    fn shared_session(&self, user: UserKey, integration: usize) -> Option<SessionKey> {
        let shared = self.switches.session_sharing == SessionSharing::Shared;
        let integration = &self.catalogue.integrations.get(integration)?.id;
        let mut open = self.sessions.open_of.get(&user).into_iter().flatten();
        open.find(|key| {
            let session = self.session(**key);
            shared && session.is_some_and(|it| it.integration == *integration)
        })
        .copied()
    }

    fn new_session(
        &mut self,
        user: UserKey,
        integration: usize,
        kind: &str,
        at: Timestamp,
    ) -> SessionKey {
        let key = SessionKey(self.sessions.all.len());
        let number = key.0 as u64 + 1;
        let email = self.users.email(user).to_owned();
        let empty = Integration::default();
        let integration = self.catalogue.integrations.get(integration);
        let integration = integration.unwrap_or(&empty);
        let access = &integration.access;
        // Odd times a number is one to one among 24 bits: six digits that never repeat.
        let slug = (number.wrapping_mul(0x9e_3779).wrapping_add(self.seed)) & 0xff_ffff;
        let session = Session {
            id: format!("{kind}-{}-{slug:06x}", integration.name),
            number,
            name: format!("{} of {email}", integration.name),
            user: email,
            user_key: user,
            integration: integration.id.clone(),
            requests: Vec::new(),
            keys: BTreeSet::new(),
            credentials: if access.credentials {
                Credentials::Available
            } else {
                Credentials::NotApplicable
            },
            resettable: access.credentials && access.resettable,
            username: format!("apono_{slug:06x}"),
            passwords: if access.credentials {
                vec![password(self.seed, number, 1)]
            } else {
                Vec::new()
            },
            opened_at: at,
            closed_at: None,
            reset_at: None,
        };
        self.sessions.ids.insert(session.id.clone(), key);
        self.sessions.open_of.entry(user).or_default().insert(key);
        self.sessions.all.push(session);
        key
    }

    /// Ends what a request keeps open; a session closes with the last one.
    fn leave_sessions(&mut self, request: Key, at: Timestamp) {
        self.sessions.waiting.remove(&request);
        let asker = self.get(request).map(|it| it.requestor_key);
        let id = self.get(request).map(|it| it.id.clone());
        for key in self.sessions_of(request) {
            self.sessions.edit(key, |session| {
                session.keys.remove(&request);
                session.requests.retain(|it| Some(it) != id.as_ref());
            });
            self.forget_asker(key, asker);
            let last = self.session(key).is_some_and(|it| it.keys.is_empty());
            if !last {
                self.sessions
                    .note(key, at, SessionMove::Left, &Actor::Clock);
                continue;
            }
            self.sessions
                .edit(key, |session| session.closed_at = Some(at));
            let user = self.session(key).map(|it| it.user_key);
            let own = user.and_then(|it| self.sessions.open_of.get_mut(&it));
            own.map(|open| open.remove(&key));
            self.sessions
                .note(key, at, SessionMove::Closed, &Actor::Clock);
        }
    }

    /// A session that no request of this asker keeps open any more is no longer among his.
    fn forget_asker(&mut self, key: SessionKey, asker: Option<UserKey>) {
        let keys = self.session(key).into_iter().flat_map(|it| &it.keys);
        let mut askers = keys
            .filter_map(|key| self.get(*key))
            .map(|it| it.requestor_key);
        if !askers.any(|it| Some(it) == asker) {
            let asked = asker.and_then(|it| self.sessions.open_by_asker.get_mut(&it));
            asked.map(|open| open.remove(&key));
        }
    }
}
