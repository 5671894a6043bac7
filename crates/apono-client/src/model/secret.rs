//! [`Secret`]: a text that is never shown. It cannot be printed, serialised or logged by accident;
//! who needs it says so with [`Secret::expose`].

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Number;
use zeroize::Zeroizing;

/// What stands for a secret wherever it would be shown.
const REDACTED: &str = "[redacted]";

/// A text that must not be shown. It has no `Display` and no `Serialize`, its `Debug` says only
/// that there is one, and its memory is wiped when it is dropped.
///
/// # Caveats
///
/// The wiping is best effort: what the HTTP and TLS layers below copied is beyond reach.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself. Never put it into a log, an event, a status or an error.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The cause must not be serde's own, which repeats the value it did not expect.
        maybe(deserializer)?.ok_or_else(|| de::Error::custom("not a text"))
    }
}

/// A secret, or nothing where anything stood that is no text: a number or a truth value is kept as
/// its text. Unlike `wire::lenient` it makes no copy on the way, which nobody would wipe.
#[derive(Default)]
pub(crate) struct MaybeSecret(pub(crate) Option<Secret>);

/// Reads an optional secret of a struct.
pub(crate) fn maybe<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret>, D::Error> {
    Ok(MaybeSecret::deserialize(deserializer)?.0)
}

impl<'de> Deserialize<'de> for MaybeSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = MaybeSecret;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<MaybeSecret, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<MaybeSecret, E> {
        Ok(MaybeSecret(Some(text.into())))
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<MaybeSecret, E> {
        self.visit_string(truth.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<MaybeSecret, E> {
        self.visit_string(number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<MaybeSecret, E> {
        self.visit_string(number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<MaybeSecret, E> {
        let text = Number::from_f64(number).map(|number| number.to_string());
        Ok(MaybeSecret(text.map(Secret::from)))
    }

    fn visit_unit<E: de::Error>(self) -> Result<MaybeSecret, E> {
        Ok(MaybeSecret(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<MaybeSecret, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(MaybeSecret(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MaybeSecret, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(MaybeSecret(None))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Display;

    use serde::Serialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::model::details::{AccessSessionDetails, AdminRequestDetails, Link};

    /// Compiles only if the type does not implement the trait: if it did, which of the two
    /// implementations is meant could not be told.
    macro_rules! is_not {
        ($type:ty, $forbidden:path) => {{
            trait Ambiguous<Which> {
                fn stands() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Forbidden;
            impl<T: ?Sized + $forbidden> Ambiguous<Forbidden> for T {}
            <$type as Ambiguous<_>>::stands();
        }};
    }

    #[test]
    fn secrets_can_be_neither_printed_nor_serialised() {
        is_not!(Secret, Display);
        is_not!(Secret, Serialize);
        is_not!(AccessSessionDetails, Display);
        is_not!(AccessSessionDetails, Serialize);
        is_not!(AdminRequestDetails, Display);
        is_not!(AdminRequestDetails, Serialize);
        is_not!(Link, Display);
        is_not!(Link, Serialize);
    }

    #[test]
    fn debug_says_only_that_there_is_one() {
        let secret = Secret::from("swordfish".to_owned());
        assert_eq!(
            format!("{secret:?} {:#?}", Some(&secret)),
            "[redacted] Some(\n    [redacted],\n)"
        );
        assert_eq!((secret.expose(), secret.is_empty()), ("swordfish", false));
    }

    #[test]
    fn whatever_can_be_a_text_is_one() {
        let read = |value: Value| {
            serde_json::from_str::<MaybeSecret>(&value.to_string())
                .unwrap()
                .0
        };
        for (value, text) in [
            (json!("a \u{e9}\n"), Some("a \u{e9}\n")),
            (json!(""), Some("")),
            (json!(5432), Some("5432")),
            (json!(-1), Some("-1")),
            (json!(1.5), Some("1.5")),
            (json!(true), Some("true")),
            (json!(null), None),
            (json!(["a", [1]]), None),
            (json!({"a": {"b": 1}}), None),
        ] {
            let secret = read(value.clone());
            assert_eq!(secret.as_ref().map(Secret::expose), text, "{value}");
        }
    }

    #[test]
    fn a_secret_that_must_be_there_fails_without_a_word_of_the_answer() {
        for text in [r#"["swordfish"]"#, r#"{"swordfish":1}"#, "null"] {
            let error = serde_json::from_str::<Secret>(text).unwrap_err();
            assert!(error.to_string().starts_with("not a text"), "{error}");
        }
    }
}
