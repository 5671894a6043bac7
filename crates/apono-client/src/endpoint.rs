//! The closed list of calls: method, path and label of each. How a path is filled in is
//! `endpoint/path.rs`. It sends nothing.

mod path;

use reqwest::Method;

/// One path and method of the API. Closed, so that it can label a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// Ask for access.
    CreateAccessRequest,
    /// Read one request.
    GetAccessRequest,
    /// List the requests the token's user submitted.
    ListAccessRequests,
    /// List what a request holds, entitlement by entitlement.
    ListEntitlements,
    /// Ask again for what an earlier request asked for.
    RequestAgain,
    /// Start taking the access back.
    RevokeAccessRequest,
    /// List the requests made for others.
    ListDelegatedAccessRequests,
    /// Read one request made for someone else.
    GetDelegatedAccessRequest,
    /// List the bundles that may be asked for.
    ListAvailableBundles,
    /// List the entitlements that may be asked for.
    ListAvailableEntitlements,
    /// List the sessions in which live access is used.
    ListAccessSessions,
    /// Read one session.
    GetAccessSession,
    /// Read how to use a session's access. Consumes the credential.
    GetAccessSessionDetails,
    /// Start replacing a session's credentials.
    ResetAccessSessionCredentials,
    /// List requests of any user (v3).
    ListAdminRequests,
    /// Ask for access for any user (v3).
    CreateAdminRequest,
    /// Read one request of any user (v3).
    GetAdminRequest,
    /// Read how to use a request's access (v3). Consumes the credential.
    GetAdminRequestDetails,
    /// Start replacing the credentials of a request's access (v3).
    ResetAdminRequestCredentials,
    /// Start taking the access of many requests back (v3).
    RevokeAdminRequests,
    /// List the integrations a user may ask for (v3).
    ListSelectableIntegrations,
    /// List the kinds of resources a user may ask for (v3).
    ListSelectableResourceTypes,
    /// List the permissions a user may ask for (v3).
    ListSelectablePermissions,
    /// List the resources a user may ask for (v3).
    ListSelectableResources,
}

impl Endpoint {
    /// Every endpoint once, to initialise metrics.
    pub const ALL: [Self; 24] = [
        Self::CreateAccessRequest,
        Self::GetAccessRequest,
        Self::ListAccessRequests,
        Self::ListEntitlements,
        Self::RequestAgain,
        Self::RevokeAccessRequest,
        Self::ListDelegatedAccessRequests,
        Self::GetDelegatedAccessRequest,
        Self::ListAvailableBundles,
        Self::ListAvailableEntitlements,
        Self::ListAccessSessions,
        Self::GetAccessSession,
        Self::GetAccessSessionDetails,
        Self::ResetAccessSessionCredentials,
        Self::ListAdminRequests,
        Self::CreateAdminRequest,
        Self::GetAdminRequest,
        Self::GetAdminRequestDetails,
        Self::ResetAdminRequestCredentials,
        Self::RevokeAdminRequests,
        Self::ListSelectableIntegrations,
        Self::ListSelectableResourceTypes,
        Self::ListSelectablePermissions,
        Self::ListSelectableResources,
    ];

