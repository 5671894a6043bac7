//! How far the renewal of live access is. Pure.

use apono_client::State;
use jiff::Timestamp;

use super::{connection_trouble_text, message};
use crate::{
    controller::{
        observed::Observed,
        picture::{Picture, is_live, state},
        renewal,
        rounds::{Fate, fate},
    },
    crd::{AccessRequest, OwnedRequest},
};

/// What is said of a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Renewing {
    /// Whether something is awaited.
    pub(super) is_under_way: bool,
    /// What, or why nothing is.
    pub(super) text: String,
}

/// What there is to say of the renewal of access that is live.
pub(super) fn renewing(
    resource: &AccessRequest,
    picture: &Picture,
    observed: &Observed,
    now: Timestamp,
) -> Option<Renewing> {
    let replacing = |request: &&OwnedRequest| renewal::replaces(picture, request).is_some();
    let (coming, over): (Vec<_>, Vec<_>) = picture
        .requests
        .iter()
        .filter(replacing)
        .partition(|one| is_live(one));
    let under_way = |text| {
        Some(Renewing {
            is_under_way: true,
            text,
        })
    };
    let settled = |text| {
        Some(Renewing {
            is_under_way: false,
            text,
        })
    };
    if let Some(request) = coming.iter().copied().min_by_key(|one| is_set_up(one)) {
        return under_way(message::again::coming(request));
    }
    let is_of_live = |of: &str| picture.live().any(|one| of.is_empty() || one.id == of);
    let renewals = picture.ledger.entries.iter().filter(|entry| entry.n > 1);
    let fates = renewals
        .filter(|entry| is_of_live(&entry.of))
        .map(|entry| fate(picture, entry.n, &entry.of));
    let fates: Vec<_> = fates.collect();
    if fates.contains(&Fate::Open) {
        return under_way(message::again::LOST.to_owned());
    }
    if fates.iter().any(|fate| matches!(fate, Fate::Repeat(_))) {
        let cause = connection_trouble_text(observed);
        return under_way(message::again::repeated(cause));
    }
    if let Some(request) = over.first() {
        return settled(message::again::ended_unused(request));
    }
    let is_of_newest = |n: i64| n == picture.ledger.number && n > 1;
    if is_of_newest(picture.ledger.number)
        && fate(picture, picture.ledger.number, "") == Fate::Refused
    {
        return settled(message::again::REFUSED.to_owned());
    }
    planned(resource, picture, observed, now)
}

/// What comes of a renewal that was not begun.
fn planned(
    resource: &AccessRequest,
    picture: &Picture,
    observed: &Observed,
    now: Timestamp,
) -> Option<Renewing> {
    let spec = resource.spec.renewal.as_ref()?;
    let all = renewal::candidates(resource, picture);
    let say = |is_under_way, text| Some(Renewing { is_under_way, text });
    if all.is_empty() {
        let live = |one: &&OwnedRequest| state(one) == State::Active;
        let mut current = picture.current().into_iter().filter(live);
        let is_endless = current.any(|one| one.ends_at.is_none());
        return is_endless.then(|| Renewing {
            is_under_way: false,
            text: message::again::ENDLESS.to_owned(),
        });
    }
    if !all
        .iter()
        .any(|one| renewal::has_room(resource, picture, one.n))
    {
        return say(false, message::again::used_up(spec.max_renewals));
    }
    all.iter().find(|one| one.at <= now)?;
    if resource.spec.suspend == Some(true) {
        return say(false, message::again::SUSPENDED.to_owned());
    }
    say(true, message::again::due(connection_trouble_text(observed)))
}

/// What waits for people is said before what moves by itself.
fn is_set_up(request: &OwnedRequest) -> bool {
    !matches!(state(request), State::Pending | State::PendingMfa)
}
