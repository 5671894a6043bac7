//! Who may call and who can be meant: people by email and id, and whose token is whose.
//!
//! A token belongs to exactly one user. This file compares tokens; nothing else may.

use serde::{Deserialize, Serialize};

/// A user as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user's email.
    pub email: String,
    /// The tokens that are his.
    #[serde(default)]
    pub tokens: Vec<String>,
    /// Whether this is a service account, which is no user to a user's path.
    #[serde(default)]
    pub service: bool,
    /// Whether he may act on the requests of others, where the API asks for that.
    #[serde(default)]
    pub admin: bool,
}

impl User {
    /// A person with one token.
    pub fn new(email: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            email: email.into(),
            tokens: vec![token.into()],
            service: false,
            admin: false,
        }
    }

    /// An admin with one token.
    pub fn admin(email: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            admin: true,
            ..Self::new(email, token)
        }
    }

    /// A service account with one token.
    pub fn service(email: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            service: true,
            ..Self::new(email, token)
        }
    }
}

/// A user as answers show him.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The id, a UUID that only depends on the email.
    pub id: String,
    /// The email.
    pub source_id: String,
}

impl Identity {
    fn of(email: &str) -> Self {
        let high = spread(email, 0xcbf2_9ce4_8422_2325);
        let low = spread(email, 0x8422_2325_cbf2_9ce4);
        Self {
            id: uuid(high, low),
            source_id: email.to_owned(),
        }
    }
}

/// FNV-1a from a chosen start: ids need to differ, not to be secret.
fn spread(text: &str, start: u64) -> u64 {
    text.bytes().fold(start, |hash, byte| {
        (hash ^ u64::from(byte))
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(5)
    })
}

/// A version 4 UUID of these bits.
pub(crate) fn uuid(high: u64, low: u64) -> String {
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0x0fff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}

/// Marks a user inside the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey(usize);

/// All users.
#[derive(Debug, Clone, Default)]
pub struct Users {
    all: Vec<(Identity, User)>,
}

impl Users {
    /// The configured users and, without tokens, the other people; an email counts once.
    pub fn new(users: Vec<User>, people: &[String]) -> Self {
        let others = people.iter().map(|email| User {
            email: email.clone(),
            tokens: Vec::new(),
            service: false,
            admin: false,
        });
        let mut all: Vec<(Identity, User)> = Vec::new();
        for user in users.into_iter().chain(others) {
            match all.iter_mut().find(|(_, known)| known.email == user.email) {
                Some((_, known)) => known.tokens.extend(user.tokens),
                None => all.push((Identity::of(&user.email), user)),
            }
        }
        Self { all }
    }

    /// The user whose token this is, and whether it is a service account.
    pub fn by_token(&self, token: &str) -> Option<(UserKey, bool)> {
        self.all.iter().enumerate().find_map(|(place, (_, user))| {
            user.tokens
                .iter()
                .any(|it| it == token)
                .then_some((UserKey(place), user.service))
        })
    }

    /// The user of this id or email.
    pub fn find(&self, reference: &str) -> Option<UserKey> {
        self.all
            .iter()
            .position(|(identity, _)| {
                identity.id == reference || identity.source_id.eq_ignore_ascii_case(reference)
            })
            .map(UserKey)
    }

    /// How answers show a user.
    pub fn identity(&self, key: UserKey) -> Option<&Identity> {
        self.all.get(key.0).map(|(identity, _)| identity)
    }

    /// The user's email.
    pub fn email(&self, key: UserKey) -> &str {
        self.identity(key)
            .map_or("", |identity| &identity.source_id)
    }

    /// Whether the user may act on the requests of others: an admin or a service account.
    pub fn is_powerful(&self, key: UserKey) -> bool {
        let user = self.all.get(key.0).map(|(_, user)| user);
        user.is_some_and(|user| user.admin || user.service)
    }

    /// Whether this is a service account.
    pub fn is_service(&self, key: UserKey) -> bool {
        self.all.get(key.0).is_some_and(|(_, user)| user.service)
    }

    /// Makes a user an admin or takes that from him; false when there is no such user.
    pub fn set_admin(&mut self, reference: &str, admin: bool) -> bool {
        let Some(UserKey(place)) = self.find(reference) else {
            return false;
        };
        let user = self.all.get_mut(place);
        user.map(|(_, user)| user.admin = admin).is_some()
    }

    /// Replaces the tokens of a user; false when there is no such user.
    pub fn set_tokens(&mut self, reference: &str, tokens: Vec<String>) -> bool {
        let Some(UserKey(place)) = self.find(reference) else {
            return false;
        };
        self.all
            .get_mut(place)
            .map(|(_, user)| user.tokens = tokens)
            .is_some()
    }

    /// All users as configured.
    pub fn all(&self) -> impl Iterator<Item = (&Identity, &User)> {
        self.all.iter().map(|(identity, user)| (identity, user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_token_id_and_email() {
        let users = Users::new(
            vec![
                User::new("a@example.com", "one"),
                User::service("s@example.com", "two"),
            ],
            &["b@example.com".to_owned(), "a@example.com".to_owned()],
        );
        assert_eq!(users.all().count(), 3);
        let (key, service) = users.by_token("one").unwrap();
        assert!(!service);
        let id = users.identity(key).unwrap().id.clone();
        assert_eq!(users.find(&id), Some(key));
        assert_eq!(users.find("A@example.com"), Some(key));
        assert!(users.by_token("two").unwrap().1);
        assert!(users.by_token("").is_none());
        assert!(users.find("c@example.com").is_none());
    }
}
