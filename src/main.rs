//! Prints the custom resource definitions. A stand-in until the command line exists.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("crd") {
        print!("{}", apono_operator::crd::crds_yaml());
        return ExitCode::SUCCESS;
    }
    eprintln!("usage: apono-operator crd");
    ExitCode::FAILURE
}
