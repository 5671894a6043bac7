//! The connection controllers of the process: what their passes share, and what makes a pass happen:
//! a change of the resource, an opened or closed circuit, and at the latest every 30 s the next look
//! at the Secret. What a pass does is in `pass.rs`.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt as _, Stream, StreamExt as _, future::BoxFuture};
use kube::{
    Api, Client, Resource as _,
    core::DeserializeGuard,
    runtime::{
        Config as ControllerConfig,
        controller::{self, Action},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio::{
    sync::{Mutex as Lock, broadcast, mpsc},
    time::Instant,
};
use tracing::Instrument as _;

use super::{
    ConnectionKey, ConnectionResource, Found, Registry,
    escrow::Escrow,
    pass::{Error, after_failure, pass},
    supervised::{Supervised, Surroundings},
};
use crate::{
    app::Shell,
    clock::Clock,
    crd::{AponoConnection, ClusterAponoConnection},
    kubernetes,
    metrics::{Controller as Which, Metrics, PassOutcome},
    poller::ResourceKey,
    settings::{Scope, Settings},
    shards::{self, Entry, Shard, Shards},
    telemetry::{Chain, spans},
};

/// More connections than this may ask for a pass at once only by waiting for their regular look.
const LOOKS_WAITING: usize = 1024;

/// How often the start looks whether all connections are registered, at the least.
const FILLING: Duration = Duration::from_millis(200);

/// What the passes share.
pub struct Context {
    pub(super) client: Client,
    pub(super) settings: Arc<Settings>,
    pub(super) registry: Registry,
    pub(super) metrics: Metrics,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) around: Surroundings,
    pub(super) escrow: Escrow,
    pub(super) shards: Shards,
    /// By key, with the uid they were made for.
    supervised: Mutex<HashMap<ConnectionKey, OfUid>>,
}

type OfUid = (String, Arc<Lock<Supervised>>);

impl Context {
    /// The context of all connection controllers of the process. `wake` is told which resources
    /// changed at the remote.
    pub fn new(shell: &Shell, wake: mpsc::UnboundedSender<ResourceKey>) -> Self {
        let around = Surroundings {
            cluster: shell.cluster.clone(),
            metrics: shell.metrics.clone(),
            clock: Arc::clone(&shell.clock),
            timeout: shell.settings.remote_timeout,
            shards: shell.shards.clone(),
            wake,
            look_again: broadcast::Sender::new(LOOKS_WAITING),
        };
        Self {
            client: shell.client.clone(),
            settings: Arc::clone(&shell.settings),
            registry: shell.registry.clone(),
            metrics: shell.metrics.clone(),
            clock: Arc::clone(&shell.clock),
            around,
            escrow: shell.escrow(),
            shards: shell.shards.clone(),
            supervised: Mutex::default(),
        }
    }

    /// The connection at work under this key, made when there is none of this uid.
    pub(super) fn supervised<K: ConnectionResource>(
        &self,
        key: &ConnectionKey,
        resource: &K,
    ) -> Arc<Lock<Supervised>> {
        let uid = resource.meta().uid.clone().unwrap_or_default();
        let mut all = self
            .supervised
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((known, supervised)) = all.get(key)
            && *known == uid
        {
            return Arc::clone(supervised);
        }
        // What is known of its user outlives a restart in the status alone.
        let identity = resource.status().and_then(|status| status.identity.clone());
        let new = Supervised::new(
            &self.around,
            key.clone(),
            uid.clone(),
            resource.settings(),
            identity,
        );
        let new = Arc::new(Lock::new(new));
        all.insert(key.clone(), (uid, Arc::clone(&new)));
        new
    }

    /// The connection at work under this key, if it is of this uid; one of another is put away.
    pub(super) fn known(
        &self,
        key: &ConnectionKey,
        uid: Option<&str>,
    ) -> Option<Arc<Lock<Supervised>>> {
        let mut all = self
            .supervised
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (known, supervised) = all.get(key)?;
        if Some(known.as_str()) == uid {
            return Some(Arc::clone(supervised));
        }
        all.remove(key);
        None
    }

    fn forget(&self, key: &ConnectionKey) {
        self.put_away(key);
        self.registry.remove(key);
    }

    /// Another replica works for it: what runs for it here ends.
    fn leave(&self, key: &ConnectionKey) {
        self.put_away(key);
        self.registry.put_elsewhere(key);
    }

    fn put_away(&self, key: &ConnectionKey) {
        let mut all = self
            .supervised
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.remove(key);
    }
}

/// Runs the connection controllers of the settings' scope until the shell stops; passes under way
/// are finished. Until their caches are filled, readiness says so.
pub fn run(context: &Arc<Context>, shell: &Shell) -> impl Future<Output = ()> + Send + use<> {
    let client = || shell.client.clone();
    let controllers: Vec<BoxFuture<'static, ()>> = match &shell.settings.scope {
        Scope::Cluster => vec![
            control::<ClusterAponoConnection>(Api::all(client()), None, context, shell).boxed(),
            control::<AponoConnection>(Api::all(client()), None, context, shell).boxed(),
        ],
        Scope::Namespaces(names) => names
            .iter()
            .map(|name| {
                let api = Api::namespaced(client(), name);
                control::<AponoConnection>(api, Some(name.clone()), context, shell).boxed()
            })
            .collect(),
    };
    futures::future::join_all(controllers).map(|_| ())
}

