//! Gathers what a pass has to know: the connection, the poller's snapshots, the entitlements that
//! are due. IO, and only reads.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::ResourceExt;
use rand::RngExt;
use tracing::Instrument as _;

use super::{
    Context, admin,
    attempt::MARK_VALID,
    bounds, entitlement_reads, entitlements,
    fold::likely_api,
    latch,
    observed::{ClockSet, ConnectionSight, Memory, Observed},
    owed,
    picture::{Picture, is_live, state},
    plan::Intent,
    resolution::Resolution,
    resolve::resolve,
    revoke,
    rulings::{Ruling, rule},
    tokens::Token,
    ttl,
};
use crate::{
    connection::{
        Connection, ConnectionKey, ConnectionState, Found,
        policy::{Admission, Refusal, asks, requester},
    },
    crd::{
        AccessRequest, AccessRequestStatus, ConnectionKind, ConnectionReason, OwnedRequest,
        REVOCATION_DEADLINE, RemoteApi,
    },
    marker::Origin,
    poller::{Interest, ResourceKey, Tracked, View, Wanted},
    telemetry::spans,
};

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
    let mut memory = context.memory(resource);
    let (connection, sight) = connection(context, resource, intent);
    let clock_set = connection
        .as_deref()
        .and_then(|connection| heed_clock(context, connection, resource, &mut memory));
    if intent == Intent::Release && memory.releasing_since.is_none() {
        memory.releasing_since = Some(now);
        context.remember(resource, &memory);
    }
    let mut observed = values(context, resource, sight, connection.as_deref(), memory);
    observed.clock_set = clock_set;
    if let Some(connection) = &connection {
        let uid = resource.uid().unwrap_or_default();
        connection.hold.need(&uid, owed::needs_connection(resource));
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
        if intent == Intent::Hold {
            observed.hastened = hasten(connection, resource, &picture, now);
        }
        let reading = latch::reading(resource, &picture, intent);
        let wanted = entitlements::wanted(resource, &picture, &observed, reading, now);
        entitlement_reads::read(
            context,
            connection,
            resource,
            &wanted.now,
            &mut observed,
            now,
        )
        .await;
        // On the heap: few passes read the catalogue, and all would carry the room for it.
        Box::pin(resolve(
            context,
            connection,
            resource,
            (intent, now),
            &mut observed,
        ))
        .instrument(spans::step("resolve"))
        .await;
    }
    Observation {
        observed,
        connection,
    }
}

/// When the clock was set last, if it was; what is remembered by the time before is forgotten.
fn heed_clock(
    context: &Context,
    connection: &Connection,
    resource: &AccessRequest,
    memory: &mut Memory,
) -> Option<ClockSet> {
    let now = context.clock.now();
    // What another replica has dated is of another clock.
    let taken = context.shards.taken_at(&connection.key, now);
    let at = connection.store.heed_clock(now).max(taken)?;
    if memory.clock_set != Some(at) {
        memory.forget_times(at);
        context.remember(resource, memory);
    }
    Some(ClockSet { at, now })
}

/// The connection that a resource names, and how far it can be used.
fn connection(
    context: &Context,
    resource: &AccessRequest,
    intent: Intent,
) -> (Option<Arc<Connection>>, ConnectionSight) {
    let key = connection_key(resource);
    match context.registry.find(&key) {
        Found::Missing => (None, missing(&key, resource, context.is_namespaced)),
        // It is woken when the connection is at work here.
        Found::Elsewhere => (None, ConnectionSight::Verifying),
        Found::Unreadable { message } => (None, unreadable(&key, &message)),
        Found::Deleting(connection) => {
            let message =
                format!("{key} is being deleted; create a new AccessRequest that names another");
            let sight = match sight(context, &connection, resource, intent) {
                ConnectionSight::Usable { orphan, .. }
                | ConnectionSight::Undecided { orphan, .. } => {
                    ConnectionSight::Deleting { message, orphan }
                }
                other => other,
            };
            (Some(connection), sight)
        }
        Found::Usable(connection) => {
            let sight = sight(context, &connection, resource, intent);
            (Some(connection), sight)
        }
    }
}

