//! What the token's user, or a grantee, may ask for. An empty list means that no access flow lets
//! them, not that there is no such thing.

use std::sync::Arc;

use futures::Stream;

use crate::client::{Client, page_call};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::model::available::{AvailableBundle, AvailableEntitlement};
use crate::model::query::{AvailableBundleQuery, AvailableEntitlementQuery};
use crate::page::{Page, PageToken, pages};

impl Client {
    /// Reads one page of the bundles that may be asked for; the first, or the one a token names.
    pub async fn available_bundles_page(
        &self,
        query: &AvailableBundleQuery,
        token: Option<&PageToken>,
    ) -> Result<Page<AvailableBundle>, Error> {
        let endpoint = Endpoint::ListAvailableBundles;
        let call = page_call(endpoint, &[], query.limit, token, |call| {
            call.query("name", &query.names)
                .query("grantee", &query.grantee)
        });
        self.transport.send(call).await
    }

    /// All pages of the bundles that may be asked for.
    pub fn available_bundles(
        &self,
        query: AvailableBundleQuery,
    ) -> impl Stream<Item = Result<Page<AvailableBundle>, Error>> + Send + 'static + use<> {
        let state = Arc::new((self.clone(), query));
        pages(Endpoint::ListAvailableBundles, move |token| {
            let state = Arc::clone(&state);
            async move {
                let (client, query) = &*state;
                client.available_bundles_page(query, token.as_ref()).await
            }
        })
    }

    /// Reads one page of the entitlements that may be asked for; the first, or the one a token
    /// names.
    pub async fn available_entitlements_page(
        &self,
        query: &AvailableEntitlementQuery,
        token: Option<&PageToken>,
    ) -> Result<Page<AvailableEntitlement>, Error> {
        let endpoint = Endpoint::ListAvailableEntitlements;
        let call = page_call(endpoint, &[], query.limit, token, |call| {
            call.query("grantee", &query.grantee)
                .query("integration_id", &query.integration_id)
                .query("integration_name", &query.integration_name)
                .query("resource_name", &query.resource_name)
                .query("permission_name", &query.permission_names)
                .query("resource_type_id", &query.resource_type_ids)
        });
        self.transport.send(call).await
    }

    /// All pages of the entitlements that may be asked for.
    pub fn available_entitlements(
        &self,
        query: AvailableEntitlementQuery,
    ) -> impl Stream<Item = Result<Page<AvailableEntitlement>, Error>> + Send + 'static + use<>
    {
        let state = Arc::new((self.clone(), query));
        pages(Endpoint::ListAvailableEntitlements, move |token| {
            let state = Arc::clone(&state);
            async move {
                let (client, query) = &*state;
                client
                    .available_entitlements_page(query, token.as_ref())
                    .await
            }
        })
    }
}
