//! Writes what `fold` made of the pass: the status if it differs, and the events. IO.
//!
//! Guarantees: every write carries uid and resourceVersion. When the object has changed meanwhile it
//! is read again and folded again, so ids that were just received are united with what is there and
//! never lost to a conflict.

use std::time::Duration;

use jiff::Timestamp;
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder},
};
use serde_json::{Map, Value, json};

use super::{
    Context,
    error::Error,
    fold::{Happening, Outcome, fold},
    mark::{is_outdated, precondition},
    observed::Observed,
    plan::Intent,
};
use crate::{
    crd::{AccessRequest, AccessRequestStatus, FIELD_MANAGER},
    kubernetes::{self, deadline},
    metrics::KubeWrite,
    telemetry::Chain,
};

/// How often a changed object is read and folded again.
const MOST_CONFLICTS: u32 = 20;
/// Between two tries.
const AFTER_CONFLICT: Duration = Duration::from_millis(20);
/// The API server refuses longer notes.
const NOTE_BYTES: usize = 1000;

/// Brings the status in line with the pass. Nothing is written where nothing changed.
pub async fn persist(
    context: &Context,
    mut resource: AccessRequest,
    observed: &Observed,
    outcome: &Outcome,
    intent: Intent,
    now: Timestamp,
) -> Result<(), Error> {
    for _ in 0..MOST_CONFLICTS {
        let (status, happenings) = fold(&resource, observed, outcome, intent, now);
        let Some(change) = difference(resource.status.as_ref(), &status)? else {
            return Ok(());
        };
        match patch_status(context, &resource, change).await {
            Ok(()) => {
                context.metrics.stored(&resource, &status, now);
                publish(context, &resource, &happenings).await;
                return Ok(());
            }
            Err(error) if error.is_conflict() => {}
            Err(error) if error.is_invalid() && is_outdated(context, &resource).await? => {}
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(Error::WriteStatus(error)),
        }
        tokio::time::sleep(AFTER_CONFLICT).await;
        let uid = resource.uid();
        match read(context, &resource).await? {
            Some(fresh) if fresh.uid() == uid => resource = fresh,
            _ => return Ok(()),
        }
    }
    Err(Error::WriteContended(MOST_CONFLICTS))
}

/// The same for an object that does not decode: its status may be one the API server refuses, and
/// its release does not depend on it.
pub async fn persist_if_possible(
    context: &Context,
    resource: &AccessRequest,
    observed: &Observed,
    outcome: &Outcome,
    intent: Intent,
    now: Timestamp,
) {
    let (status, happenings) = fold(resource, observed, outcome, intent, now);
    let Ok(Some(change)) = difference(resource.status.as_ref(), &status) else {
        return;
    };
    match patch_status(context, resource, change).await {
        Ok(()) => publish(context, resource, &happenings).await,
        // Said, and not repeated by itself: the release goes on without it.
        Err(error) if error.is_invalid() => say_refused(&error),
        Err(error) => tracing::debug!(%error, "status not written"),
    }
}

fn say_refused(error: &kubernetes::Error) {
    let error = Chain(error);
    tracing::error!(%error, "the API server refuses the status");
}

/// The object as it stands at the API server.
pub async fn read(
    context: &Context,
    resource: &AccessRequest,
) -> Result<Option<AccessRequest>, Error> {
    let namespace = resource.namespace().unwrap_or_default();
    let api: Api<AccessRequest> = Api::namespaced(context.client.clone(), &namespace);
    let name = resource.name_any();
    let get = api.get_opt(&name);
    deadline("read the resource", context.kube_timeout, get)
        .await
        .map_err(Error::ReadResource)
}

/// Publishes what happened. Best effort: an event never fails a pass.
pub async fn publish(context: &Context, resource: &AccessRequest, happenings: &[Happening]) {
    for happening in happenings {
        tracing::info!(reason = happening.reason, "{}", happening.note);
        context.metrics.happened(happening.reason);
        publish_one(context, resource, happening).await;
    }
}

async fn publish_one(context: &Context, resource: &AccessRequest, happening: &Happening) {
    let event = Event {
        type_: if happening.is_warning {
            EventType::Warning
        } else {
            EventType::Normal
        },
        reason: happening.reason.to_owned(),
        note: Some(cut(&happening.note)),
        action: happening.reason.to_owned(),
        secondary: None,
    };
    let reference = resource.object_ref(&());
    // A fresh recorder each time: a kept one repeats the first note of a series.
    let recorder = Recorder::new(context.client.clone(), FIELD_MANAGER.into());
    let published = recorder.publish(&event, &reference);
    context.metrics.kube_write(KubeWrite::Event);
    if let Err(error) = deadline("publish an event", context.kube_timeout, published).await {
        tracing::debug!(%error, "event lost");
    }
}

fn cut(note: &str) -> String {
    let mut cut = note.to_owned();
    while cut.len() > NOTE_BYTES {
        cut.pop();
    }
    cut
}

async fn patch_status(
    context: &Context,
    resource: &AccessRequest,
    change: Value,
) -> Result<(), kubernetes::Error> {
    let namespace = resource.namespace().unwrap_or_default();
    let api: Api<kube::core::PartialObjectMeta<AccessRequest>> =
        Api::namespaced(context.client.clone(), &namespace);
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    tracing::debug!(%change, "status");
    let patch = Patch::Merge(json!({ "metadata": precondition(resource), "status": change }));
    let name = resource.name_any();
    let patched = deadline(
        "write the status",
        context.kube_timeout,
        api.patch_status(&name, &parameters, &patch),
    );
    context.metrics.kube_write(KubeWrite::Status);
    let patched = patched.await?;
    context.note_write(&AccessRequest {
        metadata: patched.metadata,
        ..AccessRequest::default()
    });
    Ok(())
}

/// The merge patch from the old status to the new one, or nothing where they are the same.
fn difference(
    old: Option<&AccessRequestStatus>,
    new: &AccessRequestStatus,
) -> Result<Option<Value>, Error> {
    // Nearly always, and far cheaper to see than two trees of values are to make.
    if old == Some(new) {
        return Ok(None);
    }
    let old = serde_json::to_value(old).map_err(Error::EncodeStatus)?;
    let new = serde_json::to_value(new).map_err(Error::EncodeStatus)?;
    Ok(merge_patch(&old, &new))
}

/// RFC 7396: what differs, null for what is gone; arrays are replaced whole.
pub fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    match (old, new) {
        _ if old == new => None,
        (Value::Object(old), Value::Object(new)) => {
            let gone = old.keys().filter(|key| !new.contains_key(*key));
            let mut patch: Map<_, _> = gone.map(|key| (key.clone(), Value::Null)).collect();
            for (key, value) in new {
                let before = old.get(key).unwrap_or(&Value::Null);
                if let Some(change) = merge_patch(before, value) {
                    patch.insert(key.clone(), change);
                }
            }
            Some(Value::Object(patch))
        }
        (_, new) => Some(new.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_names_what_differs_and_nothing_else() {
        let old = json!({"a": 1, "b": {"c": [1], "d": 2}, "gone": true});
        let new = json!({"a": 1, "b": {"c": [1, 2], "d": 2}, "new": {"x": 1}});
        let patch = merge_patch(&old, &new);
        assert_eq!(
            patch,
            Some(json!({"b": {"c": [1, 2]}, "gone": null, "new": {"x": 1}}))
        );
        assert_eq!(merge_patch(&new, &new), None);
    }

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let note = cut(&"é".repeat(1000));
        assert_eq!(note.len(), NOTE_BYTES);
    }
}
