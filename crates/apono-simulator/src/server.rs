//! The socket: reads calls, waits where a fault says so, and sends or breaks what it is told to.
//!
//! Served with hyper itself and not with a framework, because only a service that may fail can
//! break a connection before the first byte of an answer. It decides nothing about the API.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::control::Control;
use crate::control_http;
use crate::http::{Answer, Call};
use crate::world::Sending;

/// The largest body a call may have.
const LARGEST_BODY: usize = 1 << 20;
/// How long a graceful stop waits for calls under way.
const GRACE: Duration = Duration::from_secs(2);

/// Whether and how the server is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    No,
    Gracefully,
    Now,
}

/// What makes hyper break a connection.
#[derive(Debug, thiserror::Error)]
#[error("a simulated fault broke the connection")]
struct Broken;

/// A body that can break in the middle.
struct Part {
    bytes: Option<Bytes>,
    /// The length the headers promise.
    promised: u64,
    /// Whether it breaks after its bytes.
    breaks: bool,
    flushed: bool,
}

impl Body for Part {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(bytes) = self.bytes.take().filter(|bytes| !bytes.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if !self.breaks {
            return Poll::Ready(None);
        }
        if !self.flushed {
            // One turn of waiting lets hyper send what it has before the break.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Broken)))
    }

    fn is_end_stream(&self) -> bool {
        !self.breaks && self.bytes.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}

/// Serves until told to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    control: Control,
    control_from_anywhere: bool,
    mut stop: watch::Receiver<Stop>,
) {
    let graceful = GracefulShutdown::new();
    let http = {
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new());
        http
    };
    while *stop.borrow_and_update() == Stop::No {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            changed = stop.changed() => match changed {
                Ok(()) => continue,
                Err(_) => break,
            },
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, most likely: give the others time to close.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Small answers must not wait for a full packet.
        let _ = stream.set_nodelay(true);
        let control = control.clone();
        let open = control_from_anywhere || peer.ip().is_loopback();
        let service = service_fn(move |request| handle(control.clone(), open, request));
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A broken connection is either the client's doing or a fault's: both are meant.
            let _ = connection.await;
        });
    }
    drop(listener);
    if *stop.borrow() == Stop::Gracefully {
        let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    }
}

async fn handle(
    control: Control,
    control_open: bool,
    request: Request<Incoming>,
) -> Result<Response<Part>, Broken> {
    let is_control = request.uri().path().starts_with(control_http::PREFIX);
    let call = match read(request).await {
        Ok(call) => call,
        Err(answer) => return Ok(respond(answer, None)),
    };
    if is_control {
        let answer = if control_open {
            control_http::answer(&control, &call)
        } else {
            let body = r#"{"error": "the control channel answers loopback only; start the simulator with --control-anywhere to open it"}"#;
            Answer {
                content_type: Some("application/json".into()),
                ..Answer::text(403, body)
            }
        };
        return Ok(respond(answer, None));
    }
    let strike = control.world().begin(&call);
    wait(strike.before).await;
    let sending = control.world().finish(&call, &strike);
    wait(strike.after).await;
    match sending {
        Sending::Answer(answer) => Ok(respond(answer, None)),
        Sending::Cut(answer, length) => Ok(respond(answer, Some(length))),
        Sending::Drop => Err(Broken),
        Sending::Hang => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
    }
}

async fn wait(by: SignedDuration) {
    if let Ok(by) = Duration::try_from(by)
        && !by.is_zero()
    {
        tokio::time::sleep(by).await;
    }
}

/// Reads a whole call.
async fn read(request: Request<Incoming>) -> Result<Call, Answer> {
    let (head, body) = request.into_parts();
    let header = |name: HeaderName| {
        head.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(ToOwned::to_owned)
    };
    let body = pin!(Limited::new(body, LARGEST_BODY))
        .collect()
        .await
        .map_err(|_| Answer::text(413, "the body is too large"))?;
    Ok(Call {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        authorization: header(AUTHORIZATION),
        content_type: header(CONTENT_TYPE),
        body: body.to_bytes(),
    })
}

/// Makes the response; with `cut` the body breaks after so many bytes.
fn respond(answer: Answer, cut: Option<usize>) -> Response<Part> {
    let promised = answer.body.len() as u64;
    let bytes = match cut {
        Some(length) => answer.body.slice(..length.min(answer.body.len())),
        None => answer.body,
    };
    let part = Part {
        bytes: Some(bytes),
        promised,
        breaks: cut.is_some(),
        flushed: false,
    };
    let mut response = Response::builder().status(answer.status);
    if let Some(content_type) = answer.content_type {
        response = response.header(CONTENT_TYPE, content_type);
    }
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(part).unwrap_or_else(|error| {
        // A fault may carry a status or header that HTTP does not know.
        let text = Bytes::from(format!("the simulator cannot send this: {error}"));
        let promised = text.len() as u64;
        let part = Part {
            bytes: Some(text),
            promised,
            breaks: false,
            flushed: false,
        };
        let mut response = Response::new(part);
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// Serves on this address, on a runtime of its own, until told to stop.
pub(crate) fn run(
    listener: std::net::TcpListener,
    control: Control,
    control_from_anywhere: bool,
    stop: watch::Receiver<Stop>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        serve(listener, control, control_from_anywhere, stop).await;
        Ok(())
    });
    runtime.shutdown_background();
    served
}

/// A listening socket and where it listens.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<(std::net::TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
