//! An image as an OCI layout in one tar. The same files give the same bytes: entries are sorted, have no
//! time and belong to root. Decides nothing about what is in an image.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const LAYOUT: &str = "oci-layout";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What is at a path of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Permissions.
    pub(crate) mode: u32,
    /// What it holds; a folder holds nothing.
    pub(crate) data: Option<Vec<u8>>,
}

/// The files of an image by path, without a slash in front.
pub(crate) type Files = BTreeMap<String, Entry>;

/// An image of one layer.
#[derive(Debug)]
pub(crate) struct Image {
    /// The name, without tag and digest.
    pub(crate) name: String,
    /// The tag.
    pub(crate) tag: String,
    /// What is run.
    pub(crate) entrypoint: String,
    /// As whom: `uid:gid`.
    pub(crate) user: String,
    /// When, as the image says.
    pub(crate) created: Timestamp,
    /// Its labels, which are the annotations of the manifest too.
    pub(crate) labels: Vec<(String, String)>,
    /// What is in it.
    pub(crate) files: Files,
}

/// What an image came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Of the manifest: what an image is known by.
    pub(crate) digest: String,
    /// Bytes that are pulled.
    pub(crate) layer: u64,
    /// Bytes on the node.
    pub(crate) unpacked: u64,
}

/// The parts of a layout, by digest.
#[derive(Debug, Default)]
struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    /// Keeps `data` and describes it.
    fn keep(&mut self, kind: &str, data: Vec<u8>) -> Value {
        let digest = sha256(&data);
        let size = data.len();
        self.0.insert(digest.clone(), data);
        json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": size})
    }
}

impl Image {
    /// Writes the archive.
    pub(crate) fn write(&self, path: &Path) -> Result<Written> {
        let draft = path.with_extension("draft");
        let written = self.write_draft(&draft);
        let written = written.with_context(|| format!("could not write `{}`", draft.display()))?;
        std::fs::rename(&draft, path)
            .with_context(|| format!("could not write `{}`", path.display()))?;
        Ok(written)
    }

    fn write_draft(&self, path: &Path) -> Result<Written> {
        let layer = self.layer()?;
        let unpacked = layer.len();
        let unpacked_digest = sha256(&layer);
        let mut packed = GzBuilder::new().write(Vec::new(), Compression::best());
        packed.write_all(&layer)?;
        let packed = packed.finish()?;
        let size = packed.len();

        let mut blobs = Blobs::default();
        let layer = blobs.keep(LAYER, packed);
        let config = blobs.keep(CONFIG, serde_json::to_vec(&self.config(&unpacked_digest))?);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": [layer],
            "annotations": map(&self.labels),
        });
        let mut manifest = blobs.keep(MANIFEST, serde_json::to_vec(&manifest)?);
        let digest = manifest.get("digest").and_then(Value::as_str);
        let digest = digest.unwrap_or_default().to_owned();
        if let Some(manifest) = manifest.as_object_mut() {
            let annotations = json!({
                "org.opencontainers.image.ref.name": self.tag,
                // By which containerd names what it imports.
                "io.containerd.image.name": format!("{}:{}", self.name, self.tag),
            });
            manifest.insert("annotations".to_owned(), annotations);
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [manifest],
        });
        let mut archive = Files::from([
            (
                LAYOUT.to_owned(),
                file(0o644, r#"{"imageLayoutVersion":"1.0.0"}"#),
            ),
            (
                "index.json".to_owned(),
                file(0o644, serde_json::to_vec(&index)?),
            ),
        ]);
        for (digest, data) in blobs.0 {
            archive.insert(format!("blobs/sha256/{digest}"), file(0o644, data));
        }
        let mut out = BufWriter::new(File::create(path)?);
        tar(&archive, &mut out)?;
        out.flush()?;
        Ok(Written {
            digest,
            layer: u64::try_from(size)?,
            unpacked: u64::try_from(unpacked)?,
        })
    }

    /// The files as they are unpacked.
    fn layer(&self) -> Result<Vec<u8>> {
        let mut layer = Vec::new();
        tar(&with_folders(&self.files), &mut layer)?;
        Ok(layer)
    }

    fn config(&self, layer: &str) -> Value {
        json!({
            "architecture": "amd64",
            "os": "linux",
            "created": self.created.to_string(),
            "config": {
                "User": self.user,
                "Entrypoint": [self.entrypoint],
                "Env": ["PATH=/"],
                "WorkingDir": "/",
                "Labels": map(&self.labels),
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
            "history": [{
                "created": self.created.to_string(),
                "created_by": "cargo xtask image",
            }],
        })
    }
}

