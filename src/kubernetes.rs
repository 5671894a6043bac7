//! The Kubernetes client: how it is built, and the deadline around every call.
//!
//! # Why
//! kube retries by default (fifteen times, minutes in all) and has no read timeout, so one silent
//! apiserver would hold a pass for ever. Here nothing is retried behind a pass's back; a call ends
//! after its deadline; a watch is renewed every 25 s and given up after 30 s of silence. What it
//! watches is listed anew every so often: see [`watched`].

mod pool;

use std::{fmt::Debug, future::Future, hash::Hash, sync::Arc, time::Duration};

use axum::http::{HeaderValue, Uri, header};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    runtime::{
        Controller,
        reflector::{self, Store, reflector},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::sync::Notify;
use tracing::Instrument as _;

use crate::{failpoint, metrics::Metrics, shards, telemetry::spans};

/// How long the server lets a watch run. The watcher adds 5 s: 30 s of silence end it.
const WATCH_SECONDS: u32 = 25;
/// The last resort under every deadline: no connection stays silent for longer.
const SILENCE: Duration = Duration::from_secs(30);
/// Connecting takes no longer than this, so that a call's deadline leaves room for the call.
const CONNECT: Duration = Duration::from_secs(5);
/// Audit logs and the apiserver's metrics tell clients apart by it; kube sends none by itself.
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("apono-operator/", env!("CARGO_PKG_VERSION")));
/// The namespace whose uid names the cluster.
const CLUSTER_NAMESPACE: &str = "kube-system";
/// How much of the uid is the name.
const CLUSTER_NAME_LENGTH: usize = 8;

/// A Kubernetes call failed.
#[derive(Debug, Error)]
pub enum Error {
    /// There is neither a kubeconfig nor a pod around us.
    #[error("could not find a cluster: set KUBECONFIG, or run in a pod with a service account")]
    FindCluster(#[source] Box<kube::config::InferConfigError>),
    /// The configuration cannot be used.
    #[error("could not set up the Kubernetes client")]
    BuildClient(#[source] Box<kube::Error>),
    /// The apiserver refused, or could not be reached.
    #[error("could not {doing}")]
    Call {
        /// What was tried, as the end of "could not ...".
        doing: &'static str,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The answer does not decode. Where and how is all that is told: the decoder's own words
    /// repeat the value, which may be that of a Secret.
    #[error(
        "could not {doing}: the apiserver's answer does not decode ({category:?} error at line \
         {line}, column {column}); is it an apiserver, and of Kubernetes 1.33 or later?"
    )]
    Undecodable {
        /// What was tried, as the end of "could not ...".
        doing: &'static str,
        /// The kind of error.
        category: serde_json::error::Category,
        /// Where in the answer.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// No answer in time. A write may have been carried out.
    #[error("could not {doing}: no answer of the apiserver in {limit:?}")]
    Deadline {
        /// What was tried, as the end of "could not ...".
        doing: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// The pass works for a shard that is no longer this replica's; nothing was sent.
    #[error("could not {doing}: another replica works for this connection now")]
    NotHeld {
        /// What was to be done, as the end of "could not ...".
        doing: &'static str,
    },
    /// The apiserver's answer holds no name.
    #[error("could not name the cluster: kube-system has no uid; set CLUSTER_NAME")]
    NameCluster,
}

impl Error {
    /// The answer of the apiserver, when there was one.
    pub fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Call { source, .. } | Self::BuildClient(source) => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::FindCluster(_)
            | Self::Undecodable { .. }
            | Self::Deadline { .. }
            | Self::NotHeld { .. }
            | Self::NameCluster => None,
        }
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_not_found)
    }

    /// Whether the object has changed since it was read.
    pub fn is_conflict(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_conflict)
    }

    /// Whether the apiserver refuses what was to be written.
    pub fn is_invalid(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_invalid)
    }

    /// Whether the apiserver did not answer in time, or has too much to do.
    pub fn is_late(&self) -> bool {
        let has_too_much = |status: &kube::core::Status| matches!(status.code, 429 | 503 | 504);
        matches!(self, Self::Deadline { .. }) || self.status().is_some_and(has_too_much)
    }

    /// Whether there is an object of that name already.
    pub fn is_already_exists(&self) -> bool {
        self.status()
            .is_some_and(kube::core::Status::is_already_exists)
    }

    /// Whether the role does not allow it.
    pub fn is_forbidden(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_forbidden)
    }
}

/// A client for the cluster of `KUBECONFIG`, else of the pod. Its calls are counted.
pub async fn connect(metrics: &Metrics) -> Result<Client, Error> {
    let config = Config::infer()
        .await
        .map_err(|source| Error::FindCluster(Box::new(source)))?;
    let around = std::env::var("HTTPS_PROXY").ok();
    counted(without_proxy(config, around.as_deref()), metrics)
}

/// kube takes `HTTPS_PROXY` where a kubeconfig names no proxy, and then could not build a client: calls to
/// the API server go straight to it, as they do in a pod.
fn without_proxy(mut config: Config, around: Option<&str>) -> Config {
    let around = around.and_then(|text| text.parse::<Uri>().ok());
    if around.is_some() && config.proxy_url == around {
        config.proxy_url = None;
    }
    config
}

