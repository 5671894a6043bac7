//! A real install: the chart, by Helm, in a Kubernetes of one node that runs pods, with the images of
//! operator and simulator. What is asserted is what a user, the node or Apono would see.
//!
//! `cargo xtask prove cluster` runs it: it starts the cluster (`cargo xtask cluster`), loads the images and
//! runs these tests in the network of its node. It needs root, and is no part of `cargo xtask test`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `release.rs` | an installed release: Helm, kubectl, pods |
//! | `node.rs` | the processes of pods, as the kernel sees them |
//! | `remote.rs` | the simulator's control channel |
//! | `install.rs` | as a user installs it, and what the pods then are |
//! | `ends.rs` | pods that end: told to, or killed in the middle of a create |
//! | `upgrade.rs` | upgrade and rollback with requests in flight |
//! | `uninstall.rs` | uninstall, with nothing left and with a debt open |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "cluster/ends.rs"]
mod ends;
#[path = "cluster/install.rs"]
mod install;
#[path = "cluster/node.rs"]
mod node;
#[path = "cluster/release.rs"]
mod release;
#[path = "cluster/remote.rs"]
mod remote;
#[path = "cluster/uninstall.rs"]
mod uninstall;
#[path = "cluster/upgrade.rs"]
mod upgrade;
#[path = "support/wait.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod wait;
