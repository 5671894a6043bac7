//! What ends a debt that has been paid or written off. IO.
//!
//! ```text
//! delete       of what was judged, and nothing else
//! status       paid: said of the generation that the deletion made, too
//! escrow       the copy of the token, unless another needs it
//! finalizer    from here on the debt is gone
//! event        best effort
//! ```
//!
//! Guarantees: a process that dies in between leaves a debt of which the next one knows that it is
//! over. It could not find out again: the copy of the token may be gone already.

use kube::{
    Resource as _, ResourceExt as _,
    api::{DeleteParams, Preconditions},
    runtime::{
        controller::Action,
        events::{Event, EventType, Recorder},
    },
};

use super::{
    controller::{Context, Failure, SOON, patch_status},
    remotes::key,
    status::{self, origin},
};
use crate::{
    connection::escrow::{self, EscrowError},
    crd::{FIELD_MANAGER, OwedRevocation},
    kubernetes::deadline,
    metrics::{DebtEnd, KubeWrite},
};

/// The API server refuses longer notes.
const NOTE_BYTES: usize = 1000;

/// The debt is over: deleted, its token forgotten if nobody else needs it, and said. The finalizer
/// goes last.
pub(super) async fn end(
    context: &Context,
    debt: &OwedRevocation,
    how: DebtEnd,
) -> Result<Action, Failure> {
    let _alone = context.ending.lock().await;
    let Some(mut going) = delete(context, debt).await? else {
        return Ok(Action::requeue(SOON));
    };
    if let Some(status) = status::still_paid(&going).filter(|_| how == DebtEnd::Paid) {
        going = match patch_status(context, &going, &status).await {
            Ok(stored) => stored,
            Err(error) if error.is_conflict() || error.is_not_found() => {
                return Ok(Action::requeue(SOON));
            }
            Err(error) => return Err(Failure::Status(error)),
        };
    }
    leave_escrow(context, debt).await?;
    match context.debts.unhold(&going).await {
        Ok(()) => {}
        Err(error) if error.is_conflict() => return Ok(Action::requeue(SOON)),
        Err(error) => return Err(Failure::End(error)),
    }
    context.debts.metrics.debt_ended(how);
    say(context, debt, how).await;
    forget(context, debt);
    Ok(Action::await_change())
}

/// Asks for the deletion, of what was judged and nothing else; gives the debt as it then stands.
async fn delete(
    context: &Context,
    debt: &OwedRevocation,
) -> Result<Option<OwedRevocation>, Failure> {
    if debt.metadata.deletion_timestamp.is_some() {
        return Ok(Some(debt.clone()));
    }
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: debt.uid(),
            resource_version: debt.resource_version(),
        }),
        ..DeleteParams::default()
    };
    let (api, name) = (context.debts.api(), debt.name_any());
    let delete = api.delete(&name, &parameters);
    let limit = context.debts.kube_timeout;
    let deleted = deadline("delete the OwedRevocation", limit, delete).await;
    context.debts.metrics.kube_write(KubeWrite::Debt);
    match deleted {
        Ok(answer) => Ok(Some(answer.left().unwrap_or_else(|| debt.clone()))),
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(None),
        Err(error) => Err(Failure::End(error)),
    }
}

/// Removes the copy of the token, unless another debt or the connection itself needs it.
async fn leave_escrow(context: &Context, debt: &OwedRevocation) -> Result<(), Failure> {
    let secret = debt.spec.token_secret_ref.as_ref();
    let Some(secret) = secret.filter(|secret| escrow::is_copy(secret)) else {
        return Ok(());
    };
    let name = debt.name_any();
    if context.debts.is_needed_but_for(&secret.name, &name) != Some(false) {
        return Ok(());
    }
    let removed = match context
        .registry
        .with_uid(debt.spec.connection.uid.as_deref())
    {
        Some(connection) => {
            let others = context.registry.needs(&key(debt));
            connection.hold.leave_copy(&context.escrow, others).await
        }
        None => context.escrow.remove(&secret.name).await,
    };
    match removed {
        // Or nothing of ours is there.
        Ok(()) | Err(EscrowError::NotOurs(_)) => {}
        Err(error) => return Err(Failure::Escrow(error)),
    }
    context.remotes.forget(&secret.name);
    Ok(())
}

/// Nothing is kept of it.
pub(super) fn forget(context: &Context, debt: &OwedRevocation) {
    context.debts.forget(&debt.name_any());
    let uid = debt.uid().unwrap_or_default();
    context.progress().remove(&uid);
}

async fn say(context: &Context, debt: &OwedRevocation, how: DebtEnd) {
    let whose = origin(debt);
    let (type_, reason, mut note) = match (how, &debt.spec.written_off) {
        (DebtEnd::WrittenOff, Some(off)) => (
            EventType::Warning,
            "WrittenOff",
            format!(
                "{whose} was written off by {}: {}; what was still live at Apono stays so",
                off.by, off.reason
            ),
        ),
        (DebtEnd::Paid | DebtEnd::WrittenOff, _) => (
            EventType::Normal,
            "Paid",
            format!("{whose}: everything has ended, as read back from Apono"),
        ),
    };
    tracing::info!(reason, "{note}");
    note.truncate(note.floor_char_boundary(NOTE_BYTES));
    let event = Event {
        type_,
        reason: reason.to_owned(),
        note: Some(note),
        action: reason.to_owned(),
        secondary: None,
    };
    publish(context, debt, &event).await;
}

/// Best effort.
async fn publish(context: &Context, debt: &OwedRevocation, event: &Event) {
    let recorder = Recorder::new(context.debts.client.clone(), FIELD_MANAGER.into());
    let reference = debt.object_ref(&());
    let published = recorder.publish(event, &reference);
    context.debts.metrics.kube_write(KubeWrite::Event);
    let limit = context.debts.kube_timeout;
    if let Err(error) = deadline("publish an event", limit, published).await {
        tracing::debug!(%error, "event lost");
    }
}
