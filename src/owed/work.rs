//! One step at the remote, and what its answer adds to what is known. IO; what to do is decided in
//! `plan.rs`.

use apono_client::{AccessRequest, Effect, Endpoint, EntitlementState, ErrorClass, ListQuery};
use jiff::Timestamp;

use super::{
    plan::Step,
    progress::{Progress, Refusal, Tried, Trouble},
    search::search,
};
use crate::{
    controller::observed::is_definite,
    crd::{OwedRequest, OwedRevocationSpec, RemoteApi},
    remote::{Remote, RemoteError},
    telemetry::Chain,
};

/// Entitlements are read page by page, and no further than this.
const MOST_PAGES: usize = 100;
/// What the remote said is shown no longer than this.
const LONGEST_ANSWER: usize = 1024;

/// Does one step. A failure that speaks of no request is an error: nothing more is tried now.
pub(super) async fn work(
    remote: &Remote,
    step: &Step,
    spec: &OwedRevocationSpec,
    progress: &mut Progress,
    now: Timestamp,
) -> Result<(), Trouble> {
    match step {
        Step::Read(id) => read(remote, id, progress, now).await,
        Step::Describe(id) => describe(remote, id, progress, now).await,
        Step::Identify => identify(remote, progress, now).await,
        Step::Revoke { id, together } => revoke(remote, id, *together, progress, now).await,
        Step::Search => look(remote, spec, progress, now).await,
        Step::Store | Step::Pay | Step::Wait(_) => Ok(()),
    }
}

async fn read(
    remote: &Remote,
    id: &str,
    progress: &mut Progress,
    now: Timestamp,
) -> Result<(), Trouble> {
    let route = progress.ids.get(id).and_then(|known| known.request.api);
    let routes: &[RemoteApi] = match route.unwrap_or_default() {
        RemoteApi::UserV4 => &[RemoteApi::UserV4, RemoteApi::Delegated],
        RemoteApi::Delegated => &[RemoteApi::Delegated, RemoteApi::UserV4],
        RemoteApi::AdminV3 => &[RemoteApi::AdminV3],
    };
    let mut is_unreadable = false;
    for route in routes {
        match get(remote, *route, id).await {
            Ok(request) => {
                progress.see(id, &request, now);
                progress.last_answer = Some(cut(&format!("{id}: {}", request.status.word())));
                return Ok(());
            }
            Err(RemoteError::Call(error)) if error.class() == ErrorClass::NotFound => {}
            // Of this request alone: the others are not held up by it, nor is its other route.
            Err(error) if is_of_one(&error) => {
                progress.last_answer = Some(cut(&format!("{id}: {}", error.in_full())));
                is_unreadable = true;
            }
            Err(error) => {
                // The next time the others have their turn first.
                progress.fail_to_read(id, now);
                return Err(trouble(&error));
            }
        }
    }
    if is_unreadable {
        progress.fail_to_read(id, now);
        return Ok(());
    }
    progress.last_answer = Some(cut(&format!("{id}: not found")));
    progress.miss(id, now);
    Ok(())
}

async fn get(remote: &Remote, api: RemoteApi, id: &str) -> Result<AccessRequest, RemoteError> {
    match api {
        RemoteApi::UserV4 => {
            let call = remote.call(Endpoint::GetAccessRequest, |client| async move {
                client.access_request(id).await
            });
            call.await
        }
        RemoteApi::Delegated => {
            let call = remote.call(Endpoint::GetDelegatedAccessRequest, |client| async move {
                client.delegated_access_request(id).await
            });
            call.await
        }
        RemoteApi::AdminV3 => {
            let call = remote.call(Endpoint::GetAdminRequest, |client| async move {
                client.admin_request(id).await
            });
            call.await.map(AccessRequest::from)
        }
    }
}

/// What a failed request holds. An unknown word counts as granted, and a list with a hole proves
/// nothing.
async fn describe(
    remote: &Remote,
    id: &str,
    progress: &mut Progress,
    now: Timestamp,
) -> Result<(), Trouble> {
    let (mut token, mut is_granted) = (None, false);
    for _ in 0..MOST_PAGES {
        let from = token.clone();
        let call = remote.call(Endpoint::ListEntitlements, |client| async move {
            client.entitlements_page(id, from.as_ref()).await
        });
        let page = match call.await {
            Ok(page) => page,
            Err(error) if is_definite(error.status()) => {
                if let Some(known) = progress.ids.get_mut(id) {
                    known.is_undescribed = true;
                }
                return Ok(());
            }
            Err(error) => {
                progress.fail_to_read(id, now);
                return Err(trouble(&error));
            }
        };
        is_granted |= page.skipped > 0;
        is_granted |= page.items.iter().any(|one| {
            matches!(
                one.status.state(),
                EntitlementState::Granted | EntitlementState::Unknown
            )
        });
        token = page.next;
        if token.is_none() || is_granted {
            break;
        }
    }
    if let Some(known) = progress.ids.get_mut(id) {
        known.granted = Some(is_granted || token.is_some());
    }
    Ok(())
}

