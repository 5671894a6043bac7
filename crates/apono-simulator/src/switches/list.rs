//! All switches: name, values, default, and the question each leaves open.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Row, Setting, words::*, words_v3::*};

macro_rules! switches {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr;)+) => {
        /// All switches. Names in JSON and on the command line are in kebab case.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct Switches {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for Switches {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Switches {
            /// Every switch with what it can be and what it asks.
            pub fn rows() -> Vec<Row> {
                let defaults = Self::default();
                vec![$(Row {
                    name: stringify!($name).replace('_', "-"),
                    default: super::plain(json!(defaults.$name)),
                    values: <$type as Setting>::values(),
                    about: [$($doc.trim()),+].join(" "),
                }),+]
            }
        }
    };
}

switches! {
    /// The form of new ids.
    id_form: IdForm = Default::default();
    /// From when on `revocation_date` is shown.
    end_shown: EndShown = Default::default();
    /// What `revocation_date` shows after an early revoke.
    end_after_revoke: EndAfterRevoke = Default::default();
    /// What `duration_in_sec` shows when none was asked for.
    duration_echo: DurationEcho = Default::default();
    /// The shape of error bodies; the documented 401 keeps its own.
    error_shape: ErrorShape = Default::default();
    /// How the last page is marked.
    page_end: PageEnd = Default::default();
    /// What a page token remembers.
    page_position: PagePosition = Default::default();
    /// How long a page token works; null: for ever.
    page_token_life: Option<SignedDuration> = None;
    /// The largest `limit`.
    max_limit: u32 = 100;
    /// What a larger one gets.
    over_limit: OverLimit = Default::default();
    /// The order of lists.
    list_order: ListOrder = Default::default();
    /// What an unknown word in a status filter gets.
    unknown_status: UnknownStatus = Default::default();
    /// Letter case of status words.
    word_case: WordCase = Default::default();
    /// Other words for a request's statuses, by the Pascal word.
    request_words: BTreeMap<String, String> = Default::default();
    /// Other words for an entitlement's statuses, by the Pascal word.
    entitlement_words: BTreeMap<String, String> = Default::default();
    /// GET of a delegated id among the caller's own requests.
    delegated_get: Visibility = Visibility::Hidden;
    /// Entitlements of a delegated id.
    delegated_entitlements: Visibility = Visibility::Visible;
    /// Revoke of a delegated id.
    delegated_revoke: Visibility = Visibility::Visible;
    /// Request-again of a delegated id.
    delegated_again: Visibility = Visibility::Visible;
    /// Revoke of an ended request.
    revoke_ended: RevokeEnded = Default::default();
    /// Revoke of a request that is not live yet.
    revoke_open: Leniency = Default::default();
    /// A revoke of a failed request with access left: done, or as for any ended request.
    revoke_retry: bool = false;
    /// How the caller appears in his own requests.
    own_identity: OwnIdentity = Default::default();
    /// Milliseconds in dates.
    fractional_seconds: bool = false;
    /// What happens to justifications.
    justification: Justification = Default::default();
    /// The length in characters that `cut` and `refused` go by.
    justification_length: usize = 500;
    /// A create that repeats one not ended.
    duplicate: Leniency = Default::default();
    /// Where a partly set-up request ends up.
    partial_grant: PartialGrant = Default::default();
    /// How long a request waits before it is rejected by itself; null: for ever.
    pending_timeout: Option<SignedDuration> = None;
    /// What a service account gets.
    service_token: ServiceToken = Default::default();
    /// A create without `custom_fields`.
    missing_custom_fields: Strictness = Default::default();
    /// A custom field that the catalogue does not list.
    unknown_custom_field: Leniency = Default::default();
    /// A create with bundle and entitlements; accepted: the bundle counts.
    both_targets: Strictness = Default::default();
    /// The most entitlements in one create; null: any number.
    entitlement_cap: Option<usize> = None;
    /// One flow refuses, another accepts.
    flow_refusal: FlowRefusal = Default::default();
    /// Request-again of a request not ended.
    again_unended: Leniency = Default::default();
    /// Request-again without a justification.
    again_justification: AgainJustification = Default::default();
    /// When the second factor is asked for.
    mfa_position: MfaPosition = Default::default();
    /// Sessions of a delegated request among the sessions of who asked for it.
    delegated_sessions: Visibility = Visibility::Hidden;
    /// Whether a v4 path also finds a request by the other of its two ids.
    other_id_on_v4: Visibility = Visibility::Hidden;
    /// A list of own requests that names another user as `requestor`.
    requestor_list: RequestorList = Default::default();
    /// What the id of a request that others see and the caller does not gets.
    foreign_id: ForeignId = Default::default();
    /// The status of a call whose content is refused.
    invalid_status: InvalidStatus = Default::default();
    /// A comma in a repeatable parameter.
    comma: Comma = Default::default();
    /// A query parameter that the path does not have.
    unknown_parameter: Strange = Default::default();
    /// A body property of v4 that the contract does not have.
    unknown_property: Strange = Default::default();
    /// The text of `{message}` answers.
    message_text: MessageText = Default::default();
    /// The most calls of one user in a second; null: any number.
    rate_limit: Option<u32> = None;
    /// What a 429 says of the wait.
    rate_hint: RateHint = Default::default();
    /// Whether a create must name a duration, as an account can demand.
    duration_required: bool = false;
    /// Several permissions of a resource type that allows one per request, on v4.
    single_permission_on_v4: Leniency = Default::default();
    /// Names in a search of available entitlements; bundles always take `*`.
    entitlement_names: NameMatch = Default::default();
    /// The case of letters in the names searched for.
    name_case: NameCase = Default::default();
    /// A search for a user that there is not.
    unknown_user: UnknownUser = Default::default();
    /// Whether the requests of a user share sessions.
    session_sharing: SessionSharing = Default::default();
    /// How the status of credentials is spelled.
    credential_case: CredentialCase = Default::default();
    /// The word for credentials nobody has seen.
    credential_fresh: CredentialFresh = Default::default();
    /// A password after its first reading.
    seen_password: SeenPassword = Default::default();
    /// Access details while the credentials are being reset; `ok`: without a password.
    details_resetting: Odd = Odd::Ok;
    /// A reset where nothing can be reset.
    reset_unable: Odd = Odd::BadRequest;
    /// A reset while one is under way.
    reset_again: Odd = Odd::Ok;
    /// Requests made on v3 among those of v4 and the delegated ones.
    v3_made_on_v4: Visibility = Visibility::Visible;
    /// Requests made on v4 among those of v3.
    v4_made_on_v3: Visibility = Visibility::Visible;
    /// A request of several integrations on v3, which can show one of them.
    several_on_v3: Visibility = Visibility::Visible;
    /// A v3 path with the friendly id.
    friendly_id_on_v3: Visibility = Visibility::Visible;
    /// What a service account's token gets on v3.
    v3_service: V3Service = Default::default();
    /// Who may name another user on v3.
    v3_others: V3Others = Default::default();
    /// The requestor of a v3 request for another user.
    v3_requestor: V3Requestor = Default::default();
    /// A v3 create over several access flows.
    v3_flows: V3Flows = Default::default();
    /// A body property of v3 that the contract does not have.
    v3_unknown_property: Strange = Strange::Ignore;
    /// A v3 list that names no user.
    v3_list_unnamed: V3Unnamed = Default::default();
    /// The days a v3 list looks back when it does not say; null: all.
    v3_list_days: Option<u32> = Some(7);
    /// The most a v3 list shows, whatever its `total`; null: all.
    v3_list_cut: Option<usize> = None;
    /// v3 access details of a request that is not live.
    v3_details_early: V3DetailsEarly = Default::default();
    /// An id in a bulk revoke that there is not.
    bulk_unknown: BulkOdd = Default::default();
    /// An id in a bulk revoke that is another's.
    bulk_foreign: BulkOdd = Default::default();
    /// An id in a bulk revoke of a request that has ended.
    bulk_ended: BulkOdd = BulkOdd::Ignore;
    /// A bulk revoke by who asked for another user.
    bulk_delegated: Visibility = Visibility::Visible;
    /// The most ids in a bulk revoke; null: any number.
    bulk_max: Option<usize> = None;
}
