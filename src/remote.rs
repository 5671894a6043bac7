//! The gated remote of one connection: every call to Apono's API passes here.
//!
//! It decides when a call may leave and learns from its answer; what to call, and whether to call
//! again, is the caller's. Nothing is retried here. The order: circuit, pause, a free place, rate,
//! then the fence of the connection's shard, then the call, then metrics and health. The rate is the connection's, and below it the one that
//! the API's 429s leave (`throttle.rs`).
//!
//! # Lanes
//! A quarter of the places is kept for calls that ask for access or take it back, so that reading
//! ten thousand requests never delays one revoke.

use std::{
    fmt,
    future::Future,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use apono_client::{Client, Endpoint, Error, ErrorClass, Token};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock as _};
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::Instant,
};
use tracing::Instrument as _;

use crate::{
    failpoint,
    metrics::{HeldBack, Metrics, Wait},
    shards::Fence,
    telemetry::spans,
};

mod error;
mod gate;
#[cfg(test)]
mod tests;
mod throttle;

pub use error::RemoteError;
use gate::{Ended, Gate, Obstacle, Ticket};
use throttle::{Class, Throttle};

/// A call waits this long for the end of a pause; for longer ones it fails, so that its pass makes
/// room for another.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many calls of a connection may be in flight when its limits do not say.
pub const DEFAULT_CONCURRENCY: usize = 32;

/// How hard the API may be driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Calls in flight.
    pub concurrency: usize,
    /// Calls a second, and how many of them at once; absent: no cap.
    pub rate: Option<Rate>,
}

/// A cap on calls a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// On average.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            concurrency: DEFAULT_CONCURRENCY,
            rate: None,
        }
    }
}

/// How the API has answered lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether the token was refused and has not been proven since.
    pub circuit_open: bool,
    /// How long ago a call last succeeded.
    pub last_success: Option<Duration>,
    /// For how long every call has failed for want of the API.
    pub failing_for: Option<Duration>,
}

/// The gated client of one connection. Clones share everything.
#[derive(Clone)]
pub struct Remote {
    inner: Arc<Inner>,
}

struct Inner {
    client: Option<Client>,
    gate: Mutex<Gate>,
    circuit_open: watch::Sender<bool>,
    /// Places for all calls.
    places: Semaphore,
    /// Places for routine calls, fewer than `places`.
    routine: Semaphore,
    limiter: Option<DefaultDirectRateLimiter>,
    throttle: Mutex<Throttle>,
    metrics: Metrics,
    fence: Fence,
}

impl Remote {
    /// A remote that calls through this client.
    pub fn new(client: Client, pace: Pace, metrics: Metrics) -> Self {
        Self::build(Some(client), pace, metrics, Fence::open())
    }

    /// The same, where calls leave only while the connection is this replica's.
    pub fn fenced(client: Client, pace: Pace, metrics: Metrics, fence: Fence) -> Self {
        Self::build(Some(client), pace, metrics, fence)
    }

    /// A remote of a connection that has no usable endpoint or token yet: every call fails.
    pub fn unconfigured(metrics: Metrics) -> Self {
        Self::build(None, Pace::default(), metrics, Fence::open())
    }

