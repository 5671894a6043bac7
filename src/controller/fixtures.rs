//! Worlds for the tests of the pure steps: a resource and what is observed of it, to be changed by
//! closures.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    fold::{Happening, Outcome, Reply, fold},
    observed::{ConnectionSight, Memory, Observed},
    plan::{Intent, Plan, Step, plan},
    resolution::Resolution,
};
use crate::{
    crd::{
        ATTEMPT_ANNOTATION, Access, AccessRequest, AccessRequestSpec, AccessRequestStatus,
        FINALIZER, RemoteApi,
    },
    marker::{Nonce, Origin, RANDOM_BYTES, marked},
    poller::{Look, Missing, Reign, Sight, Snapshot, View},
};

/// Half a minute: five seconds of validity, ten of a call, fifteen of lag.
pub(crate) const SETTLED: Duration = Duration::from_secs(30);

/// One resource, what is observed of it, and the time.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) resource: AccessRequest,
    pub(crate) observed: Observed,
    pub(crate) now: Timestamp,
    pub(crate) intent: Intent,
    rolls: u8,
}

pub(crate) fn origin() -> Origin {
    Origin::new("cluster", "payments", "orders-read")
}

/// A fresh resource whose connection can be used.
pub(crate) fn world() -> World {
    let mut resource = AccessRequest::new(
        "orders-read",
        AccessRequestSpec {
            access: Access {
                bundle: Some("prod-read".to_owned()),
                ..Access::default()
            },
            ..AccessRequestSpec::default()
        },
    );
    resource.metadata.namespace = Some("payments".to_owned());
    resource.metadata.uid = Some("uid-1".to_owned());
    resource.metadata.generation = Some(1);
    let observed = Observed {
        connection: ConnectionSight::Usable {
            orphan: false,
            paused: None,
        },
        view: View {
            reigns: vec![Reign {
                from: Timestamp::MIN,
                until: Timestamp::MAX,
            }],
            ..View::default()
        },
        entitlements: BTreeMap::new(),
        resolution: Resolution::AsWritten,
        memory: Memory::default(),
        origin: origin(),
        settled_after: SETTLED,
        clock_set: None,
        revocation_deadline: Duration::from_mins(10),
        stale_after: Duration::from_mins(3),
        asks_for_another: false,
        asks_admin: false,
        user: None,
        credentials: None,
        hastened: None,
        gitops_owner: None,
        random: [0; RANDOM_BYTES],
    };
    let now = "2026-11-23T12:00:00Z".parse().unwrap();
    World {
        resource,
        observed,
        now,
        intent: Intent::Hold,
        rolls: 0,
    }
}

/// A remote request as the API answers it.
pub(crate) fn remote(id: &str, word: &str, nonce: &Nonce) -> apono_client::AccessRequest {
    serde_json::from_value(serde_json::json!({
        "id": id, "status": word, "creation_date": "2026-11-23T12:00:00Z",
        "justification": marked(nonce, &origin(), Some("why")),
        "revocation_date": "2026-11-23T20:00:00Z",
        "custom_fields": {}, "access_groups": [],
        "requestor": {"id": "user-1", "source_id": "dana@example.com"}
    }))
    .unwrap()
}

impl World {
    pub(crate) fn status(&self) -> AccessRequestStatus {
        self.resource.status.clone().unwrap_or_default()
    }

    pub(crate) fn after(mut self, wait: Duration) -> Self {
        self.now += wait;
        self
    }

    pub(crate) fn deleted(mut self) -> Self {
        self.intent = Intent::Release;
        self.resource.metadata.deletion_timestamp = Some(Time(self.now));
        self
    }

    /// Deleted, and this process knows of it.
    pub(crate) fn releasing(self) -> Self {
        let mut world = self.deleted();
        world.observed.memory.releasing_since = Some(world.now);
        world
    }

    pub(crate) fn plan(&self) -> Plan {
        plan(&self.resource, &self.observed, self.intent, self.now)
    }

    /// Marks the POST that is planned, and returns its nonce.
    pub(crate) fn mark(&mut self) -> (super::attempt::Ledger, Nonce) {
        self.rolls += 1;
        self.observed.random = [self.rolls; RANDOM_BYTES];
        let (Step::Create { ledger, nonce } | Step::Again { ledger, nonce, .. }) = self.plan().step
        else {
            panic!("no POST is planned: {:?}", self.plan())
        };
        self.record(&ledger);
        (ledger, nonce)
    }

