//! Takes one remote request back. IO.
//!
//! Requests of the user API are revoked one by one, those of the admin API together with others'
//! (`connection/bulk.rs`). One made for somebody else has no way of its own: it is tried as one's
//! own, and handed to the bulk revoke when that is refused. What is handed over is answered later;
//! until then it is not handed over again.

use apono_client::{Effect, Endpoint};
use jiff::Timestamp;

use super::{
    observe::resource_key,
    observed::{Memory, Observed, Refusal, RevokeTry, is_definite},
    picture::Picture,
};
use crate::{
    connection::{BulkAnswer, Connection},
    crd::{AccessRequest, RemoteApi},
    remote::RemoteError,
};

/// How a request is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By itself.
    Alone,
    /// By itself, and together with others when that is refused.
    AloneFirst,
    /// Together with others.
    Together,
}

/// Whether a revoke has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It has, and was answered or was not.
    Now,
    /// It was handed over, and leaves with others.
    Later,
}

/// Sends a revoke or hands it over, and remembers what the remote said of it, if it has.
pub async fn revoke(
    connection: &Connection,
    resource: &AccessRequest,
    observed: &mut Observed,
    id: &str,
    now: Timestamp,
) -> Sent {
    let way = way(resource, observed, id, now);
    let memory = &mut observed.memory;
    if way == Way::Together || connection.bulk.holds(id) {
        hand_over(connection, resource, memory, id, now);
        return Sent::Later;
    }
    let call = connection
        .remote
        .call(Endpoint::RevokeAccessRequest, |client| async move {
            client.revoke(id).await
        });
    let error = call.await.err();
    if let Some(error) = &error {
        tracing::info!(%id, %error, "revoke not accepted");
    }
    let declined = error
        .as_ref()
        .filter(|error| way == Way::AloneFirst && is_definite(error.status()));
    if let Some(error) = declined {
        let known = memory.declined.remove(id);
        memory.declined.insert(id.to_owned(), told(error, known));
        hand_over(connection, resource, memory, id, now);
        return Sent::Later;
    }
    memory.declined.remove(id);
    let tried = tried(memory.revokes.remove(id), error.as_ref(), now);
    memory.revokes.insert(id.to_owned(), tried);
    connection.store.hasten(id);
    Sent::Now
}

fn way(resource: &AccessRequest, observed: &Observed, id: &str, now: Timestamp) -> Way {
    let picture = Picture::of(resource, observed, now);
    let found = picture.owned().find(|one| one.id == id);
    match found.and_then(|one| one.api) {
        Some(RemoteApi::AdminV3) => Way::Together,
        Some(RemoteApi::Delegated) => Way::AloneFirst,
        // The own list may show what was made for somebody else.
        Some(RemoteApi::UserV4) | None if observed.asks_for_another => Way::AloneFirst,
        Some(RemoteApi::UserV4) | None => Way::Alone,
    }
}

fn hand_over(
    connection: &Connection,
    resource: &AccessRequest,
    memory: &mut Memory,
    id: &str,
    now: Timestamp,
) {
    let before = memory.revokes.remove(id);
    let was_refused = before.as_ref().is_some_and(|tried| tried.refusal.is_some());
    let waiting = RevokeTry {
        last: now,
        // Told until something else is.
        ..before.unwrap_or(RevokeTry {
            count: 0,
            failures: 0,
            last: now,
            refusal: None,
        })
    };
    memory.revokes.insert(id.to_owned(), waiting);
    memory.handed_over.insert(id.to_owned());
    let key = resource_key(resource);
    connection
        .bulk
        .hand_over(&connection.remote, id, &key, was_refused);
}

/// Takes what became of what was handed over; says whether there was anything.
pub fn take_answers(connection: &Connection, memory: &mut Memory, now: Timestamp) -> bool {
    let mut is_news = false;
    for id in memory.handed_over.clone() {
        let answer = connection.bulk.fetch(&id);
        if answer.is_none() && connection.bulk.holds(&id) {
            continue;
        }
        is_news = true;
        memory.handed_over.remove(&id);
        // One that is held no more and has no answer was of a connection that is there no more: it
        // is tried again when it is due.
        let Some((age, answer)) = answer else {
            continue;
        };
        let at = now.checked_sub(age).unwrap_or(now);
        let before = memory.revokes.remove(&id);
        let known = before.as_ref().and_then(|tried| tried.refusal.clone());
        let mut tried = match &answer {
            BulkAnswer::Accepted => tried(before, None, at),
            BulkAnswer::Failed(error) => tried(before, Some(error), at),
        };
        let declined = memory.declined.get(&id);
        if let (Some(refusal), Some(declined)) = (&mut tried.refusal, declined)
            && known.as_ref() != Some(refusal)
        {
            refusal.message = format!("{}; and then: {}", declined.message, refusal.message);
        }
        memory.revokes.insert(id, tried);
    }
    is_news
}

/// The tries with one more. A call that was not let through, for its token or its pace, says nothing
/// of the request: what was said before still counts.
fn tried(before: Option<RevokeTry>, error: Option<&RemoteError>, now: Timestamp) -> RevokeTry {
    let (count, failures, known) =
        before.map_or((0, 0, None), |it| (it.count, it.failures, it.refusal));
    let (failures, refusal) = match error {
        None => (0, None),
        Some(error) if error.effect() == Effect::NotSent => {
            (failures, known.or_else(|| Some(told(error, None))))
        }
        Some(error) => (failures.saturating_add(1), Some(told(error, known))),
    };
    RevokeTry {
        count: count.saturating_add(1),
        failures,
        last: now,
        refusal,
    }
}

/// The refusal to show. The same answer is told in the words it came in first: the remote's words
/// may differ each time, and the status would never come to rest.
fn told(error: &RemoteError, known: Option<Refusal>) -> Refusal {
    let status = error.status();
    known
        .filter(|known| known.status == status)
        .unwrap_or_else(|| Refusal {
            status,
            message: error.in_full(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_tries_are_counted_until_one_is_accepted_and_held_back_ones_are_not() {
        let now = Timestamp::UNIX_EPOCH;
        let held_back = RemoteError::Paused(std::time::Duration::from_secs(1));
        let refusal = Refusal {
            status: Some(503),
            message: "503".to_owned(),
        };
        let failed = RevokeTry {
            count: 3,
            failures: 3,
            last: now,
            refusal: Some(refusal.clone()),
        };
        let paused = tried(Some(failed), Some(&held_back), now);
        assert_eq!((paused.count, paused.failures), (4, 3));
        assert_eq!(paused.refusal, Some(refusal));
        let accepted = tried(Some(paused), None, now);
        assert_eq!((accepted.failures, accepted.refusal), (0, None));
        assert_eq!(tried(None, Some(&held_back), now).failures, 0);
    }
}
