//! The words that switches take.
//!
//! Words only; what they mean is decided where they are read.

use serde::{Deserialize, Serialize};

use super::Setting;

macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl Setting for $name {
            fn values() -> String {
                let words = [$(Self::$variant),+].map(|it| serde_json::json!(it));
                words.each_ref().map(|word| word.as_str().unwrap_or_default()).join(" | ")
            }
        }
    };
}

pub(super) use choice;

choice!(
    /// What an id looks like.
    IdForm {
        /// A UUID.
        #[default]
        Uuid,
        /// `AR-` and a running number.
        ArNumber,
    }
);
choice!(
    /// From when on the planned end is shown.
    EndShown {
        /// From the create on, as an estimate.
        #[default]
        AtCreate,
        /// From the grant on.
        AtGrant,
    }
);
choice!(
    /// What the end shows after an early revoke.
    EndAfterRevoke {
        /// Still the planned end.
        #[default]
        Planned,
        /// The time it was really revoked.
        Actual,
    }
);
choice!(
    /// What duration an answer shows when none was asked for.
    DurationEcho {
        /// Null, as asked.
        #[default]
        Asked,
        /// The flow's own period.
        Effective,
    }
);
choice!(
    /// How an error body looks.
    ErrorShape {
        /// `{status, code, message}`, in the style of the documented 401.
        #[default]
        Flat,
        /// `{error: {code, message}}`.
        Nested,
        /// `{status: "invalid", errors: [{code, message}]}`.
        Listed,
        /// Plain text.
        Text,
        /// Nothing.
        Empty,
    }
);
choice!(
    /// How the last page says that it is the last.
    PageEnd {
        /// `next_page_token: null`.
        #[default]
        Null,
        /// No `next_page_token`.
        Absent,
        /// `next_page_token: ""`.
        Empty,
    }
);
choice!(
    /// What a page token remembers.
    PagePosition {
        /// The last item shown: inserts move nothing.
        #[default]
        Cursor,
        /// A count of items: inserts and filtered-out items make pages drift.
        Offset,
    }
);
choice!(
    /// What a limit above the maximum gets.
    OverLimit {
        /// 400.
        #[default]
        Refuse,
        /// The maximum.
        Clamp,
    }
);
choice!(
    /// The order of lists.
    ListOrder {
        /// Latest first.
        #[default]
        NewestFirst,
        /// Earliest first.
        OldestFirst,
        /// None that means anything, yet the same at every call.
        Shuffled,
    }
);
choice!(
    /// What an unknown word in a status filter gets.
    UnknownStatus {
        /// No items.
        #[default]
        NoItems,
        /// 400.
        Refuse,
    }
);
choice!(
    /// Letter case of status words.
    WordCase {
        /// `PendingMFA`.
        #[default]
        Pascal,
        /// `PENDINGMFA`.
        Upper,
        /// `pendingmfa`.
        Lower,
    }
);
choice!(
    /// Whether a path of the caller's own requests knows delegated ids.
    Visibility {
        /// It answers 404.
        #[default]
        Hidden,
        /// It answers as for an own request.
        Visible,
    }
);
choice!(
    /// What a revoke of an ended request gets.
    RevokeEnded {
        /// 200, and nothing happens.
        #[default]
        Ok,
        /// 400.
        BadRequest,
        /// 404.
        NotFound,
    }
);
choice!(
    /// Whether something doubtful is done.
    Leniency {
        /// It is done.
        #[default]
        Accept,
        /// 400.
        BadRequest,
        /// 409.
        Conflict,
    }
);
choice!(
    /// Whether a malformed create is done all the same.
    Strictness {
        /// 400.
        #[default]
        Refuse,
        /// It is done.
        Accept,
    }
);
choice!(
    /// How the caller himself appears as requestor or grantee of an own request.
    OwnIdentity {
        /// By id and email.
        #[default]
        Filled,
        /// As null.
        Null,
    }
);
choice!(
    /// What happens to a justification.
    Justification {
        /// Kept as sent.
        #[default]
        Kept,
        /// Kept without blanks at its ends.
        Trimmed,
        /// Cut at the configured length.
        Cut,
        /// Refused with 400 above the configured length.
        Refused,
    }
);
choice!(
    /// Where a request ends up when only some of its entitlements could be set up.
    PartialGrant {
        /// Active.
        #[default]
        Active,
        /// Failed, with the granted ones still granted.
        Failed,
    }
);
choice!(
    /// What a service account's token gets on a user's path.
    ServiceToken {
        /// 401.
        #[default]
        Unauthorized,
        /// 403.
        Forbidden,
    }
);
choice!(
    /// What becomes of a create when one flow refuses and another accepts.
    FlowRefusal {
        /// Nothing is created.
        #[default]
        AllOrNothing,
        /// The accepted part is created.
        AcceptRest,
    }
);
choice!(
    /// The justification of a request asked for again without one.
    AgainJustification {
        /// That of the first request.
        #[default]
        Inherited,
        /// None; a flow that needs one refuses.
        AsSent,
    }
);
choice!(
    /// When the second factor is asked for.
    MfaPosition {
        /// Before the decision; then back to Pending.
        #[default]
        BeforeApproval,
        /// After it.
        AfterApproval,
    }
);
choice!(
    /// What a comma in a repeatable parameter does.
    Comma {
        /// It is part of the value.
        #[default]
        OneValue,
        /// It parts values.
        Splits,
    }
);
choice!(
    /// Whether something unknown in a call matters.
    Strange {
        /// 400.
        #[default]
        Refuse,
        /// It is overlooked.
        Ignore,
    }
);
choice!(
    /// Which requests a list with `requestor` shows.
    RequestorList {
        /// Those made for the caller.
        #[default]
        ForCaller,
        /// All of that user, whomever they are for.
        AllOfTheirs,
    }
);
choice!(
    /// What an id of somebody else's request gets.
    ForeignId {
        /// 404, as one that never was.
        #[default]
        NotFound,
        /// 403.
        Forbidden,
    }
);
choice!(
    /// The status of a call whose content is refused.
    InvalidStatus {
        /// 400.
        #[default]
        BadRequest,
        /// 422.
        Unprocessable,
    }
);
choice!(
    /// How a name in a search is compared.
    NameMatch {
        /// Letter for letter.
        #[default]
        Exact,
        /// With `*` for anything.
        Wildcard,
    }
);
choice!(
    /// Whether the case of letters in a searched name matters.
    NameCase {
        /// It does.
        #[default]
        Exact,
        /// It does not.
        Blind,
    }
);
choice!(
    /// What an unknown user in a search gets.
    UnknownUser {
        /// 400.
        #[default]
        Refuse,
        /// Nothing is found.
        NoItems,
    }
);
choice!(
    /// What a `{message}` answer says.
    MessageText {
        /// A sentence.
        #[default]
        Sentence,
        /// `ok`.
        Word,
        /// Nothing.
        Empty,
    }
);
choice!(
    /// Whether a 429 says how long to wait.
    RateHint {
        /// `Retry-After` in seconds.
        #[default]
        Seconds,
        /// `Retry-After` as a date.
        Date,
        /// No `Retry-After`.
        None,
    }
);
