//! What each call of the API does to the machine and answers: authorization, visibility, lists.
//!
//! Synchronous, and free of transport, faults and bookkeeping.

use jiff::SignedDuration;
use serde_json::json;

use crate::endpoint::{Endpoint, Route};
use crate::http::{Answer, Call};
use crate::machine::{Ask, Key, Machine, Refusal};
use crate::request::{Actor, Request};
use crate::switches::{ServiceToken, Switches, Visibility};
use crate::users::UserKey;
use crate::wire::{self, AgainBody, CreateBody, Shape, View};

mod lists;

/// How lists are made to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Distortion {
    /// A request younger than this is missing from lists.
    pub lag: SignedDuration,
    /// Lists show statuses of that long ago.
    pub behind: SignedDuration,
    /// Later pages start that many items too late, or too early if negative.
    pub drift: i64,
}

/// What a call came to.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    pub(crate) user: Option<String>,
    /// The requests the call named, made, or answered with one by one; not those of a list.
    pub(crate) ids: Vec<String>,
}

/// A call by a known user.
struct Session<'a> {
    machine: &'a mut Machine,
    call: &'a Call,
    caller: UserKey,
    email: String,
    distortion: Distortion,
    ids: Vec<String>,
}

/// Does what a call wants.
pub(crate) fn answer(
    machine: &mut Machine,
    call: &Call,
    route: &Route,
    distortion: Distortion,
) -> Outcome {
    machine.settle();
    let shape = machine.switches().error_shape;
    let known = call
        .bearer()
        .and_then(|token| machine.users().by_token(token));
    let (caller, email) = match known {
        Some((caller, false)) => (caller, machine.users().email(caller).to_owned()),
        Some((_, true)) if machine.switches().service_token == ServiceToken::Forbidden => {
            let refusal = Refusal::new(403, "FORBIDDEN", "a service account is no user");
            let answer = Answer::refusal(&refusal, shape);
            return Outcome {
                answer,
                user: None,
                ids: Vec::new(),
            };
        }
        _ => {
            return Outcome {
                answer: Answer::unauthorized(),
                user: None,
                ids: Vec::new(),
            };
        }
    };
    let mut session = Session {
        machine,
        call,
        caller,
        email,
        distortion,
        ids: Vec::new(),
    };
    let answer = session.dispatch(route).unwrap_or_else(|refusal| {
        let answer = Answer::refusal(&refusal, shape);
        match route {
            Route::WrongMethod(allowed) => answer.with_header("allow", *allowed),
            _ => answer,
        }
    });
    Outcome {
        answer,
        user: Some(session.email),
        ids: session.ids,
    }
}

impl Session<'_> {
    fn dispatch(&mut self, route: &Route) -> Result<Answer, Refusal> {
        let (endpoint, id) = match route {
            Route::To(endpoint, id) => (*endpoint, id.as_str()),
            Route::WrongMethod(_) => {
                return Err(Refusal::new(
                    405,
                    "METHOD_NOT_ALLOWED",
                    "wrong method for this path",
                ));
            }
            Route::Nowhere => return Err(Refusal::new(404, "NOT_FOUND", "no such path")),
        };
        if !id.is_empty() {
            self.ids.push(id.to_owned());
        }
        match endpoint {
            Endpoint::Create => self.create(),
            Endpoint::List => self.list(Shape::Own),
            Endpoint::ListDelegated => self.list(Shape::Delegated),
            Endpoint::Get => {
                let key = self.own(id, self.switches().delegated_get)?;
                self.no_parameters()?;
                Ok(self.show(key, Shape::Own))
            }
            Endpoint::GetDelegated => {
                let key = self.delegated(id)?;
                self.no_parameters()?;
                Ok(self.show(key, Shape::Delegated))
            }
            Endpoint::Entitlements => self.entitlements(id),
            Endpoint::RequestAgain => self.again(id),
            Endpoint::Revoke => self.revoke(id),
            Endpoint::Unknown => Err(Refusal::new(404, "NOT_FOUND", "no such path")),
        }
    }

    const fn switches(&self) -> &Switches {
        self.machine.switches()
    }

    const fn view(&self, shape: Shape, behind: SignedDuration) -> View<'_> {
        View {
            machine: self.machine,
            caller: self.caller,
            shape,
            behind,
        }
    }

    fn no_parameters(&self) -> Result<(), Refusal> {
        match self.call.parameters().first() {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!("there is no parameter `{name}`");
                Err(Refusal::bad("UNKNOWN_PARAMETER", message))
            }
        }
    }

    /// A request made for the caller; with visibility also one he made for somebody else.
    fn own(&self, id: &str, delegated: Visibility) -> Result<Key, Refusal> {
        self.visible(id, |request, caller| {
            request.grantee_key == caller
                || (delegated == Visibility::Visible && request.requestor_key == caller)
        })
    }

    fn delegated(&self, id: &str) -> Result<Key, Refusal> {
        self.visible(id, |request, caller| {
            request.is_delegated() && request.requestor_key == caller
        })
    }

    fn visible(&self, id: &str, seen: impl Fn(&Request, UserKey) -> bool) -> Result<Key, Refusal> {
        self.machine
            .find(id)
            .filter(|key| {
                self.machine
                    .get(*key)
                    .is_some_and(|it| seen(it, self.caller))
            })
            .ok_or_else(|| {
                Refusal::new(
                    404,
                    "NOT_FOUND",
                    format!("there is no access request `{id}`"),
                )
            })
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

    fn create(&mut self) -> Result<Answer, Refusal> {
        self.no_parameters()?;
        let mut body: CreateBody = wire::body(self.call)?;
        let switches = self.switches();
        let wanted = body.wanted(switches)?;
        let custom_fields = wire::custom_fields(body.custom_fields, switches)?;
        let keys = self.machine.create(Ask {
            requestor: self.caller,
            grantee: body.grantee,
            wanted,
            justification: body.justification,
            duration_in_sec: body.duration_in_sec,
            custom_fields,
            by: Actor::User(self.email.clone()),
        })?;
        Ok(self.show_all(&keys))
    }

    fn again(&mut self, id: &str) -> Result<Answer, Refusal> {
        let key = self.own(id, self.switches().delegated_again)?;
        self.no_parameters()?;
        let body: AgainBody = wire::body(self.call)?;
        let custom_fields = wire::custom_fields(body.custom_fields, self.switches())?;
        let by = Actor::User(self.email.clone());
        let keys = self
            .machine
            .request_again(key, body.justification, custom_fields, by)?;
        Ok(self.show_all(&keys))
    }

    fn revoke(&mut self, id: &str) -> Result<Answer, Refusal> {
        let key = self.own(id, self.switches().delegated_revoke)?;
        self.no_parameters()?;
        if !self.call.body.is_empty() {
            return Err(Refusal::bad("BAD_REQUEST", "a revoke has no body"));
        }
        self.machine.revoke(key, &Actor::User(self.email.clone()))?;
        Ok(Answer::json(
            200,
            &json!({"message": "The access request is being revoked"}),
        ))
    }
}
