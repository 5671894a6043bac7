//! Passes over debts. IO; what is done next is decided in `plan.rs`, what ends a debt is in `end.rs`.
//!
//! ```text
//! plan     pure  -> one step              plan.rs
//! work     io    the step, at the remote  work.rs       again until nothing is due
//! store    io    what was learned and must not be lost
//! status   io    only if it differs       status.rs
//! end      io    paid or written off: delete, escrow, finalizer, event      end.rs
//! ```
//!
//! Guarantees: the finalizer goes only when the status says of this very generation that everything
//! has ended, or when a person has written the debt off. Deleting a debt does nothing before.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use kube::{
    Resource as _, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::{
        Config as ControllerConfig,
        controller::{self, Action},
    },
};
use serde_json::json;
use thiserror::Error;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    Debts,
    end::{end, forget},
    known::Guarded,
    plan::{self, Step},
    progress::{Progress, Trouble},
    remotes::{Remotes, key},
    status::{self, is_paid},
    work::work,
    write::{WriteError, precondition},
};
use crate::{
    app::Shell,
    clock::{Clock, Steps},
    connection::{
        Registry,
        escrow::{Escrow, EscrowError},
    },
    crd::{FIELD_MANAGER, OWED_FINALIZER, OwedRevocation, OwedRevocationStatus},
    kubernetes::{self, deadline},
    metrics::{Controller as Which, DebtEnd, KubeWrite, PassOutcome},
    shards::{self, Entry, Shard, Shards},
    telemetry::{Chain, spans},
};

/// As many steps as one pass makes before others have their turn.
const MOST_STEPS: usize = 100;
/// After a pass that has more to do.
pub(super) const SOON: Duration = Duration::from_millis(5);
/// The longest a debt is left alone.
const LOOK: Duration = Duration::from_mins(5);
/// After a failed pass.
const FAILED: Duration = Duration::from_secs(5);

