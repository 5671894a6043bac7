//! What runs under a supervisor ends when whoever started it ends, however that happens.

#![expect(
    clippy::expect_used,
    reason = "helpers of tests are not seen as tests by the lint"
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Starts `script` under a supervisor and returns it with the first line the script wrote.
fn supervise(script: &str) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut supervisor = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["supervise", "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut output = BufReader::new(supervisor.stdout.take().expect("piped"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    (supervisor, output, line.trim().to_owned())
}

/// Waits until nobody holds the other end of `output`: the script and all it started are gone.
fn wait_until_closed(mut output: BufReader<std::process::ChildStdout>) -> Duration {
    let started = Instant::now();
    output.read_to_end(&mut Vec::new()).expect("closed");
    started.elapsed()
}

#[test]
fn a_program_and_its_children_end_when_the_lifeline_is_cut() {
    let (mut supervisor, output, line) = supervise("sleep 60 & echo up; trap '' TERM INT; wait");
    assert_eq!(line, "up");
    drop(supervisor.stdin.take());
    assert!(
        wait_until_closed(output) < Duration::from_secs(30),
        "it was not killed"
    );
    let status = supervisor.wait().expect("ended");
    assert_eq!(status.code(), Some(128 + 9));
}

#[test]
fn what_a_program_leaves_behind_is_ended_with_it() {
    let (mut supervisor, output, line) = supervise("sleep 60 & echo up; exit 7");
    assert_eq!(line, "up");
    assert!(
        wait_until_closed(output) < Duration::from_secs(30),
        "the child was left behind"
    );
    assert_eq!(supervisor.wait().expect("ended").code(), Some(7));
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["supervise", "--", "no-such-program-here"])
        .stdin(Stdio::null())
        .output()
        .expect("started");
    assert_eq!(output.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-program-here"));
}
