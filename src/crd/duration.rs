//! A duration as people write it in a manifest (`8h`, `1h30m`, `90s`); never rewritten by us.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A duration such as `8h`, `1h30m` or `90s`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct DurationText(pub String);

impl DurationText {
    /// The duration, or nothing when the text is not one.
    pub fn to_duration(&self) -> Option<Duration> {
        let mut rest = self.0.as_str();
        let mut total = Duration::ZERO;
        for (unit, seconds) in [('h', 3600_u64), ('m', 60), ('s', 1)] {
            if let Some(at) = rest.find(unit) {
                let (number, tail) = rest.split_at(at);
                let count: u64 = number.parse().ok()?;
                total += Duration::from_secs(count.checked_mul(seconds)?);
                rest = tail.strip_prefix(unit)?;
            }
        }
        (rest.is_empty() && !self.0.is_empty()).then_some(total)
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
