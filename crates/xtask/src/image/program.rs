//! The static programs that images hold: linked with musl, which Rust brings, by Rust's own linker; the
//! C code, of the TLS library and of the allocator, is compiled by Zig, which brings the headers of musl and is
//! pinned. So nothing of the machine's own C library or compiler gets in.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::PROGRAMS;
use crate::process::{self, progress::Progress, spoken};
use crate::test::cargo;
use crate::tools;

/// What is compiled for.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-musl";

/// How much is spent on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As it is shipped.
    Release,
    /// As it is tested.
    Dev,
}

/// Sources, and where they are built.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The root of the workspace.
    pub(crate) sources: PathBuf,
    /// Where Cargo builds.
    pub(crate) target: PathBuf,
}

impl Place {
    /// This checkout.
    pub(crate) fn ours() -> Self {
        Self {
            sources: crate::workspace(),
            target: crate::target(),
        }
    }
}

/// Builds the programs; each with the path of its binary.
pub(crate) fn build(profile: Profile, place: &Place) -> Result<Vec<(&'static str, PathBuf)>> {
    super::check_platform()?;
    obtain_target()?;
    let started = Instant::now();
    let compiler = compiler()?;
    let mut command = cargo();
    command.args(["build", "--locked", "--bins", "--target", TARGET]);
    for package in PROGRAMS {
        command.args(["--package", package]);
    }
    let folder = match profile {
        Profile::Release => {
            command.arg("--release");
            "release"
        }
        Profile::Dev => {
            // Nobody debugs in a scratch image, and a pod is loaded faster.
            command.args(["--config", "profile.dev.debug=0"]);
            "debug"
        }
    };
    let maps = Maps::read(place)?;
    command
        .current_dir(&place.sources)
        .env("CARGO_TARGET_DIR", &place.target)
        // Whatever the shell has set for its own builds.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld")
        .env(
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS",
            maps.flags("--remap-path-prefix="),
        )
        .env("CC_x86_64_unknown_linux_musl", compiler)
        // Zig checks for undefined behaviour where nothing is optimized, and has no library for it here.
        .env(
            "CFLAGS_x86_64_unknown_linux_musl",
            format!("-fno-sanitize=all {}", maps.flags("-ffile-prefix-map=")),
        )
        .env(
            "ZIG_GLOBAL_CACHE_DIR",
            crate::target().join("tools/zig-cache"),
        );
    let built = process::watch(
        &command,
        Progress::new("building static programs"),
        |line| {
            line.trim_start()
                .starts_with("Compiling ")
                .then_some("crates compiled")
        },
    )?;
    if !built.status.success() {
        bail!("the build failed:\n{}", built.output);
    }
    eprintln!("static programs: built in {}", spoken(started.elapsed()));
    let folder = place.target.join(TARGET).join(folder);
    Ok(PROGRAMS.map(|name| (name, folder.join(name))).into())
}

/// Has rustup fetch the standard library of the target, if it is not there.
fn obtain_target() -> Result<()> {
    let libraries = rustc(&["--print", "target-libdir", "--target", TARGET])?;
    if Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    let mut add = Command::new("rustup");
    add.args(["target", "add", TARGET])
        .current_dir(crate::workspace());
    process::capture(&mut add)
        .map(|_| ())
        .with_context(|| format!("the standard library for {TARGET} is needed"))
}

/// The C compiler, as a program of one path: the way Cargo's build scripts take one.
fn compiler() -> Result<PathBuf> {
    let zig = tools::zig()?;
    let folder = crate::target().join("tools").join("musl-cc");
    fs::create_dir_all(&folder).context("could not make the folder of the compiler")?;
    let path = folder.join("cc");
    // Rust's name of the target, which build scripts hand on, is not Zig's.
    let script = format!(
        "#!/bin/sh\nfor a do shift; case $a in --target=*) ;; *) set -- \"$@\" \"$a\" ;; esac; done\n\
         exec '{}' cc -target x86_64-linux-musl \"$@\"\n",
        zig.display()
    );
    // Another build may be running it.
    if fs::read_to_string(&path).is_ok_and(|found| found == script) {
        return Ok(path);
    }
    let draft = folder.join("cc.draft");
    let write = || {
        fs::write(&draft, script)?;
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755))?;
        fs::rename(&draft, &path)
    };
    write().context("could not write the compiler's script")?;
    Ok(path)
}

/// The release of the compiler, whose standard library is linked: `1.95.0`.
pub(crate) fn compiler_release() -> Result<String> {
    let said = rustc(&["--version", "--verbose"])?;
    let found = said.lines().find_map(|line| line.strip_prefix("release: "));
    found.map(str::to_owned).context("rustc tells no release")
}

/// The copyright notices of Rust's standard library, as they come with the compiler.
pub(crate) fn notices_of_rust() -> Result<Vec<u8>> {
    let root = rustc(&["--print", "sysroot"])?;
    let path = Path::new(root.trim()).join("share/doc/rust/COPYRIGHT-library.html");
    fs::read(&path).with_context(|| format!("could not read `{}`", path.display()))
}

/// The notice of musl, which comes with its headers.
pub(crate) fn licence_of_musl() -> Result<String> {
    let zig = tools::zig()?;
    let folder = zig.parent().unwrap_or(Path::new("."));
    fs::read_to_string(folder.join("lib/libc/musl/COPYRIGHT"))
        .context("could not read the notice of musl")
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("rustc");
    process::capture(command.args(arguments).current_dir(crate::workspace()))
}

/// Folders of this machine, and what stands for them in a program.
struct Maps(Vec<(PathBuf, &'static str)>);

impl Maps {
    fn read(place: &Place) -> Result<Self> {
        let home = std::env::var_os("CARGO_HOME").map_or_else(
            || {
                let home =
                    std::env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?;
                Ok::<_, anyhow::Error>(Path::new(&home).join(".cargo"))
            },
            |home| Ok(home.into()),
        )?;
        // The last that fits counts, so the inner folders come later.
        Ok(Self(vec![
            (place.sources.clone(), "/source"),
            (place.target.clone(), "/target"),
            (home, "/cargo"),
        ]))
    }

    fn flags(&self, flag: &str) -> String {
        let flags = self.0.iter().map(|(folder, name)| {
            let mut one = OsString::from(flag);
            one.push(folder);
            format!("{}={name}", one.to_string_lossy())
        });
        flags.collect::<Vec<_>>().join(" ")
    }
}
