//! Reads by id what no sweep showed, acts on planned ends, and learns who the token is when that
//! matters. In steady state it reads nothing. It says "missing" only if every route does.

use std::time::Duration;

use apono_client::{AccessRequest, RequestId};
use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;
use tokio::time::Instant;

use super::ReadError;
use super::drive::{HasRead, Round, Tools};
use super::state::{Lane, Source};
use super::walk::{self, Leaf, PAGES_A_ROUND, Walk};
use crate::crd::RemoteApi;

/// More than so many at once are looked for in the list instead of one by one.
pub(super) const MANY: usize = 25;
/// So many reads by id are under way at once.
pub(super) const AT_ONCE: usize = 8;
/// What one read by id costs in time: at most 25 a second.
pub(super) const READ_PAUSE: Duration = Duration::from_millis(40);
/// A list that does not say who the token is is asked again after this long.
const IDENTITY_PAUSE: Duration = Duration::from_mins(1);

/// The reads by id.
#[derive(Default)]
pub(super) struct Confirm {
    not_before: Option<Instant>,
    identity_asked: Option<(u64, Instant)>,
}

impl Confirm {
    /// When the own list may be asked who the token is.
    fn identity_due(&self, tools: &Tools, now: Instant) -> Option<Instant> {
        tools.ask(|knowledge| {
            let again = match self.identity_asked {
                Some((epoch, asked)) if epoch == knowledge.epoch => asked + IDENTITY_PAUSE,
                _ => now,
            };
            knowledge.needs_identity().then_some(again)
        })
    }

    async fn learn_identity(&mut self, tools: &Tools) -> Result<(), ReadError> {
        let epoch = tools.ask(|knowledge| knowledge.epoch);
        self.identity_asked = Some((epoch, Instant::now()));
        let asked_at = tools.clock.now();
        let page = walk::page(tools.reads.as_ref(), RemoteApi::UserV4, Some(1), &[], None).await?;
        tools.take(
            RemoteApi::UserV4,
            epoch,
            Leaf {
                items: page.items,
                asked_at,
            },
        );
        Ok(())
    }

    /// Looks for all of these in their list, whatever their state.
    async fn sweep_for(
        &self,
        api: RemoteApi,
        ids: &[RequestId],
        tools: &Tools,
    ) -> Result<(), ReadError> {
        let epoch = tools.ask(|knowledge| knowledge.epoch);
        let mut walk = Walk::new(api, Vec::new(), epoch);
        for _ in 0..PAGES_A_ROUND {
            let leaf = walk
                .turn(tools.reads.as_ref(), tools.clock.as_ref())
                .await?;
            tools.take(api, epoch, leaf);
            let began = walk.began.unwrap_or(Timestamp::MAX);
            if walk.is_finished || !tools.ask(|knowledge| knowledge.is_any_open(ids, began)) {
                break;
            }
        }
        tools.ask(|knowledge| knowledge.swept_for(ids));
        Ok(())
    }

    async fn sweep_if_many(&self, tools: &Tools) -> Result<(), ReadError> {
        let due = tools.ask(|knowledge| knowledge.due_suspects(Instant::now()));
        let unswept: Vec<_> = due
            .into_iter()
            .filter(|(_, _, is_swept_for)| !is_swept_for)
            .collect();
        if unswept.len() <= MANY {
            return Ok(());
        }
        for api in [RemoteApi::UserV4, RemoteApi::Delegated] {
            let of_list = unswept.iter().filter(|(_, route, _)| *route == api);
            let ids: Vec<_> = of_list.map(|(id, _, _)| id.clone()).collect();
            if !ids.is_empty() {
                self.sweep_for(api, &ids, tools).await?;
            }
        }
        Ok(())
    }

    /// Reads a few of the suspects by id.
    async fn read_some(&mut self, tools: &Tools) -> Result<HasRead, ReadError> {
        let started = Instant::now();
        let mut due = tools.ask(|knowledge| knowledge.due_suspects(started));
        due.truncate(MANY);
        let count = u32::try_from(due.len()).unwrap_or(u32::MAX);
        self.not_before = Some(started + READ_PAUSE * count);
        let reads = stream::iter(due).map(|(id, _, _)| async move { confirm(&id, tools).await });
        let results: Vec<_> = reads.buffer_unordered(AT_ONCE).collect().await;
        let answered: Result<Vec<_>, _> = results.into_iter().collect();
        Ok(HasRead(answered?.contains(&Confirmed::Read)))
    }
}

