//! One turn: everything that is done in it, in order.

mod burst;
mod rest;
mod restart;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Args;
use kube::{Client, api::DynamicObject};
use tokio::time::{Instant, sleep};

use crate::{
    audit::{self, Audit},
    flames::Recording,
    load::{self, Load},
    programs::{Figures, Program},
    remote::{Profile, Remote},
    results::{Life, Times, Turn},
    subject::{Subject, filled},
};

/// The token of the remote's user.
const TOKEN: &str = "bench-token";
/// Where the load is, and one object of somebody else.
const NAMESPACE: &str = "load";
const OTHER: &str = "other";
/// How many lives are measured one after the other.
const LIVES: usize = 10;
/// How many are measured one at a time beside the others, and changed at the remote.
const SINGLES: usize = 20;

/// What to do.
#[derive(Args, Debug)]
pub struct Plan {
    /// The file that describes the operator under test.
    #[arg(long)]
    subject: PathBuf,
    /// What it is called in the results, if not as the file says.
    #[arg(long)]
    called: Option<String>,
    /// Its program, in the place of `{operator}`.
    #[arg(long)]
    operator: PathBuf,
    /// The program of the simulated remote.
    #[arg(long)]
    simulator: PathBuf,
    /// A folder for logs.
    #[arg(long)]
    logs: PathBuf,
    /// How many objects.
    #[arg(long)]
    size: usize,
    /// How the remote answers.
    #[arg(long, default_value = "instant")]
    profile: Profile,
    /// How long it is watched at rest, in seconds; 0 leaves that out, and what comes after a
    /// change at the remote.
    #[arg(long, default_value_t = 60)]
    steady: u64,
    /// How many are created one at a time before the burst.
    #[arg(long, default_value_t = 0)]
    idle: usize,
    /// A folder for flame graphs of the burst, of the time at rest and of the restart; needs `perf`.
    #[arg(long)]
    flames: Option<PathBuf>,
    #[arg(long, env = "KUBECONFIG")]
    kubeconfig: PathBuf,
    #[arg(long, env = "APONO_TEST_AUDIT_LOG")]
    audit_log: PathBuf,
}

/// Everything that runs.
struct Bench<'a> {
    plan: &'a Plan,
    subject: Arc<Subject>,
    remote: Remote,
    operator: Option<Program>,
    /// Where it may serve its metrics.
    metrics: String,
    http: reqwest::Client,
    load: Load,
    audit: Audit,
    result: Turn,
    /// One that the operator made ready.
    example: Option<DynamicObject>,
}

/// Runs one turn.
pub async fn run(plan: &Plan) -> Result<Turn> {
    let mut bench = Bench::set_up(plan).await?;
    bench.lives().await?;
    bench.idle().await?;
    let flames = bench.flames("burst")?;
    bench.burst().await?;
    bench.draw(flames, "burst").await?;
    bench.one_more().await?;
    let flames = bench.flames("rest")?;
    bench.steady().await?;
    bench.draw(flames, "rest").await?;
    bench.freshness().await?;
    bench.restart().await?;
    bench.revoke().await?;
    bench.judge().await?;
    bench.bare().await?;
    Ok(bench.result)
}

