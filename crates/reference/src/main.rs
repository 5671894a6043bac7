//! Prints the pages as one JSON object, path to text, for `cargo xtask generate`.

use std::{io::Write as _, process::ExitCode};

fn main() -> ExitCode {
    let pages = serde_json::json!(apono_reference::pages());
    match writeln!(std::io::stdout(), "{pages}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
