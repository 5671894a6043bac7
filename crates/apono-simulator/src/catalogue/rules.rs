//! What is found in a catalogue, which flow decides about it, and whom that flow lets ask.

use super::{
    Bundle, Catalogue, Flow, Integration, Pair, Permission, RequestFor, Resource, ResourceType,
};

/// Everything an answer shows of an entitlement.
#[derive(Debug, Clone, Copy)]
pub struct Described<'a> {
    /// Where it is.
    pub integration: &'a Integration,
    /// The kind of its resource.
    pub resource_type: &'a ResourceType,
    /// Its resource.
    pub resource: &'a Resource,
    /// Its permission.
    pub permission: &'a Permission,
}

impl Catalogue {
    /// The catalogue the simulator starts with.
    pub fn built_in() -> Self {
        // A part of the program: a test proves that it parses.
        Self::parse(include_str!("../catalogue.yaml")).unwrap_or_default()
    }

    /// Reads a catalogue written in YAML or JSON and checks that its references lead somewhere.
    ///
    /// # Errors
    /// Says what does not parse or which reference leads nowhere.
    pub fn parse(text: &str) -> Result<Self, String> {
        let catalogue: Self = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        catalogue.check()?;
        Ok(catalogue)
    }

    fn check(&self) -> Result<(), String> {
        for integration in &self.integrations {
            for resource in &integration.resources {
                if !integration
                    .resource_types
                    .iter()
                    .any(|kind| kind.id == resource.resource_type)
                {
                    return Err(format!(
                        "resource `{}` is of type `{}`, which `{}` does not have",
                        resource.id, resource.resource_type, integration.id
                    ));
                }
            }
        }
        for bundle in &self.bundles {
            for pair in &bundle.entitlements {
                self.describe(pair)
                    .map_err(|unknown| format!("bundle `{}`: {unknown}", bundle.name))?;
            }
        }
        for flow in &self.flows {
            if let Some(name) = flow.bundles.iter().find(|name| self.bundle(name).is_none()) {
                return Err(format!("flow `{}`: no bundle `{name}`", flow.name));
            }
        }
        Ok(())
    }

    /// The bundle of this id or display name.
    pub fn bundle(&self, reference: &str) -> Option<&Bundle> {
        self.bundles
            .iter()
            .find(|bundle| bundle.id == reference)
            .or_else(|| self.bundles.iter().find(|bundle| bundle.name == reference))
    }