impl<'a> Bench<'a> {
    async fn set_up(plan: &'a Plan) -> Result<Self> {
        let mut subject = Subject::read(&plan.subject)?;
        if let Some(name) = &plan.called {
            subject.name.clone_from(name);
        }
        if plan.profile == Profile::NoApproval {
            let waiting = subject.waiting.take();
            subject.ready = waiting.context("the subject does not say when one waits")?;
        }
        let subject = Arc::new(subject);
        let client = Client::try_default().await?;
        for file in files(Path::new(&subject.definitions))? {
            load::apply(&client, &std::fs::read_to_string(file)?).await?;
        }
        let log = plan.logs.join("simulator.log");
        let remote = Remote::start(&plan.simulator, TOKEN, plan.profile, &log).await?;
        for namespace in [NAMESPACE, OTHER] {
            let yaml = format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n");
            load::apply(&client, &yaml).await?;
        }
        // The apiserver serves a new kind a moment after it has taken its definition.
        let load = served(&client, &subject).await?;
        let places = [("endpoint", remote.url.as_str()), ("token", TOKEN)];
        load::apply(&client, &filled(&subject.objects, &places)).await?;
        let mut bench = Self {
            audit: Audit::new(&plan.audit_log, &subject.user_agent),
            result: Turn {
                subject: subject.name.clone(),
                size: plan.size,
                profile: plan.profile.name().to_owned(),
                ..Turn::default()
            },
            operator: None,
            metrics: String::new(),
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(5))
                .build()?,
            example: None,
            plan,
            subject,
            remote,
            load,
        };
        bench.start("operator.log")?;
        // The first of all waits for the operator to come up; it is not measured. It stays, so that
        // what happens once for the first and the last of all is in no life.
        bench.load.one(OTHER, "first", bench.patience(1)).await?;
        Ok(bench)
    }

    fn start(&mut self, log: &str) -> Result<()> {
        let (kubeconfig, operator) = (text(&self.plan.kubeconfig)?, text(&self.plan.operator)?);
        let metrics = free_address()?;
        let places = [
            ("kubeconfig", kubeconfig),
            ("operator", operator),
            ("metrics", metrics.as_str()),
        ];
        let command = self.subject.command.iter();
        let command: Vec<_> = command.map(|part| filled(part, &places)).collect();
        let environment = self.subject.environment.iter();
        let environment: Vec<_> = environment
            .map(|(name, value)| (name.clone(), filled(value, &places)))
            .collect();
        let log = self.plan.logs.join(log);
        self.operator = Some(Program::start(&command, &environment, &log)?);
        self.metrics = metrics;
        Ok(())
    }

    fn operator(&self) -> Result<&Program> {
        self.operator.as_ref().context("the operator does not run")
    }

    /// Begins to sample the operator, where flame graphs are wanted.
    fn flames(&self, what: &str) -> Result<Option<Recording>> {
        if self.plan.flames.is_none() {
            return Ok(None);
        }
        let data = self.plan.logs.join(format!("{what}.perf"));
        Recording::begin(self.operator()?.id()?, &data).map(Some)
    }

    async fn draw(&self, flames: Option<Recording>, what: &str) -> Result<()> {
        let Some((flames, folder)) = flames.zip(self.plan.flames.as_ref()) else {
            return Ok(());
        };
        let title = format!("{}, {} objects, {what}", self.subject.name, self.plan.size);
        let picture = folder.join(format!("flames-{what}.svg"));
        flames.end(&title, &picture).await
    }

    /// Far more than any goal: what takes longer is stuck.
    fn patience(&self, count: usize) -> Duration {
        let each = match self.plan.profile {
            Profile::Limited => Duration::from_secs(1),
            Profile::Instant | Profile::Slow | Profile::LateApproval | Profile::NoApproval => {
                Duration::from_millis(100)
            }
        };
        Duration::from_mins(1) + each * u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// What one object costs, from its creation to its end.
    async fn lives(&mut self) -> Result<()> {
        let (calls, writes) = (self.remote.calls().await?, self.audit.writes()?);
        for number in 0..LIVES {
            let name = format!("life-{number}");
            self.load.one(NAMESPACE, &name, self.patience(1)).await?;
            sleep(Duration::from_secs(1)).await;
            self.load.delete_all(NAMESPACE, self.patience(1)).await?;
        }
        let calls = audit::difference(&calls, &self.remote.calls().await?);
        let writes = audit::difference(&writes, &self.audit.writes()?);
        let each = |count: u64| share(count, LIVES);
        let is_list = |endpoint: &str| matches!(endpoint, "list" | "list-delegated" | "v3-list");
        self.result.life = Some(Life {
            lists: calls
                .iter()
                .filter(|(name, _)| is_list(name))
                .map(|(_, count)| each(*count))
                .sum(),
            calls: calls
                .iter()
                .filter(|(name, _)| !is_list(name))
                .map(|(name, count)| (name.clone(), each(*count)))
                .collect(),
            writes: writes
                .iter()
                .filter(|(name, _)| !audit::is_of_lease(name))
                .map(|(name, count)| (name.clone(), each(*count)))
                .collect(),
        });
        Ok(())
    }

    async fn idle(&mut self) -> Result<()> {
        let mut times = Vec::new();
        for number in 0..self.plan.idle {
            let name = format!("idle-{number}");
            times.push(self.load.one(NAMESPACE, &name, self.patience(1)).await?);
            sleep(Duration::from_millis(500)).await;
        }
        self.result.idle = Times::of(times);
        Ok(())
    }

    async fn revoke(&mut self) -> Result<()> {
        let started = Instant::now();
        let patience = self.patience(self.plan.size);
        let (load, other) = tokio::join!(
            self.load.delete_all(NAMESPACE, patience),
            self.load.delete_all(OTHER, patience)
        );
        if let Err(error) = load.and(other) {
            self.result.wrong.push(format!("deletion: {error}"));
            return Ok(());
        }
        self.result.revoke_s = Some(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// The same writes without an operator, on the same apiserver a moment later.
    async fn bare(&mut self) -> Result<()> {
        if let Some(operator) = self.operator.take() {
            operator.end().await?;
        }
        let Some(example) = self.example.take() else {
            return Ok(());
        };
        self.result.bare = Some(self.load.bare(self.plan.size, example).await?);
        Ok(())
    }

    fn note_peak(&mut self) -> Result<()> {
        let figures = Figures::of(self.operator()?.id()?)?;
        self.result.peak_mib = self.result.peak_mib.max(figures.peak_mib);
        Ok(())
    }

    /// What must be true at the end, whatever was measured.
    async fn judge(&mut self) -> Result<()> {
        self.note_peak()?;
        let requests = self.remote.requests().await?;
        let live = requests.iter().filter(|one| one.is_live()).count();
        let left = self.load.count().await?;
        if live > 0 || left > 0 {
            self.result.wrong.push(format!(
                "at the end {live} requests are live and {left} objects left"
            ));
        }
        let asked = self.plan.size + self.plan.idle + SINGLES + LIVES + 2;
        if requests.len() != asked {
            let made = requests.len();
            self.result
                .wrong
                .push(format!("{made} requests were made for {asked} objects"));
        }
        let refusals = self.remote.refusals().await?;
        eprintln!("429: {refusals}");
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn share(count: u64, of: usize) -> f64 {
    count as f64 / of.max(1) as f64
}

/// An address that nothing listens at.
fn free_address() -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.to_string())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder);
    let entries = entries.with_context(|| format!("no folder `{}`", folder.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "yaml"));
    files.retain(|path| {
        path.file_name()
            .is_none_or(|name| name != "kustomization.yaml")
    });
    files.sort();
    Ok(files)
}

async fn served(client: &Client, subject: &Arc<Subject>) -> Result<Load> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match Load::begin(client.clone(), Arc::clone(subject)).await {
            Err(_) if Instant::now() < until => sleep(Duration::from_millis(100)).await,
            begun => return begun,
        }
    }
}
