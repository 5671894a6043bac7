//! Certificate authorities of a company, as the chart's `extraCAs` brings them: from the files of a
//! `ConfigMap`, as the kubelet lays them down, beside those of the image.

use std::{
    net::SocketAddr,
    os::unix::fs::symlink,
    path::Path,
    sync::{Arc, OnceLock},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use tokio::{io::copy_bidirectional, net::TcpListener, net::TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::support::{CONNECTION, Setup, World};

/// Where the chart has the files, in the pod.
const MOUNTED: &str = "/etc/apono-operator/ca";

/// A server on loopback with a certificate of an authority that nobody knows; what it is sent it hands on
/// to the remote.
struct Gateway {
    url: String,
    /// As PEM.
    authority: String,
    remote: Arc<OnceLock<SocketAddr>>,
}

impl Gateway {
    async fn start() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = parameters.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(parameters, key);
        let key = KeyPair::generate().unwrap();
        let wanted = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
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
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, known) = (acceptor.clone(), Arc::clone(&known));
                tokio::spawn(async move {
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
            url: format!("https://localhost:{port}"),
            authority,
            remote,
        }
    }

    /// A world whose connection leads through it.
    async fn world(&self, setup: Setup) -> World {
        let setup = setup.setting("ALLOWED_ENDPOINTS", &self.url);
        let world = World::new(setup.unconnected()).await;
        let url = world.simulator.url();
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let _ = self.remote.set(address.parse().unwrap());
        world.store_token(CONNECTION, &world.token).await;
        world.connect(CONNECTION, &self.url, json!({})).await;
        world
    }
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
    let gateway = Gateway::start().await;
    // A folder that is exchanged as a whole, and links into it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir(path.join("..2026_11_27")).unwrap();
    std::fs::write(path.join("..2026_11_27/company.crt"), &gateway.authority).unwrap();
    symlink("..2026_11_27", path.join("..data")).unwrap();
    symlink("..data/company.crt", path.join("company.crt")).unwrap();

    let trusting = Setup::default().setting("SSL_CERT_DIR", &variable(path));
    let world = gateway.world(trusting).await;
    world.wait_connection(CONNECTION, "True", "Ready").await;
    world.end().await;
}

#[tokio::test]
async fn an_authority_that_nobody_named_is_not_trusted() {
    let gateway = Gateway::start().await;
    let world = gateway.world(Setup::default()).await;
    let wanted = ("False", "ApiUnavailable");
    let status = world.wait_connection(CONNECTION, wanted.0, wanted.1).await;
    let message = crate::message(&status);
    assert!(message.contains("certificate"), "{message}");
    world.end().await;
}
