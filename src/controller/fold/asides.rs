//! Events beside the change of the leading reason: tokens that are not acted on, a renewal that was
//! refused, a time to live that is not kept. Pure; each is said once.

use apono_client::State;

use super::Happening;
use crate::{
    controller::{
        attempt::Entry,
        conditions::Verdict,
        message,
        observed::Observed,
        picture::{Picture, attempt, state},
        ttl,
    },
    crd::{AccessRequest, AccessRequestStatus, PostOutcome},
};

/// A renewal was refused for good while the access is live.
pub(super) fn refused_renewal(
    old: &AccessRequestStatus,
    picture: &Picture,
    answer: Option<&str>,
) -> Option<Happening> {
    let is_news = |entry: &&Entry| {
        let posts = old.attempt.iter().flat_map(|attempt| &attempt.posts);
        let mut before = posts.filter(|post| post.nonce == entry.nonce.as_str());
        !before.any(|post| post.outcome == Some(PostOutcome::Refused))
    };
    let is_renewal = |entry: &&Entry| {
        entry.n > 1
            && entry.of.is_empty()
            && picture.ledger.again != Some(entry.n)
            && entry.outcome == PostOutcome::Refused
    };
    let entries = picture.ledger.entries.iter();
    let refused = entries.filter(is_renewal).find(is_news)?;
    let is_live = |one| attempt(one) < refused.n && state(one) == State::Active;
    picture.requests.iter().any(is_live).then(|| Happening {
        is_warning: true,
        reason: "RenewalRefused",
        note: message::again::renewal_refused(answer),
    })
}

/// The resource has finished and would be deleted, were it not a GitOps tool's.
pub(super) fn ignored_ttl(
    old: &AccessRequestStatus,
    resource: &AccessRequest,
    picture: &Picture,
    verdict: &Verdict,
    observed: &Observed,
) -> Option<Happening> {
    let owner = observed.gitops_owner.as_ref()?;
    ttl::ttl(resource)?;
    ttl::finished(verdict, picture)?;
    let leading = verdict.leading()?;
    let is_news = old.reason.as_deref() != Some(leading.reason.as_str())
        || old.observed_generation != resource.metadata.generation;
    is_news.then(|| Happening {
        is_warning: true,
        reason: "TtlIgnored",
        note: message::again::ttl_ignored(owner),
    })
}
