//! From the details of sessions to the data of one Secret, and its digest. Pure. Everything secret
//! is held as [`Secret`], which cannot be printed.

use std::collections::BTreeMap;

use apono_client::{AccessSessionDetails, AdminRequestDetails, Secret};
use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

use super::scene::{Record, Seen};

/// The API server allows so many characters in a key.
const MOST_KEY: usize = 253;
/// A prefix leaves room for the names of parameters.
const MOST_PREFIX: usize = 100;

/// The data of a Secret, by key.
pub type Data = BTreeMap<String, Secret>;

/// What was read of a session.
#[derive(Clone, Debug)]
pub enum Details {
    /// By the user API.
    Session(AccessSessionDetails),
    /// By the older one.
    Admin(AdminRequestDetails),
}

impl Details {
    /// Whether a secret in it is only asterisks: it was read before.
    pub fn is_spent(&self) -> bool {
        match self {
            Self::Session(details) => details.parameters.values().any(is_masked),
            Self::Admin(details) => is_masked(&details.details),
        }
    }

    /// Whether there is nothing in it at all, so that nothing was consumed.
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Session(_) => false,
            Self::Admin(details) => details.details.expose().trim().is_empty(),
        }
    }

    /// The data of this session alone, under plain keys.
    pub fn data(self, ends_at: Option<Timestamp>) -> Data {
        let mut data = Data::new();
        match self {
            Self::Admin(details) => put(&mut data, "details", details.details),
            Self::Session(details) => {
                for (name, value) in details.parameters {
                    put(&mut data, &name, value);
                }
                let more = [
                    ("instructions", details.instructions),
                    ("admin-message", details.custom_admin_message),
                    ("cli", details.cli),
                    ("link", details.link.map(|link| link.url)),
                ];
                for (name, value) in more {
                    if let Some(value) = value {
                        put(&mut data, name, value);
                    }
                }
            }
        }
        if let Some(end) = ends_at {
            put(&mut data, "expires", Secret::from(end.to_string()));
        }
        data
    }
}

/// So many asterisks are no longer an accident, such as that of `SELECT *`.
const LEAST_MASK: usize = 3;

/// Whether a part of it is masked, as in `password: *****` or `postgres://dana:*****@host`.
fn is_masked(secret: &Secret) -> bool {
    let splits = |one: char| one.is_whitespace() || r#":=@/'""#.contains(one);
    let is_mask = |part: &str| part.len() >= LEAST_MASK && part.chars().all(|one| one == '*');
    secret.expose().split(splits).any(is_mask)
}

/// Under this name, or the next that is free: parameters come first, in the order of their names.
fn put(data: &mut Data, name: &str, value: Secret) {
    let name = sanitised(name, MOST_KEY - 4);
    let mut key = name.clone();
    let mut number = 2_u32;
    while data.contains_key(&key) {
        key = format!("{name}-{number}");
        number += 1;
    }
    data.insert(key, value);
}

/// What a key of a Secret may be made of.
fn sanitised(name: &str, most: usize) -> String {
    let fits = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
    let all = name.chars().map(|one| if fits(one) { one } else { '-' });
    let text: String = all.take(most).collect();
    match text.as_str() {
        "" => "value".to_owned(),
        "." | ".." => text.replace('.', "-"),
        _ => text,
    }
}

/// What the keys of each session start with: nothing where there is one session only.
pub fn prefixes(sessions: &[(String, String)]) -> BTreeMap<String, String> {
    let mut sorted: Vec<_> = sessions.iter().collect();
    sorted.sort();
    if let [(id, _)] = sorted.as_slice() {
        return BTreeMap::from([(id.clone(), String::new())]);
    }
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for (id, integration) in sorted {
        let name = if integration.is_empty() {
            id
        } else {
            integration
        };
        let name = sanitised(name, MOST_PREFIX);
        let is_taken = |prefix: &String| taken.values().any(|other| other == prefix);
        let mut prefix = format!("{name}.");
        let mut number = 2_u32;
        while is_taken(&prefix) {
            prefix = format!("{name}-{number}.");
            number += 1;
        }
        taken.insert(id.clone(), prefix);
    }
    taken
}

/// The whole data: what stays of the sessions delivered before, and what was read now.
pub fn merged(
    before: &Data,
    record: &Record,
    read: BTreeMap<String, Data>,
    prefixes: &BTreeMap<String, String>,
) -> Data {
    let mut all = Data::new();
    for (id, delivered) in &record.delivered {
        let (Some(prefix), false) = (prefixes.get(id), read.contains_key(id)) else {
            continue;
        };
        for (key, value) in before {
            if let Some(name) = key.strip_prefix(&delivered.prefix) {
                all.insert(key_of(prefix, name), value.clone());
            }
        }
    }
    for (id, data) in read {
        let prefix = prefixes.get(&id).map(String::as_str).unwrap_or_default();
        for (name, value) in data {
            all.insert(key_of(prefix, &name), value);
        }
    }
    all
}

fn key_of(prefix: &str, name: &str) -> String {
    let key = format!("{prefix}{name}");
    key.chars().take(MOST_KEY).collect()
}

/// Which sessions are in the Secret, with their integrations.
pub fn names(sessions: &[Seen]) -> Vec<(String, String)> {
    let pair = |one: &Seen| (one.id.clone(), one.integration.clone());
    sessions.iter().map(pair).collect()
}

