//! The replicas' Leases as seen from here, and when one has run out. Pure.
//!
//! A Lease has run out when it has not changed for as long as it says it lasts, counted on the steady
//! clock here from when its last version was first seen. What it says of the time is not read: clocks
//! differ. Seeing late makes it end late, never early.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

/// One replica's Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// Its name.
    pub(super) name: String,
    /// Its uid.
    pub(super) uid: String,
    /// Its resourceVersion.
    pub(super) version: String,
    /// How long it says it lasts.
    pub(super) lasts: Duration,
    /// Whether its replica gives back what it holds.
    pub(super) is_leaving: bool,
}

/// The Leases there are, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    seen: BTreeMap<String, (Sighting, Instant)>,
}

impl Watched {
    /// Takes what the apiserver holds of one of them.
    pub(super) fn heed(&mut self, one: Sighting, now: Instant) {
        if let Some((before, _)) = self.seen.get(&one.name)
            && (&before.uid, &before.version) == (&one.uid, &one.version)
        {
            return;
        }
        self.seen.insert(one.name.clone(), (one, now));
    }

    /// Takes all that the apiserver holds.
    pub(super) fn replace(&mut self, all: Vec<Sighting>, now: Instant) {
        let names: BTreeSet<_> = all.iter().map(|one| one.name.clone()).collect();
        self.seen.retain(|name, _| names.contains(name));
        for one in all {
            self.heed(one, now);
        }
    }

    /// The Lease of this uid is gone.
    pub(super) fn forget(&mut self, uid: &str) {
        self.seen.retain(|_, (one, _)| one.uid != uid);
    }

    /// The uids of all of them.
    pub(super) fn uids(&self) -> BTreeSet<String> {
        let all = self.seen.values();
        all.map(|(one, _)| one.uid.clone()).collect()
    }

    /// The uids of those whose replicas stay.
    pub(super) fn staying(&self) -> BTreeSet<String> {
        let staying = self.seen.values().filter(|(one, _)| !one.is_leaving);
        staying.map(|(one, _)| one.uid.clone()).collect()
    }

    /// The one of this name.
    pub(super) fn named(&self, name: &str) -> Option<&Sighting> {
        self.seen.get(name).map(|(one, _)| one)
    }

    /// Those that have run out, all but that of this uid.
    pub(super) fn expired(&self, but: Option<&str>, now: Instant) -> Vec<Sighting> {
        let others = self.others(but);
        let over = others.filter(|(one, since)| *since + one.lasts <= now);
        over.map(|(one, _)| one.clone()).collect()
    }

    /// When the next of them runs out if nothing is seen of it.
    pub(super) fn next_end(&self, but: Option<&str>) -> Option<Instant> {
        let ends = self.others(but).map(|(one, since)| *since + one.lasts);
        ends.min()
    }

    fn others<'a>(
        &'a self,
        but: Option<&'a str>,
    ) -> impl Iterator<Item = &'a (Sighting, Instant)> + 'a {
        self.seen
            .values()
            .filter(move |(one, _)| Some(one.uid.as_str()) != but)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LASTS: Duration = Duration::from_secs(15);

    fn sighting(version: u32) -> Sighting {
        Sighting {
            name: "a".to_owned(),
            uid: "uid".to_owned(),
            version: version.to_string(),
            lasts: LASTS,
            is_leaving: false,
        }
    }

    #[test]
    fn a_lease_that_is_seen_again_unchanged_does_not_last_longer() {
        let (mut watched, start) = (Watched::default(), Instant::now());
        watched.heed(sighting(1), start);
        watched.replace(vec![sighting(1)], start + LASTS / 2);
        assert_eq!(watched.next_end(None), Some(start + LASTS));
        assert_eq!(watched.expired(None, start + LASTS), [sighting(1)]);
        assert_eq!(watched.expired(Some("uid"), start + LASTS), []);
        watched.replace(Vec::new(), start);
        assert!(watched.uids().is_empty());
    }

    #[test]
    fn a_replica_that_leaves_lives_and_does_not_stay() {
        let mut watched = Watched::default();
        let leaving = Sighting {
            is_leaving: true,
            ..sighting(1)
        };
        watched.heed(leaving, Instant::now());
        assert!(watched.uids().contains("uid"));
        assert!(watched.staying().is_empty());
    }

    #[test]
    fn another_lease_of_the_same_name_starts_anew() {
        let (mut watched, start) = (Watched::default(), Instant::now());
        watched.heed(sighting(1), start);
        let other = Sighting {
            uid: "other".to_owned(),
            ..sighting(1)
        };
        watched.heed(other, start + LASTS);
        watched.forget("uid");
        assert_eq!(watched.expired(None, start + LASTS), []);
        assert_eq!(watched.named("a").unwrap().uid, "other");
    }

    proptest! {
        /// The holder counts from when it sent, the observer from when it saw: whatever the delays,
        /// the holder has stopped by its margin before anybody takes over.
        #[test]
        fn nobody_takes_over_before_the_holder_has_stopped(
            renewals in prop::collection::vec((0_u64..30_000, 0_u64..4000), 1..20)
        ) {
            let (mut watched, start) = (Watched::default(), Instant::now());
            let (mut sent, mut seen) = (start, start);
            for (number, (pause, delay)) in renewals.into_iter().enumerate() {
                let next = sent + Duration::from_millis(pause);
                let at = seen.max(next + Duration::from_millis(delay));
                if !watched.expired(None, at).is_empty() {
                    // The deletion fails where the renewal was sooner; either way the last
                    // version that was seen is at least as old as it seems.
                    prop_assert!(at >= sent + LASTS);
                    break;
                }
                watched.heed(sighting(u32::try_from(number).unwrap()), at);
                (sent, seen) = (next, at);
                prop_assert!(watched.next_end(None).unwrap() >= sent + LASTS);
            }
        }
    }
}
