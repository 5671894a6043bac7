//! Credentials out of a Secret: at the end, and when it gets another name. IO.

use super::{
    data::Data,
    scene::Record,
    secret::{Content, Found, Store},
};
use crate::{crd::OnEnd, kubernetes};

/// A Secret that changes under our hands is read again so often.
const TRIES: u32 = 3;

/// Why a Secret could not be moved.
pub enum Obstacle {
    /// The new name is taken.
    Foreign,
    /// The API server said no.
    Kubernetes(kubernetes::Error),
}

/// Copies what was delivered, then ends the old Secret. False where there was nothing to copy.
pub async fn relocate(
    store: Store<'_>,
    from: &str,
    to: &str,
    on_end: OnEnd,
) -> Result<bool, Obstacle> {
    let old = store.get(from).await.map_err(Obstacle::Kubernetes)?;
    let Found::Ours(old) = old else {
        return Ok(false);
    };
    let is_there = !old.record.delivered.is_empty();
    if is_there {
        let content = Content {
            data: &old.data,
            record: &old.record,
        };
        match store.create(to, &content, Some(&old.salt)).await {
            Ok(_) => {}
            Err(error) if error.is_already_exists() => {
                match store.get(to).await.map_err(Obstacle::Kubernetes)? {
                    Found::Ours(new) => {
                        let replaced = store.replace(&new, &content).await;
                        replaced.map_err(Obstacle::Kubernetes)?;
                    }
                    Found::Foreign | Found::Absent => return Err(Obstacle::Foreign),
                }
            }
            Err(error) => return Err(Obstacle::Kubernetes(error)),
        }
    }
    take_out(store, from, on_end)
        .await
        .map_err(Obstacle::Kubernetes)?;
    Ok(is_there)
}

/// Takes the credentials out of a Secret, if it is ours.
pub async fn take_out(
    store: Store<'_>,
    name: &str,
    on_end: OnEnd,
) -> Result<(), kubernetes::Error> {
    let mut tries = 0;
    loop {
        let Found::Ours(owned) = store.get(name).await? else {
            return Ok(());
        };
        let done = match on_end {
            OnEnd::Delete => store.delete(&owned).await,
            OnEnd::Empty => {
                let content = Content {
                    data: &Data::new(),
                    record: &Record::default(),
                };
                store.replace(&owned, &content).await.map(drop)
            }
        };
        tries += 1;
        match done {
            Err(error) if tries < TRIES && (error.is_conflict() || error.is_not_found()) => {}
            done => return done,
        }
    }
}
