//! The sessions in which live access is used, and their credentials.

use std::sync::Arc;

use futures::Stream;

use crate::client::{Client, page_call};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::model::details::AccessSessionDetails;
use crate::model::query::SessionQuery;
use crate::model::session::AccessSession;
use crate::page::{Page, PageToken, pages};
use crate::transport::Call;

impl Client {
    /// Reads one page of the user's sessions; the first, or the one a token names. It consumes
    /// nothing.
    pub async fn access_sessions_page(
        &self,
        query: &SessionQuery,
        token: Option<&PageToken>,
    ) -> Result<Page<AccessSession>, Error> {
        let endpoint = Endpoint::ListAccessSessions;
        let call = page_call(endpoint, &[], query.limit, token, |call| {
            call.query("request_ids", &query.request_ids)
                .query("integration_id", &query.integration_ids)
        });
        self.transport.send(call).await
    }

    /// All pages of the user's sessions.
    pub fn access_sessions(
        &self,
        query: SessionQuery,
    ) -> impl Stream<Item = Result<Page<AccessSession>, Error>> + Send + 'static + use<> {
        let state = Arc::new((self.clone(), query));
        pages(Endpoint::ListAccessSessions, move |token| {
            let state = Arc::clone(&state);
            async move { state.0.access_sessions_page(&state.1, token.as_ref()).await }
        })
    }

    /// Reads one session. It consumes nothing.
    pub async fn access_session(&self, id: &str) -> Result<AccessSession, Error> {
        self.transport
            .send(Call::new(Endpoint::GetAccessSession, &[id]))
            .await
    }

    /// Reads how to use a session's access, passwords included.
    ///
    /// # Guarantees
    ///
    /// No error of it carries any text of the answer.
    ///
    /// # Caveats
    ///
    /// Although it is a GET, it consumes the credential: later reads hold asterisks in place of the
    /// password. Call it once, and only where the answer is stored in the same step; never to look
    /// whether something is there. After an error of [`Effect::Unknown`](crate::Effect::Unknown)
    /// the credential may have been consumed although nobody has it: it must be reset.
    pub async fn access_session_details(&self, id: &str) -> Result<AccessSessionDetails, Error> {
        self.transport
            .send(Call::new(Endpoint::GetAccessSessionDetails, &[id]))
            .await
    }

    /// Starts replacing a session's credentials. Success says only that the API accepted it: read
    /// the session until its credentials are available again.
    pub async fn reset_access_session_credentials(&self, id: &str) -> Result<(), Error> {
        self.transport
            .send_for_status(Call::new(Endpoint::ResetAccessSessionCredentials, &[id]))
            .await
    }
}
