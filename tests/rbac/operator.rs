//! The operator's binary as the shipped service account, and what it asked the apiserver for.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::shipped::{text, variable};

/// The user that the shipped bindings name.
pub const ACCOUNT: &str = "system:serviceaccount:apono-system:apono-operator";

/// The operator; ended when dropped.
pub struct Operator {
    child: Child,
    log: PathBuf,
    audit_from: u64,
}

impl Operator {
    /// Starts it as the shipped Deployment does, with these settings beside.
    pub fn start(deployment: &Value, settings: &[(&str, &str)]) -> Self {
        let containers = deployment.pointer("/spec/template/spec/containers/0/env");
        let shipped = containers.and_then(Value::as_array).into_iter().flatten();
        let shipped = shipped.map(|one| (text(one, "/name"), text(one, "/value")));
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("rbac-operator.log");
        let audit = File::open(variable("APONO_TEST_AUDIT_LOG")).expect("an audit log");
        let child = Command::new(env!("CARGO_BIN_EXE_apono-operator"))
            .arg("run")
            .env("KUBECONFIG", variable("APONO_TEST_SA_KUBECONFIG"))
            .env("ADMIN_LISTEN", "127.0.0.1:0")
            .envs(shipped)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("the operator starts");
        Self {
            child,
            log,
            audit_from: audit.metadata().expect("an audit log").len(),
        }
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it as the kubelet does, and gives every entry of the audit log that names it.
    pub fn end(mut self) -> Vec<Value> {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        assert!(asked.is_ok_and(|status| status.success()), "kill runs");
        let started = Instant::now();
        while self.child.try_wait().expect("a child of ours").is_none() {
            assert!(
                started.elapsed() < Duration::from_secs(15),
                "it does not end"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut log = File::open(variable("APONO_TEST_AUDIT_LOG")).expect("an audit log");
        log.seek(SeekFrom::Start(self.audit_from))
            .expect("it only grows");
        let mut all = String::new();
        log.read_to_string(&mut all).expect("text");
        let entries = all
            .lines()
            .filter(|line| line.contains(ACCOUNT))
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        entries
            .filter(|entry| text(entry, "/user/username") == ACCOUNT)
            .collect()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let (_, last) = lines.split_at(lines.len().saturating_sub(30));
            eprintln!("the operator wrote last:\n{}", last.join("\n"));
        }
    }
}
