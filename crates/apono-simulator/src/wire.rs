//! How things look in answers: the shapes of the public contract.
//!
//! It renders; it decides nothing about requests.
//!
//! - `wire/bodies.rs`: what bodies are accepted
//! - `wire/v3.rs`: the shapes of v3

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::catalogue::Described;
use crate::clock::later;
use crate::machine::Machine;
use crate::request::{Entitlement, Request};
use crate::status::{EntitlementStatus, Status};
use crate::switches::{
    DurationEcho, EndAfterRevoke, EndShown, MessageText, OwnIdentity, Switches, WordCase,
};
use crate::users::UserKey;

mod bodies;
mod v3;

pub(crate) use bodies::{AgainBody, BulkBody, CreateBody, V3CreateBody, body, custom_fields};
pub(crate) use v3::{v3_page, v3_resource, v3_resource_type};

fn cased(word: &str, others: &BTreeMap<String, String>, case: WordCase) -> String {
    match (others.get(word), case) {
        (Some(other), _) => other.clone(),
        (None, WordCase::Pascal) => word.to_owned(),
        (None, WordCase::Upper) => word.to_uppercase(),
        (None, WordCase::Lower) => word.to_lowercase(),
    }
}

/// The word for a request's status, as the switches want it.
pub(crate) fn request_word(status: Status, switches: &Switches) -> String {
    cased(status.word(), &switches.request_words, switches.word_case)
}

/// The word for an entitlement's status, as the switches want it.
pub(crate) fn entitlement_word(status: EntitlementStatus, switches: &Switches) -> String {
    cased(
        status.word(),
        &switches.entitlement_words,
        switches.word_case,
    )
}

/// The body of an answer that only says something.
pub(crate) fn message(text: &str, switches: &Switches) -> Value {
    json!({"message": match switches.message_text {
        MessageText::Sentence => text,
        MessageText::Word => "ok",
        MessageText::Empty => "",
    }})
}

fn date(at: Timestamp, switches: &Switches) -> Value {
    Value::String(if switches.fractional_seconds {
        format!("{at:.3}")
    } else {
        format!("{at:.0}")
    })
}

/// What the end of a request shows.
fn shown_end(request: &Request, switches: &Switches) -> Option<Timestamp> {
    let revoked = request
        .ended_at
        .filter(|_| request.status == Status::Revoked);
    if switches.end_after_revoke == EndAfterRevoke::Actual && revoked.is_some() {
        return revoked;
    }
    let shown = request.was_active() || switches.end_shown == EndShown::AtCreate;
    request.planned_end.filter(|_| shown)
}

/// Which of the two shapes of a request is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As one of the caller's own requests.
    Own,
    /// As a request for somebody else.
    Delegated,
}

/// What an answer depends on besides the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) caller: UserKey,
    pub(crate) shape: Shape,
    /// How far behind the shown status is.
    pub(crate) behind: SignedDuration,
}

impl View<'_> {
    /// The status this view shows of a request.
    pub(crate) fn status(&self, request: &Request) -> Status {
        if self.behind.is_zero() {
            return request.status;
        }
        let then = later(self.machine.now(), -self.behind);
        request.status_at(then).unwrap_or(Status::Initializing)
    }

    /// A request as an answer shows it.
    pub(crate) fn request(&self, request: &Request) -> Value {
        let switches = self.machine.switches();
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("id", json!(request.id));
        put(
            "status",
            json!(request_word(self.status(request), switches)),
        );
        put("duration_in_sec", self.duration(request));
        put("justification", json!(request.justification));
        put("creation_date", date(request.created_at, switches));
        let end = shown_end(request, switches);
        put(
            "revocation_date",
            end.map_or(Value::Null, |at| date(at, switches)),
        );
        put("custom_fields", json!(request.custom_fields));
        put("access_groups", self.access_groups(request));
        put("requestor", self.identity(request.requestor_key));
        put("grantee", self.identity(request.grantee_key));
        put("bundle", self.bundle(request));
        Value::Object(fields)
    }

    fn duration(&self, request: &Request) -> Value {
        let flow = self.machine.catalogue().flows.get(request.flow_place);
        let own = flow
            .filter(|_| self.machine.switches().duration_echo == DurationEcho::Effective)
            .and_then(|flow| flow.grant_duration_in_sec);
        json!(request.duration_in_sec.or(own))
    }

    /// The caller may be null among his own requests; the delegated shape always names both.
    fn identity(&self, user: UserKey) -> Value {
        let null = self.shape == Shape::Own
            && user == self.caller
            && self.machine.switches().own_identity == OwnIdentity::Null;
        if null {
            Value::Null
        } else {
            json!(self.machine.users().identity(user))
        }
    }

    fn bundle(&self, request: &Request) -> Value {
        let bundle = request
            .bundle
            .as_deref()
            .and_then(|id| self.machine.catalogue().bundle(id));
        bundle.map_or(
            Value::Null,
            |bundle| json!({"id": bundle.id, "name": bundle.name}),
        )
    }

    /// One group per integration, in the order of first mention.
    fn access_groups(&self, request: &Request) -> Value {
        let mut groups: Vec<(&str, &str, BTreeMap<&str, &str>)> = Vec::new();
        for entitlement in &request.entitlements {
            let Some(it) = self.describe(entitlement) else {
                continue;
            };
            let (id, label) = (
                it.resource_type.id.as_str(),
                it.resource_type.label.as_str(),
            );
            match groups.iter_mut().find(|group| group.0 == it.integration.id) {
                Some(group) => {
                    group.2.insert(id, label);
                }
                None => groups.push((
                    &it.integration.id,
                    &it.integration.name,
                    BTreeMap::from([(id, label)]),
                )),
            }
        }
        let groups = groups.into_iter().map(|(id, name, types)| {
            let types: Vec<_> = types
                .into_iter()
                .map(|(id, label)| json!({"id": id, "label": label}))
                .collect();
            json!({"integration": {"id": id, "name": name}, "resource_types": types})
        });
        Value::Array(groups.collect())
    }

    /// What the catalogue knows of an entitlement.
    pub(crate) fn describe(&self, entitlement: &Entitlement) -> Option<Described<'_>> {
        self.machine.describe(&entitlement.pair)
    }

    /// An entitlement as an answer shows it: the permission by name only.
    pub(crate) fn entitlement(&self, entitlement: &Entitlement) -> Value {
        let Some(it) = self.describe(entitlement) else {
            return Value::Null;
        };
        json!({
            "integration": integration(&it),
            "resource": resource(&it),
            "permission": {"name": it.permission.name},
            "status": entitlement_word(entitlement.status, self.machine.switches()),
        })
    }
}

fn integration(it: &Described<'_>) -> Value {
    json!({"id": it.integration.id, "name": it.integration.name})
}

fn resource(it: &Described<'_>) -> Value {
    json!({
        "id": it.resource.id,
        "source_id": it.resource.source_id,
        "type": {"id": it.resource_type.id, "label": it.resource_type.label},
        "name": it.resource.name,
    })
}

/// An entitlement that one may ask for: the permission with its id.
pub(crate) fn available(it: &Described<'_>) -> Value {
    let permission = it.permission;
    json!({
        "integration": integration(it),
        "resource": resource(it),
        "permission": {
            "id": permission.id,
            "source_id": permission.source_id,
            "name": permission.name,
        },
    })
}