/// Which connection a resource names.
pub fn connection_key(resource: &AccessRequest) -> ConnectionKey {
    let namespace = resource.namespace().unwrap_or_default();
    ConnectionKey::named_by(resource.spec.connection_ref.as_ref(), &namespace)
}

/// How the poller knows a resource.
pub fn resource_key(resource: &AccessRequest) -> ResourceKey {
    let namespace = resource.namespace().unwrap_or_default();
    ResourceKey::new(
        namespace,
        resource.name_any(),
        resource.uid().unwrap_or_default(),
    )
}

fn missing(key: &ConnectionKey, resource: &AccessRequest, is_namespaced: bool) -> ConnectionSight {
    let message = if is_namespaced && key.kind == ConnectionKind::ClusterAponoConnection {
        let meant = match &resource.spec.connection_ref {
            None => "spec.connectionRef is absent, which means",
            Some(_) => "spec.connectionRef means",
        };
        format!(
            "{meant} {key}, but this operator runs in namespaced mode (WATCH_NAMESPACES) and reads \
             no cluster connections; spec.connectionRef cannot be changed, so create a new \
             AccessRequest with spec.connectionRef {{kind: AponoConnection, name: ...}}"
        )
    } else {
        format!("there is no {key}; create it, or a new AccessRequest that names another")
    };
    ConnectionSight::Missing { message }
}

fn unreadable(key: &ConnectionKey, message: &str) -> ConnectionSight {
    ConnectionSight::NotReady {
        message: format!("{key} cannot be used: {message}"),
        callable: false,
        unreachable: false,
        orphan: false,
    }
}

