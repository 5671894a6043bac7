//! The lives that are lived under each case, all at once, over a connection of their own.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use apono_operator::crd::AccessRequest;
use apono_simulator::{Request, Simulator, Switches};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    cases::{Case, plain},
    judge::{Eyes, HELD, is_at_rest, is_kept_out, reason},
    support::{World, row},
};

/// To come to rest, on a busy machine.
const TO_REST: Duration = Duration::from_secs(75);
/// To go, or to say why not.
const TO_GO: Duration = Duration::from_secs(75);
/// A person who reads `RevokeFailed` asks an administrator after this.
const TO_ASK: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// A life: what is asked for, and what people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// For oneself, with credentials, granted at once.
    Own,
    /// An approver says yes.
    Approved,
    /// An approver says no.
    Rejected,
    /// A second factor is asked for.
    Mfa,
    /// The grant fails in part.
    Half,
    /// Three requests of one answer.
    Flows,
    /// For somebody else.
    Delegated,
    /// By names, two permissions of a resource that may have one.
    Names,
    /// The admin API, for somebody else.
    Admin,
    /// Taken back elsewhere, then asked for again.
    Again,
}

const ALL: [Life; 10] = [
    Life::Own,
    Life::Approved,
    Life::Rejected,
    Life::Mfa,
    Life::Half,
    Life::Flows,
    Life::Delegated,
    Life::Names,
    Life::Admin,
    Life::Again,
];

impl Life {
    fn word(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn spec(self, connection: &str, name: &str) -> Value {
        let access = match self {
            Self::Own | Self::Delegated | Self::Again => json!({"bundle": "prod-read"}),
            Self::Approved | Self::Rejected => json!({"bundle": "prod-admin"}),
            Self::Mfa => json!({"bundle": "prod-mfa"}),
            Self::Half => json!({"bundle": "half-grant"}),
            Self::Flows => json!({"bundle": "three-flows"}),
            Self::Names => json!({"entitlements": [
                {"integration": "kubernetes-prod", "resource": "checkout", "permission": "View"},
                {"integration": "kubernetes-prod", "resource": "checkout", "permission": "Edit"}
            ]}),
            Self::Admin => json!({"integration": {
                "integration": "postgres-prod", "resourceType": "postgresql-database",
                "resources": ["orders"], "permissions": ["ReadOnly"]
            }}),
        };
        let mut spec = json!({
            "connectionRef": {"kind": "AponoConnection", "name": connection},
            "access": access,
            // Longer than a remote that counts characters may want.
            "justification": "stuck orders ".repeat(20)
        });
        if self != Self::Mfa {
            spec["duration"] = json!("1h");
        }
        if matches!(self, Self::Delegated | Self::Admin) {
            spec["grantee"] = json!("alex@example.com");
        }
        if self == Self::Own {
            spec["credentials"] = json!({"secretName": name});
        }
        spec
    }
}

/// What came of a case.
pub struct Report {
    /// The reason in which each life came to rest.
    pub ends: Vec<String>,
    /// How many went only when the remote gave in.
    pub yielded: usize,
}

/// One case under way.
pub struct Trial<'a> {
    /// The world of all cases.
    pub world: &'a World,
    /// What is seen of all resources.
    pub eyes: &'a Eyes<'a>,
    /// The remote of this case.
    pub remote: Simulator,
    /// What is set.
    pub case: Case,
    /// Which case it is.
    pub number: usize,
}

