//! Does the one remote write of a pass. IO.
//!
//! Guarantees: a create leaves within [`MARK_VALID`] of its mark, measured where it leaves, after
//! every wait for pacing; otherwise it is not sent.

use std::collections::BTreeMap;

use apono_client::{Effect, Endpoint, NewAccessRequest, NewAdminRequest};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    admin,
    again::justification,
    attempt::{Ledger, MARK_VALID},
    fold::{Outcome, Reply, likely_api},
    observe::resource_key,
    observed::Observed,
    target::{admin_target, target},
};
use crate::{
    connection::{Connection, policy::requester},
    crd::{AccessRequest, DurationText},
    marker::{Nonce, marked},
    remote::RemoteError,
};

/// Sends a create that has been marked at `marked_at`.
pub async fn create(
    connection: &Connection,
    resource: &AccessRequest,
    observed: &Observed,
    (ledger, nonce): (Ledger, Nonce),
    (marked_at, sent_at): (Instant, Timestamp),
) -> Outcome {
    let leave_by = marked_at + MARK_VALID;
    let why = justification(resource, &ledger, &nonce);
    let answer = if admin::is_asked(resource) {
        create_by_admin(connection, resource, observed, (&nonce, why), leave_by).await
    } else {
        let body = body(connection, resource, observed, (&nonce, why));
        let body = &body;
        let endpoint = Endpoint::CreateAccessRequest;
        let call = connection
            .remote
            .call_by(endpoint, leave_by, |client| async move {
                client.create_access_request(body).await
            });
        call.await
    };
    answered(connection, resource, (ledger, nonce), answer, sent_at)
}

/// What came of a marked POST; the requests it made are handed to the poller.
pub(super) fn answered(
    connection: &Connection,
    resource: &AccessRequest,
    (ledger, nonce): (Ledger, Nonce),
    answer: Result<Vec<apono_client::AccessRequest>, RemoteError>,
    sent_at: Timestamp,
) -> Outcome {
    let reply = match answer {
        Ok(made) if made.is_empty() => Reply::Empty,
        Ok(made) => Reply::Made(made),
        Err(error) => refusal(&error),
    };
    if let Reply::Made(made) = &reply {
        let api = likely_api(resource);
        let key = resource_key(resource);
        connection
            .store
            .record_reply(&key, &nonce, made.clone(), api, sent_at);
    }
    Outcome::Posted {
        ledger,
        nonce,
        sent_at,
        reply,
    }
}

/// Asks the admin API; its answer is one request.
async fn create_by_admin(
    connection: &Connection,
    resource: &AccessRequest,
    observed: &Observed,
    (nonce, why): (&Nonce, Option<&str>),
    leave_by: Instant,
) -> Result<Vec<apono_client::AccessRequest>, RemoteError> {
    let spec = &resource.spec;
    let status = resource.status.clone().unwrap_or_default();
    let target = admin_target(resource, observed.resolved(&status)).unwrap_or_default();
    let body = &NewAdminRequest {
        user_id: spec.grantee.clone().unwrap_or_default(),
        integration_id: target.integration_id,
        resource_ids: target.resource_ids,
        permissions: target.permissions,
        justification: marked(nonce, &observed.origin, why),
        duration: spec.duration.as_ref().and_then(DurationText::to_duration),
    };
    let endpoint = Endpoint::CreateAdminRequest;
    let call = connection
        .remote
        .call_by(endpoint, leave_by, |client| async move {
            client.create_admin_request(body).await
        });
    Ok(vec![call.await?.into()])
}

/// What an error of a create means: 4.1.3 of the design, decided by the client.
fn refusal(error: &RemoteError) -> Reply {
    tracing::info!(%error, "create not answered with a request");
    match error.effect() {
        Effect::Refused => Reply::Refused(error.in_full()),
        Effect::NotSent => Reply::NotSent,
        Effect::Unknown => Reply::Lost,
    }
}

fn body(
    connection: &Connection,
    resource: &AccessRequest,
    observed: &Observed,
    (nonce, why): (&Nonce, Option<&str>),
) -> NewAccessRequest {
    let spec = &resource.spec;
    let status = resource.status.clone().unwrap_or_default();
    NewAccessRequest {
        target: target(resource, observed.resolved(&status)),
        justification: Some(marked(nonce, &observed.origin, why)),
        duration: spec.duration.as_ref().and_then(DurationText::to_duration),
        custom_fields: custom_fields(connection, resource),
        grantee: spec.grantee.clone(),
    }
}

/// What goes along: what the resource says, and who asked where the connection wants it told.
pub(super) fn custom_fields(
    connection: &Connection,
    resource: &AccessRequest,
) -> BTreeMap<String, String> {
    let field = connection.settings.requester_field.as_deref();
    requester::custom_fields(field, resource)
}
