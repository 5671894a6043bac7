//! One pass over a connection.
//!
//! ```text
//! decode     an unreadable one keeps what runs, and says so
//! policy     pure: endpoint, and the address it names
//! token      io: GET of the Secret
//! equip      remote
//! verify     io: one page of one item, see verify.rs
//! poll       once the token is proven
//! register   who waits for this connection is told
//! persist    io: status, only if it differs
//! hold       io: finalizer and escrow, while it is needed, see hold.rs
//! ```
//!
//! It never asks for access or takes it back. What is already equipped stays so when the Secret
//! vanishes or the spec breaks: access must still be taken back through it. Where a namespaced one
//! has nothing to call with and its Secret is gone, the escrow serves, to read and to take back.

use std::{sync::Arc, time::Duration};

use apono_client::Reach;
use kube::{
    Api, Resource, ResourceExt as _,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::DeserializeGuard,
    runtime::controller::Action,
};
use thiserror::Error;
use url::Url;

use super::{
    ConnectionKey, ConnectionResource, ConnectionState, Hold, HoldError,
    controller::Context,
    escrow,
    policy::{self, EndpointRefusal, addresses},
    status::{self, Facts},
    supervised::Supervised,
    token::{NoToken, TokenPlace},
    verify::verify,
};
use crate::{
    crd::{
        ConnectionKind, ConnectionReason, ConnectionStatus, FIELD_MANAGER, IN_USE_FINALIZER,
        Identity,
    },
    kubernetes::{self, deadline},
    metrics::KubeWrite,
};

/// How often the Secret is read while all is well.
const LOOK: Duration = Duration::from_secs(30);
/// How often it is read while a person is expected to change it.
const LOOK_SOON: Duration = Duration::from_secs(5);
/// How often one that is being deleted looks whether it is still needed.
const WAITING_TO_GO: Duration = Duration::from_secs(1);
/// How often the API is tried while it does not answer.
const TRY_AGAIN: Duration = Duration::from_secs(10);

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
    /// Finalizer or escrow could not be brought in line with who needs the connection.
    #[error("could not keep what the connection's requests need, or let it go")]
    Hold(#[source] HoldError),
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
    if is_in_use(object) {
        supervised.foresee();
    }
    let Judged { state, failure } = judge(&mut supervised, context).await;
    let is_changed = supervised.set_state(state.clone())
        | !Arc::ptr_eq(&before, &supervised.connection)
        | (identity != supervised.connection.identity());
    let connection = Arc::clone(&supervised.connection);
    context
        .registry
        .put(Arc::clone(&connection), is_deleting, is_changed);
    let unowned = super::unowned::news(&context.registry, &mut supervised);
    drop(supervised);
    if let Some(note) = unowned {
        super::unowned::say(object, &note, context).await;
    }
    // A pass that learned nothing leaves the status alone, but for saying why.
    if failure.is_none() || state.reason() == ConnectionReason::SecretUnavailable {
        let old = resource.status().cloned().unwrap_or_default();
        let identity = connection.identity();
        persist(object, &old, &state, identity.as_ref(), context).await?;
    }
    let is_held = settle(object, &connection.hold, &connection.uid, context).await?;
    match failure {
        None if is_deleting && is_held => Ok(Action::requeue(WAITING_TO_GO)),
        None => Ok(Action::requeue(jittered(look_after(state.reason())))),
        Some(failure) => Err(failure),
    }
}

/// Whether the connection bears our finalizer.
fn is_in_use<K: ConnectionResource>(object: &DeserializeGuard<K>) -> bool {
    let mut finalizers = object.finalizers().iter();
    finalizers.any(|name| name == IN_USE_FINALIZER)
}