impl Trial<'_> {
    /// Lives all lives of the case, and judges them.
    pub async fn run(self) -> Report {
        let connection = format!("c{:03}", self.number);
        self.world
            .store_token(&connection, self.remote.token())
            .await;
        let mut spec = json!({"correlation": {"settle": "1s"}});
        if !self.case.is_slow() {
            spec["polling"] = json!({"fast": "200ms", "pending": "500ms", "active": "1s"});
        }
        self.world
            .connect(&connection, &self.remote.url(), spec)
            .await;
        let lives = if self.case.is_slow() { &ALL[..1] } else { &ALL };
        let lived = lives.iter().map(|life| self.live(*life, &connection));
        let ends = join_all(lived).await;
        for life in lives {
            self.world.delete(&self.name(*life)).await;
        }
        let yielded = self.wait_gone(lives).await;
        let left: Vec<_> = self.remote.requests().into_iter().filter(is_live).collect();
        assert!(
            left.is_empty(),
            "{}: live after all: {left:#?}",
            self.says()
        );
        self.world.disconnect(&connection).await;
        Report { ends, yielded }
    }

    fn name(&self, life: Life) -> String {
        format!("c{:03}-{}", self.number, life.word())
    }

    fn says(&self) -> String {
        format!("{}={}", self.case.name, self.case.value)
    }

    /// The life up to its rest; gives the reason it rests in.
    async fn live(&self, life: Life, connection: &str) -> String {
        let name = self.name(life);
        self.world.ask(&name, life.spec(connection, &name)).await;
        let mut found = self.rest(life, &name, 1).await;
        if life == Life::Again && reason(&found) == "Active" {
            for request in self.requests(&name).iter().filter(|one| is_live(one)) {
                self.remote.revoke(&request.id).unwrap();
            }
            self.until(&name, "to end", |found| {
                reason(found) != "Active" && is_at_rest(found)
            })
            .await;
            let token =
                json!({"metadata": {"annotations": {"access.apono.io/request-again": "1"}}});
            self.world.patch(&name, token).await;
            let handled = |found: &AccessRequest| {
                let status = found.status.as_ref();
                let handled = status.and_then(|status| status.last_handled.as_ref());
                handled.is_some_and(|handled| handled.request_again.is_some())
            };
            self.until(&name, "the token to be acted on", handled).await;
            found = self.rest(life, &name, 2).await;
        }
        let end = reason(&found).to_owned();
        if self.case.refuses(&life.word()) {
            assert_eq!(end, "RequestRefused", "{} {name}", self.says());
        }
        end
    }

    /// Waits until the life is at rest, doing what people do meanwhile.
    async fn rest(&self, life: Life, name: &str, attempts: usize) -> AccessRequest {
        let found = self.until(name, "to come to rest", |found| {
            let all = self.requests(name);
            let made: BTreeSet<_> = all.iter().map(|one| one.batch).collect();
            let live = all.iter().filter(|one| is_live(one));
            let live: BTreeSet<_> = live.map(|one| one.batch).collect();
            assert!(
                live.len() <= 1 && made.len() <= attempts,
                "{} {name}: asked twice: {all:#?}",
                self.says()
            );
            match reason(found) {
                "PendingApproval" => self.decide(life, &all),
                "PendingMFA" => {
                    for one in &all {
                        let _ = self.remote.pass_mfa(&one.id);
                    }
                }
                _ => {}
            }
            is_at_rest(found) || (self.case.is_service() && is_kept_out(found))
        });
        found.await
    }

    /// What the approver does. One who comes too late has nothing to decide.
    fn decide(&self, life: Life, all: &[Request]) {
        for one in all.iter().filter(|one| !one.status.is_terminal()) {
            let _ = match life {
                Life::Rejected => self.remote.reject(&one.id, None),
                _ => self.remote.approve(&one.id),
            };
        }
    }

    /// Waits until all have gone; gives how many went only when the remote gave in.
    async fn wait_gone(&self, lives: &[Life]) -> usize {
        let started = Instant::now();
        self.eyes.fresh().await;
        loop {
            let left = lives.iter().map(|life| self.eyes.find(&self.name(*life)));
            let left: Vec<_> = left.flatten().collect();
            if left.is_empty() {
                return 0;
            }
            let held = left.iter().all(|one| HELD.contains(&reason(one)));
            if held {
                // What the remote will not let go is held: that is the promise. It gives in.
                self.give_in();
                for one in &left {
                    self.gone(one.metadata.name.as_deref().unwrap()).await;
                }
                return left.len();
            }
            assert!(
                started.elapsed() < TO_GO,
                "{}: not gone: {:?}\n{}",
                self.says(),
                left.iter()
                    .map(|one| (row(one), &one.status))
                    .collect::<Vec<_>>(),
                self.world.last_words()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn give_in(&self) {
        let plain = Switches {
            revoke_retry: true,
            ..plain()
        };
        self.remote.set_switches(|switches| *switches = plain);
    }

    /// Waits until the resource is gone. What the remote keeps refusing to this token an
    /// administrator takes back, as the message says.
    async fn gone(&self, name: &str) {
        let started = Instant::now();
        let mut is_asked = false;
        while let Some(found) = self.eyes.find(name) {
            if !is_asked && started.elapsed() > TO_ASK && reason(&found) == "RevokeFailed" {
                is_asked = true;
                let requests = self.requests(name);
                for request in requests.iter().filter(|one| !one.status.is_terminal()) {
                    self.remote.revoke(&request.id).unwrap();
                }
            }
            assert!(
                started.elapsed() < TO_GO,
                "{} {name} is stuck in `{}`: {:?}",
                self.says(),
                row(&found),
                found.status
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn until(
        &self,
        name: &str,
        wanted: &str,
        is_so: impl Fn(&AccessRequest) -> bool,
    ) -> AccessRequest {
        let started = Instant::now();
        loop {
            let found = self.eyes.find(name);
            if let Some(found) = found.as_ref().filter(|found| is_so(found)) {
                return found.clone();
            }
            assert!(
                started.elapsed() < TO_REST,
                "{} {name}: {wanted}: `{:?}` {:?}\n{:#?}",
                self.says(),
                found.as_ref().map(row),
                found.as_ref().map(|found| &found.status),
                self.requests(name)
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The remote requests of one resource, by the mark on them; where a remote does not keep that,
    /// as the resource tells.
    fn requests(&self, name: &str) -> Vec<Request> {
        let mark = format!("/{name}] ");
        let status = self.eyes.find(name).and_then(|found| found.status);
        let owned = status.map(|status| status.requests).unwrap_or_default();
        let mut all = self.remote.requests();
        all.retain(|one| {
            let why = one.justification.as_deref().unwrap_or_default();
            let is_told = |id: &str| owned.iter().any(|owned| owned.id == id);
            why.contains(&mark) || is_told(&one.id) || is_told(&one.uuid)
        });
        all
    }
}

/// Whether a remote request is, or may become, access.
fn is_live(request: &Request) -> bool {
    !request.status.is_terminal() || request.has_access()
}
