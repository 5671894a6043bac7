//! Every answer of every path under every setting of every switch, against the public contract.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test, in helpers as well"
)]

mod support;

use std::collections::BTreeSet;

use apono_simulator::{Command, DEFAULT_USER, Outside, Request, Simulator, Switches};
use reqwest::Method;
use serde_json::{Value, json};
use support::schema::Contract;
use support::{Api, DELEGATED, OTHER, OWN, SESSIONS, V3, config, send, start};

const OWN_ID: &str = "/api/user/v4/access-requests/{id}";
const AVAILABLE: &str = "/api/user/v1/available-access";
const SELECTABLE: &str = "/api/v3/selectable-integrations";
const BULK: &str = "/api/v3/access-requests-bulk/revoke";

/// A round over the whole API. A refusal is an answer too; a success must fit the contract.
struct Round<'a> {
    contract: &'a Contract,
    api: &'a Api,
    /// What it was about, for the message of a failure.
    about: &'a str,
    succeeded: BTreeSet<(String, String)>,
}

impl Round<'_> {
    async fn call(&mut self, method: &str, template: &str, path: &str, body: Option<Value>) {
        let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let request = self.api.request(verb, path);
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let reply = send(request).await;
        let about = format!(
            "{}: {method} {path}: {} {}",
            self.about, reply.status, reply.text
        );
        if reply.status == 200 {
            self.contract.check(method, template, &reply.json());
            self.succeeded
                .insert((method.to_owned(), template.to_owned()));
        } else {
            assert!((400..500).contains(&reply.status), "{about}");
        }
    }

    async fn get(&mut self, template: &str, path: &str) {
        self.call("get", template, path, None).await;
    }

    /// Reads that change nothing, of one request.
    async fn look(&mut self, request: &Request) {
        let (id, uuid) = (&request.id, &request.uuid);
        self.get(OWN_ID, &format!("{OWN}/{id}")).await;
        let template = format!("{OWN_ID}/entitlements");
        self.get(&template, &format!("{OWN}/{id}/entitlements?limit=1"))
            .await;
        self.get("/api/v3/access-requests/{id}", &format!("{V3}/{uuid}"))
            .await;
        let template = format!("{DELEGATED}/{{id}}");
        self.get(&template, &format!("{DELEGATED}/{id}")).await;
    }

    async fn lists(&mut self) {
        for query in ["", "?limit=1", "?limit=2&statuses=Active&statuses=Nonsense"] {
            self.get(OWN, &format!("{OWN}{query}")).await;
            self.get(DELEGATED, &format!("{DELEGATED}{query}")).await;
        }
        self.get(SESSIONS, &format!("{SESSIONS}?limit=1")).await;
        for query in [
            "",
            "?limit=3",
            "?grantee=other@example.com",
            "?grantee=nobody",
        ] {
            for kind in ["bundles", "entitlements"] {
                let template = format!("{AVAILABLE}/{kind}");
                self.get(&template, &format!("{template}{query}")).await;
            }
        }
        for query in [
            "",
            "?days_offset=0",
            "?user_id=operator@example.com",
            "?user_id=nobody",
        ] {
            self.get(V3, &format!("{V3}{query}")).await;
        }
        self.get(SELECTABLE, SELECTABLE).await;
        for (integration, kind) in [
            ("int-postgres-prod", "postgresql-database"),
            ("int-kubernetes-prod", "k8s-namespace"),
        ] {
            let template = format!("{SELECTABLE}/{{integration_id}}");
            let path = format!("{SELECTABLE}/{integration}");
            let types = format!("{template}/resource-types");
            self.get(&types, &format!("{path}/resource-types")).await;
            for what in ["permissions", "resources"] {
                let template = format!("{template}/{{resource_type}}/{what}");
                self.get(&template, &format!("{path}/{kind}/{what}")).await;
            }
        }
    }

    async fn sessions(&mut self, simulator: &Simulator) {
        let template = format!("{SESSIONS}/{{id}}");
        for session in simulator.sessions().iter().take(3) {
            let path = format!("{SESSIONS}/{}", session.id);
            for _ in 0..2 {
                self.get(&template, &path).await;
                let details = format!("{template}/access-details");
                self.get(&details, &format!("{path}/access-details")).await;
            }
            let reset = format!("{template}/reset-credentials");
            let path = format!("{path}/reset-credentials");
            self.call("post", &reset, &path, None).await;
            self.get(&template, &format!("{SESSIONS}/{}", session.id))
                .await;
        }
    }

    async fn changes(&mut self, live: &Request) {
        let body = json!({"bundle_reference": "three-flows", "custom_fields": {"ticket": "T-1"},
            "justification": " a reason ", "duration_in_sec": 600});
        self.call("post", OWN, OWN, Some(body)).await;
        let body = json!({"user_id": DEFAULT_USER, "integration_id": "int-postgres-prod",
            "resource_ids": ["res-orders"], "permissions": ["ReadOnly"], "justification": ""});
        self.call("post", V3, V3, Some(body)).await;
        let uuid = &live.uuid;
        let template = "/api/v3/access-requests/{id}";
        let details = format!("{template}/access-details");
        self.get(&details, &format!("{V3}/{uuid}/access-details"))
            .await;
        let reset = format!("{template}/reset");
        self.call("post", &reset, &format!("{V3}/{uuid}/reset"), None)
            .await;
        let body = json!({"custom_fields": {}});
        let again = format!("{OWN_ID}/request-again");
        let path = format!("{OWN}/{}/request-again", live.id);
        self.call("post", &again, &path, Some(body)).await;
        let revoke = format!("{OWN_ID}/revoke");
        self.call("post", &revoke, &format!("{OWN}/{}/revoke", live.id), None)
            .await;
        let body = json!({"request_ids": [uuid]});
        self.call("post", BULK, BULK, Some(body)).await;
    }
}

