//! What wakes a pass: the watch of the resources, the poller, the connections, the labels of
//! namespaces, alarms, the call of one that waited for its turn. And what follows one: metrics, logs,
//! the pace of repeats after errors.
//!
//! kube's `Controller` holds everybody back when the watch has failed, and wakes for each resource of a
//! list before the list is whole; so what wakes is brought together here, and kube's `applier` runs
//! the passes: one for each resource at a time.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, Stream, StreamExt, TryStreamExt as _, future::Either, stream};
use kube::{
    Api, Resource as _,
    runtime::{
        controller::{self, Action, applier},
        reflector::{self, ObjectRef, Store, reflector},
        utils::StreamBackoff,
        watcher::DefaultBackoff,
    },
};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};
use tracing::Instrument as _;

use super::{
    Context, Error, alarms,
    attempt::Ledger,
    observed::doubled,
    reconcile,
    stored::Stored,
    turns::{Answered, Turn, Urgency},
};
use crate::{
    connection::{ConnectionKey, Registry, Relabelled},
    crd::{FINALIZER, Phase},
    kubernetes::{changed, watched},
    marker::Mark,
    metrics::{Controller as Which, PassOutcome},
    poller::ResourceKey,
    shards::Shards,
    telemetry::{Chain, spans},
};

/// After the first failed pass; doubled with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
/// What is kept of resources that are gone is forgotten this often: it is small.
const PRUNE: Duration = Duration::from_mins(1);
/// No failed pass waits longer.
const MOST_BACKOFF: Duration = Duration::from_mins(1);

/// Changes of labels that are taken in one go.
const RELABELS_AT_ONCE: usize = 1024;

/// What wakes resources beside their own changes.
pub struct Wakes {
    /// The poller saw something change.
    pub resources: broadcast::Receiver<ResourceKey>,
    /// A connection changed.
    pub connections: broadcast::Receiver<ConnectionKey>,
    /// The labels of these namespaces changed.
    pub namespaces: broadcast::Receiver<Relabelled>,
    /// How often everything is listed anew, and so looked at.
    pub relist: Duration,
}

/// Runs the controller of one scope (all namespaces, or one) until told to stop.
pub async fn run(
    context: Arc<Context>,
    scope: Option<&str>,
    wakes: Wakes,
    stop: watch::Receiver<bool>,
    stores: &Stores,
    synced: impl FnOnce(),
) {
    let api: Api<Stored> = match scope {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    };
    let scope = scope.map(ToOwned::to_owned);
    let (store, writer) = reflector::store();
    let seen = reflector(writer, watched(api, wakes.relist));
    keep(stores, &store);
    let cache = store.clone();
    // In this task, not one of its own: the store wakes only the last task that waits for it, and
    // the controller waits too.
    let first_sync = async move {
        if cache.wait_until_ready().await.is_ok() {
            synced();
        }
    };
    // Only the watch waits after an error of its own, up to half a minute: who is woken by others
    // need not.
    let changed =
        changed(seen, store.clone()).map_ok(|object| ObjectRef::from_obj(object.as_ref()));
    let changed = StreamBackoff::new(changed, DefaultBackoff::default());
    let ringing = {
        let (context, scope) = (Arc::clone(&context), scope.clone());
        let take = move |until| context.take_alarms(scope.as_deref(), until);
        alarms::ringing(take)
    };
    let called = context.turns.calls(scope.as_deref());
    let called = stream::select(called, ringing)
        .map(|(namespace, name)| ObjectRef::new(&name).within(&namespace));
    let taken_over = {
        let store = store.clone();
        let all = move |()| stream::iter(everything(&store));
        context.shards.changes().flat_map(all)
    };
    let woken = woken(wakes, store.clone(), context.registry.clone(), scope);
    let woken = stream::select(stream::select(woken, called), taken_over);
    let queue = stream::select(changed, woken.map(Ok)).take_until(Box::pin(stopped(stop)));
    // No bound here: what waits, waits for its turn.
    let config = controller::Config::default().concurrency(0);
    let passes = applier(
        begin,
        after_error,
        Arc::clone(&context),
        store,
        queue,
        config,
    )
    .for_each(|result| {
        settle(&context, &result);
        futures::future::ready(())
    });
    let pruning = async {
        loop {
            tokio::time::sleep(PRUNE).await;
            prune(&context, stores);
        }
    };
    tokio::select! {
        _ = async { tokio::join!(passes, first_sync) } => {}
        () = pruning => {}
    }
}

/// Forgets what is kept of resources that no store holds.
fn prune(context: &Context, stores: &Stores) {
    let stores = snapshot(stores);
    context.prune(|(namespace, name)| {
        let object = ObjectRef::new(name).within(namespace);
        stores.iter().any(|store| store.get(&object).is_some())
    });
}

/// The stores of every scope, for the metrics.
pub type Stores = Mutex<Vec<Store<Stored>>>;