    fn build(client: Option<Client>, pace: Pace, metrics: Metrics, fence: Fence) -> Self {
        let places = pace.concurrency.clamp(1, Semaphore::MAX_PERMITS);
        let kept = if places == 1 { 0 } else { (places / 4).max(1) };
        let limiter = pace.rate.map(|rate| {
            RateLimiter::direct(Quota::per_second(rate.per_second).allow_burst(rate.burst))
        });
        let inner = Inner {
            client,
            gate: Mutex::new(Gate::new()),
            circuit_open: watch::Sender::new(false),
            places: Semaphore::new(places),
            routine: Semaphore::new(places - kept),
            limiter,
            throttle: Mutex::new(Throttle::new()),
            metrics,
            fence,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Makes one call when the gate lets it. `operation` is run at most once, and nothing is sent
    /// before it.
    pub async fn call<T, F, Fut>(&self, endpoint: Endpoint, operation: F) -> Result<T, RemoteError>
    where
        F: FnOnce(Client) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let client = self.inner.client.clone();
        let client = client.ok_or_else(|| self.held_back(RemoteError::Unconfigured))?;
        let held_back = |error| self.held_back(error);
        self.fail_early().map_err(held_back)?;
        let _places = self.waiting(Wait::Place, self.places(endpoint)).await;
        self.waiting(Wait::Rate, self.rate()).await;
        self.waiting(Wait::Turn, self.turn(class_of(endpoint)))
            .await;
        let ticket = self.waiting(Wait::Pause, self.admit()).await;
        let ticket = ticket.map_err(held_back)?;
        let mut call = InFlight {
            remote: self,
            ticket,
            ended: Ended::Dropped,
        };
        // After every wait: what comes next is the call itself.
        if !self.inner.fence.is_held() {
            return Err(RemoteError::NotHeld);
        }
        let started = Instant::now();
        let span = spans::remote_call(endpoint);
        let answer = failpoint::around(endpoint.as_str(), operation(client))
            .instrument(span.clone())
            .await;
        let class = answer.as_ref().err().map(Error::class);
        spans::answered(&span, class);
        self.inner
            .metrics
            .remote_call(endpoint, class, started.elapsed());
        call.ended = match &answer {
            Ok(_) => Ended::Answered,
            Err(error) => Ended::Failed(error.class(), error.retry_after()),
        };
        answer.map_err(RemoteError::Call)
    }

    /// As [`Self::call`], but fails with [`RemoteError::TooLate`] when the call cannot leave by
    /// `leave_by`. For calls that have to leave soon after they were marked.
    pub async fn call_by<T, F, Fut>(
        &self,
        endpoint: Endpoint,
        leave_by: Instant,
        operation: F,
    ) -> Result<T, RemoteError>
    where
        F: FnOnce(Client) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let (left, has_left) = tokio::sync::oneshot::channel();
        let call = self.call(endpoint, |client| {
            let _ = left.send(());
            operation(client)
        });
        tokio::pin!(call);
        tokio::select! {
            biased;
            answer = &mut call => return answer,
            // Once it has left, only its own deadline may end it.
            Ok(()) = has_left => {}
            () = tokio::time::sleep_until(leave_by) => {
                return Err(self.held_back(RemoteError::TooLate));
            }
        }
        call.await
    }

    /// Replaces the token. Closed stays closed; an open circuit lets one trial call leave.
    pub fn set_token(&self, token: Token) {
        let Some(client) = &self.inner.client else {
            return;
        };
        client.set_token(token);
        self.gate().token_changed();
    }

    /// Whether there is something to call with.
    pub fn is_configured(&self) -> bool {
        self.inner.client.is_some()
    }

    /// How the API has answered lately.
    pub fn health(&self) -> Health {
        let gate = self.gate();
        Health {
            circuit_open: gate.is_open(),
            last_success: gate.last_success().map(|at| at.elapsed()),
            failing_for: gate.failing_since().map(|at| at.elapsed()),
        }
    }

    /// How much is left of the pause the API asked for, or how long a call would wait for its turn
    /// where that is longer than it may.
    pub fn paused(&self) -> Option<Duration> {
        let now = Instant::now();
        let pause = match self.gate().obstacle(now) {
            Some(gate::Obstacle::Pause(until)) => Some(until - now),
            _ => None,
        };
        let wait = self.throttle().wait(now);
        pause.max(Some(wait).filter(|wait| *wait > PATIENCE))
    }

    /// Follows whether the circuit is open.
    pub fn circuit(&self) -> watch::Receiver<bool> {
        self.inner.circuit_open.subscribe()
    }

    /// Counts a call that never left.
    fn held_back(&self, error: RemoteError) -> RemoteError {
        let why = match &error {
            RemoteError::Unconfigured => HeldBack::Unconfigured,
            RemoteError::CircuitOpen => HeldBack::CircuitOpen,
            RemoteError::Paused(_) => HeldBack::Paused,
            RemoteError::TooLate => HeldBack::TooLate,
            RemoteError::NotHeld => HeldBack::NotHeld,
            RemoteError::Call(_) => return error,
        };
        self.inner.metrics.held_back(why);
        error
    }