    /// A stable label, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreateAccessRequest => "create_access_request",
            Self::GetAccessRequest => "get_access_request",
            Self::ListAccessRequests => "list_access_requests",
            Self::ListEntitlements => "list_entitlements",
            Self::RequestAgain => "request_again",
            Self::RevokeAccessRequest => "revoke_access_request",
            Self::ListDelegatedAccessRequests => "list_delegated_access_requests",
            Self::GetDelegatedAccessRequest => "get_delegated_access_request",
            Self::ListAvailableBundles => "list_available_bundles",
            Self::ListAvailableEntitlements => "list_available_entitlements",
            Self::ListAccessSessions => "list_access_sessions",
            Self::GetAccessSession => "get_access_session",
            Self::GetAccessSessionDetails => "get_access_session_details",
            Self::ResetAccessSessionCredentials => "reset_access_session_credentials",
            Self::ListAdminRequests => "list_admin_requests",
            Self::CreateAdminRequest => "create_admin_request",
            Self::GetAdminRequest => "get_admin_request",
            Self::GetAdminRequestDetails => "get_admin_request_details",
            Self::ResetAdminRequestCredentials => "reset_admin_request_credentials",
            Self::RevokeAdminRequests => "revoke_admin_requests",
            Self::ListSelectableIntegrations => "list_selectable_integrations",
            Self::ListSelectableResourceTypes => "list_selectable_resource_types",
            Self::ListSelectablePermissions => "list_selectable_permissions",
            Self::ListSelectableResources => "list_selectable_resources",
        }
    }

    /// The HTTP method, upper case.
    pub fn method(self) -> &'static str {
        match self {
            Self::CreateAccessRequest
            | Self::RequestAgain
            | Self::RevokeAccessRequest
            | Self::ResetAccessSessionCredentials
            | Self::CreateAdminRequest
            | Self::ResetAdminRequestCredentials
            | Self::RevokeAdminRequests => "POST",
            Self::GetAccessRequest
            | Self::ListAccessRequests
            | Self::ListEntitlements
            | Self::ListDelegatedAccessRequests
            | Self::GetDelegatedAccessRequest
            | Self::ListAvailableBundles
            | Self::ListAvailableEntitlements
            | Self::ListAccessSessions
            | Self::GetAccessSession
            | Self::GetAccessSessionDetails
            | Self::ListAdminRequests
            | Self::GetAdminRequest
            | Self::GetAdminRequestDetails
            | Self::ListSelectableIntegrations
            | Self::ListSelectableResourceTypes
            | Self::ListSelectablePermissions
            | Self::ListSelectableResources => "GET",
        }
    }

    /// The path as the vendor's contract spells it, parameters in braces.
    pub fn path(self) -> &'static str {
        match self {
            Self::CreateAccessRequest | Self::ListAccessRequests => "/api/user/v4/access-requests",
            Self::GetAccessRequest => "/api/user/v4/access-requests/{id}",
            Self::ListEntitlements => "/api/user/v4/access-requests/{id}/entitlements",
            Self::RequestAgain => "/api/user/v4/access-requests/{id}/request-again",
            Self::RevokeAccessRequest => "/api/user/v4/access-requests/{id}/revoke",
            Self::ListDelegatedAccessRequests => "/api/user/v1/delegated-access-requests",
            Self::GetDelegatedAccessRequest => "/api/user/v1/delegated-access-requests/{id}",
            Self::ListAvailableBundles => "/api/user/v1/available-access/bundles",
            Self::ListAvailableEntitlements => "/api/user/v1/available-access/entitlements",
            Self::ListAccessSessions => "/api/user/v1/access-sessions",
            Self::GetAccessSession => "/api/user/v1/access-sessions/{id}",
            Self::GetAccessSessionDetails => "/api/user/v1/access-sessions/{id}/access-details",
            Self::ResetAccessSessionCredentials => {
                "/api/user/v1/access-sessions/{id}/reset-credentials"
            }
            Self::ListAdminRequests | Self::CreateAdminRequest => "/api/v3/access-requests",
            Self::GetAdminRequest => "/api/v3/access-requests/{id}",
            Self::GetAdminRequestDetails => "/api/v3/access-requests/{id}/access-details",
            Self::ResetAdminRequestCredentials => "/api/v3/access-requests/{id}/reset",
            Self::RevokeAdminRequests => "/api/v3/access-requests-bulk/revoke",
            Self::ListSelectableIntegrations => "/api/v3/selectable-integrations",
            Self::ListSelectableResourceTypes => {
                "/api/v3/selectable-integrations/{integration_id}/resource-types"
            }
            Self::ListSelectablePermissions => {
                "/api/v3/selectable-integrations/{integration_id}/{resource_type}/permissions"
            }
            Self::ListSelectableResources => {
                "/api/v3/selectable-integrations/{integration_id}/{resource_type}/resources"
            }
        }
    }

    /// What the call does, as the end of "could not ...".
    pub(crate) fn doing(self) -> &'static str {
        match self {
            Self::CreateAccessRequest => "create an access request",
            Self::GetAccessRequest => "read an access request",
            Self::ListAccessRequests => "list access requests",
            Self::ListEntitlements => "list the entitlements of an access request",
            Self::RequestAgain => "ask again for access",
            Self::RevokeAccessRequest => "revoke an access request",
            Self::ListDelegatedAccessRequests => "list delegated access requests",
            Self::GetDelegatedAccessRequest => "read a delegated access request",
            Self::ListAvailableBundles => "list available bundles",
            Self::ListAvailableEntitlements => "list available entitlements",
            Self::ListAccessSessions => "list access sessions",
            Self::GetAccessSession => "read an access session",
            Self::GetAccessSessionDetails => "read the access details of a session",
            Self::ResetAccessSessionCredentials => "reset the credentials of a session",
            Self::ListAdminRequests => "list requests of any user",
            Self::CreateAdminRequest => "create a request for a user",
            Self::GetAdminRequest => "read a request of any user",
            Self::GetAdminRequestDetails => "read the access details of a request",
            Self::ResetAdminRequestCredentials => "reset the credentials of a request",
            Self::RevokeAdminRequests => "revoke access requests in bulk",
            Self::ListSelectableIntegrations => "list selectable integrations",
            Self::ListSelectableResourceTypes => "list selectable resource types",
            Self::ListSelectablePermissions => "list selectable permissions",
            Self::ListSelectableResources => "list selectable resources",
        }
    }

    /// Whether the answer holds credentials. Of such an answer no text may be kept, whatever its
    /// status: nobody promises that an error does not repeat what it could not deliver.
    pub(crate) fn answers_with_secrets(self) -> bool {
        matches!(
            self,
            Self::GetAccessSessionDetails | Self::GetAdminRequestDetails
        )
    }

    pub(crate) fn http_method(self) -> Method {
        match self.method() {
            "POST" => Method::POST,
            _ => Method::GET,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn labels_are_distinct() {
        let labels: BTreeSet<_> = Endpoint::ALL
            .iter()
            .map(|endpoint| endpoint.as_str())
            .collect();
        assert_eq!(labels.len(), Endpoint::ALL.len());
    }
}
