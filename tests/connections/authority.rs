//! What companies put between the operator and Apono. Certificate authorities, as the chart's `extraCAs`
//! brings them: from the files of a `ConfigMap`, as the kubelet lays them down, beside those of the image.
//! And proxies, which alone know the names of what is outside.

use std::{
    net::SocketAddr,
    os::unix::fs::symlink,
    path::Path,
    sync::{Arc, OnceLock},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::{
    owed::ACTIVE,
    support::{CONNECTION, Setup, World},
};

/// A name that nobody here can resolve.
const OUTSIDE: &str = "api.apono.invalid";
/// Where the chart has the files, in the pod.
const MOUNTED: &str = "/etc/apono-operator/ca";

/// A server on loopback with a certificate of an authority that nobody knows; what it is sent it hands on
/// to the remote.
struct Gateway {
    /// The endpoint.
    url: String,
    /// Where it is, for those who take it for a proxy.
    proxy: String,
    /// As PEM.
    authority: String,
    remote: Arc<OnceLock<SocketAddr>>,
}

impl Gateway {
    /// For this name; where it is not one of this machine's, it is reached as through a proxy.
    async fn start(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = parameters.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(parameters, key);
        let key = KeyPair::generate().unwrap();
        let wanted = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = wanted.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let remote = Arc::new(OnceLock::<SocketAddr>::new());
        let known = Arc::clone(&remote);
        let is_proxy = name != "localhost";
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (acceptor, known) = (acceptor.clone(), Arc::clone(&known));
                tokio::spawn(async move {
                    if is_proxy {
                        open(&mut stream).await;
                    }
                    // Whoever does not trust it goes away.
                    let Ok(mut inside) = acceptor.accept(stream).await else {
                        return;
                    };
                    let remote = *known.get().expect("set before anybody calls");
                    let mut outside = TcpStream::connect(remote).await.unwrap();
                    let _ = copy_bidirectional(&mut inside, &mut outside).await;
                });
            }
        });
        Self {
            url: if is_proxy {
                format!("https://{name}")
            } else {
                format!("https://{name}:{port}")
            },
            proxy: format!("http://127.0.0.1:{port}"),
            authority,
            remote,
        }
    }

    /// A world whose connection leads through it.
    async fn world(&self, setup: Setup, spec: Value) -> World {
        let setup = setup.setting("ALLOWED_ENDPOINTS", &self.url);
        let world = World::new(setup.unconnected()).await;
        let url = world.simulator.url();
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let _ = self.remote.set(address.parse().unwrap());
        world.store_token(CONNECTION, &world.token).await;
        world.connect(CONNECTION, &self.url, spec).await;
        world
    }
}

/// Answers what a client asks of a proxy: a tunnel.
async fn open(stream: &mut TcpStream) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        asked.push(stream.read_u8().await.unwrap());
    }
    let asked = String::from_utf8(asked).unwrap();
    assert!(
        asked.starts_with(&format!("CONNECT {OUTSIDE}:443 ")),
        "{asked}"
    );
    let answer = b"HTTP/1.1 200 OK\r\n\r\n";
    stream.write_all(answer).await.unwrap();
}

/// The variable as the chart sets it, with another folder in the place of that of the pod.
fn variable(folder: &Path) -> String {
    let golden = include_str!("../chart/golden/everything.yaml");
    let (_, rest) = golden
        .split_once("- name: SSL_CERT_DIR\n")
        .expect("it is set");
    let value = rest.lines().next().unwrap().trim();
    let value = value
        .strip_prefix("value: ")
        .expect("a value")
        .trim_matches('"');
    assert!(value.split(':').any(|part| part == MOUNTED), "{value}");
    value.replace(MOUNTED, &folder.display().to_string())
}

#[tokio::test]
async fn an_authority_of_the_config_map_is_trusted_beside_those_of_the_image() {
    let gateway = Gateway::start("localhost").await;
    // A folder that is exchanged as a whole, and links into it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir(path.join("..2026_11_27")).unwrap();
    std::fs::write(path.join("..2026_11_27/company.crt"), &gateway.authority).unwrap();
    symlink("..2026_11_27", path.join("..data")).unwrap();
    symlink("..data/company.crt", path.join("company.crt")).unwrap();

    let trusting = Setup::default().setting("SSL_CERT_DIR", &variable(path));
    let world = gateway.world(trusting, json!({})).await;
    world.wait_connection(CONNECTION, "True", "Ready").await;
    world.end().await;
}

#[tokio::test]
async fn an_authority_that_nobody_named_is_not_trusted() {
    let gateway = Gateway::start("localhost").await;
    let world = gateway.world(Setup::default(), json!({})).await;
    let wanted = ("False", "ApiUnavailable");
    let status = world.wait_connection(CONNECTION, wanted.0, wanted.1).await;
    let message = crate::message(&status);
    assert!(message.contains("certificate"), "{message}");
    world.end().await;
}

/// A world whose remote is reached through the proxy of the settings, and not otherwise.
async fn outside() -> World {
    let gateway = Gateway::start(OUTSIDE).await;
    let proxied = Setup::default().setting("REMOTE_PROXY", &gateway.proxy);
    let bundle = data_encoding::BASE64.encode(gateway.authority.as_bytes());
    gateway.world(proxied, json!({"caBundle": bundle})).await
}

#[tokio::test]
async fn through_the_proxy_of_the_settings_access_is_asked_for_and_taken_back() {
    let world = outside().await;
    world.wait_connection(CONNECTION, "True", "Ready").await;
    world.ask_bundle("outside", "prod-read").await;
    world.wait_reason("outside", "Active").await;
    world.delete("outside").await;
    world.wait_gone("outside").await;
    world.end().await;
}

/// A debt is paid from what was written down of its connection, and goes the same way.
#[tokio::test]
async fn through_the_proxy_of_the_settings_a_debt_is_paid() {
    let world = outside().await;
    world.ask_bundle("outside", "prod-read").await;
    world.wait_row("outside", ACTIVE).await;
    world.tear_out_connection().await;
    world.wait_reason_of("outside", "ConnectionNotFound").await;
    world.delete("outside").await;
    world.wait_gone("outside").await;
    world.wait_paid().await;
    world.assert_live(0);
    world.end().await;
}

/// Nothing of the environment: a variable that others read is no setting of ours.
#[tokio::test]
async fn a_proxy_of_the_environment_is_not_used() {
    let nowhere = "http://127.0.0.1:9";
    let setup = Setup::default()
        .setting("HTTPS_PROXY", nowhere)
        .setting("HTTP_PROXY", nowhere)
        .setting("ALL_PROXY", nowhere);
    let world = World::new(setup).await;
    world.wait_connection(CONNECTION, "True", "Ready").await;
    world.end().await;
}
