//! `cargo xtask image`: the images of the operator and of the simulator, each in an archive that any
//! registry client or container engine takes (OCI layout in a tar). No engine is needed: a scratch
//! image is one static program and a few files.
//!
//! The same commit gives the same digest, wherever it is built: compilers are pinned, paths are
//! mapped, and no time of the build is in it. Nothing is sent anywhere.

pub(crate) mod archive;
mod contents;
mod crates;
mod notices;
mod program;
mod sbom;
mod verify;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use jiff::Timestamp;

use self::archive::{Image, Written};
use self::program::Place;
pub(crate) use self::program::Profile;
use crate::process::{self, spoken};

/// What is built into an image: the name of a package, of its program, and of the image.
pub(crate) const PROGRAMS: [&str; 2] = ["apono-operator", "apono-simulator"];

/// Whom a container runs as: nobody of the node, and what the chart demands.
const USER: &str = "65532:65532";

/// How to build them.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Build without optimization: a minute in place of ten, for tests. Not to be shipped.
    #[arg(long)]
    debug: bool,
    /// The tag, and the version in the labels; without it that of the workspace.
    #[arg(long)]
    tag: Option<String>,
    /// What comes before the name in a reference, for example `registry.example.com/team/`.
    #[arg(long, default_value = "")]
    prefix: String,
    /// Build everything once more from a copy in another folder, and fail unless the images are the same.
    #[arg(long)]
    verify: bool,
    /// Where the archives go; without it `target/image`.
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// An image in its archive.
#[derive(Debug)]
pub(crate) struct Built {
    /// The name, without tag and digest.
    pub(crate) name: String,
    /// Its tag.
    pub(crate) tag: String,
    /// Where the archive is.
    pub(crate) path: PathBuf,
    /// What was written.
    pub(crate) written: Written,
}

/// Builds both and says where they are.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let started = Instant::now();
    let profile = if arguments.debug {
        Profile::Dev
    } else {
        Profile::Release
    };
    let folder = arguments.output.clone().unwrap_or_else(folder);
    let tag = arguments.tag.as_deref();
    let recipe = Recipe::read(profile, &arguments.prefix, tag)?;
    let images = recipe.build(&Place::ours(), &folder)?;
    for built in &images {
        let Written {
            digest,
            layer,
            unpacked,
        } = &built.written;
        println!("{}:{}", built.name, built.tag);
        println!("  archive   {}", built.path.display());
        println!("  digest    {digest}");
        println!("  size      {} ({} unpacked)", mib(*layer), mib(*unpacked));
    }
    eprintln!("images: built in {}", spoken(started.elapsed()));
    if arguments.verify {
        verify::again(&recipe, &images)?;
        println!("the same again, from a copy in another folder");
    }
    Ok(ExitCode::SUCCESS)
}

/// Where archives go unless somebody says otherwise.
pub(crate) fn folder() -> PathBuf {
    crate::target().join("image")
}

/// Builds both into `folder`.
pub(crate) fn build(
    profile: Profile,
    prefix: &str,
    tag: Option<&str>,
    folder: &Path,
) -> Result<Vec<Built>> {
    Recipe::read(profile, prefix, tag)?.build(&Place::ours(), folder)
}

/// All that decides what comes out, beside the sources.
#[derive(Debug)]
struct Recipe {
    profile: Profile,
    prefix: String,
    tag: String,
    source: Source,
}

impl Recipe {
    fn read(profile: Profile, prefix: &str, tag: Option<&str>) -> Result<Self> {
        Ok(Self {
            profile,
            prefix: prefix.to_owned(),
            tag: tag.unwrap_or(env!("CARGO_PKG_VERSION")).to_owned(),
            source: Source::read()?,
        })
    }

