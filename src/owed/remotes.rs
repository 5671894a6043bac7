//! What a debt is paid through: a gated remote of its own for each endpoint and token, which lives as
//! long as the process. IO.
//!
//! The Secret is got by name, in the operator's namespace, and at most every few seconds. If it goes,
//! the last token read from it serves on. Where the debt's own token is missing or refused, a
//! connection of the same kind and name that works, and that names the same endpoint, serves instead.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use apono_client::{Network, Reach, Token};
use kube::Client;
use tokio::time::Instant;
use url::{Origin, Url};

use super::progress::Trouble;
use crate::{
    connection::{
        ConnectionKey, ConnectionState, Found, Registry, gated_remote,
        policy::{self, EndpointRefusal, addresses},
        read_token,
    },
    crd::{
        AponoConnectionSpec, ConnectionKind, ConnectionSettings, OwedConnection, OwedRevocation,
        SecretKeyRef,
    },
    metrics::Metrics,
    remote::Remote,
    shards::{Shard, Shards},
};

/// How often a Secret is read while its token works, and while it does not.
const LOOK: Duration = Duration::from_secs(30);
const LOOK_SOON: Duration = Duration::from_secs(5);

/// The remotes debts are paid through.
pub(super) struct Remotes {
    pub(super) client: Client,
    pub(super) operator_namespace: String,
    pub(super) kube_timeout: Duration,
    pub(super) remote_timeout: Duration,
    pub(super) allowed_endpoints: Vec<Origin>,
    pub(super) allowed_networks: Vec<Network>,
    pub(super) remote_proxy: Option<Url>,
    pub(super) metrics: Metrics,
    pub(super) registry: Registry,
    pub(super) shards: Shards,
    pub(super) kept: Mutex<HashMap<Route, Arc<tokio::sync::Mutex<Kept>>>>,
}

/// Which remote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Route {
    endpoint: String,
    ca_bundle: Option<String>,
    limits: [Option<i32>; 3],
    secret: SecretKeyRef,
    /// Two connections may have one token, and be two replicas'.
    shard: Shard,
}

/// A remote, as far as there is one.
#[derive(Default)]
pub(super) struct Kept {
    remote: Option<Remote>,
    token: Option<Token>,
    looked: Option<Instant>,
    trouble: Option<Trouble>,
}

impl Remotes {
    /// What this debt is paid through now.
    pub(super) async fn get(&self, debt: &OwedRevocation) -> Result<Remote, Trouble> {
        let connection = &debt.spec.connection;
        let own = match (&connection.endpoint, &debt.spec.token_secret_ref) {
            (Some(endpoint), Some(secret)) => {
                let shard = Shard::of(&key(debt));
                self.own(connection, endpoint, (secret, shard)).await
            }
            _ => Err(Trouble::NoConnection(format!(
                "nothing is known of {}: create it again, with a token of the same user",
                key(debt)
            ))),
        };
        match own {
            Ok(remote) if !remote.health().circuit_open => Ok(remote),
            own => self.instead(debt).map_or(own, Ok),
        }
    }

    /// A connection of the same kind and name that works.
    fn instead(&self, debt: &OwedRevocation) -> Option<Remote> {
        let (Found::Usable(found) | Found::Deleting(found)) = self.registry.find(&key(debt)) else {
            return None;
        };
        let endpoint = debt.spec.connection.endpoint.as_ref();
        let is_same = endpoint.is_none_or(|endpoint| *endpoint == found.settings.endpoint);
        (is_same && found.state() == ConnectionState::Ready).then(|| found.remote.clone())
    }