/// The stores there are now.
pub fn snapshot(stores: &Stores) -> Vec<Store<Stored>> {
    stores
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// Keeps a store for [`count_phases`].
fn keep(stores: &Stores, store: &Store<Stored>) {
    stores
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(store.clone());
}

/// Whether a resource of these stores may have something live or open that was asked for through this
/// connection. One that cannot be read and is held may be of any.
pub fn is_needed(stores: &Stores, key: &ConnectionKey) -> bool {
    let stores = snapshot(stores);
    stores.iter().flat_map(Store::state).any(|one| {
        if let Some(facts) = one.facts() {
            return facts.connection == *key && facts.needs_connection;
        }
        let namespace = key.namespace.as_ref();
        let is_near = namespace.is_none() || one.meta().namespace.as_ref() == namespace;
        let mut finalizers = one.meta().finalizers.iter().flatten();
        is_near && finalizers.any(|name| name == FINALIZER)
    })
}

/// Whether a resource of these stores owns the request with this mark and id, or will adopt it.
pub fn owns(stores: &Stores, mark: &Mark, id: &str) -> bool {
    let stores = snapshot(stores);
    // Nearly always it is the one that the mark names: all others are asked only if it is not.
    let named = mark.origin.object().map(|(namespace, name)| {
        let named = ObjectRef::new(name).within(namespace);
        move |store: &Store<Stored>| store.get(&named)
    });
    named.is_some_and(|get| {
        let mut named = stores.iter().filter_map(get);
        named.any(|one| is_owner(&one, mark, id))
    }) || stores
        .iter()
        .flat_map(Store::state)
        .any(|one| is_owner(&one, mark, id))
}

fn is_owner(one: &Stored, mark: &Mark, id: &str) -> bool {
    let uid = one.meta().uid.as_deref().unwrap_or_default();
    if mark.nonce.is_of(uid) {
        return true;
    }
    let named = one.unpack_if_mentions(&[id, mark.nonce.as_str()]);
    named.is_some_and(|resource| {
        let requests = resource.status.as_ref().map(|status| &status.requests);
        let mut requests = requests.into_iter().flatten();
        requests.any(|one| one.id == id)
            || Ledger::of(&resource).entry(mark.nonce.as_str()).is_some()
    })
}

/// How many resources of this replica's connections are in which phase.
pub fn count_phases(stores: &Stores, shards: &Shards) -> Vec<(Phase, i64)> {
    let mut counts = HashMap::new();
    let stores = snapshot(stores);
    for object in stores.iter().flat_map(Store::state) {
        let own = object.facts().filter(|facts| shards.has(&facts.connection));
        if let Some(phase) = own.and_then(|facts| facts.phase) {
            *counts.entry(phase).or_default() += 1;
        }
    }
    counts.into_iter().collect()
}

/// Begins a pass, or has it wait for its turn. Passes run beside each other, each in a task of its
/// own that ends with this future.
fn begin(
    object: Arc<Stored>,
    context: Arc<Context>,
) -> impl Future<Output = Result<Action, Error>> + Send + Unpin {
    let metadata = object.meta();
    let [namespace, name] = [&metadata.namespace, &metadata.name].map(Clone::clone);
    let key = (namespace.unwrap_or_default(), name.unwrap_or_default());
    let urgency = object.facts().map_or(Urgency::Now, |facts| facts.urgency);
    match context.turns.take(&key, urgency) {
        // It is called.
        None => Either::Left(futures::future::ready(Ok(Action::await_change()))),
        Some(turn) => {
            let (pass, end) = pass(turn, object, context)
                .in_current_span()
                .remote_handle();
            tokio::spawn(pass);
            Either::Right(end)
        }
    }
}

/// One pass whose turn has come, counted.
async fn pass(turn: Turn, object: Arc<Stored>, context: Arc<Context>) -> Result<Action, Error> {
    let working = context.metrics.begin(Which::AccessRequest);
    let started = Instant::now();
    let is_readable = object.facts().is_some();
    // Boxed: it is as large as all that a pass may do.
    let span = spans::pass(Which::AccessRequest, object.meta());
    let result = Box::pin(reconcile(Arc::clone(&object), Arc::clone(&context)))
        .instrument(span.clone())
        .await;
    let outcome = match &result {
        Ok(_) if is_readable => PassOutcome::Done,
        Ok(_) => PassOutcome::Undecodable,
        Err(error) if error.is_refusal() => PassOutcome::Rejected,
        Err(_) => PassOutcome::Transient,
    };
    spans::passed(&span, outcome);
    context
        .metrics
        .pass(Which::AccessRequest, outcome, started.elapsed());
    working.end(&result);
    turn.end(match &result {
        Err(error) if error.is_late() => Answered::Late,
        Ok(_) | Err(_) => Answered::InTime,
    });
    if result.is_ok() {
        context.clear_failures(&object.skeleton());
    }
    result
}

/// Every error of a pass is one of Kubernetes' and passes: what the remote says is in the status.
#[expect(clippy::needless_pass_by_value, reason = "the signature is kube's")]
fn after_error(object: Arc<Stored>, error: &Error, context: Arc<Context>) -> Action {
    let failures = context.count_failure(&object.skeleton());
    if error.is_refusal() {
        say_refused(error, failures);
    } else {
        say_failed(error, failures);
    }
    Action::requeue(doubled(FIRST_BACKOFF, failures, MOST_BACKOFF))
}

fn say_refused(error: &Error, failures: u32) {
    let error = Chain(error);
    tracing::error!(%error, failures, "the API server refuses what the operator writes");
}

fn say_failed(error: &Error, failures: u32) {
    // An object that changed under our hands is nothing to warn of.
    if !matches!(error, Error::Outdated) {
        tracing::warn!(step = error.label(), error = %Chain(error), failures, "the pass failed");
    }
}

/// A resource that is gone leaves nothing behind.
fn settle<E: std::error::Error>(
    context: &Context,
    result: &Result<(ObjectRef<Stored>, Action), controller::Error<Error, E>>,
) {
    match result {
        Ok(_) | Err(controller::Error::ReconcilerFailed(..)) => {}
        Err(controller::Error::ObjectNotFound(gone)) => {
            let key = (
                gone.namespace.clone().unwrap_or_default(),
                gone.name.clone(),
            );
            context.turns.leave(&key);
            context.forget_object(&key.0, &key.1);
        }
        Err(error) => tracing::warn!(error = %Chain(error), "the watch failed; it is renewed"),
    }
}

/// Resources to look at because of the poller, a connection or a namespace.
fn woken(
    wakes: Wakes,
    store: Store<Stored>,
    registry: Registry,
    scope: Option<String>,
) -> impl Stream<Item = ObjectRef<Stored>> + Send + 'static {
    let everything = {
        let store = store.clone();
        move || everything(&store)
    };
    let after_lag = everything.clone();
    let by_poller = events(wakes.resources).flat_map(move |event| {
        stream::iter(match event {
            Some(key) => vec![ObjectRef::new(&key.name).within(&key.namespace)],
            None => after_lag(),
        })
    });
    let (in_namespaces, all) = (store.clone(), everything.clone());
    // All that wait at once: each time is a walk over every resource.
    let relabelled = events(wakes.namespaces).ready_chunks(RELABELS_AT_ONCE);
    let by_namespace = relabelled.flat_map(move |events| {
        let events: Option<Vec<_>> = events.into_iter().collect();
        stream::iter(match events {
            Some(names) => {
                let names = names.iter().flat_map(|names| names.iter());
                of_namespaces(
                    &in_namespaces,
                    &registry,
                    &names.map(String::as_str).collect(),
                )
            }
            None => all(),
        })
    });
    let by_connection = events(wakes.connections).flat_map(move |event| {
        stream::iter(match event {
            Some(key) => of_connection(&store, &key),
            None => everything(),
        })
    });
    let in_scope = move |object: &ObjectRef<Stored>| {
        futures::future::ready(scope.is_none() || object.namespace == scope)
    };
    let by_others = stream::select(by_connection, by_namespace);
    stream::select(by_poller, by_others).filter(in_scope)
}

