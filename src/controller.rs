//! The controller of access requests: one pass, and how passes are wired to what wakes them.
//!
//! ```text
//! turn        who is next                            turns.rs
//! reconcile   decode, intent                         unpack.rs, lenient.rs, this file
//! observe     io    connection, snapshots, catalogue observe.rs, resolve.rs, catalogue.rs, entitlement_reads.rs
//! plan        pure  -> one step                      plan.rs, picture.rs, attempt.rs
//! mark        io    only before a POST               mark.rs
//! credentials io    in a pass without another write  credentials.rs
//! execute     io    at most one remote write         execute.rs, again.rs, revoke.rs
//! hand over   io    what cannot be taken back now    owed.rs (pure), hand_over.rs
//! fold        pure  -> status, events                fold.rs, verdict.rs, message.rs
//! persist     io    patch if different               persist.rs, holdback.rs (pure)
//! come again  when nothing changes before            alarms.rs
//! ```
//!
//! Both intents, to hold and to release, take the same way. Nothing here decides: what is decided is
//! decided in the pure files.

pub mod admin;
pub mod again;
mod alarms;
pub mod attempt;
pub mod bounds;
pub mod catalogue;
pub mod conditions;
pub mod context;
pub mod credentials;
mod entitlement_reads;
pub mod entitlements;
pub mod error;
pub mod execute;
pub mod failed;
mod figures;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod fold;
mod hand_over;
mod holdback;
pub mod latch;
pub mod lenient;
pub mod mark;
pub mod message;
pub mod observe;
pub mod observed;
pub mod owed;
pub mod persist;
pub mod picture;
pub mod plan;
pub mod renewal;
pub mod resolution;
pub mod resolve;
pub mod revoke;
pub mod rounds;
pub mod rulings;
pub mod stored;
pub mod target;
pub mod tokens;
pub mod ttl;
pub mod turns;
mod unpack;
pub mod verdict;
mod watch;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use tokio::time::Instant;
use tracing::Instrument as _;

pub use context::Context;
pub use error::Error;
pub use figures::figures;
pub use watch::{Stores, Wakes, count_phases, is_needed, owns, run};

use crate::{
    connection::{Connection, Found, HoldError},
    crd::{AccessRequest, FINALIZER},
    shards::{self, Entry, Shard},
    telemetry::spans,
};
use fold::{Happening, Outcome};
use mark::Marked;
use observe::{Observation, observe};
use observed::ConnectionSight;
use plan::{Intent, Plan, Step, plan};
use stored::Stored;

/// After a pass that found its object changed, or that has more to do.
const SOON: Duration = Duration::from_millis(5);

/// A connection that cannot be held, or whose token cannot be copied, is tried again.
const UNPROTECTED: Duration = Duration::from_secs(10);

/// What was handed over is answered about now; if it takes longer, the status says so.
const AFTER_HANDING_OVER: Duration = Duration::from_secs(5);

/// One pass over one object.
async fn reconcile(object: Arc<Stored>, context: Arc<Context>) -> Result<Action, Error> {
    // What it names is known without unpacking it: after a start ten thousand are not ours yet.
    // One that cannot be read has to be looked into.
    let mut unpacked = None;
    let key = if let Some(facts) = object.facts() {
        facts.connection.clone()
    } else {
        let Some(read) = unpack::unpack(&context, &object).await? else {
            return Ok(Action::await_change());
        };
        let (resource, _) = unpacked.insert(read);
        observe::connection_key(resource)
    };
    let shard = Shard::of(&key);
    let _pass = match context.shards.enter(shard) {
        Entry::Held(_) if matches!(context.registry.find(&key), Found::Elsewhere) => {
            // Just become ours: it is woken when the connection is at work.
            return Ok(Action::await_change());
        }
        Entry::Held(pass) => pass,
        Entry::NotNow => return Ok(Action::await_change()),
        Entry::Elsewhere => {
            context.forget(&object.skeleton());
            return Ok(Action::await_change());
        }
    };
    let unpacked = match unpacked {
        Some(unpacked) => Some(unpacked),
        None => unpack::unpack(&context, &object).await?,
    };
    let Some((resource, readable)) = unpacked else {
        return Ok(Action::await_change());
    };
    let fence = context.shards.fence(shard);
    let pass = look(&context, resource, readable);
    Box::pin(shards::within(fence, pass)).await
}

