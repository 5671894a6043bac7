//! The operator as a library.

pub mod crd;
