//! A life in which the operator may die, each step of which is waited for. Only commands move the
//! remote, so every life passes the same states. Here is the full one: asked for, approved, granted,
//! active, credentials delivered and a workload restarted for them, made anew, renewed, deleted; the
//! others are in `admin.rs` and `owed.rs`.

use std::time::{Duration, Instant};

use apono_operator::crd::AccessRequest;
use apono_simulator::{Credentials, Request, Session, Status, switches::V3Others};
use jiff::SignedDuration;
use kube::Resource;
use serde_json::{Value, json};

use crate::{
    admin, owed,
    points::Course,
    support::{CONNECTION, Setup, World, text},
};

/// The resource of each life.
pub const NAME: &str = "orders";
/// Where its credentials are delivered.
pub const SECRET: &str = "orders-db";
/// What uses them.
const WORKLOAD: &str = "orders";
/// `SIGABRT`.
const ABORTED: i32 = 6;
/// A create that was lost before it was done is repeated half a minute after its mark.
const PATIENCE: Duration = Duration::from_secs(150);
/// So long after the resource has gone the operator may still say so.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// Renewal is due when no more than this is left: longer than whatever a crash costs, so that the
/// old access lives through it.
const BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// The end comes so near that renewal is due after this. Not at once: access that never lasted as
/// long as `BEFORE` is renewed at half its time.
const SOON: SignedDuration = SignedDuration::from_secs(1);

fn setup(course: Course) -> Setup {
    let setup = Setup::explicit()
        .setting("REMOTE_TIMEOUT", "1s")
        .setting("RUST_LOG", "info")
        .stopped();
    match course {
        Course::Full | Course::Owed => setup,
        Course::Admin => setup
            .remote(|remote| remote.switches.v3_others = V3Others::Anyone)
            .connection(admin::allowed()),
    }
}

/// The points one undisturbed life passes, in order.
pub async fn record(course: Course) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points");
    let path_text = path.to_str().unwrap();
    let world = World::new(setup(course).setting("APONO_FAILPOINT_RECORD", path_text)).await;
    live(course, world, 0).await;
    let recorded = std::fs::read_to_string(path).unwrap();
    recorded.lines().map(str::to_owned).collect()
}

/// A life in which the operator dies at this point, once.
pub async fn dying_at(course: Course, point: &str) {
    let world = World::new(setup(course).setting("APONO_FAILPOINT", point)).await;
    live(course, world, 1).await;
}

/// A life that is being lived.
pub struct Life {
    /// Where.
    pub world: World,
    crashes: u32,
    is_deleted: bool,
}

/// Lives it; the operator dies so often.
async fn live(course: Course, world: World, crashes: u32) {
    let mut life = Life {
        world,
        crashes: 0,
        is_deleted: false,
    };
    life.world.operator.start();
    match course {
        Course::Full => life.whole().await,
        Course::Admin => admin::live(&mut life).await,
        Course::Owed => owed::live(&mut life).await,
    }
    life.dies(crashes).await;
    match course {
        Course::Full => life.judge(2),
        Course::Admin => life.judge(1),
        Course::Owed => owed::judge(&life.world),
    }
    life.world.end().await;
}

impl Life {
    async fn whole(&mut self) {
        let renewal = json!({"before": "5m", "maxRenewals": 3});
        let spec = json!({
            "access": {"bundle": "prod-read"}, "renewal": renewal,
            "credentials": {
                "secretName": SECRET,
                "rolloutRestart": [{"kind": "Deployment", "name": WORKLOAD}]
            }
        });
        self.world.deploy(WORKLOAD).await;
        self.world.ask(NAME, spec).await;
        self.becomes_active().await;
        self.gets_new_credentials().await;
        let first = self.world.remote(NAME).remove(0).id;
        self.delivered(&first).await;
        self.is_renewed().await;
        self.goes().await;
    }

    async fn becomes_active(&mut self) {
        let first = self.asked(1).await.remove(0).id;
        self.world.simulator.route(&first).unwrap();
        self.reason("PendingApproval").await;
        self.world.simulator.approve(&first).unwrap();
        self.reason("Granting").await;
        self.world.simulator.activate(&first).unwrap();
        self.delivered(&first).await;
    }

