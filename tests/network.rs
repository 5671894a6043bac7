//! Faults between the operator and its two servers, and lies of both: through a TCP link that goes
//! silent, is cut or down, through a gate before the apiserver that garbles what it says, and by
//! the faults of the simulated remote.
//!
//! Judged as `tests/faults.rs` is: by the remote's ledger and the apiserver's objects. Each test
//! prints how many faults it put in.
//!
//! | file | what goes wrong |
//! | --- | --- |
//! | `silence.rs` | half-open connections, partitions, an apiserver that is down |
//! | `watches.rs` | watch events lost, repeated, cut off; 410; lists stale or late; conflicts on each write |
//! | `conflicts.rs` | one conflict for each kind of write |
//! | `lies.rs` | every read of the remote: garbled, cut, oversized, stale, drifting; clocks apart |
//! | `lost.rs` | one event lost, while the watch goes on |
//! | `link.rs` | the link |
//! | `gate.rs` | the gate |
//!
//! An apiserver that restarts is a link that is down here: the tests of one binary share a control
//! plane, and none of them may stop it under the others. `tests/restarts.rs` has one to itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "network/conflicts.rs"]
mod conflicts;
#[path = "network/gate.rs"]
mod gate;
#[path = "network/lies.rs"]
mod lies;
#[path = "network/link.rs"]
mod link;
#[path = "network/lost.rs"]
mod lost;
#[path = "network/silence.rs"]
mod silence;
mod support;
#[path = "network/watches.rs"]
mod watches;
