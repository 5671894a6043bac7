//! Where a life may come to rest, and what must be true of it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use apono_operator::crd::{AccessRequest, CredentialsState};
use kube::{ResourceExt as _, api::ListParams};

use crate::support::{World, row};

/// Between two looks at all resources.
const PAUSE: Duration = Duration::from_millis(300);

/// The rows of the table of conditions in which nothing more is to come by itself.
const AT_REST: [&str; 13] = [
    "Ready=True:Active Synced=True -> Current",
    "Ready=Unknown:UnknownStatus Reconciling=True Synced=True -> InProgress",
    "Ready=Unknown:RemoteNotFound Stalled=True Synced=True -> Failed",
    "Ready=False:RequestRefused Stalled=True Synced=True -> Failed",
    "Ready=False:Rejected Stalled=True Synced=True -> Failed",
    "Ready=False:GrantFailed Stalled=True Synced=True -> Failed",
    "Ready=False:RevokeFailed Stalled=True Synced=True -> Failed",
    "Ready=False:RevokedUpstream Stalled=True Synced=True -> Failed",
    "Ready=False:Unauthorized Stalled=True Synced=False -> Failed",
    "Ready=False:NotAvailable Stalled=True Synced=False -> Failed",
    "Ready=False:ConnectionNotReady Stalled=True Synced=False -> Failed",
    "Synced=True Complete=True:Expired -> Current",
    "Synced=True Complete=True:Revoked -> Current",
];

/// The reasons for which a deletion may wait until the remote gives in.
pub const HELD: [&str; 4] = [
    "RevokeFailed",
    "CancelRefused",
    "RemoteNotFound",
    "Unauthorized",
];

/// All resources, looked at together.
pub struct Eyes<'a> {
    world: &'a World,
    seen: Mutex<(u64, BTreeMap<String, AccessRequest>)>,
}

impl<'a> Eyes<'a> {
    /// Not yet open.
    pub fn new(world: &'a World) -> Self {
        Self {
            world,
            seen: Mutex::default(),
        }
    }

    /// Looks again and again.
    pub async fn watch(&self) {
        loop {
            let all = ListParams::default();
            let list = self.world.cluster.requests().list(&all).await.unwrap();
            let named = list.items.into_iter().map(|one| (one.name_any(), one));
            let named = named.collect();
            self.keep(named);
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn keep(&self, named: BTreeMap<String, AccessRequest>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = (seen.0 + 1, named);
    }

    /// A look that begins from now on.
    pub async fn fresh(&self) {
        let number = || self.seen.lock().unwrap_or_else(PoisonError::into_inner).0;
        let wanted = number() + 2;
        while number() < wanted {
            tokio::time::sleep(PAUSE / 6).await;
        }
    }

    /// The resource as it was seen last.
    pub fn find(&self, name: &str) -> Option<AccessRequest> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.1.get(name).cloned()
    }
}

/// The leading reason.
pub fn reason(resource: &AccessRequest) -> &str {
    let status = resource.status.as_ref();
    status
        .and_then(|status| status.reason.as_deref())
        .unwrap_or_default()
}

/// Whether nothing more is to come by itself.
pub fn is_at_rest(resource: &AccessRequest) -> bool {
    AT_REST.contains(&row(resource).as_str()) || awaits_leave_to_reset(resource)
}

/// Whether credentials wait for a person: somebody else uses the session too, or has read it.
fn awaits_leave_to_reset(resource: &AccessRequest) -> bool {
    let credentials = resource.status.as_ref();
    let credentials = credentials.and_then(|status| status.credentials.as_ref());
    reason(resource) == "DeliveringCredentials"
        && credentials.is_some_and(|credentials| {
            let state = credentials.state;
            matches!(
                state,
                Some(CredentialsState::Shared | CredentialsState::ViewedElsewhere)
            )
        })
}

/// Whether the whole connection waits for the remote to let its user in.
pub fn is_kept_out(resource: &AccessRequest) -> bool {
    row(resource) == "Ready=False:Submitting Reconciling=True Synced=False -> InProgress"
}
