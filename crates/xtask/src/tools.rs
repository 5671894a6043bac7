//! Programs that come neither with the toolchain nor from this repository: installed once, into a
//! folder of our own, by the installer of the language they are written in. Each is pinned, so that
//! a check fails for a change of ours and never for one of theirs.

pub(crate) mod go;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{self, progress::Progress};
use crate::test::cargo;

/// Licences, sources and bans of dependencies.
pub(crate) const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    from: Registry::Crates,
};
/// Dependencies that nothing uses.
pub(crate) const MACHETE: Tool = Tool {
    name: "cargo-machete",
    version: "0.9.2",
    from: Registry::Crates,
};
/// What makes a book of `docs/`.
pub(crate) const MDBOOK: Tool = Tool {
    name: "mdbook",
    version: "0.5.4",
    from: Registry::Crates,
};
/// Calls made up from an `OpenAPI` file, and their answers held against it.
pub(crate) const SCHEMATHESIS: Tool = Tool {
    name: "schemathesis",
    version: "4.32.5",
    from: Registry::PyPi,
};

/// A C compiler that brings the headers of musl.
const ZIG: Tool = Tool {
    name: "ziglang",
    version: "0.15.2",
    from: Registry::PyPi,
};

/// Its program, which pip puts among the modules of Python.
pub(crate) fn zig() -> Result<PathBuf> {
    let folder = ZIG.folder();
    let find = || {
        let libraries = fs::read_dir(folder.join("lib")).ok()?.flatten();
        let mut paths = libraries.map(|entry| entry.path().join("site-packages/ziglang/zig"));
        paths.find(|path| path.is_file())
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    ZIG.install(&folder)?;
    find().context("the package `ziglang` holds no `zig`")
}

/// What judges alerts and the dashboard; both come with Debian's package `prometheus`.
const MONITORING: [&str; 2] = ["prometheus", "promtool"];

/// This program where it is on PATH, else the tool of ours.
pub(crate) fn on_path_or(program: &Path, tool: &Tool) -> Result<PathBuf> {
    if process::capture(Command::new(program).arg("--version")).is_ok() {
        return Ok(program.to_owned());
    }
    tool.find()
}

/// The PATH with what judges alerts and the dashboard; none where both programs are on it.
pub(crate) fn monitoring() -> Result<Option<OsString>> {
    let answers = |program: &Path| process::capture(Command::new(program).arg("--version")).is_ok();
    if MONITORING.iter().all(|program| answers(Path::new(program))) {
        return Ok(None);
    }
    let in_folder = |folder: &Path| {
        let programs = folder.join("usr").join("bin");
        MONITORING
            .iter()
            .all(|program| answers(&programs.join(program)))
    };
    let folder = debian("prometheus", &["prometheus"], in_folder).context(
        "`prometheus` and `promtool` are needed for the tests of deploy/monitoring: put them on PATH (Debian: \
         `apt-get install --no-install-recommends prometheus`)",
    )?;
    let known = std::env::var_os("PATH").unwrap_or_default();
    let programs = folder.join("usr").join("bin");
    let all = std::iter::once(programs).chain(std::env::split_paths(&known));
    Ok(Some(std::env::join_paths(all)?))
}

/// The folder into which these packages of Debian are unpacked, once: nothing is installed, and no root is
/// needed. What they depend on has to be named too, where a bare machine lacks it.
pub(crate) fn debian(
    name: &str,
    packages: &[&str],
    is_complete: impl Fn(&Path) -> bool,
) -> Result<PathBuf> {
    let folder = crate::target().join("tools").join(format!("{name}-debian"));
    if !is_complete(&folder) {
        unpack(&folder, packages)?;
    }
    Ok(folder)
}

/// Fetches packages of Debian and unpacks them.
fn unpack(folder: &Path, packages: &[&str]) -> Result<()> {
    eprintln!("unpacking {} of Debian, once", packages.join(", "));
    let draft = folder.with_extension("draft");
    if draft.exists() {
        fs::remove_dir_all(&draft).context("could not remove an unfinished package")?;
    }
    fs::create_dir_all(&draft).context("could not make the folder of the package")?;
    let fetch = || {
        let mut command = Command::new("apt-get");
        process::capture(
            command
                .args(["download", "--quiet"])
                .args(packages)
                .current_dir(&draft),
        )
    };
    // A bare machine has no lists of packages yet.
    if fetch().is_err() {
        process::capture(Command::new("apt-get").args(["update", "--quiet"]))?;
        fetch()?;
    }
    for entry in fs::read_dir(&draft)? {
        let package = entry.context("could not list the packages")?.path();
        if package.extension().is_none_or(|end| end != "deb") {
            continue;
        }
        process::capture(Command::new("dpkg").arg("-x").arg(&package).arg(&draft))?;
        fs::remove_file(&package).context("could not remove a package")?;
    }
    if folder.exists() {
        fs::remove_dir_all(folder).context("could not replace the package")?;
    }
    fs::rename(&draft, folder).context("could not put the package into its place")
}

/// A program in one version.
#[derive(Debug)]
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
    from: Registry,
}

#[derive(Debug)]
enum Registry {
    Crates,
    PyPi,
}

impl Tool {
    /// Its path in our own folder of tools, where it is installed first if it is not there.
    pub(crate) fn find(&self) -> Result<PathBuf> {
        let folder = self.folder();
        let binary = folder.join("bin").join(self.name);
        if !binary.is_file() {
            self.install(&folder)?;
        }
        Ok(binary)
    }

    fn folder(&self) -> PathBuf {
        let name = format!("{}-{}", self.name, self.version);
        crate::target().join("tools").join(name)
    }

    fn install(&self, folder: &Path) -> Result<()> {
        eprintln!("installing {} {}, once", self.name, self.version);
        match self.from {
            Registry::Crates => {
                let mut command = cargo();
                command
                    .args(["install", "--locked", "--version", self.version, "--root"])
                    .arg(folder)
                    .arg(self.name);
                self.step(&command)
            }
            Registry::PyPi => {
                let mut environment = Command::new("python3");
                environment.args(["-m", "venv"]).arg(folder);
                self.step(&environment)
                    .context("Python 3 with its module venv is needed (Debian: python3-venv)")?;
                let mut command = Command::new(folder.join("bin").join("pip"));
                let pinned = format!("{}=={}", self.name, self.version);
                command.args(["install", "--quiet", "--disable-pip-version-check", &pinned]);
                self.step(&command)
            }
        }
    }

    fn step(&self, command: &Command) -> Result<()> {
        let label = format!("installing {} {}", self.name, self.version);
        let watched = process::watch(command, Progress::new(label), |line| {
            line.trim_start()
                .starts_with("Compiling ")
                .then_some("crates")
        })?;
        if !watched.status.success() {
            bail!("could not install {}:\n{}", self.name, watched.output);
        }
        Ok(())
    }
}
