//! The words that the switches of sessions and of the v3 API take.
//!
//! Words only; what they mean is decided where they are read.

use serde::{Deserialize, Serialize};

use super::Setting;
use super::words::choice;

choice!(
    /// How the credentials' status is spelled.
    CredentialCase {
        /// `AVAILABLE`.
        #[default]
        Upper,
        /// `available`.
        Lower,
        /// `Available`.
        Pascal,
    }
);
choice!(
    /// The word for credentials nobody has seen.
    CredentialFresh {
        /// `AVAILABLE`.
        #[default]
        Available,
        /// `NEW`, as a vendor's client expects elsewhere.
        New,
    }
);
choice!(
    /// What a password shows after its first reading.
    SeenPassword {
        /// Asterisks.
        #[default]
        Masked,
        /// It is not among the parameters.
        Absent,
    }
);
choice!(
    /// What something refused or pointless gets.
    Odd {
        /// 400.
        #[default]
        BadRequest,
        /// 403.
        Forbidden,
        /// 404.
        NotFound,
        /// 409.
        Conflict,
        /// 200, and nothing happens.
        Ok,
    }
);
choice!(
    /// Whether requests of one user have a session each.
    SessionSharing {
        /// One per request and integration.
        #[default]
        Own,
        /// One per user and integration, of all his live requests.
        Shared,
    }
);
choice!(
    /// Who may name another user on v3.
    V3Others {
        /// Admins and service accounts.
        #[default]
        Admins,
        /// Everybody.
        Anyone,
        /// Nobody.
        Nobody,
    }
);
choice!(
    /// Who counts as the requestor of a v3 request for another user.
    V3Requestor {
        /// The caller; a service account is nobody, so then the user.
        #[default]
        Caller,
        /// The user himself.
        User,
    }
);
choice!(
    /// What a v3 create over several access flows gets.
    V3Flows {
        /// 400.
        #[default]
        Refuse,
        /// One request per flow, of which the answer shows the first.
        AnswerFirst,
    }
);
choice!(
    /// What the v3 list shows when no user is named.
    V3Unnamed {
        /// The caller's.
        #[default]
        Caller,
        /// All the caller may see.
        All,
        /// 400.
        Refuse,
    }
);
choice!(
    /// What a service account's token gets on v3.
    V3Service {
        /// It may do what an admin may.
        #[default]
        Accepted,
        /// 401.
        Unauthorized,
        /// 403.
        Forbidden,
    }
);
choice!(
    /// What v3 access details before the grant and after the end get.
    V3DetailsEarly {
        /// 400.
        #[default]
        BadRequest,
        /// 404.
        NotFound,
        /// 409.
        Conflict,
        /// 200 with an empty text.
        Empty,
    }
);
choice!(
    /// What becomes of a bulk revoke because of one odd id.
    BulkOdd {
        /// Nothing is revoked; the status that fits the id (400, 403 or 404).
        #[default]
        Refuse,
        /// The others are revoked.
        Ignore,
    }
);
