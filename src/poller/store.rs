//! The store: what is known of the remote.

use apono_client::AccessRequest;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{Interest, ResourceKey, Snapshot, View};
use crate::crd::RemoteApi;
use crate::marker::{Mark, Nonce};

/// What is known of the remote requests of one connection.
#[derive(Debug)]
pub struct Store {}

impl Store {
    /// An empty store of the cluster whose marks are ours.
    pub fn new(cluster: &str) -> Self {
        let _ = cluster;
        Self {}
    }

    /// Says what a resource wants to know; replaces what it said before. Cheap when unchanged.
    pub fn declare(&self, key: &ResourceKey, interest: Interest) {
        let _ = (key, interest);
    }

    /// Forgets a resource.
    pub fn withdraw(&self, key: &ResourceKey) {
        let _ = key;
    }

    /// What is known of what the resource declared.
    pub fn view(&self, key: &ResourceKey) -> View {
        let _ = key;
        View::default()
    }

    /// Takes the answer to the resource's own POST: linked to the nonce even if the remote cut or
    /// dropped the mark.
    pub fn record_reply(
        &self,
        key: &ResourceKey,
        nonce: &Nonce,
        requests: Vec<AccessRequest>,
        api: RemoteApi,
        asked_at: Timestamp,
    ) {
        let _ = (key, nonce, requests, api, asked_at);
    }

    /// Takes what somebody else read.
    pub fn record_read(&self, request: AccessRequest, api: RemoteApi, asked_at: Timestamp) {
        let _ = (request, api, asked_at);
    }

    /// Something was just asked of this id: it is watched closely for a while.
    pub fn hasten(&self, id: &str) {
        let _ = id;
    }

    /// Another token reads from now on: who it is, what was missing and what was looked at under
    /// the one before says nothing any more.
    pub fn token_changed(&self) {}

    /// Which resource follows the id; the first by name if several do.
    pub fn owner_of(&self, id: &str) -> Option<ResourceKey> {
        let _ = id;
        None
    }

    /// Live requests that bear a mark of this cluster and that no resource follows.
    pub fn unowned(&self) -> Vec<(Mark, std::sync::Arc<Snapshot>)> {
        Vec::new()
    }

    pub(super) fn wake_through(&self, wake: mpsc::UnboundedSender<ResourceKey>) {
        let _ = wake;
    }
}
