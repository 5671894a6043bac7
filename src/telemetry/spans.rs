//! The spans of a trace: one tree for each pass.
//!
//! ```text
//! access_request pass
//! ├─ observe ── resolve ── list_available_bundles (a call of Apono)
//! ├─ plan
//! ├─ credentials
//! ├─ execute ── mark ── mark the resource (a call of Kubernetes)
//! │           └ create_access_request
//! └─ persist ── write the status
//! ```
//!
//! What is in them is the operator's own words, from fixed lists, and of the object its namespace and
//! uid: no name, which people choose and which may be theirs, no grantee, no justification, nothing of
//! an answer. They are at DEBUG, under one target, so that they cost nothing where nobody takes them.

use apono_client::{Endpoint, ErrorClass};
use kube::core::ObjectMeta;
use tracing::{Span, debug_span, field::Empty};

use crate::metrics::{Controller, PassOutcome};

/// The target of every span here, and of nothing else.
pub const TARGET: &str = "apono_operator::telemetry::spans";

/// A pass of a controller over an object.
pub fn pass(controller: Controller, metadata: &ObjectMeta) -> Span {
    let controller = controller.as_str();
    debug_span!(
        target: TARGET,
        "pass",
        otel.name = format_args!("{controller} pass"),
        controller,
        k8s.namespace.name = metadata.namespace.as_deref().unwrap_or_default(),
        k8s.object.uid = metadata.uid.as_deref().unwrap_or_default(),
        outcome = Empty,
        otel.status_code = Empty,
    )
}

/// How a pass ended.
pub fn passed(span: &Span, outcome: PassOutcome) {
    span.record("outcome", outcome.as_str());
    note_failure(span, outcome != PassOutcome::Done);
}

/// A step of a pass.
pub fn step(name: &'static str) -> Span {
    debug_span!(target: TARGET, "step", otel.name = name)
}

/// A call of Apono.
pub fn remote_call(endpoint: Endpoint) -> Span {
    debug_span!(
        target: TARGET,
        "remote call",
        otel.name = endpoint.as_str(),
        otel.kind = "client",
        class = Empty,
        otel.status_code = Empty,
    )
}

/// What the call came to.
pub fn answered(span: &Span, class: Option<ErrorClass>) {
    span.record("class", class.map_or("ok", ErrorClass::as_str));
    note_failure(span, class.is_some());
}

/// A call of Kubernetes; `doing` is one of our own phrases.
pub fn kube_call(doing: &'static str) -> Span {
    debug_span!(
        target: TARGET,
        "kube call",
        otel.name = doing,
        otel.kind = "client",
        otel.status_code = Empty,
    )
}

/// Whether it failed; how is told by the log.
pub fn note_failure(span: &Span, is_failed: bool) {
    if is_failed {
        span.record("otel.status_code", "ERROR");
    }
}
