//! What can be asked for, and under which rules: integrations, bundles and access flows.
//!
//! The catalogue finds things and splits a wish into the flows it touches. It never changes while
//! the simulator runs and keeps no requests.

use serde::{Deserialize, Serialize};

/// The catalogue as its file says it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// Systems with resources in them.
    pub integrations: Vec<Integration>,
    /// Named sets of entitlements.
    #[serde(default)]
    pub bundles: Vec<Bundle>,
    /// Rules, the first that covers an entitlement decides.
    pub flows: Vec<Flow>,
    /// Custom fields of the account.
    #[serde(default)]
    pub custom_fields: Vec<CustomField>,
    /// Emails of people who can be grantees without having a token here.
    #[serde(default)]
    pub people: Vec<String>,
}

/// A connected system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Integration {
    /// Its id.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// The kinds of resources in it.
    pub resource_types: Vec<ResourceType>,
    /// The resources in it.
    pub resources: Vec<Resource>,
}

/// A kind of resource and what one may be permitted on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceType {
    /// Its id.
    pub id: String,
    /// Its display name.
    pub label: String,
    /// What it offers.
    pub permissions: Vec<Permission>,
}

/// Something one may be permitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// Its id.
    pub id: String,
    /// Its id in the connected system.
    pub source_id: String,
    /// Its display name.
    pub name: String,
}

/// Something one may be permitted something on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Its id.
    pub id: String,
    /// Its id in the connected system.
    pub source_id: String,
    /// Its display name.
    pub name: String,
    /// The id of its resource type.
    #[serde(rename = "type")]
    pub resource_type: String,
}

/// A named set of entitlements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Its id.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// What it gives.
    pub entitlements: Vec<Pair>,
}

/// A permission on a resource, by ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The resource's id.
    pub resource: String,
    /// The permission's id.
    pub permission: String,
}

/// The rules for what it covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Its name.
    pub name: String,
    /// Names or ids of bundles that stay whole under it.
    #[serde(default)]
    pub bundles: Vec<String>,
    /// The entitlements under it.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// Who decides.
    #[serde(default)]
    pub approval: Approval,
    /// Whether a second factor is asked for.
    #[serde(default)]
    pub mfa: bool,
    /// Whether a reason is needed.
    #[serde(default)]
    pub justification_required: bool,
    /// For whom one may ask.
    #[serde(default = "everybody")]
    pub request_for: Vec<RequestFor>,
    /// The longest duration one may ask for; absent: any.
    #[serde(default)]
    pub max_duration_in_sec: Option<i32>,
    /// The period when no duration is asked for; absent: without end.
    #[serde(default)]
    pub grant_duration_in_sec: Option<i32>,
    /// How grants under it turn out.
    #[serde(default)]
    pub grant: GrantFate,
    /// How revokes under it turn out.
    #[serde(default)]
    pub revoke: RevokeFate,
}

fn everybody() -> Vec<RequestFor> {
    vec![RequestFor::Oneself, RequestFor::Others]
}

/// A set of entitlements; an absent part means any.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Only of this integration, by id.
    #[serde(default)]
    pub integration: Option<String>,
    /// Only of this resource, by id.
    #[serde(default)]
    pub resource: Option<String>,
    /// Only this permission, by id.
    #[serde(default)]
    pub permission: Option<String>,
}

/// Who decides about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// Nobody: it is approved by itself.
    #[default]
    Auto,
    /// A person.
    Human,
}

/// For whom one may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestFor {
    /// For oneself.
    #[serde(rename = "self")]
    Oneself,
    /// For somebody else.
    Others,
}

/// How a grant turns out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantFate {
    /// All of it works.
    #[default]
    Succeed,
    /// The first entitlement works, the others do not.
    Partly,
    /// None of it works.
    Fail,
    /// It never ends.
    Stick,
}

/// How a revoke turns out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevokeFate {
    /// It works.
    #[default]
    Succeed,
    /// It does not, and the access stays.
    Fail,
    /// It never ends.
    Stick,
}

/// A custom field of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomField {
    /// Its id, the key in `custom_fields`.
    pub id: String,
    /// Whether a create must fill it.
    #[serde(default)]
    pub required: bool,
}

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
        Self::parse(include_str!("catalogue.yaml")).unwrap_or_default()
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

    /// The place of the flow that keeps this bundle whole.
    pub fn flow_of_bundle(&self, bundle: &Bundle) -> Option<usize> {
        self.flows.iter().position(|flow| {
            flow.bundles
                .iter()
                .any(|it| *it == bundle.id || *it == bundle.name)
        })
    }

    /// The place of the first flow that covers this entitlement.
    pub fn flow_of(&self, entitlement: &Described<'_>) -> Option<usize> {
        let fits = |wanted: &Option<String>, id: &str| wanted.as_deref().is_none_or(|it| it == id);
        self.flows.iter().position(|flow| {
            flow.targets.iter().any(|target| {
                fits(&target.integration, &entitlement.integration.id)
                    && fits(&target.resource, &entitlement.resource.id)
                    && fits(&target.permission, &entitlement.permission.id)
            })
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
                assert!(catalogue.flow_of(&described).is_some(), "{pair:?}");
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
        let text = include_str!("catalogue.yaml").replace("res-orders, perm", "res-gone, perm");
        assert!(Catalogue::parse(&text).unwrap_err().contains("res-gone"));
    }

    #[test]
    fn a_catalogue_may_be_written_in_json() {
        let text = serde_json::to_string(&Catalogue::built_in()).unwrap();
        assert_eq!(Catalogue::parse(&text).unwrap(), Catalogue::built_in());
    }
}
