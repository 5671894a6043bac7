//! Tokens: annotations that ask for one act, once for each value. Pure.
//!
//! A value is remembered by the first 16 hex digits of its SHA-256, in `status.lastHandled`. For
//! the tokens whose act begins with a mark it is remembered in the write-ahead record too, in the
//! same write: whichever of the two has it, it is not acted on again.

use data_encoding::HEXLOWER;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use crate::crd::{
    AccessRequest, FLUX_RECONCILE_ANNOTATION, LastHandled, RECONCILE_ANNOTATION,
    REQUEST_AGAIN_ANNOTATION, RESET_CREDENTIALS_ANNOTATION, REVOKE_ANNOTATION,
};

/// As many digits of the digest are kept.
const DIGITS: usize = 16;

/// What a token asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Read the remote now.
    Reconcile,
    /// Ask again for what has ended.
    RequestAgain,
    /// Take the access back and keep the resource.
    Revoke,
    /// Have new credentials made.
    ResetCredentials,
}

impl Token {
    /// All tokens there are.
    pub const ALL: [Self; 4] = [
        Self::Reconcile,
        Self::RequestAgain,
        Self::Revoke,
        Self::ResetCredentials,
    ];

    /// The annotation that people write.
    pub fn annotation(self) -> &'static str {
        match self {
            Self::Reconcile => RECONCILE_ANNOTATION,
            Self::RequestAgain => REQUEST_AGAIN_ANNOTATION,
            Self::Revoke => REVOKE_ANNOTATION,
            Self::ResetCredentials => RESET_CREDENTIALS_ANNOTATION,
        }
    }

    /// Where the status remembers its value.
    pub fn slot(self, handled: &mut LastHandled) -> &mut Option<String> {
        match self {
            Self::Reconcile => &mut handled.reconcile,
            Self::RequestAgain => &mut handled.request_again,
            Self::Revoke => &mut handled.revoke,
            Self::ResetCredentials => &mut handled.reset_credentials,
        }
    }
}

/// How a value is remembered.
pub fn digest(value: &str) -> String {
    let mut text = HEXLOWER.encode(&Sha256::digest(value.as_bytes()));
    text.truncate(DIGITS);
    text
}

/// The digest of the token's present value, if there is one. Where both annotations that ask for a
/// read are set, a change of either counts: the two are taken together.
pub fn given(resource: &AccessRequest, token: Token) -> Option<String> {
    let annotations = resource.annotations();
    let own = annotations.get(token.annotation());
    let flux = annotations
        .get(FLUX_RECONCILE_ANNOTATION)
        .filter(|_| token == Token::Reconcile);
    match (own, flux) {
        (Some(own), Some(flux)) => Some(digest(&format!("{own}\n{flux}"))),
        (one, other) => one.or(other).map(|value| digest(value)),
    }
}

/// The digest of the token's value, if the status does not remember that one.
pub fn fresh(resource: &AccessRequest, token: Token) -> Option<String> {
    let mut handled = remembered(resource);
    given(resource, token).filter(|given| token.slot(&mut handled).as_ref() != Some(given))
}

/// What the status remembers.
pub fn remembered(resource: &AccessRequest) -> LastHandled {
    let status = resource.status.as_ref();
    let handled = status.and_then(|status| status.last_handled.clone());
    handled.unwrap_or_default()
}

/// Whether no pass has ever reported on the object: the schema's default stands for no report.
pub fn is_first_seen(resource: &AccessRequest) -> bool {
    let status = resource.status.as_ref();
    let generation = status.and_then(|status| status.observed_generation);
    generation.is_none_or(|generation| generation < 0)
}