/// A file.
pub(crate) fn file(mode: u32, data: impl Into<Vec<u8>>) -> Entry {
    Entry {
        mode,
        data: Some(data.into()),
    }
}

/// With the folders that hold the files.
fn with_folders(files: &Files) -> Files {
    let mut all = files.clone();
    for path in files.keys() {
        for (at, _) in path.match_indices('/') {
            let (folder, _) = path.split_at(at);
            all.entry(folder.to_owned()).or_insert(Entry {
                mode: 0o755,
                data: None,
            });
        }
    }
    all
}

/// Sorted by path, which is the order of a map: a folder comes before what it holds.
fn tar(files: &Files, out: &mut impl Write) -> Result<()> {
    let mut tar = tar::Builder::new(out);
    for (path, entry) in files {
        let mut header = tar::Header::new_ustar();
        let data = entry.data.as_deref().unwrap_or_default();
        header.set_mode(entry.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(u64::try_from(data.len())?);
        if entry.data.is_none() {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, format!("{path}/"), data)?;
        } else {
            tar.append_data(&mut header, path, data)?;
        }
    }
    tar.finish()?;
    Ok(())
}

fn map(labels: &[(String, String)]) -> Value {
    let pairs = labels.iter();
    pairs
        .map(|(name, value)| (name.clone(), Value::from(value.clone())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Sixty-four hex digits.
pub(crate) fn sha256(data: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(data))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn image() -> Image {
        Image {
            name: "localhost/one".to_owned(),
            tag: "1".to_owned(),
            entrypoint: "/one".to_owned(),
            user: "65532:65532".to_owned(),
            created: Timestamp::UNIX_EPOCH,
            labels: vec![
                ("b".to_owned(), "2".to_owned()),
                ("a".to_owned(), "1".to_owned()),
            ],
            files: Files::from([
                ("one".to_owned(), file(0o555, "program")),
                ("etc/ssl/ca".to_owned(), file(0o444, "authority")),
            ]),
        }
    }

    fn read(path: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(File::open(path).expect("written"));
        let entries = archive.entries().expect("a tar").map(|entry| {
            let mut entry = entry.expect("an entry");
            let mut data = Vec::new();
            entry.read_to_end(&mut data).expect("readable");
            let path = entry.path().expect("a path").display().to_string();
            (path, data)
        });
        entries.collect()
    }

    #[test]
    fn every_part_is_named_by_its_digest_and_the_index_leads_to_the_program() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("one.tar");
        let written = image().write(&path).expect("written");
        let parts = read(&path);
        let blob = |described: &Value| {
            let digest = described["digest"].as_str().expect("a digest");
            let digest = digest.strip_prefix("sha256:").expect("of SHA-256");
            let data = &parts[&format!("blobs/sha256/{digest}")];
            assert_eq!(sha256(data), digest);
            assert_eq!(described["size"], data.len());
            data.clone()
        };
        let json = |data: &[u8]| serde_json::from_slice::<Value>(data).expect("JSON");
        let index = json(&parts["index.json"]);
        assert_eq!(index["manifests"][0]["digest"], written.digest);
        let manifest = json(&blob(&index["manifests"][0]));
        let config = json(&blob(&manifest["config"]));
        assert_eq!(config["config"]["User"], "65532:65532");
        let layer = blob(&manifest["layers"][0]);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(layer.as_slice())
            .read_to_end(&mut unpacked)
            .expect("gzip");
        let of_layer = format!("sha256:{}", sha256(&unpacked));
        assert_eq!(config["rootfs"]["diff_ids"][0], of_layer);
        let mut archive = tar::Archive::new(unpacked.as_slice());
        let names: Vec<_> = archive
            .entries()
            .expect("a tar")
            .map(|entry| {
                let entry = entry.expect("an entry");
                let header = entry.header();
                assert_eq!(header.mtime().expect("a time"), 0);
                assert_eq!(header.uid().expect("an owner"), 0);
                entry.path().expect("a path").display().to_string()
            })
            .collect();
        assert_eq!(names, ["etc/", "etc/ssl/", "etc/ssl/ca", "one"]);
    }

    #[test]
    fn the_same_files_give_the_same_bytes_and_others_another_digest() {
        let folder = tempfile::tempdir().expect("a folder");
        let [first, second, third] = ["1", "2", "3"].map(|name| folder.path().join(name));
        let digest = image().write(&first).expect("written").digest;
        image().write(&second).expect("written");
        let bytes = |path| std::fs::read(path).expect("written");
        assert_eq!(bytes(&first), bytes(&second));
        let mut other = image();
        other.files.insert("one".to_owned(), file(0o555, "progran"));
        assert_ne!(other.write(&third).expect("written").digest, digest);
    }
}
