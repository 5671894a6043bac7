//! A restart: how long until all is looked at anew, and what that costs.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use tokio::time::{Instant, sleep};

use super::Bench;
use crate::{audit, results::Restart, subject::filled};

/// After a restart calls and writes are counted for so long.
const AFTER: Duration = Duration::from_secs(10);
/// So often the remote is asked whether all was read.
const STEP: Duration = Duration::from_millis(20);
/// So often the operator is asked for its metrics, which costs it more.
const STEP_OF_PASSES: Duration = Duration::from_millis(100);

impl Bench<'_> {
    pub(super) async fn restart(&mut self) -> Result<()> {
        self.note_peak()?;
        let operator = self.operator.take().context("the operator does not run")?;
        operator.end().await?;
        let (calls, writes) = (self.remote.calls().await?, self.audit.writes()?);
        let started = Instant::now();
        self.start("operator-again.log")?;
        let flames = self.flames("start")?;
        let patience = self.patience(self.plan.size);
        let verified = loop {
            let mut step = STEP;
            if self.has_read_all(&calls).await? {
                if self.has_passed_all().await {
                    break started.elapsed();
                }
                step = STEP_OF_PASSES;
            }
            if started.elapsed() > patience {
                self.result
                    .wrong
                    .push("not all were looked at after the restart".to_owned());
                return Ok(());
            }
            sleep(step).await;
        };
        self.draw(flames, "start").await?;
        sleep(AFTER).await;
        let passes = self.passes().await;
        let calls = audit::difference(&calls, &self.remote.calls().await?);
        let now = self.audit.writes()?;
        let [objects, _, others] = audit::since(&writes, &now, self.load.plural());
        self.result.restart = Some(Restart {
            verified_s: verified.as_secs_f64(),
            writes: objects,
            other_writes: others,
            calls: calls.values().sum(),
            passes,
        });
        Ok(())
    }

    /// Whether the remote was asked often enough to have shown all.
    async fn has_read_all(&self, before: &BTreeMap<String, u64>) -> Result<bool> {
        let needed = self.plan.size.div_ceil(self.subject.objects_per_read);
        let so_far = audit::difference(before, &self.remote.calls().await?);
        Ok(so_far.values().sum::<u64>() >= u64::try_from(needed)?)
    }

    /// Whether there were as many passes as there are objects, where the operator counts them.
    async fn has_passed_all(&self) -> bool {
        self.subject.passes.is_none()
            || self
                .passes()
                .await
                .is_some_and(|passes| usize::try_from(passes).is_ok_and(|it| it >= self.plan.size))
    }

    /// How many passes there were since the operator started, as far as it says.
    pub(super) async fn passes(&self) -> Option<u64> {
        let passes = self.subject.passes.as_ref()?;
        let url = filled(&passes.url, &[("metrics", self.metrics.as_str())]);
        // It may not listen yet.
        let answer = self.http.get(url).send().await.ok()?;
        let text = answer.text().await.ok()?;
        Some(sum_of(&text, &passes.series))
    }
}

/// The sum of the samples whose lines begin so.
fn sum_of(metrics: &str, series: &str) -> u64 {
    let lines = metrics.lines().filter(|line| line.starts_with(series));
    let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
    values.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_samples_of_a_series_are_added() {
        let metrics = "# TYPE a_total counter\n\
                       a_total{of=\"x\",as=\"1\"} 3\n\
                       a_total{of=\"y\",as=\"1\"} 5\n\
                       a_total{of=\"x\",as=\"2\"} 4\n";
        assert_eq!(sum_of(metrics, "a_total{of=\"x\""), 7);
        assert_eq!(sum_of(metrics, "b_total"), 0);
    }
}
