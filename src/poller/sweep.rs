//! Sweeps one tier of one list: which words to ask for, when it has seen enough, and what it tells
//! of what it did not see. It never concludes that anything is gone.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::ReadError;
use super::cadence::{self, Tier};
use super::drive::{HasRead, Round, Tools};
use super::state::{Evidence, Lane};
use super::walk::{self, PAGES_A_ROUND, Walk};
use crate::crd::RemoteApi;

/// So many refusals of the first page in a row make the filter suspect.
const REFUSALS: u32 = 2;

/// The sweeps of one tier of one list.
pub(super) struct Sweep {
    api: RemoteApi,
    tier: Tier,
    /// When the last one began, and how many pages it had.
    last: Option<(Instant, u32)>,
    jitter: f64,
    course: Option<Course>,
    refusals: u32,
}

/// A sweep under way.
struct Course {
    walk: Walk,
    tiers: Vec<Tier>,
    /// Whether it began before it was known for whom.
    is_ahead: bool,
    started: Instant,
    shown: BTreeSet<String>,
    /// Whether the list gave what was not asked for: then it has no end worth waiting for.
    is_ignored: bool,
}

impl Sweep {
    pub(super) fn new(api: RemoteApi, tier: Tier) -> Self {
        Self {
            api,
            tier,
            last: None,
            jitter: 1.0,
            course: None,
            refusals: 0,
        }
    }

    fn begin(&self, tools: &Tools) -> Course {
        let now = Instant::now();
        tools.ask(|knowledge| {
            let first = knowledge.first_sweep_due(self.api, now);
            let is_first = self.tier == Tier::Live && first.is_some_and(|due| due <= now);
            let tiers = if is_first {
                Tier::ALL.to_vec()
            } else {
                vec![self.tier]
            };
            let filter = knowledge.filter(self.api, &tiers);
            Course {
                walk: Walk::new(self.api, filter, knowledge.epoch),
                tiers,
                is_ahead: is_first && knowledge.is_to_sweep_ahead(self.api),
                started: now,
                shown: BTreeSet::new(),
                is_ignored: false,
            }
        })
    }

    fn end(&mut self, course: Course, tools: &Tools) {
        self.last = Some((course.started, course.walk.pages));
        self.jitter = tools.jitter();
        if course.walk.is_circular {
            tools.note_circle(self.api);
        }
        let Some(began) = course.walk.began else {
            return;
        };
        let evidence = Evidence {
            api: self.api,
            tiers: course.tiers,
            began,
            filter: course.walk.filter,
            shown: course.shown,
            is_complete: course.walk.is_finished && course.walk.is_whole,
        };
        tools.ask(|knowledge| {
            if course.walk.epoch == knowledge.epoch {
                knowledge.end_sweep(evidence, Instant::now());
            }
        });
    }

    /// The first page failed again: if the list can be read without the filter, that is to blame.
    async fn doubt_filter(&mut self, course: &Course, error: &ReadError, tools: &Tools) {
        let is_filter = course.walk.pages == 0 && !course.walk.filter.is_empty();
        if !is_filter || !matches!(error, ReadError::Failed(_) | ReadError::Refused(_)) {
            return;
        }
        self.refusals += 1;
        // Less and less often: an outage is the likelier cause.
        if self.refusals < REFUSALS || !self.refusals.is_power_of_two() {
            return;
        }
        if walk::page(tools.reads.as_ref(), self.api, Some(1), &[], None)
            .await
            .is_ok()
        {
            self.refusals = 0;
            self.course = None;
            tools.ask(|knowledge| knowledge.words(self.api).refuse());
        }
    }
}

impl Round for Sweep {
    fn lane(&self) -> Lane {
        Lane::Sweep(self.api, self.tier)
    }

    fn due(&mut self, tools: &Tools, now: Instant) -> Option<Instant> {
        let (stake, first, is_ahead) = tools.ask(|knowledge| {
            knowledge.end_foresight(now);
            let first = knowledge.first_sweep_due(self.api, now);
            let first = first.filter(|_| self.tier == Tier::Live);
            let is_ahead = knowledge.is_to_sweep_ahead(self.api);
            (knowledge.stake(self.api, self.tier, now), first, is_ahead)
        });
        let routine = cadence::next(self.tier, &tools.cadence, &stake, self.last, self.jitter);
        let due = routine.into_iter().chain(first).min();
        let is_of_use = |course: &Course| due.is_some() && (is_ahead || !course.is_ahead);
        self.course = self.course.take().filter(is_of_use);
        due.map(|due| if self.course.is_some() { now } else { due })
    }

    async fn read(&mut self, tools: &Tools) -> Result<HasRead, ReadError> {
        let epoch = tools.ask(|knowledge| knowledge.epoch);
        let course = self
            .course
            .take()
            .filter(|course| course.walk.epoch == epoch);
        let mut course = course.unwrap_or_else(|| self.begin(tools));
        for _ in 0..PAGES_A_ROUND {
            match course
                .walk
                .turn(tools.reads.as_ref(), tools.clock.as_ref())
                .await
            {
                Ok(leaf) => {
                    self.refusals = 0;
                    course.see(leaf.items.iter().map(|item| item.status.word()));
                    tools.take(self.api, course.walk.epoch, leaf);
                }
                Err(error) => {
                    self.doubt_filter(&course, &error, tools).await;
                    self.course = Some(course).filter(|course| course.walk.pages > 0);
                    return Err(error);
                }
            }
            if course.is_over(tools) {
                self.end(course, tools);
                return Ok(HasRead(true));
            }
        }
        if course.is_unbounded() {
            self.end(course, tools);
        } else {
            self.course = Some(course);
        }
        Ok(HasRead(true))
    }
}

impl Course {
    fn see<'a>(&mut self, words: impl Iterator<Item = &'a str>) {
        for word in words {
            let is_asked = |asked: &String| asked.eq_ignore_ascii_case(word);
            self.is_ignored |= !self.walk.filter.iter().any(is_asked);
            if !self.shown.contains(word) {
                self.shown.insert(word.to_owned());
            }
        }
    }

    /// Whether the list holds everything that ever was.
    fn is_unbounded(&self) -> bool {
        self.walk.filter.is_empty() || self.is_ignored
    }

    /// A list that holds everything that ever was is read only until all that is followed was
    /// there; a filtered one to its end, for what bears our mark and is followed by nobody.
    fn is_over(&self, tools: &Tools) -> bool {
        let Some(began) = self.walk.began else {
            return false;
        };
        let has_all =
            || tools.ask(|knowledge| knowledge.has_all(self.walk.api, &self.tiers, began));
        self.walk.is_finished || self.is_unbounded() && has_all()
    }
}
