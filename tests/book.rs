//! The book in `docs/`: every page is in it, every link leads somewhere, every reason has its section, the
//! words of events are those of the code, and every command does what the page says.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `pages.rs` | the pages, read: headings, links and fenced blocks |
//! | `links.rs` | pages, links and anchors |
//! | `words.rs` | reasons, events and chapters against the code |
//! | `commands.rs` | every block of commands, run as it stands |
//!
//! The chart's helpers serve here too: both Helms, and a cluster with somebody who plays the kubelet.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "book/commands.rs"]
mod commands;
#[path = "chart/helm.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod helm;
#[path = "book/links.rs"]
mod links;
#[path = "book/pages.rs"]
mod pages;
#[path = "chart/plane.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod plane;
mod shipped;
#[path = "book/words.rs"]
mod words;