    /// Builds the programs of a place and packs each into its archive in `folder`.
    fn build(&self, place: &Place, folder: &Path) -> Result<Vec<Built>> {
        let programs = program::build(self.profile, place)?;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("could not create `{}`", folder.display()))?;
        let packed = programs.into_iter();
        packed
            .map(|(package, program)| self.pack(package, &program, folder))
            .collect()
    }

    fn pack(&self, package: &str, program: &Path, folder: &Path) -> Result<Built> {
        let Self { tag, source, .. } = self;
        let image = Image {
            name: format!("{}{package}", self.prefix),
            tag: tag.clone(),
            entrypoint: format!("/{package}"),
            user: USER.to_owned(),
            created: source.time,
            labels: labels(package, tag, source),
            files: contents::files(package, program, source.time)?,
        };
        let path = folder.join(format!("{package}-{tag}.tar"));
        let written = image.write(&path)?;
        // Beside it too, for whoever reads no images.
        let bill = image.files.get(&contents::bill(package));
        if let Some(bill) = bill.and_then(|it| it.data.as_deref()) {
            let beside = folder.join(format!("{package}-{tag}.cdx.json"));
            std::fs::write(&beside, bill)
                .with_context(|| format!("could not write `{}`", beside.display()))?;
        }
        Ok(Built {
            name: image.name,
            tag: image.tag,
            path,
            written,
        })
    }
}

/// What an image is made from.
#[derive(Debug)]
struct Source {
    /// The time of the commit, or `SOURCE_DATE_EPOCH`: never that of the build.
    time: Timestamp,
    /// The commit, where it is known.
    revision: Option<String>,
}

impl Source {
    fn read() -> Result<Self> {
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            process::capture(command.args(arguments).current_dir(crate::workspace()))
                .map(|said| said.trim().to_owned())
        };
        let seconds = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(given) => given,
            // Not every copy of the sources is a repository; the epoch is as good as any time.
            Err(_) => git(&["log", "-1", "--format=%ct"]).unwrap_or_else(|_| "0".to_owned()),
        };
        let seconds = seconds
            .parse()
            .with_context(|| format!("SOURCE_DATE_EPOCH is `{seconds}`, no number of seconds"))?;
        let time = Timestamp::from_second(seconds).context("SOURCE_DATE_EPOCH is out of range")?;
        let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
        let revision = git(&["rev-parse", "HEAD"]).ok().map(|revision| {
            // What is not committed can be built from no revision.
            match changed.as_deref() {
                Ok("") => revision,
                _ => format!("{revision}-dirty"),
            }
        });
        Ok(Self { time, revision })
    }
}

/// The words that registries and engines show.
fn labels(package: &str, tag: &str, source: &Source) -> Vec<(String, String)> {
    let about = match package {
        "apono-operator" => {
            "Temporary access as a Kubernetes resource, asked for at Apono and taken back"
        }
        _ => "A simulated Apono, to try and to test the operator without an account",
    };
    let created = source.time.to_string();
    let mut labels = vec![
        ("created", created.as_str()),
        ("description", about),
        ("licenses", "Apache-2.0"),
        ("title", package),
        ("version", tag),
    ];
    labels.extend(source.revision.as_deref().map(|it| ("revision", it)));
    let prefixed = |(name, value): (&str, &str)| {
        (format!("org.opencontainers.image.{name}"), value.to_owned())
    };
    labels.into_iter().map(prefixed).collect()
}

/// Bytes as a person says them.
fn mib(bytes: u64) -> String {
    // Tenths, without floating point.
    let tenths = bytes.saturating_mul(10) / (1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// Fails unless this is the platform that images are built on and for.
fn check_platform() -> Result<()> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(());
    }
    bail!("images are built on and for x86_64 Linux")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_tenths() {
        assert_eq!(mib(0), "0.0 MiB");
        assert_eq!(mib(1024 * 1024 * 5 / 2), "2.5 MiB");
    }

    #[test]
    fn what_is_unknown_is_no_label() {
        let mut source = Source {
            time: Timestamp::UNIX_EPOCH,
            revision: None,
        };
        let revision = "org.opencontainers.image.revision";
        let has = |source: &Source| {
            let labels = labels("apono-operator", "1", source);
            labels.iter().any(|(name, _)| name == revision)
        };
        assert!(!has(&source));
        source.revision = Some("abc".to_owned());
        assert!(has(&source));
    }
}
