//! The program with its flags, from its first line to its end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails a test, in helpers as well"
)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use support::{OWN, Reply, send};

/// The program, ended when dropped.
struct Program {
    child: Child,
    url: String,
    greeting: String,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_apono-simulator"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let greeting = lines.next().unwrap().unwrap();
        let line = lines.next().unwrap().unwrap();
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self {
            child,
            url,
            greeting,
        }
    }

    async fn get(&self, path: &str, token: &str) -> Reply {
        let url = format!("{}{path}", self.url);
        send(reqwest::Client::new().get(url).bearer_auth(token)).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_program_listens_prints_its_address_and_token_and_takes_every_flag() {
    let program = Program::start(&[]);
    let token = program
        .greeting
        .split_whitespace()
        .find(|word| word.starts_with("sim_"))
        .unwrap();
    program.get(OWN, token).await.ok();
    let program = Program::start(&[
        "--listen",
        "127.0.0.1:0",
        "--token",
        "one",
        "--user",
        "b@example.com=two",
        "--admin",
        "boss@example.com=four",
        "--webhook-delay",
        "1m",
        "--session-delay",
        "1s",
        "--reset-delay",
        "1m",
        "--service",
        "robot=three",
        "--mode",
        "explicit",
        "--grant-delay",
        "1s",
        "--approve-delay",
        "0s",
        "--revoke-delay",
        "500ms",
        "--human-delay",
        "1m",
        "--switch",
        "service-token=forbidden",
        "--switch",
        "max-limit=7",
        "--seed",
        "5",
    ]);
    program.get(OWN, "one").await.ok();
    program.get(OWN, "two").await.ok();
    assert_eq!(program.get(OWN, "three").await.status, 403);
    let behaviour = program.get("/_control/behaviour", "").await.ok();
    assert_eq!(behaviour["mode"], "explicit");
    assert_eq!(behaviour["delays"]["revoke"], "PT0.5S");
}

#[tokio::test]
async fn the_program_ends_well_on_sigterm_even_with_a_connection_open() {
    let mut program = Program::start(&["--token", "t"]);
    let client = reqwest::Client::new();
    send(client.get(format!("{}{OWN}", program.url)).bearer_auth("t"))
        .await
        .ok();
    let killed = Command::new("kill")
        .arg(program.child.id().to_string())
        .status()
        .unwrap();
    assert!(killed.success());
    assert!(program.child.wait().unwrap().success());
}

#[test]
fn a_wrong_switch_or_catalogue_ends_the_program_with_what_there_is() {
    for (arguments, told) in [
        (["--switch", "id-form=guid"], "ar-number"),
        (
            ["--catalogue", "/nowhere/to/be/found"],
            "/nowhere/to/be/found",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_apono-simulator"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(told));
    }
    let help = Command::new(env!("CARGO_BIN_EXE_apono-simulator"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8_lossy(&help.stdout);
    for row in apono_simulator::Switches::rows() {
        let told = [
            format!("{}={}", row.name, row.default),
            row.about,
            row.values,
        ];
        assert!(told.iter().all(|it| help.contains(it)), "{told:?}");
    }
}
