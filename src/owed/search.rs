//! Looks for what lost answers made: through the lists of the API that was called, every status, as
//! far back as the mark may be. IO.
//!
//! It says what it found, and whether it saw everything; it concludes nothing.

use std::collections::{BTreeMap, BTreeSet};

use apono_client::{
    AccessRequest, AdminQuery, DelegatedQuery, Endpoint, ListQuery, Page, PageToken,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    crd::{OwedMark, RemoteApi},
    marker::Mark,
    poller::Order,
    remote::{Remote, RemoteError},
};

/// As many pages as one look reads.
const MOST_PAGES: usize = 200;
/// A call was made at most a day before its mark's time is over; clocks differ.
const BACK: SignedDuration = SignedDuration::from_hours(25);
const SECONDS_A_DAY: i64 = 86_400;

/// What came of a look.
pub(super) struct Found {
    /// The requests that bear one of the marks.
    pub(super) requests: BTreeMap<String, (RemoteApi, AccessRequest)>,
    /// Whether every list was read to where the oldest mark begins.
    pub(super) is_whole: bool,
    /// Who made the requests of the own list.
    pub(super) users: BTreeSet<String>,
}

/// Looks through all lists in which a request with one of these marks may be.
pub(super) async fn search(
    remote: &Remote,
    marks: &[OwedMark],
    now: Timestamp,
) -> Result<Found, RemoteError> {
    let mut found = Found {
        requests: BTreeMap::new(),
        is_whole: true,
        users: BTreeSet::new(),
    };
    let is_admin = |mark: &&OwedMark| mark.api == Some(RemoteApi::AdminV3);
    let users: BTreeSet<_> = marks
        .iter()
        .filter(is_admin)
        .map(|mark| mark.user.clone())
        .collect();
    for user in users {
        let of_user = marks.iter().filter(is_admin).filter(|one| one.user == user);
        look_admin(
            remote,
            user.clone(),
            back_to(of_user),
            now,
            marks,
            &mut found,
        )
        .await?;
    }
    if marks.iter().any(|mark| !is_admin(&mark)) {
        let back_to = back_to(marks.iter().filter(|mark| !is_admin(mark)));
        for api in [RemoteApi::UserV4, RemoteApi::Delegated] {
            look(remote, api, back_to, marks, &mut found).await?;
        }
    }
    Ok(found)
}

fn back_to<'a>(marks: impl Iterator<Item = &'a OwedMark>) -> Timestamp {
    let begin = |mark: &OwedMark| {
        let until = mark.search_until.as_ref().map(|until| until.0);
        until.and_then(|until| until.checked_sub(BACK).ok())
    };
    marks
        .map(|mark| begin(mark).unwrap_or(Timestamp::MIN))
        .min()
        .unwrap_or(Timestamp::MIN)
}

async fn look(
    remote: &Remote,
    api: RemoteApi,
    back_to: Timestamp,
    marks: &[OwedMark],
    found: &mut Found,
) -> Result<(), RemoteError> {
    let mut token: Option<PageToken> = None;
    let mut order = Order::default();
    // What is inserted in front pushes some of a page onto the next one.
    let mut before = BTreeSet::new();
    let mut read = BTreeSet::new();
    for _ in 0..MOST_PAGES {
        let page = page(remote, api, token.as_ref()).await?;
        found.is_whole &= page.skipped == 0;
        let ids: BTreeSet<_> = page.items.iter().map(|item| item.id.clone()).collect();
        for request in page.items {
            if !before.contains(&request.id) {
                order.see(request.creation_date);
            }
            let user = request.requestor.as_ref().map(|user| user.id.clone());
            let user = user.filter(|id| api == RemoteApi::UserV4 && !id.is_empty());
            found.users.extend(user);
            keep(marks, api, request, found);
        }
        before = ids;
        token = page.next;
        let next = token.as_ref().map(|token| token.as_str().to_owned());
        if next.is_some_and(|next| !read.insert(next)) {
            // Its pages go in circles.
            break;
        }
        if token.is_none() || order.is_past(back_to) {
            return Ok(());
        }
    }
    found.is_whole = false;
    Ok(())
}

async fn page(
    remote: &Remote,
    api: RemoteApi,
    token: Option<&PageToken>,
) -> Result<Page<AccessRequest>, RemoteError> {
    match api {
        RemoteApi::UserV4 | RemoteApi::AdminV3 => {
            let query = ListQuery::default();
            let call = remote.call(Endpoint::ListAccessRequests, |client| async move {
                client.access_requests_page(&query, token).await
            });
            call.await
        }
        RemoteApi::Delegated => {
            let query = DelegatedQuery::default();
            let call = remote.call(Endpoint::ListDelegatedAccessRequests, |client| async move {
                client.delegated_access_requests_page(&query, token).await
            });
            call.await
        }
    }
}

async fn look_admin(
    remote: &Remote,
    user: Option<String>,
    back_to: Timestamp,
    now: Timestamp,
    marks: &[OwedMark],
    found: &mut Found,
) -> Result<(), RemoteError> {
    let seconds = now.as_second().saturating_sub(back_to.as_second());
    let days = seconds.div_euclid(SECONDS_A_DAY).saturating_add(1);
    let query = AdminQuery {
        user_id: user,
        days_offset: Some(u32::try_from(days).unwrap_or(u32::MAX)),
    };
    let call = remote.call(Endpoint::ListAdminRequests, |client| async move {
        client.admin_requests_page(&query).await
    });
    let list: crate::poller::AdminList = call.await?.into();
    found.is_whole &= list.is_complete;
    for request in list.items {
        keep(marks, RemoteApi::AdminV3, request, found);
    }
    Ok(())
}

fn keep(marks: &[OwedMark], api: RemoteApi, request: AccessRequest, found: &mut Found) {
    let mark = request.justification.as_deref().and_then(Mark::parse);
    let is_ours = |mark: &Mark| marks.iter().any(|one| one.nonce == mark.nonce.as_str());
    if mark.as_ref().is_some_and(is_ours) {
        found
            .requests
            .entry(request.id.to_string())
            .or_insert((api, request));
    }
}
