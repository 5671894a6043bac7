//! What can be asked for, and under which rules: integrations, bundles and access flows.
//!
//! The shape of the catalogue's file. What is found in it and whom a flow lets ask is `rules.rs`'s.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod rules;

pub use rules::Described;

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
    /// Who reports to whom: the emails of direct reports by the email of their manager.
    #[serde(default)]
    pub reports: BTreeMap<String, Vec<String>>,
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
    /// How one gets in once access is live.
    #[serde(default)]
    pub access: Access,
}

/// How one gets into a system. `{username}` and `{password}` stand for those of the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Whether there is a user name and a password; otherwise sign-on is elsewhere.
    pub credentials: bool,
    /// Whether the password can be reset.
    pub resettable: bool,
    /// What to do.
    pub instructions: String,
    /// What an admin has to add.
    pub admin_message: Option<String>,
    /// Where it is.
    pub parameters: BTreeMap<String, String>,
    /// A command that gets in.
    pub cli: Option<String>,
    /// A page that gets in.
    pub link: Option<Link>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            credentials: true,
            resettable: true,
            instructions: "Sign in as {username} with the password {password}.".to_owned(),
            admin_message: None,
            parameters: BTreeMap::new(),
            cli: None,
            link: None,
        }
    }
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Where to.
    pub url: String,
    /// What it is called.
    #[serde(default)]
    pub title: Option<String>,
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
    /// Whether one request may be for several of them.
    #[serde(default = "yes")]
    pub allow_multiple: bool,
}

const fn yes() -> bool {
    true
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
    /// Emails of those it lets ask; none: everybody.
    #[serde(default)]
    pub requestors: Vec<String>,
    /// Emails of the others one may ask for; none: everybody.
    #[serde(default)]
    pub grantees: Vec<String>,
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
    /// A program elsewhere, told by a webhook.
    Webhook,
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
    /// For those who report to oneself.
    DirectReports,
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
