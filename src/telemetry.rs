//! Starts the log: one subscriber for the process, JSON lines or text, on standard error. Where it is
//! built in and asked for, spans go to a collector beside (`export.rs`).
//!
//! It decides nothing about what is logged, but for one thing: no secret reaches it, because no type
//! of ours that holds one can be formatted, and what kube says of answers is never written, whatever
//! the filter asks for: it repeats their text, which may be that of a Secret.

#[cfg(feature = "opentelemetry")]
mod export;
pub mod levels;
pub mod spans;

use thiserror::Error;
use tracing::{Metadata, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt as _, filter_fn},
    fmt,
    layer::{Filter, SubscriberExt},
    reload,
    util::SubscriberInitExt,
};

use crate::settings::{LogFormat, Settings};
use levels::Levels;

/// The log cannot be started.
#[derive(Debug, Error)]
pub enum Error {
    /// The filter does not parse; settings have checked it already.
    #[error("could not read the log filter")]
    ParseFilter(#[source] tracing_subscriber::filter::ParseError),
    /// Another subscriber is installed.
    #[error("could not install the log subscriber")]
    Install(#[source] tracing_subscriber::util::TryInitError),
    /// Spans cannot be sent.
    #[cfg(feature = "opentelemetry")]
    #[error("could not set up the export of traces: see OTEL_EXPORTER_OTLP_ENDPOINT")]
    Export(#[source] export::Error),
}

/// What has been started.
#[derive(Debug)]
pub struct Started {
    /// Changes the filter of the log.
    pub levels: Levels,
    #[cfg(feature = "opentelemetry")]
    exporter: Option<export::Exporter>,
}

impl Started {
    /// Sends what has not been sent yet, where spans are sent.
    pub fn finish(self) {
        #[cfg(feature = "opentelemetry")]
        if let Some(exporter) = self.exporter {
            exporter.finish();
        }
    }
}

/// Where kube tells of answers: at WARN the whole text of one that does not decode, at DEBUG and
/// TRACE that of others. Every error it tells of comes back to the caller as well.
const TELLS_ANSWERS: &str = "kube_client::client";

/// Whether this may be written at all.
fn is_harmless(metadata: &Metadata<'_>) -> bool {
    metadata.target() != TELLS_ANSWERS
}

/// What passes the filter and repeats no answers.
fn told<S>(filter: impl Filter<S> + 'static) -> impl Filter<S> {
    // The hint is that of the other filter: this one has nothing to say of levels.
    let harmless = filter_fn(is_harmless).with_max_level_hint(LevelFilter::TRACE);
    filter.and(harmless)
}

/// Installs the subscriber of the process.
pub fn start(settings: &Settings) -> Result<Started, Error> {
    let filter = EnvFilter::try_new(&settings.log_filter).map_err(Error::ParseFilter)?;
    let (filter, handle) = reload::Layer::new(filter);
    let levels = Levels::new(handle, &settings.log_filter);
    let registry =
        tracing_subscriber::registry().with(lines(settings.log_format).with_filter(told(filter)));
    #[cfg(feature = "opentelemetry")]
    let (layer, exporter) = export::layer(settings).map_err(Error::Export)?.unzip();
    #[cfg(feature = "opentelemetry")]
    let registry = registry.with(layer);
    registry.try_init().map_err(Error::Install)?;
    if settings.otlp_endpoint.is_some() && !cfg!(feature = "opentelemetry") {
        say_unsent();
    }
    Ok(Started {
        levels,
        #[cfg(feature = "opentelemetry")]
        exporter,
    })
}

fn say_unsent() {
    tracing::warn!(
        "OTEL_EXPORTER_OTLP_ENDPOINT is set, and this build cannot send traces: build with \
         `--features opentelemetry`, or leave it out"
    );
}

/// What writes the lines.
fn lines(format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    let layer = fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Text => layer.boxed(),
    }
}

/// Prints an error and its causes, each once: kube's own errors repeat their source in their text.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'a));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut line = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.contains(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        formatter.write_str(&line)
    }
}

#[cfg(test)]
pub mod captured {
    //! What is written when the filter asks for everything.

    use std::{
        io,
        sync::{Arc, Mutex, PoisonError},
    };

    use super::*;

    /// The lines that were written.
    #[derive(Clone, Default)]
    pub struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        /// All of them.
        ///
        /// # Panics
        /// If a writer has panicked, or wrote what is no text.
        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A subscriber as that of the process, with this filter, and what it writes.
    ///
    /// # Panics
    /// If the filter is none.
    pub fn subscriber(filter: &str) -> (impl tracing::Subscriber + Send + Sync, Lines) {
        let lines = Lines::default();
        let (filter, writer) = (EnvFilter::try_new(filter).unwrap(), lines.clone());
        let layer = fmt::layer().with_writer(move || writer.clone());
        let layer = layer.with_filter(told(filter));
        (tracing_subscriber::registry().with(layer), lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kube_tells_of_answers_is_never_written_even_when_it_is_asked_for() {
        let (subscriber, lines) = captured::subscriber("trace,kube_client::client=trace");
        let subscriber = std::sync::Arc::new(subscriber);
        let as_process =
            |say: fn()| tracing::subscriber::with_default(std::sync::Arc::clone(&subscriber), say);
        as_process(|| tracing::warn!(target: "kube_client::client", "canary"));
        as_process(|| tracing::warn!(target: "kube_client::client::builder", "failed"));
        as_process(|| tracing::trace!("ours"));
        let text = lines.text();
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("failed") && text.contains("ours"), "{text}");
    }

    #[derive(Debug, Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        #[source]
        cause: Option<Box<Link>>,
    }

    fn link(text: &'static str, cause: Option<Link>) -> Link {
        Link {
            text,
            cause: cause.map(Box::new),
        }
    }

    #[test]
    fn causes_are_printed_in_order() {
        let error = link("could not read", Some(link("connection broke", None)));
        assert_eq!(
            Chain(&error).to_string(),
            "could not read: connection broke"
        );
    }

    #[test]
    fn a_cause_the_line_already_holds_is_not_repeated() {
        let error = link(
            "could not read: reset",
            Some(link("reset", Some(link("by peer", None)))),
        );
        assert_eq!(Chain(&error).to_string(), "could not read: reset: by peer");
    }
}
