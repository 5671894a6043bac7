//! Joins the parts of the running operator: admin port, waiting for the cluster, connection
//! controllers, the controller of access requests; and ends them in order.
//!
//! It holds no logic of its own. The process comes up without custom resources, without a reachable
//! apiserver and without a single connection, and says in `/readyz` what it waits for.

mod sources;

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _};
use kube::Client;
use thiserror::Error;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{broadcast, mpsc, watch},
    task::JoinHandle,
};

use crate::{
    admin::{self, Admin, Gate, Readiness},
    clock::{Clock, SystemClock},
    connection::{self, Namespaces, Registry, Relabelled, escrow::Escrow},
    controller::{self, Wakes},
    crd::GROUP,
    kubernetes::{self, deadline},
    metrics::Metrics,
    owed::{self, Debts},
    poller::ResourceKey,
    settings::{Scope, Settings},
    shards::{Keeper, Shards, Terms},
    telemetry::Chain,
};

/// Passes under way have this long to finish; with the 10 s a pod gets at least, the rest is left
/// for the process to end.
const GRACE: Duration = Duration::from_secs(8);
/// Others take over at once if what was held is given back in this time, else when it runs out.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often what is not there yet is looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// As many wakes are kept for a controller that is busy; past that it looks at everything. The room
/// for all of them is taken at the start.
const WAKES_KEPT: usize = 4_096;
/// The same for connections.
const CONNECTIONS_KEPT: usize = 256;
/// The same for labels of namespaces.
const RELABELS_KEPT: usize = 1024;
/// The version of the custom resources.
const VERSION: &str = "v1alpha1";

