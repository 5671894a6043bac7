//! A world for one test: a namespace in the real apiserver, a simulated remote behind a socket, a
//! connection between them, and the operator's binary.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `world.rs` | how a world is made and ends |
//! | `requests.rs` | access requests: making them, waiting for them, the row of the table they are in |
//! | `connections.rs` | connections and their tokens |
//! | `credentials.rs` | delivered Secrets, and the sessions they come from |
//! | `workloads.rs` | what uses delivered Secrets |
//! | `remote.rs` | what the simulated remote saw |
//! | `operator.rs` | the binary: start, end, log, admin port |
//! | `cluster.rs` | the apiserver, and its audit log |
//! | `wait.rs` | the one place that waits |
//!
//! A test asserts on the world. It never sleeps: it waits for a condition, and says what is missing.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses a part of it"
)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are not seen as tests by the lint"
)]

mod cluster;
mod connections;
mod credentials;
mod operator;
mod remote;
mod requests;
mod wait;
mod workloads;
mod world;

pub use cluster::{Cluster, Write};
pub use credentials::{keys, text};
pub use operator::Operator;
pub use requests::{kstatus, row};
pub use wait::{PATIENCE, eventually, eventually_within};
pub use world::{CONNECTION, Setup, World};
