//! What runs for one connection: its gated remote and its poller. Both are replaced when the
//! settings they were built from change; a new token is handed to the running ones. The store, the
//! state and the identity live as long as the uid.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use apono_client::{AccessRequest, BuildError, Client, ClientConfig, Page, Reach, Token};
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinHandle,
};
use url::Url;

use super::{
    BulkRevokes, Connection, ConnectionKey, ConnectionState, Hold,
    reads::{self, GatedReads},
};
use crate::{
    clock::Clock,
    crd::{ConnectionReason, ConnectionSettings, Identity, LimitSettings},
    metrics::Metrics,
    poller::{Cadence, Poller, ResourceKey, Store},
    remote::{Pace, Rate, Remote},
    shards::{Fence, Shard, Shards},
};

/// What every connection shares.
pub(super) struct Surroundings {
    pub(super) cluster: String,
    pub(super) metrics: Metrics,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timeout: Duration,
    pub(super) shards: Shards,
    pub(super) wake: mpsc::UnboundedSender<ResourceKey>,
    /// Asks for a pass over the connection. A lost one is made up for by the next regular look.
    pub(super) look_again: broadcast::Sender<ConnectionKey>,
}

/// One connection at work.
pub(super) struct Supervised {
    pub(super) connection: Arc<Connection>,
    /// Whether the API has accepted the current token.
    pub(super) is_verified: bool,
    /// The requests that belong to nobody, as they were told last.
    pub(super) unowned: BTreeSet<String>,
    /// How often in a row it could not be found out what the Secret holds.
    pub(super) unread: u32,
    token: Option<Token>,
    /// Tells tokens apart without keeping the old ones.
    fingerprints: RandomState,
    built_from: Option<BuiltFrom>,
    poller: Option<Running>,
}

/// Whatever the remote was built from: a change of it means another remote.
#[derive(Clone, Debug, PartialEq)]
struct BuiltFrom {
    endpoint: Url,
    reach: Reach,
    ca_bundle: Option<String>,
    limits: LimitSettings,
}

