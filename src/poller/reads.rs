//! The six calls the poller makes, as a trait: what stands between it and the remote (pacing,
//! circuit, metrics) is not its matter. It decides nothing but what a failure means to a reader.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use apono_client::{
    AccessRequest, AdminQuery, AdminRequest, Client, DelegatedQuery, Error, ErrorClass, ListQuery,
    Listing, Page, PageToken,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;

/// Why a read gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such request on this route.
    #[error("not found")]
    NotFound,
    /// The token is refused: nothing can be read until it changes.
    #[error("the token is refused")]
    Unauthorized,
    /// Reads are held back for this long; nothing was asked.
    #[error("reads are paused for {} s", .0.as_secs())]
    Paused(Duration),
    /// The remote does not want this read made. Never a token or an address.
    #[error("{0}")]
    Refused(String),
    /// Anything else, said for people. Never a token or an address.
    #[error("{0}")]
    Failed(String),
}

/// What a page of requests is answered with.
pub type PageReply<'a> = BoxFuture<'a, Result<Page<AccessRequest>, ReadError>>;
/// What a single request is answered with.
pub type RequestReply<'a> = BoxFuture<'a, Result<AccessRequest, ReadError>>;

/// What the list of the admin API is answered with.
pub type AdminListReply<'a> = BoxFuture<'a, Result<AdminList, ReadError>>;

/// The list of the admin API: there is no second page.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminList {
    /// What was understood.
    pub items: Vec<AccessRequest>,
    /// Whether that is everything there is.
    pub is_complete: bool,
}

/// Reads of the remote.
pub trait Reads: Send + Sync + 'static {
    /// One page of the own list.
    fn access_requests_page<'a>(
        &'a self,
        query: &'a ListQuery,
        token: Option<&'a PageToken>,
    ) -> PageReply<'a>;

    /// One own request.
    fn access_request<'a>(&'a self, id: &'a str) -> RequestReply<'a>;

    /// One page of the list of requests made for others.
    fn delegated_access_requests_page<'a>(
        &'a self,
        query: &'a DelegatedQuery,
        token: Option<&'a PageToken>,
    ) -> PageReply<'a>;

    /// One request made for someone else.
    fn delegated_access_request<'a>(&'a self, id: &'a str) -> RequestReply<'a>;

    /// The list of the admin API.
    fn admin_requests<'a>(&'a self, query: &'a AdminQuery) -> AdminListReply<'a>;

    /// One request of any user.
    fn admin_request<'a>(&'a self, id: &'a str) -> RequestReply<'a>;
}

impl Reads for Client {
    fn access_requests_page<'a>(
        &'a self,
        query: &'a ListQuery,
        token: Option<&'a PageToken>,
    ) -> PageReply<'a> {
        async move { Ok(self.access_requests_page(query, token).await?) }.boxed()
    }

    fn access_request<'a>(&'a self, id: &'a str) -> RequestReply<'a> {
        async move { Ok(self.access_request(id).await?) }.boxed()
    }

    fn delegated_access_requests_page<'a>(
        &'a self,
        query: &'a DelegatedQuery,
        token: Option<&'a PageToken>,
    ) -> PageReply<'a> {
        async move { Ok(self.delegated_access_requests_page(query, token).await?) }.boxed()
    }

    fn delegated_access_request<'a>(&'a self, id: &'a str) -> RequestReply<'a> {
        async move { Ok(self.delegated_access_request(id).await?) }.boxed()
    }

    fn admin_requests<'a>(&'a self, query: &'a AdminQuery) -> AdminListReply<'a> {
        async move { Ok(self.admin_requests_page(query).await?.into()) }.boxed()
    }

    fn admin_request<'a>(&'a self, id: &'a str) -> RequestReply<'a> {
        async move { Ok(self.admin_request(id).await?.into()) }.boxed()
    }
}

impl From<Listing<AdminRequest>> for AdminList {
    fn from(listing: Listing<AdminRequest>) -> Self {
        Self {
            is_complete: listing.is_complete(),
            items: listing.items.into_iter().map(AccessRequest::from).collect(),
        }
    }
}

/// The one error of the client that every implementation over it turns into ours the same way.
impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        match (error.class(), error.retry_after()) {
            (ErrorClass::NotFound, _) => Self::NotFound,
            (ErrorClass::Unauthorized, _) => Self::Unauthorized,
            (ErrorClass::Throttled, Some(pause)) => Self::Paused(pause),
            (ErrorClass::Refused, _) => Self::Refused(chain(&error)),
            _ => Self::Failed(chain(&error)),
        }
    }
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {source}");
        cause = source.source();
    }
    text
}
