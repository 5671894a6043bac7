//! What `drain` is told on the command line.

use std::time::Duration;

use super::{DrainArguments, InvalidSetting, invalid};
use crate::{crd::DurationText, drain};

/// Who waits longer has gone home.
const LONGEST: Duration = Duration::from_hours(24);

/// What `drain` is to do.
pub fn drain_order(given: &DrainArguments) -> Result<drain::Order, InvalidSetting> {
    let timeout = DurationText(given.timeout.clone())
        .to_duration()
        .filter(|duration| (Duration::from_secs(1)..=LONGEST).contains(duration))
        .ok_or_else(|| {
            invalid(
                "--timeout",
                &given.timeout,
                "which is not a usable time to wait",
                "write 1s to 24h, for example `15m`",
            )
        })?;
    Ok(drain::Order {
        mode: if given.hand_over {
            drain::choice::Mode::HandOver
        } else {
            drain::choice::Mode::Revoke
        },
        is_dry: given.dry_run,
        timeout,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{
        drain::choice::Mode,
        settings::{Command, CommandLine},
    };

    fn arguments(words: &[&str]) -> DrainArguments {
        let words = ["apono-operator", "drain"].iter().chain(words);
        match CommandLine::try_parse_from(words).unwrap().command {
            Command::Drain(arguments) => *arguments,
            other => panic!("parsed as {other:?}"),
        }
    }

    fn order(words: &[&str]) -> Result<drain::Order, InvalidSetting> {
        drain_order(&arguments(words))
    }

    #[test]
    fn everything_is_taken_back_and_waited_for_unless_something_else_is_said() {
        let said = order(&[]).unwrap();
        assert_eq!((said.mode, said.is_dry), (Mode::Revoke, false));
        assert_eq!(said.timeout, Duration::from_mins(15));
        let said = order(&["--hand-over", "--dry-run", "--timeout=90s"]).unwrap();
        assert_eq!((said.mode, said.is_dry), (Mode::HandOver, true));
        assert_eq!(said.timeout, Duration::from_secs(90));
        for wrong in ["0s", "24h1s", "soon", ""] {
            let error = order(&[&format!("--timeout={wrong}")]).unwrap_err();
            assert!(error.to_string().starts_with("--timeout is `"), "{error}");
        }
    }
}
