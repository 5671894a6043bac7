//! The proxy of remote calls, as it is written. Pure; what goes through it is the client's matter.

use url::Url;

use super::{InvalidSetting, invalid};

const SETTING: &str = "REMOTE_PROXY";
const NEXT: &str = "write scheme, host and port, for example `http://proxy.example.com:3128`";

/// An empty one is none.
pub(super) fn remote_proxy(text: Option<&str>) -> Result<Option<Url>, InvalidSetting> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let url = Url::parse(text).ok();
    // A password would be shown wherever the value is.
    if url
        .as_ref()
        .is_none_or(|url| !url.username().is_empty() || url.password().is_some())
    {
        return Err(invalid(
            SETTING,
            "",
            "but it is not a URL, or holds a user",
            NEXT,
        ));
    }
    let is_plain = |url: &Url| {
        let is_known = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
        is_known && url.path() == "/" && url.query().is_none() && url.fragment().is_none()
    };
    match url.filter(is_plain) {
        Some(url) => Ok(Some(url)),
        None => Err(invalid(
            SETTING,
            text,
            "which is not the origin of an HTTP proxy",
            NEXT,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_origin() {
        for none in [None, Some(""), Some(" ")] {
            assert_eq!(remote_proxy(none).unwrap(), None);
        }
        let text = "http://proxy.example.com:3128";
        assert_eq!(remote_proxy(Some(text)).unwrap(), Url::parse(text).ok());
        for wrong in [
            "proxy.example.com:3128",
            "socks5://proxy:1080",
            "http://proxy/path",
        ] {
            let error = remote_proxy(Some(wrong)).unwrap_err().to_string();
            assert!(error.contains(SETTING) && error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        let error = remote_proxy(Some("http://u:hunter2@proxy:3128")).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains(SETTING) && !error.contains("hunter2"),
            "{error}"
        );
    }
}