impl Round for Confirm {
    fn lane(&self) -> Lane {
        Lane::Confirm
    }

    fn due(&mut self, tools: &Tools, now: Instant) -> Option<Instant> {
        // Planned ends come whether the remote can be read or not.
        let wall = tools.clock.now();
        let (has_ended, suspects, end) = tools.ask(|knowledge| {
            let has_ended = knowledge.reach_ends(wall, now);
            (has_ended, knowledge.suspects_due(), knowledge.next_end())
        });
        if has_ended {
            tools.store.announce();
        }
        let reads = suspects
            .into_iter()
            .chain(self.identity_due(tools, now))
            .min();
        let reads = reads.map(|due| due.max(self.not_before.unwrap_or(due)));
        let end = end.map(|end| tools.instant(end, now));
        reads.into_iter().chain(end).min()
    }

    async fn read(&mut self, tools: &Tools) -> Result<HasRead, ReadError> {
        let now = Instant::now();
        if self.identity_due(tools, now).is_some_and(|due| due <= now) {
            self.learn_identity(tools).await?;
        }
        if self.not_before.is_some_and(|not_before| now < not_before) {
            return Ok(HasRead(false));
        }
        self.sweep_if_many(tools).await?;
        self.read_some(tools).await
    }
}

/// What came of the read of one id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Confirmed {
    /// It was answered.
    Read,
    /// Nobody suspects it any more.
    Skipped,
    /// It could not be read.
    Failed(String),
}

/// Reads one id on every route it may live on. Only what stops all reading is an error here: one
/// id that cannot be read says nothing of the others.
pub(super) async fn confirm(id: &RequestId, tools: &Tools) -> Result<Confirmed, ReadError> {
    let (epoch, suspect) = tools.ask(|knowledge| (knowledge.epoch, knowledge.open_suspect(id)));
    let Some((route, suspect)) = suspect else {
        return Ok(Confirmed::Skipped);
    };
    let asked_at = tools.clock.now();
    let mut found = read(route, id, tools)
        .await
        .map(|request| (request, route, asked_at));
    if let Some(other) = other(route).filter(|_| found == Err(ReadError::NotFound)) {
        let asked_at = tools.clock.now();
        found = read(other, id, tools)
            .await
            .map(|request| (request, other, asked_at));
    }
    let now = Instant::now();
    match found {
        Ok((request, api, asked_at)) => {
            // The API may know a request by two names; ours is the one it was asked by.
            let request = AccessRequest {
                id: id.clone(),
                ..request
            };
            let wall = tools.clock.now();
            tools.ask(|knowledge| {
                let concerned = knowledge.take(request, api, asked_at, wall, Source::Single);
                knowledge.judge(id, &suspect, now);
                knowledge.wake_all(concerned);
            });
        }
        Err(ReadError::NotFound) => tools.ask(|knowledge| {
            if knowledge.epoch == epoch {
                let concerned = knowledge.miss(id, asked_at, now);
                knowledge.wake_all(concerned);
            }
        }),
        Err(error @ (ReadError::Unauthorized | ReadError::Paused(_))) => return Err(error),
        Err(ReadError::Failed(error) | ReadError::Refused(error)) => {
            tracing::debug!(%id, error, "could not read a request by id");
            tools.ask(|knowledge| knowledge.postpone(id, now));
            return Ok(Confirmed::Failed(error));
        }
    }
    Ok(Confirmed::Read)
}

async fn read(api: RemoteApi, id: &str, tools: &Tools) -> Result<AccessRequest, ReadError> {
    match api {
        RemoteApi::UserV4 => tools.reads.access_request(id).await,
        RemoteApi::Delegated => tools.reads.delegated_access_request(id).await,
        RemoteApi::AdminV3 => tools.reads.admin_request(id).await,
    }
}

/// Where else an id may live. The ids of the admin API are its own.
fn other(api: RemoteApi) -> Option<RemoteApi> {
    match api {
        RemoteApi::UserV4 => Some(RemoteApi::Delegated),
        RemoteApi::Delegated => Some(RemoteApi::UserV4),
        RemoteApi::AdminV3 => None,
    }
}
