//! Sends a request-again. IO.
//!
//! Guarantees: those of a create, see `execute.rs`.

use apono_client::{Endpoint, RequestAgain};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    attempt::{Ledger, MARK_VALID},
    execute,
    fold::Outcome,
    observed::Observed,
};
use crate::{
    connection::Connection,
    crd::AccessRequest,
    marker::{Nonce, marked},
};

/// Asks again for what the request `of` asked for; marked at `marked_at`.
pub async fn request_again(
    connection: &Connection,
    resource: &AccessRequest,
    observed: &Observed,
    (ledger, nonce, of): (Ledger, Nonce, String),
    (marked_at, sent_at): (Instant, Timestamp),
) -> Outcome {
    let why = justification(resource, &ledger, &nonce);
    let body = RequestAgain {
        justification: Some(marked(&nonce, &observed.origin, why)),
        custom_fields: execute::custom_fields(connection, resource),
    };
    let (id, body) = (of.as_str(), &body);
    let leave_by = marked_at + MARK_VALID;
    let call = connection
        .remote
        .call_by(Endpoint::RequestAgain, leave_by, |client| async move {
            client.request_again(id, body).await
        });
    let answer = call.await;
    execute::answered(connection, resource, (ledger, nonce), answer, sent_at)
}

/// Why it is asked: a renewal may have a reason of its own.
pub(super) fn justification<'a>(
    resource: &'a AccessRequest,
    ledger: &Ledger,
    nonce: &Nonce,
) -> Option<&'a str> {
    let n = ledger.entry(nonce.as_str()).map_or(1, |entry| entry.n);
    let is_renewal = n > 1 && ledger.again != Some(n);
    let renewal = resource.spec.renewal.as_ref().filter(|_| is_renewal);
    let own = renewal.and_then(|renewal| renewal.justification.as_deref());
    own.or(resource.spec.justification.as_deref())
}
