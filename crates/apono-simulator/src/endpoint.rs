//! The calls the simulated API knows, by name: which method and path is which.
//!
//! Names are for faults, counters and the ledger. What a call does is decided elsewhere.

use serde::{Deserialize, Serialize};

macro_rules! endpoints {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// A call of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Endpoint { $($(#[doc = $doc])+ $name,)+ }

        impl Endpoint {
            /// All of them.
            pub const ALL: [Self; [$(stringify!($name)),+].len()] = [$(Self::$name),+];
        }
    };
}

endpoints! {
    /// `POST /api/user/v4/access-requests`
    Create,
    /// `GET /api/user/v4/access-requests`
    List,
    /// `GET /api/user/v4/access-requests/{id}`
    Get,
    /// `GET /api/user/v4/access-requests/{id}/entitlements`
    Entitlements,
    /// `POST /api/user/v4/access-requests/{id}/request-again`
    RequestAgain,
    /// `POST /api/user/v4/access-requests/{id}/revoke`
    Revoke,
    /// `GET /api/user/v1/delegated-access-requests`
    ListDelegated,
    /// `GET /api/user/v1/delegated-access-requests/{id}`
    GetDelegated,
    /// `GET /api/user/v1/available-access/bundles`
    AvailableBundles,
    /// `GET /api/user/v1/available-access/entitlements`
    AvailableEntitlements,
    /// `GET /api/user/v1/access-sessions`
    ListSessions,
    /// `GET /api/user/v1/access-sessions/{id}`
    GetSession,
    /// `GET /api/user/v1/access-sessions/{id}/access-details`
    SessionDetails,
    /// `POST /api/user/v1/access-sessions/{id}/reset-credentials`
    ResetSession,
    /// `GET /api/v3/access-requests`
    V3List,
    /// `POST /api/v3/access-requests`
    V3Create,
    /// `GET /api/v3/access-requests/{id}`
    V3Get,
    /// `GET /api/v3/access-requests/{id}/access-details`
    V3Details,
    /// `POST /api/v3/access-requests/{id}/reset`
    V3Reset,
    /// `POST /api/v3/access-requests-bulk/revoke`
    V3BulkRevoke,
    /// `GET /api/v3/selectable-integrations`
    SelectableIntegrations,
    /// `GET /api/v3/selectable-integrations/{integration_id}/resource-types`
    SelectableResourceTypes,
    /// `GET /api/v3/selectable-integrations/{integration_id}/{resource_type}/permissions`
    SelectablePermissions,
    /// `GET /api/v3/selectable-integrations/{integration_id}/{resource_type}/resources`
    SelectableResources,
    /// Anything else: 404 or 405.
    Unknown,
}

impl Endpoint {
    /// Answers a list of requests.
    pub const fn is_request_list(self) -> bool {
        matches!(self, Self::List | Self::ListDelegated | Self::V3List)
    }

    /// Answers pages.
    pub const fn is_paged(self) -> bool {
        matches!(
            self,
            Self::List
                | Self::ListDelegated
                | Self::Entitlements
                | Self::AvailableBundles
                | Self::AvailableEntitlements
                | Self::ListSessions
        )
    }

    /// Makes requests and answers with an array of them.
    pub const fn creates(self) -> bool {
        matches!(self, Self::Create | Self::RequestAgain)
    }

    /// Is of the admin API, where a service account is somebody.
    pub const fn is_v3(self) -> bool {
        matches!(
            self,
            Self::V3List
                | Self::V3Create
                | Self::V3Get
                | Self::V3Details
                | Self::V3Reset
                | Self::V3BulkRevoke
                | Self::SelectableIntegrations
                | Self::SelectableResourceTypes
                | Self::SelectablePermissions
                | Self::SelectableResources
        )
    }
}

/// Where a method and a path lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// To a call, with the ids in the path.
    To(Endpoint, Vec<String>),
    /// To a path that only knows these methods.
    WrongMethod(&'static str),
    /// Nowhere.
    Nowhere,
}

impl Route {
    /// The name of the call.
    pub(crate) const fn endpoint(&self) -> Endpoint {
        match self {
            Self::To(endpoint, _) => *endpoint,
            Self::WrongMethod(_) | Self::Nowhere => Endpoint::Unknown,
        }
    }

