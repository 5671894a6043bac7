//! The simulated Apono as its own people see it: the control channel of `apono-simulator`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::Agent;

/// It answers from memory; more than this is a failure.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// The control channel, and with [`Http::get`] any other address on this machine.
#[derive(Debug)]
pub(crate) struct Remote {
    http: Http,
    url: String,
}

/// A client for this machine: plain HTTP, no proxy.
#[derive(Debug)]
pub(crate) struct Http(Agent);

impl Http {
    /// A new one.
    pub(crate) fn new() -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(CALL_DEADLINE))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Self(config.new_agent())
    }

    /// The status and the body at `url`.
    pub(crate) fn get(&self, url: &str) -> Result<(u16, String)> {
        let mut answer = self.0.get(url).call().with_context(|| unanswered(url))?;
        let body = answer.body_mut().read_to_string();
        Ok((
            answer.status().as_u16(),
            body.with_context(|| unanswered(url))?,
        ))
    }

    fn post(&self, url: &str) -> Result<(u16, String)> {
        let sent = self.0.post(url).send_empty();
        let mut answer = sent.with_context(|| unanswered(url))?;
        let body = answer.body_mut().read_to_string();
        Ok((
            answer.status().as_u16(),
            body.with_context(|| unanswered(url))?,
        ))
    }
}

fn unanswered(url: &str) -> String {
    format!("`{url}` does not answer")
}

/// A request as the remote keeps it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) justification: Option<String>,
    pub(crate) entitlements: Vec<Entitlement>,
    pub(crate) timeline: Vec<Move>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Entitlement {
    status: String,
}

/// A move of a request.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Move {
    pub(crate) at: Timestamp,
    pub(crate) status: String,
    pub(crate) by: Actor,
}

/// Who made a move.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Actor {
    User(String),
    Clock,
    Control,
}

impl Request {
    /// Whether it gives no access any more, and never will.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.status.as_str(), "Revoked" | "Rejected") && self.live() == 0
    }

    /// How many of its entitlements can be used.
    pub(crate) fn live(&self) -> usize {
        let granted = |it: &&Entitlement| it.status == "Granted";
        self.entitlements.iter().filter(granted).count()
    }

    /// The name of the resource in the mark that the operator sent.
    pub(crate) fn resource(&self) -> Option<&str> {
        let mark = self.justification.as_deref()?.strip_prefix("[k8s ")?;
        let (mark, _) = mark.split_once(']')?;
        mark.rsplit_once('/').map(|(_, name)| name)
    }

    /// Its moves in words; who made one is named where it was not time.
    pub(crate) fn story(&self) -> String {
        let moves = self.timeline.iter().map(|it| match &it.by {
            Actor::Clock => it.status.clone(),
            Actor::User(email) => {
                let name = email.split('@').next().unwrap_or(email);
                format!("{} (by {name})", it.status)
            }
            Actor::Control => format!("{} (by an approver)", it.status),
        });
        moves.collect::<Vec<_>>().join(" ▸ ")
    }
}

/// Calls by endpoint and by what was answered.
pub(crate) type Counters = BTreeMap<String, BTreeMap<String, u64>>;

impl Remote {
    /// The one at `url`.
    pub(crate) fn new(url: String) -> Self {
        let http = Http::new();
        Self { http, url }
    }

    /// Where the API is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Every request in the order of creation.
    pub(crate) fn requests(&self) -> Result<Vec<Request>> {
        self.read("requests")
    }

    /// What time it is there.
    pub(crate) fn now(&self) -> Result<Timestamp> {
        #[derive(Deserialize)]
        struct Clock {
            now: Timestamp,
        }
        self.read::<Clock>("clock").map(|clock| clock.now)
    }

    /// How many calls of the API there were.
    pub(crate) fn counters(&self) -> Result<Counters> {
        self.read("counters")
    }

    /// Approves a request, as a person would in Apono.
    pub(crate) fn approve(&self, id: &str) -> Result<()> {
        let path = format!("{}/_control/requests/{id}/approve", self.url);
        match self.http.post(&path)? {
            (200, _) => Ok(()),
            (status, body) => bail!("`{path}` answered {status}: {body}"),
        }
    }

    fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        let path = format!("{}/_control/{what}", self.url);
        let (status, body) = self.http.get(&path)?;
        if status != 200 {
            bail!("`{path}` answered {status}: {body}");
        }
        serde_json::from_str(&body).with_context(|| format!("could not read `{path}`"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(status: &str, entitlement: &str, justification: &str) -> Request {
        let request = json!({
            "id": "r-1",
            "status": status,
            "justification": justification,
            "entitlements": [{"status": entitlement}],
            "timeline": [
                {"at": "2026-01-01T00:00:00Z", "status": "Initializing", "by": {"user": "me@example.com"}},
                {"at": "2026-01-01T00:00:01Z", "status": "Pending", "by": "clock"},
                {"at": "2026-01-01T00:00:02Z", "status": "Granting", "by": "control"},
            ],
        });
        serde_json::from_value(request).unwrap()
    }

    #[test]
    fn ended_means_that_no_entitlement_is_left() {
        assert!(request("Revoked", "Revoked", "").has_ended());
        assert!(!request("Revoked", "Granted", "").has_ended());
        assert!(!request("Failed", "Revoked", "").has_ended());
    }

    #[test]
    fn the_mark_names_the_resource() {
        let marked = request(
            "Active",
            "Granted",
            "[k8s abc demo/payments/orders-read] INC-42",
        );
        assert_eq!(marked.resource(), Some("orders-read"));
        assert_eq!(request("Active", "Granted", "INC-42").resource(), None);
    }

    #[test]
    fn the_story_names_who_did_what() {
        let story = request("Granting", "Pending", "").story();
        assert_eq!(
            story,
            "Initializing (by me) ▸ Pending ▸ Granting (by an approver)"
        );
    }
}
