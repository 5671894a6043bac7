//! What each call of the API does to the machine and answers: authorization, visibility, lists.
//!
//! Synchronous, and free of transport, faults and bookkeeping.
//!
//! - `routes/requests.rs`: requests on v4
//! - `routes/lists.rs`: the paged answers
//! - `routes/available.rs`, `routes/selectable.rs`: what one may ask for, on v1 and on v3
//! - `routes/sessions.rs`: sessions and their details
//! - `routes/v3.rs`: requests on v3
//! - `routes/rates.rs`: how many calls a user may make

use jiff::SignedDuration;

use crate::endpoint::{Endpoint, Route};
use crate::http::{Answer, Call};
use crate::machine::{Machine, Refusal};
use crate::request::Actor;
use crate::switches::{InvalidStatus, ServiceToken, Strange, Switches, V3Service};
use crate::users::UserKey;
use crate::wire::{Shape, View};

mod available;
mod lists;
mod rates;
mod requests;
mod selectable;
mod v3;

pub(crate) use rates::Rates;

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
    /// The requests and sessions the call named, made, or answered with one by one; not those of a
    /// list.
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
    rates: &mut Rates,
    call: &Call,
    route: &Route,
    distortion: Distortion,
) -> Outcome {
    machine.settle();
    let shape = machine.switches().error_shape;
    let caller = match authenticate(machine, call, route.endpoint()) {
        Ok(caller) => caller,
        Err(refusal) => {
            return Outcome {
                answer: Answer::refusal(&refusal, shape),
                user: None,
                ids: Vec::new(),
            };
        }
    };
    let mut session = Session {
        email: machine.users().email(caller).to_owned(),
        machine,
        call,
        caller,
        distortion,
        ids: Vec::new(),
    };
    let limited = rates.count(session.machine, caller);
    let answer = match limited {
        Some(limited) => limited,
        None => session.dispatch(route).unwrap_or_else(|refusal| {
            let refusal = session.as_invalid(route.endpoint(), refusal);
            let answer = Answer::refusal(&refusal, shape);
            match route {
                Route::WrongMethod(allowed) => answer.with_header("allow", *allowed),
                _ => answer,
            }
        }),
    };
    Outcome {
        answer,
        user: Some(session.email),
        ids: session.ids,
    }
}

/// The user whose token came with a call. A service account is one on v3 only.
fn authenticate(machine: &Machine, call: &Call, endpoint: Endpoint) -> Result<UserKey, Refusal> {
    let unauthorized = || Refusal::new(401, "Unauthorized", "");
    let forbidden = || Refusal::new(403, "FORBIDDEN", "a service account is no user");
    let known = call
        .bearer()
        .and_then(|token| machine.users().by_token(token));
    let switches = machine.switches();
    match known.ok_or_else(unauthorized)? {
        (caller, false) => Ok(caller),
        (caller, true) if endpoint.is_v3() => match switches.v3_service {
            V3Service::Accepted => Ok(caller),
            V3Service::Unauthorized => Err(unauthorized()),
            V3Service::Forbidden => Err(forbidden()),
        },
        _ => match switches.service_token {
            ServiceToken::Unauthorized => Err(unauthorized()),
            ServiceToken::Forbidden => Err(forbidden()),
        },
    }
}

impl Session<'_> {
    fn dispatch(&mut self, route: &Route) -> Result<Answer, Refusal> {
        let (endpoint, ids) = match route {
            Route::To(endpoint, ids) => (*endpoint, ids.as_slice()),
            Route::WrongMethod(_) => {
                return Err(Refusal::new(
                    405,
                    "METHOD_NOT_ALLOWED",
                    "wrong method for this path",
                ));
            }
            Route::Nowhere => return Err(Refusal::new(404, "NOT_FOUND", "no such path")),
        };
        let id = ids.first().map_or("", String::as_str);
        let kind = ids.get(1).map_or("", String::as_str);
        self.ids.extend(route.id().map(str::to_owned));
        match endpoint {
            Endpoint::Create => self.create(),
            Endpoint::List => self.list(Shape::Own),
            Endpoint::ListDelegated => self.list(Shape::Delegated),
            Endpoint::Get => self.get(id),
            Endpoint::GetDelegated => self.get_delegated(id),
            Endpoint::Entitlements => self.entitlements(id),
            Endpoint::RequestAgain => self.again(id),
            Endpoint::Revoke => self.revoke(id),
            Endpoint::AvailableBundles => self.available_bundles(),
            Endpoint::AvailableEntitlements => self.available_entitlements(),
            Endpoint::V3List => self.v3_list(),
            Endpoint::V3Create => self.v3_create(),
            Endpoint::V3Get => self.v3_get(id),
            Endpoint::V3BulkRevoke => self.v3_bulk_revoke(),
            Endpoint::SelectableIntegrations => self.selectable_integrations(),
            Endpoint::SelectableResourceTypes => self.selectable_resource_types(id),
            Endpoint::SelectablePermissions => self.selectable_permissions(id, kind),
            Endpoint::SelectableResources => self.selectable_resources(id, kind),
            Endpoint::ListSessions
            | Endpoint::GetSession
            | Endpoint::SessionDetails
            | Endpoint::ResetSession
            | Endpoint::V3Details
            | Endpoint::V3Reset
            | Endpoint::Unknown => Err(Refusal::new(404, "NOT_FOUND", "no such path")),
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

    fn actor(&self) -> Actor {
        Actor::User(self.email.clone())
    }

    fn no_parameters(&self) -> Result<(), Refusal> {
        self.parameters(&[]).map(|_| ())
    }

    /// The values of the only parameters a call may have, each once at most.
    fn parameters<const N: usize>(
        &self,
        names: &[&str; N],
    ) -> Result<[Option<String>; N], Refusal> {
        let mut values = [const { None }; N];
        for (name, value) in self.call.parameters() {
            let place = names.iter().position(|it| *it == name);
            match place.and_then(|place| values.get_mut(place)) {
                Some(slot @ None) => *slot = Some(value),
                Some(Some(_)) => {
                    let message = format!("parameter `{name}` is given twice");
                    return Err(Refusal::bad("BAD_REQUEST", message));
                }
                None if self.switches().unknown_parameter == Strange::Ignore => {}
                None => {
                    let message = format!("there is no parameter `{name}`");
                    return Err(Refusal::bad("UNKNOWN_PARAMETER", message));
                }
            }
        }
        Ok(values)
    }

    fn no_body(&self) -> Result<(), Refusal> {
        if self.call.body.is_empty() {
            Ok(())
        } else {
            Err(Refusal::bad("BAD_REQUEST", "this call has no body"))
        }
    }

    /// A body that is well written and cannot be done has a status of its own by switch.
    fn as_invalid(&self, endpoint: Endpoint, refusal: Refusal) -> Refusal {
        let by_body = matches!(
            endpoint,
            Endpoint::Create | Endpoint::RequestAgain | Endpoint::V3Create | Endpoint::V3BulkRevoke
        );
        let content = refusal.status == 400 && refusal.code != "BAD_REQUEST";
        if by_body && content && self.switches().invalid_status == InvalidStatus::Unprocessable {
            return Refusal {
                status: 422,
                ..refusal
            };
        }
        refusal
    }
}