/// One pass over what is this replica's.
async fn look(context: &Context, resource: AccessRequest, readable: bool) -> Result<Action, Error> {
    if context.is_released(&resource) {
        return Ok(Action::await_change());
    }
    let resource = match context.fence(&resource) {
        context::Fence::Behind(wait) => return Ok(Action::requeue(wait)),
        context::Fence::Overdue if readable => match persist::read(context, &resource).await? {
            Some(fresh) => fresh,
            None => return Ok(Action::await_change()),
        },
        context::Fence::Fresh | context::Fence::Overdue => resource,
    };
    let intent = match resource.metadata.deletion_timestamp {
        Some(_) => Intent::Release,
        None => Intent::Hold,
    };
    if intent == Intent::Release && !is_held(&resource) && owes_nothing(&resource) {
        context.forget(&resource);
        return Ok(Action::await_change());
    }
    // Boxed: a pass that does all there is to do holds much.
    Box::pin(drive(context, resource, intent, readable)).await
}

/// Whether our finalizer is on it.
fn is_held(resource: &AccessRequest) -> bool {
    resource.finalizers().iter().any(|name| name == FINALIZER)
}

/// Whether nothing of it can be at the remote, as far as its own record tells.
fn owes_nothing(resource: &AccessRequest) -> bool {
    let ledger = attempt::Ledger::of(resource);
    let requests = resource.status.as_ref().map(|status| &status.requests);
    ledger.is_empty() && ledger.inherited.is_empty() && requests.is_none_or(Vec::is_empty)
}

/// Observe, plan, mark, execute, fold, persist: for both intents.
async fn drive(
    context: &Context,
    resource: AccessRequest,
    intent: Intent,
    readable: bool,
) -> Result<Action, Error> {
    let now = context.clock.now();
    let Observation {
        mut observed,
        connection,
    } = observe(context, &resource, intent, now)
        .instrument(spans::step("observe"))
        .await;
    // Reading the catalogue may have taken longer than a mark is valid.
    let (now, planned_at) = (context.clock.now(), Instant::now());
    if observed.connection == ConnectionSight::Verifying {
        // Who waits is woken when its token has been tried, or when the namespaces are known. A
        // deletion does not wait for ever.
        match owed::owed_at(&resource, &observed, now) {
            None => return Ok(Action::await_change()),
            Some(at) if at > now => return Ok(Action::requeue(until(at, now))),
            Some(_) => {}
        }
    }
    let Plan { step, mut requeue } =
        spans::step("plan").in_scope(|| plan(&resource, &observed, intent, now));
    let (handle, why) = (connection.as_deref(), (readable, &step, intent));
    if matches!(step, Step::Revoke { .. }) {
        store_first_sight(context, &resource, &observed, (readable, intent), now).await;
    }
    let turn = credentials::turn(context, handle, &resource, &mut observed, why, now)
        .instrument(spans::step("credentials"))
        .await?;
    let mut current = resource;
    let times = (planned_at, now);
    let carried = carry_out(context, handle, &mut current, &mut observed, step, times)
        .instrument(spans::step("execute"))
        .await?;
    let outcome = match carried {
        Carried::Out(outcome) => outcome,
        Carried::Unprotected => {
            requeue = Some(UNPROTECTED);
            Outcome::Nothing
        }
        Carried::Through(action) => {
            // What was made of the credentials at the very end is told all the same.
            persist::publish(context, &current, &turn.happenings).await;
            return Ok(action);
        }
    };
    note_empty_answer(context, &current, &outcome, &mut observed);
    if let (Some(made), Some(connection)) = (outcome.made(), handle) {
        entitlement_reads::read_of_made(context, connection, &current, made, &mut observed).await;
    }
    let followed = follows_up(&outcome);
    let made = (&outcome, turn.happenings.as_slice());
    let named = (current.namespace().unwrap_or_default(), current.name_any());
    let telling = tell(context, current, &observed, made, (readable, intent), now);
    let held = Box::pin(telling).instrument(spans::step("persist")).await?;
    let requeue = requeue.into_iter().chain(turn.wake).chain(held).min();
    let wait = if followed { Some(SOON) } else { requeue };
    Ok(come_again(context, &named, wait))
}

