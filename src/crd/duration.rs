//! A duration as people write it in a manifest (`8h`, `1h30m`, `90s`); never rewritten by us.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The units in the order they may be written, with their milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Five digits a unit are enough for eleven years; more would only invite overflow.
const MOST_DIGITS: usize = 5;
/// Every unit with all its digits: `99999h99999m99999s99999ms` has 25 characters.
const LONGEST_TEXT: usize = 32;

/// A duration such as `8h`, `1h30m`, `90s` or `500ms`.
///
/// Which units and which values are allowed is said by the rules of the property that holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationText(pub String);

impl DurationText {
    /// The duration, or nothing when the text is not one.
    pub fn to_duration(&self) -> Option<Duration> {
        let mut rest = self.0.as_str();
        if rest.is_empty() {
            return None;
        }
        let mut total = Duration::ZERO;
        let mut units = UNITS.iter();
        while !rest.is_empty() {
            let (number, tail) = split_at(rest, |character| !character.is_ascii_digit())?;
            let (unit, tail) = split_at(tail, |character| character.is_ascii_digit())?;
            if number.len() > MOST_DIGITS {
                return None;
            }
            // Continuing with the units that follow refuses a repeated or misplaced one.
            let (_, milliseconds) = units.find(|(name, _)| *name == unit)?;
            let count: u64 = number.parse().ok()?;
            total += Duration::from_millis(count.checked_mul(*milliseconds)?);
            rest = tail;
        }
        Some(total)
    }
}

/// What stands before the first character that `ends`, and the rest.
fn split_at(text: &str, ends: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    text.split_at_checked(text.find(ends).unwrap_or(text.len()))
}

impl From<&str> for DurationText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "DurationText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT})
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn milliseconds(text: &str) -> Option<u128> {
        DurationText::from(text)
            .to_duration()
            .map(|duration| duration.as_millis())
    }

    #[test]
    fn every_unit_counts() {
        assert_eq!(milliseconds("8h"), Some(28_800_000));
        assert_eq!(milliseconds("1h30m"), Some(5_400_000));
        assert_eq!(milliseconds("90s"), Some(90_000));
        assert_eq!(milliseconds("500ms"), Some(500));
        assert_eq!(milliseconds("1h2m3s4ms"), Some(3_723_004));
        assert_eq!(milliseconds("5m5ms"), Some(300_005));
        assert_eq!(milliseconds("0s"), Some(0));
        assert_eq!(milliseconds("99999h"), Some(359_996_400_000));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "", "1d", "0.5h", "h", "8", "8 h", " 8h", "8h ", "-8h", "+8h", "1m1h", "1h1h", "1ms1s",
            "100000h", "8H", "1h30", "ms", "8h\n", "٣h", "1µs", "é",
        ] {
            assert_eq!(milliseconds(text), None, "{text:?}");
        }
    }

    /// Zero to 99999 of a unit, or the unit left out.
    fn part() -> impl Strategy<Value = Option<u64>> {
        proptest::option::of(0..100_000_u64)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(h in part(), m in part(), s in part(), ms in part()) {
            let parts = [(h, "h", 3_600_000), (m, "m", 60_000), (s, "s", 1_000), (ms, "ms", 1)];
            let mut text = String::new();
            let mut expected = None;
            for (count, unit, size) in parts {
                if let Some(count) = count {
                    write!(text, "{count}{unit}").unwrap();
                    *expected.get_or_insert(0) += u128::from(count * size);
                }
            }
            prop_assert!(text.len() <= LONGEST_TEXT);
            prop_assert_eq!(milliseconds(&text), expected);
        }

        #[test]
        fn no_text_is_a_surprise(text in "\\PC{0,12}") {
            let _ = milliseconds(&text);
        }
    }
}
