//! Hands over what a deletion cannot finish: the debt is written down, and only then the finalizer
//! goes. IO; what is owed and when is decided in `owed.rs`.

use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    Context, error::Error, fold::Happening, is_held, mark, message, observe::connection_key,
    owed::Debt, persist,
};
use crate::{
    connection::{Connection, LastKnown},
    crd::{AccessRequest, OwedOrigin},
    owed::{self, Snapshot},
};

/// Writes the debt, says so, removes the finalizer.
pub(super) async fn hand_over(
    context: &Context,
    connection: Option<&Connection>,
    resource: &AccessRequest,
    debt: &Debt,
    now: Timestamp,
) -> Result<(), Error> {
    let key = connection_key(resource);
    let known = match connection {
        Some(connection) => Some(LastKnown {
            uid: connection.uid.clone(),
            settings: connection.settings.clone(),
        }),
        None => context.registry.last_known(&key),
    };
    let snapshot = Snapshot {
        key: &key,
        known: known.as_ref(),
    };
    let origin = OwedOrigin {
        namespace: resource.namespace().unwrap_or_default(),
        name: resource.name_any(),
        uid: resource.uid().unwrap_or_default(),
    };
    let object = owed::owed_revocation(origin, debt, &snapshot, now);
    context
        .debts
        .write(&object)
        .await
        .map_err(Error::HandOver)?;
    let happening = Happening {
        is_warning: true,
        reason: "RevocationOwed",
        note: message::owed(debt, &object.name_any()),
    };
    persist::publish(context, resource, &[happening]).await;
    if is_held(resource) {
        mark::unmark(context, resource).await?;
    }
    context.release(resource);
    Ok(())
}
