//! Puts images into the cluster, under their name with the tag and under their name with the digest: so
//! a chart may say either, as with a registry.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Cluster;
use crate::image::{self, Profile};
use crate::process;

/// Loads `archives`; without any, builds our own images and loads them.
pub(crate) fn run(cluster: &Cluster, mut archives: Vec<PathBuf>) -> Result<ExitCode> {
    if archives.is_empty() {
        let folder = image::folder();
        let built = image::build(Profile::Dev, "localhost/", None, &folder)?;
        archives = built.into_iter().map(|it| it.path).collect();
    }
    for archive in &archives {
        for (name, digest) in cluster.load(archive)? {
            println!("{name} {digest}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Cluster {
    /// Loads an archive and returns the names and digests of what was in it.
    pub(crate) fn load(&self, archive: &Path) -> Result<Vec<(String, String)>> {
        let images = images(archive)?;
        let ctr = |arguments: &[&str]| {
            let mut command = self.enter("ctr")?;
            process::capture(command.args(["-n", "k8s.io", "image"]).args(arguments))
        };
        ctr(&["import", &archive.to_string_lossy()])?;
        for (name, digest) in &images {
            // A tag follows the last slash; a port of a registry comes before it.
            let slash = name.rfind('/').unwrap_or(0);
            let (start, last) = name.split_at(slash);
            let (untagged, _) = last.split_once(':').unwrap_or((last, ""));
            ctr(&[
                "tag",
                "--force",
                name,
                &format!("{start}{untagged}@{digest}"),
            ])?;
        }
        Ok(images)
    }
}

/// The names and digests in an archive's index.
fn images(archive: &Path) -> Result<Vec<(String, String)>> {
    let read = || -> Result<Value> {
        let mut tar = tar::Archive::new(File::open(archive)?);
        for entry in tar.entries()? {
            let mut entry = entry?;
            if entry.path()? == Path::new("index.json") {
                let mut text = String::new();
                entry.read_to_string(&mut text)?;
                return Ok(serde_json::from_str(&text)?);
            }
        }
        anyhow::bail!("it holds no index.json")
    };
    let index =
        read().with_context(|| format!("`{}` is no archive of an image", archive.display()))?;
    let manifests = index.get("manifests").and_then(Value::as_array);
    let manifests = manifests.map(Vec::as_slice).unwrap_or_default();
    let named = manifests.iter().filter_map(|manifest| {
        let name = manifest
            .pointer("/annotations/io.containerd.image.name")?
            .as_str()?;
        let digest = manifest.get("digest")?.as_str()?;
        Some((name.to_owned(), digest.to_owned()))
    });
    Ok(named.collect())
}