struct Running {
    cadence: Cadence,
    /// Absent: it was stopped.
    built_from: Option<BuiltFrom>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Supervised {
    /// A connection that has nothing to call with yet.
    pub(super) fn new(
        around: &Surroundings,
        key: ConnectionKey,
        uid: String,
        settings: ConnectionSettings,
        identity: Option<Identity>,
    ) -> Self {
        let state =
            ConnectionState::not_ready(ConnectionReason::Verifying, "the token is being verified");
        let store = Arc::new(Store::new(&around.cluster));
        let hold = Hold::new(key.clone(), uid.clone(), around.look_again.clone());
        let connection = Connection {
            key: Arc::new(key),
            uid,
            hold: Arc::new(hold),
            settings: Arc::new(settings),
            remote: Remote::unconfigured(around.metrics.clone()),
            bulk: Arc::new(BulkRevokes::new(Arc::clone(&store))),
            sessions: Arc::default(),
            store,
            state: Arc::new(watch::Sender::new(state)),
            identity: Arc::new(watch::Sender::new(identity)),
        };
        Self {
            connection: Arc::new(connection),
            is_verified: false,
            unread: 0,
            unowned: BTreeSet::new(),
            token: None,
            fingerprints: RandomState::new(),
            built_from: None,
            poller: None,
        }
    }

    /// Takes new settings, by a new [`Connection`] if they differ.
    pub(super) fn set_settings(&mut self, settings: ConnectionSettings) {
        if *self.connection.settings != settings {
            Arc::make_mut(&mut self.connection).settings = Arc::new(settings);
        }
    }

    /// Takes what a page of the own list says of the token's user.
    pub(super) fn note(&self, page: &Page<AccessRequest>) {
        reads::note(&self.connection.identity, page);
        let known = self.connection.identity().and_then(|user| user.id);
        let requestors = page.items.iter().filter_map(|one| one.requestor.as_ref());
        if let Some(user) = known.filter(|_| requestors.count() > 0) {
            self.connection.store.meet(&user);
        }
    }

    /// Takes the state. Returns whether it differs.
    pub(super) fn set_state(&self, state: ConnectionState) -> bool {
        self.connection.state.send_if_modified(|old| {
            let is_changed = *old != state;
            *old = state;
            is_changed
        })
    }

    /// Brings the remote in line with settings and token.
    pub(super) fn equip(
        &mut self,
        around: &Surroundings,
        endpoint: Url,
        reach: Reach,
        token: Token,
    ) -> Result<(), ConnectionState> {
        let settings = Arc::clone(&self.connection.settings);
        let built_from = BuiltFrom {
            endpoint,
            reach,
            ca_bundle: settings.ca_bundle.clone(),
            limits: settings.limits,
        };
        let is_new_token = self.token.as_ref().is_some_and(|old| *old != token);
        let is_new_remote = self.built_from.as_ref() != Some(&built_from);
        if is_new_token {
            // First, for the remote there is also when no new one can be built.
            self.connection.remote.set_token(token.clone());
            // Another token may be another user's: nothing known holds until it is read again.
            self.connection.identity.send_replace(None);
            self.is_verified = false;
        }
        let fingerprint = self.fingerprints.hash_one(&token);
        let now = around.clock.now();
        self.connection.store.use_token(fingerprint, now);
        self.token = Some(token.clone());
        if is_new_remote {
            let (endpoint, reach) = (built_from.endpoint.clone(), built_from.reach.clone());
            let client = client(endpoint, &settings, token, around.timeout, reach)?;
            let fence = around.shards.fence(Shard::of(&self.connection.key));
            let metrics = around.metrics.clone();
            let remote = Remote::fenced(client, pace(settings.limits), metrics, fence);
            look_again_when_circuit_changes(around, &self.connection.key, &remote);
            Arc::make_mut(&mut self.connection).remote = remote;
            self.built_from = Some(built_from);
            self.is_verified = false;
        }
        Ok(())
    }

    /// Takes remote and poller away.
    pub(super) fn strip(&mut self, around: &Surroundings) {
        if self.built_from.take().is_some() {
            self.stop();
            if let Some(poller) = &mut self.poller {
                poller.built_from = None;
            }
            let remote = Remote::unconfigured(around.metrics.clone());
            Arc::make_mut(&mut self.connection).remote = remote;
            self.is_verified = false;
        }
    }

    /// Ends the poller.
    pub(super) fn stop(&self) {
        if let Some(poller) = &self.poller {
            poller.stop.send_replace(true);
        }
    }

    /// The connection was in use when this process took it over: what is live there is read as soon
    /// as it can be, before the resources have come that follow it.
    pub(super) fn foresee(&self) {
        if self.poller.is_none() {
            self.connection.store.foresee();
        }
    }

    /// Brings the poller in line with settings and remote. To be called once the token is proven:
    /// a wrong one is tried by one call, not by a sweep as well.
    pub(super) fn poll(&mut self, around: &Surroundings) {
        let polling = self.connection.settings.polling;
        let cadence = Cadence {
            fast: polling.fast,
            pending: polling.pending,
            active: polling.active,
        };
        let is_current = |running: &Running| {
            let is_same = running.cadence == cadence && running.built_from == self.built_from;
            // One that has ended without being told to has panicked: it is replaced, at the
            // latest by the next regular look.
            is_same && !running.task.is_finished()
        };
        if self.poller.as_ref().is_some_and(is_current) {
            return;
        }
        let before = self.poller.take();
        let reads = GatedReads {
            remote: self.connection.remote.clone(),
            identity: Arc::clone(&self.connection.identity),
        };
        #[cfg(feature = "ablation")]
        let reads = super::one_by_one::OneByOne {
            inner: reads,
            store: Arc::clone(&self.connection.store),
        };
        let poller = Poller::new(
            Arc::new(reads),
            Arc::clone(&self.connection.store),
            cadence,
            Arc::clone(&around.clock),
            around.wake.clone(),
            // Only to spread the pollers of many connections over time.
            RandomState::new().hash_one(&self.connection.uid),
        );
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                before.stop.send_replace(true);
                // Two pollers never fill one store at once; its calls have deadlines.
                if let Err(error) = before.task.await {
                    tracing::error!(%error, "the poller of a connection broke down; it is replaced");
                }
            }
            poller.run(stopped).await;
        });
        self.poller = Some(Running {
            cadence,
            built_from: self.built_from.clone(),
            stop,
            task,
        });
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A gated remote for itself, which nobody polls through; or why there is none.
pub(crate) fn gated_remote(
    endpoint: Url,
    settings: &ConnectionSettings,
    token: Token,
    limit: Duration,
    reach: Reach,
    (metrics, fence): (Metrics, Fence),
) -> Result<Remote, String> {
    let client = client(endpoint, settings, token, limit, reach);
    let client = client.map_err(|state| state.message().to_owned())?;
    Ok(Remote::fenced(
        client,
        pace(settings.limits),
        metrics,
        fence,
    ))
}

