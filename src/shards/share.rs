//! The map of shards and what one replica does about it. Pure.
//!
//! Guarantees: a replica writes over nobody's shards but its own and those of the dead; a shard it
//! gives back is free before anybody else has it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{SHARDS, Shard};

/// Whose each shard is: by the uid of the replica's Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Map {
    holders: BTreeMap<Shard, String>,
}

/// As it is written.
#[derive(Deserialize, Serialize)]
struct Written {
    count: u8,
    holders: BTreeMap<String, BTreeSet<u8>>,
}

impl Map {
    /// Reads it; nothing where it is of another number of shards, or no map.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let written: Written = serde_json::from_str(text).ok()?;
        if written.count != SHARDS {
            return None;
        }
        let all = written.holders.into_iter();
        let holders = all.flat_map(|(uid, shards)| {
            let shards = shards.into_iter().filter(|one| *one < SHARDS);
            shards.map(move |one| (Shard(one), uid.clone()))
        });
        Some(Self {
            holders: holders.collect(),
        })
    }

    pub(super) fn text(&self) -> String {
        let mut holders: BTreeMap<String, BTreeSet<u8>> = BTreeMap::new();
        for (shard, uid) in &self.holders {
            holders
                .entry(uid.clone())
                .or_default()
                .insert(shard.number());
        }
        let count = SHARDS;
        serde_json::to_string(&Written { count, holders }).unwrap_or_default()
    }

    /// The shards of this replica.
    pub(super) fn of(&self, uid: &str) -> BTreeSet<Shard> {
        let holders = self.holders.iter();
        let own = holders.filter(|(_, holder)| *holder == uid);
        own.map(|(shard, _)| *shard).collect()
    }
}

/// The replicas there are, by uid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replicas<'a> {
    /// Those that live: what they have is theirs.
    pub(super) living: &'a BTreeSet<String>,
    /// Those among them that do not leave: all is shared among these.
    pub(super) staying: &'a BTreeSet<String>,
}

/// What to do about the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// The map to write, where it differs.
    pub(super) map: Option<Map>,
    /// What is to be given back once no pass runs over it.
    pub(super) leaving: BTreeSet<Shard>,
}

/// What `me` does, where these replicas live, `me` among them. One that does not stay gives back all
/// it has. What is `leaving` already is given
/// back in any case, as soon as it is `drained`.
pub(super) fn next(
    map: &Map,
    me: &str,
    replicas: Replicas<'_>,
    leaving: &BTreeSet<Shard>,
    drained: &BTreeSet<Shard>,
) -> Wish {
    let mut new = map.clone();
    let own = map.of(me);
    let quota = quota(me, replicas.staying);
    let mut leaving: BTreeSet<_> = leaving.intersection(&own).copied().collect();
    let mut kept: BTreeSet<_> = own.difference(&leaving).copied().collect();
    while kept.len() > quota {
        leaving.extend(kept.pop_last());
    }
    new.holders
        .retain(|_, holder| replicas.living.contains(holder));
    for shard in leaving.intersection(drained) {
        new.holders.remove(shard);
    }
    for shard in Shard::all() {
        let is_free = !new.holders.contains_key(&shard);
        if kept.len() < quota && is_free && !leaving.contains(&shard) {
            new.holders.insert(shard, me.to_owned());
            kept.insert(shard);
        }
    }
    // Others' being dead is no reason to write by itself: whoever takes it, writes it.
    let is_mine = new.of(me) != own;
    Wish {
        map: is_mine.then_some(new),
        leaving,
    }
}

