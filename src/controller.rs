//! Placeholder.
pub mod attempt;
pub mod entitlements;
pub mod fold;
pub mod message;
pub mod observed;
pub mod picture;
pub mod plan;
pub mod verdict;