/// Every resource.
fn everything(store: &Store<Stored>) -> Vec<ObjectRef<Stored>> {
    let all = store.state();
    all.iter()
        .map(|one| ObjectRef::from_obj(one.as_ref()))
        .collect()
}

/// The resources in these namespaces whose connection goes by labels.
fn of_namespaces(
    store: &Store<Stored>,
    registry: &Registry,
    names: &BTreeSet<&str>,
) -> Vec<ObjectRef<Stored>> {
    // One that cannot be read asks for nothing.
    let is_concerned = |one: &Arc<Stored>| {
        one.facts().is_some_and(|facts| {
            let namespace = one.meta().namespace.as_deref().unwrap_or_default();
            names.contains(namespace) && registry.selects_namespaces(&facts.connection)
        })
    };
    store
        .state()
        .iter()
        .filter(|one| is_concerned(one))
        .map(|one| ObjectRef::from_obj(one.as_ref()))
        .collect()
}

/// The resources that name a connection.
fn of_connection(store: &Store<Stored>, key: &ConnectionKey) -> Vec<ObjectRef<Stored>> {
    let names = |one: &Arc<Stored>| one.facts().is_none_or(|facts| facts.connection == *key);
    store
        .state()
        .iter()
        .filter(|one| names(one))
        .map(|one| ObjectRef::from_obj(one.as_ref()))
        .collect()
}

/// The events of a channel; nothing where some were lost, which means: look at everything.
fn events<T: Clone + Send + 'static>(
    receiver: broadcast::Receiver<T>,
) -> impl Stream<Item = Option<T>> + Send + 'static {
    stream::unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Ok(event) => Some((Some(event), receiver)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some((None, receiver)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    })
}

/// Resolves when told to stop.
fn stopped(mut stop: watch::Receiver<bool>) -> impl Future<Output = ()> + Send + Sync + 'static {
    async move {
        // A sender that is gone means the same.
        let _ = stop.wait_for(|stop| *stop).await;
    }
    .map(|()| ())
}
