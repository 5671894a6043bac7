//! Looking for what a lost answer may have made: who wants to find what, and what was looked at.
//! Whether something is absent is concluded by the controller, from what a look says of itself.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Knowledge;
use crate::crd::RemoteApi;
use crate::poller::{Look, ResourceKey, Wanted};

/// A request may bear a date of so long before the mark of its POST: clocks differ.
const MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// One POST that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::poller) struct Want {
    pub(in crate::poller) conclusive_from: Timestamp,
    /// Everything created since then must have been looked at.
    pub(in crate::poller) back_to: Timestamp,
    pub(in crate::poller) declared: Instant,
    /// Whose list it would be in, where lists are of one user each.
    pub(in crate::poller) user: Option<String>,
    /// Whether a look has said all that can be said.
    pub(in crate::poller) is_answered: bool,
}

impl Knowledge {
    pub(super) fn want(&mut self, key: &ResourceKey, wanted: &Wanted) {
        self.wanted
            .entry(wanted.nonce.clone())
            .or_default()
            .insert(key.clone());
        let back_to = wanted
            .marked_at
            .checked_sub(MARGIN)
            .unwrap_or(Timestamp::MIN);
        let mut want = Want {
            conclusive_from: wanted.conclusive_from,
            back_to,
            declared: Instant::now(),
            user: wanted.user.clone(),
            is_answered: false,
        };
        let look = match wanted.api {
            RemoteApi::AdminV3 => self.admin_look(wanted.user.as_ref()),
            RemoteApi::UserV4 | RemoteApi::Delegated => self.looks.get(&wanted.api),
        };
        want.is_answered = look.is_some_and(|look| answers(look, &want));
        let place = (wanted.api, key.clone(), wanted.nonce.clone());
        if let Some(known) = self.wants.get(&place)
            && known.conclusive_from == want.conclusive_from
            && known.back_to == want.back_to
            && known.user == want.user
        {
            return;
        }
        self.wants.insert(place, want);
    }

    /// What is still to be looked for in a list.
    pub(in crate::poller) fn open_wants(&self, api: RemoteApi) -> impl Iterator<Item = &Want> {
        let of_list = self.wants.iter().filter(move |((of, _, _), _)| *of == api);
        of_list
            .map(|(_, want)| want)
            .filter(|want| !want.is_answered)
    }

    /// How far back a look at a list must go; none when nothing is wanted of it.
    pub(in crate::poller) fn horizon(&self, api: RemoteApi) -> Option<Timestamp> {
        self.open_wants(api).next()?;
        let of_list = self.wants.iter().filter(|((of, _, _), _)| *of == api);
        of_list.map(|(_, want)| want.back_to).min()
    }

    /// A look was completed: tells those whose question it answers.
    pub(in crate::poller) fn end_look(&mut self, api: RemoteApi, look: Look) {
        self.looks.insert(api, look);
        self.look_faults.remove(&api);
        let mut answered = Vec::new();
        for ((of, key, _), want) in &mut self.wants {
            if *of == api && !want.is_answered && answers(&look, want) {
                want.is_answered = true;
                answered.push(key.clone());
            }
        }
        answered.dedup();
        self.wake_all(answered);
    }

    /// A look came to nothing: tells those who wait for it, the first time.
    pub(in crate::poller) fn fail_look(&mut self, api: RemoteApi, fault: String) {
        if self.look_faults.insert(api, fault).is_some() {
            return;
        }
        let open = self.wants.iter().filter(|((of, _, _), _)| *of == api);
        let open = open.filter(|(_, want)| !want.is_answered);
        let mut waiting: Vec<_> = open.map(|((_, key, _), _)| key.clone()).collect();
        waiting.dedup();
        self.wake_all(waiting);
    }

    /// What was looked at under another token proves nothing under this one.
    pub(super) fn drop_looks(&mut self) {
        self.looks.clear();
        self.look_faults.clear();
        self.drop_admin();
        for want in self.wants.values_mut() {
            want.is_answered = false;
        }
    }
}

pub(super) fn answers(look: &Look, want: &Want) -> bool {
    look.asked_at >= want.conclusive_from && look.since <= want.back_to
}
