//! How to use access that is live: hosts, users, passwords. All of it is secret; nothing here can
//! be shown by accident. What consumes it is said at the calls.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::model::secret::{MaybeSecret, Secret, maybe};

/// How to use the access of a session. Every text of it is a [`Secret`].
///
/// It is decoded as leniently as can be, since reading it consumed the credential: only an answer
/// that holds none of these parts is refused.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Wire")]
pub struct AccessSessionDetails {
    /// What to do, step by step, for people. The contract promises it.
    pub instructions: Option<Secret>,
    /// What an admin adds to it.
    pub custom_admin_message: Option<Secret>,
    /// Values by their names, such as `host`, `port`, `username` and `password`. The names are
    /// shown by `Debug`, the values are not.
    pub parameters: BTreeMap<String, Secret>,
    /// A command to copy and run.
    pub cli: Option<Secret>,
    /// Where to go instead.
    pub link: Option<Link>,
}

/// A place to go to. Its address may carry a token of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The address.
    pub url: Secret,
    /// What to show for it.
    pub title: Option<Secret>,
}

/// How to use the access of a request, as the older API says it: one text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AdminRequestDetails {
    /// The whole of it.
    pub details: Secret,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "maybe")]
    instructions: Option<Secret>,
    #[serde(default, deserialize_with = "maybe")]
    custom_admin_message: Option<Secret>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(default, deserialize_with = "maybe")]
    cli: Option<Secret>,
    #[serde(default)]
    link: MaybeLink,
}

/// The answer holds nothing that could be used. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer holds no access details")]
struct NoDetails;

impl TryFrom<Wire> for AccessSessionDetails {
    type Error = NoDetails;

    fn try_from(wire: Wire) -> Result<Self, NoDetails> {
        let details = Self {
            instructions: wire.instructions,
            custom_admin_message: wire.custom_admin_message,
            parameters: wire.parameters.0,
            cli: wire.cli,
            link: wire.link.0,
        };
        let nothing = details.instructions.is_none()
            && details.custom_admin_message.is_none()
            && details.parameters.is_empty()
            && details.cli.is_none()
            && details.link.is_none();
        if nothing { Err(NoDetails) } else { Ok(details) }
    }
}

/// The parameters; none for null and for anything that is not a map.
#[derive(Default)]
struct Parameters(BTreeMap<String, Secret>);

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Parameters;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
                let mut parameters = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, MaybeSecret>()? {
                    if let Some(value) = value.0 {
                        parameters.insert(name, value);
                    }
                }
                Ok(Parameters(parameters))
            }
        }
        deserializer.deserialize_any(OrDefault(Map))
    }
}

/// The link; none without an address.
#[derive(Default)]
struct MaybeLink(Option<Link>);

impl<'de> Deserialize<'de> for MaybeLink {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = MaybeLink;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a link")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MaybeLink, A::Error> {
                let (mut url, mut title) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    let MaybeSecret(value) = map.next_value()?;
                    match key.as_str() {
                        "url" => url = value,
                        "title" => title = value,
                        _ => (),
                    }
                }
                Ok(MaybeLink(url.map(|url| Link { url, title })))
            }
        }
        deserializer.deserialize_any(OrDefault(Map))
    }
}

/// A visitor of maps that takes anything else for nothing, without a copy that nobody would wipe.
struct OrDefault<V>(V);

impl<'de, V> Visitor<'de> for OrDefault<V>
where
    V: Visitor<'de>,
    V::Value: Default,
{
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(formatter)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<V::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(V::Value::default())
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        Ok(V::Value::default())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<V::Value, E> {
        Ok(V::Value::default())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<V::Value, E> {
        Ok(V::Value::default())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<V::Value, E> {
        Ok(V::Value::default())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<V::Value, E> {
        Ok(V::Value::default())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<V::Value, E> {
        Ok(V::Value::default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: &Value) -> Result<AccessSessionDetails, serde_json::Error> {
        // Through text, as on the wire.
        serde_json::from_str(&value.to_string())
    }

    fn text(secret: Option<&Secret>) -> Option<&str> {
        secret.map(Secret::expose)
    }

    #[test]
    fn an_odd_part_does_not_lose_the_others() {
        for odd in [
            json!(null),
            json!(7),
            json!(-7),
            json!(1.5),
            json!(true),
            json!("x"),
            json!([{}]),
        ] {
            let value = json!({"instructions": "do", "parameters": odd, "link": odd, "new": odd});
            let details = read(&value).unwrap();
            assert_eq!(text(details.instructions.as_ref()), Some("do"), "{odd}");
            assert_eq!((details.parameters.len(), details.link), (0, None), "{odd}");
        }
        let value = json!({"instructions": [], "parameters": {"user": "u", "odd": {}, "port": 1}});
        let details = read(&value).unwrap();
        let names: Vec<_> = details.parameters.keys().map(String::as_str).collect();
        assert_eq!((details.instructions, names), (None, vec!["port", "user"]));
    }

    #[test]
    fn a_link_is_one_by_its_address() {
        let link = |value| read(&json!({"cli": "c", "link": value})).unwrap().link;
        assert_eq!(link(json!({"title": "Open"})), None);
        let whole = link(json!({"new": [1], "title": "Open", "url": "https://x"})).unwrap();
        assert_eq!(whole.url.expose(), "https://x");
        assert_eq!(text(whole.title.as_ref()), Some("Open"));
        assert_eq!(
            link(json!({"url": "https://x", "title": null}))
                .unwrap()
                .title,
            None
        );
    }

    #[test]
    fn an_answer_that_holds_no_part_of_them_is_refused() {
        for value in [
            json!({}),
            json!({"status": "ok"}),
            json!({"instructions": null, "parameters": {}, "link": {}}),
            json!("swordfish"),
            json!(null),
        ] {
            assert!(read(&value).is_err(), "{value}");
        }
    }
}