/// When to look again, if nothing changes before.
fn come_again(context: &Context, key: &context::ObjectKey, wait: Option<Duration>) -> Action {
    let far = wait.filter(|wait| *wait >= alarms::FAR);
    context.alarm(key, far.and_then(|wait| Instant::now().checked_add(wait)));
    match wait {
        Some(wait) if wait < alarms::FAR => Action::requeue(wait.max(SOON)),
        _ => Action::await_change(),
    }
}

/// Writes what the pass made known, unless it is over in a moment: then says when to come again.
async fn tell(
    context: &Context,
    current: AccessRequest,
    observed: &observed::Observed,
    (outcome, happenings): (&Outcome, &[Happening]),
    (readable, intent): (bool, Intent),
    now: Timestamp,
) -> Result<Option<Duration>, Error> {
    let held = holdback::held_until(&current, observed, intent, now);
    if let Some(at) = held.filter(|_| happenings.is_empty()) {
        return Ok(Some(until(at, now)));
    }
    if readable {
        let named = current.clone();
        persist::persist(context, current, observed, outcome, intent, now).await?;
        persist::publish(context, &named, happenings).await;
    } else {
        persist::persist_if_possible(context, &current, observed, outcome, intent, now).await;
    }
    Ok(None)
}

/// Stores that a request was seen as access before it is taken back: should a crash come between,
/// or the revoke be handed over and nothing written, one that then fails would count as never
/// granted. The revoke does not depend on it: a status that cannot be written holds up nothing.
async fn store_first_sight(
    context: &Context,
    resource: &AccessRequest,
    observed: &observed::Observed,
    (readable, intent): (bool, Intent),
    now: Timestamp,
) {
    if !picture::Picture::of(resource, observed, now).has_first_sight {
        return;
    }
    let outcome = Outcome::Nothing;
    if !readable {
        persist::persist_if_possible(context, resource, observed, &outcome, intent, now).await;
        return;
    }
    let stored = persist::persist(context, resource.clone(), observed, &outcome, intent, now);
    if let Err(error) = stored.await {
        let error = crate::telemetry::Chain(&error);
        tracing::warn!(%error, "what was seen of the access is not stored");
    }
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    wait.max(SOON)
}

/// How a step was carried out.
#[expect(clippy::large_enum_variant, reason = "a pass has one of them")]
enum Carried {
    /// This came of it.
    Out(Outcome),
    /// The pass ends with it: there is nothing to write.
    Through(Action),
    /// Nothing may be asked through this connection yet; what is observed says why.
    Unprotected,
}

/// Carries out the step of this pass: at most one write to the remote, marked before where it asks.
async fn carry_out(
    context: &Context,
    connection: Option<&Connection>,
    current: &mut AccessRequest,
    observed: &mut observed::Observed,
    step: Step,
    times: (Instant, Timestamp),
) -> Result<Carried, Error> {
    Ok(Carried::Out(match (step, connection) {
        (Step::Release, _) => {
            let released = release(context, current, observed).await?;
            return Ok(Carried::Through(released));
        }
        (Step::HandOver(debt), _) => {
            hand_over::hand_over(context, connection, current, &debt, times.1).await?;
            return Ok(Carried::Through(Action::await_change()));
        }
        (Step::Restore(ledger), _) => {
            marked(context, current, ledger.as_ref()).await?;
            return Ok(Carried::Through(Action::requeue(SOON)));
        }
        (Step::Create { .. } | Step::Again { .. }, Some(connection))
            if !is_protected(context, connection, current, observed).await? =>
        {
            return Ok(Carried::Unprotected);
        }
        (Step::Create { ledger, nonce }, Some(connection)) => {
            *current = marked(context, current, Some(&ledger)).await?;
            execute::create(connection, current, observed, (ledger, nonce), times).await
        }
        (Step::Again { ledger, nonce, of }, Some(connection)) => {
            *current = marked(context, current, Some(&ledger)).await?;
            again::request_again(connection, current, observed, (ledger, nonce, of), times).await
        }
        (Step::Latch(ledger), _) => {
            *current = marked(context, current, Some(&ledger)).await?;
            Outcome::Latched
        }
        (Step::Delete, _) => {
            mark::delete(context, current).await?;
            return Ok(Carried::Through(Action::await_change()));
        }
        (Step::Revoke { id }, Some(connection)) => {
            let sent = revoke::revoke(connection, current, observed, &id, times.1).await;
            context.remember(current, &observed.memory);
            if sent == revoke::Sent::Later {
                // Nothing is written before the answer: many that are deleted at once are to come
                // together before the batch leaves.
                return Ok(Carried::Through(Action::requeue(AFTER_HANDING_OVER)));
            }
            Outcome::Revoked
        }
        (Step::Wait | Step::Create { .. } | Step::Again { .. } | Step::Revoke { .. }, _) => {
            Outcome::Nothing
        }
    }))
}

