//! One pass over a connection.
//!
//! ```text
//! decode     an unreadable one keeps what runs, and says so
//! policy     pure: endpoint
//! token      io: GET of the Secret
//! equip      remote
//! verify     io: one page of one item, once per token and while the API does not answer
//! poll       once the token is proven
//! register   who waits for this connection is told
//! persist    io: status, only if it differs
//! ```
//!
//! It never asks for access or takes it back. What is already equipped stays so when the Secret
//! vanishes or the spec breaks: access must still be taken back through it.

use std::{sync::Arc, time::Duration};

use apono_client::{Endpoint, ListQuery};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::DeserializeGuard,
    runtime::controller::Action,
};
use thiserror::Error;

use super::{
    ConnectionKey, ConnectionResource, ConnectionState,
    controller::Context,
    policy::{self, EndpointRefusal},
    status::{self, Facts},
    supervised::Supervised,
    token::{NoToken, TokenPlace},
};
use crate::{
    crd::{ConnectionReason, ConnectionStatus, FIELD_MANAGER, Identity},
    kubernetes::{self, deadline},
    metrics::KubeWrite,
    remote::RemoteError,
    telemetry::Chain,
};

/// How often the Secret is read while all is well.
const LOOK: Duration = Duration::from_secs(30);
/// How often it is read while a person is expected to change it.
const LOOK_SOON: Duration = Duration::from_secs(5);
/// How often the API is tried while it does not answer.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// For this long all calls must have failed before the API counts as unavailable: a restart of it
/// is no news.
const PATIENCE: Duration = Duration::from_secs(30);

