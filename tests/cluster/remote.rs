//! The simulator's control channel. It answers its own loopback only, so it is reached as a person would
//! from a laptop: by `kubectl port-forward`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
};

use reqwest::Client;
use serde_json::{Value, json};

use crate::{
    release::{RELEASE, kubectl_command},
    wait::eventually,
};

/// The simulator of a release.
pub struct Remote {
    forward: Child,
    url: String,
    client: Client,
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Nothing to do about a failure: it means that it has ended.
        let _ = self.forward.kill();
        let _ = self.forward.wait();
    }
}

impl Remote {
    /// The one in this namespace, whose pod must not go.
    pub fn open(namespace: &str) -> Self {
        let simulator = format!("deployment/{RELEASE}-simulator");
        let mut forward = kubectl_command()
            .args(["port-forward", "-n", namespace, &simulator, ":8080"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("kubectl starts");
        let mut line = String::new();
        let mut output = BufReader::new(forward.stdout.take().expect("piped"));
        output.read_line(&mut line).expect("readable");
        let start = line.strip_prefix("Forwarding from ");
        let address = start.and_then(|rest| rest.split(' ').next());
        let url = format!(
            "http://{}/_control",
            address.unwrap_or_else(|| panic!("{line}"))
        );
        // Or it would end when it tells of the next connection.
        std::thread::spawn(move || output.lines().count());
        Self {
            forward,
            url,
            // A connection of its own for each call: one that was idle may be at its end.
            client: Client::builder()
                .no_proxy()
                .pool_max_idle_per_host(0)
                .build()
                .expect("a client"),
        }
    }

    /// A call of the control channel.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let method = method.parse().expect("a method");
        let url = format!("{}/{path}", self.url);
        let mut call = self.client.request(method, &url);
        if !body.is_null() {
            call = call.json(&body);
        }
        let answer = call.send().await.expect("the simulator answers");
        let status = answer.status();
        let body: Value = answer.json().await.expect("JSON");
        assert!(status.is_success(), "{path}: {body}");
        body
    }

    /// Every request that there ever was, in the order of creation.
    pub async fn requests(&self) -> Vec<Value> {
        let all = self.call("GET", "requests", Value::Null).await;
        all.as_array().expect("a list").clone()
    }

    /// Those that bear the mark of this resource.
    pub async fn of(&self, resource: &str) -> Vec<Value> {
        let mut all = self.requests().await;
        all.retain(|request| {
            let text = request["justification"].as_str().unwrap_or_default();
            text.starts_with("[k8s ") && text.contains(&format!("/{resource}] "))
        });
        all
    }

    /// The one request of a resource.
    pub async fn only(&self, resource: &str) -> Value {
        let mut all = self.of(resource).await;
        assert_eq!(all.len(), 1, "{resource}: {all:#?}");
        all.remove(0)
    }

    /// Makes the next creates be done and never answered.
    pub async fn swallow_creates(&self, times: u64) {
        let fault = json!({
            "endpoint": "create", "times": times, "action": {"kind": "hang", "when": "after"}
        });
        self.call("POST", "faults", fault).await;
    }

    /// Waits until a resource has a request.
    pub async fn asked(&self, resource: &str) {
        eventually("a request of it", async || {
            let all = self.of(resource).await;
            (!all.is_empty())
                .then_some(())
                .ok_or_else(|| format!("{resource}: none"))
        })
        .await;
    }
}