/// The operator cannot run.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no cluster.
    #[error("could not connect to Kubernetes")]
    Connect(#[source] kubernetes::Error),
    /// The cluster's name is needed and cannot be read.
    #[error(
        "could not name the cluster: set CLUSTER_NAME, or allow get on the namespace kube-system"
    )]
    NameCluster(#[source] kubernetes::Error),
    /// The admin port failed.
    #[error("could not serve the admin port")]
    ServeAdmin(#[source] admin::Error),
    /// Signals cannot be received.
    #[error("could not listen for signals")]
    ListenForSignals(#[source] std::io::Error),
}

/// What the controllers are given. Clones share everything.
#[derive(Clone)]
pub struct Shell {
    /// The Kubernetes client; put [`deadline`] around every call.
    pub client: Client,
    /// The settings.
    pub settings: Arc<Settings>,
    /// The name of the cluster in marks.
    pub cluster: String,
    /// The connections.
    pub registry: Registry,
    /// The metrics.
    pub metrics: Metrics,
    /// What the process waits for.
    pub readiness: Readiness,
    /// Which connections are this replica's.
    pub shards: Shards,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// True when no pass may start any more.
    pub stop: watch::Receiver<bool>,
}

impl std::fmt::Debug for Shell {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shell")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl Shell {
    /// Where copies of tokens are kept.
    pub fn escrow(&self) -> Escrow {
        Escrow {
            client: self.client.clone(),
            namespace: self.settings.operator_namespace.clone(),
            kube_timeout: self.settings.kube_timeout,
            metrics: self.metrics.clone(),
        }
    }

    /// Resolves when no pass may start any more.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + Sync + use<> {
        stopped(self.stop.clone())
    }
}

/// Runs the operator until a signal ends it.
pub async fn run(settings: Settings) -> Result<(), Error> {
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(until_signal(stop, signals()?));
    let (metrics, readiness) = (Metrics::new(), Readiness::default());
    let starting = readiness.gate("start", "the controllers have not started yet");
    let (admin_stop, admin_stopped) = watch::channel(false);
    let admin = Admin::bind(settings.admin_listen, readiness.clone(), metrics.clone())
        .await
        .map_err(Error::ServeAdmin)?;
    let address = admin.address();
    tracing::info!(%address, "the admin port is open");
    let admin = tokio::spawn(admin.serve(stopped(admin_stopped)));
    let client = kubernetes::connect(&metrics)
        .await
        .map_err(Error::Connect)?;
    let settings = Arc::new(settings);
    let shards = Shards::none();
    let shell = Parts {
        client,
        settings,
        metrics,
        readiness,
        shards: shards.clone(),
    };
    let work = until_stopped(work(shell, starting, stopping.clone()), stopping, &shards);
    let result = work.await;
    // Nothing that was under way is left by now.
    let _ = tokio::time::timeout(FAREWELL, shards.leave()).await;
    admin_stop.send_replace(true);
    result.and(ended(admin).await)
}

/// Gives up what is under way when it has had its time after a stop.
async fn until_stopped(
    work: impl Future<Output = Result<(), Error>>,
    stopping: watch::Receiver<bool>,
    shards: &Shards,
) -> Result<(), Error> {
    tokio::select! {
        result = work => result,
        () = out_of_time(stopping, shards) => Ok(()),
    }
}

/// Resolves when passes under way have had their time after a stop. What none runs over is others'
/// meanwhile.
async fn out_of_time(stop: watch::Receiver<bool>, shards: &Shards) {
    stopped(stop).await;
    shards.retire();
    tokio::time::sleep(GRACE).await;
    tracing::warn!("passes did not finish in time and are dropped");
}

/// What a [`Shell`] is made of before the cluster is known.
struct Parts {
    client: Client,
    settings: Arc<Settings>,
    metrics: Metrics,
    readiness: Readiness,
    shards: Shards,
}

async fn work(parts: Parts, starting: Gate, stop: watch::Receiver<bool>) -> Result<(), Error> {
    let Parts {
        client,
        settings,
        metrics,
        readiness,
        shards,
    } = parts;
    let prepared = prepare(&client, &settings, &readiness);
    let cluster = tokio::select! {
        prepared = prepared => prepared?,
        () = stopped(stop.clone()) => return Ok(()),
    };
    tracing::info!(cluster, scope = %settings.scope, "the operator starts");
    let (relabelled, _) = broadcast::channel(RELABELS_KEPT);
    let (namespaces, fill) = namespaces(
        &client,
        &settings,
        &readiness,
        relabelled.clone(),
        stop.clone(),
    );
    let registry = Registry::new(namespaces);
    let figures = registry.clone();
    metrics.look_at_connections_with(Box::new(move || figures.figures()));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let shell = Shell {
        client,
        settings,
        cluster,
        registry,
        metrics,
        readiness,
        shards,
        clock,
        stop,
    };
    tokio::select! {
        () = keep(&shell) => {}
        () = shell.stopped() => return Ok(()),
    }
    let debts = debts(&shell);
    let (wake, woken) = mpsc::unbounded_channel();
    let context = Arc::new(connection::controller::Context::new(&shell, wake));
    let connections = connection::controller::run(&context, &shell);
    let owed = owed::run(&shell, debts.clone());
    let requests = requests(shell.clone(), debts, woken, relabelled);
    // Every cache has its gate by now.
    starting.open();
    tokio::join!(fill, connections, requests, owed);
    Ok(())
}

/// Keeps this replica's share of the connections from here on; returns when it has one.
async fn keep(shell: &Shell) {
    let figures = shell.shards.clone();
    let metrics = &shell.metrics;
    metrics.look_at_shards_with(Box::new(move || figures.figures()));
    let terms = Terms {
        namespace: shell.settings.operator_namespace.clone(),
        lasts: shell.settings.lease_duration,
        kube_timeout: shell.settings.kube_timeout,
        relist: shell.settings.relist_interval,
        pod: shell.settings.pod_name.clone(),
    };
    let gate = shell.readiness.gate("lease", "not written yet");
    let (clock, metrics) = (Arc::clone(&shell.clock), metrics.clone());
    let client = shell.client.clone();
    let keeper = Keeper::new(&shell.shards, client, terms, clock, metrics, gate);
    tokio::spawn(keeper.run());
    shell.shards.joined().await;
}

/// Where what is owed is written down, and who counts it.
fn debts(shell: &Shell) -> Debts {
    let debts = Debts::new(
        shell.client.clone(),
        shell.settings.operator_namespace.clone(),
        shell.settings.kube_timeout,
        shell.metrics.clone(),
    );
    let (counted, clock) = (debts.clone(), Arc::clone(&shell.clock));
    let shards = shell.shards.clone();
    shell
        .metrics
        .count_debts_with(Box::new(move || counted.figures(clock.now(), &shards)));
    let needed = debts.clone();
    shell
        .registry
        .count_debts_with(Box::new(move |secret| needed.needs(secret)));
    debts
}

/// The controllers of access requests: one for each scope, woken by the poller, by connections and
/// by the labels of namespaces.
async fn requests(
    shell: Shell,
    debts: Debts,
    mut woken: mpsc::UnboundedReceiver<ResourceKey>,
    relabelled: broadcast::Sender<Relabelled>,
) {
    let context = Arc::new(passes(&shell, debts.clone()));
    sources::count_turns(&shell, &context.turns);
    let (resources, _) = broadcast::channel(WAKES_KEPT);
    let (connections, _) = broadcast::channel(CONNECTIONS_KEPT);
    let mut changes = Box::pin(shell.registry.changes());
    let scopes = match &shell.settings.scope {
        Scope::Cluster => vec![None],
        Scope::Namespaces(namespaces) => namespaces.iter().map(|one| Some(one.as_str())).collect(),
    };
    let phases = Arc::new(Mutex::new(Vec::new()));
    let synced_scopes = Arc::new(AtomicUsize::new(0));
    sources::tell_of(&shell, &phases, &debts, (&synced_scopes, scopes.len()));
    let controllers = scopes.into_iter().map(|scope| {
        let wakes = Wakes {
            resources: resources.subscribe(),
            connections: connections.subscribe(),
            namespaces: relabelled.subscribe(),
            relist: shell.settings.relist_interval,
        };
        let gate = shell.readiness.gate(
            format!("cache of access requests {}", scope.unwrap_or_default()).trim_end(),
            "not synced yet",
        );
        let (context, phases) = (Arc::clone(&context), Arc::clone(&phases));
        let (registry, shell) = (shell.registry.clone(), &shell);
        let synced_scopes = Arc::clone(&synced_scopes);
        async move {
            // Before that, a connection that is not there may only not have been read yet.
            tokio::select! {
                () = registry.filled() => {}
                () = shell.stopped() => return,
            }
            let stop = shell.stop.clone();
            let synced = || {
                synced_scopes.fetch_add(1, Ordering::Release);
                gate.open();
            };
            controller::run(context, scope, wakes, stop, &phases, synced).await;
        }
    });
    // Nobody listening means that the controllers have ended, and so will these.
    let forward = async {
        loop {
            tokio::select! {
                Some(key) = woken.recv() => drop(resources.send(key)),
                Some(key) = changes.next() => drop(connections.send(key)),
                else => break,
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = futures::future::join_all(controllers).map(drop) => {}
        () = forward => {}
    }
}

/// What every pass over an access request is handed.
fn passes(shell: &Shell, debts: Debts) -> controller::Context {
    controller::Context {
        escrow: shell.escrow(),
        debts,
        turns: controller::turns::Turns::new(shell.settings.concurrency),
        shards: shell.shards.clone(),
        client: shell.client.clone(),
        registry: shell.registry.clone(),
        is_namespaced: shell.settings.scope != Scope::Cluster,
        clock: Arc::clone(&shell.clock),
        metrics: shell.metrics.clone(),
        cluster: shell.cluster.clone(),
        kube_timeout: shell.settings.kube_timeout,
        remote_timeout: shell.settings.remote_timeout,
        ttl_owner_labels: shell.settings.ttl_owner_labels.clone(),
        resources: Mutex::default(),
    }
}

/// Waits until the custom resources are served; returns the cluster's name.
async fn prepare(
    client: &Client,
    settings: &Settings,
    readiness: &Readiness,
) -> Result<String, Error> {
    let served = readiness.gate("custom resources", "not looked for yet");
    let cluster = match &settings.cluster_name {
        Some(name) => name.clone(),
        None => cluster_name(client, settings, readiness).await?,
    };
    let mut said = String::new();
    loop {
        let missing = missing_kinds(client, settings).await;
        if missing.is_empty() {
            break;
        }
        if missing != said {
            tracing::warn!(missing, "waiting for the custom resources");
            said.clone_from(&missing);
        }
        served.close(missing);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    served.open();
    Ok(cluster)
}

/// Reads the name, waiting for an apiserver that does not answer.
async fn cluster_name(
    client: &Client,
    settings: &Settings,
    readiness: &Readiness,
) -> Result<String, Error> {
    let named = readiness.gate("cluster name", "not read yet");
    loop {
        match kubernetes::cluster_name(client, settings.kube_timeout).await {
            Ok(name) => {
                named.open();
                return Ok(name);
            }
            Err(error) if error.is_forbidden() || error.is_not_found() => {
                return Err(Error::NameCluster(error));
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "waiting for the apiserver");
                named.close(Chain(&error).to_string());
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// What of the custom resources is not served, for people; empty when all are.
pub(crate) async fn missing_kinds(client: &Client, settings: &Settings) -> String {
    let version = format!("{GROUP}/{VERSION}");
    let listed = deadline(
        "list the custom resources",
        settings.kube_timeout,
        client.list_api_group_resources(&version),
    );
    let served = match listed.await {
        Ok(found) => found.resources,
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => return Chain(&error).to_string(),
    };
    let needed: &[&str] = match settings.scope {
        Scope::Cluster => &[
            "AccessRequest",
            "AponoConnection",
            "ClusterAponoConnection",
            "OwedRevocation",
        ],
        Scope::Namespaces(_) => &["AccessRequest", "AponoConnection", "OwedRevocation"],
    };
    let missing: Vec<_> = needed
        .iter()
        .filter(|kind| !served.iter().any(|resource| resource.kind == **kind))
        .map(|kind| format!("`{kind}`"))
        .collect();
    if missing.is_empty() {
        return String::new();
    }
    let missing = missing.join(", ");
    format!("{version} does not serve {missing}: apply what `apono-operator crd` prints")
}

fn namespaces(
    client: &Client,
    settings: &Settings,
    readiness: &Readiness,
    relabelled: broadcast::Sender<Relabelled>,
    stop: watch::Receiver<bool>,
) -> (Namespaces, futures::future::BoxFuture<'static, ()>) {
    match settings.scope {
        Scope::Cluster => {
            let gate = readiness.gate("cache of namespaces", "not synced yet");
            let watched = (client.clone(), settings.relist_interval);
            let (namespaces, fill) = Namespaces::watch(watched, gate, relabelled, stopped(stop));
            (namespaces, fill.boxed())
        }
        Scope::Namespaces(_) => (Namespaces::unknown(), std::future::ready(()).boxed()),
    }
}

type Signals = [tokio::signal::unix::Signal; 2];

fn signals() -> Result<Signals, Error> {
    let listen = |kind| signal(kind).map_err(Error::ListenForSignals);
    Ok([
        listen(SignalKind::terminate())?,
        listen(SignalKind::interrupt())?,
    ])
}

async fn until_signal(stop: watch::Sender<bool>, [mut terminate, mut interrupt]: Signals) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: no new passes, those under way are finished");
    stop.send_replace(true);
}

/// Resolves when `stop` is true or its sender is gone.
async fn stopped(mut stop: watch::Receiver<bool>) {
    while !*stop.borrow_and_update() {
        if stop.changed().await.is_err() {
            return;
        }
    }
}

async fn ended(admin: JoinHandle<Result<(), admin::Error>>) -> Result<(), Error> {
    // Keep-alive connections may hold the port open; they are not worth waiting for.
    match tokio::time::timeout(Duration::from_secs(1), admin).await {
        Ok(Ok(result)) => result.map_err(Error::ServeAdmin),
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}
