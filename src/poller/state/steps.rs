//! What becomes of what is known when the wall clock is set: see [`crate::clock`]. Everything stays
//! known, as of long ago; what proved an absence proves nothing any more.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Knowledge;

impl Knowledge {
    /// Takes what both clocks show now; says whether the wall clock was set since the time before.
    pub(in crate::poller) fn heed_clock(&mut self, wall: Timestamp, steady: Instant) -> bool {
        if !self.steps.heed(wall, steady) {
            return false;
        }
        // What is under way was begun under the old time.
        self.epoch += 1;
        self.drop_looks();
        self.drop_absences(steady);
        for record in self.records.values_mut() {
            record.settled = Timestamp::MIN;
            if let Some(snapshot) = &mut record.snapshot {
                Arc::make_mut(snapshot).asked_at = Timestamp::MIN;
            }
        }
        self.last_good = self.last_good.map(|good| good.min(wall));
        for lane in self.lanes.values_mut() {
            lane.since = lane.since.min(wall);
        }
        // The moments they wait for have moved.
        let all: Vec<_> = self.resources.keys().cloned().collect();
        self.wake_all(all);
        true
    }

    /// What the wall clock showed just after it was set last.
    pub(in crate::poller) fn stepped_at(&self) -> Option<Timestamp> {
        self.steps.newest()
    }
}
