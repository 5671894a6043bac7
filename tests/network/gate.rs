//! A gate before the apiserver: plain HTTP on loopback towards the operator, the administrator's
//! own client towards the apiserver. It passes everything, except for what a test tells it to
//! garble, and counts that.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::{Stream, StreamExt as _};
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::conflicts::Conflicts;

/// A watch that ends is begun again more and more slowly, so not every event ends one.
const EVERY: usize = 6;

/// What becomes of the events of the watches of access requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// They pass.
    Pass,
    /// Each comes twice.
    Twice,
    /// One in [`EVERY`] breaks off in its middle, and the connection with it.
    Cut,
    /// One in [`EVERY`] is lost; the server says 410 Gone in its place.
    Gone,
    /// None comes.
    Held,
}

/// What the gate does.
#[derive(Debug)]
struct Orders {
    events: Events,
    /// The next event of which this holds is lost, and the stream goes on.
    lost: Option<fn(&Value) -> bool>,
    /// Lists of access requests are answered by this.
    stale: Option<Bytes>,
    /// Whatever is written has changed a moment before, every other time.
    are_writes_late: bool,
    /// Each kind of write meets one conflict.
    are_conflicting: bool,
}

/// The gate; gone when dropped.
pub struct Gate {
    inner: Arc<Inner>,
    url: String,
    serving: tokio::task::JoinHandle<()>,
}

struct Inner {
    client: Client,
    orders: Mutex<Orders>,
    /// Whether lists of access requests are on their way for ever.
    are_lists_held: watch::Sender<bool>,
    faults: AtomicUsize,
    writes: AtomicUsize,
    events: AtomicUsize,
    conflicts: Conflicts,
}

