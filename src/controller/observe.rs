//! Gathers what a pass has to know: the connection, the poller's snapshots, the entitlements that
//! are due. IO, and only reads.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use apono_client::{Endpoint, Entitlement};
use jiff::Timestamp;
use kube::ResourceExt;
use rand::RngExt;

use super::{
    Context, admin,
    attempt::MARK_VALID,
    bounds, entitlements,
    fold::likely_api,
    observed::{ConnectionSight, Memory, Observed, is_definite},
    picture::{Picture, is_live, state},
    plan::Intent,
    resolution::Resolution,
    revoke,
};
use crate::{
    connection::{Connection, ConnectionKey, ConnectionState, Found},
    crd::{AccessRequest, ConnectionReason, OwnedRequest, RemoteApi},
    marker::Origin,
    poller::{Interest, ResourceKey, Tracked, View, Wanted},
    remote::RemoteError,
};

/// Entitlements are read page by page, and no further than this: the status shows fewer.
const MOST_PAGES: usize = 100;
/// The longest a status may be old before it counts as stale.
const STALE_AFTER: Duration = Duration::from_mins(5);

/// What was gathered, and the connection to act through.
pub struct Observation {
    /// The values the pure steps work on.
    pub observed: Observed,
    /// The connection, where there is one.
    pub connection: Option<Arc<Connection>>,
}

/// Gathers what this pass has to know.
pub async fn observe(
    context: &Context,
    resource: &AccessRequest,
    intent: Intent,
    now: Timestamp,
) -> Observation {
    let key = connection_key(resource);
    let memory = context.memory(resource);
    let (connection, sight) = match context.registry.find(&key) {
        Found::Missing => (None, missing(&key)),
        Found::Deleting(connection) => {
            let message =
                format!("{key} is being deleted; create a new AccessRequest that names another");
            let sight = match sight(context, &connection, resource) {
                ConnectionSight::Usable { orphan, .. } => {
                    ConnectionSight::Deleting { message, orphan }
                }
                other => other,
            };
            (Some(connection), sight)
        }
        Found::Usable(connection) => {
            let sight = sight(context, &connection, resource);
            (Some(connection), sight)
        }
    };
    let mut observed = values(context, resource, sight, connection.as_deref(), memory);
    if let Some(connection) = &connection {
        if revoke::take_answers(connection, &mut observed.memory, now) {
            context.remember(resource, &observed.memory);
        }
        observed.view = view(context, connection, resource, &observed);
        observed.user = user(&observed.view);
        let picture = Picture::of(resource, &observed, now);
        let unkept = picture.unkept.iter().filter(|one| is_live(one));
        let unkept = unkept.map(|one| one.id.clone()).collect();
        if observed.memory.unkept != unkept {
            observed.memory.unkept = unkept;
            context.remember(resource, &observed.memory);
        }
        let wanted = entitlements::wanted(resource, &picture, &observed, intent, now);
        read_entitlements(
            context,
            connection,
            resource,
            &wanted.now,
            &mut observed,
            now,
        )
        .await;
    }
    Observation {
        observed,
        connection,
    }
}

/// Which connection a resource names.
pub fn connection_key(resource: &AccessRequest) -> ConnectionKey {
    let namespace = resource.namespace().unwrap_or_default();
    ConnectionKey::named_by(resource.spec.connection_ref.as_ref(), &namespace)
}

/// How the poller knows a resource.
pub fn resource_key(resource: &AccessRequest) -> ResourceKey {
    ResourceKey {
        namespace: resource.namespace().unwrap_or_default(),
        name: resource.name_any(),
        uid: resource.uid().unwrap_or_default(),
    }
}

fn missing(key: &ConnectionKey) -> ConnectionSight {
    let message =
        format!("there is no {key}; create it, or a new AccessRequest that names another");
    ConnectionSight::Missing { message }
}

fn sight(context: &Context, connection: &Connection, resource: &AccessRequest) -> ConnectionSight {
    let orphan = connection.settings.allows_orphan();
    let paused = connection.remote.paused();
    match connection.state() {
        ConnectionState::Ready => {
            let namespace = resource.namespace().unwrap_or_default();
            match context.registry.allows_namespace(connection, &namespace) {
                Ok(()) => ConnectionSight::Usable { orphan, paused },
                Err(message) => ConnectionSight::NotAllowed { message, orphan },
            }
        }
        ConnectionState::Unauthorized { message } => ConnectionSight::Unauthorized {
            message: format!("{}: {message}", connection.key),
            orphan,
        },
        ConnectionState::NotReady {
            reason: ConnectionReason::Verifying,
            ..
        } => ConnectionSight::Verifying,
        ConnectionState::NotReady { message, reason } => ConnectionSight::NotReady {
            message: format!("{} cannot be used: {message}", connection.key),
            callable: connection.remote.is_configured(),
            unreachable: reason == ConnectionReason::ApiUnavailable,
            orphan,
        },
    }
}

