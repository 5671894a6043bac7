//! What happens to the access requests, told as it happens.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::NAMESPACE;
use super::cluster::Next;
use super::page::Page;
use super::snapshot::{AccessRequest, Seen, short};
use super::stage::Stage;
use crate::process::{interrupt, spoken};

/// Each part takes a few seconds; a loaded machine may need many times that.
const PART_DEADLINE: Duration = Duration::from_mins(1);

/// Between the end of a watch and the next one.
const WATCH_AGAIN: Duration = Duration::from_secs(1);

/// The state of all access requests, as far as it was told.
#[derive(Debug)]
pub(crate) struct Account {
    page: Page,
    started: Instant,
    resources: BTreeMap<String, AccessRequest>,
    gone: usize,
    /// What must not have happened. Not a failure while a person plays.
    wrong: Option<String>,
}

impl Account {
    /// Starts the clock.
    pub(crate) fn new(page: Page) -> Self {
        Self {
            page,
            started: Instant::now(),
            resources: BTreeMap::new(),
            gone: 0,
            wrong: None,
        }
    }

    /// Those that exist.
    pub(crate) fn resources(&self) -> &BTreeMap<String, AccessRequest> {
        &self.resources
    }

    /// How many are gone.
    pub(crate) fn gone(&self) -> usize {
        self.gone
    }

    /// Tells what happens until `done`; fails at the deadline, or as soon as it cannot be reached,
    /// with where everything stands.
    pub(crate) fn follow(
        &mut self,
        stage: &mut Stage,
        goal: &str,
        done: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        let since = Instant::now();
        while !done(self) {
            self.follow_once(stage)?;
            if let Some(wrong) = &self.wrong {
                bail!("{wrong}");
            }
            let mut resources = self.resources.values();
            if let Some(stalled) = resources.find(|it| it.is_stalled()) {
                bail!("{goal} cannot happen any more: {}", stalled.standing());
            }
            if since.elapsed() > PART_DEADLINE {
                let (time, standing) = (spoken(PART_DEADLINE), self.standing());
                bail!("after {time}, {goal} has not happened: {standing}");
            }
        }
        Ok(())
    }

    /// Tells what happens until a signal comes.
    pub(crate) fn follow_until_signal(&mut self, stage: &mut Stage) -> Result<()> {
        while interrupt::check().is_ok() {
            match self.follow_once(stage) {
                Err(_) if interrupt::check().is_err() => break,
                outcome => outcome?,
            }
        }
        Ok(())
    }

    fn follow_once(&mut self, stage: &mut Stage) -> Result<()> {
        stage.check()?;
        match stage.watch.next()? {
            Next::Seen(at, Seen::Now(resource)) => self.tell(at, *resource),
            Next::Seen(at, Seen::Gone(name)) => self.tell_end(at, stage, &name)?,
            Next::Nothing => {}
            Next::Ended => {
                std::thread::sleep(WATCH_AGAIN);
                stage.watch = stage.cluster.watch(NAMESPACE)?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, at: Instant, resource: AccessRequest) {
        let name = resource.metadata.name.clone();
        if let Some((word, text)) = resource.news(self.resources.get(&name)) {
            let ids = resource.status.requests.iter().map(|it| it.id.as_str());
            let text = ids.fold(text, |text, id| text.replace(id, &short(id)));
            self.moment(at, &name, &word, &text);
        }
        self.resources.insert(name, resource);
    }

    /// A resource may go only after its access: so the remote is asked at this very moment.
    fn tell_end(&mut self, at: Instant, stage: &Stage, name: &str) -> Result<()> {
        let Some(resource) = self.resources.remove(name) else {
            return Ok(());
        };
        self.gone += 1;
        let owned = resource.status.requests.iter();
        let ids: Vec<&str> = owned.map(|it| it.id.as_str()).collect();
        let requests = stage.remote.requests()?;
        for request in requests.iter().filter(|it| ids.contains(&it.id.as_str())) {
            let (id, status, live) = (short(&request.id), &request.status, request.live());
            let mut text = format!("Apono says: request {id} is `{status}`");
            if !request.has_ended() {
                text = format!("{text}, with {live} entitlements live");
                self.wrong = Some(format!("`{name}` is gone too early: {text}"));
            }
            self.moment(at, name, "Gone", &text);
        }
        Ok(())
    }

    /// Something that happened at this time.
    pub(crate) fn moment(&self, at: Instant, name: &str, word: &str, text: &str) {
        let seconds = at.saturating_duration_since(self.started).as_secs_f64();
        self.page.moment(seconds, name, word, text);
    }

    fn standing(&self) -> String {
        if self.resources.is_empty() {
            return "there are no access requests".to_owned();
        }
        let each = self.resources.values().map(AccessRequest::standing);
        each.collect::<Vec<_>>().join("; ")
    }
}
