//! The closed lists that label series: every value there can be, so that the number of series is
//! fixed. Nothing of an object or a user is among them.

use apono_client::{Endpoint, ErrorClass};

use super::described::{Label, Values};
use crate::crd::{OwedReason, Phase, Reason, told};

/// Writes an enum, all there is of it, and its words.
macro_rules! words {
    ($(#[doc = $about:literal])+ $name:ident {
        $($(#[doc = $text:literal])+ $variant:ident = $word:literal,)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[doc = $text])+ $variant,)+
        }

        impl $name {
            /// Each once.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in the label.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            fn all() -> Vec<&'static str> {
                Self::ALL.iter().map(|one| one.as_str()).collect()
            }
        }
    };
}

words! {
    /// Which controller made a pass.
    Controller {
        /// That of the access requests.
        AccessRequest = "access_request",
        /// That of the connections.
        Connection = "connection",
        /// That of what is owed.
        OwedRevocation = "owed_revocation",
    }
}

words! {
    /// How a pass ended.
    PassOutcome {
        /// All was done that can be done now.
        Done = "done",
        /// A failure that time may heal; the pass is repeated with a growing pause.
        Transient = "transient",
        /// The API server refuses what was to be written; the pass is repeated all the same.
        Rejected = "rejected",
        /// The resource cannot be read by this version.
        Undecodable = "undecodable",
    }
}

words! {
    /// How a pass ended, in the words of controller-runtime.
    ReconcileResult {
        /// Nothing more happens until something changes, or for a minute at least.
        Success = "success",
        /// It is repeated within a minute.
        RequeueAfter = "requeue_after",
        /// It failed.
        Error = "error",
    }
}

words! {
    /// A write to the Kubernetes API.
    KubeWrite {
        /// The write-ahead: finalizer and attempt annotation.
        Mark = "mark",
        /// A status patch.
        Status = "status",
        /// A finalizer removed.
        Finalizer = "finalizer",
        /// An event.
        Event = "event",
        /// A Secret with credentials made, filled, emptied or removed.
        Secret = "secret",
        /// A workload restarted for new credentials.
        Restart = "restart",
        /// A resource whose time to live is over, deleted.
        Delete = "delete",
        /// A copy of a token made, renewed or removed.
        Escrow = "escrow",
        /// A debt written, changed or deleted.
        Debt = "debt",
        /// A Lease made, renewed or deleted, or the shards shared.
        Lease = "lease",
    }
}

words! {
    /// How a debt ended.
    DebtEnd {
        /// Everything has ended, as read back.
        Paid = "paid",
        /// A person gave it up.
        WrittenOff = "written_off",
    }
}

words! {
    /// What a call to the remote waited for before it left.
    Wait {
        /// Others to end: all places were taken.
        Place = "place",
        /// The rate that the connection sets.
        Rate = "rate",
        /// Its turn, at the pace that the API takes.
        Turn = "turn",
        /// The end of a pause that the API asked for.
        Pause = "pause",
    }
}

words! {
    /// Why a call to the remote never left.
    HeldBack {
        /// There is nothing to call with yet.
        Unconfigured = "unconfigured",
        /// The token was refused and has not changed since.
        CircuitOpen = "circuit_open",
        /// The API asked for a pause that is too long to wait for.
        Paused = "paused",
        /// Its turn did not come in time.
        TooLate = "too_late",
        /// Another replica works for the connection now.
        NotHeld = "not_held",
    }
}

words! {
    /// What is read and written at the Kubernetes API.
    Watched {
        /// `AccessRequest`s.
        AccessRequests = "accessrequests",
        /// `AponoConnection`s.
        Connections = "aponoconnections",
        /// `ClusterAponoConnection`s.
        ClusterConnections = "clusteraponoconnections",
        /// `OwedRevocation`s.
        Debts = "owedrevocations",
        /// Namespaces, for their labels.
        Namespaces = "namespaces",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// How long a request has waited for people.
    Waiting {
        /// Less than five minutes.
        Minutes = "under_5m",
        /// Less than an hour.
        Hour = "5m_to_1h",
        /// Less than eight hours: a working day.
        Day = "1h_to_8h",
        /// Longer.
        Longer = "over_8h",
    }
}

/// An event that is in neither list.
const OTHER: &str = "Other";

/// What an event told of, as one of the words there are.
pub(super) fn happening(reason: &str) -> &'static str {
    let known = happenings().into_iter().find(|one| *one == reason);
    known.unwrap_or(OTHER)
}

/// Every word an event can tell of, once.
pub(super) fn happenings() -> Vec<&'static str> {
    let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
    let mut all: Vec<_> = reasons.chain(told::of_requests()).chain([OTHER]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Every class of an answer, and the word for none: it succeeded.
pub(super) fn classes() -> Vec<&'static str> {
    let failures = ErrorClass::ALL.into_iter().map(ErrorClass::as_str);
    std::iter::once(class(None)).chain(failures).collect()
}

/// The class of an answer.
pub(super) fn class(class: Option<ErrorClass>) -> &'static str {
    class.map_or("ok", ErrorClass::as_str)
}