/// Whether the connection is held, and its token copied, so that what is asked now can be taken back
/// whatever goes. If not, the pass says why and nothing is asked.
async fn is_protected(
    context: &Context,
    connection: &Connection,
    resource: &AccessRequest,
    observed: &mut observed::Observed,
) -> Result<bool, Error> {
    let uid = resource.uid().unwrap_or_default();
    let Err(error) = connection.hold.protect(&context.escrow, &uid).await else {
        return Ok(true);
    };
    let message = match error {
        HoldError::Deleting => return Err(Error::Outdated),
        HoldError::Escrow(error) if error.is_for_people() => {
            message::no_escrow(&connection.key, &error, &context.escrow.namespace)
        }
        error => return Err(Error::ProtectConnection(error)),
    };
    observed.connection = ConnectionSight::NotReady {
        message,
        callable: true,
        unreachable: false,
        orphan: observed.connection.allows_orphan(),
    };
    Ok(false)
}

/// The resource as it is marked; one that has changed meanwhile is looked at again.
async fn marked(
    context: &Context,
    resource: &AccessRequest,
    ledger: Option<&attempt::Ledger>,
) -> Result<AccessRequest, Error> {
    let marking = mark::mark(context, resource, ledger).instrument(spans::step("mark"));
    match marking.await? {
        Marked::Stands(marked) => Ok(*marked),
        Marked::LookAgain => Err(Error::Outdated),
    }
}

/// After a create or a revoke the next pass comes at once, with what the answer changed.
fn follows_up(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Nothing)
}

/// An empty array says neither yes nor no: one look decides, and has to know what it decides.
fn note_empty_answer(
    context: &Context,
    resource: &AccessRequest,
    outcome: &Outcome,
    observed: &mut observed::Observed,
) {
    if let Outcome::Posted {
        nonce,
        reply: fold::Reply::Empty,
        ..
    } = outcome
    {
        observed.memory.empty_answers.insert(nonce.clone());
        context.remember(resource, &observed.memory);
    }
}

/// Everything has ended, or is left where it is: the resource may go.
async fn release(
    context: &Context,
    resource: &AccessRequest,
    observed: &observed::Observed,
) -> Result<Action, Error> {
    let orphaned = plan::is_orphan(resource) && observed.connection.allows_orphan();
    let picture = picture::Picture::of(resource, observed, context.clock.now());
    let (reason, note) = if orphaned {
        ("Orphaned", message::orphaned(&picture.requests))
    } else {
        ("Revoked", message::released(&picture.requests))
    };
    mark::unmark(context, resource).await?;
    if !orphaned && picture.requests.iter().any(picture::was_access) {
        context.metrics.released(resource, context.clock.now());
    }
    // Where somebody else's finalizer keeps the object, it comes by again and is said once.
    if is_held(resource) && !picture.requests.is_empty() {
        persist::publish(
            context,
            resource,
            &[Happening {
                is_warning: false,
                reason,
                note,
            }],
        )
        .await;
    }
    context.release(resource);
    Ok(Action::await_change())
}