    /// All that is known of a pair of ids.
    ///
    /// # Errors
    /// Says which of the two ids is unknown.
    pub fn describe(&self, pair: &Pair) -> Result<Described<'_>, String> {
        let (integration, resource) = self
            .integrations
            .iter()
            .find_map(|integration| {
                let mut resources = integration.resources.iter();
                Some((
                    integration,
                    resources.find(|resource| resource.id == pair.resource)?,
                ))
            })
            .ok_or_else(|| format!("no resource with the id `{}`", pair.resource))?;
        integration
            .resource_types
            .iter()
            .find(|kind| kind.id == resource.resource_type)
            .and_then(|resource_type| {
                let mut permissions = resource_type.permissions.iter();
                let permission = permissions.find(|one| one.id == pair.permission)?;
                Some(Described {
                    integration,
                    resource_type,
                    resource,
                    permission,
                })
            })
            .ok_or_else(|| {
                format!(
                    "no permission with the id `{}` on `{}`",
                    pair.permission, pair.resource
                )
            })
    }

    /// The place of the first flow open to this requestor that keeps this bundle whole.
    pub fn flow_of_bundle(&self, requestor: &str, bundle: &Bundle) -> Option<usize> {
        self.flows.iter().position(|flow| {
            flow.is_open_to(requestor)
                && flow
                    .bundles
                    .iter()
                    .any(|it| *it == bundle.id || *it == bundle.name)
        })
    }

    /// The place of the first flow open to this requestor that covers this entitlement.
    pub fn flow_of(&self, requestor: &str, entitlement: &Described<'_>) -> Option<usize> {
        self.flows
            .iter()
            .position(|flow| flow.is_open_to(requestor) && flow.covers(entitlement))
    }

    /// Whether this flow lets one ask for the other, both by email.
    pub fn lets_ask(&self, flow: &Flow, requestor: &str, grantee: &str) -> bool {
        flow.request_for.iter().any(|scope| match scope {
            RequestFor::Oneself => requestor == grantee,
            RequestFor::Others => {
                requestor != grantee
                    && (flow.grantees.is_empty() || flow.grantees.iter().any(|it| it == grantee))
            }
            RequestFor::DirectReports => self
                .reports
                .get(requestor)
                .is_some_and(|reports| reports.iter().any(|it| it == grantee)),
        })
    }

    /// Whether any flow lets one ask for this entitlement for the other.
    pub fn may_ask(&self, requestor: &str, grantee: &str, entitlement: &Described<'_>) -> bool {
        self.flow_of(requestor, entitlement)
            .and_then(|place| self.flows.get(place))
            .is_some_and(|flow| self.lets_ask(flow, requestor, grantee))
    }

    /// Whether flows let one ask for the whole of this bundle for the other.
    pub fn may_ask_bundle(&self, requestor: &str, grantee: &str, bundle: &Bundle) -> bool {
        match self.flow_of_bundle(requestor, bundle) {
            Some(place) => self
                .flows
                .get(place)
                .is_some_and(|flow| self.lets_ask(flow, requestor, grantee)),
            None => bundle.entitlements.iter().all(|pair| {
                self.describe(pair)
                    .is_ok_and(|known| self.may_ask(requestor, grantee, &known))
            }),
        }
    }

    /// Every entitlement there is, in the order of the file.
    pub fn entitlements(&self) -> impl Iterator<Item = Described<'_>> {
        self.integrations.iter().flat_map(|integration| {
            integration.resources.iter().flat_map(move |resource| {
                let mut kinds = integration.resource_types.iter();
                let kind = kinds.find(|kind| kind.id == resource.resource_type);
                kind.into_iter().flat_map(move |resource_type| {
                    let permissions = resource_type.permissions.iter();
                    permissions.map(move |permission| Described {
                        integration,
                        resource_type,
                        resource,
                        permission,
                    })
                })
            })
        })
    }
}

impl Flow {
    fn is_open_to(&self, requestor: &str) -> bool {
        self.requestors.is_empty() || self.requestors.iter().any(|it| it == requestor)
    }

    fn covers(&self, entitlement: &Described<'_>) -> bool {
        let fits = |wanted: &Option<String>, id: &str| wanted.as_deref().is_none_or(|it| it == id);
        self.targets.iter().any(|target| {
            fits(&target.integration, &entitlement.integration.id)
                && fits(&target.resource, &entitlement.resource.id)
                && fits(&target.permission, &entitlement.permission.id)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_is_valid_and_every_entitlement_has_a_flow() {
        let catalogue = Catalogue::built_in();
        for bundle in &catalogue.bundles {
            for pair in &bundle.entitlements {
                let described = catalogue.describe(pair).unwrap();
                assert!(
                    catalogue.flow_of("a@example.com", &described).is_some(),
                    "{pair:?}"
                );
            }
        }
    }

    #[test]
    fn a_bundle_is_found_by_id_and_by_name() {
        let catalogue = Catalogue::built_in();
        assert_eq!(
            catalogue.bundle("prod-read"),
            catalogue.bundle("bundle-prod-read")
        );
        assert!(catalogue.bundle("prod").is_none());
    }

    #[test]
    fn a_catalogue_with_a_reference_that_leads_nowhere_is_refused() {
        let text = include_str!("../catalogue.yaml").replace("res-orders, perm", "res-gone, perm");
        assert!(Catalogue::parse(&text).unwrap_err().contains("res-gone"));
    }

    #[test]
    fn a_catalogue_may_be_written_in_json() {
        let text = serde_json::to_string(&Catalogue::built_in()).unwrap();
        assert_eq!(Catalogue::parse(&text).unwrap(), Catalogue::built_in());
    }
}
