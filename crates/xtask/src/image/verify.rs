//! Whether the same sources give the same images wherever they are built: everything is built once more
//! from a copy, in another folder, with nothing built before.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::program::Place;
use super::{Built, Recipe};
use crate::process;

/// Fails unless the images come out as they are.
pub(super) fn again(recipe: &Recipe, images: &[Built]) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("apono-image-").tempdir();
    let folder = folder.context("could not create a temporary folder")?;
    let place = Place {
        sources: folder.path().join("sources"),
        target: folder.path().join("elsewhere"),
    };
    copy(&place.sources)?;
    let others = recipe.build(&place, &folder.path().join("images"))?;
    for (one, other) in images.iter().zip(&others) {
        if one.written != other.written {
            bail!(
                "{} differs from one place to the other: {:?}, {:?}",
                one.name,
                one.written,
                other.written
            );
        }
    }
    Ok(())
}

/// Copies what Git knows of, as it is now.
fn copy(to: &Path) -> Result<()> {
    let root = crate::workspace();
    let mut list = Command::new("git");
    let listed = process::capture(list.args(["ls-files", "-z"]).current_dir(&root))?;
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root.join(name), to.join(name));
        // What is deleted and not yet committed is no source.
        if !from.is_file() {
            continue;
        }
        let parent = to.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent)
            .and_then(|()| fs::copy(&from, &to))
            .with_context(|| format!("could not copy `{name}`"))?;
    }
    Ok(())
}
