//! The control channel over HTTP: paths under `/_control`, JSON in and out.
//!
//! It translates to [`Control`] and back and decides nothing. Errors are `{"error": ".."}` and say
//! what would work.

use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::catalogue::Flow;
use crate::control::{Behaviour, Control, ControlError, Outside};
use crate::faults::Fault;
use crate::http::{Answer, Call};
use crate::machine::Command;
use crate::request::Request;
use crate::session::Session;

/// The prefix of every control path.
pub(crate) const PREFIX: &str = "/_control";

const PATHS: &str = "GET ready, requests, requests/{id}, sessions, sessions/{id}, clock, switches, \
    behaviour, faults, counters, ledger, catalogue, users; POST requests, \
    requests/{id}/{command}, sessions/{id}/view, sessions/{id}/reset, sessions/{id}/finish-reset, \
    clock/advance, faults, reset; PATCH switches, behaviour, flows/{name}; \
    PUT users/{email}/tokens, users/{email}/admin; DELETE faults, faults/{id}; \
    all under /_control";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    by: SignedDuration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    tokens: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Admin {
    admin: bool,
}

type Shown = Result<Value, ControlError>;

/// Answers a control call.
pub(crate) fn answer(control: &Control, call: &Call) -> Answer {
    match dispatch(control, call) {
        Ok(body) => Answer::json(200, &body),
        Err(error) => {
            let status = match error {
                ControlError::Unknown(_) => 404,
                ControlError::Conflict(_) => 409,
                ControlError::Invalid(_) => 400,
            };
            Answer::json(status, &json!({"error": error.to_string()}))
        }
    }
}

