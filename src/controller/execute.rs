//! Does the one remote write of a pass. IO.
//!
//! Guarantees: a create leaves within [`MARK_VALID`] of its mark, measured where it leaves, after
//! every wait for pacing; otherwise it is not sent.

use apono_client::{Effect, Endpoint, EntitlementRef, NewAccessRequest, Target};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    attempt::{Ledger, MARK_VALID},
    fold::{Outcome, Reply, likely_api},
    observe::resource_key,
    observed::{Memory, Observed, Refusal, RevokeTry},
};
use crate::{
    connection::Connection,
    crd::{AccessRequest, DurationText},
    marker::{Nonce, marked},
    remote::RemoteError,
};

/// Sends a create that has been marked at `marked_at`.
pub async fn create(
    connection: &Connection,
    resource: &AccessRequest,
    observed: &Observed,
    (ledger, nonce): (Ledger, Nonce),
    (marked_at, sent_at): (Instant, Timestamp),
) -> Outcome {
    let body = body(resource, observed, &nonce);
    let body = &body;
    let leave_by = marked_at + MARK_VALID;
    let remote = &connection.remote;
    let call = remote.call_by(
        Endpoint::CreateAccessRequest,
        leave_by,
        |client| async move { client.create_access_request(body).await },
    );
    let reply = match call.await {
        Ok(made) if made.is_empty() => Reply::Empty,
        Ok(made) => Reply::Made(made),
        Err(error) => refusal(&error),
    };
    if let Reply::Made(made) = &reply {
        let api = likely_api(resource);
        let key = resource_key(resource);
        connection
            .store
            .record_reply(&key, &nonce, made.clone(), api, sent_at);
    }
    Outcome::Posted {
        ledger,
        nonce,
        sent_at,
        reply,
    }
}

/// Sends a revoke, and remembers what the remote said of it.
pub async fn revoke(connection: &Connection, id: &str, memory: &mut Memory, now: Timestamp) {
    let call = connection
        .remote
        .call(Endpoint::RevokeAccessRequest, |client| async move {
            client.revoke(id).await
        });
    let answer = call.await;
    if let Err(error) = &answer {
        tracing::info!(%id, %error, "revoke not accepted");
    }
    let tried = tried(memory.revokes.remove(id), answer.err().as_ref(), now);
    memory.revokes.insert(id.to_owned(), tried);
    connection.store.hasten(id);
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

/// What an error of a create means: 4.1.3 of the design, decided by the client.
fn refusal(error: &RemoteError) -> Reply {
    tracing::info!(%error, "create not answered with a request");
    match error.effect() {
        Effect::Refused => Reply::Refused(error.in_full()),
        Effect::NotSent => Reply::NotSent,
        Effect::Unknown => Reply::Lost,
    }
}

fn body(resource: &AccessRequest, observed: &Observed, nonce: &Nonce) -> NewAccessRequest {
    let spec = &resource.spec;
    let target = match (&spec.access.bundle, &spec.access.entitlements) {
        (Some(bundle), _) => Target::Bundle(bundle.clone()),
        (None, all) => Target::Entitlements(
            all.iter()
                .flatten()
                .map(|one| EntitlementRef {
                    resource_id: one.resource_id.clone().unwrap_or_default(),
                    permission_id: one.permission_id.clone().unwrap_or_default(),
                })
                .collect(),
        ),
    };
    NewAccessRequest {
        target,
        justification: Some(marked(
            nonce,
            &observed.origin,
            spec.justification.as_deref(),
        )),
        duration: spec.duration.as_ref().and_then(DurationText::to_duration),
        custom_fields: spec.custom_fields.clone(),
        grantee: spec.grantee.clone(),
    }
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
