//! What is in an image beside the program: the certificate authorities that Mozilla trusts, and
//! who runs. Nothing of it is taken from the machine that builds it.

use std::path::Path;

use anyhow::{Context as _, Result};
use data_encoding::BASE64;

use super::archive::{Files, file};

/// Where TLS looks for authorities.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// The files of the image of `package`.
pub(crate) fn files(package: &str, program: &Path) -> Result<Files> {
    let binary = std::fs::read(program)
        .with_context(|| format!("could not read `{}`", program.display()))?;
    Ok(Files::from([
        (package.to_owned(), file(0o555, binary)),
        (AUTHORITIES.to_owned(), file(0o444, authorities())),
        (
            "etc/passwd".to_owned(),
            file(
                0o444,
                "root:x:0:0:root:/:/none\nnonroot:x:65532:65532:nonroot:/:/none\n",
            ),
        ),
        (
            "etc/group".to_owned(),
            file(0o444, "root:x:0:\nnonroot:x:65532:\n"),
        ),
    ]))
}

/// The bundle, PEM.
fn authorities() -> String {
    let mut bundle = String::new();
    for authority in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        bundle.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = BASE64.encode(authority.as_ref());
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(64));
            bundle.push_str(line);
            bundle.push('\n');
            rest = more;
        }
        bundle.push_str("-----END CERTIFICATE-----\n");
    }
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_authority_is_in_the_bundle_and_reads_back() {
        let bundle = authorities();
        let mut blocks = bundle.split("-----BEGIN CERTIFICATE-----\n");
        assert_eq!(blocks.next(), Some(""));
        let decoded: Vec<Vec<u8>> = blocks
            .map(|block| {
                let (text, _) = block.split_once("-----END").expect("an end");
                assert!(text.lines().all(|line| line.len() <= 64));
                let text = text.replace('\n', "");
                BASE64.decode(text.as_bytes()).expect("base64")
            })
            .collect();
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        assert!(roots.len() > 50, "{} authorities", roots.len());
        assert_eq!(decoded.len(), roots.len());
        assert!(
            roots
                .iter()
                .zip(&decoded)
                .all(|(root, read)| root.as_ref() == read)
        );
    }
}
