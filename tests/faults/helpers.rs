//! The worlds of the fault tests: short deadlines, so that a lost answer is settled in seconds; and
//! waits that are longer than those of calm weather.

use std::time::{Duration, Instant};

use apono_operator::crd::AccessRequest;
use apono_simulator::{Action, Endpoint, Fault, When};
use kube::api::ListParams;

use crate::support::{CONNECTION, Setup, World};

/// A POST is marked, leaves within 5 s, is answered within 1 s, and shows in lists within 1 s: after
/// this long a look that does not find it proves that it was not done.
pub const WINDOW: Duration = Duration::from_secs(7);
/// A POST that was lost before it was done is repeated this long after its mark.
pub const REPEAT: Duration = Duration::from_secs(30);

/// A world in which a call may take a second, and the log holds all there is to say: what a token
/// could hide in.
pub fn setup() -> Setup {
    Setup::default()
        .setting("REMOTE_TIMEOUT", "1s")
        .setting("RUST_LOG", "trace")
}

/// A world of many: the log holds what is worth saying.
pub fn crowd() -> Setup {
    setup().setting("RUST_LOG", "info")
}

/// Strikes the next create.
pub fn next_create(action: Action) -> Fault {
    Fault::new(action).at(Endpoint::Create).once()
}

/// This status, before or after the call is done.
pub fn answer(status: u16, when: When) -> Action {
    Action::Answer {
        status,
        retry_after: None,
        body: None,
        when,
    }
}

/// Looks until there is an answer, for as long as is said.
pub async fn within<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let started = Instant::now();
    loop {
        let missing = match look().await {
            Ok(found) => return found,
            Err(missing) => missing,
        };
        assert!(
            started.elapsed() < limit,
            "not within {limit:?}: {what}\n{missing}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The leading reason.
pub fn reason(resource: &AccessRequest) -> &str {
    let status = resource.status.as_ref();
    status
        .and_then(|status| status.reason.as_deref())
        .unwrap_or_default()
}

impl World {
    /// Waits until a resource has this leading reason, for as long as is said.
    pub async fn reason_within(&self, limit: Duration, name: &str, wanted: &str) -> AccessRequest {
        within(limit, wanted, async || {
            let found = self.get(name).await;
            if reason(&found) == wanted {
                return Ok(found);
            }
            let status = serde_json::to_string(&found.status).unwrap();
            Err(format!("{name}: {status}\n{}", self.last_words()))
        })
        .await
    }

    /// Waits until a resource is gone, for as long as is said.
    pub async fn gone_within(&self, limit: Duration, name: &str) {
        within(limit, "the resource is gone", async || {
            match self.find(name).await {
                None => Ok(()),
                Some(found) => {
                    let status = serde_json::to_string(&found.status).unwrap();
                    Err(format!("{name}: {status}\n{}", self.last_words()))
                }
            }
        })
        .await;
    }

    /// Waits until every one of these has this leading reason.
    pub async fn all_within(&self, limit: Duration, names: &[String], wanted: &str) {
        within(limit, wanted, async || {
            let list = self.cluster.requests().list(&ListParams::default()).await;
            let list = list.unwrap().items;
            let is_so = |one: &&AccessRequest| reason(one) == wanted;
            let count = list.iter().filter(is_so).count();
            let others: Vec<_> = list.iter().filter(|one| !is_so(one)).collect();
            let first = serde_json::to_string(&others.first()).unwrap();
            let missing = || format!("{count} of {}: {first}\n{}", names.len(), self.last_words());
            (count == names.len()).then_some(()).ok_or_else(missing)
        })
        .await;
    }

    /// Waits until no resource is left.
    pub async fn none_within(&self, limit: Duration) {
        within(limit, "all are gone", async || {
            let list = self.cluster.requests().list(&ListParams::default()).await;
            let list = list.unwrap().items;
            let first = serde_json::to_string(&list.first()).unwrap();
            let missing = || format!("{} are left: {first}\n{}", list.len(), self.last_words());
            list.is_empty().then_some(()).ok_or_else(missing)
        })
        .await;
    }

    /// Waits until the remote has executed this many creates.
    pub async fn executed_creates(&self, count: usize) {
        within(WINDOW, "creates at the remote", async || {
            let made = self.simulator.requests().len();
            (made >= count)
                .then_some(())
                .ok_or_else(|| format!("{made} of {count}"))
        })
        .await;
    }
}

/// An access request for a bundle, to be created by whoever asks.
pub fn request(name: &str, bundle: &str) -> AccessRequest {
    let object = serde_json::json!({
        "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
        "metadata": {"name": name},
        "spec": {
            "access": {"bundle": bundle},
            "justification": "stuck orders",
            "connectionRef": {"kind": "AponoConnection", "name": CONNECTION}
        }
    });
    serde_json::from_value(object).unwrap()
}
