//! The status of a connection: its conditions, and the smallest patch that brings them about. Pure.
//!
//! The status is a fixed point: the same state gives the same bytes, and no patch is made for it.
//! Nothing in it tells when the operator last looked.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Map, Value, json};

use super::ConnectionState;
use crate::crd::{ConditionType, ConnectionStatus, Identity};

/// Kubernetes allows 32768 bytes; people read one line.
const LONGEST_MESSAGE: usize = 1024;

/// What a status is made of.
#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    pub(super) generation: Option<i64>,
    pub(super) state: &'a ConnectionState,
    pub(super) identity: Option<&'a Identity>,
}

/// The status that says these facts.
pub(super) fn status(
    old: &ConnectionStatus,
    facts: &Facts<'_>,
    now: Timestamp,
) -> ConnectionStatus {
    let (ready, abnormal) = match facts.state {
        ConnectionState::Ready => ("True", None),
        state if state.reason().heals_by_itself() => ("False", Some(ConditionType::Reconciling)),
        _ => ("False", Some(ConditionType::Stalled)),
    };
    let conditions = [
        Some((ConditionType::Ready, ready)),
        abnormal.map(|kind| (kind, "True")),
    ];
    ConnectionStatus {
        observed_generation: facts.generation,
        conditions: conditions
            .into_iter()
            .flatten()
            .map(|(kind, status)| condition(old, kind, status, facts, now))
            .collect(),
        identity: facts.identity.cloned(),
    }
}

/// The merge patch from one status to the other, bound to what was read; absent when they are equal.
pub(super) fn patch(
    old: &ConnectionStatus,
    new: &ConnectionStatus,
    resource_version: Option<&str>,
) -> Result<Option<Value>, serde_json::Error> {
    let (old, new) = (fields(old)?, fields(new)?);
    let changed = new
        .iter()
        .filter(|(name, value)| old.get(*name) != Some(value));
    let mut status: Map<_, _> = changed
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        status.insert(name.clone(), Value::Null);
    }
    if status.is_empty() {
        return Ok(None);
    }
    Ok(Some(
        json!({"metadata": {"resourceVersion": resource_version}, "status": status}),
    ))
}

fn fields(status: &ConnectionStatus) -> Result<Map<String, Value>, serde_json::Error> {
    match serde_json::to_value(status)? {
        Value::Object(fields) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

fn condition(
    old: &ConnectionStatus,
    kind: ConditionType,
    status: &str,
    facts: &Facts<'_>,
    now: Timestamp,
) -> Condition {
    let before = old
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind.as_str());
    let since = before.filter(|condition| condition.status == status);
    let mut message = facts.state.message().to_owned();
    message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
    Condition {
        type_: kind.as_str().to_owned(),
        status: status.to_owned(),
        reason: facts.state.reason().as_str().to_owned(),
        message,
        observed_generation: facts.generation,
        // Whole seconds, as they are stored.
        last_transition_time: since.map_or_else(
            || Time(whole_second(now)),
            |condition| condition.last_transition_time.clone(),
        ),
    }
}

fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::ConnectionReason;

    fn facts(state: &ConnectionState) -> Facts<'_> {
        Facts {
            generation: Some(3),
            state,
            identity: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn types(status: &ConnectionStatus) -> Vec<(&str, &str, &str)> {
        status
            .conditions
            .iter()
            .map(|condition| {
                (
                    condition.type_.as_str(),
                    condition.status.as_str(),
                    condition.reason.as_str(),
                )
            })
            .collect()
    }

    #[test]
    fn every_state_has_its_conditions() {
        let old = ConnectionStatus::default();
        let ready = status(&old, &facts(&ConnectionState::Ready), at(1));
        assert_eq!(types(&ready), [("Ready", "True", "Ready")]);
        for reason in ConnectionReason::ALL.iter().copied() {
            if reason == ConnectionReason::Ready {
                continue;
            }
            let state = ConnectionState::not_ready(reason, "why");
            let found = status(&old, &facts(&state), at(1));
            let abnormal = if reason.heals_by_itself() {
                "Reconciling"
            } else {
                "Stalled"
            };
            let word = reason.as_str();
            assert_eq!(
                types(&found),
                [("Ready", "False", word), (abnormal, "True", word)]
            );
        }
    }

    #[test]
    fn the_same_state_makes_no_patch() {
        let state = ConnectionState::Unauthorized {
            message: "refused".into(),
        };
        let first = status(&ConnectionStatus::default(), &facts(&state), at(1));
        let second = status(&first, &facts(&state), at(1000));
        assert_eq!(first, second);
        assert_eq!(patch(&first, &second, Some("7")).unwrap(), None);
    }

    #[test]
    fn a_patch_holds_only_what_differs_and_what_was_read() {
        let identity = Identity {
            id: Some("u1".into()),
            source_id: None,
        };
        let known = Facts {
            identity: Some(&identity),
            ..facts(&ConnectionState::Ready)
        };
        let old = status(&ConnectionStatus::default(), &known, at(1));
        let refused = ConnectionState::Unauthorized {
            message: "refused".into(),
        };
        let new = status(&old, &facts(&refused), at(2));
        let patch = patch(&old, &new, Some("7")).unwrap().unwrap();
        assert_eq!(patch["metadata"], json!({"resourceVersion": "7"}));
        let mut names: Vec<_> = patch["status"].as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["conditions", "identity"]);
        assert_eq!(patch["status"]["identity"], Value::Null);
    }

    #[test]
    fn a_transition_is_dated_and_a_new_message_is_none() {
        let state = |message: &str| ConnectionState::Unauthorized {
            message: message.into(),
        };
        let first = status(&ConnectionStatus::default(), &facts(&state("a")), at(1));
        let second = status(&first, &facts(&state("b")), at(2));
        assert_eq!(second.conditions[0].last_transition_time, Time(at(1)));
        let third = status(&second, &facts(&ConnectionState::Ready), at(3));
        assert_eq!(third.conditions[0].last_transition_time, Time(at(3)));
    }
}