/// A client that neither retries nor waits for ever.
pub fn client(config: Config) -> Result<Client, Error> {
    counted(config, &Metrics::new())
}

fn counted(mut config: Config, metrics: &Metrics) -> Result<Client, Error> {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    config.write_timeout = Some(SILENCE);
    // Without it the time a pooled connection sat idle would count as silence.
    config.reset_reader_on_write = true;
    config.headers.push((header::USER_AGENT, USER_AGENT));
    pool::client(config, metrics.clone()).map_err(|source| Error::BuildClient(Box::new(source)))
}

/// Puts a deadline around a call. `doing` completes "could not ...".
///
/// # Caveats
/// After [`Error::Deadline`] a write may have been carried out: look again. Within a pass over a shard
/// that was lost nothing is called.
pub async fn deadline<T>(
    doing: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    if !shards::may_go_on() {
        return Err(Error::NotHeld { doing });
    }
    let span = spans::kube_call(doing);
    let called = tokio::time::timeout(limit, failpoint::around(doing, call));
    let answer = ended(doing, limit, called.instrument(span.clone()).await);
    spans::note_failure(&span, answer.is_err());
    answer
}

fn ended<T>(
    doing: &'static str,
    limit: Duration,
    answer: Result<Result<T, kube::Error>, tokio::time::error::Elapsed>,
) -> Result<T, Error> {
    match answer {
        Ok(answer) => answer.map_err(|source| failed(doing, source)),
        Err(_) => Err(Error::Deadline { doing, limit }),
    }
}

/// The same for what the clock calls over and over, and no pass: no place at which to die.
pub(crate) async fn beat<T>(
    doing: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    ended(doing, limit, tokio::time::timeout(limit, call).await)
}

fn failed(doing: &'static str, source: kube::Error) -> Error {
    match source {
        kube::Error::SerdeError(error) => Error::Undecodable {
            doing,
            category: error.classify(),
            line: error.line(),
            column: error.column(),
        },
        source => Error::Call {
            doing,
            source: Box::new(source),
        },
    }
}

/// What happens to the objects of one kind, from a list on; and from a new one after each `relist`.
///
/// # Why
/// A watch resumes after the last event or bookmark that came. One that was lost on the way while
/// the stream went on is behind it, and would stay unseen until its object changes again: a deletion
/// for ever. So for every kind there is a longest time after which the truth is known.
pub fn watched<K>(
    api: Api<K>,
    relist: Duration,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    watched_as(api, watcher::Config::default(), relist)
}

/// The same of those that this selects.
pub fn watched_as<K>(
    api: Api<K>,
    config: watcher::Config,
    relist: Duration,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = config.timeout(WATCH_SECONDS);
    let until_relist = move || {
        let listed = Arc::new(Notify::new());
        let is_over = {
            let listed = Arc::clone(&listed);
            // Not before the list is whole: one that takes long would never be.
            async move {
                listed.notified().await;
                tokio::time::sleep(relist).await;
            }
        };
        watcher(api.clone(), config.clone())
            .inspect(move |event| {
                if matches!(event, Ok(watcher::Event::InitDone)) {
                    listed.notify_one();
                }
            })
            .take_until(is_over)
    };
    stream::repeat_with(until_relist).flatten()
}

/// A controller of everything that is [`watched`].
pub fn controller<K>(api: Api<K>, relist: Duration) -> Controller<K>
where
    K: kube::Resource<DynamicType: Default + Eq + Hash + Clone>,
    K: Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let seen = reflector(writer, watched(api, relist));
    let changed = changed(seen, store.clone()).map_ok(|object| (*object).clone());
    Controller::for_stream(changed, store)
}

/// What is to be looked at because it changed: what `seen` tells, once `store`, which it fills, has it.
///
/// # Why
/// A list of several pages is told page by page, and is in the store when it is whole. A pass that
/// began while it comes would see an object as it was before: a deletion that only the list tells of
/// would be seen with the next one.
pub fn changed<K>(
    seen: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
    store: Store<K>,
) -> impl Stream<Item = watcher::Result<Arc<K>>>
where
    K: kube::Resource<DynamicType: Eq + Hash + Clone> + Clone + 'static,
{
    seen.map_ok(move |event| match event {
        watcher::Event::Apply(object) => vec![Arc::new(object)],
        watcher::Event::InitDone => store.state(),
        watcher::Event::Init | watcher::Event::InitApply(_) | watcher::Event::Delete(_) => {
            Vec::new()
        }
    })
    .map_ok(|objects| stream::iter(objects.into_iter().map(Ok)))
    .try_flatten()
}

