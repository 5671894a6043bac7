//! What each call of the API does to the machine and answers: authorization, visibility, lists.
//!
//! Synchronous, and free of transport, faults and bookkeeping.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::clock::later;
use crate::endpoint::{Endpoint, Route};
use crate::http::{Answer, Call};
use crate::machine::{Ask, Key, Machine, Refusal};
use crate::paging::{Filters, Query, Reader};
use crate::request::{Actor, Request};
use crate::status::{EntitlementStatus, Status};
use crate::switches::{ListOrder, PagePosition, ServiceToken, Switches, UnknownStatus, Visibility};
use crate::users::UserKey;
use crate::wire::{self, AgainBody, CreateBody, Shape, View};

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

    fn reader<'a>(&'a self, list: &'a str) -> Reader<'a> {
        Reader {
            list,
            user: self.email.as_str(),
            now: self.machine.now(),
            switches: self.machine.switches(),
        }
    }

    fn list(&self, shape: Shape) -> Result<Answer, Refusal> {
        let (name, who) = match shape {
            Shape::Own => ("own", "requestor"),
            Shape::Delegated => ("delegated", "grantee"),
        };
        let reader = self.reader(name);
        let filters = Filters {
            statuses: true,
            who: Some(who),
            entitlements: false,
        };
        let query = reader.query(self.call.parameters(), filters)?;
        let view = self.view(shape, self.distortion.behind);
        let allowed = allowed(
            &query.statuses,
            Status::ALL.map(|status| (status, wire::request_word(status, self.switches()))),
            self.switches(),
        )?;
        let newest = later(self.machine.now(), -self.distortion.lag);
        let mut found: Vec<(u64, &Request)> = self
            .candidates(shape, query.who.as_deref())
            .filter(|(_, request)| request.created_at <= newest)
            .filter(|(_, request)| {
                query.statuses.is_empty() || allowed.contains(&view.status(request))
            })
            .map(|(key, request)| (sort_key(key, self.switches().list_order), request))
            .collect();
        found.sort_unstable_by_key(|(order, _)| *order);
        let (page, next) = self.cut(&found, &query);
        let items: Vec<_> = page
            .iter()
            .map(|(_, request)| view.request(request))
            .collect();
        Ok(Answer::json(200, &reader.page(&items, &query, next)))
    }

    /// The requests of a list before its status filter.
    ///
    /// Own: asked for by the named user (the caller when nobody is named) for the caller.
    /// Delegated: asked for by the caller for somebody else, or for the named user.
    fn candidates<'a>(
        &'a self,
        shape: Shape,
        who: Option<&str>,
    ) -> impl Iterator<Item = (Key, &'a Request)> {
        let named = who.map(|who| self.machine.users().find(who));
        let asker = match (shape, named) {
            (Shape::Own, Some(named)) => named,
            _ => Some(self.caller),
        };
        let keys = asker.map_or(&[][..], |asker| self.machine.asked_by(asker));
        keys.iter()
            .filter_map(|key| Some((*key, self.machine.get(*key)?)))
            .filter(move |(_, request)| match shape {
                Shape::Own => request.grantee_key == self.caller,
                Shape::Delegated => {
                    request.is_delegated()
                        && named.is_none_or(|named| named == Some(request.grantee_key))
                }
            })
    }

    fn entitlements(&self, id: &str) -> Result<Answer, Refusal> {
        let key = self.own(id, self.switches().delegated_entitlements)?;
        let reader = self.reader(id);
        let filters = Filters {
            statuses: true,
            who: None,
            entitlements: true,
        };
        let query = reader.query(self.call.parameters(), filters)?;
        let words = EntitlementStatus::ALL
            .map(|status| (status, wire::entitlement_word(status, self.switches())));
        let allowed = allowed(&query.statuses, words, self.switches())?;
        let view = self.view(Shape::Own, SignedDuration::ZERO);
        let among = |list: &[String], id: &String| list.is_empty() || list.contains(id);
        let all = self
            .machine
            .get(key)
            .map_or(&[][..], |request| &request.entitlements);
        let found: Vec<(u64, Value)> = (0..)
            .zip(all)
            .filter(|(_, it)| query.statuses.is_empty() || allowed.contains(&it.status))
            .filter(|(_, it)| {
                view.describe(it).is_some_and(|known| {
                    among(&query.integrations, &known.integration.id)
                        && among(&query.resource_types, &known.resource_type.id)
                })
            })
            .map(|(place, it)| (place, view.entitlement(it)))
            .collect();
        let (page, next) = self.cut(&found, &query);
        let items: Vec<_> = page.iter().map(|(_, item)| item.clone()).collect();
        Ok(Answer::json(200, &reader.page(&items, &query, next)))
    }

    /// The page of a sorted list that a query is at, and the position of the one after it.
    fn cut<'a, T>(&self, found: &'a [(u64, T)], query: &Query) -> (&'a [(u64, T)], Option<u64>) {
        let by_count = self.switches().page_position == PagePosition::Offset;
        let start = match query.position {
            None => 0,
            Some(count) if by_count => usize::try_from(count).unwrap_or(usize::MAX),
            Some(last) => found.partition_point(|(order, _)| *order <= last),
        };
        let drift = if query.position.is_some() {
            self.distortion.drift
        } else {
            0
        };
        let drift = isize::try_from(drift).unwrap_or(0);
        let start = start.saturating_add_signed(drift).min(found.len());
        let end = start.saturating_add(query.limit as usize).min(found.len());
        let page = found.get(start..end).unwrap_or(&[]);
        let next = match page.last() {
            Some((last, _)) if end < found.len() => Some(if by_count { end as u64 } else { *last }),
            _ => None,
        };
        (page, next)
    }
}

fn sort_key(key: Key, order: ListOrder) -> u64 {
    let place = key.0 as u64;
    match order {
        // Kept below the largest signed number, which JSON readers agree on.
        ListOrder::NewestFirst => (1 << 52) - place,
        ListOrder::OldestFirst => place,
        ListOrder::Shuffled => {
            let mixed = (place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (((mixed ^ (mixed >> 29)) & 0xffff_ffff) << 20) | (place & 0xf_ffff)
        }
    }
}

/// The statuses that a filter's words mean.
fn allowed<S: Copy, const N: usize>(
    filter: &[String],
    words: [(S, String); N],
    switches: &Switches,
) -> Result<Vec<S>, Refusal> {
    let unknown = filter
        .iter()
        .find(|wanted| words.iter().all(|(_, word)| word != *wanted));
    match unknown {
        Some(word) if switches.unknown_status == UnknownStatus::Refuse => Err(Refusal::bad(
            "INVALID_STATUS",
            format!("there is no status `{word}`"),
        )),
        _ => {
            let meant = words.into_iter().filter(|(_, word)| filter.contains(word));
            Ok(meant.map(|(status, _)| status).collect())
        }
    }
}
