//! What can go wrong in a pass, named by step, and how soon to try again.

use std::{error::Error as StdError, fmt};

use thiserror::Error;

use crate::kubernetes;

/// A pass failed at one of its steps.
#[derive(Debug, Error)]
pub enum Error {
    /// The object could not be read.
    #[error("could not read the resource")]
    ReadResource(#[source] kubernetes::Error),
    /// The write-ahead record could not be written; nothing was asked.
    #[error("could not mark the resource")]
    MarkResource(#[source] kubernetes::Error),
    /// The status could not be written.
    #[error("could not write the status")]
    WriteStatus(#[source] kubernetes::Error),
    /// The status kept changing under our hands.
    #[error("could not write the status: the resource changed {0} times in a row")]
    WriteContended(u32),
    /// The finalizer could not be removed.
    #[error("could not remove the finalizer")]
    RemoveFinalizer(#[source] kubernetes::Error),
    /// The status does not fit into JSON.
    #[error("could not encode the status")]
    EncodeStatus(#[source] serde_json::Error),
}

impl Error {
    /// The step, for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::ReadResource(_) => "read_resource",
            Self::MarkResource(_) => "mark_resource",
            Self::WriteStatus(_) | Self::WriteContended(_) => "write_status",
            Self::RemoveFinalizer(_) => "remove_finalizer",
            Self::EncodeStatus(_) => "encode_status",
        }
    }
}

/// An error with its causes, on one line. kube repeats its sources, so a cause that the line already
/// tells is left out.
pub struct Chain<'a>(pub &'a dyn StdError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.contains(&text) {
                line = format!("{line}: {text}");
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
    #[error("outer: inner")]
    struct Outer(#[source] Inner);
    #[derive(Debug, Error)]
    #[error("inner")]
    struct Inner;

    #[test]
    fn a_cause_is_told_once() {
        assert_eq!(Chain(&Outer(Inner)).to_string(), "outer: inner");
    }
}
