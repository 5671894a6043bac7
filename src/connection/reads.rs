//! The remote as the poller sees it: six reads through the gate. It also notes whose token it is,
//! since the own list says so in passing.

use std::{sync::Arc, time::Duration};

use apono_client::{
    AccessRequest, AdminQuery, DelegatedQuery, Endpoint, ListQuery, Page, PageToken,
};
use futures::FutureExt as _;
use tokio::sync::watch;

use crate::{
    crd::Identity,
    poller::{AdminListReply, PageReply, ReadError, Reads, RequestReply},
    remote::{Remote, RemoteError},
    telemetry::Chain,
};

/// While the circuit is open, reads ask the gate again this often; nothing is sent for it.
const CIRCUIT_PAUSE: Duration = Duration::from_secs(1);

/// While the lease of this replica has run out, reads ask the fence again this often.
const FENCED_PAUSE: Duration = Duration::from_millis(250);

/// The reads of one connection.
pub(super) struct GatedReads {
    pub(super) remote: Remote,
    pub(super) identity: Arc<watch::Sender<Option<Identity>>>,
}

impl From<RemoteError> for ReadError {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Call(error) => error.into(),
            // Nothing was sent, so nothing was learned of the token: a trial of a new one may be under
            // way. Taken for a refusal it would end all reading of a token that is good.
            RemoteError::CircuitOpen => Self::Paused(CIRCUIT_PAUSE),
            RemoteError::Paused(left) => Self::Paused(left),
            // Nothing was read, and nothing is known to be wrong: it goes on when the lease holds again.
            RemoteError::NotHeld => Self::Paused(FENCED_PAUSE),
            error @ (RemoteError::Unconfigured | RemoteError::TooLate) => {
                Self::Failed(Chain(&error).to_string())
            }
        }
    }
}

impl Reads for GatedReads {
    fn access_requests_page<'a>(
        &'a self,
        query: &'a ListQuery,
        token: Option<&'a PageToken>,
    ) -> PageReply<'a> {
        async move {
            let read = self
                .remote
                .call(Endpoint::ListAccessRequests, |client| async move {
                    client.access_requests_page(query, token).await
                });
            let page = read.await?;
            if query.requestor.is_none() {
                note(&self.identity, &page);
            }
            Ok(page)
        }
        .boxed()
    }

    fn access_request<'a>(&'a self, id: &'a str) -> RequestReply<'a> {
        async move {
            let read = self
                .remote
                .call(Endpoint::GetAccessRequest, |client| async move {
                    client.access_request(id).await
                });
            Ok(read.await?)
        }
        .boxed()
    }

    fn delegated_access_requests_page<'a>(
        &'a self,
        query: &'a DelegatedQuery,
        token: Option<&'a PageToken>,
    ) -> PageReply<'a> {
        async move {
            let endpoint = Endpoint::ListDelegatedAccessRequests;
            let read = self.remote.call(endpoint, |client| async move {
                client.delegated_access_requests_page(query, token).await
            });
            Ok(read.await?)
        }
        .boxed()
    }

    fn delegated_access_request<'a>(&'a self, id: &'a str) -> RequestReply<'a> {
        async move {
            let endpoint = Endpoint::GetDelegatedAccessRequest;
            let read = self.remote.call(endpoint, |client| async move {
                client.delegated_access_request(id).await
            });
            Ok(read.await?)
        }
        .boxed()
    }

    fn admin_requests<'a>(&'a self, query: &'a AdminQuery) -> AdminListReply<'a> {
        async move {
            let endpoint = Endpoint::ListAdminRequests;
            let read = self.remote.call(endpoint, |client| async move {
                client.admin_requests_page(query).await
            });
            Ok(read.await?.into())
        }
        .boxed()
    }

    fn admin_request<'a>(&'a self, id: &'a str) -> RequestReply<'a> {
        async move {
            let read = self
                .remote
                .call(Endpoint::GetAdminRequest, |client| async move {
                    client.admin_request(id).await
                });
            Ok(read.await?.into())
        }
        .boxed()
    }
}

/// Notes who submitted a page of the own list: the user of the token.
pub(super) fn note(identity: &watch::Sender<Option<Identity>>, page: &Page<AccessRequest>) {
    let requestor = page
        .items
        .iter()
        .find_map(|request| request.requestor.as_ref());
    let Some(requestor) = requestor.filter(|user| !user.id.is_empty()) else {
        return;
    };
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let found = Identity {
        id: some(&requestor.id),
        source_id: some(&requestor.source_id),
    };
    identity.send_if_modified(|known| {
        let is_new = known.as_ref() != Some(&found);
        if is_new {
            *known = Some(found);
        }
        is_new
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_that_is_open_says_nothing_of_the_token() {
        let error = ReadError::from(RemoteError::CircuitOpen);
        assert_eq!(error, ReadError::Paused(CIRCUIT_PAUSE));
    }
}
