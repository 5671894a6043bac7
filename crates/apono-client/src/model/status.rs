//! The words for where a request or an entitlement stands. The API's set is open, so every word is
//! kept as received.
//!
//! Words are compared without case and without `_`, `-` and blanks: the contract fixes neither. The
//! older API's words (`GRANTED`, `APPROVED`, `EXPIRED`) are read as the states they became, so one
//! type serves both.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a request stands: the word as received, and the state it means.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(from = "String", into = "String")]
pub struct Status {
    state: State,
    /// The word, where it is not the state's own name: nearly every one of thousands is.
    spelt: Option<Box<str>>,
}

/// The states of a request that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Just created, not routed yet.
    Initializing,
    /// Waits for a person, a webhook or the router.
    Pending,
    /// Waits for a second factor; only a person can give it.
    PendingMfa,
    /// Approved; the access is being made.
    Granting,
    /// The access is live.
    Active,
    /// The access is being removed.
    Revoking,
    /// The access is gone, timed out or taken back.
    Revoked,
    /// Someone said no.
    Rejected,
    /// Granting or revoking failed.
    Failed,
    /// A word this client does not know. Not terminal.
    Unknown,
}

/// Where an entitlement stands: the word as received, and the state it means.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(from = "String", into = "String")]
pub struct EntitlementStatus {
    word: String,
    state: EntitlementState,
}

/// The states of an entitlement that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntitlementState {
    /// Not there yet.
    Pending,
    /// Granted.
    Granted,
    /// Could not be granted, or not be removed.
    Failure,
    /// Gone.
    Revoked,
    /// A word this client does not know. It may well be granted.
    Unknown,
}

impl State {
    /// Whether the request will not move any more.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Revoked | Self::Rejected | Self::Failed => true,
            Self::Initializing
            | Self::Pending
            | Self::PendingMfa
            | Self::Granting
            | Self::Active
            | Self::Revoking
            | Self::Unknown => false,
        }
    }

    /// The name of the state, as the API most likely spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::Pending => "Pending",
            Self::PendingMfa => "PendingMFA",
            Self::Granting => "Granting",
            Self::Active => "Active",
            Self::Revoking => "Revoking",
            Self::Revoked => "Revoked",
            Self::Rejected => "Rejected",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
        }
    }

    fn of(word: &str) -> Self {
        match folded(word).as_str() {
            "initializing" => Self::Initializing,
            "pending" => Self::Pending,
            "pendingmfa" => Self::PendingMfa,
            "granting" | "approved" => Self::Granting,
            "active" | "granted" => Self::Active,
            "revoking" => Self::Revoking,
            "revoked" | "expired" => Self::Revoked,
            "rejected" => Self::Rejected,
            "failed" => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

impl EntitlementState {
    /// The name of the state, as the API most likely spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Granted => "Granted",
            Self::Failure => "Failure",
            Self::Revoked => "Revoked",
            Self::Unknown => "Unknown",
        }
    }

    /// `Failed` is the request's word for the same thing. `Active` and `Success` stay unknown: no
    /// source shows them here, and who reads entitlements to prove that nothing is granted must
    /// treat an unknown word as granted.
    fn of(word: &str) -> Self {
        match folded(word).as_str() {
            "pending" => Self::Pending,
            "granted" => Self::Granted,
            "failure" | "failed" => Self::Failure,
            "revoked" => Self::Revoked,
            _ => Self::Unknown,
        }
    }
}

impl Status {
    /// The word as received.
    pub fn word(&self) -> &str {
        self.spelt.as_deref().unwrap_or(self.state.as_str())
    }

    /// The state it means.
    pub fn state(&self) -> State {
        self.state
    }
}

impl EntitlementStatus {
    /// The word as received.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// The state it means.
    pub fn state(&self) -> EntitlementState {
        self.state
    }
}

pub(crate) fn folded(word: &str) -> String {
    let separator = |character: &char| matches!(character, '_' | '-' | ' ');
    word.chars()
        .filter(|character| !separator(character))
        .collect::<String>()
        .to_ascii_lowercase()
}

impl From<String> for Status {
    fn from(word: String) -> Self {
        word.as_str().into()
    }
}

impl From<&str> for Status {
    fn from(word: &str) -> Self {
        let state = State::of(word);
        Self {
            state,
            spelt: (word != state.as_str()).then(|| word.into()),
        }
    }
}

impl From<State> for Status {
    fn from(state: State) -> Self {
        Self { state, spelt: None }
    }
}

impl From<Status> for String {
    fn from(status: Status) -> Self {
        status.word().to_owned()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

impl From<String> for EntitlementStatus {
    fn from(word: String) -> Self {
        Self {
            state: EntitlementState::of(&word),
            word,
        }
    }
}

impl From<&str> for EntitlementStatus {
    fn from(word: &str) -> Self {
        word.to_owned().into()
    }
}

impl From<EntitlementStatus> for String {
    fn from(status: EntitlementStatus) -> Self {
        status.word
    }
}

impl fmt::Display for EntitlementStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [State; 9] = [
        State::Initializing,
        State::Pending,
        State::PendingMfa,
        State::Granting,
        State::Active,
        State::Revoking,
        State::Revoked,
        State::Rejected,
        State::Failed,
    ];

    #[test]
    fn every_known_word_is_read_in_any_case_and_kept_as_it_came() {
        for state in KNOWN {
            let word = state.as_str();
            for spelt in [word.to_owned(), word.to_uppercase(), word.to_lowercase()] {
                let status = Status::from(spelt.as_str());
                assert_eq!((status.word(), status.state()), (spelt.as_str(), state));
            }
        }
        assert_eq!(Status::from("PENDING_MFA").state(), State::PendingMfa);
    }

    #[test]
    fn the_older_words_mean_the_states_they_became() {
        assert_eq!(Status::from("APPROVED").state(), State::Granting);
        assert_eq!(Status::from("GRANTED").state(), State::Active);
        assert_eq!(Status::from("EXPIRED").state(), State::Revoked);
    }

    #[test]
    fn an_unknown_word_is_kept_and_is_not_the_end() {
        let status = Status::from("Snoozed");
        assert_eq!((status.word(), status.state()), ("Snoozed", State::Unknown));
        assert!(!status.state().is_terminal());
    }

    #[test]
    fn three_states_are_terminal() {
        let terminal: Vec<_> = KNOWN
            .into_iter()
            .filter(|state| state.is_terminal())
            .collect();
        assert_eq!(terminal, [State::Revoked, State::Rejected, State::Failed]);
    }

    #[test]
    fn entitlement_words_are_as_open() {
        for (word, state) in [
            ("Pending", EntitlementState::Pending),
            ("GRANTED", EntitlementState::Granted),
            ("failure", EntitlementState::Failure),
            ("Failed", EntitlementState::Failure),
            ("Revoked", EntitlementState::Revoked),
            ("Active", EntitlementState::Unknown),
            ("Success", EntitlementState::Unknown),
        ] {
            let status = EntitlementStatus::from(word);
            assert_eq!((status.word(), status.state()), (word, state));
        }
    }
}