fn client(
    endpoint: Url,
    settings: &ConnectionSettings,
    token: Token,
    limit: Duration,
    reach: Reach,
) -> Result<Client, ConnectionState> {
    let mut config = ClientConfig::new(endpoint);
    config.timeout = limit;
    config.reach = reach;
    config.user_agent = format!("apono-operator/{}", env!("CARGO_PKG_VERSION"));
    if settings.ca_bundle.is_some() {
        config.ca_bundle = Some(settings.ca_pem().ok_or_else(|| {
            ConnectionState::not_ready(
                ConnectionReason::InvalidCaBundle,
                "spec.caBundle is not base64: encode the PEM file with base64 -w0",
            )
        })?);
    }
    Client::new(config, token).map_err(|error| match error {
        BuildError::CaBundle(_) | BuildError::CaBundleEmpty => ConnectionState::not_ready(
            ConnectionReason::InvalidCaBundle,
            format!("spec.caBundle cannot be used, {error}: put PEM certificates there"),
        ),
        error => ConnectionState::not_ready(
            ConnectionReason::InvalidEndpoint,
            format!("spec.endpoint cannot be used: {error}"),
        ),
    })
}

fn pace(limits: LimitSettings) -> Pace {
    let at_least_one =
        |count: u32| std::num::NonZeroU32::new(count).unwrap_or(std::num::NonZeroU32::MIN);
    let rate = limits.requests_per_second.map(|per_second| Rate {
        per_second: at_least_one(per_second),
        burst: at_least_one(limits.burst.unwrap_or(per_second)),
    });
    Pace {
        concurrency: usize::try_from(limits.concurrency).unwrap_or(usize::MAX),
        rate,
    }
}

/// A refused token shows in the status at once, not at the next look.
fn look_again_when_circuit_changes(around: &Surroundings, key: &ConnectionKey, remote: &Remote) {
    let mut circuit = remote.circuit();
    let (look_again, key) = (around.look_again.clone(), key.clone());
    tokio::spawn(async move {
        // Ends with the remote.
        while circuit.changed().await.is_ok() {
            let _ = look_again.send(key.clone());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::SystemClock, crd::ClusterAponoConnection};

    #[tokio::test]
    async fn a_poller_that_broke_down_is_replaced() {
        let around = Surroundings {
            cluster: "cluster".to_owned(),
            metrics: Metrics::new(),
            clock: Arc::new(SystemClock),
            timeout: Duration::from_secs(1),
            shards: Shards::all(),
            wake: mpsc::unbounded_channel().0,
            look_again: broadcast::Sender::new(1),
        };
        let object: ClusterAponoConnection = serde_json::from_value(serde_json::json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "ClusterAponoConnection",
            "metadata": {"name": "a"},
            "spec": {"tokenSecretRef": {"name": "s", "key": "k"}}
        }))
        .unwrap();
        let key = ConnectionKey::cluster("a");
        let settings = object.spec.settings();
        let mut supervised = Supervised::new(&around, key, String::new(), settings, None);
        supervised.poll(&around);
        let running = supervised.poller.as_mut().unwrap();
        let healthy = running.task.id();
        supervised.poll(&around);
        assert_eq!(supervised.poller.as_ref().unwrap().task.id(), healthy);

        let broken = tokio::spawn(async { panic!("broken") });
        while !broken.is_finished() {
            tokio::task::yield_now().await;
        }
        let running = supervised.poller.as_mut().unwrap();
        running.stop.send_replace(true);
        running.task = broken;
        supervised.poll(&around);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!supervised.poller.as_ref().unwrap().task.is_finished());
    }
}
