//! `cargo xtask book`: the pages of `docs/` as a book, by mdBook, which is installed once where it is not on
//! PATH. What is in the pages is held by `tests/book.rs`, which needs none.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::process;
use crate::tools::{self, MDBOOK};

/// Where mdBook finds its settings, and where they have it build.
const SOURCE: &str = "docs";
const BUILT: &str = "target/book";

/// What is done with it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Serve it on loopback until Ctrl-C, and build it anew at each change.
    #[arg(long)]
    serve: bool,
}

/// Builds or serves it.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let root = crate::workspace();
    let mut command = Command::new(tools::on_path_or(Path::new("mdbook"), &MDBOOK)?);
    command
        .arg(if arguments.serve { "serve" } else { "build" })
        .arg(root.join(SOURCE));
    if arguments.serve {
        command.args(["--hostname", "127.0.0.1"]);
    }
    let status = process::run(&command).context("mdBook does not start")?;
    if !status.success() {
        bail!("mdBook failed: see above");
    }
    if !arguments.serve {
        println!("the book is in {}", root.join(BUILT).display());
    }
    Ok(ExitCode::SUCCESS)
}
