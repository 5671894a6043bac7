//! Credentials: from the sessions of live access into one Secret, and out of it at the end.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `due.rs` | pure: what a pass has to do, which is nothing as a rule |
//! | `scene.rs`, `fate.rs`, `next.rs` | pure: sessions and Secret as observed -> one step |
//! | `data.rs` | pure: details of sessions -> keys of the Secret, and the digest |
//! | `report.rs`, `words.rs` | pure: what the status and the conditions say |
//! | `sessions.rs` | io: the remote: list, read, reset |
//! | `secret.rs` | io: the Secret: look, make, fill, empty, remove |
//! | `deliver.rs` | io: write ahead, read, store: in one pass |
//! | `take_out.rs` | io: out of the Secret, or into one of another name |
//! | `reset.rs` | io: one reset, written ahead |
//! | `places.rs` | io: the names of the Secret: put down, moved, ended |
//! | `restart.rs` | io: workloads |
//! | `turn.rs`, `look.rs` | io: what is due, done |
//!
//! # Why the write-ahead is in the Secret
//! Reading credentials consumes them: there is no second look. The Secret is therefore made before
//! the read, with an annotation that says what is about to be read. That proves the right to write
//! before anything is lost, and tells after a crash that the read was ours: then, and only then, a
//! reset is asked for without a person's word. What is delivered is recorded in the same write as
//! the data, so a status that was lost is put right without a read. A reset is written ahead in the
//! same way: it takes the credentials away that were delivered, whatever the status still knows.
//!
//! In steady state nothing is called: neither the sessions nor the Secret.

pub mod data;
mod deliver;
pub mod due;
pub mod fate;
mod look;
pub mod next;
mod places;
pub mod report;
mod reset;
mod restart;
pub mod scene;
mod secret;
mod sessions;
mod take_out;
mod turn;
pub mod words;

pub use report::Made;
pub use turn::{Turn, turn};