    /// Asks for new credentials, and waits until they were made and read.
    pub async fn gets_new_credentials(&mut self) {
        let first = self.world.remote(NAME).remove(0).id;
        let annotations = json!({"access.apono.io/reset-credentials": "one"});
        let patch = json!({"metadata": {"annotations": annotations}});
        self.world.patch(NAME, patch).await;
        let session = session(&self.world, &first).id;
        self.until("credentials made anew and read", async |world| {
            let uses = world.simulator.session_uses(&session);
            let is_so = uses.resets >= 1 && uses.consuming_reads >= 2;
            is_so.then_some(()).ok_or_else(|| format!("{uses:?}"))
        })
        .await;
    }

    async fn is_renewed(&mut self) {
        let first = self.world.remote(NAME).remove(0);
        let left = first.planned_end.unwrap() - self.world.simulator.now();
        let left = SignedDuration::try_from(left).unwrap();
        let nearer = BEFORE + SOON - left;
        self.world.simulator.extend(&first.id, nearer).unwrap();
        let second = self.asked(2).await.remove(1);
        assert_eq!(second.again_of.as_ref(), Some(&first.id));
        self.world.simulator.route(&second.id).unwrap();
        self.reason("Renewing").await;
        self.world.simulator.activate(&second.id).unwrap();
        self.delivered(&second.id).await;
    }

    /// Is deleted, taken back, and leaves nothing.
    pub async fn goes(&mut self) {
        self.delete().await;
        self.until("everything is being taken back", async |world| {
            let all = world.remote(NAME);
            let is_so = all.iter().all(|one| one.status == Status::Revoking);
            is_so.then_some(()).ok_or_else(|| format!("{all:#?}"))
        })
        .await;
        self.reason("Revoking").await;
        for one in self.world.remote(NAME) {
            self.world.simulator.finish_revoke(&one.id).unwrap();
        }
        self.until("the resource is gone", async |world| {
            let found = world.find(NAME).await;
            found.map_or(Ok(()), |found| Err(shown(&found)))
        })
        .await;
        // At this very moment, not some time later.
        self.world.assert_live(0);
        self.until("the Secret is gone", async |world| {
            let found = world.secret(SECRET).await;
            found.map_or(Ok(()), |_| Err("it is there".to_owned()))
        })
        .await;
        self.lets_the_connection_go().await;
    }

    /// Waits until no finalizer of ours holds the connection.
    pub async fn lets_the_connection_go(&mut self) {
        self.until("the connection is let go", async |world| {
            let found = world.cluster.connections().get(CONNECTION).await.unwrap();
            let words = || format!("{:#?}", found.metadata);
            (!is_held(&found)).then_some(()).ok_or_else(words)
        })
        .await;
    }

    /// From now on the resource may go, and nothing may be forgotten.
    pub async fn delete(&mut self) {
        self.world.delete(NAME).await;
        self.is_deleted = true;
    }

    /// The last points are passed when the resource has gone already.
    async fn dies(&mut self, crashes: u32) {
        let started = Instant::now();
        while self.crashes < crashes {
            assert!(started.elapsed() < LAST_WORDS, "the point was not passed");
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.revive().await;
        }
        assert_eq!(self.crashes, crashes);
    }

    /// The whole of what the remote saw: so many requests, and credentials read no oftener than made.
    fn judge(&self, asked: usize) {
        let all = self.world.simulator.requests();
        let states = self.world.remote_states();
        assert_eq!(all.len(), asked, "asked for twice: {states:#?}");
        for session in self.world.simulator.sessions() {
            let uses = self.world.simulator.session_uses(&session.id);
            let made = session.passwords.len() as u64;
            assert!(uses.consuming_reads >= 1, "{uses:?}");
            assert!(uses.consuming_reads <= made, "{uses:?} of {made}");
            assert_eq!(uses.consuming_reads_elsewhere, 0);
        }
    }

