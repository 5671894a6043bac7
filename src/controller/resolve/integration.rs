//! Resources of one integration, which the older API (v3) offers step by step: integrations, kinds
//! of resources, permissions, resources. It knows integrations by their ids alone; their names come
//! from what may be asked for in the newer way.

use apono_client::{
    AvailableEntitlement, AvailableEntitlementQuery, Endpoint, Listing, SelectableIntegration,
    SelectableResource,
};

use super::{
    Answer, Failure, Question, Resolution,
    lists::{self, List},
    no, not_allowed, storable,
};
use crate::{
    connection::policy::asks,
    controller::catalogue::{self, Found, words},
    crd::{IntegrationTarget, NamedRef, ResolvedAccess},
};

impl Question<'_> {
    pub(super) async fn integration(&self, target: &IntegrationTarget) -> Answer<ResolvedAccess> {
        let integration = match self.which(target).await? {
            Ok(integration) => integration,
            Err(resolution) => return Ok(Err(resolution)),
        };
        let id = integration.id.clone().unwrap_or_default();
        if let Err(resolution) = storable(Some(&id)) {
            return Ok(Err(resolution));
        }
        let kind = match self.kind(&id, target).await? {
            Ok(kind) => kind,
            Err(resolution) => return Ok(Err(resolution)),
        };
        if let Err(resolution) = self.permissions((&id, &kind), target).await? {
            return Ok(Err(resolution));
        }
        let resources = match self.resources((&id, &kind), target).await? {
            Ok(resources) => resources,
            Err(resolution) => return Ok(Err(resolution)),
        };
        Ok(Ok(ResolvedAccess {
            integrations: vec![integration],
            resources,
            ..ResolvedAccess::default()
        }))
    }

    /// The integration, by its id or by its name.
    async fn which(&self, target: &IntegrationTarget) -> Answer<NamedRef> {
        let endpoint = Endpoint::ListSelectableIntegrations;
        let call = self.connection.remote.call(endpoint, |client| async move {
            client.selectable_integrations(self.grantee).await
        });
        let offered = call.await.map_err(lists::failure)?;
        let written = &target.integration;
        if offered.items.iter().any(|one| one.id == *written) {
            return self.named(written).await;
        }
        let found = self.by_name(written).await;
        let names = match found {
            Err(Failure::NoCatalogue(_)) => return Ok(Err(self.only_ids(written, &offered))),
            other => other?,
        };
        let is_offered = |id: &str| offered.items.iter().any(|one| one.id == id);
        let among: Vec<_> = names
            .items
            .iter()
            .filter(|one| is_offered(&one.integration.id))
            .cloned()
            .collect();
        Ok(match catalogue::integration(written, &among) {
            Found::One(one) => self.integration_allowed(one),
            Found::Several(all) => Err(no(words::ambiguous(
                ("spec.access.integration.integration", written),
                &all,
                "the id",
            ))),
            Found::Nothing => Err(self.no_integration(written, &among, &offered)),
        })
    }

    /// The entitlements of an integration of this name; all of them where there are none.
    async fn by_name(&self, written: &str) -> Result<List<AvailableEntitlement>, Failure> {
        let everything = AvailableEntitlementQuery {
            grantee: self.grantee.map(ToOwned::to_owned),
            ..AvailableEntitlementQuery::default()
        };
        if !written.contains('*') {
            let query = AvailableEntitlementQuery {
                integration_name: Some(written.to_owned()),
                ..everything.clone()
            };
            let list = lists::entitlements(self.connection, query).await?;
            if catalogue::integration(written, &list.items) != Found::Nothing {
                return Ok(list);
            }
        }
        lists::entitlements(self.connection, everything).await
    }

    /// The name of an integration is asked for only where a rule is about it.
    async fn named(&self, id: &str) -> Answer<NamedRef> {
        let nameless = NamedRef {
            id: Some(id.to_owned()),
            name: None,
        };
        if self.allow.integrations.is_none() {
            return Ok(Ok(nameless));
        }
        let query = AvailableEntitlementQuery {
            grantee: self.grantee.map(ToOwned::to_owned),
            integration_id: Some(id.to_owned()),
            ..AvailableEntitlementQuery::default()
        };
        let list = lists::entitlements(self.connection, query).await?;
        let of_it = list.items.iter().find(|one| one.integration.id == id);
        Ok(match of_it {
            Some(one) => self.integration_allowed(catalogue::reference(id, &one.integration.name)),
            None => Err(self.unread("it offers nothing of this integration by name")),
        })
    }

    fn integration_allowed(&self, one: NamedRef) -> Result<NamedRef, Resolution> {
        let name = one.name.as_deref().unwrap_or_default();
        asks::integration(self.allow, name).map_err(not_allowed)?;
        Ok(one)
    }

    /// Names cannot be had: only an id would do.
    fn only_ids(&self, written: &str, offered: &Listing<SelectableIntegration>) -> Resolution {
        if is_cut(offered) {
            return self.unlisted();
        }
        let ids = offered.items.iter().map(|one| one.id.as_str());
        let what = ("spec.access.integration.integration", written);
        no(words::unknown(
            what,
            "integration by its id",
            self.who(),
            ids,
        ))
    }

    fn no_integration(
        &self,
        written: &str,
        among: &[AvailableEntitlement],
        offered: &Listing<SelectableIntegration>,
    ) -> Resolution {
        if is_cut(offered) {
            return self.unlisted();
        }
        let named = among.iter().map(|one| one.integration.name.as_str());
        let mut names: Vec<_> = named
            .filter(|name| asks::integration(self.allow, name).is_ok())
            .collect();
        if names.is_empty() && self.allow.integrations.is_none() {
            names = offered.items.iter().map(|one| one.id.as_str()).collect();
        }
        let what = ("spec.access.integration.integration", written);
        no(words::unknown(what, "integration", self.who(), names))
    }

    /// The kind of resources, as the next steps take it.
    async fn kind(&self, id: &str, target: &IntegrationTarget) -> Answer<String> {
        let endpoint = Endpoint::ListSelectableResourceTypes;
        let call = self.connection.remote.call(endpoint, |client| async move {
            client.selectable_resource_types(id, self.grantee).await
        });
        let offered = call.await.map_err(lists::failure)?;
        let what = (
            "spec.access.integration.resourceType",
            &*target.resource_type,
        );
        Ok(match catalogue::resource_type(what.1, &offered.items) {
            Found::One(kind) => Ok(kind),
            Found::Several(all) => Err(no(words::ambiguous(what, &all, "the id"))),
            Found::Nothing if is_cut(&offered) => Ok(target.resource_type.clone()),
            Found::Nothing => {
                let ids = offered.items.iter().map(|one| one.id.as_str());
                let kind = "type of resource in this integration";
                Err(no(words::unknown(what, kind, self.who(), ids)))
            }
        })
    }

    /// Permissions have no ids here: they are sent as they are written, so every letter counts.
    async fn permissions(
        &self,
        (id, kind): (&str, &str),
        target: &IntegrationTarget,
    ) -> Answer<()> {
        let endpoint = Endpoint::ListSelectablePermissions;
        let call = self.connection.remote.call(endpoint, |client| async move {
            client.selectable_permissions(id, kind, self.grantee).await
        });
        let offered = call.await.map_err(lists::failure)?;
        let names = &offered.permissions;
        let missing = target
            .permissions
            .iter()
            .find(|one| !names.items.contains(one));
        if let Some(missing) = missing.filter(|_| !is_cut(names)) {
            let what = ("spec.access.integration.permissions", missing.as_str());
            let all = names.items.iter().map(String::as_str);
            let kind = "permission on this type of resource";
            return Ok(Err(no(words::unknown(what, kind, self.who(), all))));
        }
        if target.permissions.len() > 1 && !offered.allow_multiple {
            let message = words::one_permission(&target.permissions, kind);
            return Ok(Err(Resolution::NotAllowed { message }));
        }
        Ok(Ok(()))
    }

    /// The ids of the resources, in the order of the spec.
    async fn resources(
        &self,
        (id, kind): (&str, &str),
        target: &IntegrationTarget,
    ) -> Answer<Vec<String>> {
        let endpoint = Endpoint::ListSelectableResources;
        let call = self.connection.remote.call(endpoint, |client| async move {
            client.selectable_resources(id, kind, self.grantee).await
        });
        let offered = call.await.map_err(lists::failure)?;
        let found = target
            .resources
            .iter()
            .map(|written| self.resource(written, &offered));
        Ok(found.collect())
    }

    fn resource(
        &self,
        written: &str,
        offered: &Listing<SelectableResource>,
    ) -> Result<String, Resolution> {
        let what = ("spec.access.integration.resources", written);
        match catalogue::resource(written, &offered.items) {
            Found::One(id) => {
                storable(Some(&id))?;
                Ok(id)
            }
            Found::Several(all) => Err(no(words::ambiguous(what, &all, "the id"))),
            // What did not come may be there: the API itself will say if it is not.
            Found::Nothing if is_cut(offered) => Ok(written.to_owned()),
            Found::Nothing => {
                let names = offered.items.iter().map(|one| one.name.as_str());
                let kind = "resource of this type in this integration";
                Err(no(words::unknown(what, kind, self.who(), names)))
            }
        }
    }
}

/// Whether the list says that there is more than came. One that says nothing is taken as whole: as
/// far as is known, these lists always are.
fn is_cut<T>(list: &Listing<T>) -> bool {
    let received = u64::try_from(list.items.len()).unwrap_or(u64::MAX);
    list.skipped > 0
        || list.offset.unwrap_or(0) > 0
        || list.total.is_some_and(|total| total > received)
}
