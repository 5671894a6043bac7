//! Access that outlived its resource: written down as `OwedRevocation`, and taken back from there.
//!
//! A deletion that cannot be finished is handed over (`controller/owed.rs` says when). From then on
//! the debt acts on its own: it needs neither the resource nor the connection, only the Secret with
//! the token. It is retried for ever, and ends when everything has ended as read back from Apono, or
//! when a person writes it off.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `write.rs` | io: the debt as it is written down, and what is changed in it |
//! | `known.rs` | the debts there are, for metrics and for the escrow |
//! | `plan.rs` | pure: what to do next, and what counts as ended |
//! | `progress.rs` | what this process has learned of one debt |
//! | `work.rs` | io: one step at the remote |
//! | `search.rs` | io: the looks for what lost answers made |
//! | `remotes.rs` | io: what a debt is paid through |
//! | `status.rs` | pure: what the debt says of itself |
//! | `controller.rs` | io: passes |
//! | `end.rs` | io: what ends a debt |
//!
//! Nothing here asks for access.

mod controller;
mod end;
mod known;
mod plan;
mod progress;
mod remotes;
mod search;
mod status;
mod work;
mod write;

pub use controller::run;
pub use known::{Debts, Figures};
pub use write::{Snapshot, WriteError, owed_revocation};