    /// The id of the request or session in the path.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::To(_, ids) => ids.first().map(String::as_str).filter(|id| !id.is_empty()),
            Self::WrongMethod(_) | Self::Nowhere => None,
        }
    }

    /// Finds the call; `segments` are those of the decoded path.
    pub(crate) fn find(method: &str, segments: &[String]) -> Self {
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["api", "user", "v4", "access-requests", rest @ ..] => Self::user_v4(method, rest),
            ["api", "user", "v1", rest @ ..] => Self::user_v1(method, rest),
            ["api", "v3", rest @ ..] => Self::v3(method, rest),
            _ => Self::Nowhere,
        }
    }

    fn user_v4(method: &str, rest: &[&str]) -> Self {
        match rest {
            [] => Self::get_or_post(method, Endpoint::List, Endpoint::Create),
            [id] => Self::get(method, Endpoint::Get, &[id]),
            [id, "entitlements"] => Self::get(method, Endpoint::Entitlements, &[id]),
            [id, "request-again"] => Self::post(method, Endpoint::RequestAgain, &[id]),
            [id, "revoke"] => Self::post(method, Endpoint::Revoke, &[id]),
            _ => Self::Nowhere,
        }
    }

    fn user_v1(method: &str, rest: &[&str]) -> Self {
        match rest {
            ["delegated-access-requests"] => Self::get(method, Endpoint::ListDelegated, &[]),
            ["delegated-access-requests", id] => Self::get(method, Endpoint::GetDelegated, &[id]),
            ["available-access", "bundles"] => Self::get(method, Endpoint::AvailableBundles, &[]),
            ["available-access", "entitlements"] => {
                Self::get(method, Endpoint::AvailableEntitlements, &[])
            }
            ["access-sessions"] => Self::get(method, Endpoint::ListSessions, &[]),
            ["access-sessions", id] => Self::get(method, Endpoint::GetSession, &[id]),
            ["access-sessions", id, "access-details"] => {
                Self::get(method, Endpoint::SessionDetails, &[id])
            }
            ["access-sessions", id, "reset-credentials"] => {
                Self::post(method, Endpoint::ResetSession, &[id])
            }
            _ => Self::Nowhere,
        }
    }

    fn v3(method: &str, rest: &[&str]) -> Self {
        match rest {
            ["access-requests"] => Self::get_or_post(method, Endpoint::V3List, Endpoint::V3Create),
            ["access-requests", id] => Self::get(method, Endpoint::V3Get, &[id]),
            ["access-requests", id, "access-details"] => {
                Self::get(method, Endpoint::V3Details, &[id])
            }
            ["access-requests", id, "reset"] => Self::post(method, Endpoint::V3Reset, &[id]),
            ["access-requests-bulk", "revoke"] => Self::post(method, Endpoint::V3BulkRevoke, &[]),
            ["selectable-integrations"] => Self::get(method, Endpoint::SelectableIntegrations, &[]),
            ["selectable-integrations", id, "resource-types"] => {
                Self::get(method, Endpoint::SelectableResourceTypes, &[id])
            }
            ["selectable-integrations", id, kind, "permissions"] => {
                Self::get(method, Endpoint::SelectablePermissions, &[id, kind])
            }
            ["selectable-integrations", id, kind, "resources"] => {
                Self::get(method, Endpoint::SelectableResources, &[id, kind])
            }
            _ => Self::Nowhere,
        }
    }

    fn get_or_post(method: &str, get: Endpoint, post: Endpoint) -> Self {
        match method {
            "GET" => Self::To(get, Vec::new()),
            "POST" => Self::To(post, Vec::new()),
            _ => Self::WrongMethod("GET, POST"),
        }
    }

    fn get(method: &str, endpoint: Endpoint, ids: &[&str]) -> Self {
        Self::only("GET", method, endpoint, ids)
    }

    fn post(method: &str, endpoint: Endpoint, ids: &[&str]) -> Self {
        Self::only("POST", method, endpoint, ids)
    }

    fn only(allowed: &'static str, method: &str, endpoint: Endpoint, ids: &[&str]) -> Self {
        if method == allowed {
            Self::To(endpoint, ids.iter().map(|id| (*id).to_owned()).collect())
        } else {
            Self::WrongMethod(allowed)
        }
    }
}
