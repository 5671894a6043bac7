//! The control channel's view of sessions: what others do with them, and how they were used.

use jiff::Timestamp;

use super::{Control, ControlError};
use crate::machine::{Machine, SessionKey};
use crate::request::Actor;
use crate::session::{Session, Uses};

impl Control {
    /// All sessions in the order of opening, closed ones too, with every password they had.
    pub fn sessions(&self) -> Vec<Session> {
        self.with(|machine| machine.sessions().to_vec())
    }

    /// One session, open or closed.
    pub fn session(&self, id: &str) -> Result<Session, ControlError> {
        let all = self.with(|machine| machine.sessions().iter().find(|it| it.id == id).cloned());
        all.ok_or_else(|| unknown(id))
    }

    /// The open sessions of a request.
    pub fn sessions_of(&self, request: &str) -> Vec<Session> {
        self.with(|machine| {
            let key = machine.find(request);
            let sessions = key.map_or_else(Vec::new, |key| machine.sessions_of(key));
            let sessions = sessions.into_iter();
            sessions
                .filter_map(|key| machine.session(key).cloned())
                .collect()
        })
    }

    /// How often a session's password was read and reset, whatever became of the answers.
    pub fn session_uses(&self, id: &str) -> Uses {
        self.with(Machine::settle);
        self.world().ledger.uses(id)
    }

    /// Lets somebody else read the details, as in the portal; the password is gone then.
    pub fn view_session(&self, id: &str) -> Result<Session, ControlError> {
        self.on_session(id, |machine, key, _| {
            machine.read_details(key, &Actor::Control).map(|_| ())
        })
    }

    /// Lets somebody else begin a reset.
    pub fn reset_session(&self, id: &str) -> Result<Session, ControlError> {
        self.on_session(id, |machine, key, _| {
            machine.reset_credentials(key, &Actor::Control)
        })
    }

    /// Ends a reset that is under way.
    pub fn finish_reset(&self, id: &str) -> Result<Session, ControlError> {
        self.on_session(id, |machine, key, now| {
            machine.renew(key, now, &Actor::Control);
            Ok(())
        })
    }

    fn on_session(
        &self,
        id: &str,
        work: impl FnOnce(&mut Machine, SessionKey, Timestamp) -> Result<(), crate::machine::Refusal>,
    ) -> Result<Session, ControlError> {
        self.with(|machine| {
            let key = machine.find_session(id).ok_or_else(|| unknown(id))?;
            let now = machine.now();
            work(machine, key, now)?;
            machine.session(key).cloned().ok_or_else(|| unknown(id))
        })
    }
}

fn unknown(id: &str) -> ControlError {
    let message = format!("there is no open session `{id}`; GET /_control/sessions lists them");
    ControlError::Unknown(message)
}