fn sight(
    context: &Context,
    connection: &Connection,
    resource: &AccessRequest,
    intent: Intent,
) -> ConnectionSight {
    let orphan = connection.settings.allows_orphan();
    let paused = connection.remote.paused();
    match connection.state() {
        // Who may ask is no matter for what is given back.
        ConnectionState::Ready if intent == Intent::Release => {
            ConnectionSight::Usable { orphan, paused }
        }
        ConnectionState::Ready => {
            let namespace = resource.namespace().unwrap_or_default();
            match context.registry.allows_namespace(connection, &namespace) {
                Admission::Allowed => match allows_asking(connection, resource) {
                    Ok(()) => ConnectionSight::Usable { orphan, paused },
                    Err(message) => ConnectionSight::NotAllowed { message, orphan },
                },
                Admission::Refused(Refusal(message)) => {
                    ConnectionSight::NotAllowed { message, orphan }
                }
                Admission::Undecided if context.registry.knows_namespaces() => {
                    let message = format!(
                        "the labels of namespace `{namespace}` are not known yet, and the \
                         connection's spec.allow.namespaces.selector asks for them: looked at \
                         again every second"
                    );
                    ConnectionSight::Undecided { message, orphan }
                }
                // It is woken when they are.
                Admission::Undecided => ConnectionSight::Verifying,
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

/// Whether the connection's rules let this be asked for, as far as they can be compared without a
/// call.
fn allows_asking(connection: &Connection, resource: &AccessRequest) -> Result<(), String> {
    let (allow, spec) = (&connection.settings.allow, &resource.spec);
    let own = connection.identity();
    let unseen = AccessRequestStatus::default();
    let status = resource.status.as_ref().unwrap_or(&unseen);
    asks::ask(allow, spec, own.as_ref())
        .and_then(|()| asks::found(allow, &spec.access, status))
        .and_then(|()| requester::ask(connection.settings.requester_field.as_deref(), resource))
        .map_err(|refusal| refusal.to_string())
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
    let known = || {
        let known = context.registry.last_known(&connection_key(resource));
        known.map(|known| known.settings.revocation_deadline)
    };
    let deadline = handle.map(|one| one.settings.revocation_deadline);
    let deadline = deadline.or_else(known);
    let namespace = resource.namespace().unwrap_or_default();
    Observed {
        connection,
        view: View::default(),
        entitlements: BTreeMap::new(),
        resolution: Resolution::AsWritten,
        memory,
        origin: Origin::new(&context.cluster, &namespace, &resource.name_any()),
        settled_after: MARK_VALID + context.remote_timeout + settle,
        clock_set: None,
        revocation_deadline: deadline.unwrap_or(REVOCATION_DEADLINE),
        stale_after: STALE_AFTER.min(active.saturating_mul(3)),
        asks_for_another: resource.spec.grantee.is_some(),
        asks_admin: admin::is_asked(resource),
        user: None,
        credentials: None,
        hastened: None,
        gitops_owner: ttl::owner(resource, &context.ttl_owner_labels),
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

/// Reads what is live now, if a token asks for it that was not acted on yet; says which.
fn hasten(
    connection: &Connection,
    resource: &AccessRequest,
    picture: &Picture,
    now: Timestamp,
) -> Option<String> {
    let Ruling::Act(token) = rule(Token::Reconcile, resource, picture, now) else {
        return None;
    };
    for request in picture.owned().filter(|one| is_live(one)) {
        connection.store.hasten(&request.id);
    }
    Some(token)
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
    let deleting = deleting || latch::reading(resource, &picture, Intent::Hold) == Intent::Release;
    let followed = |one: &&OwnedRequest| {
        let failed = deleting && state(one) == apono_client::State::Failed;
        !state(one).is_terminal() || failed
    };
    let ids = picture.requests.iter().filter(followed).map(|one| Tracked {
        id: one.id.as_str().into(),
        api: one.api.unwrap_or_default(),
        admin: admin::administered(resource, Some(one), &picture.ledger).map(Arc::new),
    });
    let unkept = observed.memory.unkept.iter().map(|id| Tracked {
        id: id.as_str().into(),
        api: likely_api(resource),
        admin: admin::administered(resource, None, &picture.ledger).map(Arc::new),
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
            conclusive_from: observed.settled_at(entry.time),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::{AccessRequestSpec, ConnectionRef};

    fn said(kind: Option<ConnectionKind>, is_named: bool, is_namespaced: bool) -> String {
        let name = "default".to_owned();
        let connection_ref = is_named.then_some(ConnectionRef { kind, name });
        let mut resource = AccessRequest::new(
            "orders-read",
            AccessRequestSpec {
                connection_ref,
                ..AccessRequestSpec::default()
            },
        );
        resource.metadata.namespace = Some("payments".to_owned());
        match missing(&connection_key(&resource), &resource, is_namespaced) {
            ConnectionSight::Missing { message } => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn namespaced_mode_says_that_it_reads_no_cluster_connections_and_what_to_write() {
        let cluster = Some(ConnectionKind::ClusterAponoConnection);
        for (said, begin) in [
            (said(None, false, true), "spec.connectionRef is absent"),
            (said(None, true, true), "spec.connectionRef means"),
            (said(cluster, true, true), "spec.connectionRef means"),
        ] {
            assert!(said.starts_with(begin), "{said}");
            for word in [
                "ClusterAponoConnection default",
                "namespaced mode",
                "{kind: AponoConnection, name: ...}",
            ] {
                assert!(said.contains(word), "{word}: {said}");
            }
        }
    }

    #[test]
    fn elsewhere_a_missing_connection_is_to_be_created() {
        let namespaced = Some(ConnectionKind::AponoConnection);
        for (said, key) in [
            (said(None, false, false), "ClusterAponoConnection default"),
            (
                said(namespaced, true, true),
                "AponoConnection payments/default",
            ),
        ] {
            assert!(
                said.starts_with(&format!("there is no {key}; create it")),
                "{said}"
            );
        }
    }

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