/// A pass over a debt failed; it is repeated.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("could not change the debt")]
    Write(#[source] WriteError),
    #[error("could not write the status of the debt")]
    Status(#[source] kubernetes::Error),
    #[error("could not end the debt")]
    End(#[source] kubernetes::Error),
    #[error("could not remove the copy of the token")]
    Escrow(#[source] EscrowError),
}

pub(super) struct Context {
    pub(super) debts: Debts,
    pub(super) remotes: Remotes,
    pub(super) registry: Registry,
    pub(super) escrow: Escrow,
    clock: Arc<dyn Clock>,
    steps: Mutex<Steps>,
    shards: Shards,
    /// By uid.
    progress: Mutex<HashMap<String, Progress>>,
    /// One debt ends at a time, so that of two that share a Secret the second removes it.
    pub(super) ending: tokio::sync::Mutex<()>,
}

/// Pays debts until the shell stops.
pub async fn run(shell: &Shell, debts: Debts) {
    let gate = shell.readiness.gate("cache of debts", "not synced yet");
    let settings = &shell.settings;
    let remotes = Remotes {
        client: shell.client.clone(),
        operator_namespace: settings.operator_namespace.clone(),
        kube_timeout: settings.kube_timeout,
        remote_timeout: settings.remote_timeout,
        allowed_endpoints: settings.allowed_endpoints.clone(),
        allowed_networks: settings.allowed_networks.clone(),
        remote_proxy: settings.remote_proxy.clone(),
        metrics: shell.metrics.clone(),
        registry: shell.registry.clone(),
        shards: shell.shards.clone(),
        kept: Mutex::default(),
    };
    let context = Arc::new(Context {
        debts: debts.clone(),
        remotes,
        registry: shell.registry.clone(),
        escrow: shell.escrow(),
        clock: Arc::clone(&shell.clock),
        steps: Mutex::default(),
        shards: shell.shards.clone(),
        progress: Mutex::default(),
        ending: tokio::sync::Mutex::default(),
    });
    let api = kube::Api::<Guarded>::namespaced(shell.client.clone(), &settings.operator_namespace);
    let controller = kubernetes::controller(api, settings.relist_interval)
        .with_config(ControllerConfig::default().concurrency(settings.concurrency))
        .reconcile_all_on(shell.shards.changes())
        .graceful_shutdown_on(shell.stopped());
    let store = controller.store();
    debts.watch(controller.store());
    let synced = async {
        if store.wait_until_ready().await.is_ok() {
            debts.synced();
            gate.open();
        }
    };
    let kept = Arc::clone(&context);
    let passes = controller
        .run(timed, after_failure, context)
        .for_each(move |result| {
            settle(&kept, &result);
            std::future::ready(())
        });
    tokio::join!(passes, synced);
}

fn settle<E: std::error::Error>(
    context: &Context,
    result: &Result<
        (kube::runtime::reflector::ObjectRef<Guarded>, Action),
        controller::Error<Failure, E>,
    >,
) {
    match result {
        Ok(_) | Err(controller::Error::ReconcilerFailed(..)) => {}
        Err(controller::Error::ObjectNotFound(gone)) => context.debts.forget(&gone.name),
        Err(error) => {
            tracing::warn!(error = %Chain(error), "the watch of debts failed; it is renewed");
        }
    }
}

fn after_failure(_object: Arc<Guarded>, error: &Failure, _context: Arc<Context>) -> Action {
    tracing::warn!(error = %Chain(error), "the pass over a debt failed");
    Action::requeue(FAILED)
}

/// Time and outcome of a pass, counted around it.
async fn timed(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Failure> {
    let working = context.debts.metrics.begin(Which::OwedRevocation);
    let started = Instant::now();
    let span = spans::pass(Which::OwedRevocation, object.meta());
    let pass = Box::pin(pass(&object, &context));
    let result = pass.instrument(span.clone()).await;
    let outcome = match &result {
        Ok(_) if object.0.is_err() => PassOutcome::Undecodable,
        Ok(_) => PassOutcome::Done,
        Err(_) => PassOutcome::Transient,
    };
    spans::passed(&span, outcome);
    let metrics = &context.debts.metrics;
    metrics.pass(Which::OwedRevocation, outcome, started.elapsed());
    working.end(&result);
    result
}

async fn pass(object: &Guarded, context: &Context) -> Result<Action, Failure> {
    let debt = match &object.0 {
        Ok(debt) => debt,
        Err(invalid) => {
            let name = object.name_any();
            tracing::error!(name, error = %invalid.error, "this version cannot read the debt: update the operator");
            return Ok(Action::requeue(LOOK));
        }
    };
    let shard = Shard::of(&key(debt));
    let _pass = match context.shards.enter(shard) {
        Entry::Held(pass) => pass,
        Entry::NotNow => return Ok(Action::await_change()),
        Entry::Elsewhere => {
            forget(context, debt);
            return Ok(Action::await_change());
        }
    };
    let fence = context.shards.fence(shard);
    Box::pin(shards::within(fence, look(context, debt))).await
}

/// A pass over a debt that is this replica's.
async fn look(context: &Context, debt: &OwedRevocation) -> Result<Action, Failure> {
    let is_held = debt.finalizers().iter().any(|one| one == OWED_FINALIZER);
    if debt.metadata.deletion_timestamp.is_some() && !is_held {
        forget(context, debt);
        return Ok(Action::await_change());
    }
    context.debts.note(debt);
    if debt.spec.written_off.is_some() {
        return end(context, debt, DebtEnd::WrittenOff).await;
    }
    if is_paid(debt) {
        return end(context, debt, DebtEnd::Paid).await;
    }
    if !is_held {
        let restored = context.debts.patch(debt).await;
        restored.map_err(Failure::Write)?;
        return Ok(Action::requeue(SOON));
    }
    advance(context, debt).await
}

/// Does what is due, and says what came of it.
async fn advance(context: &Context, debt: &OwedRevocation) -> Result<Action, Failure> {
    let uid = debt.uid().unwrap_or_default();
    let known = context.progress().remove(&uid);
    let mut progress = known.unwrap_or_else(|| Progress::of(debt));
    progress.take(debt);
    if let Some(at) = context
        .clock_set()
        .filter(|at| progress.clock_set != Some(*at))
    {
        progress.forget_times(at);
    }
    let wait = steps(context, debt, &mut progress).await;
    let stored = store(context, debt, &progress).await;
    let written = match &stored {
        Ok(Some(_)) | Err(_) => Ok(()),
        Ok(None) => write_status(context, debt, &progress).await,
    };
    context.progress().insert(uid, progress);
    if stored?.is_some() {
        return Ok(Action::requeue(SOON));
    }
    written?;
    Ok(Action::requeue(wait.clamp(SOON, LOOK)))
}

/// Does step after step until nothing is due; gives how long nothing will be.
async fn steps(context: &Context, debt: &OwedRevocation, progress: &mut Progress) -> Duration {
    let mut has_tried = false;
    let mut wait = SOON;
    for _ in 0..MOST_STEPS {
        let now = context.clock.now();
        let step = plan::next(&debt.spec, progress, now);
        match &step {
            Step::Wait(at) => {
                wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                wait += Duration::from_millis(20);
                break;
            }
            Step::Pay | Step::Store => break,
            Step::Revoke { .. } => has_tried = true,
            Step::Read(_) | Step::Describe(_) | Step::Identify | Step::Search => {}
        }
        if let Err(trouble) = once(context, debt, &step, progress).await {
            has_tried = true;
            fail(progress, trouble, now);
            wait = SOON;
            continue;
        }
        progress.failures = 0;
        progress.trouble = None;
    }
    if has_tried {
        progress.attempts = progress.attempts.saturating_add(1);
    }
    wait
}

async fn once(
    context: &Context,
    debt: &OwedRevocation,
    step: &Step,
    progress: &mut Progress,
) -> Result<(), Trouble> {
    let remote = context.remotes.get(debt).await?;
    work(&remote, step, &debt.spec, progress, context.clock.now()).await
}

fn fail(progress: &mut Progress, trouble: Trouble, now: jiff::Timestamp) {
    progress.failures = progress.failures.saturating_add(1);
    progress.failed_at = Some(now);
    let (Trouble::NoConnection(why)
    | Trouble::Endpoint(why)
    | Trouble::NoToken(why)
    | Trouble::Refused(why)
    | Trouble::Unreachable(why)) = &trouble;
    progress.last_answer = Some(why.clone());
    if progress.trouble.as_ref() != Some(&trouble) {
        tracing::warn!(why, "what is owed cannot be taken back now");
    }
    progress.trouble = Some(trouble);
    // Another token may be another user's.
    progress.identity = None;
}

/// Writes down what was found or seen; says whether anything was.
async fn store(
    context: &Context,
    debt: &OwedRevocation,
    progress: &Progress,
) -> Result<Option<OwedRevocation>, Failure> {
    let requests = plan::requests(&debt.spec, progress);
    if requests == debt.spec.requests {
        return Ok(None);
    }
    let mut changed = debt.clone();
    changed.spec.requests = requests;
    match context.debts.patch(&changed).await {
        Ok(stored) => Ok(Some(stored)),
        // Looked at again, with what the watch brings.
        Err(WriteError::Kubernetes(error)) if error.is_conflict() || error.is_not_found() => {
            Ok(Some(changed))
        }
        Err(error) => Err(Failure::Write(error)),
    }
}

async fn write_status(
    context: &Context,
    debt: &OwedRevocation,
    progress: &Progress,
) -> Result<(), Failure> {
    let now = context.clock.now();
    let new = status::status(debt, progress, &context.debts.namespace, now);
    if debt.status.as_ref() == Some(&new) {
        return Ok(());
    }
    match patch_status(context, debt, &new).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_conflict() || error.is_not_found() => Ok(()),
        Err(error) => Err(Failure::Status(error)),
    }
}

pub(super) async fn patch_status(
    context: &Context,
    debt: &OwedRevocation,
    new: &OwedRevocationStatus,
) -> Result<OwedRevocation, kubernetes::Error> {
    let patch = Patch::Merge(json!({"metadata": precondition(debt), "status": whole(new)}));
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let (api, name) = (context.debts.api(), debt.name_any());
    let write = api.patch_status(&name, &parameters, &patch);
    let limit = context.debts.kube_timeout;
    let written = deadline("write the status of the debt", limit, write).await;
    context.debts.metrics.kube_write(KubeWrite::Status);
    written
}

/// Every property, so that a merge leaves nothing old behind.
fn whole(status: &OwedRevocationStatus) -> serde_json::Value {
    json!({
        "observedGeneration": status.observed_generation,
        "attempts": status.attempts,
        "lastAnswer": status.last_answer,
        "conditions": status.conditions,
    })
}

impl Context {
    pub(super) fn progress(&self) -> std::sync::MutexGuard<'_, HashMap<String, Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the clock showed just after it was set last, if it was. What another replica has dated is
    /// not doubted here: a mark is searched for far longer than two clocks differ.
    fn clock_set(&self) -> Option<jiff::Timestamp> {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.heed(self.clock.now(), Instant::now());
        steps.newest()
    }
}
