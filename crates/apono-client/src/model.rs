//! What is sent and what comes back, as types. No IO.

pub(crate) mod admin;
pub(crate) mod ask;
pub(crate) mod available;
pub(crate) mod credential;
pub(crate) mod details;
pub(crate) mod entitlement;
pub(crate) mod query;
pub(crate) mod request;
pub(crate) mod request_id;
pub(crate) mod secret;
pub(crate) mod selectable;
pub(crate) mod session;
pub(crate) mod status;
