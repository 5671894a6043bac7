//! All at once, and one at a time beside them.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::{Bench, NAMESPACE, OTHER, SINGLES, share};
use crate::{
    load::millis,
    remote::{Profile, Request},
    results::{Burst, Times},
};

impl Bench<'_> {
    fn names(&self) -> Vec<String> {
        (0..self.plan.size)
            .map(|number| format!("load-{number:05}"))
            .collect()
    }

    pub(super) async fn burst(&mut self) -> Result<()> {
        let (names, patience) = (self.names(), self.patience(self.plan.size));
        let started = Instant::now();
        let writing = async {
            let sent = self.load.create_all(NAMESPACE, &names).await;
            sent.map(|sent| (sent, started.elapsed()))
        };
        let other = async {
            // When half of what comes is there, as far as that can be told.
            let half = names.len() / 2;
            self.load
                .ready(NAMESPACE, names.get(..half).unwrap_or_default(), patience)
                .await?;
            self.load.one(OTHER, "other", patience).await
        };
        let (written, other) = tokio::join!(writing, other);
        let (sent, writing) = written?;
        let ready = self.load.ready(NAMESPACE, &names, patience).await;
        let ready = match ready {
            Ok(ready) => ready,
            Err(error) => {
                self.result.wrong.push(format!("burst: {error}"));
                return Ok(());
            }
        };
        let last = ready.iter().max().copied().unwrap_or(started);
        let pairs = sent.iter().zip(&ready);
        let times = pairs.map(|(sent, ready)| millis(ready.saturating_duration_since(*sent)));
        let requests = self.remote.requests().await?;
        let made = requests.iter().filter(|one| is_of_burst(one)).count();
        let from_grant = match self.plan.profile {
            Profile::LateApproval => Times::of(since_grant(&requests, &names, &ready, clocks())),
            _ => None,
        };
        self.result.other_tenant_ms = Some(other?);
        self.result.burst = Some(Burst {
            all_ready_s: (last - started).as_secs_f64(),
            written_s: writing.as_secs_f64(),
            times: Times::of(times.collect()).unwrap_or_default(),
            creates_per_object: share(u64::try_from(made)?, names.len()),
            from_grant,
        });
        if made != names.len() {
            let objects = names.len();
            self.result
                .wrong
                .push(format!("{made} requests for {objects} objects"));
        }
        Ok(())
    }

    pub(super) async fn one_more(&mut self) -> Result<()> {
        let mut times = Vec::new();
        for number in 0..SINGLES {
            let name = format!("more-{number}");
            times.push(self.load.one(NAMESPACE, &name, self.patience(1)).await?);
            sleep(Duration::from_millis(250)).await;
        }
        self.result.one_more = Times::of(times);
        self.example = Some(self.load.get((NAMESPACE, "more-0")).await?);
        Ok(())
    }
}

fn is_of_burst(request: &Request) -> bool {
    request
        .object()
        .is_some_and(|name| name.starts_with("load-"))
}

/// One moment by both clocks.
#[expect(
    clippy::disallowed_methods,
    reason = "the remote's times are of the wall clock"
)]
fn clocks() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

/// How long each took from the grant at the remote to ready, in milliseconds.
fn since_grant(
    requests: &[Request],
    names: &[String],
    ready: &[Instant],
    (now, wall): (Instant, SystemTime),
) -> Vec<f64> {
    let grant = |one: &Request| Some((one.object()?.to_owned(), one.active_at?.into()));
    let grants: HashMap<String, SystemTime> = requests.iter().filter_map(grant).collect();
    let took = |(name, ready): (&String, &Instant)| {
        let ready = wall - now.saturating_duration_since(*ready);
        let took = ready.duration_since(*grants.get(name)?);
        Some(millis(took.unwrap_or_default()))
    };
    names.iter().zip(ready).filter_map(took).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_time_from_a_grant_is_that_of_the_object_that_the_mark_names() {
        let (now, wall) = (
            Instant::now(),
            SystemTime::UNIX_EPOCH + Duration::from_secs(9),
        );
        let request = |name: &str| {
            let why = format!("[k8s nonce bench/load/{name}] a/b]");
            let active = "1970-01-01T00:00:07Z";
            let value =
                json!({"id": "1", "status": "Active", "justification": why, "active_at": active});
            serde_json::from_value::<Request>(value).unwrap()
        };
        let requests = [request("other"), request("one")];
        let names = ["one".to_owned(), "none".to_owned()];
        let ready = [now; 2];
        let later = (now + Duration::from_secs(1), wall);
        assert_eq!(since_grant(&requests, &names, &ready, later), [1_000.0]);
    }
}
