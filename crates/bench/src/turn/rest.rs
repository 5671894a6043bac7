//! At rest, and what is changed at the remote meanwhile.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{Instant, interval, sleep, timeout};

use super::{Bench, NAMESPACE, SINGLES, share};
use crate::{
    audit,
    load::millis,
    programs::{self, Figures},
    remote::Profile,
    results::{Steady, Times},
};

/// What is at rest must be left alone for so long first.
const SETTLE: Duration = Duration::from_secs(5);

/// So often the metrics are asked for, as a cluster that is watched does.
const SCRAPE: Duration = Duration::from_secs(15);

impl Bench<'_> {
    /// Waits, and lets the operator tell its metrics meanwhile, where it does.
    async fn scrape_for(&self, time: Duration) {
        let mut scrapes = interval(SCRAPE);
        let scraping = async {
            loop {
                scrapes.tick().await;
                self.passes().await;
            }
        };
        // Only the time ends it.
        drop(timeout(time, scraping).await);
    }

    pub(super) async fn steady(&mut self) -> Result<()> {
        if self.plan.steady == 0 {
            return Ok(());
        }
        sleep(SETTLE).await;
        let folder = self.plan.audit_log.parent().context("a log in no folder")?;
        let folder = folder.canonicalize()?;
        let ids = [
            Some(self.operator()?.id()?),
            programs::find("kube-apiserver", &folder),
            programs::find("etcd", &folder),
        ];
        let cpu = || {
            ids.map(|id| {
                id.and_then(|id| Figures::of(id).ok())
                    .map_or(0.0, |it| it.cpu_s)
            })
        };
        let (calls, writes) = (self.remote.calls().await?, self.audit.writes()?);
        let (started, before) = (Instant::now(), cpu());
        self.scrape_for(Duration::from_secs(self.plan.steady)).await;
        let (after, seconds) = (cpu(), started.elapsed().as_secs_f64());
        let calls = audit::difference(&calls, &self.remote.calls().await?);
        let now = self.audit.writes()?;
        let [objects, leases, others] = audit::since(&writes, &now, self.load.plural());
        let a_minute = |count: u64| share(count, 1) * 60.0 / seconds;
        let mut cpu_percent = [0.0; 3];
        for ((percent, after), before) in cpu_percent.iter_mut().zip(after).zip(before) {
            *percent = (after - before) / seconds * 100.0;
        }
        let figures = Figures::of(self.operator()?.id()?)?;
        self.result.steady = Some(Steady {
            seconds,
            calls_a_minute: a_minute(calls.values().sum()),
            writes_a_minute: a_minute(objects),
            other_writes: others,
            leases_a_minute: a_minute(leases),
            cpu_percent,
            rss_mib: figures.rss_mib,
            open_files: figures.open_files,
        });
        Ok(())
    }

    pub(super) async fn freshness(&mut self) -> Result<()> {
        if self.plan.steady == 0 {
            return Ok(());
        }
        let names: Vec<_> = (0..SINGLES)
            .map(|number| format!("more-{number}"))
            .collect();
        let requests = self.remote.requests().await?;
        let command = match self.plan.profile {
            Profile::NoApproval => "approve",
            _ => "revoke",
        };
        let mut changed = Vec::new();
        for name in &names {
            let mut its = requests
                .iter()
                .filter(|one| one.object() == Some(name.as_str()));
            let request = its.find(|one| one.is_live()).context("a request of it")?;
            changed.push(Instant::now());
            self.remote.command(&request.id, command).await?;
            sleep(Duration::from_secs(3)).await;
        }
        let seen = self
            .load
            .unready(NAMESPACE, &names, Duration::from_mins(3))
            .await?;
        let pairs = changed.iter().zip(&seen);
        let times = pairs.map(|(changed, seen)| millis(seen.saturating_duration_since(*changed)));
        self.result.freshness = Times::of(times.collect());
        Ok(())
    }
}
