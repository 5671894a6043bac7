//! Calls through a proxy: what it gets to see, and what its refusal means.

use std::sync::Arc;

use apono_client::{Effect, ErrorClass};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use url::Url;

use crate::support::{Reply, Server, client, impatient, ok, request};

/// A name that no test resolves.
const NAME: &str = "api.example.invalid";

/// A proxy that opens one tunnel, to this address whatever it is asked for; gives its URL.
async fn tunnel(to: &str) -> Url {
    let to = to.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut inside, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(inside.read_u8().await.unwrap());
        }
        let asked = String::from_utf8(asked).unwrap();
        assert!(
            asked.starts_with(&format!("CONNECT {NAME}:443 ")),
            "{asked}"
        );
        assert!(!asked.to_lowercase().contains("authorization"), "{asked}");
        let mut outside = TcpStream::connect(to).await.unwrap();
        let opened = inside.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        opened.unwrap();
        let _ = copy_bidirectional(&mut inside, &mut outside).await;
    });
    url.parse().unwrap()
}

#[tokio::test]
async fn https_goes_through_a_tunnel_that_shows_the_proxy_no_token() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::start_behind(Some(acceptor), [ok(&request("AR-1"))]).await;
    let address = server.url.trim_start_matches("https://");
    let proxy = tunnel(address).await;
    let client = client(&format!("https://{NAME}"), |config| {
        config.ca_bundle = Some(cert.pem().into_bytes());
        config.reach.proxy = Some(proxy);
    });
    assert_eq!(client.access_request("AR-1").await.unwrap().id, "AR-1");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_tunnel_that_is_refused_has_sent_nothing() {
    for answer in [
        "HTTP/1.1 502 Bad Gateway\r\n\r\n",
        "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\n\r\n",
    ] {
        let proxy = Server::start([Reply::Bytes(answer.into())]).await;
        let client = client(&format!("https://{NAME}"), |config| {
            impatient(config);
            config.reach.proxy = Some(proxy.url.parse().unwrap());
        });
        let error = client.access_request("AR-1").await.unwrap_err();
        assert_eq!(
            (error.class(), error.effect()),
            (ErrorClass::Connect, Effect::NotSent),
            "{answer}"
        );
        assert!(proxy.lines()[0].starts_with("CONNECT "));
    }
}

#[tokio::test]
async fn calls_to_this_machine_go_there() {
    let proxy = Server::start([]).await;
    let server = Server::start([ok(&request("AR-1"))]).await;
    let client = server.client_with(|config| {
        config.reach.proxy = Some(proxy.url.parse().unwrap());
    });
    assert_eq!(client.access_request("AR-1").await.unwrap().id, "AR-1");
    assert!(proxy.asked().is_empty());
}