/// Requests in every state, of every kind, as far as the switches let one ask; the first is live.
fn populate(simulator: &Simulator) -> Vec<Request> {
    let ask = |bundle: &str, grantee: Option<&str>| {
        let outside = Outside {
            requestor: DEFAULT_USER.to_owned(),
            grantee: grantee.map(str::to_owned),
            bundle: Some(bundle.to_owned()),
            justification: (bundle != "prod-read").then(|| "a reason".to_owned()),
            duration_in_sec: (bundle != "half-grant").then_some(600),
            ..Outside::default()
        };
        let made = simulator.create(outside).ok();
        made.map(|mut all| all.remove(0))
    };
    let live = ask("two-integrations", None);
    let rejected = ask("prod-admin", None);
    let revoked = ask("prod-read", None);
    if let (Some(rejected), Some(revoked)) = (&rejected, &revoked) {
        let reject = Command::Reject { reason: None };
        simulator.command(&rejected.id, &reject).unwrap();
        simulator.revoke(&revoked.id).unwrap();
    }
    let more = [
        "half-grant",
        "broken-grant",
        "prod-mfa",
        "prod-admin",
        "prod-read",
    ];
    let more = more.into_iter().map(|name| ask(name, None));
    let delegated = ask("prod-read", Some(OTHER));
    [live, rejected, revoked, delegated]
        .into_iter()
        .chain(more)
        .flatten()
        .collect()
}

/// Values for the switches that take more than a word.
const OTHER_VALUES: [(&str, &[&str]); 14] = [
    ("page-token-life", &["1s"]),
    ("max-limit", &["2"]),
    ("request-words", &[r#"{"Active": "LIVE"}"#]),
    ("entitlement-words", &[r#"{"Granted": "live"}"#]),
    ("justification-length", &["3"]),
    ("pending-timeout", &["1s"]),
    ("entitlement-cap", &["1"]),
    ("rate-limit", &["0", "20"]),
    ("v3-list-days", &["0", "null"]),
    ("v3-list-cut", &["0", "1"]),
    ("bulk-max", &["0", "1"]),
    ("justification", &["cut"]),
    ("credential-fresh", &["new"]),
    ("id-form", &["ar-number"]),
];

fn values(row: &apono_simulator::switches::Row) -> Vec<String> {
    let others = OTHER_VALUES.iter().filter(|(name, _)| *name == row.name);
    let others = others.flat_map(|(_, values)| values.iter().map(|it| (*it).to_owned()));
    let words = row.values.split(" | ").filter(|it| !it.contains(' '));
    others.chain(words.map(str::to_owned)).collect()
}

async fn round(
    contract: &Contract,
    client: &Api,
    about: &str,
    set: impl Fn(&mut Switches),
) -> BTreeSet<(String, String)> {
    let simulator = Simulator::start(&config()).unwrap();
    let api = client.at(&simulator);
    simulator.set_switches(&set);
    let all = populate(&simulator);
    let mut round = Round {
        contract,
        api: &api,
        about,
        succeeded: BTreeSet::new(),
    };
    round.lists().await;
    for request in &all {
        round.look(request).await;
    }
    round.sessions(&simulator).await;
    round.changes(&all[0]).await;
    round.succeeded
}

#[tokio::test]
async fn every_operation_of_the_contract_succeeds_and_answers_as_the_contract_says() {
    let contract = Contract::read();
    let (_simulator, client) = start();
    let operations = contract.operations();
    assert_eq!(operations.len(), 24);
    assert_eq!(
        round(&contract, &client, "defaults", |_| {}).await,
        operations
    );
}

#[tokio::test]
async fn no_setting_of_any_switch_makes_an_answer_leave_the_contract() {
    let contract = Contract::read();
    let (_simulator, client) = start();
    let mut rounds = 0;
    for row in Switches::rows() {
        let values = values(&row);
        assert!(values.len() > 1 || row.values.contains(' '), "{}", row.name);
        assert!(!values.is_empty(), "no value to try for {}", row.name);
        for value in values {
            let about = format!("{}={value}", row.name);
            round(&contract, &client, &about, |it| {
                it.set(&row.name, &value).unwrap();
            })
            .await;
            rounds += 1;
        }
    }
    eprintln!("{rounds} rounds");
}

#[tokio::test]
async fn the_contract_refuses_every_answer_that_is_a_little_wrong() {
    let contract = Contract::read();
    let (_simulator, api) = start();
    let body = json!({"bundle_reference": "prod-read"});
    let right = api.create(&body).await.ok()[0].clone();
    contract.judge_as("AccessRequestV4", &right).unwrap();
    for (pointer, wrong) in [
        ("/id", json!(1)),
        ("/status", Value::Null),
        ("/creation_date", json!("yesterday")),
        ("/duration_in_sec", json!(1_u64 << 31)),
        ("/custom_fields", json!({"a": 1})),
        ("/access_groups/0/resource_types", json!([{}])),
        ("/bundle", json!({"id": "x", "name": "y", "colour": "red"})),
    ] {
        let mut body = right.clone();
        *body.pointer_mut(pointer).unwrap() = wrong;
        contract
            .judge_as("AccessRequestV4", &body)
            .expect_err(pointer);
    }
    let id = right["id"].as_str().unwrap();
    let right = api.get(&format!("{V3}/{id}")).await.ok();
    contract.judge_as("AccessRequest", &right).unwrap();
    let mut wrong = right.clone();
    wrong["status"] = json!("Active");
    contract.judge_as("AccessRequest", &wrong).unwrap_err();
}