    async fn own(
        &self,
        connection: &OwedConnection,
        endpoint: &str,
        (secret, shard): (&SecretKeyRef, Shard),
    ) -> Result<Remote, Trouble> {
        let url = policy::endpoint(
            connection.kind,
            endpoint,
            connection.insecure == Some(true),
            &self.allowed_endpoints,
        );
        let url = url.and_then(|url| {
            addresses::written(&url, &self.reach(&url, connection))?;
            Ok(url)
        });
        let url = url.map_err(|refusal| {
            let (EndpointRefusal::Invalid(why) | EndpointRefusal::NotAllowed(why)) = refusal;
            Trouble::Endpoint(why.to_string())
        })?;
        let kept = self.kept(connection, endpoint, secret, shard);
        let mut kept = kept.lock().await;
        let is_open = kept
            .remote
            .as_ref()
            .is_none_or(|remote| remote.health().circuit_open);
        let pause = if is_open { LOOK_SOON } else { LOOK };
        if kept.looked.is_none_or(|looked| looked.elapsed() >= pause) {
            kept.looked = Some(Instant::now());
            self.look(&mut kept, connection, url, (secret, shard)).await;
        }
        match (&kept.remote, &kept.trouble) {
            (Some(remote), _) => Ok(remote.clone()),
            (None, Some(trouble)) => Err(trouble.clone()),
            (None, None) => Err(Trouble::NoToken("the token is not read yet".to_owned())),
        }
    }

    /// Where calls for this debt may go: as for the connection it stands for.
    fn reach(&self, url: &Url, connection: &OwedConnection) -> Reach {
        addresses::reach(
            url,
            connection.insecure == Some(true),
            &self.allowed_networks,
            self.remote_proxy.as_ref(),
        )
    }

    /// Reads the token, and brings the remote in line with it.
    async fn look(
        &self,
        kept: &mut Kept,
        connection: &OwedConnection,
        url: Url,
        (secret, shard): (&SecretKeyRef, Shard),
    ) {
        let read = read_token(
            &self.client,
            &self.operator_namespace,
            secret,
            self.kube_timeout,
        );
        let token = match read.await {
            Ok(token) => token,
            Err(why) => {
                kept.trouble = Some(Trouble::NoToken(why));
                return;
            }
        };
        if let Some(remote) = &kept.remote {
            // The same one again would only be refused again.
            if kept.token.as_ref() != Some(&token) {
                remote.set_token(token.clone());
                kept.token = Some(token);
            }
            return;
        }
        kept.token = Some(token.clone());
        let settings = settings(connection, secret);
        let reach = self.reach(&url, connection);
        let built = gated_remote(
            url,
            &settings,
            token,
            self.remote_timeout,
            reach,
            (self.metrics.clone(), self.shards.fence(shard)),
        );
        match built {
            Ok(remote) => kept.remote = Some(remote),
            Err(why) => kept.trouble = Some(Trouble::Endpoint(why)),
        }
    }

    fn kept(
        &self,
        connection: &OwedConnection,
        endpoint: &str,
        secret: &SecretKeyRef,
        shard: Shard,
    ) -> Arc<tokio::sync::Mutex<Kept>> {
        let limits = connection.limits.clone().unwrap_or_default();
        let route = Route {
            endpoint: endpoint.to_owned(),
            ca_bundle: connection.ca_bundle.clone(),
            limits: [limits.requests_per_second, limits.burst, limits.concurrency],
            secret: secret.clone(),
            shard,
        };
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(route).or_default())
    }

    /// Forgets the token of a Secret that no debt needs any more.
    pub(super) fn forget(&self, secret: &str) {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|route, _| route.secret.name != secret);
    }
}

/// Which connection it was.
pub(super) fn key(debt: &OwedRevocation) -> ConnectionKey {
    let connection = &debt.spec.connection;
    match connection.kind {
        ConnectionKind::ClusterAponoConnection => ConnectionKey::cluster(&connection.name),
        ConnectionKind::AponoConnection => {
            ConnectionKey::namespaced(&debt.spec.origin.namespace, &connection.name)
        }
    }
}

fn settings(connection: &OwedConnection, secret: &SecretKeyRef) -> ConnectionSettings {
    AponoConnectionSpec {
        endpoint: connection.endpoint.clone(),
        token_secret_ref: secret.clone(),
        ca_bundle: connection.ca_bundle.clone(),
        insecure: connection.insecure,
        limits: connection.limits.clone(),
        ..AponoConnectionSpec::default()
    }
    .settings()
}