    /// Counts how long this is waited for.
    async fn waiting<T>(&self, wait: Wait, what: impl Future<Output = T>) -> T {
        let _waited = self.inner.metrics.waiting(wait);
        what.await
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.inner
            .gate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.inner
            .throttle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the call's turn, where the API has refused some for being too many.
    async fn turn(&self, class: Class) {
        let admitted = self.throttle().admit(class, Instant::now());
        let Err(mut next) = admitted else {
            return;
        };
        let _waiting = Waiting::begin(self, class);
        loop {
            tokio::time::sleep_until(next).await;
            let admitted = self.throttle().admit(class, Instant::now());
            match admitted {
                Ok(()) => return,
                Err(later) => next = later,
            }
        }
    }

    /// Fails for what will not pass soon; the rest is waited for after a place is found.
    fn fail_early(&self) -> Result<(), RemoteError> {
        let now = Instant::now();
        let obstacle = self.gate().obstacle(now);
        obstacle.map_or(Ok(()), |obstacle| {
            patient(obstacle, now, now + PATIENCE).map(|_| ())
        })
    }

    async fn admit(&self) -> Result<Ticket, RemoteError> {
        let patience = Instant::now() + PATIENCE;
        loop {
            let now = Instant::now();
            let admitted = self.gate().admit(now);
            match admitted {
                Ok(ticket) => return Ok(ticket),
                Err(obstacle) => tokio::time::sleep_until(patient(obstacle, now, patience)?).await,
            }
        }
    }

    /// Waits for a place. The semaphores are never closed, so there is always one in the end.
    async fn places(&self, endpoint: Endpoint) -> Places<'_> {
        let routine = if is_urgent(endpoint) {
            None
        } else {
            self.inner.routine.acquire().await.ok()
        };
        Places {
            _routine: routine,
            _place: self.inner.places.acquire().await.ok(),
        }
    }

    async fn rate(&self) {
        let Some(limiter) = &self.inner.limiter else {
            return;
        };
        while let Err(early) = limiter.check() {
            tokio::time::sleep(early.wait_time_from(limiter.clock().now())).await;
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Remote")
            .field("client", &self.inner.client)
            .finish_non_exhaustive()
    }
}

/// Until when to wait, if the obstacle is one that is waited for.
fn patient(obstacle: Obstacle, now: Instant, patience: Instant) -> Result<Instant, RemoteError> {
    match obstacle {
        Obstacle::Circuit => Err(RemoteError::CircuitOpen),
        Obstacle::Pause(until) if until > patience => Err(RemoteError::Paused(until - now)),
        Obstacle::Pause(until) => Ok(until),
    }
}

struct Places<'a> {
    _routine: Option<SemaphorePermit<'a>>,
    _place: Option<SemaphorePermit<'a>>,
}

/// A call that waits for its turn; others see it until it is dropped.
struct Waiting<'a> {
    remote: &'a Remote,
    class: Class,
}

impl<'a> Waiting<'a> {
    fn begin(remote: &'a Remote, class: Class) -> Self {
        remote.throttle().begin_waiting(class);
        Self { remote, class }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.remote.throttle().end_waiting(self.class);
    }
}

/// Tells the gate how the call ended, also when it is dropped half way.
struct InFlight<'a> {
    remote: &'a Remote,
    ticket: Ticket,
    ended: Ended,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        match self.ended {
            Ended::Failed(ErrorClass::Throttled, _) => {
                self.remote.throttle().refused(self.ticket.left(), now);
            }
            Ended::Answered | Ended::Failed(..) => self.remote.throttle().taken(now),
            Ended::Dropped => {}
        }
        let mut gate = self.remote.gate();
        if gate.ended(self.ticket, self.ended, now) {
            self.remote.inner.circuit_open.send_replace(gate.is_open());
        }
    }
}

/// Whether the call asks for access or takes it back.
fn is_urgent(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::CreateAccessRequest
            | Endpoint::RequestAgain
            | Endpoint::RevokeAccessRequest
            | Endpoint::CreateAdminRequest
            | Endpoint::RevokeAdminRequests
    )
}

/// Who goes first where calls wait for their turn.
fn class_of(endpoint: Endpoint) -> Class {
    if is_urgent(endpoint) {
        return Class::Urgent;
    }
    match endpoint {
        Endpoint::ListAccessRequests
        | Endpoint::ListDelegatedAccessRequests
        | Endpoint::ListAdminRequests
        | Endpoint::GetAccessRequest
        | Endpoint::GetDelegatedAccessRequest
        | Endpoint::GetAdminRequest => Class::Routine,
        _ => Class::Pass,
    }
}
