//! How the path of a call is filled in: no parameter may lead to another path.

use url::Url;

use crate::endpoint::Endpoint;

impl Endpoint {
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
