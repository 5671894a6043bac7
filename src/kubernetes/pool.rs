//! The connections to the apiserver: all of them are given up when a call on one is not answered.
//!
//! # Why
//! A connection that a router forgot stays in the pool and takes calls that nobody answers, each
//! until its deadline; after a partition all that are idle are like that, and a write would wait for
//! one deadline after the other. kube's client cannot drop its pool, so there is a client for each
//! generation of connections, and a call that is given up ends the generation. Calls under way keep
//! the client they began with.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{Method, Request};
use kube::{Client, Config, client::Body};
use tokio::time::Instant;
use tower::service_fn;

use crate::metrics::{KubeCall, Metrics};

/// One generation of connections.
struct Generation {
    number: u64,
    client: Client,
    /// Whether a call on one of its connections was given up.
    is_doubted: bool,
}

struct Pool {
    config: Config,
    present: Mutex<Generation>,
}

/// A client whose connections are made anew after a call that was given up unanswered.
pub(super) fn client(config: Config, metrics: Metrics) -> Result<Client, kube::Error> {
    let namespace = config.default_namespace.clone();
    let host = config.cluster_url.authority().map(ToString::to_string);
    let host: Arc<str> = host.unwrap_or_default().into();
    let pool = Arc::new(Pool {
        present: Mutex::new(Generation {
            number: 0,
            client: Client::try_from(config.clone())?,
            is_doubted: false,
        }),
        config,
    });
    let service = service_fn(move |request: Request<Body>| {
        let pool = Arc::clone(&pool);
        let (metrics, host) = (metrics.clone(), Arc::clone(&host));
        async move {
            let asked = Asked::of(&request);
            let (number, client) = pool.present();
            let doubt = Doubt {
                pool: &pool,
                number,
                is_answered: false,
            };
            let answer = client.send(request).await;
            doubt.end();
            let code = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            asked.answered(code, &host, &metrics);
            answer
        }
    });
    Ok(Client::new(service, namespace))
}

/// What is told of a call when its answer has begun.
struct Asked {
    method: Method,
    path: String,
    is_watch: bool,
    began: Instant,
}

impl Asked {
    fn of(request: &Request<Body>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            is_watch: query.split('&').any(|one| one == "watch=true"),
            began: Instant::now(),
        }
    }

    fn answered(&self, code: Option<u16>, host: &str, metrics: &Metrics) {
        metrics.kube_call(&KubeCall {
            method: self.method.as_str(),
            host,
            path: &self.path,
            is_watch: self.is_watch,
            code,
            took: self.began.elapsed(),
        });
    }
}

impl Pool {
    fn present(&self) -> (u64, Client) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.is_doubted {
            match Client::try_from(self.config.clone()) {
                Ok(client) => {
                    *present = Generation {
                        number: present.number.wrapping_add(1),
                        client,
                        is_doubted: false,
                    };
                }
                // It could be built once; what is there is used on.
                Err(error) => tracing::warn!(%error, "could not renew the Kubernetes client"),
            }
        }
        (present.number, present.client.clone())
    }

    fn doubt(&self, number: u64) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.is_doubted |= present.number == number;
    }
}

/// A call under way: dropped before it was answered, it makes its generation doubtful.
struct Doubt<'a> {
    pool: &'a Pool,
    number: u64,
    is_answered: bool,
}

impl Doubt<'_> {
    fn end(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.pool.doubt(self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use k8s_openapi::api::core::v1::Namespace;
    use kube::Api;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// An apiserver whose first connections answer one call each, and then nothing any more.
    async fn forgetful(first: usize) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    for call in 0.. {
                        if stream.read(&mut buffer).await.unwrap_or(0) == 0 {
                            return;
                        }
                        if number < first && call > 0 {
                            return std::future::pending().await;
                        }
                        let body = r#"{"metadata": {"name": "a"}}"#;
                        let answer = format!(
                            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                            body.len()
                        );
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        (address, connections)
    }

    #[tokio::test]
    async fn after_one_call_without_an_answer_no_old_connection_is_used() {
        let (address, connections) = forgetful(3).await;
        let config = Config::new(address.parse().unwrap());
        let namespaces: Api<Namespace> = Api::all(client(config, Metrics::new()).unwrap());
        let get = || namespaces.get("a");
        let (a, b, c) = futures::join!(get(), get(), get());
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
        assert_eq!(connections.load(Ordering::SeqCst), 3);
        let silent = tokio::time::timeout(Duration::from_millis(200), get()).await;
        assert!(silent.is_err(), "it was to be silent");
        let answered = tokio::time::timeout(Duration::from_secs(10), get()).await;
        assert!(answered.unwrap().is_ok());
        assert_eq!(connections.load(Ordering::SeqCst), 4);
    }
}
