//! The words for where the credentials of a session stand. Like every status of this API the set is
//! open: a word is kept as received, and compared without case and separators.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::status::folded;

/// Where the credentials of a session stand: the word as received, and the state it means.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(from = "String", into = "String")]
pub struct CredentialStatus {
    word: String,
    state: CredentialState,
}

/// The states of credentials that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CredentialState {
    /// Made, and not read yet. The vendor's own client calls it `new`.
    Available,
    /// Read once already: the next read may hold asterisks instead of a password.
    Viewed,
    /// Being replaced.
    Resetting,
    /// The session needs none; its details can be read all the same.
    NotApplicable,
    /// A word this client does not know.
    Unknown,
}

impl CredentialState {
    /// The name of the state, as the API most likely spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "AVAILABLE",
            Self::Viewed => "VIEWED",
            Self::Resetting => "RESETTING",
            Self::NotApplicable => "NOT_APPLICABLE",
            Self::Unknown => "UNKNOWN",
        }
    }

    fn of(word: &str) -> Self {
        match folded(word).as_str() {
            "available" | "new" => Self::Available,
            "viewed" => Self::Viewed,
            "resetting" => Self::Resetting,
            "notapplicable" => Self::NotApplicable,
            _ => Self::Unknown,
        }
    }
}

impl CredentialStatus {
    /// The word as received.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// The state it means.
    pub fn state(&self) -> CredentialState {
        self.state
    }
}

impl From<String> for CredentialStatus {
    fn from(word: String) -> Self {
        Self {
            state: CredentialState::of(&word),
            word,
        }
    }
}

impl From<&str> for CredentialStatus {
    fn from(word: &str) -> Self {
        word.to_owned().into()
    }
}

impl From<CredentialStatus> for String {
    fn from(status: CredentialStatus) -> Self {
        status.word
    }
}

impl fmt::Display for CredentialStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_word_is_read_in_any_case_and_kept_as_it_came() {
        for (word, state) in [
            ("AVAILABLE", CredentialState::Available),
            ("new", CredentialState::Available),
            ("NEW", CredentialState::Available),
            ("Viewed", CredentialState::Viewed),
            ("resetting", CredentialState::Resetting),
            ("NOT_APPLICABLE", CredentialState::NotApplicable),
            ("notApplicable", CredentialState::NotApplicable),
            ("", CredentialState::Unknown),
            ("Rotated", CredentialState::Unknown),
        ] {
            let status = CredentialStatus::from(word);
            assert_eq!((status.word(), status.state()), (word, state));
        }
    }
}
