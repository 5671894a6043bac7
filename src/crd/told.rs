//! Words beside the closed lists of reasons: what events tell of, and what a debt says of itself. One list
//! each, for the metrics, the documentation and the tests; `tests/book.rs` holds them to the code.

/// What an event tells of that is no change of the leading reason.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// The word in the event.
    pub word: &'static str,
    /// The kind of the resource that the event is on.
    pub kind: &'static str,
    /// Whether the event is a warning, as something that a person may want to change.
    pub is_warning: bool,
    /// What happened, in one line.
    pub description: &'static str,
}

const REQUEST: &str = "AccessRequest";
/// Either kind of connection.
const CONNECTION: &str = "AponoConnection, ClusterAponoConnection";
const DEBT: &str = "OwedRevocation";

const fn normal(word: &'static str, kind: &'static str, description: &'static str) -> Told {
    Told {
        word,
        kind,
        is_warning: false,
        description,
    }
}

const fn warning(word: &'static str, kind: &'static str, description: &'static str) -> Told {
    Told {
        is_warning: true,
        ..normal(word, kind, description)
    }
}

/// Every such event.
pub const EVENTS: &[Told] = &[
    warning(
        "CredentialsBlocked",
        REQUEST,
        "The credentials cannot be read, stored or removed: the note says what is in the way. Tried again.",
    ),
    normal(
        "CredentialsDelivered",
        REQUEST,
        "The credentials were read and are in their Secret.",
    ),
    normal(
        "CredentialsMoved",
        REQUEST,
        "`credentials.secretName` was changed; what was delivered is in the Secret of the new name.",
    ),
    warning(
        "CredentialsNotResettable",
        REQUEST,
        "The annotation asked for new credentials, and Apono has no way to make new ones for this session.",
    ),
    warning(
        "CredentialsResetRefused",
        REQUEST,
        "Apono refused to make new credentials so often that it is given up.",
    ),
    warning(
        "CredentialsSecretDeleted",
        REQUEST,
        "The Secret could not be emptied, since it is immutable, and was deleted.",
    ),
    warning(
        "CredentialsSecretReplaced",
        REQUEST,
        "The Secret could not be changed, since it is immutable, and was made anew.",
    ),
    warning(
        "OrphanNotAllowed",
        REQUEST,
        "`deletionPolicy: Orphan`, and the connection does not allow it: the access is taken back.",
    ),
    normal(
        "Orphaned",
        REQUEST,
        "The resource goes, and its access stays at Apono, as `deletionPolicy` says.",
    ),
    warning(
        "RenewalRefused",
        REQUEST,
        "Apono refused to renew. What is held stays until its planned end; then it is asked for once more.",
    ),
    warning(
        "ResetCredentialsIgnored",
        REQUEST,
        "The annotation asked for new credentials, and there are none that could be replaced.",
    ),
    warning(
        "RestartFailed",
        REQUEST,
        "A workload of `credentials.rolloutRestart` could not be restarted.",
    ),
    warning(
        "RevocationOwed",
        REQUEST,
        "The access could not be taken back in time: an OwedRevocation goes on with it, and the resource goes.",
    ),
    normal(
        "TokenIgnored",
        REQUEST,
        "An annotation that asks for an act was there from the start, or does not apply; it is not acted on.",
    ),
    warning(
        "TtlIgnored",
        REQUEST,
        "`ttlSecondsAfterFinished` is disregarded: a GitOps tool owns the resource and would make it again.",
    ),
    warning(
        "Undecodable",
        REQUEST,
        "This version cannot read the resource; correct it, or delete it to take the access back.",
    ),
    warning(
        "UnownedRequests",
        CONNECTION,
        "Live requests bear this cluster's mark and belong to no resource; they are left alone.",
    ),
    normal(
        "Paid",
        DEBT,
        "Everything that was owed has ended, as read back from Apono.",
    ),
    warning(
        "WrittenOff",
        DEBT,
        "A person gave the debt up; what was still live at Apono stays so.",
    ),
];

/// The words of events on an `AccessRequest`, in the order of the list.
pub fn of_requests() -> impl Iterator<Item = &'static str> {
    let ours = EVENTS.iter().filter(|one| one.kind == REQUEST);
    ours.map(|one| one.word)
}

/// Why an `OwedRevocation` is not paid yet, as its conditions say it: word and meaning.
pub const STANDINGS: &[(&str, &str)] = &[
    ("Revoking", "What is owed is being taken back."),
    (
        "Searching",
        "All that is known has ended; what lost answers may have made is looked for.",
    ),
    (
        "ApiUnavailable",
        "Apono does not answer as it should; tried again.",
    ),
    (
        "RevokeFailed",
        "Apono fails or refuses to take the access back; tried again.",
    ),
    (
        "RemoteNotFound",
        "What is owed is not found at Apono, and nothing proves that it has ended.",
    ),
    (
        "ConnectionNotFound",
        "Nothing tells any longer where the access was asked for.",
    ),
    (
        "EndpointNotAllowed",
        "The endpoint of the connection that is gone may not be called.",
    ),
    (
        "TokenNotFound",
        "There is no token left to take the access back with.",
    ),
    ("Unauthorized", "Apono refuses the token."),
    ("Paid", "Everything has ended; the debt goes at once."),
];