/// A pass over a connection failed; it is repeated.
#[derive(Debug, Error)]
pub enum Error {
    /// The Secret's state is unknown. What was known before still holds.
    #[error("could not look for the token")]
    ReadToken(#[source] kubernetes::Error),
    /// The connection could not be read again.
    #[error("could not read the connection")]
    ReadConnection(#[source] kubernetes::Error),
    /// The status could not be written.
    #[error("could not write the status of the connection")]
    PatchStatus(#[source] kubernetes::Error),
    /// The status could not be put into JSON.
    #[error("could not encode the status of the connection")]
    EncodeStatus(#[source] serde_json::Error),
}

/// What follows a failed pass.
pub(super) fn after_failure() -> Action {
    Action::requeue(jittered(LOOK_SOON))
}

/// Brings a connection to work as far as it goes, and says how far.
pub(super) async fn pass<K: ConnectionResource>(
    object: &DeserializeGuard<K>,
    context: &Context,
) -> Result<Action, Error> {
    let key = ConnectionKey::of(object);
    let is_deleting = object.meta().deletion_timestamp.is_some();
    match &object.0 {
        Ok(resource) => drive(object, resource, &key, is_deleting, context).await,
        Err(invalid) => undecodable(object, &key, is_deleting, &invalid.error, context).await,
    }
}

async fn drive<K: ConnectionResource>(
    object: &DeserializeGuard<K>,
    resource: &K,
    key: &ConnectionKey,
    is_deleting: bool,
    context: &Context,
) -> Result<Action, Error> {
    let supervised = context.supervised(key, resource);
    let mut supervised = supervised.lock().await;
    let before = Arc::clone(&supervised.connection);
    let identity = before.identity();
    // At once, for those who wait to know what exists; what follows may take as long as two calls.
    context
        .registry
        .put(Arc::clone(&before), is_deleting, false);
    supervised.set_settings(resource.settings());
    let judged = judge(&mut supervised, context).await;
    let state = match &judged {
        Ok(state) => state.clone(),
        // What was known before still holds.
        Err(_) => before.state(),
    };
    let is_changed = supervised.set_state(state.clone())
        | !Arc::ptr_eq(&before, &supervised.connection)
        | (identity != supervised.connection.identity());
    let connection = Arc::clone(&supervised.connection);
    context
        .registry
        .put(Arc::clone(&connection), is_deleting, is_changed);
    drop(supervised);
    let state = judged?;
    let old = resource.status().cloned().unwrap_or_default();
    let identity = connection.identity();
    persist(object, &old, &state, identity.as_ref(), context).await?;
    Ok(Action::requeue(jittered(look_after(state.reason()))))
}

/// An object this version cannot read keeps what runs for it, but takes no new requests.
async fn undecodable<K: ConnectionResource>(
    object: &DeserializeGuard<K>,
    key: &ConnectionKey,
    is_deleting: bool,
    error: &str,
    context: &Context,
) -> Result<Action, Error> {
    let state = ConnectionState::not_ready(
        ConnectionReason::InvalidSpec,
        format!(
            "the connection cannot be read by this version ({error}): correct it, or update \
                 the operator"
        ),
    );
    if let Some(known) = context.known(key) {
        let known = known.lock().await;
        let is_changed = known.set_state(state.clone());
        context
            .registry
            .put(Arc::clone(&known.connection), is_deleting, is_changed);
    }
    let (api, name) = (dynamic(object, context), object.name_any());
    let read = deadline(
        "get the connection",
        context.settings.kube_timeout,
        api.get(&name),
    );
    let found = match read.await {
        Ok(found) => found,
        Err(error) if error.is_not_found() => return Ok(Action::await_change()),
        Err(error) => return Err(Error::ReadConnection(error)),
    };
    let old = found.data.get("status").cloned().unwrap_or_default();
    // What cannot be read is written anew.
    let old: ConnectionStatus = serde_json::from_value(old).unwrap_or_default();
    let identity = old.identity.clone();
    persist(object, &old, &state, identity.as_ref(), context).await?;
    Ok(Action::requeue(jittered(LOOK)))
}

/// Brings the connection to work as far as it goes. Fails only when nothing could be learned.
async fn judge(supervised: &mut Supervised, context: &Context) -> Result<ConnectionState, Error> {
    let key = supervised.connection.key.clone();
    let settings = Arc::clone(&supervised.connection.settings);
    let allowed = &context.settings.allowed_endpoints;
    let endpoint = match policy::endpoint(key.kind, &settings.endpoint, settings.insecure, allowed)
    {
        Ok(endpoint) => endpoint,
        Err(refusal) => {
            // As after a restart: no token goes where it may not go any more.
            supervised.strip(&context.around);
            return Ok(refused_endpoint(refusal));
        }
    };
    let place = TokenPlace::of(
        &key,
        &settings.token_secret_ref,
        &context.settings.operator_namespace,
    );
    let token = match place
        .read(&context.client, context.settings.kube_timeout)
        .await
    {
        Ok(token) => token,
        Err(NoToken::NotReady(state)) => return Ok(state),
        Err(NoToken::Unknown(error)) => return Err(Error::ReadToken(error)),
    };
    if let Err(state) = supervised.equip(&context.around, endpoint, token) {
        return Ok(state);
    }
    let state = verify(supervised, &place).await;
    if supervised.is_verified {
        supervised.poll(&context.around);
    }
    Ok(state)
}

fn refused_endpoint(refusal: EndpointRefusal) -> ConnectionState {
    match refusal {
        EndpointRefusal::Invalid(why) => {
            ConnectionState::not_ready(ConnectionReason::InvalidEndpoint, why.to_string())
        }
        EndpointRefusal::NotAllowed(why) => {
            ConnectionState::not_ready(ConnectionReason::EndpointNotAllowed, why.to_string())
        }
    }
}

/// Tries the token where that would say something new: once, and while the API does not answer.
/// An open circuit answers without a call.
async fn verify(supervised: &mut Supervised, place: &TokenPlace) -> ConnectionState {
    let health = supervised.connection.remote.health();
    let is_failing = health.failing_for.is_some_and(|time| time >= PATIENCE);
    if supervised.is_verified && !is_failing && !health.circuit_open {
        return ConnectionState::Ready;
    }
    let query = ListQuery {
        limit: Some(1),
        ..ListQuery::default()
    };
    let remote = supervised.connection.remote.clone();
    let tried = remote
        .call(Endpoint::ListAccessRequests, |client| async move {
            client.access_requests_page(&query, None).await
        })
        .await;
    match tried {
        Ok(page) => {
            supervised.note(&page);
            supervised.is_verified = true;
            ConnectionState::Ready
        }
        Err(error) if error.is_unauthorized() => {
            supervised.is_verified = false;
            place.unauthorized()
        }
        Err(RemoteError::Paused(_)) if supervised.is_verified => ConnectionState::Ready,
        Err(RemoteError::Paused(_)) => ConnectionState::not_ready(
            ConnectionReason::Verifying,
            "the API asked for a pause before it could verify the token: tried again after it",
        ),
        Err(error) => ConnectionState::not_ready(
            ConnectionReason::ApiUnavailable,
            format!(
                "{}: check spec.endpoint and the network; tried again by itself",
                Chain(&error)
            ),
        ),
    }
}

/// When to look at a connection in such a state again.
fn look_after(reason: ConnectionReason) -> Duration {
    match reason {
        ConnectionReason::Ready
        | ConnectionReason::InvalidEndpoint
        | ConnectionReason::EndpointNotAllowed
        | ConnectionReason::InvalidCaBundle
        | ConnectionReason::InvalidSpec => LOOK,
        ConnectionReason::Verifying
        | ConnectionReason::Unauthorized
        | ConnectionReason::SecretNotFound
        | ConnectionReason::SecretForbidden
        | ConnectionReason::TokenKeyMissing
        | ConnectionReason::TokenEmpty
        | ConnectionReason::TokenInvalid => LOOK_SOON,
        ConnectionReason::ApiUnavailable => TRY_AGAIN,
    }
}

/// Up to a tenth less, so that many connections do not move in step; never more often than said by
/// much, and never later.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.9..=1.0))
}

/// Writes the status where it differs from the one in the object. What others wrote meanwhile comes
/// back as a change, and so as another pass.
async fn persist<K: ConnectionResource>(
    object: &DeserializeGuard<K>,
    old: &ConnectionStatus,
    state: &ConnectionState,
    identity: Option<&Identity>,
    context: &Context,
) -> Result<(), Error> {
    let facts = Facts {
        generation: object.meta().generation,
        state,
        identity,
    };
    let new = status::status(old, &facts, context.clock.now());
    let version = object.meta().resource_version.as_deref();
    let Some(patch) = status::patch(old, &new, version).map_err(Error::EncodeStatus)? else {
        return Ok(());
    };
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..Default::default()
    };
    let (name, patch) = (object.name_any(), Patch::Merge(patch));
    let api = dynamic(object, context);
    let write = api.patch_status(&name, &parameters, &patch);
    match deadline("patch the status", context.settings.kube_timeout, write).await {
        Ok(_) => {
            context.metrics.kube_write(KubeWrite::Status);
            tracing::info!(
                reason = %state.reason(),
                message = state.message(),
                "the connection's status changed"
            );
            Ok(())
        }
        Err(error) if error.is_conflict() || error.is_not_found() => Ok(()),
        Err(error) => Err(Error::PatchStatus(error)),
    }
}

/// The connection untyped: also an unreadable one has a status that can be written.
fn dynamic<K: ConnectionResource>(
    object: &DeserializeGuard<K>,
    context: &Context,
) -> Api<DynamicObject> {
    let kind = ApiResource::erase::<K>(&());
    match &object.meta().namespace {
        Some(namespace) => Api::namespaced_with(context.client.clone(), namespace, &kind),
        None => Api::all_with(context.client.clone(), &kind),
    }
}
