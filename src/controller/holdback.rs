//! When a status is not worth its write: what it would say is over in a moment. Pure.
//!
//! A deletion whose revoke was accepted is, with most remotes, followed by its end within a second.
//! That the access is being taken back is only written, and told, when it is not. Nothing depends on
//! it: a process that dies meanwhile reads everything again.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    observed::Observed,
    picture::Picture,
    plan::{Intent, has_ended, is_orphan},
};
use crate::crd::{AccessRequest, Phase};

/// So long after the last revoke an end is expected.
const MOMENT: Duration = Duration::from_millis(1_500);

/// Until when the status is left as it is; absent: it is to be brought up to date.
pub fn held_until(
    resource: &AccessRequest,
    observed: &Observed,
    intent: Intent,
    now: Timestamp,
) -> Option<Timestamp> {
    let told = resource.status.as_ref().and_then(|status| status.phase);
    let has_more_to_say = told == Some(Phase::Revoking)
        || is_orphan(resource)
        || resource.spec.credentials.is_some()
        || !observed.connection.is_callable();
    if intent != Intent::Release || has_more_to_say {
        return None;
    }
    let picture = Picture::of(resource, observed, now);
    let standing = picture.owned().filter(|one| !has_ended(one, observed));
    let accepted = standing.map(|request| {
        let tried = observed.memory.revokes.get(&request.id)?;
        tried.refusal.is_none().then_some(tried.last)
    });
    // One that was not accepted is told of at once.
    let revoked = accepted.collect::<Option<Vec<_>>>()?;
    let until = *revoked.iter().min()? + MOMENT;
    (until > now && picture.searching().next().is_none()).then_some(until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{
        fixtures::World,
        observed::{Refusal, RevokeTry},
    };

    fn held(change: impl FnOnce(&mut World)) -> bool {
        let mut world = revoked();
        change(&mut world);
        held_until(&world.resource, &world.observed, Intent::Release, world.now).is_some()
    }

    #[test]
    fn that_access_is_being_taken_back_is_told_when_it_is_not_over_in_a_moment() {
        assert!(held(|_| {}));
        assert!(held(|world| world.now += Duration::from_millis(1_400)));
        assert!(!held(|world| world.now += Duration::from_millis(1_500)));
        assert!(!held(|world| world.observed.memory.revokes.clear()));
        assert!(!held(|world| {
            let tried = world.observed.memory.revokes.get_mut("r1").unwrap();
            tried.refusal = Some(Refusal {
                status: Some(503),
                message: "no".to_owned(),
            });
        }));
        assert!(!held(|world| {
            let status = world.resource.status.get_or_insert_default();
            status.phase = Some(Phase::Revoking);
        }));
    }

    #[test]
    fn nothing_else_is_held_back() {
        let world = revoked();
        let hold = held_until(&world.resource, &world.observed, Intent::Hold, world.now);
        assert_eq!(hold, None);
    }

    /// One that is deleted and was just revoked.
    fn revoked() -> World {
        let (world, _) = crate::controller::fixtures::asked("Active");
        let mut world = world.deleted();
        let tried = RevokeTry {
            count: 1,
            failures: 0,
            last: world.now,
            refusal: None,
        };
        world.observed.memory.revokes.insert("r1".to_owned(), tried);
        world
    }
}
