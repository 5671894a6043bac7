//! Requests of any user, as the older API (v3) serves them.

use futures::Stream;

use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::listing::{Listing, single};
use crate::model::admin::{AdminRequest, NewAdminRequest, Revocation};
use crate::model::details::AdminRequestDetails;
use crate::model::query::AdminQuery;
use crate::transport::Call;

impl Client {
    /// Lists requests. There is no second page to ask for: see [`Listing::is_complete`].
    pub async fn admin_requests_page(
        &self,
        query: &AdminQuery,
    ) -> Result<Listing<AdminRequest>, Error> {
        let call = Call::new(Endpoint::ListAdminRequests, &[])
            .expecting_many()
            .query("days_offset", query.days_offset)
            .query("user_id", &query.user_id);
        self.transport.send(call).await
    }

    /// The same as a stream, of the one page there is.
    pub fn admin_requests(
        &self,
        query: AdminQuery,
    ) -> impl Stream<Item = Result<Listing<AdminRequest>, Error>> + Send + 'static + use<> {
        let client = self.clone();
        single(async move { client.admin_requests_page(&query).await })
    }

    /// Asks for access for a user. The answer holds one request, whatever access flows are touched.
    ///
    /// # Caveats
    ///
    /// Those of [`Self::create_access_request`].
    pub async fn create_admin_request(
        &self,
        request: &NewAdminRequest,
    ) -> Result<AdminRequest, Error> {
        let endpoint = Endpoint::CreateAdminRequest;
        let body = request
            .body()
            .map_err(|cause| Error::invalid(endpoint, cause))?;
        self.transport
            .send(Call::new(endpoint, &[]).json(&body)?)
            .await
    }

    /// Reads one request of any user.
    pub async fn admin_request(&self, id: &str) -> Result<AdminRequest, Error> {
        self.transport
            .send(Call::new(Endpoint::GetAdminRequest, &[id]))
            .await
    }

    /// Reads how to use the access of a request.
    ///
    /// # Caveats
    ///
    /// Those of [`Self::access_session_details`]: although it is a GET, it consumes the credential.
    pub async fn admin_request_details(&self, id: &str) -> Result<AdminRequestDetails, Error> {
        self.transport
            .send(Call::new(Endpoint::GetAdminRequestDetails, &[id]))
            .await
    }

    /// Starts replacing the credentials of a request's access, and of its whole bundle if it came
    /// by one. Success says only that the API accepted it.
    pub async fn reset_admin_request_credentials(&self, id: &str) -> Result<(), Error> {
        self.transport
            .send_for_status(Call::new(Endpoint::ResetAdminRequestCredentials, &[id]))
            .await
    }

    /// Starts taking the access of all these requests back. No list or an empty id is refused
    /// before anything is sent.
    ///
    /// # Caveats
    ///
    /// Success says only that the API accepted the call. It does not say for which of the requests:
    /// read each one to see it done. So too after an error, of whatever effect: some of the requests
    /// may have been taken back.
    pub async fn revoke_admin_requests(&self, ids: &[&str]) -> Result<(), Error> {
        let endpoint = Endpoint::RevokeAdminRequests;
        let body = Revocation::of(ids).map_err(|cause| Error::invalid(endpoint, cause))?;
        self.transport
            .send_for_status(Call::new(endpoint, &[]).json(&body)?)
            .await
    }
}