/// A keyed hash of the data: lengths first, so that no two sets of data read alike.
pub fn digest(salt: &str, data: &Data) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(salt.as_bytes()).ok()?;
    for (key, value) in data {
        for part in [key.as_str(), value.expose()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
    }
    Some(HEXLOWER.encode(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::credentials::scene::Delivered;

    fn details(value: serde_json::Value) -> Details {
        Details::Session(serde_json::from_value(value).unwrap())
    }

    fn shown(data: &Data) -> Vec<(String, String)> {
        let pair = |(key, value): (&String, &Secret)| (key.clone(), value.expose().to_owned());
        data.iter().map(pair).collect()
    }

    #[test]
    fn every_part_of_the_details_has_a_key_and_no_two_have_the_same() {
        let details = details(json!({
            "instructions": "do this", "cli": "psql", "link": {"url": "https://x"},
            "custom_admin_message": "mind it",
            "parameters": {"user name": "dana", "user/name": "dana-2", "cli": "own", "..": "odd"}
        }));
        let end = "2026-11-23T18:00:00Z".parse().ok();
        let data = details.data(end);
        let shown = shown(&data);
        let keys: Vec<_> = shown.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "--",
                "admin-message",
                "cli",
                "cli-2",
                "expires",
                "instructions",
                "link",
                "user-name",
                "user-name-2"
            ]
        );
        assert_eq!(shown[2].1, "own", "parameters come first");
        assert_eq!(shown[4].1, "2026-11-23T18:00:00Z");
    }

    #[test]
    fn asterisks_alone_are_no_password() {
        let spent = |password: &str| {
            details(json!({"instructions": "x", "parameters": {"password": password}})).is_spent()
        };
        assert!(spent("*****"));
        assert!(!spent("*a*"));
        assert!(!spent(""));
        assert!(!spent("*"));
    }

    #[test]
    fn a_mask_within_a_text_is_told_from_asterisks_that_mean_something() {
        let text = |text: &str| {
            let details: AdminRequestDetails =
                serde_json::from_value(json!({ "details": text })).unwrap();
            Details::Admin(details)
        };
        for masked in [
            "***",
            "host: db\npassword: *****\nport: 5432",
            "password=****",
            "postgres://dana:********@db.example:5432/orders",
            r#"{"user": "dana", "password": "*****"}"#,
            "PASSWORD='***' psql",
        ] {
            assert!(text(masked).is_spent(), "{masked}");
            let within = details(json!({"instructions": "", "parameters": {"any": masked}}));
            assert!(within.is_spent(), "{masked}");
        }
        for whole in [
            "",
            "SELECT * FROM orders",
            "SELECT ** FROM orders",
            "GRANT ALL ON *.* TO dana",
            "password: **",
            "password: a***b",
            "password: ****!",
            "/* a comment */ **bold** text",
            "5 2 * * 1",
        ] {
            assert!(!text(whole).is_spent(), "{whole}");
        }
    }

    #[test]
    fn what_people_wrote_into_instructions_may_hold_asterisks() {
        let read = details(json!({
            "instructions": "*** mind the step ***", "custom_admin_message": "***",
            "parameters": {"password": "one"}
        }));
        assert!(!read.is_spent());
    }

    #[test]
    fn one_session_has_plain_keys_and_several_are_told_apart() {
        let one = |id: &str, name: &str| (id.to_owned(), name.to_owned());
        assert_eq!(prefixes(&[one("s1", "prod db")])["s1"], "");
        let all = prefixes(&[one("s2", "prod db"), one("s1", "prod db"), one("s3", "")]);
        assert_eq!(all["s1"], "prod-db.");
        assert_eq!(all["s2"], "prod-db-2.");
        assert_eq!(all["s3"], "s3.");
    }

    #[test]
    fn what_was_delivered_before_stays_under_the_name_its_session_has_now() {
        let secret = |text: &str| Secret::from(text.to_owned());
        let before = Data::from([("password".to_owned(), secret("one"))]);
        let record = Record {
            delivered: BTreeMap::from([("s1".to_owned(), Delivered::default())]),
            ..Record::default()
        };
        let read = BTreeMap::from([(
            "s2".to_owned(),
            Data::from([("password".to_owned(), secret("two"))]),
        )]);
        let prefixes = BTreeMap::from([
            ("s1".to_owned(), "a.".to_owned()),
            ("s2".to_owned(), "b.".to_owned()),
        ]);
        let all = merged(&before, &record, read, &prefixes);
        let pairs = shown(&all);
        assert_eq!(pairs[0], ("a.password".to_owned(), "one".to_owned()));
        assert_eq!(pairs[1], ("b.password".to_owned(), "two".to_owned()));
        assert_eq!(pairs.len(), 2);
    }

    #[test]
    fn the_digest_changes_with_data_and_salt_and_tells_nothing() {
        let data = |password: &str| {
            Data::from([("password".to_owned(), Secret::from(password.to_owned()))])
        };
        let of = |salt: &str, password: &str| digest(salt, &data(password)).unwrap();
        assert_eq!(of("salt", "a"), of("salt", "a"));
        assert_ne!(of("salt", "a"), of("salt", "b"));
        assert_ne!(of("salt", "a"), of("pepper", "a"));
        assert_eq!(of("salt", "a").len(), 64);
        assert!(!format!("{:?}", data("hunter2")).contains("hunter2"));
    }
}