fn values(
    context: &Context,
    resource: &AccessRequest,
    connection: ConnectionSight,
    handle: Option<&Connection>,
    memory: Memory,
) -> Observed {
    let settle = handle.map(|one| one.settings.settle).unwrap_or_default();
    let active = handle
        .map(|one| one.settings.polling.active)
        .unwrap_or_default();
    let namespace = resource.namespace().unwrap_or_default();
    Observed {
        connection,
        view: View::default(),
        entitlements: BTreeMap::new(),
        resolution: Resolution::AsWritten,
        memory,
        origin: Origin::new(&context.cluster, &namespace, &resource.name_any()),
        settled_after: MARK_VALID + context.remote_timeout + settle,
        stale_after: STALE_AFTER.min(active.saturating_mul(3)),
        asks_for_another: resource.spec.grantee.is_some(),
        asks_admin: admin::is_asked(resource),
        user: None,
        random: rand::rng().random(),
    }
}

/// Tells the poller what the resource is interested in, and takes what it knows.
fn view(
    context: &Context,
    connection: &Connection,
    resource: &AccessRequest,
    observed: &Observed,
) -> View {
    let key = resource_key(resource);
    let interest = interest(resource, observed);
    connection.store.declare(&key, interest);
    let mut view = connection.store.view(&key);
    let is_free = |id: &str| {
        connection
            .store
            .owner_of(id)
            .is_none_or(|owner| owner == key)
    };
    for snapshots in view.by_nonce.values_mut() {
        snapshots.retain(|one| is_free(&one.request.id));
    }
    view.strays.retain(|(_, one)| is_free(&one.request.id));
    context.interested(&key, &connection.key);
    view
}

/// Whose token it is, as the lists say that were read with it. The connection's status may tell of
/// the token that was there before a restart.
fn user(view: &View) -> Option<String> {
    let known = view.identity.as_deref().filter(|_| !view.is_shared);
    known.map(bounds::user)
}

/// What the poller should read for this resource: what is live, what a deletion has to see end, and
/// the POSTs whose answer was lost.
fn interest(resource: &AccessRequest, observed: &Observed) -> Interest {
    let picture = Picture::of(resource, observed, Timestamp::UNIX_EPOCH);
    let deleting = resource.metadata.deletion_timestamp.is_some();
    let followed = |one: &&OwnedRequest| {
        let failed = deleting && state(one) == apono_client::State::Failed;
        !state(one).is_terminal() || failed
    };
    let ids = picture.requests.iter().filter(followed).map(|one| Tracked {
        id: one.id.clone(),
        api: one.api.unwrap_or_default(),
        admin: admin::administered(resource, Some(one), &picture.ledger),
    });
    let unkept = observed.memory.unkept.iter().map(|id| Tracked {
        id: id.clone(),
        api: likely_api(resource),
        admin: admin::administered(resource, None, &picture.ledger),
    });
    let apis: &[RemoteApi] = if observed.asks_admin {
        &[RemoteApi::AdminV3]
    } else if observed.asks_for_another {
        &[RemoteApi::UserV4, RemoteApi::Delegated]
    } else {
        &[RemoteApi::UserV4]
    };
    let looks = picture.searching().flat_map(|entry| {
        apis.iter().map(|api| Wanted {
            nonce: entry.nonce.clone(),
            marked_at: entry.time,
            conclusive_from: entry.time + observed.settled_after,
            api: *api,
            user: resource
                .spec
                .grantee
                .clone()
                .filter(|_| observed.asks_admin),
        })
    });
    Interest {
        ids: ids.chain(unkept).collect(),
        looks: looks.collect(),
        origin: observed.origin.clone(),
        asks_admin: observed.asks_admin,
    }
}

/// Reads the entitlements of these requests. What fails is left out: access does not wait for its
/// description.
async fn read_entitlements(
    context: &Context,
    connection: &Connection,
    resource: &AccessRequest,
    ids: &[String],
    observed: &mut Observed,
    now: Timestamp,
) {
    for id in ids {
        match read_all(connection, id).await {
            Ok(all) => {
                observed.memory.undescribed.remove(id);
                observed.entitlements.insert(id.clone(), all);
            }
            Err(error) if error.as_ref().is_some_and(|one| is_definite(one.status())) => {
                // Not shown at all, as may be with a request for somebody else.
                observed.memory.undescribed.insert(id.clone(), now);
            }
            Err(_) => {
                tracing::debug!(%id, "entitlements not read");
                observed.entitlements.clear();
                observed.memory.entitlements_failed = Some(now);
                break;
            }
        }
    }
    if !ids.is_empty() && !observed.entitlements.is_empty() {
        observed.memory.entitlements_failed = None;
        observed.memory.entitlements_read = Some(now);
    }
    if !ids.is_empty() {
        context.remember(resource, &observed.memory);
    }
}

/// All entitlements of a request; without an error where they are too many or cannot be understood.
async fn read_all(
    connection: &Connection,
    id: &str,
) -> Result<Vec<Entitlement>, Option<RemoteError>> {
    let (mut all, mut token) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let from = token.clone();
        let call = connection
            .remote
            .call(Endpoint::ListEntitlements, |client| async move {
                client.entitlements_page(id, from.as_ref()).await
            });
        let page = call.await.map_err(Some)?;
        if page.skipped > 0 {
            // What cannot be read may be what was granted: a list with a hole proves nothing.
            return Err(None);
        }
        all.extend(page.items);
        token = page.next;
        if token.is_none() {
            return Ok(all);
        }
    }
    Err(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_who_the_lists_name_if_they_name_one() {
        let mut view = View::default();
        assert_eq!(user(&view), None);
        view.identity = Some("user-1".to_owned());
        assert_eq!(user(&view).as_deref(), Some("user-1"));
        view.is_shared = true;
        assert_eq!(user(&view), None);
    }
}
