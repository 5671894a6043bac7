//! The lenient half of decoding: what is optional and does not read is absent, never a failure. It
//! knows no endpoint.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// A value, or whatever else stood in its place.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Read<T> {
    Understood(T),
    Other(IgnoredAny),
}

impl<T> Read<T> {
    pub(crate) fn understood(self) -> Option<T> {
        match self {
            Self::Understood(value) => Some(value),
            Self::Other(_) => None,
        }
    }
}

/// The value, or its default for null and for anything that does not read.
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Read::deserialize(deserializer)?
        .understood()
        .unwrap_or_default())
}

/// An id. What has none can be neither read again nor asked for, so an empty one is none.
pub(crate) fn identifier<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    let id = String::deserialize(deserializer)?;
    if id.is_empty() {
        return Err(de::Error::custom("the id is empty"));
    }
    Ok(id.into())
}

/// As [`lenient`], of a value that many answers repeat: see [`lenient_shared_list`].
pub(crate) fn lenient_shared<'de, D, T>(deserializer: D) -> Result<Option<Arc<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(lenient::<_, Option<T>>(deserializer)?.map(Arc::new))
}

/// As [`lenient_list`], of a list that many answers repeat: who keeps thousands of them can keep one.
pub(crate) fn lenient_shared_list<'de, D, T>(deserializer: D) -> Result<Arc<[T]>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(lenient_list(deserializer)?.into())
}

/// The readable elements of a list; none for null and for anything that is not a list.
pub(crate) fn lenient_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let list: Vec<Read<T>> = lenient(deserializer)?;
    Ok(list.into_iter().filter_map(Read::understood).collect())
}

/// A map of texts. A number or a truth value is kept as its text, anything else is left out.
pub(crate) fn text_map<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    let map: BTreeMap<String, Value> = lenient(deserializer)?;
    let text = |value| match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    Ok(map
        .into_iter()
        .filter_map(|(key, value)| Some((key, text(value)?)))
        .collect())
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Number(f64),
    Text(String),
}

/// Seconds as any kind of number. Zero is kept, a negative number is absent.
pub(crate) fn seconds<'de, D>(deserializer: D) -> Result<Option<Duration>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(match lenient::<_, Option<f64>>(deserializer)? {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => None,
    })
}

/// A moment: ISO 8601 with or without fraction and offset (UTC when there is none), or epoch
/// seconds as a number.
pub(crate) fn moment<'de, D>(deserializer: D) -> Result<Option<Timestamp>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(match lenient::<_, Option<Scalar>>(deserializer)? {
        Some(Scalar::Number(seconds)) => SignedDuration::try_from_secs_f64(seconds)
            .and_then(Timestamp::from_duration)
            .ok(),
        Some(Scalar::Text(text)) => parse_moment(text.trim()),
        None => None,
    })
}

fn parse_moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let local: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(local).ok()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_moment(value: Value) -> Option<Timestamp> {
        moment(value).unwrap()
    }

    #[test]
    fn dates_are_read_in_every_form_seen() {
        let expected: Timestamp = "2022-03-10T16:15:50Z".parse().unwrap();
        for text in [
            "2022-03-10T16:15:50Z",
            "2022-03-10T16:15:50",
            "2022-03-10 16:15:50Z",
            "2022-03-10T18:15:50+02:00",
            "2022-03-10T16:15:50.000000Z",
            "2022-03-10T16:15:50.0",
        ] {
            assert_eq!(read_moment(json!(text)), Some(expected), "{text}");
        }
        assert_eq!(read_moment(json!(1_646_928_950)), Some(expected));
        let fraction = read_moment(json!(1_646_928_950.5)).unwrap();
        assert_eq!(fraction, "2022-03-10T16:15:50.5Z".parse().unwrap());
    }

    #[test]
    fn a_date_that_does_not_read_is_absent() {
        for value in [
            json!(null),
            json!(""),
            json!("soon"),
            json!(1e300),
            json!({}),
            json!([1]),
        ] {
            assert_eq!(read_moment(value.clone()), None, "{value}");
        }
    }

    #[test]
    fn seconds_are_any_kind_of_number() {
        assert_eq!(seconds(json!(3600)).unwrap(), Some(Duration::from_hours(1)));
        assert_eq!(seconds(json!(0)).unwrap(), Some(Duration::ZERO));
        assert_eq!(
            seconds(json!(1.5)).unwrap(),
            Some(Duration::from_millis(1500))
        );
        for value in [
            json!(null),
            json!(-1),
            json!(1e300),
            json!("3600"),
            json!({}),
        ] {
            assert_eq!(seconds(value.clone()).unwrap(), None, "{value}");
        }
    }

    #[test]
    fn a_map_keeps_what_can_be_text() {
        let map = text_map(json!({"a": "x", "b": 7, "c": true, "d": null, "e": []})).unwrap();
        let expected = [("a", "x"), ("b", "7"), ("c", "true")];
        assert_eq!(
            map,
            expected
                .map(|(key, text)| (key.to_owned(), text.to_owned()))
                .into()
        );
        assert!(text_map(json!(null)).unwrap().is_empty());
        assert!(text_map(json!([])).unwrap().is_empty());
    }

    #[test]
    fn a_list_keeps_its_readable_elements() {
        assert_eq!(
            lenient_list::<_, String>(json!(["a", 1, "b", null])).unwrap(),
            ["a", "b"]
        );
        assert!(lenient_list::<_, String>(json!(null)).unwrap().is_empty());
        assert!(
            lenient_list::<_, String>(json!({"a": 1}))
                .unwrap()
                .is_empty()
        );
    }
}
