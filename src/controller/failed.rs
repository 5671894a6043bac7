//! Whether a request that failed ever was access. Pure.
//!
//! `Failed` says that a grant or a revoke failed, and not which. It counts as ended only where
//! nothing of it was ever seen live and none of its entitlements is granted. Where they cannot be
//! read (the admin API has none, and those of a request for somebody else may be hidden) the most
//! that can be done is to revoke it all the same: if the remote has refused that and says `Failed`
//! since, or has accepted it and says `Failed` still when it has had the time to act, there is
//! nothing left to take back.

use std::time::Duration;

use apono_client::EntitlementState as Word;

use super::{
    observed::{Observed, is_definite},
    picture::{state, was_access},
};
use crate::{
    crd::{OwnedRequest, RemoteApi},
    poller::Sight,
};

/// A remote that accepted a revoke and acts on it late has this long to show it.
pub const TIME_TO_ACT: Duration = Duration::from_secs(15);

/// Whether a failed request never was access, as far as anybody can say.
pub fn was_never_access(request: &OwnedRequest, observed: &Observed) -> bool {
    if was_access(request) {
        return false;
    }
    let harmless = |word: Word| match word {
        Word::Pending | Word::Failure | Word::Revoked => true,
        Word::Granted | Word::Unknown => false,
    };
    match observed.entitlements.get(&request.id) {
        Some(all) => all.iter().all(|one| harmless(one.status.state())),
        None => is_undescribed(request, observed) && is_revoked_in_vain(request, observed),
    }
}

/// Whether it is not yet known, and a revoke will tell.
pub fn is_undecided(request: &OwnedRequest, observed: &Observed) -> bool {
    !was_access(request)
        && is_undescribed(request, observed)
        && !is_revoked_in_vain(request, observed)
}

/// Whether the remote does not say what the request holds.
pub fn is_undescribed(request: &OwnedRequest, observed: &Observed) -> bool {
    request.api == Some(RemoteApi::AdminV3) || observed.memory.undescribed.contains_key(&request.id)
}

/// Whether a revoke was answered, and the request read back since then as it was: after a refusal at
/// any time, after an acceptance when it has had its time.
fn is_revoked_in_vain(request: &OwnedRequest, observed: &Observed) -> bool {
    let memory = &observed.memory;
    let Some(tried) = memory.revokes.get(&request.id) else {
        return false;
    };
    let refusal = tried.refusal.as_ref();
    let is_answered = tried.count > 0
        && !memory.handed_over.contains(&request.id)
        && refusal.is_none_or(|refusal| is_definite(refusal.status));
    let Some(Sight::Seen(seen)) = observed.view.sights.get(&request.id) else {
        return false;
    };
    let from = match refusal {
        Some(_) => tried.last,
        None => tried.last + TIME_TO_ACT,
    };
    is_answered && seen.asked_at >= from && seen.request.status.state() == state(request)
}
