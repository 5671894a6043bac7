//! The API over a real socket: every endpoint, who may see what, pages, sessions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test, in helpers as well"
)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod available;
mod creates;
mod flows;
mod lists;
mod sessions;
mod v3;
