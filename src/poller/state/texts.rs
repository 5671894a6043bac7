//! The texts that several indexes name: whoever keeps an id or an origin keeps the one that is held
//! already. Every answer and every pass brings its own.

use apono_client::RequestId;

use super::Knowledge;
use crate::marker::Origin;
use crate::poller::Interest;

impl Knowledge {
    /// Without room that is not used, and with the texts that are held already.
    pub(super) fn slim(&self, interest: &mut Interest) {
        interest.ids.shrink_to_fit();
        interest.looks.shrink_to_fit();
        for tracked in &mut interest.ids {
            if let Some(id) = self.known(&tracked.id) {
                tracked.id = id;
            }
        }
        self.share(&mut interest.origin);
    }

    /// Replaces an origin by the one that is held, if one is.
    pub(super) fn share(&self, origin: &mut Origin) {
        let held = self.residents.get_key_value(origin).map(|(held, _)| held);
        let held = held.or_else(|| Some(self.by_origin.get_key_value(origin)?.0));
        if let Some(held) = held {
            *origin = held.clone();
        }
    }

    /// The id as it is held, if it is known: whatever keeps it keeps that text.
    pub(super) fn known(&self, id: &str) -> Option<RequestId> {
        let known = self.records.get_key_value(id);
        known.map(|(id, _)| id.clone())
    }
}
