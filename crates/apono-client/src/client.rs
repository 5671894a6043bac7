//! [`Client`]: one method for each endpoint. Each says what is sent and what comes back; how is
//! `transport.rs`.

use std::fmt;
use std::sync::Arc;

use futures::Stream;

use crate::config::{BuildError, ClientConfig};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::model::ask::{DelegatedQuery, ListQuery, NewAccessRequest, RequestAgain};
use crate::model::entitlement::Entitlement;
use crate::model::request::AccessRequest;
use crate::page::{Page, PageToken, pages};
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

    /// Asks for access. One answer may hold several requests: one for each access flow that is
    /// touched.
    ///
    /// # Caveats
    ///
    /// The API has no idempotency key. After an error of
    /// [`Effect::Unknown`](crate::Effect::Unknown) the request may exist all the same; sending it
    /// again may make a second one.
    pub async fn create_access_request(
        &self,
        request: &NewAccessRequest,
    ) -> Result<Vec<AccessRequest>, Error> {
        let endpoint = Endpoint::CreateAccessRequest;
        let body = request
            .body()
            .map_err(|cause| Error::invalid(endpoint, cause))?;
        self.transport
            .send(Call::new(endpoint, &[]).expecting_many().json(&body)?)
            .await
    }

    /// Reads one request.
    pub async fn access_request(&self, id: &str) -> Result<AccessRequest, Error> {
        self.transport
            .send(Call::new(Endpoint::GetAccessRequest, &[id]))
            .await
    }

    /// Reads one page of the user's own requests; the first, or the one a token names.
    pub async fn access_requests_page(
        &self,
        query: &ListQuery,
        token: Option<&PageToken>,
    ) -> Result<Page<AccessRequest>, Error> {
        let call = page_call(
            Endpoint::ListAccessRequests,
            &[],
            query.limit,
            token,
            |call| {
                call.query("requestor", &query.requestor)
                    .query("statuses", &query.statuses)
            },
        );
        self.transport.send(call).await
    }

    /// All pages of the user's own requests.
    pub fn access_requests(
        &self,
        query: ListQuery,
    ) -> impl Stream<Item = Result<Page<AccessRequest>, Error>> + Send + 'static + use<> {
        let state = Arc::new((self.clone(), query));
        pages(Endpoint::ListAccessRequests, move |token| {
            let state = Arc::clone(&state);
            async move { state.0.access_requests_page(&state.1, token.as_ref()).await }
        })
    }

    /// Reads one page of what a request holds.
    pub async fn entitlements_page(
        &self,
        id: &str,
        token: Option<&PageToken>,
    ) -> Result<Page<Entitlement>, Error> {
        let parameters = [id];
        let endpoint = Endpoint::ListEntitlements;
        let call = page_call(endpoint, &parameters, None, token, |call| call);
        self.transport.send(call).await
    }

    /// All pages of what a request holds.
    pub fn entitlements(
        &self,
        id: &str,
    ) -> impl Stream<Item = Result<Page<Entitlement>, Error>> + Send + 'static + use<> {
        let state = Arc::new((self.clone(), id.to_owned()));
        pages(Endpoint::ListEntitlements, move |token| {
            let state = Arc::clone(&state);
            async move { state.0.entitlements_page(&state.1, token.as_ref()).await }
        })
    }

    /// Asks again for what an earlier request asked for. The answer holds new requests with new
    /// ids.
    ///
    /// # Caveats
    ///
    /// Those of [`Self::create_access_request`].
    pub async fn request_again(
        &self,
        id: &str,
        again: &RequestAgain,
    ) -> Result<Vec<AccessRequest>, Error> {
        let parameters = [id];
        let call = Call::new(Endpoint::RequestAgain, &parameters)
            .expecting_many()
            .json(again)?;
        self.transport.send(call).await
    }

    /// Starts taking the access back. Success says only that the API accepted it: read the request
    /// to see it done.
    pub async fn revoke(&self, id: &str) -> Result<(), Error> {
        self.transport
            .send_for_status(Call::new(Endpoint::RevokeAccessRequest, &[id]))
            .await
    }

    /// Reads one page of the requests made for others; the first, or the one a token names.
    pub async fn delegated_access_requests_page(
        &self,
        query: &DelegatedQuery,
        token: Option<&PageToken>,
    ) -> Result<Page<AccessRequest>, Error> {
        let endpoint = Endpoint::ListDelegatedAccessRequests;
        let call = page_call(endpoint, &[], query.limit, token, |call| {
            call.query("grantee", &query.grantee)
                .query("statuses", &query.statuses)
        });
        self.transport.send(call).await
    }

    /// All pages of the requests made for others.
    pub fn delegated_access_requests(
        &self,
        query: DelegatedQuery,
    ) -> impl Stream<Item = Result<Page<AccessRequest>, Error>> + Send + 'static + use<> {
        let state = Arc::new((self.clone(), query));
        pages(Endpoint::ListDelegatedAccessRequests, move |token| {
            let state = Arc::clone(&state);
            async move {
                state
                    .0
                    .delegated_access_requests_page(&state.1, token.as_ref())
                    .await
            }
        })
    }

    /// Reads one request made for someone else.
    pub async fn delegated_access_request(&self, id: &str) -> Result<AccessRequest, Error> {
        self.transport
            .send(Call::new(Endpoint::GetDelegatedAccessRequest, &[id]))
            .await
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
