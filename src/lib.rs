//! The operator as a library.

pub mod clock;
pub mod controller;
pub mod crd;
pub mod marker;
pub mod poller;
