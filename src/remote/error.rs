//! Why a call did not succeed: what it may have done all the same, and what to do.

use std::{fmt, time::Duration};

use apono_client::{Effect, Error, ErrorClass};

/// A call did not succeed.
#[derive(Debug)]
pub enum RemoteError {
    /// There is nothing to call with yet: endpoint or token are missing or invalid.
    Unconfigured,
    /// The token was refused and has not changed since; nothing was sent.
    CircuitOpen,
    /// The API asked for a pause of which this is left; nothing was sent.
    Paused(Duration),
    /// The call could not leave by the time its caller set; nothing was sent.
    TooLate,
    /// Another replica works for the connection now; nothing was sent.
    NotHeld,
    /// The call was made and failed.
    Call(Error),
}

impl RemoteError {
    /// What the call may have done all the same.
    pub fn effect(&self) -> Effect {
        match self {
            Self::Unconfigured
            | Self::CircuitOpen
            | Self::Paused(_)
            | Self::TooLate
            | Self::NotHeld => Effect::NotSent,
            Self::Call(error) => error.effect(),
        }
    }

    /// The HTTP status, if one was received.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Unconfigured
            | Self::CircuitOpen
            | Self::Paused(_)
            | Self::TooLate
            | Self::NotHeld => None,
            Self::Call(error) => error.status(),
        }
    }

    /// What failed, and the API's own words where it gave any, which may differ from one answer to
    /// the next: for what is said once.
    pub fn in_full(&self) -> String {
        match self {
            Self::Call(error) => match error.body() {
                Some(words) => format!("{error}: {words}"),
                None => error.to_string(),
            },
            Self::Unconfigured
            | Self::CircuitOpen
            | Self::Paused(_)
            | Self::TooLate
            | Self::NotHeld => self.to_string(),
        }
    }

    /// How long the API asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Paused(left) => Some(*left),
            Self::Call(error) => error.retry_after(),
            Self::Unconfigured | Self::CircuitOpen | Self::TooLate | Self::NotHeld => None,
        }
    }

    /// Whether the token was refused: the connection's matter, not the request's.
    pub fn is_unauthorized(&self) -> bool {
        match self {
            Self::CircuitOpen => true,
            Self::Call(error) => error.class() == ErrorClass::Unauthorized,
            Self::Unconfigured | Self::Paused(_) | Self::TooLate | Self::NotHeld => false,
        }
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unconfigured => {
                formatter.write_str("the connection cannot be used yet: see its condition Ready")
            }
            Self::CircuitOpen => formatter.write_str(
                "the API refused the connection's token: put a valid token into its Secret",
            ),
            Self::Paused(left) => {
                write!(
                    formatter,
                    "the API asked for a pause: repeated in {} s",
                    left.as_secs() + 1
                )
            }
            Self::TooLate => {
                formatter.write_str("the call did not get its turn in time: repeated later")
            }
            Self::NotHeld => formatter
                .write_str("another replica works for the connection now: nothing was sent"),
            Self::Call(error) => write!(formatter, "{error}"),
        }
    }
}

impl std::error::Error for RemoteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Call(error) => error.source(),
            Self::Unconfigured
            | Self::CircuitOpen
            | Self::Paused(_)
            | Self::TooLate
            | Self::NotHeld => None,
        }
    }
}
