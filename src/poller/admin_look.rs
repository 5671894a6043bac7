//! Looks for what a lost answer of the admin API may have made: one list a user. A list that is
//! refused or cut short says nothing, and that is told; the looking goes on. It concludes nothing.

use std::time::Duration;

use apono_client::AdminQuery;
use jiff::Timestamp;
use tokio::time::Instant;

use super::admin_sweep::days_back;
use super::drive::{HasRead, Round, Tools};
use super::state::Lane;
use super::walk::Leaf;
use super::{Look, ReadError};
use crate::crd::RemoteApi;

const API: RemoteApi = RemoteApi::AdminV3;
/// The pause after the first look; doubles from one to the next.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Two looks are at least this far apart for each list they read.
const LIST_PAUSE: Duration = Duration::from_millis(100);

/// The looks at the lists of the admin API.
pub(super) struct AdminLooker {
    /// When the last one began, by both clocks, and how many lists it read.
    last: Option<(Instant, Timestamp, u32)>,
    pause: Duration,
}

impl Default for AdminLooker {
    fn default() -> Self {
        Self {
            last: None,
            pause: FIRST_PAUSE,
        }
    }
}

impl AdminLooker {
    /// Looks at the list of one user.
    async fn look(&self, user: &str, back_to: Timestamp, tools: &Tools) -> Result<(), ReadError> {
        let epoch = tools.ask(|knowledge| knowledge.epoch);
        let asked_at = tools.clock.now();
        let query = AdminQuery {
            user_id: Some(user.to_owned()),
            days_offset: Some(days_back(back_to, asked_at)),
        };
        let answer = tools.reads.admin_requests(&query).await;
        let trouble = match answer {
            Ok(list) => {
                let items = list.items;
                tools.take(API, epoch, Leaf { items, asked_at });
                (!list.is_complete).then(|| {
                    "its list of requests is cut short, and there is no second page".to_owned()
                })
            }
            Err(error @ (ReadError::Refused(_) | ReadError::NotFound)) => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        tools.ask(|knowledge| {
            if knowledge.epoch != epoch {
                return;
            }
            match trouble {
                None => {
                    // The list was asked for no further back.
                    let since = back_to;
                    knowledge.end_admin_look(user, Look { asked_at, since });
                }
                Some(why) => knowledge.fail_admin_look(user, &why),
            }
        });
        Ok(())
    }
}

impl Round for AdminLooker {
    fn lane(&self) -> Lane {
        Lane::Look(API)
    }

    fn due(&mut self, tools: &Tools, now: Instant) -> Option<Instant> {
        let (pause, last) = (self.pause, self.last);
        let due = tools.ask(|knowledge| {
            let each = knowledge.open_wants(API).map(|want| {
                let Some((started, asked_at, _)) = last else {
                    return now;
                };
                if want.declared > started {
                    return now;
                }
                let routine = started + pause;
                if want.conclusive_from <= asked_at {
                    return routine;
                }
                routine.min(tools.instant(want.conclusive_from, now))
            });
            each.min()
        })?;
        let floor = last.map(|(started, _, lists)| started + LIST_PAUSE * lists);
        Some(floor.map_or(due, |floor| due.max(floor)))
    }

    async fn read(&mut self, tools: &Tools) -> Result<HasRead, ReadError> {
        let (now, asked_at) = (Instant::now(), tools.clock.now());
        let horizons = tools.ask(|knowledge| {
            knowledge.tidy_admin_looks();
            let is_fresh = self.last.is_none_or(|(started, _, _)| {
                knowledge
                    .open_wants(API)
                    .any(|want| want.declared > started)
            });
            self.pause = if is_fresh {
                FIRST_PAUSE
            } else {
                (self.pause * 2).min(LONGEST_PAUSE)
            };
            knowledge.admin_horizons()
        });
        let lists = u32::try_from(horizons.len()).unwrap_or(u32::MAX);
        self.last = Some((now, asked_at, lists));
        for (user, back_to) in horizons {
            self.look(&user, back_to, tools).await?;
        }
        Ok(HasRead(lists > 0))
    }
}
