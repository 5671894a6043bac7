//! The closed list of calls: method, path and label of each, and how a path is filled in. It sends
//! nothing.

use reqwest::Method;
use url::Url;

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
}

impl Endpoint {
    /// Every endpoint once, to initialise metrics.
    pub const ALL: [Self; 8] = [
        Self::CreateAccessRequest,
        Self::GetAccessRequest,
        Self::ListAccessRequests,
        Self::ListEntitlements,
        Self::RequestAgain,
        Self::RevokeAccessRequest,
        Self::ListDelegatedAccessRequests,
        Self::GetDelegatedAccessRequest,
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
        }
    }

    /// The HTTP method, upper case.
    pub fn method(self) -> &'static str {
        match self {
            Self::CreateAccessRequest | Self::RequestAgain | Self::RevokeAccessRequest => "POST",
            Self::GetAccessRequest
            | Self::ListAccessRequests
            | Self::ListEntitlements
            | Self::ListDelegatedAccessRequests
            | Self::GetDelegatedAccessRequest => "GET",
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
        }
    }

    pub(crate) fn http_method(self) -> Method {
        match self.method() {
            "POST" => Method::POST,
            _ => Method::GET,
        }
    }

    /// The address of this call, its parameters filled in from left to right.
    ///
    /// # Guarantees
    ///
    /// Whatever the parameters hold, the result has exactly the segments of [`Self::path`]: a
    /// parameter never becomes two segments, none, or a step upwards.
    pub(crate) fn url(self, base: &Url, parameters: &[&str]) -> Result<Url, InvalidPath> {
        let mut url = base.clone();
        let mut parameters = parameters.iter();
        {
            let mut segments = url.path_segments_mut().map_err(|()| InvalidPath::Base)?;
            segments.pop_if_empty();
            for part in self.path().split('/').skip(1) {
                if part.starts_with('{') {
                    let parameter = parameters.next().ok_or(InvalidPath::Parameters)?;
                    segments.push(check_parameter(parameter)?);
                } else {
                    segments.push(part);
                }
            }
        }
        match parameters.next() {
            None => Ok(url),
            Some(_) => Err(InvalidPath::Parameters),
        }
    }
}

/// The address of a call could not be put together; nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidPath {
    #[error("the endpoint cannot have a path")]
    Base,
    #[error("the number of path parameters is wrong")]
    Parameters,
    #[error("an id is empty")]
    Empty,
    #[error("an id is `.` or `..`")]
    Dots,
    #[error("an id holds a control character")]
    Control,
}

/// Slashes and percent signs are encoded by `push`; the rest must be caught here, because the URL
/// parser drops dot segments, and drops tabs and line breaks *before* it looks for dot segments.
fn check_parameter(parameter: &str) -> Result<&str, InvalidPath> {
    if parameter.is_empty() {
        Err(InvalidPath::Empty)
    } else if matches!(parameter, "." | "..") {
        Err(InvalidPath::Dots)
    } else if parameter.chars().any(char::is_control) {
        Err(InvalidPath::Control)
    } else {
        Ok(parameter)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn base(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn revoke(endpoint: &str, id: &str) -> Result<String, InvalidPath> {
        Endpoint::RevokeAccessRequest
            .url(&base(endpoint), &[id])
            .map(String::from)
    }

    #[test]
    fn labels_are_distinct() {
        let labels: BTreeSet<_> = Endpoint::ALL
            .iter()
            .map(|endpoint| endpoint.as_str())
            .collect();
        assert_eq!(labels.len(), Endpoint::ALL.len());
    }

    #[test]
    fn a_path_prefix_of_the_endpoint_is_kept() {
        let path = "api/user/v4/access-requests/AR-1/revoke";
        for (base, expected) in [
            ("https://h", format!("https://h/{path}")),
            ("https://h/", format!("https://h/{path}")),
            ("https://h/a/b", format!("https://h/a/b/{path}")),
            ("https://h/a/b/", format!("https://h/a/b/{path}")),
        ] {
            assert_eq!(revoke(base, "AR-1").unwrap(), expected);
        }
    }

    #[test]
    fn an_id_never_leads_to_another_path() {
        for (id, error) in [
            ("", InvalidPath::Empty),
            (".", InvalidPath::Dots),
            ("..", InvalidPath::Dots),
            (".\t.", InvalidPath::Control),
            ("\n", InvalidPath::Control),
        ] {
            assert_eq!(revoke("http://h", id), Err(error), "{id:?}");
        }
        for (id, encoded) in [
            ("a/b", "a%2Fb"),
            ("../x", "..%2Fx"),
            ("%2e%2e", "%252e%252e"),
            ("a?b#c", "a%3Fb%23c"),
            ("a b", "a%20b"),
            ("a\\b", "a%5Cb"),
        ] {
            let expected = format!("http://h/api/user/v4/access-requests/{encoded}/revoke");
            assert_eq!(revoke("http://h", id).unwrap(), expected);
        }
    }

    #[test]
    fn the_number_of_parameters_must_fit() {
        let base = base("http://h");
        assert_eq!(
            Endpoint::GetAccessRequest.url(&base, &[]),
            Err(InvalidPath::Parameters)
        );
        let list = Endpoint::ListAccessRequests;
        assert_eq!(list.url(&base, &["a"]), Err(InvalidPath::Parameters));
    }

    proptest! {
        #[test]
        fn any_id_fills_exactly_one_segment(id in any::<String>()) {
            if let Ok(url) = revoke("http://h", &id) {
                let url: Url = url.parse().unwrap();
                let segments: Vec<_> = url.path_segments().unwrap().collect();
                prop_assert_eq!(segments.len(), 6);
                prop_assert_eq!(segments[5], "revoke");
                prop_assert_eq!((url.query(), url.fragment()), (None, None));
                prop_assert_eq!(url.host_str(), Some("h"));
            }
        }
    }
}