    /// So many requests have been made, never more, and not sooner than their turn.
    pub async fn asked(&mut self, count: usize) -> Vec<Request> {
        self.until("requests at the remote", async |world| {
            let all = world.remote(NAME);
            let states = world.remote_states();
            assert!(all.len() <= count, "asked for twice: {states:#?}");
            let words = || format!("{} of {count}", all.len());
            let is_so = all.len() == count;
            is_so.then(|| all.clone()).ok_or_else(words)
        })
        .await
    }

    /// Waits until this is the leading reason.
    pub async fn reason(&mut self, wanted: &str) {
        self.until(wanted, async |world| {
            let found = world.get(NAME).await;
            let is_so = status(&found)["reason"] == wanted;
            is_so.then_some(()).ok_or_else(|| shown(&found))
        })
        .await;
    }

    /// Active, the Secret holds the password that works, and the workload was restarted for it.
    async fn delivered(&mut self, request: &str) {
        self.until("access with credentials", async |world| {
            let found = world.get(NAME).await;
            let (is_active, state) = {
                let status = status(&found);
                let state = status["credentials"]["state"].clone();
                (status["reason"] == "Active", state)
            };
            let password = session(world, request).password().map(str::to_owned);
            let secret = world.secret(SECRET).await;
            let keys = secret.as_ref().and_then(|one| one.data.as_ref());
            let is_there = keys.is_some_and(|keys| keys.contains_key("password"));
            let stored = secret
                .filter(|_| is_there)
                .map(|one| text(&one, "password"));
            let is_current = stored.is_some() && stored == password;
            let digest = status(&found)["credentials"]["digest"].clone();
            let restarted_for = world.restarted_for(WORKLOAD).await;
            // Stored, too: a person's change must not come in between.
            let is_restarted = digest.is_string()
                && digest == status(&found)["credentials"]["restartedFor"]
                && digest.as_str() == restarted_for.as_deref();
            let is_so = is_active && state == "Delivered" && is_current && is_restarted;
            let words = || format!("{is_current}, {restarted_for:?}, {}", shown(&found));
            is_so.then_some(()).ok_or_else(words)
        })
        .await;
    }

    /// Looks until there is an answer. Meanwhile a process that died is started again, and the
    /// remote ends the resets it was asked for.
    pub async fn until<T>(
        &mut self,
        what: &str,
        mut look: impl AsyncFnMut(&World) -> Result<T, String>,
    ) -> T {
        let started = Instant::now();
        loop {
            self.revive().await;
            if self.is_deleted {
                owed::nothing_is_forgotten(&self.world).await;
            }
            for session in self.world.simulator.sessions() {
                if session.credentials == Credentials::Resetting {
                    self.world.simulator.finish_reset(&session.id).unwrap();
                }
            }
            let missing = match look(&self.world).await {
                Ok(found) => return found,
                Err(missing) => missing,
            };
            assert!(
                started.elapsed() < PATIENCE,
                "not within {PATIENCE:?}: {what}\n{missing}\n{}",
                self.world.last_words()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn revive(&mut self) {
        let Some(signal) = self.world.operator.ended() else {
            return;
        };
        let words = self.world.last_words();
        assert_eq!(signal, ABORTED, "ended by something else: {words}");
        if self.is_deleted {
            // As the dead left it.
            owed::nothing_is_forgotten(&self.world).await;
        }
        self.crashes += 1;
        self.world.operator.set("APONO_FAILPOINT", "");
        self.world.operator.start();
    }
}

/// Whether a finalizer of the operator's holds it.
pub fn is_held(object: &impl Resource) -> bool {
    let finalizers = object.meta().finalizers.iter().flatten();
    finalizers
        .into_iter()
        .any(|one| one.starts_with("access.apono.io/"))
}

/// Its status as it is stored.
pub fn status(found: &AccessRequest) -> Value {
    serde_json::to_value(&found.status).unwrap()
}

/// Its status as a failed wait tells it.
pub fn shown(found: &AccessRequest) -> String {
    format!("{:#}", status(found))
}

/// The session of a request.
fn session(world: &World, request: &str) -> Session {
    let mut all = world.simulator.sessions_of(request);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}
