//! The operator as a library.

pub mod admin;
pub mod app;
pub mod clock;
pub mod connection;
pub mod crd;
pub mod kubernetes;
pub mod marker;
pub mod metrics;
pub mod poller;
pub mod remote;
pub mod settings;
pub mod telemetry;
