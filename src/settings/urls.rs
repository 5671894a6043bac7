//! The addresses of a proxy and of a collector, as they are written. Pure; what is sent there is the
//! matter of others.

use url::Url;

use super::{InvalidSetting, invalid};

const PROXY: &str = "REMOTE_PROXY";
const PROXY_NEXT: &str = "write scheme, host and port, for example `http://proxy.example.com:3128`";
const COLLECTOR: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const COLLECTOR_NEXT: &str = "write for example `http://otel-collector.monitoring:4318`";

/// The proxy of remote calls: an origin. An empty one is none.
pub(super) fn remote_proxy(text: Option<&str>) -> Result<Option<Url>, InvalidSetting> {
    let Some((url, text)) = http(PROXY, text, PROXY_NEXT)? else {
        return Ok(None);
    };
    if url.path() == "/" && url.query().is_none() && url.fragment().is_none() {
        return Ok(Some(url));
    }
    let problem = "which is not the origin of an HTTP proxy";
    Err(invalid(PROXY, text, problem, PROXY_NEXT))
}

/// Where traces are sent. Others set the variable for every pod there is: a build that can send none
/// says so in the log, and runs.
pub(super) fn otlp_endpoint(text: Option<&str>) -> Result<Option<Url>, InvalidSetting> {
    let found = http(COLLECTOR, text, COLLECTOR_NEXT)?;
    Ok(found.map(|(url, _)| url))
}

/// A URL that can be called, and how it is written. One with a user is refused and not repeated: a
/// password would be shown wherever the value is.
fn http<'a>(
    setting: &'static str,
    text: Option<&'a str>,
    next: &'static str,
) -> Result<Option<(Url, &'a str)>, InvalidSetting> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let url = Url::parse(text).ok();
    let has_user = |url: &Url| !url.username().is_empty() || url.password().is_some();
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    match url {
        Some(url) if has_user(&url) => Err(invalid(setting, "", "but it holds a user", next)),
        Some(url) if is_http(&url) => Ok(Some((url, text))),
        Some(_) => Err(invalid(
            setting,
            text,
            "which is not an http or https URL",
            next,
        )),
        // What it holds cannot be told.
        None => Err(invalid(setting, "", "but it is not a URL", next)),
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
            assert!(error.contains(PROXY) && error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn traces_go_to_a_place_that_can_be_called() {
        for none in [None, Some("")] {
            assert_eq!(otlp_endpoint(none).unwrap(), None);
        }
        let given = otlp_endpoint(Some("http://collector:4318")).unwrap();
        assert_eq!(given.unwrap().as_str(), "http://collector:4318/");
        for wrong in ["collector:4318", "grpc://collector:4317", "http://"] {
            let error = otlp_endpoint(Some(wrong)).unwrap_err();
            assert_eq!(error.setting, COLLECTOR, "{wrong}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for text in [
            "http://u:hunter2@there:3128",
            "grpc://u:hunter2@there",
            "http://u:hunter2@",
        ] {
            for error in [remote_proxy(Some(text)), otlp_endpoint(Some(text))] {
                let error = error.unwrap_err().to_string();
                assert!(!error.contains("hunter2"), "{error}");
            }
        }
    }
}
