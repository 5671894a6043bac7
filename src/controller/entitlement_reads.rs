//! Reads the entitlements of requests, into what was observed. IO, and only reads; whose are due is
//! decided in `entitlements.rs`.

use std::time::Duration;

use apono_client::{Endpoint, Entitlement, State};
use jiff::Timestamp;

use super::{
    Context, entitlements,
    fold::likely_api,
    observed::{Observed, is_definite},
};
use crate::{
    connection::Connection,
    crd::{AccessRequest, RemoteApi},
    remote::RemoteError,
};

/// Entitlements are read page by page, and no further than this: the status shows fewer.
const MOST_PAGES: usize = 100;
/// What was just made is described in the same status if it can be read within this.
const DESCRIBED_WITHIN: Duration = Duration::from_millis(500);

/// Reads what was granted at once, so that the status that tells of the access describes it too: one
/// write instead of two. Only of a first attempt; others have more to describe, and wait for the next
/// pass. It has to be quick: the id of what was made is written after it.
pub async fn read_of_made(
    context: &Context,
    connection: &Connection,
    resource: &AccessRequest,
    made: &[apono_client::AccessRequest],
    observed: &mut Observed,
) {
    let now = context.clock.now();
    let known = resource.status.as_ref().map(|status| &status.requests);
    let is_first = known.is_none_or(Vec::is_empty);
    let is_granted = |one: &apono_client::AccessRequest| one.status.state() == State::Active;
    let is_shown = likely_api(resource) != RemoteApi::AdminV3;
    if !(is_first && is_shown && made.iter().all(is_granted)) {
        return;
    }
    let ids: Vec<_> = made.iter().map(|one| one.id.to_string()).collect();
    let reading = read(context, connection, resource, &ids, observed, now);
    if tokio::time::timeout(DESCRIBED_WITHIN, reading)
        .await
        .is_err()
    {
        tracing::debug!("the entitlements are read in the next pass");
        observed.entitlements.clear();
    }
}

/// Reads the entitlements of these requests. What fails is left out: access does not wait for its
/// description.
pub async fn read(
    context: &Context,
    connection: &Connection,
    resource: &AccessRequest,
    ids: &[String],
    observed: &mut Observed,
    now: Timestamp,
) {
    for id in ids {
        match read_all(connection, id).await {
            Ok(all) => {
                observed.memory.undescribed.remove(id);
                observed.entitlements.insert(id.clone(), all);
            }
            Err(error) if error.as_ref().is_some_and(|one| is_definite(one.status())) => {
                // Not shown at all, as may be with a request for somebody else.
                observed.memory.undescribed.insert(id.clone(), now);
            }
            Err(_) => {
                tracing::debug!(%id, "entitlements not read");
                observed.entitlements.clear();
                observed.memory.entitlements_failed = Some(now);
                break;
            }
        }
    }
    if !ids.is_empty() && !observed.entitlements.is_empty() {
        observed.memory.entitlements_failed = None;
        // Only what still moves is read again.
        let (_, summary) = entitlements::shown(observed.entitlements.values().flatten());
        observed.memory.entitlements_read = (summary.pending > 0).then_some(now);
    }
    if !ids.is_empty() {
        context.remember(resource, &observed.memory);
    }
}

/// All entitlements of a request; without an error where they are too many or cannot be understood.
async fn read_all(
    connection: &Connection,
    id: &str,
) -> Result<Vec<Entitlement>, Option<RemoteError>> {
    let (mut all, mut token) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let from = token.clone();
        let call = connection
            .remote
            .call(Endpoint::ListEntitlements, |client| async move {
                client.entitlements_page(id, from.as_ref()).await
            });
        let page = call.await.map_err(Some)?;
        if page.skipped > 0 {
            // What cannot be read may be what was granted: a list with a hole proves nothing.
            return Err(None);
        }
        all.extend(page.items);
        token = page.next;
        if token.is_none() {
            return Ok(all);
        }
    }
    Err(None)
}
