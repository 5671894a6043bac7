//! Reading ahead. After a start the own list is swept before the resources have come that follow what
//! it shows: what bears a mark of this cluster is kept until they do.
//!
//! What was read ahead is believed for [`FORESIGHT`] only. It would otherwise be older than what a
//! resource is told at any other time, and access that was taken back meanwhile would pass for live.
//! Who comes later is read for anew, as if nothing had been read ahead.

use std::time::Duration;

use apono_client::RequestId;
use tokio::time::Instant;

use super::{Evidence, Knowledge};
use crate::crd::RemoteApi;

/// How long after a start what was read ahead counts. Ten thousand resources come within five
/// seconds.
pub(super) const FORESIGHT: Duration = Duration::from_secs(15);
/// What is read ahead.
const LIST: RemoteApi = RemoteApi::UserV4;

/// A time in which what is read ahead counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foresight {
    until: Instant,
    /// Whether the sweep ahead came to its end.
    is_swept: bool,
}

impl Knowledge {
    /// The own list will be asked about, by whom is not known yet: it is to be swept at once.
    pub(in crate::poller) fn foresee(&mut self, now: Instant) {
        let is_swept = self.foresight.is_some_and(|foresight| foresight.is_swept);
        if !is_swept && !self.swept.contains(&LIST) {
            let until = now + FORESIGHT;
            self.foresight = Some(Foresight { until, is_swept });
        }
    }

    /// Whether this list is to be swept ahead.
    pub(in crate::poller) fn is_to_sweep_ahead(&self, api: RemoteApi) -> bool {
        api == LIST && self.foresight.is_some_and(|foresight| !foresight.is_swept)
    }

    /// The sweep ahead came to its end; says whether it has shown what those follow who are still to
    /// come: only if the list shows marks, and was read to its end. Otherwise they are swept for.
    pub(super) fn end_sweep_ahead(&mut self, evidence: &Evidence) -> bool {
        if let Some(foresight) = &mut self.foresight {
            foresight.is_swept = true;
        }
        let mut marked = self.by_origin.values().flatten();
        evidence.is_complete
            && marked.any(|id| {
                let record = self.records.get(id);
                let seen = record.and_then(|record| record.snapshot.as_ref());
                seen.is_some_and(|seen| seen.api == LIST && seen.asked_at >= evidence.began)
            })
    }

    /// When its time is over, what was read ahead and nobody follows is unknown again.
    pub(in crate::poller) fn end_foresight(&mut self, now: Instant) {
        if self.foresight.is_none_or(|foresight| now < foresight.until) {
            return;
        }
        self.foresight = None;
        self.swept.remove(&LIST);
        let is_ahead = |id: &&RequestId| {
            self.records.get(*id).is_some_and(|record| {
                let is_wanted = record.nonces().any(|nonce| self.wanted.contains_key(nonce));
                record.route == LIST && record.answered.is_empty() && !is_wanted
            })
        };
        let ahead: Vec<_> = self.loose.iter().filter(is_ahead).cloned().collect();
        for id in ahead {
            self.forget(&id);
        }
    }
}
