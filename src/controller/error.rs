//! What can go wrong in a pass, named by step, and how soon to try again.

use thiserror::Error;

use crate::{connection::HoldError, kubernetes, owed};

/// A pass failed at one of its steps.
#[derive(Debug, Error)]
pub enum Error {
    /// The object has changed since it was seen; nothing was done.
    #[error("the resource has changed meanwhile; looking again")]
    Outdated,
    /// The connection could not be held before the first request; nothing was asked.
    #[error("could not protect the connection before asking through it")]
    ProtectConnection(#[source] HoldError),
    /// What is left could not be written down as owed; the finalizer stays.
    #[error("could not write down what is owed")]
    HandOver(#[source] owed::WriteError),
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
    /// The credentials could not be taken out of their Secret.
    #[error("could not remove the credentials from their Secret")]
    RemoveCredentials(#[source] kubernetes::Error),
    /// The resource could not be deleted.
    #[error("could not delete the resource, whose time to live is over")]
    DeleteResource(#[source] kubernetes::Error),
    /// The status does not fit into JSON.
    #[error("could not encode the status")]
    EncodeStatus(#[source] serde_json::Error),
}

impl Error {
    /// Whether the API server refused what was to be written: the same write is refused again, so it
    /// is a fault of ours, or of definitions that are not this version's.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::MarkResource(error)
            | Self::WriteStatus(error)
            | Self::RemoveFinalizer(error)
            | Self::RemoveCredentials(error) => error.is_invalid(),
            Self::HandOver(error) => error.is_refusal(),
            Self::Outdated
            | Self::ProtectConnection(_)
            | Self::ReadResource(_)
            | Self::DeleteResource(_)
            | Self::WriteContended(_)
            | Self::EncodeStatus(_) => false,
        }
    }

    /// Whether the API server did not answer in time, or told to come later.
    pub fn is_late(&self) -> bool {
        match self {
            Self::ReadResource(error)
            | Self::MarkResource(error)
            | Self::WriteStatus(error)
            | Self::RemoveFinalizer(error)
            | Self::RemoveCredentials(error)
            | Self::DeleteResource(error) => error.is_late(),
            Self::Outdated
            | Self::ProtectConnection(_)
            | Self::HandOver(_)
            | Self::WriteContended(_)
            | Self::EncodeStatus(_) => false,
        }
    }

    /// The step, for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Outdated => "outdated",
            Self::ProtectConnection(_) => "protect_connection",
            Self::HandOver(_) => "hand_over",
            Self::ReadResource(_) => "read_resource",
            Self::MarkResource(_) => "mark_resource",
            Self::WriteStatus(_) | Self::WriteContended(_) => "write_status",
            Self::RemoveFinalizer(_) => "remove_finalizer",
            Self::RemoveCredentials(_) => "remove_credentials",
            Self::DeleteResource(_) => "delete_resource",
            Self::EncodeStatus(_) => "encode_status",
        }
    }
}
