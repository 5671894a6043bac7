//! What a pass begins with: the resource as it is kept, or as much of it as can be read.

use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject},
    core::error_boundary::InvalidObject,
};

use super::{
    Context, Error,
    fold::Happening,
    lenient, message, observe, persist,
    stored::{Stored, Unpacked},
};
use crate::{crd::AccessRequest, kubernetes::deadline, telemetry::Chain};

/// The resource, and whether this version can read all of it; nothing where nothing is to be done
/// about it.
pub async fn unpack(
    context: &Context,
    object: &Stored,
) -> Result<Option<(AccessRequest, bool)>, Error> {
    match object.unpack() {
        Ok(Unpacked::Readable(resource)) => Ok(Some((*resource, true))),
        Ok(Unpacked::Unreadable(invalid)) => {
            let resource = undecodable(context, &invalid).await?;
            Ok(resource.map(|resource| (resource, false)))
        }
        Err(error) => {
            // A fault of ours, and no reason to let go of it: the API server has it whole.
            tracing::error!(error = %Chain(&error), "the resource is read anew");
            let resource = persist::read(context, &object.skeleton()).await?;
            Ok(resource.map(|resource| (resource, true)))
        }
    }
}

/// An object that does not decode: said once; if it is being deleted, read for deletion.
async fn undecodable(
    context: &Context,
    invalid: &InvalidObject,
) -> Result<Option<AccessRequest>, Error> {
    let metadata = invalid.metadata.clone();
    let skeleton = AccessRequest {
        metadata,
        ..AccessRequest::default()
    };
    if skeleton.metadata.deletion_timestamp.is_none() {
        // What it names cannot be read: whoever has the default connection speaks of it.
        let is_ours = context.shards.has(&observe::connection_key(&skeleton));
        if is_ours && context.is_first_complaint(&skeleton) {
            tracing::warn!(error = %invalid.error, "the resource cannot be read by this version");
            let note = format!(
                "this version cannot read the resource ({}); correct it, or delete it to take the \
                 access back",
                invalid.error
            );
            let reason = "Undecodable";
            let happening = Happening {
                is_warning: true,
                reason,
                note: message::bounded(&note),
            };
            persist::publish(context, &skeleton, &[happening]).await;
        }
        return Ok(None);
    }
    let kind = ApiResource::erase::<AccessRequest>(&());
    let namespace = skeleton.namespace().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &namespace, &kind);
    let name = skeleton.name_any();
    let get = api.get_opt(&name);
    let found = deadline("read the resource", context.kube_timeout, get).await;
    let found = found.map_err(Error::ReadResource)?;
    Ok(found.map(|object| lenient::view(object.metadata, &object.data)))
}
