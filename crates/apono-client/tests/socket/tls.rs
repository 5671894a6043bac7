//! Whom the client trusts: with a CA bundle that bundle alone, and never the wrong name.

use std::sync::Arc;

use apono_client::{Effect, ErrorClass};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::support::{Server, client, impatient, ok, request};

/// A server with a certificate for this name, and the certificate as PEM.
async fn server_named(name: &str) -> (Server, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::start_behind(Some(acceptor), [ok(&request("AR-1"))]).await;
    (server, cert.pem())
}

#[tokio::test]
async fn a_server_in_the_bundle_is_trusted() {
    let (server, pem) = server_named("127.0.0.1").await;
    let client = server.client_with(|config| config.ca_bundle = Some(pem.into_bytes()));
    assert_eq!(client.access_request("AR-1").await.unwrap().id, "AR-1");
}

#[tokio::test]
async fn a_stranger_never_sees_the_token() {
    let (server, _) = server_named("127.0.0.1").await;
    let (other, pem) = server_named("another.example").await;
    for (url, bundle) in [
        (&server.url, None),
        (&server.url, Some(pem.clone())),
        (&other.url, Some(pem)),
    ] {
        let client = client(url, |config| {
            impatient(config);
            config.ca_bundle = bundle.map(String::into_bytes);
        });
        let error = client.access_request("AR-1").await.unwrap_err();
        assert_eq!(
            (error.class(), error.effect()),
            (ErrorClass::Connect, Effect::NotSent)
        );
    }
    assert!(server.asked().is_empty() && other.asked().is_empty());
}
