//! The certificate authority of one control plane, and what it signs: certificates for the
//! apiserver and for whoever talks to it, and kubeconfig files around them. No process, no network.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use data_encoding::BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::json;

/// What is signed, with its key, both PEM.
#[derive(Debug)]
pub(crate) struct Signed {
    /// The certificate.
    pub(crate) certificate: String,
    /// Its private key.
    pub(crate) key: String,
}

/// The certificate authority that the apiserver trusts and is trusted by.
#[derive(Debug)]
pub(crate) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    pub(crate) fn generate() -> Result<Self> {
        let key = KeyPair::generate().context("could not generate the authority's key")?;
        let certificate = parameters()
            .self_signed(&key)
            .context("could not sign the authority's certificate")?
            .pem();
        Ok(Self {
            certificate,
            issuer: Issuer::new(parameters(), key),
        })
    }

    /// The one that [`Authority::write`] left in `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path)
                .with_context(|| format!("could not read `{}`", path.display()))
        };
        let key = KeyPair::from_pem(&read("ca.key")?).context("could not read the key `ca.key`")?;
        // The name of the authority is always the same, so its certificate need not be parsed.
        Ok(Self {
            certificate: read("ca.crt")?,
            issuer: Issuer::new(parameters(), key),
        })
    }

    /// Keeps it in `folder` as `ca.crt` and `ca.key`, for the apiserver and for later runs.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        write_private(&folder.join("ca.crt"), &self.certificate)?;
        write_private(&folder.join("ca.key"), &self.issuer.key().serialize_pem())
    }

    /// The certificate, PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Signs a server certificate for the loopback names of the apiserver.
    pub(crate) fn sign_server(&self) -> Result<Signed> {
        self.sign_server_for(&["127.0.0.1", "::1", "localhost", "kubernetes.default.svc"])
    }

    /// Signs a certificate for an apiserver that is reached by these names.
    pub(crate) fn sign_server_for(&self, names: &[&str]) -> Result<Signed> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut wanted =
            CertificateParams::new(names).context("could not name the apiserver's certificate")?;
        wanted.distinguished_name = DistinguishedName::new();
        wanted
            .distinguished_name
            .push(DnType::CommonName, "kube-apiserver");
        wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&wanted)
    }

    /// Signs a client certificate: to the apiserver its holder is `user`, member of `groups`.
    ///
    /// At most two groups, which is what a service account has: `rcgen` keeps one value per type of
    /// name, and the organization, which Kubernetes reads as the group, can be written as two types.
    pub(crate) fn sign_client(&self, user: &str, groups: &[&str]) -> Result<Signed> {
        let organization = DnType::CustomDnType(vec![2, 5, 4, 10]);
        let types = [DnType::OrganizationName, organization];
        if groups.len() > types.len() {
            bail!(
                "a client certificate holds at most two groups, not {}",
                groups.len()
            );
        }
        let mut wanted = CertificateParams::default();
        wanted.distinguished_name = DistinguishedName::new();
        for (kind, group) in types.into_iter().zip(groups) {
            wanted.distinguished_name.push(kind, *group);
        }
        wanted.distinguished_name.push(DnType::CommonName, user);
        wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&wanted)
    }

    fn sign(&self, wanted: &CertificateParams) -> Result<Signed> {
        let key = KeyPair::generate().context("could not generate a key")?;
        let certificate = wanted
            .signed_by(&key, &self.issuer)
            .context("could not sign a certificate")?;
        Ok(Signed {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "apono-operator control plane");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    parameters
}

/// The key pair that signs service account tokens, PEM: private and public. The apiserver reads the
/// public one from a file of its own, since it does not take it out of a PKCS #8 key.
pub(crate) fn token_keys() -> Result<(String, String)> {
    let key = KeyPair::generate().context("could not generate the token key")?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

/// How a kubeconfig says who its user is.
#[derive(Debug)]
pub(crate) enum Identity<'a> {
    /// By a client certificate.
    Certificate(&'a Signed),
    /// By a token of a service account.
    Token(&'a str),
}

/// The text of a kubeconfig that holds all it needs, so that it can be copied anywhere.
///
/// JSON is YAML; no emitter is needed.
pub(crate) fn kubeconfig(server: &str, authority: &str, identity: &Identity<'_>) -> String {
    let user = match identity {
        Identity::Certificate(signed) => json!({
            "client-certificate-data": BASE64.encode(signed.certificate.as_bytes()),
            "client-key-data": BASE64.encode(signed.key.as_bytes()),
        }),
        Identity::Token(token) => json!({ "token": token }),
    };
    let authority = BASE64.encode(authority.as_bytes());
    let cluster = json!({ "server": server, "certificate-authority-data": authority });
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "control-plane", "cluster": cluster }],
        "users": [{ "name": "user", "user": user }],
        "contexts": [{
            "name": "control-plane",
            "context": { "cluster": "control-plane", "user": "user" },
        }],
        "current-context": "control-plane",
    });
    format!("{config:#}\n")
}

/// The user name and groups the apiserver gives a service account.
pub(crate) fn service_account(namespace: &str, name: &str) -> (String, [String; 2]) {
    let user = format!("system:serviceaccount:{namespace}:{name}");
    (
        user,
        [
            "system:serviceaccounts".into(),
            format!("system:serviceaccounts:{namespace}"),
        ],
    )
}

/// Writes a file that only we may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())
    };
    write().with_context(|| format!("could not write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_read_back_signs_under_the_same_certificate() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Authority::generate().expect("an authority");
        first.write(folder.path()).expect("written");
        let again = Authority::read(folder.path()).expect("read");
        assert_eq!(first.certificate(), again.certificate());
        assert_eq!(
            first.issuer.key().serialize_pem(),
            again.issuer.key().serialize_pem()
        );
    }

    #[test]
    fn a_third_group_is_refused_and_not_dropped() {
        let authority = Authority::generate().expect("an authority");
        authority.sign_client("one", &["a", "b"]).expect("two fit");
        authority
            .sign_client("one", &["a", "b", "c"])
            .expect_err("three do not");
    }

    #[test]
    fn both_groups_are_in_the_certificate() {
        let authority = Authority::generate().expect("an authority");
        let (user, groups) = service_account("space", "robot");
        let groups: Vec<_> = groups.iter().map(String::as_str).collect();
        let signed = authority.sign_client(&user, &groups).expect("signed");
        let body: String = signed
            .certificate
            .lines()
            .filter(|l| !l.contains("--"))
            .collect();
        let bytes = BASE64.decode(body.as_bytes()).expect("base64");
        for name in ["system:serviceaccount:space:robot", groups[0], groups[1]] {
            // The length before it tells the first group from the beginning of the second.
            let mut value = vec![u8::try_from(name.len()).expect("short")];
            value.extend_from_slice(name.as_bytes());
            assert!(
                bytes.windows(value.len()).any(|window| window == value),
                "no `{name}`"
            );
        }
    }

    #[test]
    fn a_kubeconfig_names_its_server_and_its_user() {
        let text = kubeconfig("https://127.0.0.1:1", "CA", &Identity::Token("abc"));
        let config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            config["clusters"][0]["cluster"]["server"],
            "https://127.0.0.1:1"
        );
        assert_eq!(
            config["clusters"][0]["cluster"]["certificate-authority-data"],
            "Q0E="
        );
        assert_eq!(config["users"][0]["user"]["token"], "abc");
    }
}
