//! What a deletion cannot finish becomes an `OwedRevocation`, which is paid from there: the
//! operator's binary against a real apiserver and the simulated remote.
//!
//! Judged by the ledger of the remote and the objects of the apiserver: nothing is live that neither
//! a resource nor a debt names.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "owed/connections.rs"]
mod connections;
#[path = "owed/debts.rs"]
mod debts;
#[path = "owed/helpers.rs"]
mod helpers;
#[path = "owed/namespaces.rs"]
mod namespaces;
#[path = "owed/stripped.rs"]
mod stripped;
mod support;
