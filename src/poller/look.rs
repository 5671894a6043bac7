//! Looks for what a lost answer may have made: one sweep of every status serves all who want one.
//! It says when it began and how far back it is complete; whether anything is absent it does not
//! say.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::drive::{HasRead, Round, Tools};
use super::state::Lane;
use super::walk::{PAGES_A_ROUND, Walk};
use super::{Look, ReadError};
use crate::crd::RemoteApi;

/// The pause after the first look; doubles from one to the next.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Two looks are at least this far apart for each page they read, however many want one.
const PAGE_PAUSE: Duration = Duration::from_millis(100);

/// The looks at one list.
pub(super) struct Looker {
    api: RemoteApi,
    walk: Option<Walk>,
    last: Option<Last>,
    pause: Duration,
}

/// The look before.
#[derive(Clone, Copy, Debug)]
struct Last {
    started: Instant,
    asked_at: Timestamp,
    pages: u32,
}

impl Looker {
    pub(super) fn new(api: RemoteApi) -> Self {
        Self {
            api,
            walk: None,
            last: None,
            pause: FIRST_PAUSE,
        }
    }

    /// Notes that a look begins, and lets the pauses grow unless somebody new wants one.
    fn begin(&mut self, tools: &Tools) -> Walk {
        let now = Instant::now();
        let asked_at = tools.clock.now();
        let last = self.last.replace(Last {
            started: now,
            asked_at,
            pages: 0,
        });
        tools.ask(|knowledge| {
            let is_fresh = |last: Last| {
                knowledge
                    .open_wants(self.api)
                    .any(|want| want.declared > last.started)
            };
            self.pause = match last {
                Some(last) if !is_fresh(last) => (self.pause * 2).min(LONGEST_PAUSE),
                _ => FIRST_PAUSE,
            };
            Walk::new(self.api, Vec::new(), knowledge.epoch)
        })
    }

    /// Whether the look under way can still answer somebody; one that began too early for all who
    /// wait while another may begin is given up for that.
    fn is_worth_while(&self, walk: &Walk, tools: &Tools) -> bool {
        let now = tools.clock.now();
        tools.ask(|knowledge| {
            let Some(began) = walk.began else {
                return walk.epoch == knowledge.epoch;
            };
            let wants = || {
                knowledge
                    .open_wants(self.api)
                    .map(|want| want.conclusive_from)
            };
            let is_early = wants().all(|from| from > began) && wants().any(|from| from <= now);
            walk.epoch == knowledge.epoch && !is_early
        })
    }

    /// Whether the walk is over, and if so how far back it is complete.
    fn end(&mut self, walk: &Walk, since: Timestamp, tools: &Tools) {
        if let Some(last) = &mut self.last {
            last.pages = walk.pages;
        }
        if walk.is_circular {
            tools.note_circle(self.api);
        }
        let Some(asked_at) = walk.began.filter(|_| walk.is_whole) else {
            let fault = if walk.is_circular {
                "its pages go in circles"
            } else {
                "some of its items cannot be understood"
            };
            tools.ask(|knowledge| knowledge.fail_look(self.api, fault.to_owned()));
            return;
        };
        tools.ask(|knowledge| {
            if knowledge.epoch == walk.epoch {
                knowledge.end_look(self.api, Look { asked_at, since });
            }
        });
    }
}

impl Round for Looker {
    fn lane(&self) -> Lane {
        Lane::Look(self.api)
    }

    fn due(&mut self, tools: &Tools, now: Instant) -> Option<Instant> {
        let (pause, last) = (self.pause, self.last);
        let due = tools.ask(|knowledge| {
            let each = knowledge.open_wants(self.api).map(|want| {
                let Some(last) = last else {
                    return now;
                };
                if want.declared > last.started {
                    return now;
                }
                let routine = last.started + pause;
                if want.conclusive_from <= last.asked_at {
                    return routine;
                }
                routine.min(tools.instant(want.conclusive_from, now))
            });
            each.min()
        });
        if due.is_none() {
            self.walk = None;
        }
        if self.walk.is_some() {
            return Some(now);
        }
        let floor = last.map(|last| last.started + PAGE_PAUSE * last.pages);
        due.map(|due| floor.map_or(due, |floor| due.max(floor)))
    }

    async fn read(&mut self, tools: &Tools) -> Result<HasRead, ReadError> {
        let walk = self
            .walk
            .take()
            .filter(|walk| self.is_worth_while(walk, tools));
        let mut walk = match walk {
            Some(walk) => walk,
            None => self.begin(tools),
        };
        for _ in 0..PAGES_A_ROUND {
            match walk.turn(tools.reads.as_ref(), tools.clock.as_ref()).await {
                Ok(leaf) => tools.take(self.api, walk.epoch, leaf),
                Err(error) => {
                    self.walk = Some(walk);
                    if !matches!(error, ReadError::Paused(_)) {
                        let fault = error.to_string();
                        tools.ask(|knowledge| knowledge.fail_look(self.api, fault));
                    }
                    return Err(error);
                }
            }
            let horizon = tools.ask(|knowledge| knowledge.horizon(self.api));
            if walk.is_finished {
                self.end(&walk, Timestamp::MIN, tools);
                return Ok(HasRead(true));
            }
            match horizon {
                None => return Ok(HasRead(true)),
                Some(horizon) if walk.order.is_past(horizon) => {
                    self.end(&walk, horizon, tools);
                    return Ok(HasRead(true));
                }
                Some(_) => {}
            }
        }
        self.walk = Some(walk);
        Ok(HasRead(true))
    }
}
