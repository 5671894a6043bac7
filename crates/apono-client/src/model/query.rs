//! Which part of a list is wanted. How it becomes a query string is said beside each call.

/// Which of the user's own requests to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Items a page; absent means the API's own 100.
    pub limit: Option<u32>,
    /// Requests submitted by this user (id or e-mail address); absent means the token's user.
    pub requestor: Option<String>,
    /// Status words, verbatim; none means all.
    pub statuses: Vec<String>,
}

/// Which of the requests made for others to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DelegatedQuery {
    /// Items a page; absent means the API's own 100.
    pub limit: Option<u32>,
    /// Requests made for this user (id or e-mail address); absent means for anyone.
    pub grantee: Option<String>,
    /// Status words, verbatim; none means all.
    pub statuses: Vec<String>,
}

/// Which entitlements of a request to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntitlementQuery {
    /// Items a page; absent means the API's own 100.
    pub limit: Option<u32>,
    /// Status words, verbatim; none means all.
    pub statuses: Vec<String>,
    /// Only of these integrations, by their ids; none means all.
    pub integration_ids: Vec<String>,
    /// Only of these kinds of resources, by their ids; none means all.
    pub resource_types: Vec<String>,
}

/// Which sessions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionQuery {
    /// Items a page; absent means the API's own 100.
    pub limit: Option<u32>,
    /// Only sessions of these requests, by their ids; none means all.
    pub request_ids: Vec<String>,
    /// Only sessions of these integrations, by their ids; none means all.
    pub integration_ids: Vec<String>,
}

/// Which of the bundles that may be asked for to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AvailableBundleQuery {
    /// Items a page; absent means the API's own 100.
    pub limit: Option<u32>,
    /// Names, any of which may fit. `*` stands for any text at the start, the end or both. None
    /// means all.
    pub names: Vec<String>,
    /// What this user (id or e-mail address) may ask for; absent means the token's user.
    pub grantee: Option<String>,
}

/// Which of the entitlements that may be asked for to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AvailableEntitlementQuery {
    /// Items a page; absent means the API's own 100.
    pub limit: Option<u32>,
    /// What this user (id or e-mail address) may ask for; absent means the token's user.
    pub grantee: Option<String>,
    /// Only of this integration, by its id.
    pub integration_id: Option<String>,
    /// Only of this integration, by its name.
    pub integration_name: Option<String>,
    /// Only this resource, by its name.
    pub resource_name: Option<String>,
    /// Permission names, any of which may fit; none means all.
    pub permission_names: Vec<String>,
    /// Kinds of resources by their ids, any of which may fit; none means all.
    pub resource_type_ids: Vec<String>,
}

/// Which requests of the older API to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdminQuery {
    /// Requests of this user, by id. What an absent one means is not documented.
    pub user_id: Option<String>,
    /// How many days to look back. What an absent one means is not documented.
    pub days_offset: Option<u32>,
}
