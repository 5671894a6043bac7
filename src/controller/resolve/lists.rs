//! The lists of the catalogue, all their pages, up to a bound.

use std::future::Future;

use apono_client::{
    AvailableBundle, AvailableBundleQuery, AvailableEntitlement, AvailableEntitlementQuery, Client,
    Effect, Endpoint, Error, Page, PageToken,
};

use super::Failure;
use crate::{connection::Connection, crd::EntitlementRef, remote::RemoteError};

/// No list is read further than this.
const MOST_PAGES: usize = 100;

/// What was read of a list.
pub(super) struct List<T> {
    /// What was understood.
    pub(super) items: Vec<T>,
    /// Whether it is all there is.
    pub(super) is_whole: bool,
    /// Which part of the catalogue it is.
    query: AvailableEntitlementQuery,
}

impl<T> List<T> {
    /// Whether it answers this query.
    pub(super) fn is_of(&self, query: &AvailableEntitlementQuery) -> bool {
        self.query == *query
    }

    /// Whether nothing was left out by a filter.
    pub(super) fn is_of_everything(&self) -> bool {
        let bare = AvailableEntitlementQuery {
            grantee: self.query.grantee.clone(),
            ..AvailableEntitlementQuery::default()
        };
        self.query == bare
    }
}

/// The bundles that may be asked for.
pub(super) async fn bundles(
    connection: &Connection,
    query: AvailableBundleQuery,
) -> Result<List<AvailableBundle>, Failure> {
    let endpoint = Endpoint::ListAvailableBundles;
    let read = |client: Client, token: Option<PageToken>| {
        let query = &query;
        async move { client.available_bundles_page(query, token.as_ref()).await }
    };
    let (items, is_whole) = pages(connection, endpoint, read).await?;
    Ok(List {
        items,
        is_whole,
        query: AvailableEntitlementQuery::default(),
    })
}

/// The entitlements that may be asked for.
pub(super) async fn entitlements(
    connection: &Connection,
    query: AvailableEntitlementQuery,
) -> Result<List<AvailableEntitlement>, Failure> {
    let endpoint = Endpoint::ListAvailableEntitlements;
    let read = |client: Client, token: Option<PageToken>| {
        let query = &query;
        async move {
            client
                .available_entitlements_page(query, token.as_ref())
                .await
        }
    };
    let (items, is_whole) = pages(connection, endpoint, read).await?;
    Ok(List {
        items,
        is_whole,
        query,
    })
}

/// Where an entitlement is looked for, the narrowest list first, all of them last: ids cannot be
/// filtered by, and a filter may compare in another way than we do. A star might be a pattern.
pub(super) fn entitlements_of(
    written: &EntitlementRef,
    grantee: Option<&str>,
) -> Vec<AvailableEntitlementQuery> {
    let everything = AvailableEntitlementQuery {
        grantee: grantee.map(ToOwned::to_owned),
        ..AvailableEntitlementQuery::default()
    };
    let filter = |name: &Option<String>| name.clone().filter(|name| !name.contains('*'));
    let narrow = AvailableEntitlementQuery {
        integration_name: filter(&written.integration),
        resource_name: filter(&written.resource),
        ..everything.clone()
    };
    let mut all = vec![narrow, everything];
    all.dedup();
    all
}

async fn pages<T, F, Fut>(
    connection: &Connection,
    endpoint: Endpoint,
    read: F,
) -> Result<(Vec<T>, bool), Failure>
where
    F: Fn(Client, Option<PageToken>) -> Fut,
    Fut: Future<Output = Result<Page<T>, Error>>,
{
    let (mut items, mut token, mut is_whole) = (Vec::new(), None, true);
    for _ in 0..MOST_PAGES {
        let from = token.clone();
        let page = connection
            .remote
            .call(endpoint, |client| read(client, from))
            .await
            .map_err(failure)?;
        is_whole &= page.skipped == 0;
        items.extend(page.items);
        if page.next.is_none() {
            return Ok((items, is_whole));
        }
        if page.next == token {
            // The same page again and again.
            break;
        }
        token = page.next;
    }
    Ok((items, false))
}

/// What it means that the catalogue was not read: decided by the status alone.
pub(super) fn failure(error: RemoteError) -> Failure {
    match (error.status(), error.effect()) {
        (Some(403 | 404 | 405 | 501), _) => Failure::NoCatalogue(error),
        (Some(_), Effect::Refused) => Failure::Refused(error),
        _ => Failure::Passing(error),
    }
}

/// Why it was not read, in words that stay the same.
pub(super) fn cause(error: &RemoteError) -> String {
    match error {
        RemoteError::Paused(_) => "the API asked for a pause".to_owned(),
        RemoteError::Unconfigured
        | RemoteError::CircuitOpen
        | RemoteError::TooLate
        | RemoteError::NotHeld
        | RemoteError::Call(_) => error.to_string(),
    }
}
