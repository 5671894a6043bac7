//! The calls the simulated API knows, by name: which method and path is which.
//!
//! Names are for faults, counters and the ledger. What a call does is decided elsewhere.

use serde::{Deserialize, Serialize};

/// A call of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
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
    /// Anything else: 404 or 405.
    Unknown,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::List,
        Self::Get,
        Self::Entitlements,
        Self::RequestAgain,
        Self::Revoke,
        Self::ListDelegated,
        Self::GetDelegated,
        Self::Unknown,
    ];

    /// Answers a page of requests.
    pub const fn is_request_list(self) -> bool {
        matches!(self, Self::List | Self::ListDelegated)
    }

    /// Answers pages.
    pub const fn is_paged(self) -> bool {
        matches!(self, Self::List | Self::ListDelegated | Self::Entitlements)
    }

    /// Makes requests and answers with an array of them.
    pub const fn creates(self) -> bool {
        matches!(self, Self::Create | Self::RequestAgain)
    }
}

/// Where a method and a path lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// To a call, with the id in the path if there is one.
    To(Endpoint, String),
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

    /// The id in the path.
    pub(crate) fn id(&self) -> Option<String> {
        match self {
            Self::To(_, id) if !id.is_empty() => Some(id.clone()),
            _ => None,
        }
    }

    /// Finds the call; `segments` are those of the decoded path.
    pub(crate) fn find(method: &str, segments: &[String]) -> Self {
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let none = String::new();
        match (segments.as_slice(), method) {
            (["api", "user", "v4", "access-requests"], "GET") => Self::To(Endpoint::List, none),
            (["api", "user", "v4", "access-requests"], "POST") => Self::To(Endpoint::Create, none),
            (["api", "user", "v4", "access-requests"], _) => Self::WrongMethod("GET, POST"),
            (["api", "user", "v4", "access-requests", id], _) => {
                Self::only("GET", method, Endpoint::Get, id)
            }
            (["api", "user", "v4", "access-requests", id, "entitlements"], _) => {
                Self::only("GET", method, Endpoint::Entitlements, id)
            }
            (["api", "user", "v4", "access-requests", id, "request-again"], _) => {
                Self::only("POST", method, Endpoint::RequestAgain, id)
            }
            (["api", "user", "v4", "access-requests", id, "revoke"], _) => {
                Self::only("POST", method, Endpoint::Revoke, id)
            }
            (["api", "user", "v1", "delegated-access-requests"], _) => {
                Self::only("GET", method, Endpoint::ListDelegated, "")
            }
            (["api", "user", "v1", "delegated-access-requests", id], _) => {
                Self::only("GET", method, Endpoint::GetDelegated, id)
            }
            _ => Self::Nowhere,
        }
    }

    fn only(allowed: &'static str, method: &str, endpoint: Endpoint, id: &str) -> Self {
        if method == allowed {
            Self::To(endpoint, id.to_owned())
        } else {
            Self::WrongMethod(allowed)
        }
    }
}