/// Who made the requests of the own list. One that names several users does not tell.
async fn identify(remote: &Remote, progress: &mut Progress, now: Timestamp) -> Result<(), Trouble> {
    let query = ListQuery::default();
    let call = remote.call(Endpoint::ListAccessRequests, |client| async move {
        client.access_requests_page(&query, None).await
    });
    let page = call.await.map_err(|error| trouble(&error))?;
    let requestors = page.items.iter().filter_map(|one| one.requestor.as_ref());
    let mut users: Vec<_> = requestors
        .map(|user| user.id.clone())
        .filter(|id| !id.is_empty())
        .collect();
    users.sort();
    users.dedup();
    progress.identity_asked = Some(now);
    progress.is_shared = users.len() > 1;
    progress.identity = match users.len() {
        1 => users.pop(),
        _ => None,
    };
    Ok(())
}

async fn revoke(
    remote: &Remote,
    id: &str,
    together: bool,
    progress: &mut Progress,
    now: Timestamp,
) -> Result<(), Trouble> {
    let answer = if together {
        let call = remote.call(Endpoint::RevokeAdminRequests, |client| async move {
            client.revoke_admin_requests(&[id]).await
        });
        call.await
    } else {
        let call = remote.call(Endpoint::RevokeAccessRequest, |client| async move {
            client.revoke(id).await
        });
        call.await
    };
    let error = answer.err();
    if let Some(error) = error
        .as_ref()
        .filter(|error| error.effect() == Effect::NotSent)
    {
        return Err(trouble(error));
    }
    progress.last_answer = Some(cut(&match &error {
        None => format!("{id}: revoke accepted"),
        Some(error) => format!("{id}: revoke not accepted: {}", error.in_full()),
    }));
    tracing::info!(id, together, error = ?error.as_ref().map(RemoteError::status), "revoked for a debt");
    let Some(known) = progress.ids.get_mut(id) else {
        return Ok(());
    };
    let is_declined = error
        .as_ref()
        .is_some_and(|error| is_definite(error.status()));
    if is_declined && !together && !known.is_declined {
        // The user API will not: the bulk revoke is tried at once.
        known.is_declined = true;
        return Ok(());
    }
    // Each way has its turn.
    known.is_declined = false;
    let count = known.tried.as_ref().map_or(0, |tried| tried.count);
    known.reads = 0;
    known.tried = Some(Tried {
        count: count.saturating_add(1),
        last: now,
        refusal: error.map(|error| Refusal {
            is_definite: is_definite(error.status()),
            message: cut(&error.in_full()),
        }),
    });
    Ok(())
}

async fn look(
    remote: &Remote,
    spec: &OwedRevocationSpec,
    progress: &mut Progress,
    now: Timestamp,
) -> Result<(), Trouble> {
    let found = search(remote, &spec.marks, now).await;
    let found = found.map_err(|error| trouble(&error))?;
    let searches = &mut progress.searches;
    searches.count = searches.count.saturating_add(1);
    searches.last = Some(now);
    if found.is_whole {
        searches.complete = Some(now);
        searches.by = match found.users.len() {
            0 => progress.identity.clone(),
            1 => found.users.first().cloned(),
            _ => None,
        };
        searches.is_shared = progress.is_shared || found.users.len() > 1;
    }
    for (id, (api, request)) in found.requests {
        if !progress.ids.contains_key(&id) {
            tracing::warn!(id, "found what a lost answer had made");
            // A new one may have brothers.
            progress.searches.count = 0;
        }
        let known = progress.ids.entry(id.clone()).or_default();
        if known.request.id.is_empty() {
            known.request = OwedRequest {
                id: id.clone(),
                api: Some(api),
                ..OwedRequest::default()
            };
        }
        progress.see(&id, &request, now);
    }
    Ok(())
}

/// Whether the failure is the remote's word on the one request, and not on the token or the way.
fn is_of_one(error: &RemoteError) -> bool {
    let RemoteError::Call(error) = error else {
        return false;
    };
    matches!(
        error.class(),
        ErrorClass::Refused | ErrorClass::Invalid | ErrorClass::Undecodable
    )
}

/// What a failed call says of the way to the API.
fn trouble(error: &RemoteError) -> Trouble {
    if error.is_unauthorized() {
        return Trouble::Refused("the API refuses the token".to_owned());
    }
    Trouble::Unreachable(cut(&Chain(error).to_string()))
}

fn cut(text: &str) -> String {
    crate::controller::bounds::cut(text, LONGEST_ANSWER)
}
