//! The poller as a whole, against a remote that filters and pages as the real one does, with the
//! time of tokio standing still until everybody waits.

mod administered;
mod doubting;
mod following;
mod foreseeing;
mod looking;
mod memory;
mod standing;
mod steps;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use apono_client::State;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use self::world::{Call, World};
use super::{Cadence, Interest, Poller, ResourceKey, Sight, Store, Tracked, View, Wanted};
use crate::clock::Clock;
use crate::crd::RemoteApi;
use crate::marker::{Nonce, Origin, RANDOM_BYTES};

const CLUSTER: &str = "prod";

/// The wall clock of a test: it goes as tokio's does, and can be set.
#[derive(Debug)]
struct TestClock {
    start: Instant,
    set_by: AtomicI64,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.start.elapsed()).unwrap();
        let set_by = SignedDuration::from_secs(self.set_by.load(Ordering::Relaxed));
        Timestamp::from_second(1_800_000_000).unwrap() + elapsed + set_by
    }
}

/// A running poller, its remote and whom it woke.
struct Bench {
    world: Arc<World>,
    store: Arc<Store>,
    clock: Arc<TestClock>,
    woken: mpsc::UnboundedReceiver<ResourceKey>,
    _stop: watch::Sender<bool>,
}

impl Bench {
    fn start() -> Self {
        let clock = Arc::new(TestClock {
            start: Instant::now(),
            set_by: AtomicI64::new(0),
        });
        let world = Arc::new(World::default());
        let store = Arc::new(Store::new(CLUSTER));
        let (wake, woken) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let cadence = Cadence {
            fast: Duration::from_secs(1),
            pending: Duration::from_secs(10),
            active: Duration::from_mins(1),
        };
        let poller = Poller::new(
            Arc::clone(&world) as _,
            Arc::clone(&store),
            cadence,
            Arc::clone(&clock) as _,
            wake,
            7,
        );
        drop(tokio::spawn(poller.run(stopped)));
        Self {
            world,
            store,
            clock,
            woken,
            _stop: stop,
        }
    }

    /// Another token reads from now on.
    fn other_token(&self) {
        let now = self.clock.now();
        // The first one a store hears of is none before another.
        self.store.use_token(0, now);
        let fingerprint = now.as_second().unsigned_abs() + 1;
        self.store.use_token(fingerprint, now);
    }

    /// A poller that has read these requests once, each followed by a resource of its name.
    async fn following(ids: impl IntoIterator<Item = &'static str>, state: State) -> Self {
        let bench = Self::start();
        for id in ids {
            bench.world.put(id, state, bench.now());
            bench.track(id, &[(id, RemoteApi::UserV4)]);
        }
        pass(30).await;
        bench.quiet()
    }

    /// The same bench with everything so far forgotten: calls and wakes.
    fn quiet(mut self) -> Self {
        self.world.forget_calls();
        self.wakes();
        self
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn ago(&self, seconds: i64) -> Timestamp {
        self.now() - SignedDuration::from_secs(seconds)
    }

    fn track(&self, name: &str, ids: &[(&str, RemoteApi)]) {
        let track = |(id, api): &(&str, RemoteApi)| Tracked {
            id: (*id).into(),
            api: *api,
            admin: None,
        };
        let ids = ids.iter().map(track).collect();
        self.store.declare(
            &key(name),
            Interest {
                ids,
                looks: vec![],
                origin: origin(name),
                asks_admin: false,
            },
        );
    }

    /// Looks for the POST `n` of the resource; conclusive after so many seconds from now.
    fn want(&self, name: &str, n: u8, conclusive_in: i64) {
        let wanted = Wanted {
            nonce: nonce(name, n),
            marked_at: self.now(),
            conclusive_from: self.now() + SignedDuration::from_secs(conclusive_in),
            api: RemoteApi::UserV4,
            user: None,
        };
        let interest = Interest {
            ids: vec![],
            looks: vec![wanted],
            origin: origin(name),
            asks_admin: false,
        };
        self.store.declare(&key(name), interest);
    }

    fn view(&self, name: &str) -> View {
        self.store.view(&key(name))
    }

    fn sight(&self, id: &str) -> Sight {
        self.view(id).sights[id].clone()
    }

    /// The state an id was last seen in.
    fn state(&self, id: &str) -> State {
        match self.sight(id) {
            Sight::Seen(snapshot) => snapshot.request.status.state(),
            other => panic!("{id} is {other:?}"),
        }
    }

    /// Whom the poller woke since this was last asked.
    fn wakes(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.woken.try_recv().ok())
            .map(|key| key.name.clone())
            .collect()
    }

    fn lists(&self) -> usize {
        self.world.count(|call| matches!(call, Call::List { .. }))
    }

    fn gets(&self) -> usize {
        self.world.count(|call| matches!(call, Call::Get { .. }))
    }
}

async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

async fn pass_millis(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}

fn key(name: &str) -> ResourceKey {
    let uid = format!("uid-{name}");
    ResourceKey::new("payments".to_owned(), name.to_owned(), uid)
}

fn origin(name: &str) -> Origin {
    Origin::new(CLUSTER, "payments", name)
}

fn nonce(name: &str, n: u8) -> Nonce {
    Nonce::new(&key(name).uid, [n; RANDOM_BYTES])
}
