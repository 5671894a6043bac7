//! The simulator against the public contract as another program reads it: schemathesis.
//!
//! `cargo xtask test` runs it. By hand: `pip install schemathesis==4.32.5`, then
//! `SCHEMATHESIS=schemathesis cargo test -p apono-simulator --test schemathesis -- --ignored`.
//! The check `status_code_conformance` is left out: the contract documents 200 alone, and every
//! refusal would be held against it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test, in helpers as well"
)]

use std::process::{Command, Stdio};

use apono_simulator::{Config, DEFAULT_USER, Endpoint, Outside, Request, Simulator};
use serde_json::{Value, json};

const CHECKS: &str = "not_a_server_error,response_schema_conformance,content_type_conformance";
/// Some seconds per operation; enough that every parameter is left out, odd and right in turn.
const EXAMPLES: &str = "50";

/// A request of its own for whoever needs one that exists.
fn fresh(simulator: &Simulator, grantee: Option<&str>) -> Request {
    let outside = Outside {
        requestor: DEFAULT_USER.to_owned(),
        bundle: Some("two-integrations".to_owned()),
        grantee: grantee.map(str::to_owned),
        ..Outside::default()
    };
    simulator.create(outside).unwrap().remove(0)
}

/// A value for a path's parameter that leads somewhere.
fn example(simulator: &Simulator, path: &str, name: &str) -> Option<String> {
    Some(match name {
        "id" if path.contains("delegated") => fresh(simulator, Some("sam@example.com")).id,
        "id" if path.contains("sessions") => {
            let request = fresh(simulator, None);
            simulator.sessions_of(&request.id).remove(0).id
        }
        "id" if path.contains("v3") => fresh(simulator, None).uuid,
        "id" => fresh(simulator, None).id,
        "integration_id" => "int-postgres-prod".to_owned(),
        "resource_type" => "postgresql-database".to_owned(),
        _ => return None,
    })
}

/// A body that is done.
fn body(simulator: &Simulator, path: &str) -> Value {
    if path.contains("bulk") {
        json!({"request_ids": [fresh(simulator, None).uuid]})
    } else if path.contains("v3") {
        json!({"user_id": DEFAULT_USER, "integration_id": "int-postgres-prod",
            "resource_ids": ["res-orders"], "permissions": ["ReadOnly"], "justification": "why"})
    } else if path.contains("again") {
        json!({"custom_fields": {}})
    } else {
        json!({"bundle_reference": "prod-read", "custom_fields": {}})
    }
}

/// The contract with examples of things that exist, so that not every answer is a refusal.
fn contract_with_examples(simulator: &Simulator) -> String {
    let text = include_str!("../../../docs/apono-openapi.json");
    let mut contract: Value = serde_json::from_str(text).unwrap();
    for (path, operations) in contract["paths"].as_object_mut().unwrap() {
        for operation in operations.as_object_mut().unwrap().values_mut() {
            let parameters = operation
                .get_mut("parameters")
                .and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap().to_owned();
                if let Some(example) = example(simulator, path, &name) {
                    parameter["example"] = example.into();
                }
            }
            if let Some(sent) = operation.get_mut("requestBody") {
                sent["content"]["application/json"]["example"] = body(simulator, path);
            }
        }
    }
    contract.to_string()
}

#[test]
#[ignore = "cargo xtask test runs it with SCHEMATHESIS set"]
fn schemathesis_finds_no_answer_that_breaks_the_contract() {
    let program = std::env::var_os("SCHEMATHESIS")
        .expect("SCHEMATHESIS names the program; see the head of this file");
    let simulator = Simulator::start(&Config::instant()).unwrap();
    let folder = std::env::temp_dir().join(format!("apono-schemathesis-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let contract = folder.join("apono-openapi.json");
    std::fs::write(&contract, contract_with_examples(&simulator)).unwrap();
    let status = Command::new(program)
        .current_dir(&folder)
        .arg("run")
        .arg(&contract)
        .args(["--url", &simulator.url()])
        .args([
            "--header",
            &format!("Authorization: Bearer {}", simulator.token()),
        ])
        .args(["--checks", CHECKS, "--max-examples", EXAMPLES])
        // Every run is the same, so that a failure comes again.
        .args(["--generation-deterministic", "--no-color"])
        .stdin(Stdio::null())
        .status()
        .unwrap();
    let calls = simulator.calls();
    let succeeded = calls.iter().filter(|call| call.result == Some(200)).count();
    eprintln!("{} calls, {succeeded} of them done", calls.len());
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(
        status.success(),
        "schemathesis found something; its report is above"
    );
    for endpoint in Endpoint::ALL
        .into_iter()
        .filter(|it| *it != Endpoint::Unknown)
    {
        let mut done = calls.iter().filter(|call| call.result == Some(200));
        assert!(
            done.any(|call| call.endpoint == endpoint),
            "{endpoint:?} was never done"
        );
    }
}
