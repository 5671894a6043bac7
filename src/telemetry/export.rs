//! Sends the spans of `spans.rs`, and nothing else, to a collector: OTLP over HTTP, from a thread of
//! its own, so that no pass waits for it. What a collector does not take is dropped.
//!
//! Headers for the collector are taken from `OTEL_EXPORTER_OTLP_HEADERS`, the sampler and the sizes of
//! batches from the variables that the specification names for them.

use std::time::Duration;

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{
    Layer,
    filter::{Filtered, Targets},
    registry::LookupSpan,
};

use super::spans;
use crate::settings::Settings;

/// Where a collector takes traces, below its endpoint.
const PATH: &str = "v1/traces";
/// A collector that takes longer is of no use.
const TIMEOUT: Duration = Duration::from_secs(5);
/// As long as the end of the process waits for the last spans.
const FAREWELL: Duration = Duration::from_secs(1);

/// Spans cannot be sent.
#[derive(Debug, Error)]
pub enum Error {
    /// The HTTP client.
    #[error("could not make an HTTP client")]
    BuildClient(#[source] reqwest::Error),
    /// The exporter.
    #[error("could not make an exporter")]
    BuildExporter(#[source] opentelemetry_otlp::ExporterBuildError),
}

/// Sends in the background.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Sends the last spans.
    pub fn finish(self) {
        let _ = self.0.shutdown_with_timeout(FAREWELL);
    }
}

/// The layer that takes the spans of `spans.rs`.
pub type SpanLayer<S> = Filtered<OpenTelemetryLayer<S, SdkTracer>, Targets, S>;

/// The layer and what sends for it; nothing where no endpoint is set.
pub fn layer<S>(settings: &Settings) -> Result<Option<(SpanLayer<S>, Exporter)>, Error>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(endpoint) = &settings.otlp_endpoint else {
        return Ok(None);
    };
    // As to Apono: no proxy that nobody named, and no place but the one that was.
    let client = reqwest::blocking::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()
        .map_err(Error::BuildClient)?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!(
            "{}/{PATH}",
            endpoint.as_str().trim_end_matches('/')
        ))
        .with_timeout(TIMEOUT)
        .build()
        .map_err(Error::BuildExporter)?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource(settings))
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("apono-operator"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false);
    let only_ours = Targets::new().with_target(spans::TARGET, LevelFilter::DEBUG);
    Ok(Some((layer.with_filter(only_ours), Exporter(provider))))
}

/// Who sends. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` add to it.
fn resource(settings: &Settings) -> Resource {
    let named = std::env::var_os("OTEL_SERVICE_NAME").is_some();
    let name = (!named).then(|| KeyValue::new("service.name", "apono-operator"));
    let pod = settings.pod_name.clone();
    let pod = pod.map(|pod| KeyValue::new("k8s.pod.name", pod));
    Resource::builder()
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("k8s.namespace.name", settings.operator_namespace.clone()),
        ])
        .with_attributes(name.into_iter().chain(pod))
        .build()
}
