//! Shared lists against the simulator, over a real socket, and the doubt about them.

use apono_client::{Client, ClientConfig, NewAccessRequest, Target, Token};
use apono_simulator::{Action, Config, DEFAULT_TOKEN, Fault, Simulator, faults::When};
use futures::future::join_all;
use jiff::SignedDuration;

use super::*;
use crate::{metrics::Metrics, remote::Pace};

const LIST: apono_simulator::Endpoint = apono_simulator::Endpoint::ListSessions;

struct Bench {
    simulator: Simulator,
    remote: Remote,
    reads: Arc<SessionReads>,
    ids: Vec<String>,
}

impl Bench {
    /// A remote with so many requests that have sessions.
    async fn new(count: usize) -> Self {
        let simulator = Simulator::start(&Config::instant()).unwrap();
        let config = ClientConfig::new(simulator.url().parse().unwrap());
        let client = Client::new(config, Token::new(DEFAULT_TOKEN).unwrap()).unwrap();
        let mut ids = Vec::new();
        for _ in 0..count {
            let ask = NewAccessRequest {
                target: Target::Bundle("bundle-prod-read".to_owned()),
                justification: Some("a reason".to_owned()),
                duration: None,
                custom_fields: std::collections::BTreeMap::new(),
                grantee: None,
            };
            let made = client.create_access_request(&ask).await.unwrap();
            ids.extend(made.into_iter().map(|one| one.id.to_string()));
        }
        let remote = Remote::new(client, Pace::default(), Metrics::new());
        Self {
            simulator,
            remote,
            reads: Arc::default(),
            ids,
        }
    }

    /// How many sessions each is told of, all asking at once.
    async fn ask_all(&self) -> Vec<usize> {
        let each = self.ids.iter().map(|id| {
            let ids = std::slice::from_ref(id);
            async move { self.reads.of(&self.remote, ids).await.unwrap() }
        });
        let all = join_all(each).await;
        for (id, its) in self.ids.iter().zip(&all) {
            assert!(its.iter().all(|one| serves(one, id)));
        }
        all.iter().map(Vec::len).collect()
    }

    fn calls(&self) -> usize {
        let calls = self.simulator.calls().into_iter();
        calls.filter(|call| call.endpoint == LIST).count()
    }
}

#[tokio::test]
async fn what_many_ask_at_once_is_read_by_few_calls_and_each_is_told_of_its_own() {
    let bench = Bench::new(120).await;
    let alone = bench
        .reads
        .of(&bench.remote, &bench.ids[..1])
        .await
        .unwrap();
    assert!(!alone.is_empty());
    let before = bench.calls();
    assert_eq!(bench.ask_all().await, vec![alone.len(); 120]);
    let calls = bench.calls() - before;
    assert!((3..=8).contains(&calls), "{calls} calls for 120");
}

#[tokio::test]
async fn whoever_is_stopped_while_it_reads_for_others_takes_nothing_from_them() {
    let bench = Bench::new(3).await;
    let slow = Action::Slow {
        by: SignedDuration::from_mins(10),
        when: When::Before,
    };
    bench.simulator.arm(Fault::new(slow).at(LIST).times(1));
    let (reads, remote) = (Arc::clone(&bench.reads), bench.remote.clone());
    let ids = bench.ids.clone();
    let first = tokio::spawn(async move { reads.of(&remote, &ids).await.map(drop) });
    while bench.reads.turn.try_lock().is_ok() {
        tokio::task::yield_now().await;
    }
    let others = bench.ask_all();
    tokio::pin!(others);
    assert!(futures::poll!(&mut others).is_pending());
    bench.simulator.clear_faults();
    first.abort();
    assert!(others.await.iter().all(|count| *count > 0));
}

#[tokio::test]
async fn a_refusal_for_the_sake_of_one_is_no_refusal_of_the_others() {
    let bench = Bench::new(4).await;
    let refused = Action::Answer {
        status: 404,
        retry_after: None,
        body: None,
        when: When::Before,
    };
    // The first that asks reads alone, the others share what is refused.
    let fault = Fault::new(refused).at(LIST).only_after(1).times(1);
    bench.simulator.arm(fault);
    assert!(bench.ask_all().await.iter().all(|count| *count > 0));
    assert_eq!(bench.calls(), 1 + 1 + 3);
}

fn session(id: &str, requests: &[&str]) -> AccessSession {
    serde_json::from_value(serde_json::json!({ "id": id, "request_ids": requests })).unwrap()
}

fn waiting(ids: &[&str]) -> Vec<Waiting> {
    let each = ids.iter().map(|id| Waiting {
        ids: vec![(*id).to_owned()],
        answer: oneshot::channel().0,
    });
    each.collect()
}

#[test]
fn what_a_shared_list_does_not_show_is_asked_for_alone_until_one_has_answered_for_two() {
    let reads = SessionReads::default();
    let is_alone = |id: &str| reads.is_alone(&[id.to_owned()]);
    reads.share(waiting(&["a", "b"]), &[session("s", &["a"])], true);
    assert!(is_alone("b") && !is_alone("a"));
    let both = [session("s", &["a"]), session("t", &["b"])];
    reads.share(waiting(&["a", "b"]), &both, true);
    assert!(!is_alone("b"));
    reads.share(waiting(&["a", "b"]), &[], true);
    assert!(!is_alone("b"), "a session may open late");
}

#[tokio::test]
async fn lists_that_answer_for_one_of_many_are_not_shared_again() {
    let bench = Bench::new(2).await;
    let unshown: Vec<_> = bench.ids[1..].iter().map(String::as_str).collect();
    bench
        .reads
        .share(waiting(&["a", unshown[0]]), &[session("s", &["a"])], true);
    let found = bench
        .reads
        .of(&bench.remote, &bench.ids[1..])
        .await
        .unwrap();
    assert!(!found.is_empty());
    assert!(
        bench.reads.is_alone(&bench.ids[..1]),
        "it was seen alone and not together"
    );
}
