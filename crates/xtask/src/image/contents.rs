//! What is in an image beside the program: the certificate authorities that Mozilla trusts, who runs,
//! the licences and the bill of materials. Nothing of it is the machine's that builds it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use data_encoding::BASE64;
use jiff::Timestamp;

use super::archive::{Files, file};
use super::sbom::Beside;
use super::{crates, notices, program, sbom};

/// What Rust's standard library brings for the target.
const MUSL: &str = "1.2.5";

/// Where TLS looks for authorities.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// The files of the image of `package`; `created` is what its bill of materials says.
pub(crate) fn files(package: &str, program: &Path, created: Timestamp) -> Result<Files> {
    let binary =
        fs::read(program).with_context(|| format!("could not read `{}`", program.display()))?;
    let passwd = "root:x:0:0:root:/:/none\nnonroot:x:65532:65532:nonroot:/:/none\n";
    let mut files = Files::from([
        (package.to_owned(), file(0o555, binary)),
        (AUTHORITIES.to_owned(), file(0o444, authorities())),
        ("etc/passwd".to_owned(), file(0o444, passwd)),
        (
            "etc/group".to_owned(),
            file(0o444, "root:x:0:\nnonroot:x:65532:\n"),
        ),
    ]);
    let linked = crates::linked(package)?;
    let compiler = program::compiler_release()?;
    let beside = [
        Beside {
            name: "musl",
            version: MUSL.to_owned(),
            licence: "MIT",
        },
        Beside {
            name: "rust-std",
            version: compiler,
            licence: "MIT OR Apache-2.0",
        },
    ];
    let document = sbom::document(package, &linked, &beside, created);
    let document =
        serde_json::to_vec_pretty(&document).context("could not write the bill of materials")?;
    files.insert(bill(package), file(0o444, document));
    let own = fs::read(crate::workspace().join("LICENSE")).context("could not read LICENSE")?;
    let rust = program::notices_of_rust()?;
    let others = notices::file(&linked, &program::licence_of_musl()?)?;
    for (name, text) in [
        ("LICENSE", own),
        ("THIRD-PARTY.txt", others.into_bytes()),
        ("rust-standard-library.html", rust),
    ] {
        files.insert(
            format!("usr/share/licenses/{package}/{name}"),
            file(0o444, text),
        );
    }
    Ok(files)
}

/// Where the bill of materials is.
pub(crate) fn bill(package: &str) -> String {
    format!("usr/share/sbom/{package}.cdx.json")
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
