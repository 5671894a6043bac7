//! Bulk revokes against the simulator, over a real socket.

use apono_client::{Client, ClientConfig, NewAdminRequest, Token};
use apono_simulator::{
    Action, Config, DEFAULT_TOKEN, DEFAULT_USER, Fault, Simulator, Status, faults::When,
};

use super::*;
use crate::{metrics::Metrics, remote::Pace};

const REVOKE: apono_simulator::Endpoint = apono_simulator::Endpoint::V3BulkRevoke;

struct Bench {
    simulator: Simulator,
    client: Client,
    remote: Remote,
    bulk: Arc<BulkRevokes>,
}

fn key(id: &str) -> ResourceKey {
    let uid = format!("uid-{id}");
    ResourceKey::new("payments".to_owned(), id.to_owned(), uid)
}

impl Bench {
    fn new() -> Self {
        let simulator = Simulator::start(&Config::instant()).unwrap();
        let config = ClientConfig::new(simulator.url().parse().unwrap());
        let client = Client::new(config, Token::new(DEFAULT_TOKEN).unwrap()).unwrap();
        let remote = Remote::new(client.clone(), Pace::default(), Metrics::new());
        let bulk = Arc::new(BulkRevokes::new(Arc::new(Store::new("prod"))));
        Self {
            simulator,
            client,
            remote,
            bulk,
        }
    }

    async fn ask(&self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..count {
            let ask = NewAdminRequest {
                user_id: DEFAULT_USER.to_owned(),
                integration_id: "int-postgres-prod".to_owned(),
                resource_ids: vec!["res-orders".to_owned()],
                permissions: vec!["ReadOnly".to_owned()],
                justification: "a reason".to_owned(),
                duration: None,
            };
            let made = self.client.create_admin_request(&ask).await.unwrap();
            ids.push(made.request_id);
        }
        ids
    }

    fn hand_over(&self, ids: &[String]) {
        for id in ids {
            self.bulk.hand_over(&self.remote, id, &key(id), false);
        }
    }

    /// The answer to each, when there are all of them.
    async fn answers(&self, ids: &[String]) -> Vec<BulkAnswer> {
        while ids.iter().any(|id| self.bulk.holds(id)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let answers = ids.iter().filter_map(|id| self.bulk.fetch(id));
        answers.map(|(_, answer)| answer).collect()
    }

    /// How many ids each bulk revoke had.
    fn calls(&self) -> Vec<usize> {
        let calls = self.simulator.calls().into_iter();
        let calls = calls.filter(|call| call.endpoint == REVOKE);
        calls.map(|call| call.ids.len()).collect()
    }

    fn refuse_once(&self, status: u16) {
        let action = Action::Answer {
            status,
            retry_after: None,
            body: None,
            when: When::Before,
        };
        self.simulator.arm(Fault::new(action).at(REVOKE).once());
    }
}

fn is_accepted(answer: &BulkAnswer) -> bool {
    matches!(answer, BulkAnswer::Accepted)
}

#[tokio::test]
async fn what_is_handed_over_together_is_one_call() {
    let bench = Bench::new();
    let ids = bench.ask(7).await;
    bench.hand_over(&ids);
    // Once more, while it waits.
    bench.hand_over(&ids);
    assert!(bench.answers(&ids).await.iter().all(is_accepted));
    assert_eq!(bench.calls(), [7]);
    let all = bench.simulator.requests();
    assert!(all.iter().all(|one| one.status == Status::Revoked));
    // Answered is not held: it may be tried again, and is answered again.
    bench.hand_over(&ids[..1]);
    assert!(bench.answers(&ids[..1]).await.iter().all(is_accepted));
    assert_eq!(bench.calls(), [7, 1]);
}

#[tokio::test]
async fn a_refused_batch_is_halved_to_the_one_that_is_refused() {
    let bench = Bench::new();
    let mut ids = bench.ask(5).await;
    ids.insert(3, "no-such-id".to_owned());
    bench.hand_over(&ids);
    let answers = bench.answers(&ids).await;
    let refused: Vec<_> = answers.iter().map(|answer| !is_accepted(answer)).collect();
    assert_eq!(refused, [false, false, false, true, false, false]);
    let BulkAnswer::Failed(error) = &answers[3] else {
        panic!("{answers:?}")
    };
    assert_eq!(error.status(), Some(404));
    let all = bench.simulator.requests();
    assert!(all.iter().all(|one| one.status == Status::Revoked));
    assert_eq!(bench.calls().iter().filter(|size| **size == 6).count(), 1);
    assert!(bench.calls().len() <= 7, "{:?}", bench.calls());
}

#[tokio::test]
async fn what_is_the_connections_matter_is_not_halved() {
    for status in [429, 500, 401] {
        let bench = Bench::new();
        let ids = bench.ask(4).await;
        bench.refuse_once(status);
        bench.hand_over(&ids);
        let answers = bench.answers(&ids).await;
        assert_eq!(answers.len(), 4);
        assert!(!answers.iter().any(is_accepted), "{status}: {answers:?}");
        assert_eq!(bench.calls().len(), 1, "{status}");
        let all = bench.simulator.requests();
        assert!(all.iter().all(|one| one.status == Status::Active));
    }
}

#[tokio::test]
async fn a_task_that_dies_lets_go_of_what_it_held() {
    let bench = Bench::new();
    let ids = bench.ask(3).await;
    bench.hand_over(&ids);
    // Once while they wait, once while they are under way.
    let bulk = &bench.bulk;
    drop(Collecting {
        bulk: Arc::clone(bulk),
        is_done: false,
    });
    assert!(!ids.iter().any(|id| bulk.holds(id)));
    bench.hand_over(&ids);
    let batch = {
        let mut inner = bulk.lock();
        let late = Instant::now() + Duration::from_mins(1);
        inner.batches.take(late).unwrap()
    };
    assert_eq!(batch.len(), 3);
    assert!(ids.iter().all(|id| bulk.holds(id)));
    let sending = Sending {
        bulk: Arc::clone(bulk),
        rest: vec![batch],
    };
    let task = tokio::spawn(async move {
        let _held = sending;
        panic!("as a fault of ours would");
    });
    assert!(task.await.unwrap_err().is_panic());
    assert!(!ids.iter().any(|id| bulk.holds(id)));
    assert!(bulk.fetch(&ids[0]).is_none(), "nobody answered");
    // And it goes on.
    bench.hand_over(&ids);
    assert!(bench.answers(&ids).await.iter().all(is_accepted));
    let all = bench.simulator.requests();
    assert!(all.iter().all(|one| one.status == Status::Revoked));
}
