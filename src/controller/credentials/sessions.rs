//! The sessions of the access at the remote. IO. Listing them consumes nothing; reading details
//! does, so it happens in `deliver.rs` only.

use std::sync::Arc;

use apono_client::Endpoint;
use kube::ResourceExt;

use super::{
    data::Details,
    scene::{Seen, Target},
};
use crate::{
    connection::Connection,
    crd::{AccessRequest, RemoteApi},
    remote::RemoteError,
};

/// The sessions that serve these requests.
pub async fn list(
    connection: &Connection,
    resource: &AccessRequest,
    targets: &[Target],
) -> Result<Vec<Seen>, Arc<RemoteError>> {
    let (admin, user): (Vec<_>, Vec<_>) = targets
        .iter()
        .partition(|target| target.api == RemoteApi::AdminV3);
    let integration = resource.spec.access.integration.as_ref();
    let integration = integration.map_or("", |target| target.integration.as_str());
    let mut seen: Vec<_> = admin
        .iter()
        .map(|target| Seen::admin(&target.id, integration))
        .collect();
    if !user.is_empty() {
        let ids: Vec<_> = user.iter().map(|target| target.id.clone()).collect();
        let sessions = connection.sessions.of(&connection.remote, &ids).await?;
        seen.extend(sessions.into_iter().map(Seen::of));
    }
    tracing::debug!(resource = %resource.name_any(), sessions = seen.len(), "looked at sessions");
    Ok(seen)
}

/// Looks at one session right before it is read: a list may lag behind. There is no answer where
/// the session or the path is kept from us, as it always is for the older API.
pub async fn look_at(connection: &Connection, seen: &Seen) -> Result<Option<Seen>, RemoteError> {
    if seen.api == RemoteApi::AdminV3 {
        return Ok(None);
    }
    let id = seen.id.as_str();
    let call = connection
        .remote
        .call(Endpoint::GetAccessSession, |client| async move {
            client.access_session(id).await
        });
    match call.await {
        Ok(session) => Ok(Some(Seen {
            id: seen.id.clone(),
            ..Seen::of(session)
        })),
        Err(error) if matches!(error.status(), Some(403 | 404)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the credentials of a session.
///
/// # Caveats
/// It consumes them: the write-ahead must stand.
pub async fn read(connection: &Connection, seen: &Seen) -> Result<Details, RemoteError> {
    let id = seen.id.as_str();
    let remote = &connection.remote;
    match seen.api {
        RemoteApi::AdminV3 => {
            let call = remote.call(Endpoint::GetAdminRequestDetails, |client| async move {
                client.admin_request_details(id).await
            });
            call.await.map(Details::Admin)
        }
        RemoteApi::UserV4 | RemoteApi::Delegated => {
            let call = remote.call(Endpoint::GetAccessSessionDetails, |client| async move {
                client.access_session_details(id).await
            });
            call.await.map(Details::Session)
        }
    }
}

/// Has new credentials made for a session.
pub async fn reset(connection: &Connection, seen: &Seen) -> Result<(), RemoteError> {
    let id = seen.id.as_str();
    let remote = &connection.remote;
    match seen.api {
        RemoteApi::AdminV3 => {
            let endpoint = Endpoint::ResetAdminRequestCredentials;
            let call = remote.call(endpoint, |client| async move {
                client.reset_admin_request_credentials(id).await
            });
            call.await
        }
        RemoteApi::UserV4 | RemoteApi::Delegated => {
            let endpoint = Endpoint::ResetAccessSessionCredentials;
            let call = remote.call(endpoint, |client| async move {
                client.reset_access_session_credentials(id).await
            });
            call.await
        }
    }
}
