//! Sessions: who sees one, the one reading of its password, and resets. On v1 and on v3.

use serde_json::{Value, json};

use super::Visit;
use super::lists::sort_key;
use crate::catalogue::Integration;
use crate::http::Answer;
use crate::machine::{Details, Refusal, SessionKey};
use crate::paging::{Filters, Query};
use crate::request::Request;
use crate::session::{Credentials, Session};
use crate::switches::{V3DetailsEarly, Visibility};
use crate::wire;

impl Visit<'_> {
    /// The ids of the requests that keep a session open, as far as v4 knows them.
    fn requests_of<'a>(&'a self, session: &'a Session) -> Vec<&'a str> {
        let keys = session.keys.iter();
        keys.filter_map(|key| self.machine.get(*key))
            .filter(|request| self.is_on_v4(request))
            .map(|request| request.id.as_str())
            .collect()
    }

    /// Whether this is a session the caller may use, kept open by something he may know of.
    fn is_visible(&self, session: &Session) -> bool {
        let asked = |request: &Request| {
            let theirs = self.switches().delegated_sessions == Visibility::Visible;
            theirs && request.requestor_key == self.caller
        };
        let mut requests = session.keys.iter().filter_map(|key| self.machine.get(*key));
        requests.any(|request| {
            self.is_on_v4(request) && (session.user_key == self.caller || asked(request))
        })
    }

    fn session(&self, id: &str) -> Result<(SessionKey, &Session), Refusal> {
        let found = self.machine.find_session(id);
        found
            .and_then(|key| Some((key, self.machine.session(key)?)))
            .filter(|(_, session)| self.is_visible(session))
            .ok_or_else(|| {
                let message = format!("there is no access session `{id}`");
                Refusal::new(404, "NOT_FOUND", message)
            })
    }

    fn integration_of(&self, session: &Session) -> Option<&Integration> {
        let mut all = self.machine.catalogue().integrations.iter();
        all.find(|it| it.id == session.integration)
    }

    fn shown_session(&self, session: &Session) -> Value {
        let requests = self.requests_of(session);
        let integration = self.integration_of(session);
        integration.map_or(Value::Null, |integration| {
            wire::session(session, &requests, integration, self.switches())
        })
    }

    pub(super) fn list_sessions(&self) -> Result<Answer, Refusal> {
        let reader = self.reader("sessions");
        let filters = Filters {
            many: &["integration_id", "request_ids"],
            one: &[],
        };
        let query = reader.query(self.call.parameters(), filters)?;
        let order = self.switches().list_order;
        let mut found: Vec<(u64, &Session)> = self
            .candidates(&query)
            .into_iter()
            .filter_map(|key| Some((sort_key(key.0, order), self.machine.session(key)?)))
            .filter(|(_, session)| session.is_open() && self.is_visible(session))
            .filter(|(_, session)| query.allows("integration_id", &session.integration))
            .collect();
        found.sort_unstable_by_key(|(order, _)| *order);
        let (page, next) = self.cut(&found, &query);
        let items: Vec<_> = page
            .iter()
            .map(|(_, session)| self.shown_session(session))
            .collect();
        Ok(Answer::json(200, &reader.page(&items, &query, next)))
    }

    /// The sessions of the named requests, or else all the caller may use.
    fn candidates(&self, query: &Query) -> Vec<SessionKey> {
        let requests = query.many("request_ids");
        if requests.is_empty() {
            let theirs = self.switches().delegated_sessions == Visibility::Visible;
            let open = self.machine.open_sessions(self.caller, theirs);
            return open.into_iter().collect();
        }
        let keys = requests.iter().filter_map(|id| self.machine.find(id));
        let mut found: Vec<_> = keys.flat_map(|key| self.machine.sessions_of(key)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    pub(super) fn get_session(&self, id: &str) -> Result<Answer, Refusal> {
        let (_, session) = self.session(id)?;
        self.no_parameters()?;
        Ok(Answer::json(200, &self.shown_session(session)))
    }

    fn shown_details(&self, details: &Details) -> Value {
        let session = self.machine.session(details.session);
        let known = session.and_then(|it| Some((it, self.integration_of(it)?)));
        known.map_or(Value::Null, |(session, integration)| {
            let password = details.password.as_deref();
            wire::session_details(session, &integration.access, password, self.switches())
        })
    }

    pub(super) fn session_details(&mut self, id: &str) -> Result<Answer, Refusal> {
        let (key, _) = self.session(id)?;
        self.no_parameters()?;
        let details = self.machine.read_details(key, &self.actor())?;
        Ok(Answer::json(200, &self.shown_details(&details)))
    }

    pub(super) fn reset_session(&mut self, id: &str) -> Result<Answer, Refusal> {
        let (key, _) = self.session(id)?;
        self.no_parameters()?;
        self.no_body()?;
        self.machine.reset_credentials(key, &self.actor())?;
        Ok(self.say("The credentials are being reset"))
    }

    /// Reads the details of every session of a request, in one text.
    pub(super) fn v3_details(&mut self, id: &str) -> Result<Answer, Refusal> {
        let request = self.v3_find_for_details(id)?;
        self.no_parameters()?;
        let sessions = self.machine.sessions_of(request);
        let early = |status| {
            let message = "the access request is not live";
            Err(Refusal::new(status, "NOT_GRANTED", message))
        };
        if sessions.is_empty() {
            return match self.switches().v3_details_early {
                V3DetailsEarly::BadRequest => early(400),
                V3DetailsEarly::NotFound => early(404),
                V3DetailsEarly::Conflict => early(409),
                V3DetailsEarly::Empty => Ok(Answer::json(200, &json!({"details": ""}))),
            };
        }
        // All or none: what one session refuses must not use up another.
        for key in &sessions {
            self.machine.may_read(*key)?;
        }
        let by = self.actor();
        let mut texts = Vec::new();
        for key in sessions {
            let details = self.machine.read_details(key, &by)?;
            texts.push(wire::details_text(&self.shown_details(&details)));
        }
        Ok(Answer::json(200, &json!({"details": texts.join("\n\n")})))
    }

    /// Resets whatever a request's sessions have that can be reset.
    pub(super) fn v3_reset(&mut self, id: &str) -> Result<Answer, Refusal> {
        let request = self.v3_find_for_details(id)?;
        self.no_parameters()?;
        self.no_body()?;
        let is = |key: &SessionKey, fits: fn(&Session) -> bool| {
            self.machine.session(*key).is_some_and(fits)
        };
        let mut sessions = self.machine.sessions_of(request);
        sessions.retain(|key| is(key, |session| session.resettable));
        let idle: Vec<_> = sessions
            .iter()
            .copied()
            .filter(|key| is(key, |it| it.credentials != Credentials::Resetting))
            .collect();
        let by = self.actor();
        if sessions.is_empty() {
            let message = "nothing of this access request can be reset";
            Refusal::odd(self.switches().reset_unable, "NOT_RESETTABLE", message)?;
        } else if idle.is_empty() {
            let message = "the credentials are already being reset";
            Refusal::odd(self.switches().reset_again, "RESETTING", message)?;
        }
        for key in idle {
            self.machine.reset_credentials(key, &by)?;
        }
        Ok(self.say("The credentials are being reset"))
    }
}