impl Gate {
    /// A gate before the apiserver this client talks to.
    pub async fn new(client: Client) -> Self {
        let orders = Orders {
            events: Events::Pass,
            lost: None,
            stale: None,
            are_writes_late: false,
            are_conflicting: false,
        };
        let inner = Arc::new(Inner {
            client,
            orders: Mutex::new(orders),
            are_lists_held: watch::Sender::new(false),
            faults: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            events: AtomicUsize::new(0),
            conflicts: Conflicts::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(Arc::clone(&inner));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            inner,
            url,
            serving,
        }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What becomes of events from now on.
    pub fn events(&self, events: Events) {
        self.inner.orders.lock().unwrap().events = events;
    }

    /// The next event of access requests of which this holds is lost, without a word.
    pub fn lose(&self, which: fn(&Value) -> bool) {
        self.inner.orders.lock().unwrap().lost = Some(which);
    }

    /// What lists answer from now on; nothing: the truth.
    pub fn stale(&self, list: Option<Bytes>) {
        self.inner.orders.lock().unwrap().stale = list;
    }

    /// Whether lists are on their way, from now on until something else is said.
    pub fn hold_lists(&self, are_held: bool) {
        self.inner.are_lists_held.send_replace(are_held);
    }

    /// Every other write meets an object that has just changed.
    pub fn late_writes(&self) {
        self.inner.orders.lock().unwrap().are_writes_late = true;
    }

    /// The first write of each kind meets a conflict.
    pub fn conflicting(&self) {
        self.inner.orders.lock().unwrap().are_conflicting = true;
    }

    /// Which writes met a conflict, and which were made.
    pub fn conflicts(&self) -> &Conflicts {
        &self.inner.conflicts
    }

    /// How many faults it put in.
    pub fn faults(&self) -> usize {
        self.inner.faults.load(Ordering::SeqCst)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 8 << 20).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let query = parts.uri.query().unwrap_or_default();
    let is_collection =
        parts.method == Method::GET && parts.uri.path().ends_with("/accessrequests");
    let is_watch = query.contains("watch=true") || query.contains("watch=1");
    if is_collection && !is_watch {
        let mut held = inner.are_lists_held.subscribe();
        if *held.borrow() {
            inner.faults.fetch_add(1, Ordering::SeqCst);
        }
        // The sender lives as long as the gate does.
        let _ = held.wait_for(|are_held| !are_held).await;
        let stale = inner.orders.lock().unwrap().stale.clone();
        if let Some(list) = stale {
            inner.faults.fetch_add(1, Ordering::SeqCst);
            return ([(header::CONTENT_TYPE, "application/json")], list).into_response();
        }
    }
    if parts.method == Method::PATCH {
        inner.change_before(parts.uri.path(), &body).await;
    }
    let is_conflicting = inner.orders.lock().unwrap().are_conflicting;
    let answer = if is_conflicting {
        inner.contend(&parts, body).await
    } else {
        inner.forward(&parts, body).await
    };
    let Some(answer) = answer else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    if !(is_collection && is_watch && answer.status().is_success()) {
        return answer;
    }
    let (parts, body) = answer.into_parts();
    Response::from_parts(parts, Body::from_stream(garbled(inner, body)))
}

impl Inner {
    async fn forward(&self, parts: &axum::http::request::Parts, body: Bytes) -> Option<Response> {
        let path = parts.uri.path_and_query()?.as_str();
        let mut request = axum::http::Request::builder()
            .method(parts.method.clone())
            .uri(path);
        for name in [header::ACCEPT, header::CONTENT_TYPE, header::USER_AGENT] {
            if let Some(value) = parts.headers.get(&name) {
                request = request.header(name, value);
            }
        }
        let request = request.body(kube::client::Body::from(body.to_vec())).ok()?;
        let (mut parts, body) = self.client.send(request).await.ok()?.into_parts();
        parts.headers.remove(header::TRANSFER_ENCODING);
        parts.headers.remove(header::CONTENT_LENGTH);
        Some(Response::from_parts(parts, Body::new(body)))
    }

    /// Passes a call on, unless it is the first write of its kind: that meets a conflict.
    async fn contend(&self, parts: &axum::http::request::Parts, body: Bytes) -> Option<Response> {
        let content = serde_json::from_slice(&body).unwrap_or_default();
        let path = parts.uri.path();
        let Some(kind) = self.conflicts.first(&parts.method, path, &content) else {
            return self.forward(parts, body).await;
        };
        if !is_guarded(&content) {
            self.conflicts.meet(kind);
            self.faults.fetch_add(1, Ordering::SeqCst);
            return Some(conflict());
        }
        let number = self.writes.fetch_add(1, Ordering::SeqCst);
        self.touch(path, number).await;
        let answer = self.forward(parts, body).await?;
        if answer.status() == StatusCode::CONFLICT {
            self.conflicts.meet(kind);
            self.faults.fetch_add(1, Ordering::SeqCst);
        }
        Some(answer)
    }

    /// Somebody else is quicker: changes the object that is about to be written, every other time.
    async fn change_before(&self, path: &str, body: &[u8]) {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        if !is_guarded(&body) || !self.orders.lock().unwrap().are_writes_late {
            return;
        }
        let number = self.writes.fetch_add(1, Ordering::SeqCst);
        if number.is_multiple_of(2) && self.touch(path, number).await {
            self.faults.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Changes an object as somebody else would, each time anew; whether it changed.
    async fn touch(&self, path: &str, number: usize) -> bool {
        let object = path.trim_end_matches("/status");
        let patch =
            json!({"metadata": {"annotations": {"example.com/touched": number.to_string()}}});
        let request = axum::http::Request::patch(object)
            .header(header::CONTENT_TYPE, "application/merge-patch+json")
            .body(kube::client::Body::from(patch.to_string().into_bytes()));
        let changed = self.client.send(request.unwrap()).await;
        changed.is_ok_and(|answer| answer.status().is_success())
    }
}

/// Whether a write is of an object as it was seen, and lands nowhere else.
fn is_guarded(body: &Value) -> bool {
    let version = |one: &str| !body[one]["resourceVersion"].is_null();
    version("metadata") || version("preconditions")
}

/// What an apiserver says of a write that came in between others.
fn conflict() -> Response {
    let words = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the object has been modified; please apply your changes to the latest version",
        "reason": "Conflict", "code": 409
    });
    (StatusCode::CONFLICT, axum::Json(words)).into_response()
}

/// A watch, one event a line, as it is to be heard.
fn garbled(
    inner: Arc<Inner>,
    body: Body,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    let lines = futures::stream::unfold(
        (body.into_data_stream(), Vec::new()),
        async |(mut stream, mut buffer): (axum::body::BodyDataStream, Vec<u8>)| loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let rest = buffer.split_off(end + 1);
                return Some((Bytes::from(buffer), (stream, rest)));
            }
            match stream.next().await {
                Some(Ok(more)) => buffer.extend_from_slice(&more),
                _ => return None,
            }
        },
    );
    let heard = lines.flat_map(move |line| futures::stream::iter(inner.hear(&line)));
    // Nothing comes after an end.
    heard
        .scan(false, |has_ended, item| {
            let before =
                std::mem::replace(has_ended, *has_ended || !matches!(item, Heard::Line(_)));
            std::future::ready((!before).then_some(item))
        })
        .filter_map(|item| {
            std::future::ready(match item {
                Heard::Line(line) => Some(Ok(line)),
                Heard::End => None,
                Heard::Break => Some(Err(std::io::Error::other("cut"))),
            })
        })
}

enum Heard {
    Line(Bytes),
    End,
    Break,
}

impl Inner {
    fn hear(&self, line: &Bytes) -> Vec<Heard> {
        if self.loses(line) {
            return Vec::new();
        }
        let number = self.events.fetch_add(1, Ordering::SeqCst);
        let events = self.orders.lock().unwrap().events;
        let whole = Heard::Line(line.clone());
        let heard = match events {
            Events::Pass => return vec![whole],
            Events::Cut | Events::Gone if number % EVERY < EVERY - 1 => return vec![whole],
            Events::Twice => vec![whole, Heard::Line(line.clone())],
            Events::Held => Vec::new(),
            Events::Cut => vec![Heard::Line(line.slice(..line.len() / 2)), Heard::Break],
            Events::Gone => {
                let gone = json!({"type": "ERROR", "object": {
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "too old resource version", "reason": "Expired", "code": 410
                }});
                vec![Heard::Line(Bytes::from(format!("{gone}\n"))), Heard::End]
            }
        };
        self.faults.fetch_add(1, Ordering::SeqCst);
        heard
    }

    /// Whether this is the event that is to be lost; the first is, no other.
    fn loses(&self, line: &Bytes) -> bool {
        let lost = &mut self.orders.lock().unwrap().lost;
        let event: Value = serde_json::from_slice(line).unwrap_or_default();
        let is_it = lost.is_some_and(|which| which(&event));
        if is_it {
            *lost = None;
            self.faults.fetch_add(1, Ordering::SeqCst);
        }
        is_it
    }
}
