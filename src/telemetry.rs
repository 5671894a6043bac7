//! Starts the log: one subscriber for the process, JSON lines or text, on standard error.
//!
//! It decides nothing about what is logged; no secret reaches it, because no type that holds one
//! can be formatted.

use thiserror::Error;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::settings::{LogFormat, Settings};

/// The log cannot be started.
#[derive(Debug, Error)]
pub enum Error {
    /// The filter does not parse; settings have checked it already.
    #[error("could not read the log filter")]
    ParseFilter(#[source] tracing_subscriber::filter::ParseError),
    /// Another subscriber is installed.
    #[error("could not install the log subscriber")]
    Install(#[source] tracing_subscriber::util::TryInitError),
}

/// Installs the subscriber of the process.
pub fn start(settings: &Settings) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&settings.log_filter).map_err(Error::ParseFilter)?;
    let registry = tracing_subscriber::registry().with(filter);
    match settings.log_format {
        LogFormat::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
        LogFormat::Text => registry
            .with(fmt::layer().with_writer(std::io::stderr))
            .try_init(),
    }
    .map_err(Error::Install)
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
mod tests {
    use super::*;

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
