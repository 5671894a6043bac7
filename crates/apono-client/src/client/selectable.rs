//! What a user may ask for at the older API (v3). Without a user it is the token's own; no list has
//! a second page to ask for, see [`Listing::is_complete`].

use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::listing::Listing;
use crate::model::selectable::{
    SelectableIntegration, SelectablePermissions, SelectableResource, SelectableResourceType,
};
use crate::transport::Call;

impl Client {
    /// Lists the integrations a user may ask for.
    pub async fn selectable_integrations(
        &self,
        user_id: Option<&str>,
    ) -> Result<Listing<SelectableIntegration>, Error> {
        self.transport
            .send(selectable(
                Endpoint::ListSelectableIntegrations,
                &[],
                user_id,
            ))
            .await
    }

    /// Lists the kinds of resources of an integration a user may ask for.
    pub async fn selectable_resource_types(
        &self,
        integration_id: &str,
        user_id: Option<&str>,
    ) -> Result<Listing<SelectableResourceType>, Error> {
        let endpoint = Endpoint::ListSelectableResourceTypes;
        self.transport
            .send(selectable(endpoint, &[integration_id], user_id))
            .await
    }

    /// Lists the permissions a user may ask for on a kind of resources.
    pub async fn selectable_permissions(
        &self,
        integration_id: &str,
        resource_type: &str,
        user_id: Option<&str>,
    ) -> Result<SelectablePermissions, Error> {
        let endpoint = Endpoint::ListSelectablePermissions;
        self.transport
            .send(selectable(
                endpoint,
                &[integration_id, resource_type],
                user_id,
            ))
            .await
    }

    /// Lists the resources of a kind a user may ask for.
    pub async fn selectable_resources(
        &self,
        integration_id: &str,
        resource_type: &str,
        user_id: Option<&str>,
    ) -> Result<Listing<SelectableResource>, Error> {
        let endpoint = Endpoint::ListSelectableResources;
        self.transport
            .send(selectable(
                endpoint,
                &[integration_id, resource_type],
                user_id,
            ))
            .await
    }
}

fn selectable<'a>(
    endpoint: Endpoint,
    parameters: &'a [&'a str],
    user_id: Option<&str>,
) -> Call<'a> {
    Call::new(endpoint, parameters)
        .expecting_many()
        .query("user_id", user_id)
}