/// Every phase once.
pub(super) const PHASES: [Phase; 12] = [
    Phase::Submitting,
    Phase::Pending,
    Phase::PendingMfa,
    Phase::Granting,
    Phase::Active,
    Phase::Renewing,
    Phase::Revoking,
    Phase::Ended,
    Phase::Rejected,
    Phase::Failed,
    Phase::Suspended,
    Phase::Unknown,
];

/// The word of a phase.
pub(super) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Submitting => "submitting",
        Phase::Pending => "pending",
        Phase::PendingMfa => "pending_mfa",
        Phase::Granting => "granting",
        Phase::Active => "active",
        Phase::Renewing => "renewing",
        Phase::Revoking => "revoking",
        Phase::Ended => "ended",
        Phase::Rejected => "rejected",
        Phase::Failed => "failed",
        Phase::Suspended => "suspended",
        Phase::Unknown => "unknown",
    }
}

/// A debt that this version cannot read, or whose reason it does not know.
pub(super) const UNREADABLE: &str = "Unreadable";

fn owed_reasons() -> Vec<&'static str> {
    let known = OwedReason::ALL.into_iter().map(OwedReason::as_str);
    known.chain([UNREADABLE]).collect()
}

fn endpoints() -> Vec<&'static str> {
    Endpoint::ALL.into_iter().map(Endpoint::as_str).collect()
}

fn phases() -> Vec<&'static str> {
    PHASES.into_iter().map(phase).collect()
}

const fn closed(name: &'static str, words: fn() -> Vec<&'static str>) -> Label {
    let values = Values::Closed(words);
    Label { name, values }
}

pub(super) const CONTROLLER: Label = closed("controller", Controller::all);
pub(super) const OUTCOME: Label = closed("outcome", PassOutcome::all);
pub(super) const RESULT: Label = closed("result", ReconcileResult::all);
pub(super) const ENDPOINT: Label = closed("endpoint", endpoints);
pub(super) const CLASS: Label = closed("class", classes);
pub(super) const WAIT: Label = closed("for", Wait::all);
pub(super) const HELD_BACK: Label = closed("why", HeldBack::all);
pub(super) const WRITE: Label = closed("kind", KubeWrite::all);
pub(super) const DEBT_END: Label = closed("how", DebtEnd::all);
pub(super) const OWED_REASON: Label = closed("reason", owed_reasons);
pub(super) const HAPPENING: Label = closed("reason", happenings);
pub(super) const PHASE: Label = closed("phase", phases);
pub(super) const WAITING: Label = closed("waiting", Waiting::all);
pub(super) const RESOURCE: Label = closed("resource", Watched::all);

const fn few(name: &'static str, values: &'static str) -> Label {
    let values = Values::Few(values);
    Label { name, values }
}

pub(super) const CODE: Label = few("code", "an HTTP status, or `<error>` where none came");
pub(super) const METHOD: Label = few("method", "an HTTP method");
pub(super) const VERB: Label = few("verb", "an HTTP method");
pub(super) const HOST: Label = few("host", "that of the API server");
pub(super) const SHARD: Label = few("shard", "0 to 31");
pub(super) const VERSION: Label = few("version", "one a process");

const fn object(name: &'static str, values: &'static str) -> Label {
    let values = Values::Object(values);
    Label { name, values }
}

pub(super) const NAMESPACE: Label = object("namespace", "that of the resource");
pub(super) const NAME: Label = object("name", "that of the resource");
pub(super) const TARGET: Label =
    object("target", "`status.target`, for example `bundle prod-read`");
pub(super) const GRANTEE: Label = object(
    "grantee",
    "`spec.grantee`, or `self` for the user of the connection's token",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_has_a_word_of_its_own() {
        let mut words = phases();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), PHASES.len());
    }

    #[test]
    fn what_is_in_no_list_is_counted_as_other() {
        assert_eq!(happening("RenewalRefused"), "RenewalRefused");
        assert_eq!(happening("Active"), "Active");
        assert_eq!(happening("canary"), OTHER);
    }
}
