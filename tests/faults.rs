//! Faults of the whole operator: the binary against a real apiserver and the simulated remote,
//! while answers are lost, processes are killed, tokens are wrong and objects are tampered with.
//!
//! Two promises are at stake: no access is asked for twice, and none outlives its resource. Both
//! are judged by the ledger of the remote and the objects of the apiserver, never by the operator's
//! own word.
//!
//! | file | what goes wrong |
//! | --- | --- |
//! | `again.rs` | asking again: lost answers, kills, dropped records |
//! | `answers.rs` | answers: lost, late, cut, garbled, refused; lists that lag |
//! | `crashes.rs` | the process, killed at random; errors and throttling in bulk |
//! | `credentials.rs` | credentials: reads and resets interrupted, Secrets that cannot be written |
//! | `tokens.rs` | tokens: refused, rotated, somebody else's |
//! | `objects.rs` | objects: replaced, applied again, unreadable, changed all the time |
//! | `helpers.rs` | the worlds these need, and longer patience |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "faults/again.rs"]
mod again;
#[path = "faults/answers.rs"]
mod answers;
#[path = "faults/crashes.rs"]
mod crashes;
#[path = "faults/credentials.rs"]
mod credentials;
#[path = "faults/helpers.rs"]
mod helpers;
#[path = "faults/objects.rs"]
mod objects;
mod support;
#[path = "faults/tokens.rs"]
mod tokens;
