//! What is sent and what comes back, as types. No IO.

pub(crate) mod ask;
pub(crate) mod entitlement;
pub(crate) mod request;
pub(crate) mod status;
