//! How to reach the API, and the HTTP client built from it. It decides nothing about which
//! endpoints are allowed: that is the caller's policy.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Proxy, redirect, retry};
use url::{Host, Url};

use crate::network::{OutOfReach, Reach};
use crate::resolver::Guarded;

/// Where the API is and how far an answer is trusted.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// The root of the API: `http` or `https`, a path prefix is kept; no credentials, query or
    /// fragment.
    pub endpoint: Url,
    /// PEM certificates. When given, only these are trusted; when absent, those of the system.
    pub ca_bundle: Option<Vec<u8>>,
    /// For a whole call, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// The largest answer that is one object.
    pub max_object_bytes: usize,
    /// The largest answer that is a page or an array.
    pub max_page_bytes: usize,
    /// Which addresses may be called, written or resolved.
    pub reach: Reach,
}

impl ClientConfig {
    /// The endpoint with the defaults: 10 s a call, 1 MiB an object, 8 MiB a page, the system's
    /// certificates, every address but link-local ones and those of metadata services.
    pub fn new(endpoint: Url) -> Self {
        Self {
            endpoint,
            ca_bundle: None,
            timeout: Duration::from_secs(10),
            user_agent: concat!("apono-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_object_bytes: 1 << 20,
            max_page_bytes: 8 << 20,
            reach: Reach::default(),
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientConfig")
            // Not the whole URL: a refused one may hold a password.
            .field("host", &self.endpoint.host_str())
            .field("ca_bundle_bytes", &self.ca_bundle.as_ref().map(Vec::len))
            .field("timeout", &self.timeout)
            .field("user_agent", &self.user_agent)
            .field("max_object_bytes", &self.max_object_bytes)
            .field("max_page_bytes", &self.max_page_bytes)
            .field("reach", &self.reach)
            .finish()
    }
}

/// No client can be built from this configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Only `http` and `https` are spoken.
    #[error("the endpoint's scheme is `{scheme}`, not http or https")]
    Scheme {
        /// The scheme that was given.
        scheme: String,
    },
    /// The token is the only credential, and a URL ends up in logs.
    #[error("the endpoint holds a user name or a password")]
    Credentials,
    /// They would be lost or, worse, mixed with those of each call.
    #[error("the endpoint holds a query or a fragment")]
    QueryOrFragment,
    /// No call may go there.
    #[error("the endpoint's address {0}")]
    OutOfReach(OutOfReach),
    /// A call that may take no time cannot be made.
    #[error("the timeout is zero")]
    Timeout,
    /// The bundle is not PEM, or a certificate in it is not one.
    #[error("could not read the CA bundle")]
    CaBundle(#[source] reqwest::Error),
    /// Trusting nobody is surely not what was meant.
    #[error("the CA bundle holds no certificate")]
    CaBundleEmpty,
    /// TLS could not be set up, or the user agent is not a header value.
    #[error("could not set up the HTTP client")]
    Http(#[source] reqwest::Error),
}

/// At most 5 s for the connection, so that an unreachable host is told from a slow answer: the
/// first is known to have changed nothing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than the idle limit of common load balancers (60 s): a request written into a connection
/// that they are just closing has an unknown effect.
const POOL_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Checks the endpoint, refusing what would be silently dropped or leaked.
pub(crate) fn check_endpoint(endpoint: &Url) -> Result<(), BuildError> {
    if !matches!(endpoint.scheme(), "http" | "https") {
        return Err(BuildError::Scheme {
            scheme: endpoint.scheme().to_owned(),
        });
    }
    if !endpoint.username().is_empty() || endpoint.password().is_some() {
        return Err(BuildError::Credentials);
    }
    if endpoint.query().is_some() || endpoint.fragment().is_some() {
        return Err(BuildError::QueryOrFragment);
    }
    Ok(())
}

/// An address that is written needs no name server, and so never passes the resolver.
fn check_literal(endpoint: &Url, reach: &Reach) -> Result<(), BuildError> {
    let checked = match endpoint.host() {
        Some(Host::Ipv4(address)) => reach.check(address.into()),
        Some(Host::Ipv6(address)) => reach.check(address.into()),
        Some(Host::Domain(_)) | None => Ok(()),
    };
    checked.map_err(BuildError::OutOfReach)
}

/// The HTTP client: no redirects, no retries, nothing taken from the environment. No proxy either, which
/// would resolve names itself, unchecked, unless the reach names one.
pub(crate) fn build_http(config: &ClientConfig) -> Result<reqwest::Client, BuildError> {
    build_http_with(config, Guarded::new(config.reach.clone()))
}

fn build_http_with(
    config: &ClientConfig,
    resolver: Guarded,
) -> Result<reqwest::Client, BuildError> {
    check_endpoint(&config.endpoint)?;
    check_literal(&config.endpoint, &config.reach)?;
    if config.timeout.is_zero() {
        return Err(BuildError::Timeout);
    }
    let builder = reqwest::Client::builder()
        .user_agent(&config.user_agent)
        .timeout(config.timeout)
        .connect_timeout(CONNECT_TIMEOUT.min(config.timeout / 2))
        // A redirect would carry the token to another place.
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .dns_resolver(Arc::new(resolver))
        // A second POST behind the caller's back could create a second request.
        .retry(retry::never())
        .pool_idle_timeout(POOL_IDLE)
        .tcp_keepalive(KEEPALIVE)
        .http2_keep_alive_interval(KEEPALIVE)
        .http2_keep_alive_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_while_idle(true);
    let reach = config.reach.clone();
    let builder = match reach.proxy {
        Some(_) => builder.proxy(Proxy::custom(move |url| reach.proxy_for(url))),
        None => builder,
    };
    let builder = match &config.ca_bundle {
        Some(pem) => builder.tls_certs_only(certificates(pem)?),
        // Never used, since redirects are not followed: the system's store need not be read.
        None if config.endpoint.scheme() == "http" => builder.tls_certs_only([]),
        None => builder,
    };
    builder.build().map_err(BuildError::Http)
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, BuildError> {
    let certificates = Certificate::from_pem_bundle(pem).map_err(BuildError::CaBundle)?;
    if certificates.is_empty() {
        return Err(BuildError::CaBundleEmpty);
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(endpoint: &str) -> ClientConfig {
        ClientConfig::new(endpoint.parse().unwrap())
    }

    fn build(endpoint: &str) -> Result<reqwest::Client, BuildError> {
        build_http(&config(endpoint))
    }

    #[test]
    fn an_endpoint_that_cannot_be_meant_is_refused() {
        assert!(matches!(build("ftp://h/"), Err(BuildError::Scheme { .. })));
        assert!(matches!(
            build("mailto:someone"),
            Err(BuildError::Scheme { .. })
        ));
        assert!(matches!(
            build("http://user@h/"),
            Err(BuildError::Credentials)
        ));
        assert!(matches!(
            build("http://:pass@h/"),
            Err(BuildError::Credentials)
        ));
        assert!(matches!(
            build("http://h/?a=b"),
            Err(BuildError::QueryOrFragment)
        ));
        assert!(matches!(
            build("http://h/#a"),
            Err(BuildError::QueryOrFragment)
        ));
        assert!(build("http://h/prefix/").is_ok());
    }

    #[test]
    fn a_bundle_without_a_usable_certificate_is_refused() {
        let with = |pem: &[u8]| {
            let mut config = ClientConfig::new("https://h/".parse().unwrap());
            config.ca_bundle = Some(pem.to_vec());
            build_http(&config)
        };
        assert!(matches!(with(b""), Err(BuildError::CaBundleEmpty)));
        assert!(matches!(with(b"not PEM"), Err(BuildError::CaBundleEmpty)));
        let broken = b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
        assert!(matches!(with(broken), Err(BuildError::CaBundle(_))));
    }

    #[test]
    fn a_zero_timeout_is_refused() {
        let mut config = ClientConfig::new("http://h/".parse().unwrap());
        config.timeout = Duration::ZERO;
        assert!(matches!(build_http(&config), Err(BuildError::Timeout)));
    }

    #[test]
    fn a_written_address_out_of_reach_is_refused_in_every_spelling() {
        for endpoint in [
            "https://169.254.169.254/",
            "https://169.254.169.254./",
            "https://2852039166/",
            "https://0xa9fea9fe/",
            "https://0251.0376.0251.0376/",
            "https://169.254.43518/",
            "https://[::ffff:169.254.169.254]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://[fe80::1]/",
            "https://[fd00:ec2::254]/",
            "https://\u{ff11}69.254.169.254/",
        ] {
            let built = build(endpoint);
            assert!(
                matches!(built, Err(BuildError::OutOfReach(_))),
                "{endpoint}"
            );
            let mut config = config(endpoint);
            config.reach.allowed = ["169.254.0.0/16", "fe80::/10", "fd00:ec2::254"]
                .map(|text| text.parse().unwrap())
                .into();
            assert!(build_http(&config).is_ok(), "{endpoint}, allowed");
        }
    }

    /// Serves one connection on a free loopback port, and answers nothing good.
    async fn listen() -> (tokio::net::TcpListener, u16) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    fn to_loopback(_: String) -> crate::resolver::Looking {
        Box::pin(async { Ok(vec!["127.0.0.1:0".parse().unwrap()]) })
    }

    fn to_metadata(_: String) -> crate::resolver::Looking {
        Box::pin(async { Ok(vec!["[::ffff:169.254.169.254]:0".parse().unwrap()]) })
    }

    fn to_elsewhere(_: String) -> crate::resolver::Looking {
        Box::pin(async { Ok(vec!["192.0.2.1:0".parse().unwrap()]) })
    }

    fn causes(error: &dyn std::error::Error) -> String {
        let next = error.source().map(causes).unwrap_or_default();
        format!("{error}; {next}")
    }

    #[tokio::test]
    async fn a_name_is_judged_by_where_it_leads_when_it_is_connected_to() {
        let (listener, port) = listen().await;
        let mut config = config(&format!("http://api.example.com:{port}/"));
        let calls = |config: &ClientConfig, look_up| {
            let guarded = Guarded::with(config.reach.clone(), look_up);
            let http = build_http_with(config, guarded).unwrap();
            http.get(config.endpoint.clone()).send()
        };
        let refused = calls(&config, to_metadata).await.unwrap_err();
        assert!(refused.is_connect(), "nothing was sent: {refused:?}");
        let causes = causes(&refused);
        assert!(
            causes.contains("`::ffff:169.254.169.254`, a link-local"),
            "{causes}"
        );

        config.reach.only_loopback = true;
        let refused = calls(&config, to_elsewhere).await.unwrap_err();
        assert!(refused.is_connect(), "nothing was sent: {refused:?}");

        // And where it may lead, it is connected to.
        let call = tokio::spawn(calls(&config, to_loopback));
        let accepted = listener.accept().await.unwrap();
        drop(accepted);
        assert!(!call.await.unwrap().unwrap_err().is_connect());
    }

    #[test]
    fn debug_repeats_no_password() {
        let config = ClientConfig::new("http://u:secret@h/".parse().unwrap());
        assert!(!format!("{config:?}").contains("secret"));
    }
}
