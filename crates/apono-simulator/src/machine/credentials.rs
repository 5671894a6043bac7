//! The credentials of sessions: read once, then reset into new ones.

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Machine, Refusal, SessionKey};
use crate::request::Actor;
use crate::session::{Credentials, Session, SessionMove};

/// What a reading of access details gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Which session.
    pub session: SessionKey,
    /// The password, if this is the one reading of it.
    pub password: Option<String>,
}

impl Machine {
    /// Whether the details of a session can be read now.
    ///
    /// # Errors
    /// The refusal.
    pub fn may_read(&self, key: SessionKey) -> Result<(), Refusal> {
        match self.session(key).map(|it| it.credentials) {
            Some(Credentials::Resetting) => {
                let message = "the credentials are being reset";
                Refusal::odd(self.switches.details_resetting, "RESETTING", message)
            }
            _ => Ok(()),
        }
    }

    /// Reads the details of a session. The first reading takes the password.
    ///
    /// # Errors
    /// The refusal; then nothing was read.
    pub fn read_details(&mut self, key: SessionKey, by: &Actor) -> Result<Details, Refusal> {
        self.settle();
        self.may_read(key)?;
        let at = self.now();
        let fresh = self
            .session(key)
            .filter(|it| it.credentials == Credentials::Available);
        let password = fresh.and_then(Session::password).map(str::to_owned);
        if password.is_some() {
            self.sessions
                .edit(key, |it| it.credentials = Credentials::Viewed);
        }
        let what = if password.is_some() {
            SessionMove::Consumed
        } else {
            SessionMove::ReadAgain
        };
        self.sessions.note(key, at, what, by);
        Ok(Details {
            session: key,
            password,
        })
    }

    /// Begins to reset the credentials of a session.
    ///
    /// # Errors
    /// The refusal; then nothing changed.
    pub fn reset_credentials(&mut self, key: SessionKey, by: &Actor) -> Result<(), Refusal> {
        self.settle();
        let at = self.now();
        let Some(session) = self.session(key) else {
            return Err(Refusal::new(404, "NOT_FOUND", "there is no such session"));
        };
        if !session.resettable {
            let message = "these credentials cannot be reset";
            return Refusal::odd(self.switches.reset_unable, "NOT_RESETTABLE", message);
        }
        if session.credentials == Credentials::Resetting {
            let message = "the credentials are already being reset";
            return Refusal::odd(self.switches.reset_again, "RESETTING", message);
        }
        self.sessions.edit(key, |session| {
            session.credentials = Credentials::Resetting;
            session.reset_at = Some(at);
        });
        self.sessions.note(key, at, SessionMove::Reset, by);
        self.schedule_renewal(key, at, at);
        self.settle();
        Ok(())
    }

    /// Ends a reset that is under way; otherwise nothing.
    pub fn renew(&mut self, key: SessionKey, at: Timestamp, by: &Actor) {
        let seed = self.seed;
        let Some(session) = self.sessions.all.get_mut(key.0) else {
            return;
        };
        if session.credentials != Credentials::Resetting || !session.is_open() {
            return;
        }
        let cycle = session.passwords.len() as u64 + 1;
        session
            .passwords
            .push(password(seed, session.number, cycle));
        session.credentials = Credentials::Available;
        session.reset_at = None;
        if *by != Actor::Clock {
            self.sessions.forget_renewal(key);
        }
        self.sessions.note(key, at, SessionMove::Renewed, by);
    }
}

/// What a password is made of.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A password that looks random and is the same for the same seed, session and cycle.
pub(super) fn password(seed: u64, session: u64, cycle: u64) -> String {
    let mixed = session
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(cycle)
        .rotate_left(17);
    let mut rng = StdRng::seed_from_u64(seed ^ mixed);
    let mut letter = || {
        let place = usize::try_from(rng.next_u64() % 64).unwrap_or_default();
        LETTERS.get(place).map_or('x', |letter| char::from(*letter))
    };
    (0..28).map(|_| letter()).collect()
}
