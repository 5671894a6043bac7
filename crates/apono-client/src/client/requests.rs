//! The requests of the token's user, and those made for others (v4 and delegated).

use std::sync::Arc;

use futures::Stream;

use crate::client::{Client, page_call};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::model::ask::{NewAccessRequest, RequestAgain};
use crate::model::entitlement::Entitlement;
use crate::model::query::{DelegatedQuery, EntitlementQuery, ListQuery};
use crate::model::request::AccessRequest;
use crate::page::{Page, PageToken, pages};
use crate::transport::Call;

impl Client {
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
        let query = EntitlementQuery::default();
        self.matching_entitlements_page(id, &query, token).await
    }

    /// All pages of what a request holds.
    pub fn entitlements(
        &self,
        id: &str,
    ) -> impl Stream<Item = Result<Page<Entitlement>, Error>> + Send + 'static + use<> {
        self.matching_entitlements(id, EntitlementQuery::default())
    }

    /// Reads one page of those parts of a request that match; the first, or the one a token names.
    pub async fn matching_entitlements_page(
        &self,
        id: &str,
        query: &EntitlementQuery,
        token: Option<&PageToken>,
    ) -> Result<Page<Entitlement>, Error> {
        let parameters = [id];
        let endpoint = Endpoint::ListEntitlements;
        let call = page_call(endpoint, &parameters, query.limit, token, |call| {
            call.query("statuses", &query.statuses)
                .query("integration_ids", &query.integration_ids)
                .query("resource_types", &query.resource_types)
        });
        self.transport.send(call).await
    }

    /// All pages of those parts of a request that match.
    pub fn matching_entitlements(
        &self,
        id: &str,
        query: EntitlementQuery,
    ) -> impl Stream<Item = Result<Page<Entitlement>, Error>> + Send + 'static + use<> {
        let state = Arc::new((self.clone(), id.to_owned(), query));
        pages(Endpoint::ListEntitlements, move |token| {
            let state = Arc::clone(&state);
            async move {
                let (client, id, query) = &*state;
                client
                    .matching_entitlements_page(id, query, token.as_ref())
                    .await
            }
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
