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

use apono_simulator::{Config, Outside, Simulator};

const CHECKS: &str = "not_a_server_error,response_schema_conformance,content_type_conformance";
/// Some seconds per operation; enough that every parameter is left out, odd and right in turn.
const EXAMPLES: &str = "50";
/// Any number does; always the same, so that a failure comes again.
const SEED: &str = "1";

/// Ids that exist, so that not every answer is a 404: they are the examples of the contract's
/// paths, put into a copy of it.
fn contract_with_ids(simulator: &Simulator) -> String {
    let text = include_str!("../../../docs/apono-openapi.json");
    let mut contract: serde_json::Value = serde_json::from_str(text).unwrap();
    let outside = Outside {
        requestor: apono_simulator::DEFAULT_USER.to_owned(),
        bundle: Some("two-integrations".to_owned()),
        ..Outside::default()
    };
    let request = simulator.create(outside.clone()).unwrap().remove(0).id;
    let grantee = Some("sam@example.com".to_owned());
    let outside = Outside { grantee, ..outside };
    let delegated = simulator.create(outside).unwrap().remove(0).id;
    let session = simulator.sessions_of(&request).remove(0).id;
    for (path, operations) in contract["paths"].as_object_mut().unwrap() {
        for operation in operations.as_object_mut().unwrap().values_mut() {
            let parameters = operation["parameters"].as_array_mut();
            for parameter in parameters.into_iter().flatten() {
                let example = match parameter["name"].as_str().unwrap() {
                    "id" if path.contains("delegated") => &delegated,
                    "id" if path.contains("sessions") => &session,
                    "id" => &request,
                    "integration_id" => "int-postgres-prod",
                    "resource_type" => "postgresql-database",
                    _ => continue,
                };
                parameter["example"] = example.into();
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
    std::fs::write(&contract, contract_with_ids(&simulator)).unwrap();
    let status = Command::new(program)
        .current_dir(&folder)
        .arg("run")
        .arg(&contract)
        .args(["--url", &simulator.url()])
        .args([
            "--header",
            &format!("Authorization: Bearer {}", simulator.token()),
        ])
        .args([
            "--checks",
            CHECKS,
            "--max-examples",
            EXAMPLES,
            "--seed",
            SEED,
        ])
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
    for endpoint in apono_simulator::Endpoint::ALL {
        let unknown = endpoint == apono_simulator::Endpoint::Unknown;
        let reached = calls.iter().any(|call| call.endpoint == endpoint);
        assert!(unknown || reached, "{endpoint:?} was never called");
    }
}
