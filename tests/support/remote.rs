//! What the simulated remote saw.

use apono_simulator::{Endpoint, Request};

use super::{wait::eventually, world::World};

impl World {
    /// The remote requests of one resource, by the mark on them, oldest first.
    pub fn remote(&self, name: &str) -> Vec<Request> {
        let mark = format!("{}/{name}] ", self.cluster.namespace);
        let is_its = |request: &Request| {
            request
                .justification
                .as_ref()
                .is_some_and(|text| text.starts_with("[k8s ") && text.contains(&mark))
        };
        self.simulator
            .requests()
            .into_iter()
            .filter(is_its)
            .collect()
    }

    /// The one remote request of a resource.
    pub fn only_remote(&self, name: &str) -> Request {
        let mut all = self.remote(name);
        assert_eq!(all.len(), 1, "{name}: {:#?}", self.remote_states());
        all.remove(0)
    }

    /// Waits until the remote has this many requests of a resource.
    pub async fn wait_remote(&self, name: &str, count: usize) -> Vec<Request> {
        eventually("requests at the remote", async || {
            let all = self.remote(name);
            if all.len() == count {
                return Ok(all);
            }
            let words = self.last_words();
            Err(format!("{name}: {} of {count}\n{words}", all.len()))
        })
        .await
    }

    /// How often the remote was called at this endpoint.
    pub fn calls(&self, endpoint: Endpoint) -> usize {
        let calls = self.simulator.calls();
        calls
            .iter()
            .filter(|call| call.endpoint == endpoint)
            .count()
    }

    /// Exactly so many requests are open or give access at the remote, whoever made them.
    pub fn assert_live(&self, count: usize) {
        let all = self.simulator.requests();
        let live = all
            .iter()
            .filter(|request| !request.status.is_terminal() || request.has_access())
            .count();
        assert_eq!(live, count, "{:#?}", self.remote_states());
    }

    /// Waits until the remote has been read for its states this often again.
    pub async fn more_polls(&self, count: usize) {
        let reads = [
            Endpoint::List,
            Endpoint::ListDelegated,
            Endpoint::V3List,
            Endpoint::V3Get,
        ];
        let lists = || reads.map(|read| self.calls(read)).iter().sum::<usize>();
        let wanted = lists() + count;
        eventually("more polls", async || {
            let words = || format!("{} of {wanted}\n{}", lists(), self.last_words());
            (lists() >= wanted).then_some(()).ok_or_else(words)
        })
        .await;
    }

    /// Waits until this endpoint has been called this often in all.
    pub async fn wait_calls(&self, endpoint: Endpoint, count: usize) {
        eventually("calls of the remote", async || {
            let made = self.calls(endpoint);
            let words = || format!("{endpoint:?}: {made} of {count}\n{}", self.last_words());
            (made >= count).then_some(()).ok_or_else(words)
        })
        .await;
    }

    /// One line for each request at the remote.
    pub fn remote_states(&self) -> Vec<String> {
        let all = self.simulator.requests();
        let line = |one: &Request| {
            let why = one.justification.as_deref().unwrap_or_default();
            format!("{} {:?} by {}: {why}", one.id, one.status, one.requestor)
        };
        all.iter().map(line).collect()
    }
}
