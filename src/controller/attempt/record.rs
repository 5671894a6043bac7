//! The record as it stands in the annotation, and what both sides of the ledger share. Pure data.
//!
//! What an older version wrote reads too: everything that came later may be absent.

use jiff::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use crate::crd::{ATTEMPT_ANNOTATION, AccessRequest};

/// The record as it stands in the annotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The number of the newest attempt.
    pub n: i64,
    /// The uid of the resource it was written for.
    pub uid: String,
    /// `namespace/name` of the resource it was written for.
    pub object: String,
    /// Every POST that was marked.
    pub posts: Vec<Post>,
    /// What is to be ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// The tokens that were acted on in the same write.
    #[serde(default, skip_serializing_if = "Handled::is_empty")]
    pub handled: Handled,
    /// The number of the newest attempt that asks again for all that has ended, not for what is
    /// about to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<i64>,
    /// How many renewals were begun.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub renewals: i64,
}

/// One POST on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// The attempt it belongs to.
    pub n: i64,
    /// What tells it from every other POST.
    pub nonce: String,
    /// When it was marked, rounded up to a second.
    pub time: Timestamp,
    /// Empty for a create, else the id that is asked again.
    #[serde(default)]
    pub of: String,
    /// The id of the user whose token it was to be sent with, where that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// The latch: what was asked in the attempts up to a number is to end, and stays so. A request of
/// them that is found later ends too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The last attempt that is to end.
    pub n: i64,
    /// Why, as in [`End::REVOKE`] and [`End::TIMEOUT`].
    pub why: String,
}

impl End {
    /// A person asked for it by the token.
    pub const REVOKE: &str = "revoke";
    /// Nobody approved in time.
    pub const TIMEOUT: &str = "approval timed out";

    /// Whether it is because nobody approved in time.
    pub fn is_timeout(&self) -> bool {
        self.why == Self::TIMEOUT
    }
}

/// The digests of the tokens that were acted on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Handled {
    /// Of `access.apono.io/revoke`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<String>,
    /// Of `access.apono.io/request-again`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_again: Option<String>,
}

impl Handled {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Record {
    /// The record in this object's annotation, if there is a readable one.
    pub(super) fn of(resource: &AccessRequest) -> Option<Self> {
        serde_json::from_str(resource.annotations().get(ATTEMPT_ANNOTATION)?).ok()
    }

    /// The text of the annotation.
    pub fn to_annotation(&self) -> String {
        // Serialising strings and numbers into memory has no way to fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_zero(number: &i64) -> bool {
    *number == 0
}
