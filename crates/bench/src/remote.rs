//! The simulated remote: started, made slow or strict, and asked what it has seen.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::programs::Program;

/// How the remote answers and decides. Nothing takes time but what is said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// At once.
    Instant,
    /// Each call takes 30 to 70 ms, 50 in the middle.
    Slow,
    /// Ten calls a second, and 429 beyond.
    Limited,
    /// Every request is approved after five seconds.
    LateApproval,
    /// No request is ever approved.
    NoApproval,
}

impl Profile {
    /// What it is called in the results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Slow => "slow",
            Self::Limited => "limited",
            Self::LateApproval => "late-approval",
            Self::NoApproval => "no-approval",
        }
    }

    /// How long a request waits for its approval.
    const fn approval(self) -> &'static str {
        match self {
            Self::Instant | Self::Slow | Self::Limited => "0s",
            Self::LateApproval => "5s",
            Self::NoApproval => "10000h",
        }
    }
}

/// What makes answers slow: how late, in milliseconds, and how likely. Together 30 to 70.
const SLOW: [(u64, f64); 5] = [(30, 1.0), (20, 0.5), (10, 0.5), (5, 0.5), (5, 0.5)];

/// The simulated remote.
pub struct Remote {
    _program: Program,
    http: reqwest::Client,
    /// Where it is.
    pub url: String,
}

/// A request as the remote keeps it.
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: String,
    /// Its state.
    pub status: String,
    /// Why, with the mark of whoever asked.
    pub justification: Option<String>,
    /// When the access became live.
    pub active_at: Option<Timestamp>,
}

impl Request {
    /// The object that its mark names.
    pub fn object(&self) -> Option<&str> {
        let (mark, _) = self.justification.as_deref()?.split_once(']')?;
        mark.rsplit_once('/').map(|(_, name)| name)
    }

    /// Whether it is, or may become, access.
    pub fn is_live(&self) -> bool {
        !matches!(self.status.as_str(), "Revoked" | "Rejected" | "Failed")
    }
}

impl Remote {
    /// Starts it.
    pub async fn start(program: &Path, token: &str, profile: Profile, log: &Path) -> Result<Self> {
        let program = program.to_str().context("a path that is no text")?;
        let mut command: Vec<String> = [program, "--listen", "127.0.0.1:0", "--token", token]
            .map(str::to_owned)
            .to_vec();
        for delay in ["route", "grant", "revoke", "session"] {
            command.extend([format!("--{delay}-delay"), "0s".to_owned()]);
        }
        command.extend(["--approve-delay", profile.approval()].map(str::to_owned));
        let mut program = Program::start(&command, &[], log)?;
        let url = program
            .wait_for("its address", |line| {
                line.strip_prefix("listening on ").map(str::to_owned)
            })
            .await?;
        let remote = Self {
            _program: program,
            http: reqwest::Client::builder().no_proxy().build()?,
            url,
        };
        match profile {
            Profile::Instant | Profile::LateApproval | Profile::NoApproval => {}
            Profile::Slow => {
                for (by, probability) in SLOW {
                    let action = json!({"kind": "slow", "by": format!("{by}ms")});
                    let fault = json!({"action": action, "probability": probability});
                    remote.post("faults", &fault).await?;
                }
            }
            Profile::Limited => {
                let switches = json!({"rate-limit": 10});
                remote.patch("switches", &switches).await?;
            }
        }
        Ok(remote)
    }

    fn at(&self, path: &str) -> String {
        format!("{}/_control/{path}", self.url)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.http.get(self.at(path)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<()> {
        let answer = self.http.post(self.at(path)).json(body).send().await?;
        said(answer).await
    }

    async fn patch(&self, path: &str, body: &Value) -> Result<()> {
        let answer = self.http.patch(self.at(path)).json(body).send().await?;
        said(answer).await
    }

    /// All requests.
    pub async fn requests(&self) -> Result<Vec<Request>> {
        let mut all = self.get("requests").await?;
        let list = match all.get_mut("requests") {
            Some(list) => list.take(),
            None => all,
        };
        Ok(serde_json::from_value(list)?)
    }

    /// Somebody does this to a request there: `revoke`, `approve`.
    pub async fn command(&self, id: &str, command: &str) -> Result<()> {
        let path = format!("requests/{id}/{command}");
        self.post(&path, &json!({})).await
    }

    /// Calls by endpoint, whatever was answered.
    pub async fn calls(&self) -> Result<BTreeMap<String, u64>> {
        let counters = self.get("counters").await?;
        let counters: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_value(counters)?;
        let sum = |answers: BTreeMap<String, u64>| answers.into_values().sum();
        Ok(counters
            .into_iter()
            .map(|(endpoint, answers)| (endpoint, sum(answers)))
            .collect())
    }

    /// How many calls were answered with 429.
    pub async fn refusals(&self) -> Result<u64> {
        let counters = self.get("counters").await?;
        let counters: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_value(counters)?;
        let of = |answers: &BTreeMap<String, u64>| answers.get("429").copied();
        Ok(counters.values().filter_map(of).sum())
    }
}

async fn said(answer: reqwest::Response) -> Result<()> {
    let status = answer.status();
    if !status.is_success() {
        bail!(
            "the remote's control channel says {status}: {}",
            answer.text().await?
        );
    }
    Ok(())
}
