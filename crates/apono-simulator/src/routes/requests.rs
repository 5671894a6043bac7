//! Requests on v4: who may see and touch one, and what a call does to it.

use jiff::SignedDuration;

use super::Session;
use crate::http::Answer;
use crate::machine::{Ask, Key, Refusal};
use crate::request::{Request, Via};
use crate::switches::{ForeignId, Visibility};
use crate::users::UserKey;
use crate::wire::{self, AgainBody, CreateBody, Shape};

impl Session<'_> {
    pub(super) fn get(&self, id: &str) -> Result<Answer, Refusal> {
        let key = self.own(id, self.switches().delegated_get)?;
        self.no_parameters()?;
        Ok(self.show(key, Shape::Own))
    }

    pub(super) fn get_delegated(&self, id: &str) -> Result<Answer, Refusal> {
        let key = self.visible(id, |request, caller| {
            request.is_delegated() && request.requestor_key == caller
        })?;
        self.no_parameters()?;
        Ok(self.show(key, Shape::Delegated))
    }

    /// A request made for the caller; with visibility also one he made for somebody else.
    pub(super) fn own(&self, id: &str, delegated: Visibility) -> Result<Key, Refusal> {
        self.visible(id, |request, caller| {
            request.grantee_key == caller
                || (delegated == Visibility::Visible && request.requestor_key == caller)
        })
    }

    /// Whether v4 knows of a request at all.
    pub(super) fn is_on_v4(&self, request: &Request) -> bool {
        request.via != Via::V3 || self.switches().v3_made_on_v4 == Visibility::Visible
    }

    fn visible(&self, id: &str, seen: impl Fn(&Request, UserKey) -> bool) -> Result<Key, Refusal> {
        let other = || match self.switches().other_id_on_v4 {
            Visibility::Visible => self.machine.find_by_other_id(id),
            Visibility::Hidden => None,
        };
        let found = self
            .machine
            .find(id)
            .or_else(other)
            .and_then(|key| Some((key, self.machine.get(key)?)))
            .filter(|(_, request)| self.is_on_v4(request));
        match found {
            Some((key, request)) if seen(request, self.caller) => Ok(key),
            Some(_) => Err(self.foreign(id)),
            None => Err(Self::missing(id)),
        }
    }

    /// There is no such request.
    pub(super) fn missing(id: &str) -> Refusal {
        let message = format!("there is no access request `{id}`");
        Refusal::new(404, "NOT_FOUND", message)
    }

    /// There is one, of somebody else.
    pub(super) fn foreign(&self, id: &str) -> Refusal {
        match self.switches().foreign_id {
            ForeignId::NotFound => Self::missing(id),
            ForeignId::Forbidden => {
                let message = format!("access request `{id}` is not yours");
                Refusal::new(403, "FORBIDDEN", message)
            }
        }
    }

    fn show(&self, key: Key, shape: Shape) -> Answer {
        let view = self.view(shape, SignedDuration::ZERO);
        Answer::json(
            200,
            &self.machine.get(key).map(|request| view.request(request)),
        )
    }

    fn show_all(&mut self, keys: &[Key]) -> Answer {
        let requests: Vec<_> = keys
            .iter()
            .filter_map(|key| self.machine.get(*key))
            .collect();
        let ids: Vec<_> = requests.iter().map(|request| request.id.clone()).collect();
        let view = self.view(Shape::Own, SignedDuration::ZERO);
        let shown: Vec<_> = requests
            .into_iter()
            .map(|request| view.request(request))
            .collect();
        self.ids.extend(ids);
        Answer::json(200, &shown)
    }

    pub(super) fn create(&mut self) -> Result<Answer, Refusal> {
        self.no_parameters()?;
        let switches = self.switches();
        let mut body: CreateBody = wire::body(self.call, switches)?;
        let wanted = body.wanted(switches)?;
        let custom_fields = wire::custom_fields(body.custom_fields, switches)?;
        let keys = self.machine.create(Ask {
            requestor: self.caller,
            grantee: body.grantee,
            wanted,
            justification: body.justification,
            duration_in_sec: body.duration_in_sec,
            custom_fields,
            by: self.actor(),
            via: Via::V4,
        })?;
        Ok(self.show_all(&keys))
    }

    pub(super) fn again(&mut self, id: &str) -> Result<Answer, Refusal> {
        let key = self.own(id, self.switches().delegated_again)?;
        self.no_parameters()?;
        let body: AgainBody = wire::body(self.call, self.switches())?;
        let custom_fields = wire::custom_fields(body.custom_fields, self.switches())?;
        let by = self.actor();
        let keys = self
            .machine
            .request_again(key, body.justification, custom_fields, by)?;
        Ok(self.show_all(&keys))
    }

    pub(super) fn revoke(&mut self, id: &str) -> Result<Answer, Refusal> {
        let key = self.own(id, self.switches().delegated_revoke)?;
        self.no_parameters()?;
        self.no_body()?;
        self.machine.revoke(key, &self.actor())?;
        Ok(self.say("The access request is being revoked"))
    }

    /// 200 with a message.
    pub(super) fn say(&self, text: &str) -> Answer {
        Answer::json(200, &wire::message(text, self.switches()))
    }
}