/// Runs the controller of one kind in one scope.
fn control<K: ConnectionResource>(
    api: Api<DeserializeGuard<K>>,
    namespace: Option<String>,
    context: &Arc<Context>,
    shell: &Shell,
) -> impl Future<Output = ()> + Send + use<K> {
    let kind = K::kind(&());
    let cached = shell.readiness.gate(
        namespace.as_ref().map_or_else(
            || format!("cache of {kind}"),
            |namespace| format!("cache of {kind} in {namespace}"),
        ),
        "not synced yet",
    );
    let asked = asked::<K>(context, namespace);
    let controller = kubernetes::controller(api, shell.settings.relist_interval)
        .with_config(ControllerConfig::default().concurrency(shell.settings.concurrency))
        .reconcile_on(asked)
        .reconcile_all_on(shell.shards.changes())
        .graceful_shutdown_on(shell.stopped());
    let registry = shell.registry.clone();
    registry.expect_controller();
    let cache = controller.store();
    let filled = async move {
        // It fails when the controller ends before: then nobody asks any more.
        if cache.wait_until_ready().await.is_ok() {
            registered(&cache, &registry).await;
            registry.controller_filled();
            cached.open();
        }
    };
    let context = Arc::clone(context);
    let passes = controller
        .run(timed_pass::<K>, after_error::<K>, Arc::clone(&context))
        .for_each(move |result| {
            passed::<K>(&context, result);
            std::future::ready(())
        });
    async move {
        tokio::join!(passes, filled);
    }
}

/// Resolves when every connection in the cache has been registered by its first pass.
async fn registered<K: ConnectionResource>(
    cache: &Store<DeserializeGuard<K>>,
    registry: &Registry,
) {
    let mut changes = registry.changes();
    let is_missing = |object: &Arc<DeserializeGuard<K>>| {
        matches!(registry.find(&ConnectionKey::of(&**object)), Found::Missing)
    };
    while cache.state().iter().any(is_missing) {
        // Also looked at again without word: one of them may have been deleted meanwhile.
        let _ = tokio::time::timeout(FILLING, changes.next()).await;
    }
}

type Passed<K> = (ObjectRef<DeserializeGuard<K>>, Action);

/// Takes note of how a pass ended; its failure has been logged by then.
fn passed<K: ConnectionResource>(
    context: &Context,
    result: Result<Passed<K>, controller::Error<Error, watcher::Error>>,
) {
    match result {
        Ok(_) | Err(controller::Error::ReconcilerFailed(..)) => {}
        // Deleted: it is no longer in the cache.
        Err(controller::Error::ObjectNotFound(gone)) => context.forget(&ConnectionKey {
            kind: K::KIND,
            namespace: gone.namespace,
            name: gone.name,
        }),
        Err(error) => tracing::warn!(error = %Chain(&error), "could not watch connections"),
    }
}

/// The connections of this kind and scope that asked for a pass.
fn asked<K: ConnectionResource>(
    context: &Context,
    namespace: Option<String>,
) -> impl Stream<Item = ObjectRef<DeserializeGuard<K>>> + Send + 'static + use<K> {
    let receiver = context.around.look_again.subscribe();
    let keys = futures::stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(key) => return Some((key, receiver)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    keys.filter_map(move |key: ConnectionKey| {
        let is_ours = key.kind == K::KIND && (namespace.is_none() || namespace == key.namespace);
        let mut object = ObjectRef::new(&key.name);
        object.namespace = key.namespace;
        std::future::ready(is_ours.then_some(object))
    })
}

/// Time and outcome of a pass, counted around it.
async fn timed_pass<K: ConnectionResource>(
    object: Arc<DeserializeGuard<K>>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let working = context.metrics.begin(Which::Connection);
    let started = Instant::now();
    // Boxed: it is as large as all that a pass may do.
    let span = spans::pass(Which::Connection, object.meta());
    let pass = Box::pin(fenced_pass(&object, &context));
    let result = pass.instrument(span.clone()).await;
    let outcome = match &result {
        Ok(_) if object.0.is_err() => PassOutcome::Undecodable,
        Ok(_) => PassOutcome::Done,
        Err(_) => PassOutcome::Transient,
    };
    spans::passed(&span, outcome);
    context
        .metrics
        .pass(Which::Connection, outcome, started.elapsed());
    working.end(&result);
    result
}

/// A pass, if the connection is this replica's.
async fn fenced_pass<K: ConnectionResource>(
    object: &DeserializeGuard<K>,
    context: &Context,
) -> Result<Action, Error> {
    let key = ConnectionKey::of(object);
    let shard = Shard::of(&key);
    let _pass = match context.shards.enter(shard) {
        Entry::Held(pass) => pass,
        Entry::NotNow => {
            // For those who wait to know what exists.
            if matches!(context.registry.find(&key), Found::Missing) {
                context.registry.put_elsewhere(&key);
            }
            return Ok(Action::await_change());
        }
        Entry::Elsewhere => {
            context.leave(&key);
            return Ok(Action::await_change());
        }
    };
    let fence = context.shards.fence(shard);
    Box::pin(shards::within(fence, pass(object, context))).await
}

fn after_error<K: ConnectionResource>(
    _object: Arc<DeserializeGuard<K>>,
    error: &Error,
    _context: Arc<Context>,
) -> Action {
    tracing::warn!(error = %Chain(error), "the pass over the connection failed");
    after_failure()
}