/// Brings finalizer and escrow in line with who needs the connection; says whether it is needed.
async fn settle<K: ConnectionResource>(
    object: &DeserializeGuard<K>,
    hold: &Hold,
    uid: &str,
    context: &Context,
) -> Result<bool, Error> {
    let is_on = is_in_use(object);
    let is_deleting = object.meta().deletion_timestamp.is_some();
    let others = context.registry.needs(&ConnectionKey::of(object));
    let is_owed = context.registry.debt_needs(&escrow::place(uid).name);
    let settled = hold.settle(&context.escrow, (is_on, is_deleting), others, is_owed);
    match settled.await {
        Ok(is_held) => Ok(is_held),
        // The watch brings it.
        Err(HoldError::Deleting) => Ok(true),
        Err(error) => Err(Error::Hold(error)),
    }
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
    if let Some(known) = context.known(key, object.meta().uid.as_deref()) {
        let known = known.lock().await;
        let is_changed = known.set_state(state.clone());
        context
            .registry
            .put(Arc::clone(&known.connection), is_deleting, is_changed);
    } else {
        context.registry.put_unreadable(key, state.message());
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
    let uid = object.meta().uid.clone().unwrap_or_default();
    let known = context.known(key, Some(&uid));
    let hold = match known {
        Some(known) => Arc::clone(&known.lock().await.connection.hold),
        None => Arc::new(Hold::new(
            key.clone(),
            uid.clone(),
            context.around.look_again.clone(),
        )),
    };
    let is_held = settle(object, &hold, &uid, context).await?;
    Ok(if is_deleting && is_held {
        Action::requeue(WAITING_TO_GO)
    } else {
        Action::requeue(jittered(LOOK))
    })
}

/// What a pass learned of a connection.
struct Judged {
    state: ConnectionState,
    /// Why nothing was learned; the state is then the one before, as far as there was one.
    failure: Option<Error>,
}

impl From<ConnectionState> for Judged {
    fn from(state: ConnectionState) -> Self {
        let failure = None;
        Self { state, failure }
    }
}

/// Brings the connection to work as far as it goes.
async fn judge(supervised: &mut Supervised, context: &Context) -> Judged {
    let key = Arc::clone(&supervised.connection.key);
    let settings = Arc::clone(&supervised.connection.settings);
    let allowed = &context.settings.allowed_endpoints;
    let endpoint = match policy::endpoint(key.kind, &settings.endpoint, settings.insecure, allowed)
    {
        Ok(endpoint) => endpoint,
        Err(refusal) => {
            // As after a restart: no token goes where it may not go any more.
            supervised.strip(&context.around);
            return refused_endpoint(refusal).into();
        }
    };
    let networks = &context.settings.allowed_networks;
    let proxy = context.settings.remote_proxy.as_ref();
    let reach = addresses::reach(&endpoint, settings.insecure, networks, proxy);
    if let Err(refusal) = addresses::written(&endpoint, &reach) {
        supervised.strip(&context.around);
        return refused_endpoint(refusal).into();
    }
    let place = TokenPlace::of(
        &key,
        &settings.token_secret_ref,
        &context.settings.operator_namespace,
    );
    let read = place.read(&context.client, context.settings.kube_timeout);
    let (token, value) = match read.await {
        Ok(found) => found,
        Err(NoToken::NotReady(state)) => {
            supervised.unread = 0;
            fall_back(supervised, endpoint, reach, context).await;
            return state.into();
        }
        Err(NoToken::Unknown(error)) => {
            supervised.unread = supervised.unread.saturating_add(1);
            return Judged {
                state: unlearned(supervised, &place, &error),
                failure: Some(Error::ReadToken(error)),
            };
        }
    };
    supervised.unread = 0;
    if let Err(state) = supervised.equip(&context.around, endpoint, reach, token) {
        return state.into();
    }
    let state = verify(supervised, &place).await;
    if supervised.is_verified {
        supervised.poll(&context.around);
    }
    if state == ConnectionState::Ready && key.kind == ConnectionKind::AponoConnection {
        supervised.connection.hold.prove(value).await;
    }
    state.into()
}

/// Where a namespaced connection has nothing to call with, the copy of its token serves if there is
/// one: the state stays what it is, so nothing is asked.
async fn fall_back(supervised: &mut Supervised, endpoint: Url, reach: Reach, context: &Context) {
    let connection = &supervised.connection;
    let is_namespaced = connection.key.kind == ConnectionKind::AponoConnection;
    if !is_namespaced
        || (connection.remote.is_configured() && supervised.is_verified)
        || context.registry.needs(&connection.key) == Some(false)
    {
        return;
    }
    let place = TokenPlace::copy(&connection.uid, &context.settings.operator_namespace);
    let read = place.read(&context.client, context.settings.kube_timeout);
    let Ok((token, _)) = read.await else {
        return;
    };
    tracing::info!(connection = %connection.key, "the copy of the token is used to take access back");
    if supervised
        .equip(&context.around, endpoint, reach, token)
        .is_ok()
    {
        verify(supervised, &place).await;
        if supervised.is_verified {
            supervised.poll(&context.around);
        }
    }
}

/// What was known before still holds. Where nothing was, one failure is no news; the second is.
fn unlearned(
    supervised: &Supervised,
    place: &TokenPlace,
    error: &kubernetes::Error,
) -> ConnectionState {
    let before = supervised.connection.state();
    let is_known = !matches!(
        before.reason(),
        ConnectionReason::Verifying | ConnectionReason::SecretUnavailable
    );
    if is_known || supervised.unread < 2 {
        before
    } else {
        place.unavailable(error)
    }
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
        | ConnectionReason::SecretUnavailable
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

#[cfg(test)]
mod tests;
