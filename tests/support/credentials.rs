//! Delivered Secrets, and the sessions they come from.

use apono_simulator::Session;
use data_encoding::BASE64;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::ListParams};

use super::world::World;

/// The value of a key, which must be there.
pub fn text(secret: &Secret, key: &str) -> String {
    let data = secret.data.as_ref();
    let value = data.and_then(|data| data.get(key));
    let value = value.unwrap_or_else(|| panic!("no key {key} in {:?}", keys(secret)));
    String::from_utf8(value.0.clone()).expect("text")
}

/// The keys, in order.
pub fn keys(secret: &Secret) -> Vec<&str> {
    let data = secret.data.iter().flatten();
    data.map(|(key, _)| key.as_str()).collect()
}

impl World {
    /// The Secrets of the namespace.
    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.cluster.client.clone(), &self.cluster.namespace)
    }

    /// A Secret, if it is there.
    pub async fn secret(&self, name: &str) -> Option<Secret> {
        let found = self.secrets().get_opt(name).await;
        found.expect("the apiserver answers")
    }

    /// The one session of the one request of a resource, as the remote knows it.
    pub fn session(&self, name: &str) -> Session {
        let request = self.only_remote(name);
        let mut all = self.simulator.sessions_of(&request.id);
        assert_eq!(all.len(), 1, "{name}: {all:#?}");
        all.remove(0)
    }

    /// Whether a Secret holds the password of this resource's session that works now.
    pub async fn is_current(&self, name: &str, secret: &str) -> bool {
        let found = self.secret(secret).await.expect("a Secret");
        Some(text(&found, "password").as_str()) == self.session(name).password()
    }

    /// No password, old or new, plain or encoded, is where people or programs could come across it.
    pub async fn passwords_are_nowhere(&self) {
        let requests = self.cluster.requests().list(&ListParams::default()).await;
        let places = [
            ("the log", self.operator.log().text()),
            ("the metrics", self.operator.metrics().await),
            (
                "a request",
                format!("{:?}", requests.expect("a list").items),
            ),
            ("an event", format!("{:?}", self.events().await)),
        ];
        let sessions = self.simulator.sessions();
        let passwords: Vec<_> = sessions.iter().flat_map(|one| &one.passwords).collect();
        assert!(!passwords.is_empty(), "there was never a password");
        for password in passwords {
            let encoded = BASE64.encode(password.as_bytes());
            for (place, text) in &places {
                assert!(
                    !text.contains(password.as_str()),
                    "a password is in {place}"
                );
                assert!(!text.contains(&encoded), "a password is in {place}");
            }
        }
    }
}