/// How many shards are this replica's part: together the parts are all shards.
fn quota(me: &str, staying: &BTreeSet<String>) -> usize {
    let count = staying.len();
    let Some(place) = staying.iter().position(|one| one == me) else {
        return 0;
    };
    let all = usize::from(SHARDS);
    all / count + usize::from(place < all % count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|&one| one.to_owned()).collect()
    }

    /// All who live stay.
    fn next(
        map: &Map,
        me: &str,
        living: &BTreeSet<String>,
        leaving: &BTreeSet<Shard>,
        drained: &BTreeSet<Shard>,
    ) -> Wish {
        let staying = living;
        super::next(map, me, Replicas { living, staying }, leaving, drained)
    }

    fn settle(map: &Map, me: &str, living: &BTreeSet<String>) -> Map {
        let mut map = map.clone();
        let none = BTreeSet::new();
        let all: BTreeSet<_> = Shard::all().collect();
        let wish = next(&map, me, living, &none, &none);
        map = wish.map.unwrap_or(map);
        let wish = next(&map, me, living, &wish.leaving, &all);
        wish.map.unwrap_or(map)
    }

    #[test]
    fn one_replica_takes_everything_and_then_writes_nothing() {
        let living = names(&["a"]);
        let map = settle(&Map::default(), "a", &living);
        assert_eq!(map.of("a").len(), usize::from(SHARDS));
        let none = BTreeSet::new();
        assert_eq!(next(&map, "a", &living, &none, &none).map, None);
        assert_eq!(Map::parse(&map.text()), Some(map));
    }

    #[test]
    fn a_second_replica_gets_half_and_only_after_it_was_given_back() {
        let living = names(&["a", "b"]);
        let map = settle(&Map::default(), "a", &names(&["a"]));
        let none = BTreeSet::new();
        assert_eq!(next(&map, "b", &living, &none, &none).map, None);
        let wish = next(&map, "a", &living, &none, &none);
        assert_eq!((wish.map, wish.leaving.len()), (None, 16));
        let map = settle(&map, "a", &living);
        let map = settle(&map, "b", &living);
        assert_eq!((map.of("a").len(), map.of("b").len()), (16, 16));
    }

    #[test]
    fn a_replica_that_leaves_gives_back_what_is_drained_and_others_take_it_while_it_lives() {
        let (living, staying) = (names(&["a", "b"]), names(&["b"]));
        let map = settle(&settle(&Map::default(), "a", &living), "b", &living);
        let replicas = Replicas {
            living: &living,
            staying: &staying,
        };
        let none = BTreeSet::new();
        let wish = super::next(&map, "a", replicas, &none, &none);
        assert_eq!((wish.map, wish.leaving.len()), (None, 16));
        let mut drained = wish.leaving.clone();
        let busy = drained.pop_first().unwrap();
        let given = super::next(&map, "a", replicas, &wish.leaving, &drained);
        let map = given.map.unwrap();
        assert_eq!(map.of("a"), [busy].into());
        let map = super::next(&map, "b", replicas, &none, &none).map.unwrap();
        assert_eq!((map.of("a").len(), map.of("b").len()), (1, 31));
    }

    #[test]
    fn the_shards_of_a_replica_that_is_gone_are_taken_and_no_others() {
        let both = names(&["a", "b"]);
        let map = settle(&settle(&Map::default(), "a", &both), "b", &both);
        let map = settle(&map, "b", &names(&["b"]));
        assert_eq!(map.of("b").len(), usize::from(SHARDS));
    }

    #[test]
    fn a_map_of_another_number_of_shards_is_not_read() {
        assert_eq!(Map::parse(r#"{"count": 16, "holders": {}}"#), None);
        assert_eq!(Map::parse("nonsense"), None);
    }

    /// What happens in a world of up to four replicas.
    #[derive(Clone, Debug)]
    enum Happens {
        Comes(u8),
        Goes(u8),
        Acts(u8),
        Drains(u8),
    }

    fn happens() -> impl Strategy<Value = Happens> {
        prop_oneof![
            (0..4_u8).prop_map(Happens::Comes),
            (0..4_u8).prop_map(Happens::Goes),
            (0..4_u8).prop_map(Happens::Acts),
            (0..4_u8).prop_map(Happens::Drains),
        ]
    }

    proptest! {
        #[test]
        fn nobody_writes_over_the_living_and_all_is_shared_in_the_end(
            story in prop::collection::vec(happens(), 0..60)
        ) {
            let name = |number: u8| number.to_string();
            let (mut map, mut living) = (Map::default(), names(&["0"]));
            let mut leaving: BTreeMap<String, BTreeSet<Shard>> = BTreeMap::new();
            let act = |map: &mut Map,
                           leaving: &mut BTreeMap<String, BTreeSet<Shard>>,
                           living: &BTreeSet<String>,
                           me: &str,
                           drains: bool| {
                if !living.contains(me) {
                    return;
                }
                let going = leaving.remove(me).unwrap_or_default();
                let drained = if drains { going.clone() } else { BTreeSet::new() };
                let wish = next(map, me, living, &going, &drained);
                if let Some(new) = wish.map {
                    for other in living.iter().filter(|one| *one != me) {
                        assert_eq!(new.of(other), map.of(other), "{other}'s");
                    }
                    // What is given back but not drained stays mapped.
                    for shard in going.difference(&drained) {
                        assert!(new.of(me).contains(shard) || !map.of(me).contains(shard));
                    }
                    *map = new;
                }
                leaving.insert(me.to_owned(), wish.leaving);
            };
            for one in story {
                match one {
                    Happens::Comes(who) => drop(living.insert(name(who))),
                    Happens::Goes(who) => {
                        if living.len() > 1 && living.remove(&name(who)) {
                            // Its uid never comes again; here its name does, with nothing.
                            leaving.remove(&name(who));
                            map.holders.retain(|_, holder| *holder != name(who));
                        }
                    }
                    Happens::Acts(who) => {
                        act(&mut map, &mut leaving, &living, &name(who), false);
                    }
                    Happens::Drains(who) => {
                        act(&mut map, &mut leaving, &living, &name(who), true);
                    }
                }
            }
            for _ in 0..4 {
                for me in living.clone() {
                    act(&mut map, &mut leaving, &living, &me, true);
                }
            }
            let parts: Vec<_> = living.iter().map(|one| map.of(one).len()).collect();
            prop_assert_eq!(parts.iter().sum::<usize>(), usize::from(SHARDS));
            let (most, fewest) = (parts.iter().max(), parts.iter().min());
            prop_assert!(most.unwrap() - fewest.unwrap() <= 1, "{:?}", parts);
        }
    }
}