/// The name of the cluster: the start of the uid of kube-system, which lives as long as the cluster.
pub async fn cluster_name(client: &Client, limit: Duration) -> Result<String, Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = deadline(
        "read the namespace kube-system",
        limit,
        namespaces.get(CLUSTER_NAMESPACE),
    )
    .await?;
    let uid = found.metadata.uid.unwrap_or_default();
    let name: String = uid.chars().take(CLUSTER_NAME_LENGTH).collect();
    (name.len() == CLUSTER_NAME_LENGTH)
        .then_some(name)
        .ok_or(Error::NameCluster)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_list_tells_is_looked_at_when_the_store_has_it() {
        use watcher::Event::{Apply, Init, InitApply, InitDone};

        let of = |name: &str, version: &str| {
            let mut namespace = Namespace::default();
            namespace.metadata.name = Some(name.to_owned());
            namespace.metadata.resource_version = Some(version.to_owned());
            namespace
        };
        let list = |version: &str| {
            let pages = ["a", "b"].map(|name| InitApply(of(name, version)));
            [vec![Init], pages.to_vec(), vec![InitDone]].concat()
        };
        let events = [list("1"), list("2"), vec![Apply(of("a", "3"))]].concat();
        let (store, writer) = reflector::store();
        let seen = reflector(writer, stream::iter(events.into_iter().map(Ok)));
        let held = store.clone();
        let told: Vec<_> = changed(seen, store)
            .map(|object| {
                let object = object.unwrap();
                let key = reflector::ObjectRef::from_obj(&*object);
                let is_held = held.get(&key).unwrap().metadata == object.metadata;
                let metadata = object.metadata.clone();
                let [name, version] = [metadata.name, metadata.resource_version];
                (name.unwrap() + &version.unwrap(), is_held)
            })
            .collect()
            .await;
        let mut told: Vec<_> = told
            .iter()
            .map(|(one, held)| (one.as_str(), *held))
            .collect();
        // The store is in no order.
        told.sort_unstable();
        let wanted = ["a1", "a2", "a3", "b1", "b2"].map(|one| (one, true));
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_proxy_of_the_environment_is_none_and_one_of_the_kubeconfig_is_kept() {
        let server = || "https://127.0.0.1:6443".parse::<Uri>().unwrap();
        let proxy = |text: &str| text.parse::<Uri>().ok();
        let left = |named: &str, around: Option<&str>| {
            let mut config = Config::new(server());
            config.proxy_url = proxy(named);
            without_proxy(config, around).proxy_url
        };
        assert_eq!(left("http://proxy:3128", Some("http://proxy:3128")), None);
        let kept = proxy("http://other:3128");
        assert_eq!(left("http://other:3128", Some("http://proxy:3128")), kept);
        assert_eq!(left("http://other:3128", None), kept);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_ends_at_its_deadline() {
        let silent = std::future::pending::<Result<(), kube::Error>>();
        let error = deadline("read a thing", Duration::from_secs(10), silent)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not read a thing: no answer of the apiserver in 10s"
        );
    }

    #[tokio::test]
    async fn nothing_is_called_by_a_pass_whose_shard_was_lost() {
        use crate::{connection::ConnectionKey, shards::Shard};
        let shard = Shard::of(&ConnectionKey::cluster("default"));
        let lost = shards::Shards::none().fence(shard);
        let call = async { panic!("it is called") };
        let write = deadline::<()>("write a thing", Duration::from_secs(1), call);
        let error = shards::within(lost, write).await.unwrap_err();
        assert!(matches!(error, Error::NotHeld { .. }), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_call_is_made_once() {
        use std::sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let router = axum::Router::new().fallback(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async { axum::http::StatusCode::SERVICE_UNAVAILABLE }
        });
        tokio::spawn(axum::serve(listener, router).into_future());
        let config = Config::new(format!("http://{address}").parse().unwrap());
        let client = client(config).unwrap();
        let error = cluster_name(&client, Duration::from_secs(10))
            .await
            .unwrap_err();
        assert_eq!(
            error.status().map(|status| status.code),
            Some(503),
            "{error}"
        );
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    /// A client of an apiserver that gives this one answer to everything.
    async fn answered(body: &'static str) -> Client {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(move || async move { body });
        tokio::spawn(axum::serve(listener, router).into_future());
        client(Config::new(format!("http://{address}").parse().unwrap())).unwrap()
    }

    #[tokio::test]
    async fn nothing_of_a_secret_that_does_not_decode_is_told_anywhere() {
        use k8s_openapi::api::core::v1::Secret;
        use tracing::instrument::WithSubscriber as _;

        use crate::telemetry::{Chain, captured};

        for body in [
            r#"{"metadata": {"name": "canary"}, "data": {"password": "canary!"}}"#,
            r#"{"data": "canary"}"#,
            r#"{"data": {"password": "canary"#,
        ] {
            let (subscriber, lines) = captured::subscriber("trace,kube_client=trace");
            let call = async {
                let secrets: Api<Secret> = Api::namespaced(answered(body).await, "payments");
                tracing::info!("told");
                deadline(
                    "read the Secret",
                    Duration::from_secs(10),
                    secrets.get_opt("orders-db"),
                )
                .await
            };
            let error = call.with_subscriber(subscriber).await.unwrap_err();
            let told = format!("{}{} {error:?}", lines.text(), Chain(&error));
            assert!(told.contains("told"), "{told}");
            assert!(told.contains("does not decode"), "{told}");
            assert!(!told.contains("canary"), "{told}");
        }
    }
}