    /// Writes a record as a mark does.
    pub(crate) fn record(&mut self, ledger: &super::attempt::Ledger) {
        let record = ledger.record(&self.resource).to_annotation();
        self.resource.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
        self.annotate(ATTEMPT_ANNOTATION, &record);
    }

    /// Sets an annotation.
    pub(crate) fn annotate(&mut self, name: &str, value: &str) {
        let annotations = self.resource.metadata.annotations.get_or_insert_default();
        annotations.insert(name.to_owned(), value.to_owned());
    }

    /// Latches the end that is planned.
    pub(crate) fn latch(&mut self) -> Vec<Happening> {
        let Step::Latch(ledger) = self.plan().step else {
            panic!("no end is planned: {:?}", self.plan())
        };
        self.record(&ledger);
        self.fold(&Outcome::Latched)
    }

    /// The id that is asked again next, if one is.
    pub(crate) fn asks_again(&self) -> Option<String> {
        match self.plan().step {
            Step::Again { of, .. } => Some(of),
            _ => None,
        }
    }

    /// Marks and sends a POST, and takes this reply.
    pub(crate) fn ask(&mut self, reply: impl FnOnce(&Nonce) -> Reply) -> Nonce {
        let (ledger, nonce) = self.mark();
        let reply = reply(&nonce);
        if matches!(reply, Reply::Empty) {
            self.observed.memory.empty_answers.insert(nonce.clone());
        }
        let sent_at = self.now;
        self.fold(&Outcome::Posted {
            ledger,
            nonce: nonce.clone(),
            sent_at,
            reply,
        });
        nonce
    }

    /// Folds, stores the status, and checks that the status is a fixed point.
    pub(crate) fn fold(&mut self, outcome: &Outcome) -> Vec<Happening> {
        let (status, happenings) = fold(
            &self.resource,
            &self.observed,
            outcome,
            self.intent,
            self.now,
        );
        self.resource.status =
            serde_json::from_value(serde_json::to_value(&status).unwrap()).unwrap();
        let (again, silence) = fold(
            &self.resource,
            &self.observed,
            &Outcome::Nothing,
            self.intent,
            self.now,
        );
        let bytes = |status: &AccessRequestStatus| serde_json::to_string(status).unwrap();
        assert_eq!(
            bytes(&status),
            bytes(&again),
            "the status is not a fixed point"
        );
        assert!(silence.is_empty(), "the same event twice: {silence:?}");
        happenings
    }

    /// The remote shows this request.
    pub(crate) fn see(&mut self, request: apono_client::AccessRequest) {
        let id = request.id.to_string();
        let snapshot = Snapshot::new(request, RemoteApi::UserV4, self.now);
        self.observed
            .view
            .sights
            .insert(id, Sight::Seen(Arc::new(snapshot)));
    }

    /// A sweep finds this request by the nonce in its mark.
    pub(crate) fn find(&mut self, nonce: &Nonce, id: &str, word: &str) {
        let request = remote(id, word, nonce);
        let snapshot = Snapshot::new(request, RemoteApi::UserV4, self.now);
        let found = self.observed.view.by_nonce.entry(nonce.clone());
        let found = found.or_default();
        found.retain(|one| one.request.id != id);
        found.push(Arc::new(snapshot));
    }

    /// A complete look, whose first page is asked for now.
    pub(crate) fn look(&mut self) {
        let since = self.now - Duration::from_hours(2);
        self.observed.view.look.insert(
            RemoteApi::UserV4,
            Look {
                asked_at: self.now,
                since,
            },
        );
    }

    /// Every route said 404 this often, over this many seconds.
    pub(crate) fn lose(&mut self, id: &str, times: u32, seconds: u64) {
        let first = self.now - Duration::from_secs(seconds);
        let missing = Missing {
            times,
            first,
            last: self.now,
            last_seen: None,
        };
        self.observed
            .view
            .sights
            .insert(id.to_owned(), Sight::Missing(missing));
    }

    /// `Ready=True Active`, one line a condition.
    pub(crate) fn conditions(&self) -> Vec<String> {
        let line = |one: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
            format!("{}={} {}", one.type_, one.status, one.reason)
        };
        self.status().conditions.iter().map(line).collect()
    }
}

/// A world with one request, as it was answered.
pub(crate) fn asked(word: &str) -> (World, Nonce) {
    let mut world = world();
    let nonce = world.ask(|nonce| Reply::Made(vec![remote("r1", word, nonce)]));
    world.see(remote("r1", word, &nonce));
    world.fold(&Outcome::Nothing);
    (world, nonce)
}
