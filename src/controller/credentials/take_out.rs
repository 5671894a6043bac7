//! Credentials out of a Secret: at the end, and when it gets another name. IO.

use super::{
    data::Data,
    scene::Record,
    secret::{Content, Found, Owned, Store},
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

/// What came of moving.
pub struct Moved {
    /// What the Secret of the new name says, where there was anything to move.
    pub record: Option<Record>,
    /// Secrets that were immutable, and deleted for want of another way.
    pub deleted: Vec<String>,
}

/// Copies what was delivered to the new name, then ends every other Secret. The names are all those
/// under which there may be one: a move that was interrupted is done with, whatever it moved to.
pub async fn relocate(
    store: Store<'_>,
    names: &[String],
    to: &str,
    on_end: OnEnd,
) -> Result<Moved, Obstacle> {
    let source = source(store, names).await.map_err(Obstacle::Kubernetes)?;
    let record = source.as_ref().map(|(_, owned)| owned.record.clone());
    if let Some((_, owned)) = source.filter(|(name, _)| name != to) {
        copy(store, &owned, to).await?;
    }
    let mut deleted = Vec::new();
    for name in names.iter().filter(|name| *name != to) {
        let taken_out = take_out(store, name, on_end).await;
        if taken_out.map_err(Obstacle::Kubernetes)? {
            deleted.push(name.clone());
        }
    }
    Ok(Moved { record, deleted })
}

/// The first that says anything.
async fn source(
    store: Store<'_>,
    names: &[String],
) -> Result<Option<(String, Box<Owned>)>, kubernetes::Error> {
    for name in names {
        if let Found::Ours(owned) = store.get(name).await?
            && owned.record != Record::default()
        {
            return Ok(Some((name.clone(), owned)));
        }
    }
    Ok(None)
}

async fn copy(store: Store<'_>, old: &Owned, to: &str) -> Result<(), Obstacle> {
    let content = Content {
        data: &old.data,
        record: &old.record,
    };
    match store.create(to, &content, Some(&old.salt)).await {
        Ok(_) => return Ok(()),
        Err(error) if error.is_already_exists() => {}
        Err(error) => return Err(Obstacle::Kubernetes(error)),
    }
    let Found::Ours(new) = store.get(to).await.map_err(Obstacle::Kubernetes)? else {
        return Err(Obstacle::Foreign);
    };
    // With the same key, the same data has the same digest.
    let mut new = *new;
    new.salt.clone_from(&old.salt);
    let replaced = store.replace(&new, &content).await;
    replaced.map(drop).map_err(Obstacle::Kubernetes)
}

/// Takes the credentials out of a Secret, if it is ours. True where it was immutable, so that it was
/// deleted and not emptied.
pub async fn take_out(
    store: Store<'_>,
    name: &str,
    on_end: OnEnd,
) -> Result<bool, kubernetes::Error> {
    let mut tries = 0;
    loop {
        let Found::Ours(owned) = store.get(name).await? else {
            return Ok(false);
        };
        let done = match on_end {
            OnEnd::Delete => store.delete(&owned).await.map(|()| false),
            OnEnd::Empty if owned.is_immutable => store.delete(&owned).await.map(|()| true),
            OnEnd::Empty => {
                let content = Content {
                    data: &Data::new(),
                    record: &Record::default(),
                };
                store.replace(&owned, &content).await.map(|_| false)
            }
        };
        tries += 1;
        match done {
            Err(error) if tries < TRIES && (error.is_conflict() || error.is_not_found()) => {}
            done => return done,
        }
    }
}
