//! The write-ahead: one metadata patch sets the finalizer and the attempt annotation. IO.
//!
//! Guarantees: the patch carries uid and resourceVersion, so it lands on exactly the object that was
//! planned for, or not at all; [`Marked::LookAgain`] means that nothing may be sent.

use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{Context, attempt::Ledger, error::Error, persist};
use crate::{
    crd::{ATTEMPT_ANNOTATION, AccessRequest, FIELD_MANAGER, FINALIZER},
    kubernetes::{self, deadline},
    metrics::KubeWrite,
};

/// Whether the mark stands.
#[derive(Debug)]
pub enum Marked {
    /// It does, on this object.
    Stands(Box<AccessRequest>),
    /// The object is not what it was.
    LookAgain,
}

/// Sets the finalizer, and the record where one is given.
pub async fn mark(
    context: &Context,
    resource: &AccessRequest,
    ledger: Option<&Ledger>,
) -> Result<Marked, Error> {
    let mut metadata = precondition(resource);
    let mut finalizers = resource.finalizers().to_vec();
    if !finalizers.iter().any(|name| name == FINALIZER) {
        finalizers.push(FINALIZER.to_owned());
        metadata.insert("finalizers".to_owned(), json!(finalizers));
    }
    if let Some(ledger) = ledger {
        let text = ledger.record(resource).to_annotation();
        metadata.insert(
            "annotations".to_owned(),
            json!({ ATTEMPT_ANNOTATION: text }),
        );
    }
    let patch = patch_metadata(context, resource, metadata, "mark the resource").await;
    context.metrics.kube_write(KubeWrite::Mark);
    match patch {
        Ok(marked) => {
            context.note_write(&marked);
            Ok(Marked::Stands(Box::new(marked)))
        }
        Err(error) if error.is_conflict() || error.is_not_found() => Ok(Marked::LookAgain),
        Err(error) if error.is_invalid() && is_outdated(context, resource).await? => {
            Ok(Marked::LookAgain)
        }
        Err(error) => Err(Error::MarkResource(error)),
    }
}

/// Removes the finalizer. An object that is gone, or has changed, is looked at again.
pub async fn unmark(context: &Context, resource: &AccessRequest) -> Result<(), Error> {
    let finalizers = resource.finalizers();
    if !finalizers.iter().any(|name| name == FINALIZER) {
        return Ok(());
    }
    let rest: Vec<_> = finalizers
        .iter()
        .filter(|name| *name != FINALIZER)
        .collect();
    let mut metadata = precondition(resource);
    metadata.insert("finalizers".to_owned(), json!(rest));
    let patch = patch_metadata(context, resource, metadata, "remove the finalizer").await;
    context.metrics.kube_write(KubeWrite::Finalizer);
    match patch {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(Error::RemoveFinalizer(error)),
    }
}

/// The object as it was seen: a patch with these lands on it or nowhere.
pub fn precondition(resource: &AccessRequest) -> serde_json::Map<String, Value> {
    let mut metadata = serde_json::Map::new();
    metadata.insert("uid".to_owned(), json!(resource.uid()));
    metadata.insert(
        "resourceVersion".to_owned(),
        json!(resource.resource_version()),
    );
    metadata
}

/// After a 422, which means that the object is another one now or is being deleted, unless it is
/// still the one that was seen: then what was written is wrong, and would be refused for ever.
pub async fn is_outdated(context: &Context, resource: &AccessRequest) -> Result<bool, Error> {
    let identity = |one: &AccessRequest| (one.uid(), one.resource_version());
    let found = persist::read(context, resource).await?;
    Ok(found.is_none_or(|found| identity(&found) != identity(resource)))
}

async fn patch_metadata(
    context: &Context,
    resource: &AccessRequest,
    metadata: serde_json::Map<String, Value>,
    doing: &'static str,
) -> Result<AccessRequest, kubernetes::Error> {
    let namespace = resource.namespace().unwrap_or_default();
    let api: Api<AccessRequest> = Api::namespaced(context.client.clone(), &namespace);
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({ "metadata": metadata }));
    let name = resource.name_any();
    let patched = deadline(
        doing,
        context.kube_timeout,
        api.patch_metadata(&name, &parameters, &patch),
    )
    .await?;
    Ok(AccessRequest {
        metadata: patched.metadata,
        ..resource.clone()
    })
}

#[cfg(test)]
mod tests;