fn dispatch(control: &Control, call: &Call) -> Shown {
    let segments = call.segments();
    let rest: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
    match (call.method.as_str(), rest.as_slice()) {
        ("GET", ["ready"]) => Ok(json!({"ready": true, "now": control.now()})),
        (_, ["requests", ..]) => requests(control, call, &rest),
        (_, ["sessions", ..]) => sessions(control, call, &rest),
        (_, ["faults", ..]) => faults(control, call, &rest),
        ("GET", ["clock"]) => Ok(json!({"now": control.now()})),
        ("POST", ["clock", "advance"]) => {
            let advance: Advance = body(call, r#"{"by": "90s"}"#)?;
            Ok(json!({"now": control.advance(advance.by)}))
        }
        ("GET", ["switches"]) => Ok(json!(control.switches())),
        ("PATCH", ["switches"]) => {
            let patch: Map<String, Value> = body(call, r#"{"id-form": "ar-number"}"#)?;
            Ok(json!(control.patch_switches(&patch)?))
        }
        ("GET", ["behaviour"]) => Ok(behaviour(control)),
        ("PATCH", ["behaviour"]) => patch_behaviour(control, call),
        ("GET", ["counters"]) => Ok(json!(control.counters())),
        ("GET", ["ledger"]) => ledger(control, call),
        ("GET", ["catalogue"]) => Ok(json!(control.catalogue())),
        ("GET", ["users"]) => Ok(users(control)),
        ("PUT", ["users", ..]) => put_user(control, call, &rest),
        ("PATCH", ["flows", name]) => patch_flow(control, call, name),
        ("POST", ["reset"]) => {
            control.reset();
            Ok(json!({"reset": true}))
        }
        _ => Err(nowhere(call)),
    }
}

fn put_user(control: &Control, call: &Call, rest: &[&str]) -> Shown {
    match rest {
        [_, user, "tokens"] => {
            let tokens: Tokens = body(call, r#"{"tokens": [".."]}"#)?;
            control.set_tokens(user, tokens.tokens)?;
        }
        [_, user, "admin"] => {
            let admin: Admin = body(call, r#"{"admin": true}"#)?;
            control.set_admin(user, admin.admin)?;
        }
        _ => return Err(nowhere(call)),
    }
    Ok(users(control))
}

/// Properties of the flow that are not named stay as they are.
fn patch_flow(control: &Control, call: &Call, name: &str) -> Shown {
    let mut patch: Map<String, Value> = body(call, r#"{"approval": "human"}"#)?;
    let flows = control.catalogue().flows;
    let flow = flows.into_iter().find(|flow| flow.name == name);
    if let Some(Value::Object(mut all)) = flow.map(|flow| json!(flow)) {
        all.append(&mut patch);
        patch = all;
    }
    let changed: Flow = serde_json::from_value(Value::Object(patch))
        .map_err(|error| ControlError::Invalid(error.to_string()))?;
    Ok(json!(control.edit_flow(name, |flow| *flow = changed)?))
}

fn sessions(control: &Control, call: &Call, rest: &[&str]) -> Shown {
    let with_uses = |session: Session| {
        let uses = control.session_uses(&session.id);
        let mut shown = json!(session);
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("uses".to_owned(), json!(uses));
        }
        shown
    };
    Ok(match (call.method.as_str(), rest) {
        ("GET", [_]) => control.sessions().into_iter().map(with_uses).collect(),
        ("GET", [_, id]) => with_uses(control.session(id)?),
        ("POST", [_, id, "view"]) => with_uses(control.view_session(id)?),
        ("POST", [_, id, "reset"]) => with_uses(control.reset_session(id)?),
        ("POST", [_, id, "finish-reset"]) => with_uses(control.finish_reset(id)?),
        _ => return Err(nowhere(call)),
    })
}

fn nowhere(call: &Call) -> ControlError {
    ControlError::Unknown(format!(
        "no `{} {}`; there are: {PATHS}",
        call.method, call.path
    ))
}

/// Reads a body; `example` is what the error shows.
fn body<T: DeserializeOwned>(call: &Call, example: &str) -> Result<T, ControlError> {
    serde_json::from_slice(&call.body)
        .map_err(|error| ControlError::Invalid(format!("{error}; send for example {example}")))
}

fn requests(control: &Control, call: &Call, rest: &[&str]) -> Shown {
    match (call.method.as_str(), rest) {
        ("GET", [_]) => {
            let all = control.requests();
            let kept: Vec<_> = all
                .into_iter()
                .filter(|it| matches(it, &call.parameters()))
                .collect();
            Ok(json!(kept))
        }
        ("POST", [_]) => {
            let outside: Outside = body(
                call,
                r#"{"requestor": "a@example.com", "bundle": "prod-read"}"#,
            )?;
            Ok(json!(control.create(outside)?))
        }
        ("GET", [_, id]) => Ok(json!(control.request(id)?)),
        ("POST", [_, id, name]) => {
            let command = command(call, name)?;
            Ok(json!(control.command(id, &command)?))
        }
        _ => Err(nowhere(call)),
    }
}

/// Whether a request fits `status`, `requestor` and `grantee` of a query; unknown keys fit.
fn matches(request: &Request, query: &[(String, String)]) -> bool {
    query.iter().all(|(name, value)| match name.as_str() {
        "status" => request.status.word().eq_ignore_ascii_case(value),
        "requestor" => request.requestor == *value,
        "grantee" => request.grantee == *value,
        _ => true,
    })
}

/// A command is the last part of the path; its details, if it has any, are the body.
fn command(call: &Call, name: &str) -> Result<Command, ControlError> {
    let mut fields: Map<String, Value> = if call.body.is_empty() {
        Map::new()
    } else {
        body(call, "no body")?
    };
    fields.insert("do".to_owned(), json!(name));
    serde_json::from_value(Value::Object(fields)).map_err(|error| {
        ControlError::Invalid(format!(
            "{error}; commands: route, approve, reject {{reason}}, pass-mfa, grant, activate, \
             fail {{granted}}, revoke, finish-revoke, expire, extend {{by}}, \
             fate {{fate: {{grant, revoke}}}}"
        ))
    })
}

fn behaviour(control: &Control) -> Value {
    let (mode, delays) = control.behaviour();
    json!({"mode": mode, "delays": delays})
}

/// Delays not named stay as they are.
fn patch_behaviour(control: &Control, call: &Call) -> Shown {
    let example = r#"{"mode": "auto", "delays": {"grant": "2s"}}"#;
    let mut patch: Map<String, Value> = body(call, example)?;
    if let Some(Value::Object(delays)) = patch.get_mut("delays") {
        let Value::Object(mut all) = json!(control.behaviour().1) else {
            return Err(nowhere(call));
        };
        all.append(delays);
        *delays = all;
    }
    let patch: Behaviour = serde_json::from_value(Value::Object(patch))
        .map_err(|error| ControlError::Invalid(format!("{error}; send for example {example}")))?;
    control.set_behaviour(patch);
    Ok(behaviour(control))
}

fn faults(control: &Control, call: &Call, rest: &[&str]) -> Shown {
    match (call.method.as_str(), rest) {
        ("GET", [_]) => Ok(json!(control.faults())),
        ("POST", [_]) => {
            let example = r#"{"endpoint": "create", "action": {"kind": "drop", "when": "after"}}"#;
            let fault: Fault = body(call, example)?;
            Ok(json!({"id": control.arm(fault)}))
        }
        ("DELETE", [_]) => {
            control.clear_faults();
            Ok(json!([]))
        }
        ("DELETE", [_, id]) => {
            let id = id
                .parse()
                .map_err(|_| ControlError::Invalid("a number is wanted".into()))?;
            control.disarm(id)?;
            Ok(json!(control.faults()))
        }
        _ => Err(nowhere(call)),
    }
}

fn ledger(control: &Control, call: &Call) -> Shown {
    let after = call
        .parameters()
        .into_iter()
        .find(|(name, _)| name == "after");
    let after = after
        .map_or(Ok(0), |(_, value)| value.parse())
        .map_err(|_| {
            ControlError::Invalid("`after` is the number of an entry, 0 for all".to_owned())
        })?;
    let entries = control.ledger(after);
    Ok(json!({"forgotten": control.world().ledger.forgotten(), "entries": entries}))
}

fn users(control: &Control) -> Value {
    let world = control.world();
    let all = world.machine.users().all().map(|(identity, user)| {
        json!({
            "id": identity.id,
            "email": identity.source_id,
            "tokens": user.tokens.len(),
            "service": user.service,
            "admin": user.admin,
        })
    });
    Value::Array(all.collect())
}
