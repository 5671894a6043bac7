//! [`Client`]: one method for each endpoint, in one file for each family of calls. Each says what is
//! sent and what comes back; how is `transport.rs`.

mod admin;
mod available;
mod requests;
mod selectable;
mod sessions;

use std::fmt;
use std::sync::Arc;

use crate::config::{BuildError, ClientConfig};
use crate::endpoint::Endpoint;
use crate::page::PageToken;
use crate::token::Token;
use crate::transport::{Call, Transport};

/// A client of the API, acting as the one user its token belongs to.
///
/// Clones are cheap and share connections and token. A call is made once: nothing is retried.
#[derive(Clone)]
pub struct Client {
    transport: Arc<Transport>,
}

impl Client {
    /// Checks the configuration. Nothing is sent yet.
    pub fn new(config: ClientConfig, token: Token) -> Result<Self, BuildError> {
        Ok(Self {
            transport: Arc::new(Transport::new(config, token)?),
        })
    }

    /// Replaces the token for this client and all its clones, from the next call on.
    pub fn set_token(&self, token: Token) {
        self.transport.set_token(token);
    }
}

/// The call for a page. A later page is named by its token alone: the token carries the filters,
/// and the vendor's own clients send none beside it. The limit goes along, which is known to work.
fn page_call<'a>(
    endpoint: Endpoint,
    parameters: &'a [&'a str],
    limit: Option<u32>,
    token: Option<&PageToken>,
    filters: impl FnOnce(Call<'a>) -> Call<'a>,
) -> Call<'a> {
    let call = Call::new(endpoint, parameters)
        .expecting_many()
        .query("limit", limit);
    match token {
        Some(token) => call.query("page_token", [token.as_str()]),
        None => filters(call),
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("endpoint", &self.transport.endpoint().as_str())
            .finish_non_exhaustive()
    }
}
