//! The admin port: `/livez`, `/readyz`, `/metrics`, and what readiness consists of.
//!
//! Ready means: the custom resources are served and every cache is filled. Connections are
//! conditions and metrics, never readiness, so that one tenant's token cannot take the pod away.
//! The port shows nothing of any object and takes no input.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use thiserror::Error;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::metrics::{self, Metrics};

/// More requests at once than any kubelet and scraper make; the rest is turned away.
const MOST_AT_ONCE: usize = 32;

/// The admin port cannot be served.
#[derive(Debug, Error)]
pub enum Error {
    /// The address is taken, or not ours.
    #[error("could not listen on `{address}`: choose another ADMIN_LISTEN")]
    Listen {
        /// The address of the setting.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The socket broke.
    #[error("could not serve the admin port")]
    Serve(#[source] io::Error),
}

/// What has to be true before the process is ready, and what is not yet. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    missing: Arc<RwLock<BTreeMap<String, String>>>,
}

/// One thing that has to be true. Missing from the start.
#[derive(Debug)]
pub struct Gate {
    name: String,
    readiness: Readiness,
}

impl Readiness {
    /// Adds a thing that has to be true; it is missing until [`Gate::open`].
    pub fn gate(&self, name: impl Into<String>, missing: impl Into<String>) -> Gate {
        let gate = Gate {
            name: name.into(),
            readiness: self.clone(),
        };
        gate.close(missing);
        gate
    }

    /// What is missing, one line each; empty when ready.
    pub fn missing(&self) -> Vec<String> {
        let missing = self.missing.read().unwrap_or_else(PoisonError::into_inner);
        missing
            .iter()
            .map(|(name, why)| format!("{name}: {why}"))
            .collect()
    }
}

impl Gate {
    /// It is true now.
    pub fn open(&self) {
        let mut missing = self
            .readiness
            .missing
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        missing.remove(&self.name);
    }

    /// It is not true; says what is missing.
    pub fn close(&self, why: impl Into<String>) {
        let mut missing = self
            .readiness
            .missing
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        missing.insert(self.name.clone(), why.into());
    }
}

/// A bound admin port that does not answer yet.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

#[derive(Clone, Debug)]
struct Shown {
    readiness: Readiness,
    metrics: Metrics,
    places: Arc<Semaphore>,
}

impl Admin {
    /// Binds the address.
    pub async fn bind(
        address: SocketAddr,
        readiness: Readiness,
        metrics: Metrics,
    ) -> Result<Self, Error> {
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|source| Error::Listen { address, source })?;
        let address = listener
            .local_addr()
            .map_err(|source| Error::Listen { address, source })?;
        let shown = Shown {
            readiness,
            metrics,
            places: Arc::new(Semaphore::new(MOST_AT_ONCE)),
        };
        let router = Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/metrics", get(scrape))
            .with_state(shown);
        Ok(Self {
            listener,
            address,
            router,
        })
    }

    /// The address in use; its port is chosen when the setting's is zero.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` resolves, then finishes what was begun.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        let listener = self.listener.tap_io(|stream| {
            // Answers are one small write; a failure here costs only latency.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, self.router)
            .with_graceful_shutdown(stop)
            .await
            .map_err(Error::Serve)
    }
}

/// Answering at all is the proof: the runtime turns.
async fn livez() -> &'static str {
    "ok\n"
}

async fn readyz(State(shown): State<Shown>) -> Response {
    let missing = shown.readiness.missing();
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n").into_response()
}

async fn scrape(State(shown): State<Shown>) -> Response {
    let Ok(_place) = shown.places.try_acquire() else {
        return (StatusCode::TOO_MANY_REQUESTS, "too many scrapes at once\n").into_response();
    };
    match shown.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "could not write metrics\n",
        )
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
        let answer = reqwest::get(format!("http://{address}{path}"))
            .await
            .unwrap();
        let kind = answer
            .headers()
            .get("content-type")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        (answer.status().as_u16(), kind, answer.text().await.unwrap())
    }

    #[tokio::test]
    async fn the_port_says_what_is_missing_and_stops_when_told() {
        let readiness = Readiness::default();
        let crds = readiness.gate("CRDs", "AccessRequest is not served");
        let cache = readiness.gate("cache AccessRequest", "not synced");
        let address = "127.0.0.1:0".parse().unwrap();
        let admin = Admin::bind(address, readiness, Metrics::new())
            .await
            .unwrap();
        let address = admin.address();
        assert_ne!(address.port(), 0);
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(admin.serve(async move {
            let _ = stopped.await;
        }));

        assert_eq!(get(address, "/livez").await.0, 200);
        let (status, _, text) = get(address, "/readyz").await;
        assert_eq!(status, 503);
        assert_eq!(
            text,
            "CRDs: AccessRequest is not served\ncache AccessRequest: not synced\n"
        );
        crds.open();
        cache.open();
        assert_eq!(get(address, "/readyz").await.0, 200);
        cache.close("list failed");
        assert_eq!(
            get(address, "/readyz").await.2,
            "cache AccessRequest: list failed\n"
        );

        let (status, kind, text) = get(address, "/metrics").await;
        assert_eq!((status, kind.as_str()), (200, metrics::CONTENT_TYPE));
        assert!(text.ends_with("# EOF\n"));

        stop.send(()).unwrap();
        served.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_taken_address_names_the_setting() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = Admin::bind(address, Readiness::default(), Metrics::new())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("ADMIN_LISTEN"), "{error}");
    }
}
