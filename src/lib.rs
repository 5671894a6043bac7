//! The operator as a library.

pub mod clock;
pub mod crd;
pub mod marker;
pub mod poller;
